"""Measure what explorer makes: nouns in, numbers, tables (pandas) and figures (matplotlib) out.

One module per question. It may import all of explorer; explorer never imports it.
"""
