"""Download: resume the download of one large file, and verify files of the cache.

It works with addresses and files; it knows no models.
"""

import hashlib
from pathlib import Path as FilePath

from explorer.files import finish_file, make_folder

CHUNK_BYTES = 1 << 20


def download(url: str, file: FilePath, size: int) -> None:
    """Download a file with a progress bar, resuming after the bytes of an interrupted download.

    Args:
        size: of the file in bytes.

    Raises:
        httpx2.HTTPError, OSError: the server refuses or sends nothing, or the disk is full.
    """
    from httpx2 import TransportError
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, tqdm  # type: ignore[attr-defined]

    make_folder(file.parent)
    part = file.with_name(f"{file.name}.part")
    with part.open("ab") as out, tqdm(total=size, unit="B", unit_scale=True) as bar:
        while (have := out.tell()) < size:
            bar.update(have - bar.n)
            wanted = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
            try:
                with get_session().stream(
                    "GET", url, headers=build_hf_headers() | wanted, follow_redirects=True
                ) as response:
                    response.raise_for_status()
                    if response.status_code != 206:  # it sends the whole file again
                        out.truncate(0)
                    for chunk in response.iter_raw():
                        out.write(chunk)
                        bar.update(len(chunk))
            except TransportError:
                if out.tell() <= have:
                    raise
    finish_file(part, file)


def is_intact(file: FilePath) -> bool:
    """Return whether a file of the Hugging Face cache has the hash that its blob is named by.

    The hub names a large file by its sha256, any other by git's hash. If the cache has no links (on
    some file systems), there is no such name, and the result is True.
    """
    if not file.is_symlink():
        return True
    blob = file.resolve()
    content = hashlib.sha256() if len(blob.name) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(blob.name) == 40:
        content.update(b"blob %d\0" % blob.stat().st_size)
    with blob.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest() == blob.name
