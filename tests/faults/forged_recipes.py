"""Recipes of a file, each with one thing forged."""

BIG = 10**9
FIELDS = {
    "unclip": [None, 0, 3, "2", [], 1e400],
    "model": [None, "", 3, [], "nothing", "a\0b", "x" * 100_000, "../..", {}],
    "decoder": [None, 7, [], "0" * 100_000],
    "decoder_from": [None, 5, "a\0b", ["x"]],
    "way": [None, "sideways", [], 1],
    "count": [BIG, 0, -1, 2, 1.5, "1", True, None, float("nan"), 10**400],
    "radians": ["x", float("nan"), float("inf"), None, [1]],
    "fps": [0, -1, float("nan"), BIG, "24", None],
    "title": [None, 3, [], "x" * 100_000],
    "image": [3, "x", {}, {"image": 3}, {"image": "not base 85 ~~"}, {"image": "00000"}, []],
    "mask": [3, {}, {"image": ""}, "x"],
    "times": [None, 3, "x", [0.5, 0.5], [float("nan")], [2], ["x"], [0] * 200_000, {}],
    "keyframes": [None, [], {}, 3, {"points": 3}, {"points": {}, "space": [], "labels": []}],
    "ends": [3, [], {}, "x"],
    "noise": [3, [], {}, {"shape": [1], "data": ""}, {"shape": [BIG] * 4, "data": "00"}],
    "settings": [None, 3, [], {}, "x"],
}
SETTINGS = {
    "steps": [BIG, 0, -1, 1.5, "8", None, True, float("inf")],
    "guidance": ["x", float("nan"), None, [1]],
    "eta": [-1, 2, "x", None],
    "solver": [None, "magic", 3, []],
    "strength": [0, 2, "x", None, -1],
    "noise": ["magic", 3, []],
    "seed": [-1, 2**40, 1.5, "x", None, [], [-1], [1, 2, 3], True],
    "options": [None, 3, [], "x", {"a": {"b": 1}}, {"image_size": {"pair": [BIG, BIG]}}],
}
SHAPES = [[BIG, 256], [0, 256], [-1, 256], [1, 255], [1], [], [1, 256, 1], ["1", 256], 3, None]
SPACES = [[], ["x"], None, ["x", "y", "z"], ["x", 256, "0f"], [3, 256, ""], ["pocket", BIG, "0f"]]


def forged(values):
    """Yield a name and the values of a recipe, one for each forgery."""
    for name, each in FIELDS.items():
        for number, value in enumerate(each):
            yield f"{name} {number}", values | {name: value}
        yield f"no {name}", {key: value for key, value in values.items() if key != name}
    for name, each in SETTINGS.items():
        for number, value in enumerate(each):
            yield (
                f"settings {name} {number}",
                values | {"settings": values["settings"] | {name: value}},
            )
    keys = values["keyframes"]
    for number, shape in enumerate(SHAPES):
        points = keys["points"] | {"shape": shape}
        yield f"shape {number}", values | {"keyframes": keys | {"points": points}}
    for number, space in enumerate(SPACES):
        yield f"space {number}", values | {"keyframes": keys | {"space": space}}
    for name, value in {"side": "text", "labels": [3]}.items():
        yield f"points {name}", values | {"keyframes": keys | {name: value}}
    for number, data in enumerate(["", "~", 3, None, keys["points"]["data"][:-5]]):
        points = keys["points"] | {"data": data}
        yield f"data {number}", values | {"keyframes": keys | {"points": points}}
