"""What makes indexing fast and may cost accuracy: small JPEG decodes, bfloat16 on the CPU."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from explorer.device import Device
from explorer.images import decode_image, full_size
from explorer.models import load
from explorer.models.openclip import OpenClipEncoder
from explorer.models.shared import bfloat16
from explorer.models.shared.folded import fold_norms


def photo(name="china.jpg", size=(1600, 1200), kind="JPEG", **how):
    image = Image.fromarray(load_sample_image(name)).resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, kind, **how)
    return content.getvalue()


@pytest.fixture(scope="module")
def pocket():
    return load("pocket", device="cpu").encoder.whole


# JPEG


@pytest.mark.parametrize(
    ("enough", "size"), [(None, 1600), (1300, 1600), (600, 800), (448, 800), (150, 200), (1, 200)]
)
def test_a_jpeg_is_decoded_at_the_least_size_that_has_enough(enough, size):
    image = decode_image(photo(), "a.jpg", enough=enough)
    assert image.size == (size, size * 3 // 4)
    assert full_size(image) == (1600, 1200)


def test_what_is_no_jpeg_is_decoded_as_it_is():
    assert decode_image(photo(kind="PNG"), "a.png", enough=100).size == (1600, 1200)


def test_a_jpeg_on_its_side_keeps_its_full_size_upright():
    sideways = Image.Exif()
    sideways[0x0112] = 6
    image = decode_image(photo(exif=sideways), "a.jpg", enough=300)
    assert (image.size, full_size(image)) == ((300, 400), (1200, 1600))


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_point_is_the_same_from_a_smaller_decode(name, pocket):
    data = photo(name, (3000, 2000), quality=90)
    (read,) = pocket.embed([data])
    whole = pocket.encode_images(decode_image(data, "a.jpg")).unit[0]
    assert (read.width, read.height) == (3000, 2000)
    assert whole @ read.vector / np.linalg.norm(read.vector) >= 0.999
    assert np.allclose(pocket.encode_images(data).vectors[0], read.vector, atol=1e-4)


# bfloat16


@pytest.fixture(scope="module")
def half(pocket):
    """Pocket's tower in bfloat16, as nobody asks for it: a trained tower."""
    fresh = load("pocket", device=Device("cpu")).encoder.whole
    return OpenClipEncoder(fresh.module, fresh.tokenizer, fresh.space, "bfloat16")


@pytest.fixture(scope="module")
def drawings():
    from explorer.samples import sample_library

    library = sample_library()
    return [library.open_image(row) for row in range(0, len(library), len(library) // 30)]


def test_bfloat16_turns_points_by_less_than_a_cosine_of_0999(half, pocket, drawings):
    exact, near = (e.encode_images(drawings) for e in (pocket, half))
    assert half.precision == "bfloat16" and pocket.precision == "float32"
    assert np.abs(near.vectors - exact.vectors).max() > 0
    assert (exact.unit * near.unit).sum(axis=1).min() >= 0.999


def test_in_bfloat16_a_point_depends_on_its_own_image_alone(half, drawings):
    together = half.encode_images(drawings).vectors
    for some in (slice(3, 4), slice(5, 12), slice(1, 30)):
        assert np.array_equal(half.encode_images(drawings[some]).vectors, together[some])


def test_a_tower_that_bfloat16_would_ruin_stays_as_it_is(monkeypatch):
    class Fragile(torch.nn.Module):
        def forward(self, pixels):
            return (pixels + 1000 - 1000).mean((2, 3))

    monkeypatch.setattr(bfloat16, "has_units", lambda: True)
    monkeypatch.setattr(bfloat16, "LEAST_PARAMETERS", 0)
    assert bfloat16.cosine_of(Fragile(), Fragile(), (32, 32)) < 0.999
    assert bfloat16.halved(Fragile(), (32, 32)) is None
    robust = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    assert bfloat16.halved(robust, (32, 32)) is not None
    monkeypatch.setattr(bfloat16, "has_units", lambda: False)
    assert bfloat16.halved(robust, (32, 32)) is None


@pytest.mark.parametrize(
    ("able", "units"), [({"amx_bf16": True}, True), ({"avx512_bf16": True}, True), ({}, False)]
)
def test_bfloat16_is_taken_where_the_processor_multiplies_in_it(monkeypatch, able, units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert bfloat16.has_units() == units


def test_small_towers_and_devices_with_a_limit_stay_in_float32(pocket):
    assert bfloat16.halved(pocket.module.visual, (64, 64)) is None
    limited = load("pocket", device=Device("cpu", memory=10**9)).encoder.whole
    again = OpenClipEncoder(limited.module, limited.tokenizer, limited.space, on=limited.on)
    assert again.precision == "float32"


# folded norms


def test_a_tower_with_folded_norms_gives_the_same_vectors(drawings):
    fresh = load("pocket", device=Device("cpu")).encoder.whole
    encoder = OpenClipEncoder(fresh.module, fresh.tokenizer, fresh.space)
    pixels = torch.from_numpy(np.stack([encoder.preprocess(d.convert("RGB")) for d in drawings]))
    with torch.inference_mode():
        plain = encoder.module.encode_image(pixels).numpy()
    norms = [m for m in encoder.module.visual.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and encoder.precision == "float32"
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in encoder.module.visual.modules())
    found = encoder.embed_pixels(pixels.numpy())
    assert 0 < np.abs(found - plain).max() < 1e-5 * np.abs(plain).max()


def test_towers_that_train_or_have_other_layers_keep_their_norms():
    from open_clip.modified_resnet import ModifiedResNet

    training = ModifiedResNet([1, 1, 1, 1], 8, 2, image_size=32, width=8).train()
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).eval()
    for tower in (training, other):
        assert not fold_norms(tower)
        assert any(isinstance(m, torch.nn.BatchNorm2d) for m in tower.modules())
