"""The script that Streamlit runs for every view of a page."""

from explorer.app import main

if __name__ == "__main__":
    main.run()
