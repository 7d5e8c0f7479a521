# %% [markdown]
# # What lies between two images?
#
# Halfway between two points there is a point too, and the decoder makes an image of it. Points are
# directions, so the path follows the great circle (slerp) and not the chord.

# %%
import explorer as ex

model = ex.load("pocket")
library = ex.sample_library()


def sample(name):
    """Return the noto image of this name."""
    hits = library.search(name, k=1, where={"name": name, "style": "noto"})
    return library.open_image(hits.rows[0])


keyframes = [sample(name) for name in ("sun", "snowman", "ghost")]
ex.grid(keyframes, columns=3, size=128)

# %% [markdown]
# ## Each image's own noise
#
# `interpolate` inverts every keyframe and interpolates the noises x_T along with the points, so
# that the keyframes come out as themselves.

# %%
own = ex.edits.interpolate(model, keyframes, frames=9)
own.strip(columns=9)

# %% [markdown]
# ## One noise for all
#
# With `noise="seed"` only the point changes. The paper shows both.

# %%
fixed = ex.edits.interpolate(model, keyframes, frames=9, settings=ex.Settings(noise="seed"))
fixed.strip(columns=9)

# %% [markdown]
# How well does each frame show its point? The round trip is the cosine of the point with what the
# encoder sees in the frame.

# %%
import numpy as np
import pandas as pd

trips = {"own noise": own.measure()["roundtrip"], "one noise": fixed.measure()["roundtrip"]}
table = pd.DataFrame({"t": own.times} | trips).round(2)
table

# %%
assert (table["own noise"].iloc[[0, -1]] > 0.95).all()
for name, trip in trips.items():
    print(f"{name}: mean round trip {trip.mean():.2f}")

# %% [markdown]
# ## Equal steps of the point are not equal steps for the eye
#
# A video jumps where the decoder changes its mind. `even=True` decodes a draft and re-times the
# frames, so that what the encoder sees changes at a constant speed.

# %%
import matplotlib.pyplot as plt

settings = ex.Settings(noise="seed")
figure, axes = plt.subplots(figsize=(6, 3))
spread = {}
for name, even in {"equal times": False, "re-timed": True}.items():
    video = ex.edits.interpolate(model, keyframes, frames=17, fps=8, even=even, settings=settings)
    seen = video.embed()
    change = ex.angle(seen[:-1], seen[1:])
    spread[name] = change.std() / change.mean()
    axes.plot(np.arange(1, len(video)), change, label=f"{name}, spread {spread[name]:.2f}")
axes.set(xlabel="frame", ylabel="change in radians", ylim=(0, None))
axes.legend()
plt.show()

# %%
print(", ".join(f"{name}: spread {value:.2f} of the mean" for name, value in spread.items()))

# %% [markdown]
# ## A video that knows how it was made
#
# `save` takes .mp4, .webm, .webp and .gif, and writes the recipe into the file.
# `unclip interpolate A B C -o video.mp4` writes the same on the command line, and `unclip replay`
# decodes it again from its recipe.

# %%
file = video.save("video.mp4")
print(f"{file}: {len(video)} frames, {video.fps:.0f} a second, {file.stat().st_size // 1000} kB")

# %% [markdown]
# **What we learned.** Between a sun and a snowman lie things that are a little of both: a sun that
# grows arms and a hat. With each image's own noise the ends are the images themselves; with one
# noise for all nothing but the point changes, and the round trip is lower. Equal steps of the point
# do not look equal. Re-timing makes the change from one frame to the next much more even.
