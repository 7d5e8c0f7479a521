# %% [markdown]
# # What does the encoder not see?
#
# Three blind spots that all CLIPs share to some extent: which attribute belongs to which thing
# (binding), writing that drowns the image (typography), and words that do not lie where images
# lie (the modality gap). Pocket is small and knows only emoji, so it has them badly.

# %%
import explorer as ex
from analysis.dataset import Dataset
from analysis.questions import binding, gap, typography
from explorer.samples import sample_library

model = ex.load("pocket")
dataset = Dataset(sample_library(model.encoder), model, "caption", count=12)

# %% [markdown]
# ## Binding
#
# "A red cube on top of a blue cube", and the same with the colours swapped: two scenes, two texts.
# Chance finds the right text in half of the cases.

# %%
binding.section(dataset)

# %% [markdown]
# ## Typography
#
# A word is written on an image. Is the image then taken for the word?

# %%
typography.section(dataset)

# %% [markdown]
# ## The gap
#
# How far are captions from their own images, and what does the prior do about it?

# %%
gap.section(dataset)

# %% [markdown]
# **What was seen.** Swapped attributes and places are told apart little better than by chance: the
# point holds what there is, and hardly which belongs to which. Pocket cannot read; a word does
# some more harm than an empty label, and the label itself, which covers a part, does most of it.
# Words and images lie in two regions, and the prior carries a point from the one to the other.
