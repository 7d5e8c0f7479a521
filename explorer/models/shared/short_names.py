"""Short names: a careful choice of open_clip's models, each with what it is good for.

Sizes are parameters × 4 bytes, and slowness is the compute of one image against vit-b-32's, both of
open_clip's docs/model_profile.csv.

Licences: for vit-l-14, xlm-roberta-b-32, siglip-b-16, vit-l-14-openai and vit-bigg-14 the licence
fields of the repositories that open_clip fetches, in stored copies of their pages (November 2026).
The pages of vit-b-32 and vit-h-14 were not seen: MIT is what a third party's list and a copy of the
page say, and what open_clip's authors answered for their weights (its issue 177).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShortName:
    """A released model under a short name.

    Args:
        model: its long name, as `load` takes it.
        purpose: what it is good for.
        megabytes: of its weights.
        slowness: compute of one image, vit-b-32 = 1; nothing here was timed.
        repository: of its weights on the hub.
        decoders: the models that decode its points.
        tokenizer: the repository of its tokenizer; "" is open_clip's own.
    """

    model: str
    purpose: str
    languages: str
    megabytes: int
    slowness: int
    licence: str
    repository: str
    decoders: tuple[str, ...] = ()
    tokenizer: str = ""


SHORT_NAMES = {
    "vit-b-32": ShortName(
        "openclip:ViT-B-32/laion2b_s34b_b79k",
        "photographs, on any machine; the default",
        "English",
        605,
        1,
        "MIT",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ),
    "vit-l-14": ShortName(
        "openclip:ViT-L-14/datacomp_xl_s13b_b90k",
        "photographs, where search must be better",
        "English",
        1710,
        18,
        "MIT",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
    ),
    "xlm-roberta-b-32": ShortName(
        "openclip:xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k",
        "photographs, searched in many languages",
        "about 100",
        1465,
        1,
        "MIT",
        "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k",
        tokenizer="xlm-roberta-base",
    ),
    "siglip-b-16": ShortName(
        "openclip:ViT-B-16-SigLIP/webli",
        "photographs, good search for its size",
        "English",
        813,
        4,
        "Apache-2.0",
        "timm/ViT-B-16-SigLIP",
        tokenizer="timm/ViT-B-16-SigLIP",
    ),
    "vit-l-14-openai": ShortName(
        "openclip:ViT-L-14/openai",
        "photographs that are to be decoded",
        "English",
        1710,
        18,
        "Apache-2.0",
        "timm/vit_large_patch14_clip_224.openai",
        (
            *("kandinsky-2.1", "karlo", "stable-unclip-small", "stable-cascade"),
            *("sd-image-variations", "flux-ip-adapter"),
        ),
    ),
    "vit-h-14": ShortName(
        "openclip:ViT-H-14/laion2b_s32b_b79k",
        "photographs that are to be decoded, with a GPU",
        "English",
        3944,
        38,
        "MIT",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        ("stable-unclip", "ip-adapter-sd15"),
    ),
    "vit-bigg-14": ShortName(
        "openclip:ViT-bigG-14/laion2b_s39b_b160k",
        "photographs that are to be decoded, with a large GPU",
        "English",
        10158,
        110,
        "MIT",
        "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
        ("kandinsky-2.2", "ip-adapter-sdxl"),
    ),
}


def long_name(name: str) -> str:
    """Return the long name of a short one, and any other name as it is.

    >>> long_name("vit-b-32"), long_name("pocket")
    ('openclip:ViT-B-32/laion2b_s34b_b79k', 'pocket')
    """
    short = SHORT_NAMES.get(name.lower())
    return short.model if short else name


def short_of(name: str) -> ShortName | None:
    """Return the short name of a long one, however its weights are spelled; None if it has none.

    >>> short_of("openclip:ViT-B-32/laion2b-s34b-b79k").megabytes
    605
    """
    wanted = name.lower().replace("-", "_")
    found = (s for s in SHORT_NAMES.values() if s.model.lower().replace("-", "_") == wanted)
    return next(found, None)


def no_decoder(name: str) -> str:
    """Return the sentence that no released decoder reads a CLIP's points, or ""."""
    if not name.startswith("openclip:") or any(
        short.decoders and short.model == name for short in SHORT_NAMES.values()
    ):
        return ""
    return (
        f"No released decoder reads the points of {name}: to decode images as well as to search "
        "them, take vit-l-14-openai (decoded by kandinsky-2.1) or vit-bigg-14 (by kandinsky-2.2), "
        "or train a bridge to one of these, or a decoder: `unclip train --help`."
    )


def ways_to_decode(name: str, library: str) -> str:
    """Return the end of a sentence: the commands that let a CLIP's library be decoded.

    Args:
        library: its folder, as it is to be typed.

    >>> ways_to_decode("vit-b-32", "photos.lib").partition(", or")[0]
    'train a bridge to a released decoder: `unclip train bridge photos.lib --to kandinsky-2.2`'
    """
    short = SHORT_NAMES.get(name.lower()) or short_of(name)
    if short and short.decoders:
        return f"add a released decoder: `--decoder {short.decoders[0]}`"
    return (
        "train a bridge to a released decoder: `unclip train bridge "
        f"{library} --to kandinsky-2.2`, or a decoder of your own: "
        f"`unclip train decoder {library} -o mine`, then `--decoder mine`"
    )
