"""The points of tests/browser/scatter_page.py, drawn by plotly."""

import sys

import numpy as np
import plotly.graph_objects as go
import streamlit as st

n = int(sys.argv[1])


@st.cache_data
def places(n):
    """The same as there."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 8, n)
    xy = rng.normal(size=(n, 2)) + 6 * rng.normal(size=(8, 2))[group]
    return xy.astype(np.float32), group.astype(np.uint8)


xy, group = places(n)
marker = {"color": group, "size": 3}
figure = go.Figure(go.Scattergl(x=xy[:, 0], y=xy[:, 1], mode="markers", marker=marker))
st.plotly_chart(figure, on_select="rerun", key="map")
st.button("Again")
