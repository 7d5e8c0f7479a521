"""What is planned from shapes is what released weights weigh, and what networks really take."""

import json
import sys
from pathlib import Path

import pytest
import torch
from families import BY_TRAINING, SIZES, WRITERS
from test_contract import image
from test_device import profiled
from typer.testing import CliRunner

from explorer import cli, sampler
from explorer.device import USABLE
from explorer.models import MODELS, describe, load
from explorer.models.memory import memory_of, recorded_plans
from explorer.models.plan import (
    CLASSES,
    WAYS,
    fit,
    on_cpu,
    parts_of,
    peak_of,
    quantized,
    smallest_class,
)
from explorer.models.shared.hub import releases_of
from explorer.models.shared.released_networks import FAMILIES

ROOT = Path(__file__).parent.parent


def test_every_family_with_weights_to_fetch_and_a_decoder_is_planned():
    named = {card["name"] for card in describe() if card["decoder"]} | {*BY_TRAINING}
    assert {name for name in MODELS if name in named and releases_of(name)} == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_networks_add_up_to_the_sizes_of_the_repositories(name):
    planned = sum(part.released for part in parts_of(name)) / 1e6
    there = sum(release.megabytes for release in releases_of(name))
    assert planned == pytest.approx(there, rel=0.002)  # tokenizers are beside them


def test_what_is_shown_is_what_is_planned(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from decoder_memory import PAGE, gpu_table, int8_table, parts_table, record

    plans = {name: parts_of(name) for name in FAMILIES}
    assert recorded_plans() == {name: record(parts) for name, parts in plans.items()}
    page = PAGE.read_text()
    assert gpu_table(plans) in page
    assert int8_table(plans) in page
    assert parts_table(plans) in page
    del sys.modules["decoder_memory"]


def test_less_memory_takes_less_at_once_and_more_never_hurts():
    for name in FAMILIES:
        parts = parts_of(name)
        peaks = [peak_of(parts, way) for way in WAYS]
        assert peaks == sorted(peaks, reverse=True)
        found = [fit(parts, gigabytes * 1e9) for gigabytes in range(1, 40)]
        known = [WAYS.index(each.way) for each in found if each.way]
        assert known == sorted(known, reverse=True)
        assert all(each.peak <= (i + 1) * 1e9 * USABLE for i, each in enumerate(found) if each.way)
        assert peak_of(on_cpu(parts), WAYS[0]) > peaks[0]


def test_every_family_decodes_on_a_card_of_8_gb():
    ways = {name: fit(parts_of(name), CLASSES["8 GB"]).way for name in FAMILIES}
    assert ways.pop("stable-cascade") == "layer by layer"  # stage C alone has 7.2 GB
    assert ways.pop("flux-ip-adapter") == "layer by layer"  # its transformer has 24.8 GB
    assert set(ways.values()) == {"all at once", "in turn"}


def test_int8_takes_less_of_the_networks_that_it_may_store_so():
    for name in FAMILIES:
        exact = parts_of(name)
        for before, after in zip(exact, quantized(exact), strict=True):
            same = before.name in ("image tower", "text tower", "words", "prior", "autoencoder")
            assert (after.weights == before.weights) == (same or before.name == "compressor")
    smallest = {
        name: (smallest_class(parts_of(name)), smallest_class(quantized(parts_of(name))))
        for name in ("stable-cascade", "flux-ip-adapter")
    }
    assert smallest == {
        "stable-cascade": ("12 GB", "8 GB"),
        "flux-ip-adapter": ("over 24 GB", "24 GB"),
    }
    assert "or 8 GB with --weights int8" in memory_of("stable-cascade")


@pytest.mark.parametrize("name", WRITERS)
def test_the_planned_work_of_tiny_networks_is_what_the_allocator_gives_out(name, tmp_path):
    model = load(name, source=WRITERS[name](tmp_path / name), device="cpu", memory="2GB")
    decoder, device = model.decoder, model.encoder.on
    if name in SIZES:
        decoder = decoder.with_options(image_size=SIZES[name])
    points = model.encoder.encode_images([image(0)])
    with torch.inference_mode():
        conditions = decoder.condition(points)
    channels, height, width = decoder.latent_shape
    shape = channels, 4 * height, 4 * width  # so that kernels' own workspaces, 90 kB, are little
    call = sampler.on_meta(decoder.predict, conditions, 3.0, shape, torch.float32)
    assert device.rows("once", call, 8) == 8
    both = {k: torch.cat([v, v]) for k, v in conditions[0].items()}
    latents, t = torch.randn(2, *shape), torch.ones(2)
    measured = profiled(lambda: decoder.predict(latents, t, both))
    assert device._work["once"].peak == pytest.approx(measured, rel=0.15)


def test_models_says_how_much_memory_they_take():
    run = CliRunner()
    text = run.invoke(cli.unclip, ["models"]).stdout
    assert f"  memory, as planned: {memory_of('kandinsky-2.2')}" in text.splitlines()
    assert "a GPU with 8 GB (in turn)" in memory_of("kandinsky-2.2")
    cards = json.loads(run.invoke(cli.unclip, ["models", "--json"]).stdout)
    plans = {card["name"]: card.get("memory") for card in cards}
    assert plans["pocket"] is None
    assert plans["karlo"]["ways"]["24 GB"] == "all at once"
