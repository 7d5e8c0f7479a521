"""How pocket was made: images from openly licensed packages, a CLIP, an unCLIP decoder, a prior.

    python -m pocket.train --minutes 120      # from an empty folder to weights

This package knows nothing of libraries, doors and maps.
"""
