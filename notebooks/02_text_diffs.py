# %% [markdown]
# # Can words change an image?
#
# A text diff is the direction from one text to another: "man" → "woman". Turning the point of a
# image towards it and decoding on the way changes the image as the words say
# (Ramesh et al. 2022, section 3.3).

# %%
import explorer as ex
from explorer.samples import IMAGES, sample_library

model = ex.load("pocket")
library = sample_library(model.encoder)
farmer = ex.open_image(IMAGES / "flat" / "1f468-200d-1f33e.png")
start = model.encoder.encode_images([farmer])
change = ex.text_diff(*model.encoder.encode_text(["man", "woman"]))
path = ex.Path.rotate(start, change, fraction=0.5)
path

# %% [markdown]
# ## Fixed noise, or the image's own
#
# From a fixed noise the first frame is the decoder's own idea of the point. From the noise that
# the image itself is decoded from (DDIM inversion), it is the image.

# %%
points = path.sample(8)
steps = 3 * model.decoder.steps
noise = model.decoder.invert([farmer], start, steps=steps)
fixed = list(model.decoder.decode(points, seed=0))
own = list(model.decoder.decode(points, noise=noise, steps=steps, guidance=1, solver="ddim"))
ex.grid(
    [*fixed, *own],
    columns=8,
    labels=[f"{name} {t:.2f}" for name in ("fixed", "own") for t in [i / 7 for i in range(8)]],
)

# %% [markdown]
# ## Does it go where the words say?
#
# The cosine of every frame, as the encoder sees it, with both texts; and the nearest real image.

# %%
import numpy as np
import pandas as pd

texts = model.encoder.encode_text(["man", "woman"])
seen = model.encoder.encode_images(own)
table = pd.DataFrame(seen.unit @ texts.unit.T, columns=["man", "woman"]).round(3)
table["nearest"] = [hits.table["name"][0] for hits in library.search_many(points, 1)]
table

# %%
towards = table["woman"] - table["man"]
assert towards.iloc[-1] > towards.iloc[0]

# %% [markdown]
# ## How far is far enough?
#
# The paper turns by a quarter to a half of the angle between the point and the diff. Beyond that
# the words win over the image.

# %%
far = ex.Path.rotate(start, change, fraction=1.0).sample(5)
ex.grid(list(model.decoder.decode(far)), labels=[f"{t:.2f}" for t in np.linspace(0, 1, 5)])

# %% [markdown]
# **What was seen.** The nearest real image changes from the man to the woman, while pitchfork,
# hat and style stay; what pocket draws follows in part, and grows rough at the end.
# With the noise of the image the start is the image itself; with fixed noise it is only like
# it. Turned all the way, what is left is the word, not the image.
