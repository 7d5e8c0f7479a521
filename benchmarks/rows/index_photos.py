"""Index photographs of 12 megapixels with a ViT-B-32, beside open_clip's loops and its forward.

The weights are random, in a folder of open_clip's layout: their size counts. The photographs are
parts of two that scikit-learn has, enlarged, with noise of their own, each another.
"""

import io
import os
import time

import cold_search
from comparing import Case, timed

SIZES = {"small": 4, "default": 64, "full": 2000}
BATCH, FORWARDS, READ = 32, 64, 16


def whos(_size):
    return ["ours", "README loop", "DataLoader loop", "pure forward", "reading and forward"]


def cases(size):
    aims = {"README loop": 3.0, "DataLoader loop": 1.5, "pure forward": 0.95}
    aims["reading and forward"] = 0.95
    return [Case(f"index {size:,} photos, ViT-B-32", aims=aims, note=("ms_float32", "ms_bfloat16"))]


def prepare(folder, size):
    (folder / "photos").mkdir()
    cold_search.random_vit(folder / "vit")
    for number in range(size):
        (folder / "photos" / f"{number:05}.jpg").write_bytes(photograph(number))


def photograph(number, width=4000, height=3000):
    """Return a JPEG of about 3 MB."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(number)
    source = Image.fromarray(load_sample_images().images[number % 2])
    side = random.uniform(0.4, 0.9)
    w, h = source.width * side, source.height * side
    left, top = random.uniform(0, source.width - w), random.uniform(0, source.height - h)
    image = source.resize((width, height), Image.Resampling.BICUBIC, (left, top, left + w, top + h))
    noise = random.integers(0, 24, (height // 2, width // 2, 1), np.uint8)
    grain = np.asarray(image) // 10 * 9 + noise.repeat(2, 0).repeat(2, 1)
    content = io.BytesIO()
    Image.fromarray(grain.astype(np.uint8)).save(content, "JPEG", quality=90)
    return content.getvalue()


def measure(who, folder, size):
    files = sorted((folder / "photos").iterdir())
    if who == "ours":
        return ours(f"openclip:{folder / 'vit'}", folder, size)
    return peers(str(folder / "vit"), files, who)


def ours(model, folder, size):
    import explorer as ex

    loaded = ex.load(model, device="cpu")
    _ = loaded.encoder.whole  # loaded before time counts, as the peers' is
    library = ex.Library.create(folder / f"{os.getpid()}.lib", loaded)
    figures, report = timed(lambda: library.add([folder / "photos"]))
    assert len(library) == size, report
    return figures


def peers(vit, files, who):
    import open_clip
    import torch
    from PIL import Image

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{vit}")
    model.eval()

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            return preprocess(Image.open(files[index]).convert("RGB"))

    def readme():
        with torch.no_grad():
            return [model.encode_image(photo[None]).numpy() for photo in Photos()]

    def loader():
        batches = torch.utils.data.DataLoader(Photos(), BATCH, num_workers=os.cpu_count())
        with torch.no_grad():
            return [model.encode_image(batch).numpy() for batch in batches]

    if who in ("pure forward", "reading and forward"):
        least = forward(model, len(files), preprocess.transforms[0].size)
        return least if who == "pure forward" else with_reading(least, files, preprocess)
    return timed({"README loop": readme, "DataLoader loop": loader}[who])[0]


def forward(model, count, side):
    """Return the least that `count` forwards take, in float32 or bfloat16, of pixels in memory."""
    import torch

    best, used = {}, {}
    with torch.inference_mode():
        for name, rows in (("float32", BATCH), ("bfloat16", 8)):
            tower = model.visual.to(getattr(torch, name))
            pixels = torch.randn(rows, 3, side, side).to(getattr(torch, name))
            tower(pixels)
            began, processor = time.perf_counter(), time.process_time()
            for _ in range(FORWARDS // rows):
                tower(pixels)
            best[f"ms_{name}"] = 1000 * (time.perf_counter() - began) / FORWARDS
            used[f"ms_{name}"] = (time.process_time() - processor) / FORWARDS
    name = min(best, key=best.get)
    return best | {"seconds": best[name] * count / 1000, "processor": used[name] * count}


def with_reading(least, files, preprocess):
    """Add to forwards the reading of the files, at the least size that suffices, on all cores.

    A JPEG of 12 megapixels takes longer to read than a ViT-B-32 to see, so pixels that lie in
    memory are no bound of an index of photographs.
    """
    from PIL import Image

    side, some = preprocess.transforms[0].size, files[:READ]
    began = time.process_time()
    for file in some:
        with Image.open(file) as image:
            image.draft("RGB", (2 * side, 2 * side))
            preprocess(image.convert("RGB"))
    reading = (time.process_time() - began) / len(some) * len(files)
    seconds = least["seconds"] + reading / os.cpu_count()
    return least | {"seconds": seconds, "processor": least["processor"] + reading}
