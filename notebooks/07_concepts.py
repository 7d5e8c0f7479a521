# %% [markdown]
# # Which words is a point made of?
#
# A point of the space can be written as a sum of a few words with positive weights (SpLiCE). The
# weights can be changed, the sum made again, and decoded: an image edited by its vocabulary.

# %%
import explorer as ex
from analysis import autoencoder
from analysis.sparse import decompose, name
from analysis.vocabulary import Vocabulary, words_of
from explorer.samples import sample_library

model = ex.load("pocket")
library = sample_library(model.encoder)
points = library.points(range(len(library)))
vocabulary = Vocabulary.of(model.encoder, words_of(list(library.rows["caption"])), points)
len(vocabulary.words), vocabulary.words.labels[:10]

# %% [markdown]
# ## An image in words

# %%
import pandas as pd

hits = library.search(model.encoder.encode_text(["a sad cat"]), k=4)
told = decompose(hits.points, vocabulary)
pd.DataFrame({caption: pd.Series(told.words(i)) for i, caption in enumerate(hits.captions)}).round(
    2
)

# %% [markdown]
# ## Change a word
#
# Take the heaviest word away, put another in its place with twice the weight, compose and decode.

# %%
first = told[[0]]
heaviest, weight = next(iter(first.words(0).items()))
edits = {
    "in words": {},
    f"no {heaviest}": {heaviest: 0.0},
    "dog face": {heaviest: 0.0, "dog face": 2 * weight},
    "red heart": {heaviest: 0.0, "red heart": 2 * weight},
}
made = ex.Points.concat([first.edit(words).recompose() for words in edits.values()])
tiles = [hits.open_image(hits.rows[0]), *model.decoder.decode(made)]
ex.grid(tiles, columns=len(tiles), labels=["the image", *edits], size=128)

# %% [markdown]
# ## A direction, and a group, in words

# %%
change = ex.text_diff(*model.encoder.encode_text(["man", "woman"]))
smiling = library.search(model.encoder.encode_text(["smiling face"]), k=40).points
middle = ex.mean(smiling).unit - ex.mean(points).unit
for title, direction in {"man → woman": change.unit, "40 smiling faces": middle}.items():
    print(title, name(direction, vocabulary))

# %% [markdown]
# ## Features that nobody named
#
# A sparse autoencoder finds its own features in the library; words name them afterwards.

# %%
learnt = autoencoder.train(points)
learnt.named(points, vocabulary).head(12)

# %% [markdown]
# **What was seen.** A handful of words says part of what the encoder knows of an image, and the
# decode of those words alone is a rough one. Exchanging the heaviest word changes it: a heart
# comes through clearly, a dog hardly, because a cat and a dog lie near to each other. Directions
# and groups can be named the same way. Names of learnt features are only the nearest word.
