# %% [markdown]
# # Which words is a point made of?
#
# A point can be written as a sum of a few words with positive weights (SpLiCE). Change a weight,
# add the words up again, decode: an image edited by its vocabulary.

# %%
import pandas as pd

import explorer as ex
from analysis import autoencoder
from analysis.sparse import decompose, name
from analysis.vocabulary import Vocabulary, words_of

model = ex.load("pocket")
library = ex.sample_library()
points = library.points()
vocabulary = Vocabulary.of(model.encoder, words_of(list(library.rows["caption"])), points)
print(f"{len(vocabulary.words)} words, such as {', '.join(vocabulary.words.labels[:10])}")

# %% [markdown]
# ## An image in words

# %%
hits = library.search("a sad cat", k=4)
hits

# %%
found = decompose(hits.points, vocabulary)
names = [f"{i + 1}. {caption}" for i, caption in enumerate(hits.table["caption"])]
pd.DataFrame({name: pd.Series(found.words(i)) for i, name in enumerate(names)}).round(2).fillna("")

# %% [markdown]
# ## Change a word
#
# Replace the heaviest word of the first hit by another with twice its weight, and decode.

# %%
first = found[[0]]
heaviest, weight = next(iter(first.words(0).items()))
edits = {
    "its words": {},
    f"no {heaviest}": {heaviest: 0.0},
    "dog face": {heaviest: 0.0, "dog face": 2 * weight},
    "red heart": {heaviest: 0.0, "red heart": 2 * weight},
}
recomposed = ex.Points.concat([first.edit(words).recompose() for words in edits.values()])
tiles = [library.open_image(hits.rows[0]), *ex.edits.decode(model, recomposed)]
ex.grid(tiles, columns=len(tiles), labels=["the image", *edits], size=128)

# %% [markdown]
# Which real image is nearest to each recomposed point?

# %%
for label, near in zip(edits, library.search_many(recomposed, 1), strict=True):
    print(f"{label}: {near.table['caption'][0]} (cosine {near.scores[0]:.2f})")

# %% [markdown]
# ## A direction, and a group, in words
#
# The same sum names the direction of a text diff, and what a group of images has in common.

# %%
change = ex.text_diff(*model.encoder.encode_text(["red apple", "green apple"]))
smiling = library.search("smiling face", k=40).points
middle = ex.mean(smiling).unit - ex.mean(points).unit
for title, direction in {
    "red apple → green apple": change.unit,
    "40 smiling faces": middle,
}.items():
    print(f"{title}: {'; '.join(name(direction, vocabulary))}")

# %% [markdown]
# ## Features that nobody named
#
# A sparse autoencoder finds its own features in the library. Each gets the name of the word whose
# direction is nearest.

# %%
learnt = ex.Features.fit(points)
features = autoencoder.named(learnt, points, vocabulary)
features.head(8).round(2)

# %% [markdown]
# The images in which three of these features are strongest:

# %%
weights = learnt.of(points)
chosen = features.head(30).sort_values("cosine", ascending=False).head(3)
strongest = [row for feature in chosen["feature"] for row in (-weights[:, feature]).argsort()[:6]]
ex.grid(
    [library.open_image(row) for row in strongest],
    columns=6,
    size=96,
    labels=[word for word in chosen["word"] for _ in range(6)],
)

# %%
explained = learnt.explained(points).mean()
print(f"mean cosine of a point with the sum of its {learnt.active} features: {explained:.2f}")

# %% [markdown]
# **What we learned.** A few words say much of what the encoder knows of an image, but not its mood:
# the heaviest word of the first sad cat is "grinning cat", and leaving it out changes little,
# because its other words are cats too. Replacing it moves the point: with "dog face" the nearest
# real image is a dog's face and one is decoded, and with "red heart" a heart. Directions and groups
# get names that are near and seldom exact. Learned features explain points well, but the name of
# one is only the nearest word: look at the images before you believe it.
