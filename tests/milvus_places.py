"""Where tests publish: files of Milvus Lite, or the server that UNCLIP_MILVUS=HOST:PORT names."""

import hashlib
import os


def place_in(folder, name="photos"):
    """An address that is `folder`'s own."""
    if server := os.environ.get("UNCLIP_MILVUS"):
        return f"milvus://{server}/{name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    return f"milvus://{folder}/served.db/{name}"
