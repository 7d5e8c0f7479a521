# %% [markdown]
# # How does a decoder make an image of a point?
#
# It starts from noise and takes it away in steps, told at every step which point the image shall
# have. So an image is two things: the point z, and the noise x_T that it starts from.

# %%
import explorer as ex
from analysis.dataset import Dataset
from analysis.questions import diffusion, pca
from explorer.samples import IMAGES, sample_library

model = ex.load("pocket")
dataset = Dataset(sample_library(model.encoder), model, "caption", count=24)
cat = ex.open_image(IMAGES / "noto" / "1f431.png")
point = model.encoder.encode_images([cat])

# %% [markdown]
# ## Step by step
#
# Above: what the decoder holds after each step. Below: what it expects the image to be.

# %%
table, shown = diffusion.reverse(model.decoder, model.encoder, point)
steps = len(shown)
ex.grid([pair[i] for i in (0, 1) for pair in shown], columns=steps)

# %%
table[["step", "signal", "noise", "cosine of the estimate"]].round(3)

# %% [markdown]
# ## Corrupted, and restored
#
# Above: the image with noise, as much as there is when a step begins. Below: what comes back.

# %%
restored, pairs = diffusion.undone(model.decoder, model.encoder, [cat], point)
ex.grid([pair[i] for i in (0, 1) for pair in pairs], columns=len(pairs))

# %% [markdown]
# ## The noise that belongs to an image
#
# DDIM inversion finds the x_T from which the decoder gives the image back. With η above 0, fresh
# noise comes in on the way: variations, whose changes are what the point does not hold.

# %%
fine = 3 * model.decoder.steps
noise = model.decoder.invert([cat], point, steps=fine)
settings = {"steps": fine, "guidance": 1, "solver": "ddim", "noise": noise}
ways = [("image", [cat]), ("η = 0", list(model.decoder.decode(point, **settings)))]
for eta in (0.5, 1.0):
    made = model.decoder.decode(point[[0, 0]], eta=eta, seed=[1, 2], **settings)
    ways.append((f"η = {eta}", list(made)))
tiles = [(name, tile) for name, made in ways for tile in made]
ex.grid([tile for _, tile in tiles], columns=len(tiles), labels=[name for name, _ in tiles])

# %%
import numpy as np

error = np.abs(np.asarray(ways[1][1][0], float) - np.asarray(cat.resize((64, 64)), float)).mean()
assert error / 255 < 0.05
f"mean error of the reconstruction: {error / 255:.3f} of the range of a pixel"

# %% [markdown]
# ## The ladder of principal components
#
# Keep only the first components of a point and decode it from one noise (figure 7 of the paper).

# %%
everything = dataset.library.points(range(len(dataset.library)))
components = pca.Components.fit(everything)
rungs = components.rungs()
ladder = ex.Points.concat([components.keep(point, rung) for rung in rungs])
ex.grid(list(model.decoder.decode(ladder)), columns=len(rungs), labels=[str(r) for r in rungs])

# %%
pca.variance(components, everything).round(3)

# %% [markdown]
# **What was seen.** The first steps decide what there is, the last ones draw edges. What noise
# takes away comes back as far as the point holds it. η changes small things and keeps the kind.
# With few components the kind of thing is there first, and what tells it from its relatives last.
