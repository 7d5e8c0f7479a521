"""Search by words in fresh processes, in turn with the import of torch and open_clip alone.

Seconds are of CPU.

    python benchmarks/cold_search.py [--rounds 5] [--json FILE]

Two libraries of the sample images: pocket's, and one of a ViT-B-32 with random weights, which has
the size and the speed of the real one, in a folder of open_clip's layout (0.6 GB, deleted).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORTS = [sys.executable, "-c", "import torch, open_clip"]


def random_vit(folder):
    """Write a ViT-B-32 with random weights in open_clip's layout."""
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir()
    module = open_clip.create_model("ViT-B-32", pretrained_text=False)
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    seen = {"mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": seen}
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def library_of(folder, model, images):
    """Index images with a model into a new library."""
    import explorer

    library = explorer.Library.create(folder, explorer.load(model, device="cpu"))
    library.add(images)
    return folder


def seconds(command, words=None):
    """Run a command to its end; seconds of CPU, which other work on the machine leaves alone.

    Bytecode is on disk, as that of installed packages is.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "cold-search-bytecode")
    env["OMP_NUM_THREADS"] = "1"  # more of them wait in loops
    before = os.times()
    subprocess.run(command, input=words, text=True, check=True, capture_output=True, env=env)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def search(library, *words):
    """Return the command that searches a library; without words it reads lines."""
    return [sys.executable, "-m", "explorer", "search", "-l", str(library), *words]


def measure(library, rounds):
    """Return rows of seconds: imports alone, new words, the same again, a line more."""
    seconds(IMPORTS), seconds(search(library, "warm"))
    rows = []
    for number in range(rounds):
        one, many = ("\n".join(f"line {number} {i}" for i in range(n)) for n in (1, 101))
        words = f"a thing of number {number}"
        row = [seconds(IMPORTS), seconds(search(library, words)), seconds(search(library, words))]
        few = seconds(search(library), one)
        rows.append([*row, (seconds(search(library), many) - few) / 100])
    return rows


def main():
    """Build both libraries, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from explorer.models.pocket import FOLDER

    images, found = FOLDER.parent.parent / "sample" / "images" / "flat", {}
    with tempfile.TemporaryDirectory(prefix="cold-") as name:
        folder = Path(name)
        random_vit(folder / "vit")
        for model in ("pocket", f"openclip:{folder / 'vit'}"):
            shown = model.partition(":")[0]
            found[shown] = measure(library_of(folder / f"{shown}.lib", model, images), given.rounds)
    print("| model | imports alone | new words | × | the same again | × | one line more |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model, rows in found.items():
        bare, new, again, line = map(statistics.median, zip(*rows, strict=True))
        ratios = [statistics.median(row[i] / row[0] for row in rows) for i in (1, 2)]
        cells = f"{new:.2f} s | {ratios[0]:.2f} | {again:.2f} s | {ratios[1]:.2f}"
        print(f"| {model} | {bare:.2f} s | {cells} | {1000 * line:.0f} ms |")
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
