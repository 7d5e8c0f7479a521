"""The dashboard for `streamlit run streamlit_app.py -- LIB`; `unclip app LIB` needs no file."""

from streamlit.starlette import App

from explorer.app.server import launch

app = App(launch.SCRIPT, **launch.parts())
