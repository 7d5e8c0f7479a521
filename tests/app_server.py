"""A dashboard in a process of its own, and sessions that talk to it as browsers do."""

import asyncio
import os
import re
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parent.parent


class Server:
    """A server that runs: its address, its process, and what it has written."""

    def __init__(self, address, process, log):
        self.address, self.process, self.log = address, process, log

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    @property
    def megabytes(self):
        """What the process holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    @property
    def seconds(self):
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(library, folder, *options):
    """`unclip app LIBRARY` on a free port, until the block ends."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "explorer", "app", str(library), "--no-browser", "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        ) as process,
    ):
        try:
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"{line!r}\n{log.read_text()}"
            yield Server(found[0], process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)


class Session:
    """One visitor: opens pages by their addresses and waits until each has run."""

    def __init__(self, server, page):
        self.server, self.page = server, page
        self.said = []  # what the last run showed as errors
        self.uploader, self.files, self.number = "", [], ""
        self.field = ""  # where words are typed

    async def __aenter__(self):
        address = self.server.address.replace("http", "ws") + "/_stcore/stream"
        self.socket = await websockets.connect(
            address, subprotocols=["streamlit"], origin=self.server.address, max_size=None
        )
        return self

    async def __aexit__(self, *_):
        await self.socket.close()

    async def open(self, typed=None, **address):
        """Run the page at this address; gives the seconds that it took.

        The address counts when a session begins; later, words are `typed`.
        """
        message = BackMsg()
        message.rerun_script.query_string = urlencode(address)
        message.rerun_script.page_name = self.page
        if typed is not None:
            message.rerun_script.widget_states.widgets.add(id=self.field, string_value=typed)
        if self.files:
            state = message.rerun_script.widget_states.widgets.add(id=self.uploader)
            state.file_uploader_state_value.uploaded_file_info.extend(self.files)
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        self.said, first = [], True
        while True:
            told = ForwardMsg()
            told.ParseFromString(await asyncio.wait_for(self.socket.recv(), 120))
            if told.HasField("new_session"):
                self.number = told.new_session.initialize.session_id
            element = told.delta.new_element
            if element.HasField("text_input") and first:
                self.field, first = element.text_input.id, False
            if element.HasField("file_uploader"):
                self.uploader = element.file_uploader.id
            if element.HasField("exception"):
                self.said.append(element.exception.message)
            if element.HasField("alert") and element.alert.format == element.alert.ERROR:
                self.said.append(element.alert.body)
            if told.HasField("script_finished"):
                return time.perf_counter() - began

    async def upload(self, name, content):
        """Send a file to the field that the last run showed; gives the status of the server.

        The next `open` hands it to the page.
        """
        message = BackMsg()
        message.file_urls_request.request_id = "1"
        message.file_urls_request.session_id = self.number
        message.file_urls_request.file_names.append(name)
        await self.socket.send(message.SerializeToString())
        told = ForwardMsg()
        while not told.HasField("file_urls_response"):
            told.ParseFromString(await asyncio.wait_for(self.socket.recv(), 120))
        (urls,) = told.file_urls_response.file_urls
        status = await asyncio.to_thread(put, self.server, urls.upload_url, name, content)
        if status == 204:
            info = FileUploaderState().uploaded_file_info.add(
                name=name, size=len(content), file_id=urls.file_id
            )
            info.file_urls.CopyFrom(urls)
            self.files = [info]
        return status


def put(server, path, name, content):
    """Upload as a browser does, with the token that the server gave; gives the status."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.request("GET", "/_stcore/health")
        answer = connection.getresponse()
        answer.read()
        token = re.search(r"_xsrf=([^;]+)", answer.headers.get("Set-Cookie", "") or "_xsrf=none")[1]
        edge = "unclip-edge"
        form = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body = f"{form}Content-Type: image/png\r\n\r\n".encode()
        body += content + f"\r\n--{edge}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "X-Xsrftoken": token,
            "Cookie": f"_streamlit_xsrf={token}",
        }
        try:
            connection.request("PUT", path, body, headers)
            return connection.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            return 413  # refused before it was read
