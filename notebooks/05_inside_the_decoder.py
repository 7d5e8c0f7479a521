# %% [markdown]
# # How does a decoder make an image from a point?
#
# It starts from noise and removes it in steps, told at every step which point the image is to
# have. So two things make an image: the point z, and the noise x_T that it starts from.

# %%
import numpy as np

import explorer as ex

model = ex.load("pocket")
library = ex.sample_library()
row = library.search("panda", k=1, where={"name": "panda", "style": "noto"}).rows[0]
panda = library.open_image(row)
point = library.points([row])
decoder = model.decoder
panda

# %% [markdown]
# ## Step by step
#
# `trace` yields every step. Above: what the decoder holds after the step. Below: the image that it
# expects at that moment.

# %%
steps = list(decoder.trace(point, ex.Settings(seed=2)))
held = [decoder.to_image(step.latents)[0] for step in steps]
expected = [decoder.to_image(step.estimate)[0] for step in steps]
labels = [f"step {i + 1}" for i in range(len(steps))]
ex.grid([*held, *expected], columns=len(steps), labels=labels * 2)

# %%
seen = model.encoder.encode_images(expected)
cosines = seen.unit @ point.unit[0]
for label, cosine in zip(labels, cosines, strict=True):
    print(f"{label}: cosine of the expected image with the point {cosine:.2f}")
assert cosines.min() > 0.8

# %% [markdown]
# ## Corrupt, and restore
#
# `redraw` adds noise to the image, as much as there is at some step, and decodes from there:
# img2img. The more of the steps are done again, the more of the image is made up.

# %%
strengths = (0.2, 0.4, 0.6, 0.8, 1.0)
redrawn = [
    ex.edits.redraw(model, panda, settings=ex.Settings(strength=strength))[0]
    for strength in strengths
]
labels = ["image", *(f"strength {strength}" for strength in strengths)]
ex.grid([panda, *redrawn], columns=len(labels), labels=labels)


# %%
def difference(image):
    """Return the mean difference from the panda, in percent of the pixel range."""
    a, b = (np.asarray(i.convert("RGB").resize((64, 64)), float) for i in (image, panda))
    return 100 * np.abs(a - b).mean() / 255


for strength, image in zip(strengths, redrawn, strict=True):
    print(f"strength {strength}: {difference(image):4.1f} % from the image")

# %% [markdown]
# ## The noise that belongs to an image
#
# DDIM inversion finds the x_T from which the decoder gives the image back. With η above 0, fresh
# noise comes in on the way. What then varies is what the point does not hold.

# %%
back = ex.edits.decode(model, panda, settings=ex.Settings(noise="inverted"))[0]
tiles, labels = [panda, back], ["image", "η = 0"]
for eta in (0.3, 0.7, 1.0):
    tiles += ex.edits.variations(model, panda, count=2, settings=ex.Settings(eta=eta, seed=1))
    labels += [f"η = {eta}"] * 2
ex.grid(tiles, columns=8, labels=labels)

# %%
assert difference(back) < 5
for label, image in list(zip(labels, tiles, strict=True))[1:]:
    print(f"{label}: {difference(image):4.1f} % from the image")

# %% [markdown]
# ## Fewer and fewer components
#
# Keep only the first principal components of the point, and decode each from the same noise
# (figure 7 of the paper).

# %%
everything = library.points()
middle = everything.vectors.mean(axis=0)
_, _, axes = np.linalg.svd(everything.vectors - middle, full_matrices=False)
counts = [count for count in (5, 10, 20, 40, 80, 160) if count < len(axes)] + [len(axes)]
kept = [(point.vectors - middle) @ axes[:n].T @ axes[:n] + middle for n in counts]
ladder = ex.Points.concat([point.with_vectors(vectors.astype(np.float32)) for vectors in kept])
ex.grid(list(ex.edits.decode(model, ladder)), columns=len(counts), labels=[str(n) for n in counts])

# %%
for count, near in zip(counts, ladder.unit @ point.unit[0], strict=True):
    print(f"{count:3} components: cosine with the whole point {near:.2f}")

# %% [markdown]
# **What we learned.** After its first step the decoder already expects a panda; the later steps add
# edges. Redrawing more of the steps moves further from the image, and still gives a panda, because
# the point says so. Inversion gives the image back almost exactly; η changes outline and shading
# and keeps the animal. About forty components of the point are enough for a panda, and ten are not.
