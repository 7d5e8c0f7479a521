"""Download: resume the download of one large file, and verify files of the cache.

It works with addresses and files; it knows no models.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path as FilePath

from explorer.files import finish_file, make_folder
from explorer.refusals import explain_failure

CHUNK_BYTES = 1 << 20


def announce(
    name: str, repository: str, files: Sequence[tuple[str, FilePath, int]], licence: str
) -> None:
    """Say on stderr what is fetched, how large it is and how much of it is here already.

    Args:
        files: the address, the cache's file and the size of each.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    size = sum(size for _, _, size in files) / 1e6
    parts = [_part(file) for _, file, _ in files]
    here = sum(part.stat().st_size for part in parts if part.is_file()) / 1e6
    tqdm.write(
        f"Fetching {name}, once: {size:,.0f} MB"
        + (f", of which {here:,.0f} MB are here" if here else "")
        + f"; licence: {licence or 'see its page'}; from {constants.ENDPOINT}/{repository}",
        file=sys.stderr,
    )
    tqdm.write(
        f"  into {constants.HF_HUB_CACHE}; if it is interrupted, the same command goes on",
        file=sys.stderr,
    )


def _part(file: FilePath) -> FilePath:
    return file.with_name(f"{file.name}.part")


def download(url: str, file: FilePath, size: int) -> None:
    """Download a file with a progress bar, resuming after the bytes of an interrupted download.

    Args:
        size: of the file in bytes.

    Raises:
        httpx2.HTTPError: the server refuses or sends nothing.
        DiskError: the disk is full or refuses; what was fetched is kept.
    """
    from httpx2 import TransportError
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, tqdm  # type: ignore[attr-defined]

    part, name = _part(file), url.rpartition("/")[2]
    saved = "What was fetched before is kept; the same command goes on from there."
    with explain_failure(file, needed=size, saved=saved):
        make_folder(file.parent)
        with (
            part.open("ab") as out,
            tqdm(total=size, initial=out.tell(), unit="B", unit_scale=True, desc=name) as bar,
        ):
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
