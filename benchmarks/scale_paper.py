"""What 10⁷, 10⁸ and 10⁹ images take, computed from figures that are measured here.

    python benchmarks/scale_paper.py            # measures, then writes scale.json and the page
    python benchmarks/scale_paper.py --paper    # computes again from docs/scale.json

Times are the least of several, of CPU in one thread; bytes are those of --images small images with
captions. Search in a folder is taken from docs/growth.json, which growth.py writes. The tables go
into docs/howto/cluster.md.
"""

import argparse
import io
import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PAGE, FIGURES = "howto/cluster.md", "scale.json"
MARKS = "<!-- paper: written by benchmarks/scale_paper.py -->", "<!-- /paper -->"
SIZES = {"10⁷": 10**7, "10⁸": 10**8, "10⁹": 10**9}
VECTOR, HALF = 2048, 1024  # bytes of 512 dimensions in Milvus, and in a library of float16
GRAPH = 200  # bytes of HNSW's links at M = 24: 2 × 24 × 4, and some more for the upper layers
FLOP, GPU_FLOPS, CORES_A_GPU = 8.8e9, 100e12, 16  # of a ViT-B-32 for an image; assumed; assumed
DIMENSION = 512


def least(call, times):
    """Return the milliseconds of CPU of the fastest of some calls."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1000 * min(taken)


def network(batch=8):
    """Measure a ViT-B-32 of random weights: an image through it, and how JPEGs are read for it."""
    import cold_search
    import torch

    import explorer
    from explorer.images import decode_image

    sys.path.insert(0, str(HERE / "rows"))
    from index_photos import photograph

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cold_search.random_vit(Path(folder) / "vit")
        encoder = explorer.load(f"openclip:{folder}/vit", device="cpu").encoder
        prepare, enough = encoder.preprocess, encoder._enough
    seen = {"small": photograph(0, 512, 384), "large": photograph(0)}
    read = {
        f"read_{name}_ms": least(lambda p=p: prepare(decode_image(p, "", enough=enough)), 8)
        for name, p in seen.items()
    }
    import open_clip

    module, pixels = open_clip.create_model("ViT-B-32").eval(), torch.rand(batch, 3, 224, 224)
    with torch.inference_mode():
        return read | {"tower_ms": least(lambda: module.encode_image(pixels), 6) / batch}


def grown(call):
    """Return what a call gives, and the bytes that are held for it, Arrow's too."""
    import pyarrow as pa

    tracemalloc.start()
    before = pa.total_allocated_bytes()
    given = call()
    held = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    return given, held


def library_of(folder, count):
    """Index small images with captions, by an encoder that computes nothing."""
    from PIL import Image

    from explorer.encoder import Encoder
    from explorer.library import Library
    from explorer.models import Model
    from explorer.points import Space

    class Nothing(Encoder):
        space, batch_size = Space("nothing", DIMENSION, "0" * 64), 256

        @property
        def preprocess(self):
            return lambda image: np.zeros((3, 1, 1), np.float32) + image.width

        def embed_pixels(self, pixels):
            return np.ones((len(pixels), DIMENSION), np.float32) * pixels[:, 0, 0]

        def embed_texts(self, texts):
            raise NotImplementedError

    photos = folder / "photos" / "2026" / "summer"
    photos.mkdir(parents=True)
    lines = ["file,caption"]
    for number in range(count):
        colour = number % 256, number // 256 % 256, number // 65536
        Image.new("RGB", (4, 3), colour).save(photos / f"IMG_{number:08}.png")
        lines.append(f"2026/summer/IMG_{number:08}.png,a photograph with the number {number}")
    (folder / "photos" / "captions.csv").write_text("\n".join(lines))
    library = Library.create(folder / "a.lib", Model("nothing", Nothing.space, Nothing()))
    library.add(folder / "photos", encoder=Nothing(), workers=0)
    return library


def rows(count):
    """Measure bytes of a row: on disk, in memory while images are added, in Milvus."""
    from explorer.library import Library
    from explorer.library.existing import ExistingRows
    from explorer.library.sources.columns import as_records
    from explorer.library.sources.items import Options
    from explorer.library.sources.scan import scan
    from explorer.scale.entities import entity

    with tempfile.TemporaryDirectory() as folder:
        made = library_of(Path(folder), count)
        files = [f for f in (made.folder / "segments").rglob("*") if f.is_file()]
        disk = sum(file.stat().st_size for file in files if file.name != "vectors.npy")
        items, listing = grown(lambda: scan([Path(folder) / "photos"], Options(), None))
        contents = Library.open(made.folder)._store.contents
        assert len(items.items) == count
        table = grown(lambda: contents.table)[1]
        existing = grown(lambda: ExistingRows(contents))[1]
        one = entity(0, as_records(made.rows.iloc[:1])[0] | {"offset": -1}, np.zeros(1), "")
        told = len(json.dumps([one["record"], one["texts"], one["id"]]))
    measured = {"disk": disk, "listing": listing, "existing": existing, "table": table}
    return {f"{k}_bytes": v / count for k, v in measured.items()} | {"milvus_json_bytes": told}


def thumbnail():
    """Measure a small image in base64, of a photograph, as publish sends it."""
    sys.path.insert(0, str(HERE / "rows"))
    from index_photos import photograph
    from PIL import Image

    from explorer.scale.entities import thumbnail_of
    from explorer.scale.publishing import THUMBNAIL_SIDE

    images = [Image.open(io.BytesIO(photograph(number, 1024, 768))) for number in range(8)]
    return float(np.mean([len(thumbnail_of(image, THUMBNAIL_SIDE)) for image in images]))


