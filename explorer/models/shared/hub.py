"""Hub: released weights in the Hugging Face cache or in a local folder, downloaded and verified.

It works with repositories and files; it knows no networks. Safetensors, JSON and text files are
downloaded; a pickle only of the few models of open_clip that are released as nothing else. An
interrupted download resumes, also within a file, which huggingface_hub does not do; that is used
for listings, the cache and small files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import DiskError, ExplorerError, WeightsMissing
from explorer.models import Card, module_of
from explorer.models.shared.download import announce, download, is_intact
from explorer.models.shared.on_word import check_download
from explorer.models.shared.short_names import long_name
from explorer.refusals import OF_DISK, error_number, refused_file

SAFE = (".safetensors", ".json", ".txt")
Large = tuple[str, FilePath, int]  # the address, the cache's file and the size of a large file


@dataclass(frozen=True)
class Release:
    """The files of one repository that a model needs.

    Args:
        repository: "owner/name".
        revision: a commit; a branch or pull request only where no commit is known.
        commit: how the commit of such a revision begins; one that moved is not fetched.
        patterns: files, or groups as "unet/*"; a group means its safetensors, JSON and text files,
            without those of half precision.
        megabytes: approximate size of these files.
        licence: of the weights, where it is known here; else that of their card on the hub.
        pickle: the file to take if the repository has no safetensors; "" takes none.
        weights: False for a repository of which only a tokenizer is needed.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]
    megabytes: float
    licence: str = ""
    pickle: str = ""
    weights: bool = True
    commit: str = ""

    @property
    def at(self) -> str:
        """The commit in short, and what it is called where it was asked for by a name."""
        if self.commit:
            return f"{self.commit} ({self.revision})"
        return self.revision[:7] if len(self.revision) == 40 else self.revision

    def folder(self, name: str, source: str | None = None) -> FilePath:
        """Return the folder of the weights, downloaded if they are not in the cache.

        Args:
            name: of the model, as for `unclip models get`.
            source: a local folder in the released layout, instead of the hub's.

        Raises:
            WeightsMissing: the folder has another layout, or the download fails.
        """
        if not source:
            return self.cached() or self.fetch(name)
        folder = FilePath(source).expanduser()
        needed = sorted({p.partition("/")[0] for p in self.patterns if "/" in p})
        missing = [part for part in needed if not (folder / part).is_dir()]
        if missing or not folder.is_dir():
            raise WeightsMissing(
                f"{folder} does not have the layout of {self.repository}: "
                + (f"it has no folder {missing[0]}." if missing else "it is not a folder.")
                + (f" It needs {', '.join(needed)}." if needed else "")
            )
        return folder

    def cached(self) -> FilePath | None:
        """Return the folder if the cache has all files, without using the network; else None."""
        try:
            return self._snapshot(local_files_only=True)
        except FileNotFoundError:
            return None

    def fetch(self, name: str) -> FilePath:
        """Download the files that the cache lacks, and verify them.

        What is fetched, from where, its size and its licence, and then progress, go to stderr.

        Raises:
            WeightsMissing: the download fails, or a file is damaged.
            DiskError: the disk is full or refuses.
        """
        from httpx2 import HTTPError

        check_download(name)
        try:
            chosen, large, licence = self._listed()
            missing = [file for file in large if not file[1].exists()]
            if missing:
                announce(name, self.repository, missing, self.licence or licence)
            for url, blob, size in missing:
                download(url, blob, size)
            folder = chosen._snapshot()
        except DiskError:
            raise
        except (OSError, HTTPError) as error:
            raise self._not_fetched(name, error) from error
        if damaged := [file for file in folder.rglob("*") if not is_intact(file)]:
            for file in damaged:
                file.resolve().unlink()
                file.unlink()
            raise WeightsMissing(
                f"{damaged[0].relative_to(folder)} of {self.repository} was damaged and has been "
                f"removed. Download it again: unclip models get {name}"
            )
        return folder

    def _not_fetched(self, name: str, error: Exception) -> ExplorerError:
        """Return the sentence about a download that failed, by the disk or by the network."""
        from huggingface_hub import constants

        if error_number(error) in OF_DISK:
            return refused_file(error, FilePath(constants.HF_HUB_CACHE))
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return WeightsMissing(
            f"The weights of {name} (about {self.megabytes:.0f} MB, of {self.repository}) are "
            f"not on this machine and cannot be downloaded from {constants.ENDPOINT}: "
            f"{reason.rstrip('.')}. With a network and free disk space, run: "
            f"unclip models get {name}"
        )

    def remove(self) -> float:
        """Remove this revision from the cache and return the number of megabytes freed.

        Files that another revision uses are kept.
        """
        from huggingface_hub import constants, scan_cache_dir

        folder = self.cached()
        if folder is None:
            return 0.0
        doomed = scan_cache_dir(constants.HF_HUB_CACHE).delete_revisions(folder.name)
        doomed.execute()
        return doomed.expected_freed_size / 1e6

    @property
    def _file_patterns(self) -> dict[str, Any]:
        """Return the file patterns to include and exclude, as huggingface_hub takes them."""
        groups = [p + s for p in self.patterns if p.endswith("*") for s in SAFE]
        half = [] if any(".fp16." in p for p in self.patterns) else ["*.fp16.*"]
        return {
            "allow_patterns": [*groups, *(p for p in self.patterns if p and p[-1] != "*")],
            "ignore_patterns": ["*.non_ema.*", *half],
        }

    def _listed(self) -> "tuple[Release, list[Large], str]":
        """Return what to fetch, its large files that the hub lists, and the licence it states.

        Raises:
            FileNotFoundError: the repository has no weights that are taken.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile
        from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

        info = HfApi().repo_info(self.repository, revision=self.revision)
        if not str(info.sha).startswith(self.commit):
            raise FileNotFoundError(
                f"its revision {self.revision} is at {str(info.sha)[:7]}, and was looked through "
                f"at {self.commit}"
            )
        listed = HfApi().list_repo_tree(self.repository, revision=info.sha, recursive=True)
        files = [file for file in listed if isinstance(file, RepoFile)]
        for release in (self, replace(self, patterns=(*self.patterns, self.pickle))):
            patterns = release._file_patterns
            chosen = list(filter_repo_objects(files, key=lambda file: file.path, **patterns))
            if not self.weights or any(f.path.endswith((".safetensors", ".bin")) for f in chosen):
                large = [release._large(file, info.sha) for file in chosen if file.lfs]
                card = getattr(info, "card_data", None)
                return release, large, str((card and card.get("license")) or "")
        raise FileNotFoundError("the repository has no safetensors, and pickles are not used")

    def _large(self, file: Any, commit: str | None) -> "Large":
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.file_download import repo_folder_name

        cache = FilePath(constants.HF_HUB_CACHE)
        blobs = cache / repo_folder_name(repo_id=self.repository, repo_type="model") / "blobs"
        url = hf_hub_url(self.repository, file.path, revision=commit)
        return url, blobs / file.lfs.sha256, file.lfs.size

    def _snapshot(self, *, local_files_only: bool = False) -> FilePath:
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            self.repository,
            revision=self.revision,
            local_files_only=local_files_only,
            tqdm_class=_without_bar(),
            **self._file_patterns,
        )
        return FilePath(folder)


def _without_bar() -> Any:
    """Return a progress bar that shows nothing: large files have one of their own."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Hidden(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": True})

    return Hidden


def releases_of(name: str) -> tuple[Release, ...]:
    """Return the repositories of a model; none for one whose weights are in the package.

    Args:
        name: as for `load`.

    Raises:
        UnknownModel: no model has that name.
    """
    family, _, variant = long_name(name).partition(":")
    releases: tuple[Release, ...] = module_of(family).releases(variant)
    return releases


def fetch_missing(name: str) -> None:
    """Download the weights of a model that are not on this machine.

    Raises:
        UnknownModel, WeightsMissing: as `releases_of` and `Release.fetch`.
    """
    for release in releases_of(name):
        release.folder(name)


def released_card(
    name: str,
    space: str,
    dimension: int,
    licence: str,
    releases: Sequence[Release],
    *,
    prior: bool = False,
) -> Card:
    """Describe a model with a decoder by the repositories that it consists of."""
    return {
        "name": name,
        "space": space,
        "dimension": dimension,
        "decoder": True,
        "prior": prior,
        "megabytes": sum(release.megabytes for release in releases),
        "licence": licence,
        "weights_here": all(release.cached() is not None for release in releases),
        "fetched_from": [f"{release.repository} at {release.at}" for release in releases],
    }
