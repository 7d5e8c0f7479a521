"""Measure what explorer makes: nouns in, numbers, tables (pandas) and figures (matplotlib) out.

One module a question; each has pure functions, and `section(material)` for the report that
`python -m analysis LIB -o report/` writes. It may import all of explorer; explorer never imports
it.

    contrast     does each caption find its own picture, and do words tell kinds of pictures apart?
    gap          how far do words lie from pictures, and does the prior carry them over?
    neighbours   are there hubs, copies, outliers and groups, and does the map show it?

`material` is what they are asked of, `section` an answer, `statistics` and `figures` what they
share, `report` and `page` the report.
"""
