"""The dashboard: `unclip app LIB`, or `streamlit run streamlit_app.py -- LIB`."""

from streamlit.starlette import App

from explorer.app import main
from explorer.app.server import launch

if __name__ == "__main__":  # Streamlit runs this file for every view of a page
    main.run()
else:  # `streamlit run` reads it once, and finds the server here
    app = App(__file__, **launch.parts())
