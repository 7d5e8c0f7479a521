# %% [markdown]
# # Can images be found by words, by images, and by sums of both?
#
# A CLIP encoder turns words and images into points of one space. A library stores the points of a
# folder of images, and a search returns the images whose points lie in nearly the same direction.

# %%
import explorer as ex

model = ex.load("pocket")
library = ex.sample_library()
library

# %% [markdown]
# ## Words
#
# The number under each hit is the cosine of its point with the point of the words.

# %%
library.search("a smiling cat", k=6)

# %% [markdown]
# ## An image
#
# The first hit becomes the query. It would find itself first, so its own row is left out.

# %%
cat = library.search("a smiling cat", k=1)
library.search(cat.points, k=6, exclude=cat.rows)

# %% [markdown]
# ## Sums
#
# A query is an algebra of words and images with `+`, `-` and weights. The command line reads the
# same: `unclip search LIBRARY "red apple" - red + green`.

# %%
library.search("red apple", k=6)

# %%
library.search("red apple - red + green", k=6)

# %% [markdown]
# ## Columns narrow a search down
#
# The table that lies beside the images became columns of the library.

# %%
hits = library.search("a smiling cat", k=6, where={"style": "3d"})
hits.to_pandas()[["rank", "score", "name", "style"]].round(3)

# %% [markdown]
# ## How good is a score?
#
# Cosines between words and images are low, because the two sides of the space do not touch
# (`06_what_clip_misses`). What counts is the order. These are the scores of all images for two
# texts: the library shows one of them and nothing like the other.

# %%
import matplotlib.pyplot as plt

texts = ["a smiling cat", "a nuclear power station"]
figure, axes = plt.subplots(figsize=(6, 3))
best = {}
for text in texts:
    scores = library.search(text, k=len(library)).scores
    best[text] = float(scores[0])
    axes.hist(scores, bins=60, histtype="step", label=f"{text}: best {scores[0]:.2f}")
axes.set(xlabel="cosine of text and image", ylabel="images", yscale="log")
axes.legend()
plt.show()

# %%
library.search("a nuclear power station", k=6)

# %%
known, unknown = best.values()
assert known > unknown
print(
    f"best score of a text that the library can answer {known:.2f}, of one it cannot {unknown:.2f}"
)

# %% [markdown]
# **What we learned.** Words find their images in every style, and an image finds its own kind first
# in its own style. Taking "red" away from a red apple and adding "green" finds all four green
# apples. A text that the library has no image for still gets a full list of hits. Here its best
# score is lower, but what is low depends on the text: the order says which image fits best, not
# whether any fits.
