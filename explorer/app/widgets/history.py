"""Every view is a step of the browser's history: Back brings the view before."""

import functools
from pathlib import Path as FilePath
from typing import Any

import streamlit as st

CODE = FilePath(__file__).with_name("history.js")


def step_through_views() -> None:
    """Make each change of a field a step of the history; call it once a run, above the page."""
    _component()(key="history", height=0)


@functools.cache
def _component() -> Any:
    return st.components.v2.component("unclip-history", js=CODE.read_text("utf-8"))
