"""IP-Adapter on Stable Diffusion 1.5 and SDXL: against diffusers' pipelines, and by its laws."""

import logging
import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as of_diffusers
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_ip_adapter import tiny_ip_adapter_sd15, tiny_ip_adapter_sdxl, write_adapter
from tiny_stable import tiny_stable_unclip
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from explorer.errors import WeightsMissing
from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.noise import Noise
from explorer.settings import Settings

TINY = {"ip-adapter-sd15": tiny_ip_adapter_sd15, "ip-adapter-sdxl": tiny_ip_adapter_sdxl}
WEIGHTS = {
    "ip-adapter-sd15": "models/ip-adapter_sd15.safetensors",
    "ip-adapter-sdxl": "sdxl_models/ip-adapter_sdxl.safetensors",
}
STEPS = 5


@pytest.fixture(scope="module", params=TINY)
def folder(request, tmp_path_factory):
    return TINY[request.param](tmp_path_factory.mktemp("pairs") / request.param)


@pytest.fixture(scope="module")
def model(folder):
    return load(folder.name, source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture
def decoder(model):
    return model.decoder.with_options()


def images(n):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(n)]
    return [image.resize((16, 16), Image.Resampling.BICUBIC) for image in small]


def latents(steps):
    *_, last = steps
    return last.latents


def far(a, b):
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


