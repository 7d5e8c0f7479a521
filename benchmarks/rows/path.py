"""A path of pocket, beside its frames one by one: in equal steps, and in DDIM's 50."""

from comparing import Case, timed

SIZES = {"small": 4, "default": 48, "full": 48}
JUDGED = 24


def whos(_size):
    return ["ours", "frame by frame", "frame by frame, DDIM 50"]


def cases(size):
    title = f"path of {size} frames, pocket"
    return [
        Case(f"{title}, equal steps", aims={"frame by frame": 3.0}),
        Case(f"{title}, defaults", aims={"frame by frame, DDIM 50": 15.0}, note=("judge_top5",)),
    ]


def prepare(folder, size):
    """Nothing is read but the sample library."""


def measure(who, folder, size):
    import explorer as ex
    from explorer.models.pocket import FOLDER

    model, images = ex.load("pocket", device="cpu"), FOLDER.parent.parent / "sample" / "images"
    ends = model.encoder.encode_images(sorted((images / "flat").iterdir())[100:102])
    decoder = model.decoder
    slow = ex.Settings(steps=50, solver="ddim")
    settings = slow if who.endswith("50") else ex.Settings()
    frames = ex.Path.slerp(ends[0], ends[1]).sample(size)
    list(decoder.decode(ends[0], ex.Settings(steps=2)))  # loads the network

    def together():
        edit = ex.edits.interpolate(model, ends, frames=size, settings=ex.Settings(noise="seed"))
        return list(edit)

    def one_by_one():
        return [image for i in range(size) for image in decoder.decode(frames[i], settings)]

    figures, made = timed(together if who == "ours" else one_by_one)
    assert len(made) == size
    return figures | (judged(decoder, ex.sample_library(), settings) if size > 8 else {})


def judged(decoder, library, settings):
    """Top-5 of the judge for decodes of drawings, if its weights are installed."""
    import numpy as np
    from PIL import Image

    from pocket.judge import Gallery, Judge

    try:
        judge = Judge()
    except ModuleNotFoundError:
        return {}
    files = [str(item) for item in library.rows["item"]]
    glyphs = np.array([file.rpartition("/")[2].partition(".")[0] for file in files])
    styles = np.array([file.rpartition("/")[0] for file in files])
    rows = np.random.default_rng(0).permutation(len(files))
    images = [library.open_image(int(row)).convert("RGB").resize((64, 64)) for row in rows]
    pixels = np.stack([np.asarray(image) for image in images])
    gallery, some = Gallery(judge, pixels, glyphs[rows], styles[rows]), rows[:JUDGED]
    decoded = [np.asarray(i) for i in decoder.decode(library.points(some), settings)]
    made = np.stack([np.asarray(Image.fromarray(i).resize((64, 64))) for i in decoded])
    return {"judge_top5": float(gallery.named(made, glyphs[some], 5).mean())}
