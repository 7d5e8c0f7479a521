"""The site of nginx in docs/howto/server.md: a password for every path and for the socket."""

import base64
import re
import shutil
import socket
import subprocess
import time
from contextlib import closing, suppress

import pytest
from app_server import ROOT, serving
from visiting import statuses

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME, PASSWORD = "photos.example", "correct horse"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="needs nginx: apt install nginx-light"),
]


def site(port, backend, folder):
    """The site of the page, with this machine's ports and files, and without TLS."""
    page = (ROOT / "docs" / "howto" / "server.md").read_text()
    written = re.search(r"```\n(limit_req_zone.*?)```", page, re.DOTALL)[1]
    changed = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", written)
    changed = re.sub(r" *ssl_certificate.*\n", "", changed)
    changed = changed.replace("127.0.0.1:8501", f"127.0.0.1:{backend}")
    changed = changed.replace("/etc/nginx/photos.htpasswd", str(folder / "htpasswd"))
    return (
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body;\n"
        f"proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; "
        f"uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{changed}}}\n"
    )


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(emoji, tmp_path_factory):
    """The port of a proxy before a dashboard."""
    folder = tmp_path_factory.mktemp("proxy")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True
    ).stdout
    (folder / "htpasswd").write_text(f"anna:{hashed}")
    folder.chmod(0o755)
    port = free_port()
    with serving(emoji, folder, "--allow-remote", "--allowed-host", NAME) as server:
        (folder / "nginx.conf").write_text(site(port, server.port, folder))
        with subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf")]) as process:
            for _ in range(100):
                with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
                    break
                time.sleep(0.05)
            yield port
            process.terminate()


def login(password):
    return "Authorization: Basic " + base64.b64encode(f"anna:{password}".encode()).decode()


def test_without_the_password_nothing_is_served(proxy):
    for given in ((), (login("wrong"),)):
        assert set(statuses(proxy, f"Host: {NAME}", *given).values()) == {401}


def test_with_the_password_pages_and_the_socket_are_served(proxy):
    found = statuses(proxy, f"Host: {NAME}", login(PASSWORD))
    assert found["page"] == found["health"] == 200 and found["socket"] == 101
    assert found["upload"] in (400, 403)  # reaches the dashboard, which wants its own token
    assert found["image"] == 404


def test_another_name_and_another_site_are_refused_behind_the_proxy(proxy):
    known = login(PASSWORD)
    assert set(statuses(proxy, "Host: evil.example", known).values()) == {403}
    foreign = "Origin: http://evil.example"
    assert set(statuses(proxy, f"Host: {NAME}", foreign, known).values()) == {403}
