"""Kandinsky 2.1: its parts against diffusers' Kandinsky pipelines, and the words beside a point."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    KandinskyInpaintPipeline,
    KandinskyPipeline,
    KandinskyPriorPipeline,
    UNet2DConditionModel,
    VQModel,
)
from diffusers.pipelines.kandinsky.text_encoder import MultilingualCLIP
from PIL import Image
from test_kandinsky import BATCHES, SEEDS, STEPS, corner, far, images, prior_agrees, traced
from tiny_kandinsky import write_scheduler
from tiny_kandinsky_2_1 import SCHEDULER, tiny_kandinsky_2_1
from transformers import (
    XLMRobertaTokenizer,
)

from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.settings import Settings

WORDS = {"prompt": "a red cat", "negative_prompt": "dog"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_kandinsky_2_1(tmp_path_factory.mktemp("kandinsky"))


@pytest.fixture(scope="module")
def model(folder):
    return load("kandinsky-2.1", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture
def decoder(model):
    return model.decoder.with_options(**WORDS)


def pipeline(kind, folder, part="decoder", **changes):
    """A pipeline that gives its latents; `changes` are of the scheduler."""
    theirs = kind(
        text_encoder=load_part(MultilingualCLIP, folder / "decoder/text_encoder", "cpu", "float32"),
        tokenizer=XLMRobertaTokenizer.from_pretrained(folder / "decoder/tokenizer"),
        unet=load_part(UNet2DConditionModel, folder / part / "unet", "cpu", "float32"),
        movq=load_part(VQModel, folder / "decoder/movq", "cpu", "float32"),
        scheduler=DDIMScheduler.from_config(SCHEDULER | changes),
    )
    theirs.set_progress_bar_config(disable=True)

    def call(**given):
        caught = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(theirs.movq, "decode", lambda x, **_: caught.append(x) or {"sample": x})
            theirs(**given, output_type="pt")
        return caught[0]

    return call


def asked(decoder, points, guidance, seeds):
    """What every pipeline is called with: its words and points, and one generator an image."""
    z, nothing = (side["image_embeds"] for side in decoder.condition(points))
    return {
        "prompt": [decoder.prompt] * len(points),
        "negative_prompt": [decoder.negative_prompt] * len(points),
        "image_embeds": z,
        "negative_image_embeds": nothing,
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
        "guidance_scale": guidance,
        "num_inference_steps": STEPS,
        "height": 64,
        "width": 64,
    }


@pytest.mark.parametrize(("n", "guidance"), [(1, 1.0), (1, 4.0), (3, 1.0), (3, 4.0)])
def test_images_are_those_of_diffusers_pipeline(n, guidance, folder, decoder, points):
    given = asked(decoder, points[:n], guidance, SEEDS[:n])
    expected = pipeline(KandinskyPipeline, folder)(**given)
    knobs = {"seed": SEEDS[:n], "guidance": guidance, "solver": "own"}
    assert far(traced(decoder, points[:n], **knobs), expected) <= 1e-4
    assert expected.std() > 0.1


def test_thresholding_is_done_as_in_diffusers_pipeline(folder, points, tmp_path):
    """The released scheduler may have it."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    changes = {"thresholding": True, "sample_max_value": 2.0}
    write_scheduler(copy / "decoder", SCHEDULER | changes)
    decoder = load("kandinsky-2.1", source=copy, device="cpu").decoder
    given = asked(decoder, points, 4.0, SEEDS)
    expected = pipeline(KandinskyPipeline, folder, **changes)(**given)
    assert far(traced(decoder, points, seed=SEEDS, solver="own"), expected) <= 1e-4


def test_the_network_for_inpainting_reads_and_gives_what_it_does_in_diffusers_pipeline(
    folder, decoder, points, monkeypatch
):
    """At every step; their pipeline lets the rest of the image drift, where ours puts it back."""
    calls, run = [], UNet2DConditionModel.forward

    def forward(self, sample, timestep, *words, **rest):
        (output,) = run(self, sample, timestep, *words, **rest)
        calls.append((sample, timestep, output))
        return (output,)

    given = asked(decoder, points[0], 4.0, SEEDS[:1]) | {"image": images(1)[0]}
    mask = np.asarray(corner(), np.float32) / 255
    with monkeypatch.context() as patch:
        patch.setattr(UNet2DConditionModel, "forward", forward)
        pipeline(KandinskyInpaintPipeline, folder, "inpaint")(**given, mask_image=mask)
    painter = decoder.painter()
    some, none = painter.condition(points[0])
    more = painter.inpainting_condition(images(1), [corner()])
    assert len(calls) == STEPS
    for sample, t, output in calls:
        for row, side in enumerate((none, some)):
            ours = painter.predict(sample[row : row + 1, :4], t[None], side | more)
            assert far(ours, output[row : row + 1]) <= 1e-4
        assert far(torch.cat([more["image"], more["kept"]], 1)[0], sample[0, 4:]) <= 1e-5


@BATCHES
def test_the_prior_and_the_point_of_no_image_are_diffusers(n, guidance, folder, model):
    assert prior_agrees(KandinskyPriorPipeline, folder / "prior", model, n, guidance)


def test_words_and_negative_words_matter_and_the_latter_only_under_guidance(model, points):
    plain = traced(model.decoder, points)
    for name, words in WORDS.items():
        changed = model.decoder.with_options(**{name: words})
        assert far(traced(changed, points), plain) > 1e-3
    negative = model.decoder.with_options(negative_prompt="dog")
    unguided = [traced(d, points, guidance=1) for d in (model.decoder, negative)]
    assert (unguided[0] == unguided[1]).all()


def test_points_and_words_are_turned_into_the_networks_precision(folder, points):
    decoder = load("kandinsky-2.1", source=folder, device="cpu").decoder
    decoder.dtype = "bfloat16"
    (frame,) = decoder.with_options(**WORDS).decode(points[0], Settings(steps=2))
    assert isinstance(frame, Image.Image)
