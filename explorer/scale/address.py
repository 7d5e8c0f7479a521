"""Addresses of published libraries: `milvus://HOST:PORT/NAME`, or `milvus://FILE.db/NAME`."""

import logging
import os
import re
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from explorer.errors import ExplorerError, QueryError

INSTALL = "pip install 'unclip-explorer[milvus]'"
TOKEN = "MILVUS_TOKEN"  # the variable that holds it
PORT = 19530
_ADDRESS = re.compile(r"(milvus|milvus\+https):/(/?)(.+)/([^/]+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


@dataclass(frozen=True)
class Address:
    """Where a library is published, and under which name.

    Args:
        uri: what Milvus' client connects to: a server, or the file of Milvus Lite.
        name: the alias that readers follow.
    """

    uri: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address.

        Raises:
            QueryError: it is none.

        >>> Address.parse("milvus://localhost/photos").uri
        'http://localhost:19530'
        >>> Address.parse("milvus:///tmp/a.db/photos")
        Address(uri='/tmp/a.db', name='photos')
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or not _NAME.fullmatch(found[4]):
            raise QueryError(
                f"{text!r} is no address of a published library. Use milvus://HOST:PORT/NAME, or "
                "milvus://FILE.db/NAME for a file of Milvus Lite; a name has letters, digits and _."
            )
        scheme, double, where, name = found.groups()
        if where.endswith(".db"):
            path = where if double else f"/{where}"  # pathlib made one slash of two
            return cls(os.path.abspath(os.path.expanduser(path)), name)
        port = "" if re.search(r":\d+$", where) else f":{PORT}"
        return cls(f"{'https' if 'https' in scheme else 'http'}://{where}{port}", name)

    def __str__(self) -> str:
        secure = "+https" if self.uri.startswith("https") else ""
        where = re.sub("^https?://", "", self.uri)
        return f"milvus{secure}://{where}/{self.name}"

    def connect(self) -> Any:
        """Return Milvus' client; the variable MILVUS_TOKEN gives a token or user:password.

        Raises:
            ExplorerError: pymilvus is not installed.
            QueryError: nobody answers there.
        """
        local = self.uri.endswith(".db")
        for package in ("pymilvus", *(("milvus_lite",) if local else ())):
            if find_spec(package) is None:
                raise ExplorerError(f"{self} needs {package}, which is not installed: {INSTALL}")
        if local and not os.path.isdir(os.path.dirname(self.uri)):
            raise QueryError(f"There is no folder {os.path.dirname(self.uri)} for {self}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pymilvus import MilvusClient
            from pymilvus.exceptions import MilvusException

            for name in ("pymilvus", "grpc._server"):  # what is wrong is raised too
                logging.getLogger(name).setLevel(logging.CRITICAL)
            try:
                token = "" if local else os.environ.get(TOKEN, "")
                return MilvusClient(self.uri, token=token, timeout=10)
            except (MilvusException, OSError, RuntimeError) as error:
                reason = getattr(error, "message", None) or str(error) or type(error).__name__
                if local:
                    reason += "; a file of Milvus Lite is open in one process at a time"
                raise QueryError(f"Milvus cannot be reached at {self.uri}: {reason}.") from None