@pytest.fixture(scope="module")
def pipeline(folder):
    base, xl = folder / "base", folder.name.endswith("sdxl")
    kinds = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    if xl:
        kinds |= {"text_encoder_2": CLIPTextModelWithProjection}
    parts = {name: load_part(kind, base / name, "cpu", "float32") for name, kind in kinds.items()}
    parts["tokenizer"] = CLIPTokenizer.from_pretrained(base / "tokenizer")
    if xl:
        parts["tokenizer_2"] = CLIPTokenizer.from_pretrained(base / "tokenizer_2")
        parts["scheduler"] = EulerDiscreteScheduler.from_pretrained(base / "scheduler")
        pipeline = StableDiffusionXLPipeline(**parts)
    else:
        parts["scheduler"] = PNDMScheduler.from_pretrained(base / "scheduler")
        parts |= {"safety_checker": None, "feature_extractor": None}
        pipeline = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    subfolder, _, file = WEIGHTS[folder.name].partition("/")
    pipeline.load_ip_adapter(
        str(folder / "adapter"),
        subfolder=subfolder,
        weight_name=file,
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("words", [None, "dog"])
def test_images_are_those_of_diffusers_pipelines(
    n, guidance, words, pipeline, decoder, points, monkeypatch
):
    """Given several points diffusers mixes them (diffusers#9813), in a step left out here."""
    monkeypatch.setattr(pipeline, "prepare_ip_adapter_image_embeds", lambda _, given, *rest: given)
    pipeline.set_ip_adapter_scale(0.7)
    noise, z = Noise.random(range(n), (4, 8, 16)), torch.tensor(points[:n].vectors)[:, None]
    theirs = pipeline(
        prompt=["a red cat"] * n,
        negative_prompt=words and [words] * n,
        ip_adapter_image_embeds=[torch.cat([0 * z, z]) if guidance > 1 else z],
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        height=16,
        width=32,
        latents=torch.tensor(noise.latents),
        output_type="latent",
    ).images
    ours = decoder.with_options(
        prompt="a red cat", negative_prompt=words or "", scale=0.7, image_size=(32, 16)
    )
    steps = ours.trace(
        points[:n], Settings(guidance=guidance, solver="own", steps=STEPS), noise=noise
    )
    assert far(latents(steps), theirs) <= 1e-4
    assert theirs.std() > 0.1


def test_one_point_is_read_as_diffusers_reads_it(pipeline, decoder, points):
    """Without any of its steps out, and down to the pixels."""
    pipeline.set_ip_adapter_scale(1.0)
    z = torch.tensor(points[:1].vectors)[:, None]
    theirs = pipeline(
        prompt="",
        ip_adapter_image_embeds=[torch.cat([0 * z, z])],
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        latents=torch.tensor(Noise.random([3], decoder.latent_shape).latents),
        output_type="np",
    ).images[0]
    (ours,) = decoder.decode(points[0], Settings(seed=3, guidance=5.0, solver="own", steps=STEPS))
    assert far(ours, 255 * theirs) <= 0.51


def test_another_point_in_one_row_changes_that_row_alone(decoder, points):
    plain = latents(decoder.trace(points, Settings(steps=STEPS)))
    changed = latents(decoder.trace(points[[0, 0, 2]], Settings(steps=STEPS)))
    moved = [far(a, b) for a, b in zip(plain, changed, strict=True)]
    assert max(moved[0], moved[2]) <= 1e-5 and moved[1] > 0.1


def test_the_scale_says_how_much_the_point_counts(decoder, points):
    def apart(scale):
        scaled = decoder.with_options(scale=scale, prompt="a red cat")
        return far(*latents(scaled.trace(points[:2], Settings(steps=STEPS))))

    assert apart(0.0) <= 1e-5 < 0.01 < apart(0.2) < apart(1.0)


def test_copies_with_other_scales_do_not_disturb_each_other(decoder, points):
    weak, strong = (decoder.with_options(scale=scale) for scale in (0.1, 1.0))
    apart = [latents(d.trace(points, Settings(steps=STEPS))) for d in (weak, strong)]
    *_, last = zip(
        weak.trace(points, Settings(steps=STEPS)),
        strong.trace(points, Settings(steps=STEPS)),
        strict=True,
    )
    for step, alone in zip(last, apart, strict=True):
        assert far(step.latents, alone) <= 1e-5


def test_a_point_may_be_kept_away_from(decoder, points):
    plain = decoder.with_options(prompt="dog", negative_prompt="dog")
    away = plain.with_options(negative=points[1])
    assert far(*(latents(d.trace(points[0], Settings(steps=STEPS))) for d in (plain, away))) > 0.1
    guided = [latents(away.trace(points[1], Settings(guidance=g, steps=STEPS))) for g in (1.0, 5.0)]
    assert far(*guided) <= 1e-3


def test_loading_says_nothing(folder, points, capfd):
    """Nor through the handler that diffusers' logger has, which holds an older stderr."""
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    of_diffusers.add_handler(handler)
    next(load(folder.name, source=folder, device="cpu").decoder.decode(points, Settings(steps=2)))
    of_diffusers.remove_handler(handler)
    assert (said, capfd.readouterr()) == ([], ("", ""))


# Folders and files


def test_a_folder_that_lacks_a_part_says_which(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "base" / "vae")
    with pytest.raises(WeightsMissing, match="no folder vae"):
        load(folder.name, source=copy, device="cpu")
    shutil.rmtree(copy / "base")
    with pytest.raises(
        WeightsMissing, match="subfolder 'base'.* two: base, .*, and adapter, in that of h94"
    ):
        load(folder.name, source=copy, device="cpu")


def test_an_adapter_that_does_not_read_points_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "adapter" / WEIGHTS[folder.name]
    unet = load_part(UNet2DConditionModel, copy / "base" / "unet", "cpu", "float32")
    write_adapter(file, unet, dimension=8)
    with pytest.raises(WeightsMissing, match="points of 8 dimensions.* gives 24"):
        load(folder.name, source=copy, device="cpu")
    save_file({"image_proj.latents": torch.zeros(1, 16, 8)}, file)
    with pytest.raises(WeightsMissing, match="not a plain IP-Adapter.*plus"):
        load(folder.name, source=copy, device="cpu")
    shutil.rmtree(file.parent)
    with pytest.raises(WeightsMissing, match=file.parent.name):
        load(folder.name, source=copy, device="cpu")


def test_an_adapter_for_another_base_is_refused(points, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (other,) = TINY.keys() - {folder.name}
    theirs = TINY[other](tmp_path / "other") / "adapter" / WEIGHTS[other]
    shutil.copy(theirs, copy / "adapter" / WEIGHTS[folder.name])
    with pytest.raises(WeightsMissing, match="not an adapter for the UNet"):
        next(load(folder.name, source=copy, device="cpu").decoder.decode(points))


def test_another_adapter_is_another_fingerprint(folder, decoder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert load(folder.name, source=copy, device="cpu").decoder.fingerprint == decoder.fingerprint
    file = copy / "adapter" / WEIGHTS[folder.name]
    save_file({k: 2 * v for k, v in load_file(file).items()}, file)
    assert load(folder.name, source=copy, device="cpu").decoder.fingerprint != decoder.fingerprint


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    return tiny_ip_adapter_sdxl(tmp_path_factory.mktemp("xl"))


def test_with_bigg_the_bases_own_text_tower_reads_the_words(xl):
    encoder = load("ip-adapter-sdxl", source=xl, device="cpu").encoder
    words = encoder.encode_text(["a red cat", "dog"])
    tower = load_part(CLIPTextModelWithProjection, xl / "base" / "text_encoder_2", "cpu", "float32")
    tokenizer = CLIPTokenizer.from_pretrained(xl / "base" / "tokenizer_2")
    tokens = tokenizer(["a red cat", "dog"], padding="max_length", return_tensors="pt")
    assert far(words.vectors, tower(tokens.input_ids).text_embeds.detach()) <= 1e-5


def test_an_adapter_for_vit_h_reads_the_points_of_the_others_for_vit_h(xl, tmp_path):
    """One point through three decoders."""
    shutil.copytree(xl, tmp_path / "xl", ignore=shutil.ignore_patterns("ip-adapter_sdxl.safet*"))
    models = [
        load("ip-adapter-sdxl", source=tmp_path / "xl", device="cpu"),
        load("ip-adapter-sd15", source=tiny_ip_adapter_sd15(tmp_path / "sd"), device="cpu"),
        load("stable-unclip", source=tiny_stable_unclip(tmp_path / "unclip"), device="cpu"),
    ]
    assert {model.space for model in models} == {models[0].space}
    point = models[0].encoder.encode_images(images(1))
    painted = [next(model.decoder.decode(point, Settings(steps=STEPS))) for model in models]
    assert len({image.tobytes() for image in painted}) == 3
    assert load("ip-adapter-sdxl", source=xl, device="cpu").space != point.space


def test_weights_of_half_precision_do_where_they_are_alone(xl, tmp_path):
    half = shutil.copytree(xl, tmp_path / "half")
    for name in ("unet", "text_encoder", "text_encoder_2"):
        (file,) = (half / "base" / name).glob("*.safetensors")
        save_file(
            {k: v.half() for k, v in load_file(file).items()},
            file.with_suffix(".fp16.safetensors"),
            {"format": "pt"},
        )
        file.unlink()
    whole, rounded = (load("ip-adapter-sdxl", source=f, device="cpu") for f in (xl, half))
    point = whole.encoder.encode_images(images(1))
    both = [latents(m.decoder.trace(point, Settings(steps=STEPS))) for m in (whole, rounded)]
    assert 0 < far(*both) < 0.05 * far(both[0], 0)
    assert whole.decoder.fingerprint != rounded.decoder.fingerprint
