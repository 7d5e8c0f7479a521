"""Train a decoder or a prior for the CLIP of a library, on what the library holds.

    decoder   images and points of a library -> a folder that `--decoder` takes
    prior     its captions and points -> a folder that `--prior` takes

`decoder_network` and `prior_network` are the networks and their losses, `dataset` reads a library's
images once, `run_folder` is the folder of a run that can be resumed, `loop` a run with a time
budget, `checkpoints` how weights are written.
"""
