"""The dashboard: pages in Streamlit, one function each; widgets in, verbs called, results shown.

`unclip app` serves it (launch.py); what all sessions share stands in state.py and decoding.py.
"""
