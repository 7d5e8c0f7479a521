"""What bounds the ratios of `make bench`: the networks and the reading alone, in one thread.

    python benchmarks/bounds.py

Prints milliseconds of CPU an image, the least of several calls. Batches are of 8.
"""

import sys

from scale_paper import HERE, least

BATCH = 8


def pocket():
    """Measure pocket's image tower and its UNet, alone and in a batch."""
    import numpy as np
    import torch

    import explorer as ex

    model, found = ex.load("pocket", device="cpu"), {}
    decoder = model.decoder
    for count in (1, BATCH):
        pixels = np.zeros((count, 3, 64, 64), np.float32)
        found[f"pocket's image tower, batch of {count}"] = (
            least(lambda p=pixels: model.encoder.embed_pixels(p), 12) / count
        )
        vectors = np.random.default_rng(0).normal(size=(count, model.space.dimension))
        with torch.inference_mode():
            sides = decoder.condition(ex.Points(vectors, model.space, "image"))
            both = {name: torch.cat([side[name] for side in sides]) for name in sides[0]}
            latents = torch.zeros(2 * count, *decoder.latent_shape)
            t = torch.full((2 * count,), 500)
            for dtype in (torch.float32, torch.bfloat16):
                name = f"pocket's UNet with guidance, {str(dtype)[6:]}, batch of {count}"
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    found[name] = least(lambda a=(latents, t, both): decoder.predict(*a), 6) / count
    half = model.encoder.whole.module.visual.to(torch.bfloat16)  # last, as it stays so
    pixels = torch.zeros(BATCH, 3, 64, 64, dtype=torch.bfloat16)
    with torch.inference_mode():
        found[f"pocket's image tower, bfloat16, batch of {BATCH}"] = (
            least(lambda: half(pixels), 12) / BATCH
        )
    return found


def photographs():
    """Measure a ViT-B-32 of random weights, and the reading of a photograph of 12 megapixels."""
    import open_clip
    import torch

    from explorer.images import decode_image

    sys.path.insert(0, str(HERE / "rows"))
    from index_photos import photograph

    module, pixels = open_clip.create_model("ViT-B-32").eval(), torch.rand(BATCH, 3, 224, 224)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        module, pixels = module.to(dtype), pixels.to(dtype)  # autocast would convert at every call
        with torch.inference_mode():
            taken = least(lambda m=module, p=pixels: m.encode_image(p), 6) / BATCH
        found[f"ViT-B-32, {str(dtype)[6:]}, batch of {BATCH}"] = taken
    large = photograph(0)
    for name, enough in (("in full", None), ("at the size that is asked for", 448)):
        found[f"12 megapixels read {name}"] = least(
            lambda e=enough: decode_image(large, "", enough=e), 5
        )
    return found


def main():
    """Print a table."""
    import torch

    torch.set_num_threads(1)
    print("| one thread | ms of CPU an image |\n|---|---|")
    for name, value in {**pocket(), **photographs()}.items():
        print(f"| {name} | {value:.1f} |")


if __name__ == "__main__":
    main()
