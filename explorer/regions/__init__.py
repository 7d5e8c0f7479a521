"""Regions: the words that tell the regions of a library apart, from captions or a vocabulary.

A region is any set of rows: a cluster, a lasso, one side of a comparison.
"""

import hashlib
import os
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.files import collect_temporary, make_folder, writing_stream
from explorer.library import Library
from explorer.notes import collecting, note

PHRASES = FilePath(__file__).parent.parent / "vocabulary" / "phrases.txt"
MIN_AUC = 0.75  # on held-out rows; below it a name does not tell its region from the rest
MIN_CAPTION_AUC = 0.65  # captions are no guess: 30 % of the images, if no other holds the word
ERRORS_ABOVE_CHANCE = 1.645  # standard errors: 5 % of names by chance pass
MIN_SEPARATION_SHARE = 0.9  # of the best separation; of such words the one that fits best is taken
MAX_ROWS = 20_000  # that are looked at; more are sampled
NEAREST_PHRASES = 20  # of the vocabulary; these are what an image is taken to show
MAX_CAPTION_WORDS = 2000
MIN_CAPTIONED = 0.5  # of rows, for captions to name regions
CAPTION_COLUMNS = ("caption", "title", "description", "keywords", "tags", "name", "alt")


def name_regions(
    library: Library, labels: Sequence[Hashable] | np.ndarray
) -> dict[Hashable, str | None]:
    """Name each region by the word that best tells its images from those of the other regions.

    The words are those of the captions (and of columns called title, description, keywords, tags,
    name or alt) where most images have some, else of about 1,300 phrases that ship with the package
    (WordNet), which the library's model embeds once. If the images are unlike those that the model
    was trained on, phrases name nothing: all names are None, and a note says so. A word is chosen
    on one half of the rows, by the difference of mean scores in units of their spread. It is kept
    if on the other half it ranks the region's images above the rest: with an AUC of 0.75 or more
    (0.65 for captions), and above what chance gives. Else the region has no name: None.

    Args:
        labels: the region of each row, in the order of `library.rows`; rows of None are left out.
            Two labels compare A with B; True and False tell a selection from the rest.

    Returns:
        One entry for each label, in order of first appearance; no word names two regions.

    Raises:
        QueryError: a count that is not that of the rows, or fewer than two regions.
        UnknownModel, WeightsMissing: there are no captions and the model cannot be loaded.

    >>> import explorer as ex
    >>> library = ex.sample_library()  # doctest: +SKIP
    >>> smiling = library.rows["caption"].str.contains("smiling")  # doctest: +SKIP
    >>> names = ex.name_regions(library, smiling)  # doctest: +SKIP
    >>> "smil" in names[True]  # doctest: +SKIP
    True
    """
    return {
        label: name.words if name else None for label, name in region_names(library, labels).items()
    }


@dataclass(frozen=True)
class RegionName:
    """A name and how well it ranks the region's held-out images above the others, 0.5 to 1."""

    words: str
    auc: float


