# %% [markdown]
# # What is where, and what lies in the gaps?
#
# UMAP lays the points of a library out on a plane so that neighbours stay neighbours. Every place
# of the plane leads back to a point of the space, and the decoder makes an image of it.

# %%
import matplotlib.pyplot as plt
import numpy as np

import explorer as ex

model = ex.load("pocket")
library = ex.sample_library()
points = library.points()
map_ = ex.Projection.cached(library.cache_folder, points)
x, y = map_.xy.T
table = library.rows[["name", "style", "group"]].assign(x=x, y=y)

# %% [markdown]
# ## Look around
#
# One dot an image, coloured by what kind of thing it shows.

# %%
figure, axes = plt.subplots(figsize=(8, 5))
for group, dots in table.groupby("group"):
    axes.scatter(dots.x, dots.y, s=5, label=group)
axes.set(xticks=[], yticks=[])
axes.legend(markerscale=3, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# How many of an image's ten neighbours in the space are of its own kind, or drawn in its own style?
# Chance is the share of that kind or style in the whole library.

# %%
rows = np.random.default_rng(0).choice(len(library), 200, replace=False)
near = np.stack([hits.rows[1:] for hits in library.search_many(points[rows], 11)])
for column in ("group", "style"):
    values = table[column].to_numpy()
    same = (values[near] == values[rows][:, None]).mean()
    chance = table[column].value_counts(normalize=True)[values[rows]].mean()
    print(f"neighbours of the same {column}: {same:.0%} (by chance {chance:.0%})")

# %% [markdown]
# ## From a place to an image
#
# The image of a place, beside the real images that are nearest to its point: first a place where
# an image lies, then one halfway to a distant image, and last one beyond the edge of the map.


# %%
def decode(place):
    """Return the image of a place on the map beside its real neighbours."""
    point = map_.inverse([place])
    hits = library.search(point, k=5)
    tiles = [*ex.edits.decode(model, point), *(library.open_image(row) for row in hits.rows)]
    return ex.grid(tiles, columns=6, labels=["decoded", *hits.table["name"]], size=96)


dog = table.index[(table["name"] == "dog face") & (table["style"] == "twemoji")][0]
house = table.index[(table["name"] == "house") & (table["style"] == "twemoji")][0]
decode(map_.xy[dog])

# %%
between = (map_.xy[dog] + map_.xy[house]) / 2
decode(between)

# %%
outside = map_.xy.max(axis=0) + 5
decode(outside)

# %% [markdown]
# ## How far from anything real?
#
# The cosine of each place's point with its nearest real image, beside what is usual: how near the
# nearest other image is to a real one.

# %%
places = {"the dog face": map_.xy[dog], "between dog and house": between, "outside": outside}
for name, place in places.items():
    score = library.search(map_.inverse([place]), k=1).scores[0]
    print(f"{name}: {score:.2f}")
usual = [hits.scores[1] for hits in library.search_many(points[rows], 2)]
print(f"usual, from a real image to the next: {np.median(usual):.2f}")

# %% [markdown]
# ## Click and decode
#
# In a running Jupyter this map is alive: pan, zoom, hover, select with a lasso. The middle of what
# is selected is decoded below it.

# %%
import jscatter
from IPython.display import display
from ipywidgets import Output

scatter = jscatter.Scatter(data=table, x="x", y="y", color_by="group", height=480)
scatter.tooltip(enable=True, properties=["name", "style"])
output = Output()


def selected(_):
    """Decode the middle of what is selected now."""
    output.clear_output()
    chosen = scatter.selection()
    if len(chosen):
        with output:
            display(decode(map_.xy[chosen].mean(axis=0)))


scatter.widget.observe(selected, names="selection")
scatter.show()

# %%
output

# %% [markdown]
# **What we learned.** Kinds of things form islands; styles do not, because pocket's encoder learnt
# to overlook them: neighbours share a style no oftener than by chance. Where an image lies, its own
# kind is decoded. Halfway between a dog and a house there is neither: the place has neighbours of
# its own, and the decoder shows what they have in common. Beyond the edge of the map nothing new
# comes: the way back leads to the nearest images, however far they are.
