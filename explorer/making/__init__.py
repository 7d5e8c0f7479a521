"""Making pictures and videos: what the command line and the dashboard both do.

`plans` goes from what was asked for to a Recipe, `frames` from decoded frames to files.
"""
