# %% [markdown]
# # Can any CLIP be decoded?
#
# The released unCLIP decoders read the points of a few encoders only. `unclip train` makes a small
# decoder for whatever encoder a library was made with, from the library's own images. Here it is
# an encoder that nobody has a decoder for: an open_clip network with random weights.

# %%
import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

import explorer as ex

torch.manual_seed(0)
vision = {"image_size": 64, "layers": [2, 2, 2, 2], "width": 32}
text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
config = {"embed_dim": 128, "vision_cfg": vision, "text_cfg": text}
preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
folder = Path("my-clip")
folder.mkdir()
description = {"model_cfg": config, "preprocess_cfg": preprocess}
(folder / "open_clip_config.json").write_text(json.dumps(description))
save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")

model = ex.load("openclip:my-clip", device="cpu")
print(f"{model.space.name}: {model.space.dimension} dimensions, decoder: {model.decoder}")

# %% [markdown]
# ## A folder of images
#
# Take your own photos here. So that this notebook runs anywhere, it writes the animals and the food
# of the sample library into a folder.

# %%
photos = Path("photos")
photos.mkdir()
samples = ex.sample_library()
rows = samples.rows.index[samples.rows["group"].isin(["animals and nature", "food and drink"])]
for row in rows:
    samples.open_image(row).save(photos / f"{row:04}.png")
print(f"{len(rows)} images")

# %% [markdown]
# ## Its library
#
# On the command line: `unclip index photos --library my.lib --model openclip:my-clip`.

# %%
library = ex.Library.create("my.lib", model)
added = library.add(photos)
print(f"{added.embedded} images embedded, {added.failed} failed")
library

# %% [markdown]
# ## Its decoder
#
# Five minutes here. Half an hour gives better images: `--minutes 30`, and `--resume` goes on with
# a training that was stopped.

# %%
import os

minutes = os.environ.get("MINUTES", "5")  # the tests of this notebook take less
# !unclip train decoder my.lib -o my-decoder --minutes {minutes} --device cpu

# %% [markdown]
# The round trip is the mean cosine of an image's point with what the encoder sees in the decode;
# "by chance" it is taken with another image. A random network puts all images in nearly the same
# direction, so both are near 1. What tells more is how many decodes find their own image first
# (R@1), among all images that were held out of the training.

# %% [markdown]
# ## Does it show what the encoder sees?
#
# Images above, and below what the new decoder makes of their points.

# %%
mine = ex.load("openclip:my-clip", decoder="my-decoder", device="cpu")
chosen = np.random.default_rng(0).choice(len(library), 24, replace=False)
images = [library.open_image(row) for row in chosen]
decoded = ex.edits.decode(mine, library.points(chosen))
ex.grid([*images[:8], *decoded[:8]], columns=8, size=96)

# %% [markdown]
# Which of all 24 images is each decode nearest to? Pocket's encoder is the judge, not the random
# one.

# %%
judge = ex.load("pocket").encoder
near = judge.encode_images(list(decoded)).unit @ judge.encode_images(images).unit.T
found = int((near.argmax(axis=1) == range(24)).sum())
print(f"{found} of 24 decodes are nearest to their own image; by chance it is 1")

# %% [markdown]
# **What we learned.** A library of your own images and one command are enough to decode any CLIP.
# Five minutes on a CPU give colours and rough forms; half an hour gives more. Even an encoder that
# never learned anything tells images apart: far more decodes find their own image than by chance,
# though all its points lie in nearly the same direction.
