"""Weights in 8 bits: how far decoders stay from full precision, what is left alone, and bytes."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from families import SIZES, WRITERS
from test_contract import image
from torch import nn
from typer.testing import CliRunner

from explorer import cli, sampler
from explorer.app.state import AppConfig
from explorer.device import Device, offload_layers, quantization
from explorer.device.footprint import footprint, outline, weight_bytes
from explorer.device.quantization import INSTALL, KINDS, check_weights, quantize
from explorer.errors import ExplorerError, QueryError
from explorer.models import load
from explorer.models.plan import _in_8_bits
from explorer.settings import Settings

TOLERANCE = {"int8": 0.02, "fp8": 0.08}  # of latents against full precision, as docs/howto says
LEVELS = {"int8": 0.5, "fp8": 1.0}  # of 255, on average over pocket's pixels
WORDS = ["a red heart", "a cat", "a house", "a yellow flower"]


def decoded(model):
    """Return the points, latents after 10 steps, and what the networks are."""
    decoder, name = model.decoder, model.name.partition(":")[0]
    if name in SIZES:
        decoder = decoder.with_options(image_size=SIZES[name])
    points = model.encoder.encode_images([image(seed) for seed in range(2)])
    steps = decoder.trace(points, Settings(steps=10, seed=3))
    latents = sampler.last(steps).latents
    decoder.to_image(latents)
    return points, latents, model.encoder.on._loaded


def is_quantized(network):
    return any(type(p).__module__.startswith("torchao") for p in network.parameters())


@pytest.mark.parametrize("name", WRITERS)
def test_latents_stay_within_the_tolerance_and_points_as_they_are(name, tmp_path):
    source = WRITERS[name](tmp_path / name)
    points, exact, whole = decoded(load(name, source=source, device="cpu"))
    for weights in KINDS:
        model = load(name, source=source, device="cpu", weights=weights)
        same, latents, networks = decoded(model)
        error = ((latents - exact).norm() / exact.norm()).item()
        assert 0 < error <= TOLERANCE[weights]
        assert (same.vectors == points.vectors).all()
        assert networks.keys() == whole.keys()
        for key, network in networks.items():
            towers = key.partition(" ")[0].endswith(("image_encoder", "vae", "movq", "vqgan"))
            assert not (towers and is_quantized(network))
        assert any(map(is_quantized, networks.values()))
        assert sum(map(weight_bytes, networks.values())) < sum(map(weight_bytes, whole.values()))


def test_trained_weights_stay_closer_and_their_prior_is_exact():
    """Of pocket, the only trained weights that are here."""
    exact = load("pocket", device="cpu")
    points = exact.prior.sample(WORDS)

    def pixels(model):
        return np.stack([*map(np.asarray, model.decoder.decode(points, Settings(seed=1)))], 0)

    before = pixels(exact).astype(float)
    for weights in KINDS:
        model = load("pocket", device="cpu", weights=weights)
        assert (model.prior.sample(WORDS).vectors == points.vectors).all()
        off = np.abs(pixels(model) - before).mean()
        assert 0 < off <= LEVELS[weights]


@pytest.mark.parametrize("weights", KINDS)
def test_the_planned_bytes_are_those_that_it_takes(weights):
    for kind in (torch.float32, torch.float16):
        network = nn.Sequential(nn.Linear(64, 48), nn.Conv2d(3, 8, 3), nn.LayerNorm(48)).to(kind)
        saved, unpacked = _in_8_bits(network)
        before, after = weight_bytes(network), weight_bytes(quantize(network, weights))
        zero_points = 0 if weights == "int8" else 48  # which fp8 has none of
        assert before - after == saved + zero_points
        assert unpacked == 64 * 48 * kind.itemsize


@pytest.mark.parametrize("weights", KINDS)
def test_quantized_networks_have_outlines_and_go_layer_by_layer(weights):
    network = quantize(nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 4)), weights)
    x = torch.randn(3, 16)
    with torch.inference_mode():
        expected = network(x)
    empty = outline(network)
    assert weight_bytes(empty) == weight_bytes(network)
    assert footprint(lambda: empty(x.to("meta"))).flops == 2 * 3 * (16 * 32 + 32 * 4)
    elsewhere = copy.deepcopy(network)
    offload_layers(network, "cpu")
    offload_layers(elsewhere, "meta")
    with torch.inference_mode():
        assert (network(x) == expected).all()
        assert elsewhere(x.to("meta")).device.type == "meta"
    assert all(p.device.type == "cpu" for p in elsewhere.parameters())
    assert is_quantized(elsewhere)


def test_they_take_turns_within_a_limit_of_memory(tmp_path):
    source = WRITERS["stable-unclip-small"](tmp_path / "small")
    free = load("stable-unclip-small", source=source, device="cpu", weights="int8")
    held = load(
        "stable-unclip-small", source=source, device="cpu", weights="int8", memory=1_500_000
    )
    assert (decoded(free)[1] - decoded(held)[1]).abs().max() <= 1e-4


def test_other_words_and_a_missing_package_are_told(monkeypatch):
    with pytest.raises(QueryError, match="weights are int8 or fp8, not 'int4'"):
        load("pocket", device="cpu", weights="int4")
    with pytest.raises(QueryError, match="int8 or fp8"):
        AppConfig(weights="half")
    monkeypatch.setattr(quantization, "find_spec", lambda _: None)
    with pytest.raises(ExplorerError, match="torchao, which is not installed") as told:
        Device.of("cpu", weights="int8")
    assert INSTALL in str(told.value)
    assert check_weights("") == ""


@pytest.mark.parametrize("more", [(), ("--weights", "int8")])
def test_torchao_says_nothing_of_itself(more, tmp_path):
    """diffusers imports it wherever it is installed, and three lines of it reached the terminal.

    They come from log handlers of their own, so only another process shows them.
    """
    words = ["decode", "a red heart", "--preview", *more, "-o", str(tmp_path / "heart.png")]
    run = subprocess.run(
        [sys.executable, "-m", "explorer", *words], capture_output=True, text=True, check=True
    )
    assert "torchao" not in run.stderr and "register_constant" not in run.stderr


def test_the_command_line_and_the_dashboard_take_it(tmp_path):
    words = ["decode", "a red heart", "--weights", "int8", "--preview"]
    run = CliRunner().invoke(cli.unclip, [*words, "-o", str(tmp_path / "heart.png")])
    assert run.exit_code == 0, run.output
    wrong = CliRunner().invoke(cli.unclip, [*words[:3], "int4", "-o", "heart.png"])
    assert wrong.exit_code == 2 and "int8 or fp8" in wrong.stderr
    config = AppConfig(weights="fp8", memory="8GB")
    assert AppConfig.read(config.words()) == config