def region_names(
    library: Library, labels: Sequence[Hashable] | np.ndarray
) -> dict[Hashable, RegionName | None]:
    """Return what `name_regions` does, with the AUC of each name."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in labels]
    if len(plain) != len(library):
        raise QueryError(
            f"There are {len(plain):,} labels, but the library has {len(library):,} rows: give one "
            "a row, in the order of library.rows, and None for rows that do not count."
        )
    known = dict.fromkeys(label for label in plain if label is not None)
    if len(known) < 2:
        raise QueryError(
            f"{len(known)} region cannot be told from others: give at least two labels; for one "
            "selection of rows, True and False."
        )
    codes = {label: code for code, label in enumerate(known)}
    rows = np.array([i for i, label in enumerate(plain) if label is not None], dtype=np.int64)
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False))
    regions = np.array([codes[plain[row]] for row in rows])
    scores, words, least = word_scores(library, rows)
    found = names_by_scores(scores, words, regions, len(known), least)
    return dict(zip(known, found, strict=True))


def word_scores(
    library: Library, rows: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "N V"], list[str], float]:
    """Return how well words fit rows, the words, and the AUC that makes one a name.

    There are no words, and a note says so, if the model that would choose them knows no such
    images.
    """
    if (captions := captions_of(library, rows)) is not None:
        return *_caption_scores(captions), MIN_CAPTION_AUC
    if library.unlike():
        note(
            f"The regions have no names: there are no captions, and {library.space.name}, which "
            "would choose the words, was not trained on such images."
        )
        return np.zeros((len(rows), 0), np.float32), [], MIN_AUC
    return *_vocabulary_scores(library, rows), MIN_AUC


def names_by_scores(
    scores: Float[np.ndarray, "N V"],
    words: Sequence[str],
    regions: Int[np.ndarray, " N"],
    count: int,
    least: float = MIN_AUC,
) -> list[RegionName | None]:
    """Choose a word for each of `count` regions on half of the rows, and test it on the others.

    Args:
        scores: how well each word fits each row.
        regions: the region of each row, from 0.
        least: AUC on the other half, below which there is no name.
    """
    if not len(words):
        return [None] * count
    fitted = _halves(regions, count)
    candidates = [_candidates(scores[fitted], regions[fitted] == code) for code in range(count)]
    names: list[RegionName | None] = [None] * count
    used: set[int] = set()
    for code in sorted(range(count), key=lambda c: -candidates[c][1]):
        word = next((w for w in candidates[code][0] if w not in used), None)
        if word is None:
            continue
        auc = tested_auc(scores[~fitted, word], regions[~fitted] == code, least)
        if auc is not None:
            names[code] = RegionName(words[word], auc)
            used.add(word)
    return names


def _halves(regions: Int[np.ndarray, " N"], count: int) -> Bool[np.ndarray, " N"]:
    """Return which rows words are chosen on: half of each region, drawn."""
    fitted = np.zeros(len(regions), dtype=bool)
    random = np.random.default_rng(0)
    for code in range(count):
        own = random.permutation(np.flatnonzero(regions == code))
        fitted[own[: (len(own) + 1) // 2]] = True
    return fitted


def _candidates(
    scores: Float[np.ndarray, "N V"], inside: Bool[np.ndarray, " N"]
) -> tuple[list[int], float]:
    """Return words that tell the region apart, the best first, and the best separation."""
    if inside.sum() < 2 or (~inside).sum() < 2:
        return [], 0.0
    own, others = scores[inside], scores[~inside]
    difference = own.mean(axis=0) - others.mean(axis=0)
    spread = np.sqrt((own.var(axis=0) + others.var(axis=0)) / 2)
    separation = difference / (spread + 0.05 * spread.mean() + 1e-9)
    best = float(separation.max())
    if best <= 0:
        return [], 0.0
    good = np.flatnonzero(separation >= MIN_SEPARATION_SHARE * best)
    return good[np.argsort(-difference[good], kind="stable")].tolist(), best


def tested_auc(
    scores: Float[np.ndarray, " N"], inside: Bool[np.ndarray, " N"], least: float
) -> float | None:
    """Return the AUC on held-out rows; None if it is too low, or may be so by chance."""
    from sklearn.metrics import roc_auc_score

    own, others = int(inside.sum()), int((~inside).sum())
    if not own or not others:
        return None
    auc = float(roc_auc_score(inside, scores))
    error = np.sqrt((own + others + 1) / (12 * own * others))  # of the AUC of noise
    return auc if auc >= max(least, 0.5 + ERRORS_ABOVE_CHANCE * error) else None


def captions_of(library: Library, rows: Int[np.ndarray, " N"]) -> list[str] | None:
    """Return the captions of these rows, "" where there is none; None if few rows have one."""
    columns = [name for name in CAPTION_COLUMNS if name in library.columns]
    parts = [library.rows[name].iloc[rows].fillna("").astype(str) for name in columns]
    captions = ["\n".join(filter(None, texts)) for texts in zip(*parts, strict=True)]
    captioned = sum(map(bool, captions))
    return captions if captioned and captioned >= MIN_CAPTIONED * len(rows) else None


def _caption_scores(captions: list[str]) -> tuple[Float[np.ndarray, "N V"], list[str]]:
    """Return which of the words and pairs of words each caption holds."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(
        binary=True,
        stop_words="english",
        ngram_range=(1, 2),
        min_df=2,
        max_features=MAX_CAPTION_WORDS,
        dtype=np.float32,
    )
    try:
        held = counter.fit_transform(captions)
    except ValueError:  # no caption holds a word, or no word comes twice
        return np.zeros((len(captions), 0), np.float32), []
    return held.toarray(), counter.get_feature_names_out().tolist()


def _vocabulary_scores(
    library: Library, rows: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "N V"], list[str]]:
    """Return which phrases of the vocabulary are among the nearest to each row.

    A phrase is as near as its cosine stands out among its cosines with all rows. Cosines themselves
    would let a word that fits no image name a region, if its direction points that way.
    """
    words = PHRASES.read_text("utf-8").splitlines()
    units = vocabulary_vectors(library.encoder, words)
    cosines = library.points(rows).unit.astype(np.float32) @ units.T
    cosines = (cosines - cosines.mean(axis=0)) / (cosines.std(axis=0) + 1e-6)
    least = np.partition(cosines, -NEAREST_PHRASES, axis=1)[:, -NEAREST_PHRASES, None]
    return (cosines >= least).astype(np.float32), words


def vocabulary_vectors(encoder: Encoder, words: list[str]) -> Float[np.ndarray, "V D"]:
    """Return the unit vectors of the phrases, from the user's cache or embedded and cached."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    version = hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]
    name = f"vocabulary-{encoder.space.fingerprint[:16]}-{version}.npy"
    file = FilePath(cache) / "unclip" / name
    with suppress(OSError, ValueError, EOFError):
        units = np.load(file, allow_pickle=False)
        if units.shape == (len(words), encoder.space.dimension) and np.isfinite(units).all():
            return units
    with collecting():  # what a phrase lacks in the model is not the user's concern
        units = encoder.encode_text(words).unit.astype(np.float32)
    with suppress(OSError):  # a cache that cannot be written is no obstacle
        make_folder(file.parent)
        collect_temporary(file.parent)
        with writing_stream(file) as stream:
            np.save(stream, units, allow_pickle=False)
    return units
