"""Measure what explorer makes: nouns in, numbers, tables (pandas) and figures (matplotlib) out.

`questions` has one module a question; each has pure functions, and `section(dataset)` for the
report that `python -m analysis LIB -o report/` writes. It may import all of explorer; explorer
never imports it, but for the dashboard's pages.

    contrast     does each caption find its own image, and do words tell kinds of images apart?
    gap          how far do words lie from images, and does the prior carry them over?
    arithmetic   is king - man + woman a queen, for words, for images and across both?
    directions   is a text diff one direction wherever it starts, and what else does it change?
    pca          what is decoded when a point keeps only its first principal components?
    roundtrip    does a decoded image show what its point says?
    support      how far do points lie from anything real?
    diffusion    how does noise become an image, and what comes back from a noised one?
    smoothness   how evenly do decoded frames change, and does re-timing even it out?
    typography   does a word written on an image decide what the model sees in it?
    binding      does the model know which thing has which colour, stands where, and how many?
    concepts     which words is a point made of, and can they be changed one by one?
    neighbours   are there hubs, copies, outliers and groups, and does the map show it?
    encoders     do two encoders arrange the same images alike, and can points cross?

Beside them stands what questions share:

    dataset      a library, the model of its Space, and how many of its images are looked at
    section      an answer, and its HTML; `page` and `report` put answers together
    figures      strips of images, matrices, lines, bars and histograms
    point_sets   points by where they come from: images, the map, words, chance
    chords       the straight line between two points against the great circle
    scenes       drawn pairs of images that differ in one binding
    trials       images with a true and a false caption, from published benchmarks
    vocabulary   the words that points are told in; `sparse` tells them, `autoencoder` needs none
    residuals    what one encoder knows that another does not
    judging      what a second encoder says of decodes

Intervals, recall and distances are in `explorer.metrics`.
"""