def measured(images):
    """Measure all."""
    return {
        **network(), **rows(images),
        "thumbnail_bytes": thumbnail(), "images": images,
    }  # fmt: skip


def short(value):
    """Two digits, with thousands apart."""
    if value >= 100:
        return f"{round(value, 1 - int(np.log10(value))):,.0f}"
    return f"{value:.2g}"


def size(value):
    """Bytes in words."""
    unit = next(u for u in ("TB", "GB", "MB") if value >= {"TB": 1e12, "GB": 1e9}.get(u, 0))
    return f"{short(value / {'TB': 1e12, 'GB': 1e9, 'MB': 1e6}[unit])} {unit}"


def duration(hours):
    """Hours or days in words."""
    return f"{short(hours)} hours" if hours < 48 else f"{short(hours / 24)} days"


def computed(told, growth):
    """Return the rows of the calculation: what, and a cell for each size."""
    row = told["listing_bytes"] + told["existing_bytes"] + told["table_bytes"]
    served = VECTOR + told["milvus_json_bytes"] + told["thumbnail_bytes"] + GRAPH

    def cells(n):
        read, gpu = n * told["read_small_ms"] / 3.6e6, n * FLOP / GPU_FLOPS / 3600
        both = n * (told["tower_ms"] + told["read_small_ms"]) / 3.6e6
        million = n / 10**6
        return [
            f"{short(both)} core hours",
            f"{short(read)} core hours",
            f"{short(gpu)} GPU hours",
            duration(max(read / CORES_A_GPU, gpu)),
            size(n * (HALF + told["disk_bytes"])),
            size(n * row),
            f"{size(million * growth['resident_mb'] * 1e6)}, "
            f"{short(million * growth['warm_ms'] / 1000)} s",
            size(n * (VECTOR + GRAPH)),
            size(n * served),
        ]

    names = [
        "read and embed on cores alone, ViT-B-32",
        "read for GPUs",
        f"embed on GPUs that sustain {GPU_FLOPS / 1e12:.0f} TFLOP/s",
        f"so, on one machine with a GPU and {CORES_A_GPU} cores",
        "library on disk: float16 vectors of 512 and rows",
        "memory of the machine that commits",
        "search in a folder, filters used: memory, time of a query",
        "Milvus, HNSW in memory: vectors and graph",
        "Milvus on disk, with small images",
    ]
    return list(zip(names, *map(cells, SIZES.values()), strict=True))


def page(told, growth):
    """Return both tables."""
    lines = ["| | " + " | ".join(f"{name} images" for name in SIZES) + " |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in computed(told, growth)]
    served = VECTOR + GRAPH + told["milvus_json_bytes"] + told["thumbnail_bytes"]
    row = [told[f"{name}_bytes"] for name in ("listing", "existing", "table")]
    figures = [
        ("an image through a ViT-B-32 in float32, one core", f"{told['tower_ms']:.0f} ms"),
        (
            "reading a JPEG of 512 × 384 pixels, one core",
            f"{told['read_small_ms']:.1f} ms; of 12 megapixels {told['read_large_ms']:.0f} ms",
        ),
        (
            "a row on disk without its vector: name, checksum, size, a caption",
            f"{told['disk_bytes']:.0f} bytes",
        ),
        (
            "a row in memory while a library is added to: list of images "
            f"{row[0]:.0f}, rows that are there {row[1]:.0f}, table {row[2]:.0f}",
            f"{sum(row):,.0f} bytes",
        ),
        (
            "a million rows × 512 in a folder: resident, a query "
            "([Benchmarks](../benchmarks.md#what-grows-with-a-library))",
            f"{growth['resident_mb']:,.0f} MB, {growth['warm_ms']:.0f} ms",
        ),
        (
            f"a row in Milvus, bytes: vector {VECTOR:,}, graph {GRAPH} (M = 24), JSON "
            f"{told['milvus_json_bytes']:,.0f}, small image in base64 "
            f"{told['thumbnail_bytes']:,.0f}",
            f"{served / 1000:.1f} KB, of which {(VECTOR + GRAPH) / 1000:.1f} KB in memory",
        ),
    ]
    lines += ["", f"| figure, at {told['images']:,} rows where it counts rows | measured |"]
    lines += ["|---|---|", *(f"| {name} | {value} |" for name, value in figures)]
    return "\n".join(lines)


def document(docs):
    """Write both tables into the page."""
    told = json.loads((docs / FIGURES).read_text())
    growth = json.loads((docs / "growth.json").read_text())["1000000x512"]
    file = docs / PAGE
    before, _, rest = file.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    file.write_text(f"{before}{MARKS[0]}\n\n{page(told, growth)}\n\n{MARKS[1]}{after}")


def main():
    """Measure unless asked not to, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--paper", action="store_true", help="compute again, measure nothing")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    given = parser.parse_args()
    if not given.paper:
        told = {name: round(value, 3) for name, value in measured(given.images).items()}
        (given.docs / FIGURES).write_text(json.dumps(told, indent=1) + "\n")
        print(json.dumps(told))
    document(given.docs)


if __name__ == "__main__":
    main()
