"""A search by words from nothing, beside the import of torch and open_clip; seconds of CPU."""

import json

import cold_search
from comparing import Case

SIZES = {"small": "pocket", "default": "pocket openclip", "full": "pocket openclip"}


def whos(_size):
    return ["ours", "import torch, open_clip"]


def cases(size):
    found = []
    for model in size.split():
        peer = f"import torch, open_clip:{model}"
        found += [
            Case(f"cold search, new words, {model}", f"{model} new", {peer: 2}),
            Case(f"cold search, the same again, {model}", f"{model} again", {}, 0.7),
            Case(f"one line more of a warm search, {model}", f"{model} line", {}, 0.05),
        ]
    return found


def prepare(folder, size):
    from explorer.models.pocket import FOLDER

    images = FOLDER.parent.parent / "sample" / "images" / "flat"
    for model in size.split():
        name = model
        if model == "openclip":
            cold_search.random_vit(folder / "vit")
            name = f"openclip:{folder / 'vit'}"
        library = cold_search.library_of(folder / f"{model}.lib", name, images)
        for words in ("warm", "warm"):  # the first compiles
            cold_search.seconds(cold_search.search(library, words))
    cold_search.seconds(cold_search.IMPORTS)
    (folder / "count.json").write_text("0")


def measure(who, folder, size):
    if who != "ours":
        passed = cold_search.seconds(cold_search.IMPORTS)
        return dict.fromkeys(size.split(), passed)
    count = json.loads((folder / "count.json").read_text()) + 1
    (folder / "count.json").write_text(json.dumps(count))
    found = {}
    for model in size.split():
        command, words = cold_search.search(folder / f"{model}.lib"), f"a thing of number {count}"
        one, many = ("\n".join(f"line {count} {i}" for i in range(n)) for n in (1, 41))
        for name in ("new", "again"):
            found[f"{model} {name}"] = cold_search.seconds([*command, words])
        few = cold_search.seconds(command, one)
        found[f"{model} line"] = max(0.001, (cold_search.seconds(command, many) - few) / 40)
    return found
