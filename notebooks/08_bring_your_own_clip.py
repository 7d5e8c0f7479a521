# %% [markdown]
# # Can any CLIP be decoded?
#
# The released unCLIP decoders read the points of a few encoders only. `unclip train` makes a small
# decoder for whatever encoder a library was made with, on the library's own images. Here it is
# an encoder that nobody has a decoder for: an open_clip network with random weights.

# %%
import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

import explorer as ex
from explorer.samples import IMAGES

torch.manual_seed(0)
config = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "layers": [2, 2, 2, 2], "width": 32},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}
folder = Path("my-clip")
folder.mkdir(exist_ok=True)
(folder / "open_clip_config.json").write_text(json.dumps(config))
network = open_clip.CLIP(**config["model_cfg"])
save_file(network.state_dict(), folder / "open_clip_model.safetensors")
model = ex.load("openclip:my-clip", device="cpu")
model.space

# %% [markdown]
# ## Its library
#
# One style of the sample images, some hundred drawings.

# %%
library = ex.Library.open_or_create("my.lib", model.space, model=model.name)
list(library.add(IMAGES / "noto", model.encoder))[-1:]
library

# %% [markdown]
# ## Its decoder
#
# Thirty steps here; half an hour gives images worth looking at. On the command line:
# `unclip train decoder my.lib -o my-decoder --minutes 30`.

# %%
from explorer.training import decoder
from explorer.training.loop import Interrupt, Plan

design = decoder.Design(size=64, start="pocket")
made = decoder.train(
    library, Path("my-decoder"), design, Plan(5, steps=30), resume=False, interrupt=Interrupt()
)
made["held_out"]

# %% [markdown]
# ## Does it draw what the encoder sees?
#
# Images above, and below what the new decoder makes of their points. A random network puts all
# images nearly in one direction, so that even strangers have a cosine near 1 (`chance`). What
# tells more is how often the decode of a held-out point lies nearest to its own image.

# %%
mine = ex.load(model.name, decoder="my-decoder", device="cpu")
rows = range(0, len(library), len(library) // 8)
images = [library.open_image(row) for row in rows]
drawn = list(mine.decoder.decode(library.points(rows)))
ex.grid([*images, *drawn], columns=len(images), size=96)

# %%
assert made["held_out"]["found_first"] > 3 / made["held_out"]["images"]

# %% [markdown]
# **What was seen.** Thirty steps give no more than colours in about the right place, yet even for
# an encoder that never learnt anything many decodes already lie nearest to their own image: a
# random network still tells images apart. The shapes come with time.
