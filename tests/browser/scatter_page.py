"""A page with nothing but the scatter, for its browser tests and for the benchmark."""

import sys

import numpy as np
import streamlit as st

from explorer.app.map.scatter import Mark, Scene, scatter
from explorer.projection.colours import Colours

n = int(sys.argv[1]) if len(sys.argv) > 1 else 500


@st.cache_data
def places(n):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 8, n)
    xy = rng.normal(size=(n, 2)) + 6 * rng.normal(size=(8, 2))[group]
    return xy.astype(np.float32), group.astype(np.uint8)


xy, group = places(n)
names = tuple(f"group {g}" for g in range(8))
marks = [Mark(*map(float, xy[group == g].mean(axis=0)), "label", names[g]) for g in range(8)]
done = st.session_state.setdefault("done", [])
kept = st.session_state.setdefault("kept", {"lasso": (), "path": (), "click": ()})
many = st.toggle("Colour by distance")
distance = np.hypot(*xy.T).astype(np.float32)
colours = Colours("group", group, names)
if many:
    colours = Colours("distance", distance / distance.max(), None, ("0", "far"))
marks += [Mark(*place, "place") for place in kept["click"]]
event = scatter(
    Scene(xy, "Test map", colours, marks, path=kept["path"], lasso=kept["lasso"], height=520),
    key="map",
)
if event:
    done.append(event)
    kept[event.kind] = event.places
    st.rerun()
st.button("Again")
for each in done:
    st.text(f"{each.kind} row={each.row} places={len(each.places)} first={each.places[0]}")
