"""Measure what explorer makes: nouns in, numbers, tables (pandas) and figures (matplotlib) out.

One module a question; each has pure functions, and `section(material)` for the report that
`python -m analysis LIB -o report/` writes. It may import all of explorer; explorer never imports
it.

    contrast     does each caption find its own picture, and do words tell kinds of pictures apart?
    gap          how far do words lie from pictures, and does the prior carry them over?
    neighbours   are there hubs, copies, outliers and groups, and does the map show it?
    encoders     do two encoders see the same pictures alike?
    arithmetic   do sums and differences of points mean what they say?
    directions   is a text diff the same direction for every picture?
    concepts     which words is a point made of?
    binding      which word goes with which: positions, attributes and counts
    typography   does a word written on a picture change what it is taken for?
    diffusion    how does noise become a picture, step by step?
    pca          how many axes of the space does a picture need?
    roundtrip    where does a decode lie, and where is the decoder blind?
    support      how far is a point from anything real?
    smoothness   how even is a decoded path to the eye?

`material` is what they are asked of, `section` an answer, `statistics` and `figures` what they
share, `report` and `page` the report.
"""
