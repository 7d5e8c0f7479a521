"""Download: one large file that goes on where it stopped, and whether a file is what it should be.

Works with addresses and files; knows no models.
"""

import hashlib
from pathlib import Path as FilePath

from explorer.files import finish_file

CHUNK = 1 << 20


def download(url: str, file: FilePath, size: int) -> None:
    """Fetch `size` bytes, after those that an earlier try left beside the file, with a bar.

    Raises:
        httpx2.HTTPError, OSError: the server refuses or sends nothing, or the disk is full.
    """
    from httpx2 import TransportError
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, tqdm  # type: ignore[attr-defined]

    file.parent.mkdir(parents=True, exist_ok=True)
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
    """Whether a file of the Hugging Face cache has the content that the name of its blob says.

    The hub names a large file by its sha256, and any other as git does. Where the cache has no
    links (some file systems), there is no such name, and nothing is known.
    """
    if not file.is_symlink():
        return True
    blob = file.resolve()
    content = hashlib.sha256() if len(blob.name) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(blob.name) == 40:
        content.update(b"blob %d\0" % blob.stat().st_size)
    with blob.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            content.update(chunk)
    return content.hexdigest() == blob.name
