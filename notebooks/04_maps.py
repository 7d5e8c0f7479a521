# %% [markdown]
# # What is where, and what lies in the gaps?
#
# UMAP lays the points of a library out on a plane so that neighbours stay neighbours. Any place of
# the plane leads back to a point of the space, and the decoder draws that.

# %%
import explorer as ex
from explorer.samples import sample_library

model = ex.load("pocket")
library = sample_library(model.encoder)
points = library.points(range(len(library)))
map_ = ex.Projection.cached(library.cache_folder, points)
map_.xy.shape

# %% [markdown]
# ## Look around
#
# In a running Jupyter this is alive: pan, zoom, hover, lasso.

# %%
import jscatter

table = library.rows[["name", "style"]].assign(x=map_.xy[:, 0], y=map_.xy[:, 1])
scatter = jscatter.Scatter(data=table, x="x", y="y", color_by="style", height=480)
scatter.tooltip(enable=True, properties=["name", "style"])
scatter.show()

# %% [markdown]
# ## Click and decode
#
# Select images (a click, or a lasso): the middle of what was selected is decoded beside those of
# it that are nearest.

# %%
from IPython.display import display
from ipywidgets import Output

output = Output()


def decode(xy):
    """The image of a place on the map, beside its real neighbours."""
    place = map_.inverse([xy])
    hits = library.search(place, k=5)
    drawn = next(model.decoder.decode(place))
    tiles = [drawn, *(hits.open_image(row) for row in hits.rows)]
    return ex.grid(tiles, columns=6, labels=["decoded", *hits.captions])


def selected(_):
    """Decode the middle of what is selected now."""
    output.clear_output()
    rows = scatter.selection()
    if len(rows):
        with output:
            display(decode(map_.xy[rows].mean(axis=0)))


scatter.widget.observe(selected, names="selection")
output

# %% [markdown]
# ## Without a mouse
#
# Some places by number: where an image lies, halfway to its neighbour on the map, and far out.

# %%
cat = library.search(model.encoder.encode_text(["a smiling cat"]), k=1).rows[0]
decode(map_.xy[cat])

# %%
import numpy as np

others = np.argsort(np.linalg.norm(map_.xy - map_.xy[cat], axis=1))
decode((map_.xy[cat] + map_.xy[others[200]]) / 2)

# %% [markdown]
# ## How far from anything real?
#
# `Support` compares a point with points of real images that were held out.

# %%
from explorer.support import Support

support = Support.fit(points)
places = {
    "an image": map_.xy[cat],
    "between two": (map_.xy[cat] + map_.xy[others[200]]) / 2,
    "far out": map_.xy.max(axis=0) + 5,
}
scores = support.score(map_.inverse(np.stack(list(places.values()))))
scores.set_axis(list(places))

# %% [markdown]
# **What was seen.** Styles and kinds form islands. On an island the decoder draws what its
# neighbours are; between two islands something of both. Far out on the map nothing new comes: the
# way back leads to the nearest images, however far they are.
