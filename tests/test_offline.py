"""The tests themselves work without network and leave nothing behind."""

import os
import pathlib
import socket
import tempfile

import pytest


def test_a_test_that_reaches_another_machine_fails():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as outside,
        pytest.raises(pytest.fail.Exception, match="offline"),
    ):
        outside.connect(("192.0.2.1", 80))  # TEST-NET-1, RFC 5737: nobody is there


def test_a_test_may_talk_to_its_own_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=10).close()


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME"])
def test_caches_go_to_a_temporary_folder(variable):
    folder = pathlib.Path(os.environ[variable])
    assert folder.is_dir()
    assert folder.is_relative_to(tempfile.gettempdir())
