"""Hub: released weights in the Hugging Face cache, or in a folder of yours; fetched once, checked.

Works with repositories and files; knows no networks. Only safetensors, JSON and text files are
fetched, never pickles. An interrupted download goes on where it stopped, also within a file, which
huggingface_hub alone does not: it is used for the listing, the cache and the small files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing
from explorer.models import module_of
from explorer.models.shared.download import download, is_intact

SAFE = (".safetensors", ".json", ".txt")


@dataclass(frozen=True)
class Release:
    """What a model needs of one repository of the hub.

    Args:
        repository: "owner/name".
        revision: a commit or branch.
        patterns: files, or groups of them as "unet/*", of which the safe ones are taken, without
            those of half precision.
        megabytes: about how much that is.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]
    megabytes: float

    def folder(self, name: str, source: str | None = None) -> FilePath:
        """Give the folder of the weights: yours, or the cache's, or after a download.

        Args:
            name: what `unclip models get` knows them by.
            source: a folder in the released layout, instead of the hub's.

        Raises:
            WeightsMissing: the folder is not in that layout, or the download fails.
        """
        if not source:
            return self.cached() or self.fetch(name)
        folder = FilePath(source).expanduser()
        needed = sorted({p.partition("/")[0] for p in self.patterns if "/" in p})
        missing = [part for part in needed if not (folder / part).is_dir()]
        if missing or not folder.is_dir():
            raise WeightsMissing(
                f"{folder} is not in the layout of {self.repository}: "
                + (f"it has no folder {missing[0]}." if missing else "it is no folder.")
                + (f" It needs {', '.join(needed)}." if needed else "")
            )
        return folder

    def cached(self) -> FilePath | None:
        """Find the folder where it is complete in the cache, without asking the network."""
        try:
            return self._snapshot(local_files_only=True)
        except FileNotFoundError:
            return None

    def fetch(self, name: str) -> FilePath:
        """Download what is not in the cache yet, with a progress bar, and check what came.

        Raises:
            WeightsMissing: the hub cannot be reached or refuses, or a file is damaged.
        """
        from httpx2 import HTTPError

        try:
            for url, blob, size in self._large():
                if not blob.exists():
                    download(url, blob, size)
            folder = self._snapshot()
        except (OSError, HTTPError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsMissing(
                f"The weights of {name} ({self.repository}, about {self.megabytes:.0f} MB) are not "
                f"on this machine and cannot be downloaded: {reason}. With a network and room on "
                f"the disk, run: unclip models get {name}"
            ) from error
        if damaged := [file for file in folder.rglob("*") if not is_intact(file)]:
            for file in damaged:
                file.resolve().unlink()
                file.unlink()
            raise WeightsMissing(
                f"{damaged[0].relative_to(folder)} of {self.repository} came damaged and was "
                f"removed. Get it again: unclip models get {name}"
            )
        return folder

    def remove(self) -> float:
        """Remove this revision from the cache, and say how many megabytes that freed.

        Files that another revision shares stay.
        """
        from huggingface_hub import constants, scan_cache_dir

        folder = self.cached()
        if folder is None:
            return 0.0
        doomed = scan_cache_dir(constants.HF_HUB_CACHE).delete_revisions(folder.name)
        doomed.execute()
        return doomed.expected_freed_size / 1e6

    @property
    def _chosen(self) -> dict[str, Any]:
        """What to take and what to leave, as huggingface_hub asks for it."""
        groups = [p + s for p in self.patterns if not p.endswith(SAFE) for s in SAFE]
        half = [] if any(".fp16." in p for p in self.patterns) else ["*.fp16.*"]
        return {
            "allow_patterns": [*groups, *(p for p in self.patterns if p.endswith(SAFE))],
            "ignore_patterns": ["*.non_ema.*", *half],
        }

    def _large(self) -> Iterator[tuple[str, FilePath, int]]:
        """Where each large file comes from and goes to, and its size."""
        from huggingface_hub import HfApi, constants, hf_hub_url
        from huggingface_hub.file_download import repo_folder_name
        from huggingface_hub.hf_api import RepoFile
        from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

        commit = HfApi().repo_info(self.repository, revision=self.revision).sha
        listed = HfApi().list_repo_tree(self.repository, revision=commit, recursive=True)
        files = [file for file in listed if isinstance(file, RepoFile)]
        chosen = list(filter_repo_objects(files, key=lambda file: file.path, **self._chosen))
        if not any(file.path.endswith(".safetensors") for file in chosen):
            raise FileNotFoundError("the repository has no safetensors, and pickles are not read")
        cache = FilePath(constants.HF_HUB_CACHE)
        blobs = cache / repo_folder_name(repo_id=self.repository, repo_type="model") / "blobs"
        for file in chosen:
            if file.lfs is not None:
                url = hf_hub_url(self.repository, file.path, revision=commit)
                yield url, blobs / file.lfs.sha256, file.lfs.size

    def _snapshot(self, *, local_files_only: bool = False) -> FilePath:
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            self.repository,
            revision=self.revision,
            local_files_only=local_files_only,
            **self._chosen,
        )
        return FilePath(folder)


def releases_of(name: str) -> tuple[Release, ...]:
    """Give what a model is made of on the hub; nothing for one that ships with the package.

    Raises:
        UnknownModel: no model has that name.
    """
    family, _, variant = name.partition(":")
    releases: tuple[Release, ...] = module_of(family).releases(variant)
    return releases
