# %% [markdown]
# # What lies between two images?
#
# Halfway between two points there is a point too, and the decoder draws it. Points are directions,
# so the way goes along the great circle (slerp), not along the chord.

# %%
import explorer as ex
from explorer.samples import IMAGES

model = ex.load("pocket")
files = [IMAGES / "noto" / f"{code}.png" for code in ("2600", "26c4", "1f47b")]
images = [ex.open_image(file) for file in files]
stops = model.encoder.encode_images(images)
walk = ex.Path.through(stops)
walk

# %% [markdown]
# ## Options for the noise
#
# A: every image's own inverted noise, interpolated along with the points, so that the stops are
# the images. B: one noise for all, so that only the point changes (the paper shows both).

# %%
legs = [(i, t) for i in range(2) for t in (0, 0.25, 0.5, 0.75)]
points = ex.Points.concat([*(ex.slerp(stops[i], stops[i + 1], t) for i, t in legs), stops[2]])
steps = 3 * model.decoder.steps
inverted = model.decoder.invert(images, stops, steps=steps)
noise = ex.Noise.concat(
    [*(ex.Noise.slerp(inverted[i], inverted[i + 1], t) for i, t in legs), inverted[2]]
)
own = list(model.decoder.decode(points, noise=noise, steps=steps, guidance=1, solver="ddim"))
fixed = list(model.decoder.decode(points, seed=0))
ex.grid([*own, *fixed], columns=len(points))

# %% [markdown]
# ## Equal steps for the point are not equal steps for the eye
#
# A frame may jump where the decoder changes its mind. `analysis.questions.smoothness` measures
# how far neighbouring frames are apart, for the encoder and in pixels, and times the frames anew.

# %%
import matplotlib.pyplot as plt
import numpy as np

from analysis.questions.smoothness import pixel_distances
from explorer.path import even_times

coarse = list(model.decoder.decode(walk.sample(17), seed=0))
jumps = pixel_distances(coarse[:-1], coarse[1:])
times = even_times(jumps, 17)
even = list(model.decoder.decode(ex.Points.concat([walk.at(t) for t in times]), seed=0))
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(jumps, label=f"equal steps, spread {np.std(jumps) / np.mean(jumps):.2f}")
evened = pixel_distances(even[:-1], even[1:])
axes.plot(evened, label=f"timed anew, spread {np.std(evened) / np.mean(evened):.2f}")
axes.set(xlabel="frame", ylabel="change of pixels, 0 to 1")
axes.legend()

# %% [markdown]
# ## A video that knows how it was made
#
# `unclip walk A B C -o walk.mp4` writes the same with its recipe, and `unclip replay` makes it
# again from that.

# %%
file = ex.write_video(even, "walk.mp4", fps=12)
file.stat().st_size // 1000, "kB"

# %% [markdown]
# **What was seen.** Between a sun and a snowman lie things that are a little of both. With the
# inverted noises the stops are the images themselves; with one noise for all the way is calmer.
# Frames at equal steps of the point are not equally far apart for the eye; timing them anew
# spreads the change.
