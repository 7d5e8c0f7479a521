# %% [markdown]
# # Can images be found by words, by images, and by sums of both?
#
# A CLIP encoder gives words and images points in one space. A library keeps the points of a
# folder of images; a search gives back those that point most nearly the same way.

# %%
import explorer as ex
from explorer.samples import sample_library

model = ex.load("pocket")
library = sample_library(model.encoder)
library

# %% [markdown]
# ## Words

# %%
library.search(model.encoder.encode_text(["a smiling cat"]), k=6)

# %% [markdown]
# ## An image
#
# The first hit of before, asked about again. It finds itself first, so its row is left out.

# %%
cat = library.search(model.encoder.encode_text(["a smiling cat"]), k=1)
library.search(cat.points, k=6, exclude=cat.rows)

# %% [markdown]
# ## Sums
#
# A query is an algebra: words and images with `+`, `-` and weights. The command line reads the
# same: `unclip search LIB "woman farmer" - woman + man`.

# %%
library.search(
    ex.Query.parse(["woman farmer", "-", "woman", "+", "man"]).points(model.encoder), k=6
)

# %% [markdown]
# ## Columns narrow a search down
#
# Whatever table lies beside the images became columns of the library.

# %%
hits = library.search(model.encoder.encode_text(["a smiling cat"]), k=6, where={"style": "3d"})
hits.to_pandas()[["rank", "score", "name", "style"]]

# %% [markdown]
# ## How good is a score?
#
# Cosines between words and images are low, because the two sides of the space do not touch
# (`06_what_clip_misses`). What counts is the order. Here are the scores of all images for two
# texts, one that the library can answer and one that it cannot.

# %%
import matplotlib.pyplot as plt

texts = ["a smiling cat", "a nuclear power station"]
figure, axes = plt.subplots(figsize=(6, 3))
for text in texts:
    scores = library.search(model.encoder.encode_text([text]), k=len(library)).scores
    axes.hist(scores, bins=60, histtype="step", label=f"{text}: best {scores[0]:.2f}")
axes.set(xlabel="cosine of text and image", ylabel="images", yscale="log")
axes.legend()

# %%
known, unknown = (
    library.search(model.encoder.encode_text([text]), k=1).scores[0] for text in texts
)
assert known > unknown

# %% [markdown]
# **What was seen.** Words find their images in every style, an image finds its own kind, and
# taking "woman" away from a woman farmer and adding "man" leads to men who farm. A text that
# nothing fits still has a best hit; its score is lower, and that is the only warning.
