"""Widgets that Streamlit has not: a slider over images, and a brush for masks."""
