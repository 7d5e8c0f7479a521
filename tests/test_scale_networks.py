"""A Ray cluster of two machines that share a folder and a network, and nothing else of a network.

Each machine is a network namespace of Linux with an address of its own, so this needs root.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from fakes import coloured
from test_scale_killed import check, make_images

from explorer.library import Library

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
HOSTS = {"a": "10.77.0.1", "b": "10.77.0.2"}
PORT = 6379
SESSION = Path(f"/tmp/unclip-ray-{os.getpid()}")  # names of sockets may not be long
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
import fakes
from explorer.library import Library
from explorer.scale import ray_session
from explorer.scale.ray_engine import RayEngine
seen = set()
with ray_session.session(sys.argv[4]) as ray:
    from ray._private import state
    ray.cloudpickle.register_pickle_by_value(fakes)
    library = Library.open(sys.argv[2])
    steps = library.adding(sys.argv[3], encoder=fakes.ColourEncoder(), engine=RayEngine(actors=2))
    for step in steps:
        alive = [each for each in state.actors().values() if each["State"] == "ALIVE"]
        seen |= {each["Address"]["IPAddress"] for each in alive}
print(json.dumps(sorted(seen)))
"""


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def within(space, *words, **options):
    """Run a command on one of the machines."""
    done = subprocess.run(
        ["ip", "netns", "exec", space, *map(str, words)],
        env=os.environ | ENVIRONMENT, check=False, capture_output=True, text=True, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def allowed():
    """Whether namespaces can be made here."""
    name = f"unclip-try-{os.getpid()}"
    if os.name != "posix" or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True)
    if made.returncode == 0:
        ip("netns", "del", name)
    return made.returncode == 0


@pytest.fixture
def machines():
    """Two namespaces, joined by one cable; gives name → namespace."""
    if not allowed():
        pytest.skip("network namespaces need root and the command ip")
    spaces = {name: f"unclip-{name}-{os.getpid()}" for name in HOSTS}
    try:
        for space in spaces.values():
            ip("netns", "add", space)
        ends = [f"u{name}{os.getpid()}" for name in HOSTS]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for (name, address), end in zip(HOSTS.items(), ends, strict=True):
            ip("link", "set", end, "netns", spaces[name])
            ip("-n", spaces[name], "addr", "add", f"{address}/24", "dev", end)
            for device in (end, "lo"):
                ip("-n", spaces[name], "link", "set", device, "up")
        yield spaces
    finally:
        for space in spaces.values():
            for pid in ip("netns", "pids", space).split():
                os.kill(int(pid), signal.SIGKILL)
            ip("netns", "del", space)
        shutil.rmtree(SESSION, ignore_errors=True)


def test_machines_with_networks_of_their_own_make_one_library(machines, tmp_path):
    images = make_images(tmp_path / "images", 600)
    library = Library.create(tmp_path / "a.lib", coloured())
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus", 1]
    ray += ["--object-store-memory", 100 * 2**20, "--disable-usage-stats"]
    head = ["--head", "--port", PORT, "--include-dashboard=false", "--temp-dir", SESSION]
    within(machines["a"], *ray, *head, "--node-ip-address", HOSTS["a"])
    joining = ["--address", f"{HOSTS['a']}:{PORT}", "--node-ip-address", HOSTS["b"]]
    within(machines["b"], *ray, *joining)
    words = [Path(__file__).parent, library.folder, images, f"{HOSTS['a']}:{PORT}"]
    done = within(machines["a"], sys.executable, "-c", DRIVER, *words, timeout=900)
    assert json.loads(done.stdout.splitlines()[-1]) == sorted(HOSTS.values())
    library.refresh()
    check(library, 600)
