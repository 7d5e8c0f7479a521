"""RAE: its tokens and images are diffusers' own, whatever names its tensors have; what is refused.

The contract of decoders (test_contract.py) runs over a decoder of its tokens as well.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderRAE
from PIL import Image
from safetensors.torch import load_file, save_file
from test_contract import image
from test_models import write_folder
from tiny_rae import CONFIG, GRID, WIDTH, tiny_model, tiny_rae, write_decoder

from explorer.device import Device
from explorer.errors import QueryError, SpaceMismatch, UnknownModel, WeightsMissing
from explorer.models import load
from explorer.models.rae import WEIGHTS, codec_of, load_rae, releases
from explorer.models.trained import load_decoder
from explorer.training.noise_schedule import SCHEDULER, schedule_of_tokens


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rae") / "released"
    return folder, tiny_rae(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def pixels(count=2):
    size = 4 * GRID
    rows = [np.asarray(image(seed, (size, size))) for seed in range(count)]
    return torch.tensor(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def largest(first, second):
    return float((first - second).abs().max())


# Parity with diffusers


def test_tokens_and_images_are_those_of_diffusers(released):
    folder, theirs = released
    codec, seen = codec_of(f"rae:{folder}", "cpu"), pixels()
    with torch.inference_mode():
        tokens = theirs.encode(seen).latent
        assert tokens.shape[1:] == codec.latent_shape == (WIDTH, GRID, GRID)
        assert largest(codec.encode(seen), tokens) <= 1e-4
        assert largest(codec.decode(tokens) / 255, theirs.decode(tokens).sample) <= 1e-4
        assert largest(codec.encode(seen), codec.encode(seen)) == 0  # no noise is added


def test_in_8_bits_the_codec_and_the_encoder_stay_exact(released):
    """Points must not depend on how a decoder is stored."""
    folder, _ = released
    device = Device.of("cpu", weights="int8")
    before, after = codec_of(f"rae:{folder}", "cpu"), codec_of(f"rae:{folder}", device)
    assert torch.equal(before.encode(pixels()), after.encode(pixels()))
    whole, stored = (
        load(f"rae:{folder}", device="cpu", weights=weights).encoder for weights in (None, "int8")
    )
    assert (
        whole.encode_images([image(0)]).vectors == stored.encode_images([image(0)]).vectors
    ).all()


def test_the_tensors_of_an_older_transformers_are_not_left_at_random(released, tmp_path):
    """diffusers' own `from_pretrained` leaves them so, which the second half shows."""
    folder, theirs = released
    names = load_file(folder / WEIGHTS)
    assert "encoder.encoder.layer.0.attention.attention.query.weight" in names
    for name, tensor in load_rae(folder).state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    astray = AutoencoderRAE.from_pretrained(folder, low_cpu_mem_usage=False).eval()
    with torch.inference_mode():
        assert largest(astray.encode(pixels()).latent, theirs.encode(pixels()).latent) > 0.01
    theirs.save_pretrained(tmp_path)  # with the names of the transformers that is installed
    assert codec_of(f"rae:{tmp_path}", "cpu").latent_shape == (WIDTH, GRID, GRID)
    assert set(load_rae(tmp_path).state_dict()) == set(theirs.state_dict())


def test_a_mean_at_each_place_and_a_scale_are_taken_off_and_put_back(tmp_path):
    mean = torch.randn(WIDTH, GRID, GRID)
    theirs = tiny_rae(tmp_path, latents_mean=mean, scaling_factor=0.7)
    codec = codec_of(f"rae:{tmp_path}", "cpu")
    with torch.inference_mode():
        tokens = theirs.encode(pixels()).latent
        assert largest(codec.encode(pixels()), tokens) <= 1e-4
        assert largest(codec.decode(tokens) / 255, theirs.decode(tokens).sample) <= 1e-4


def test_a_point_is_the_class_token_at_the_encoders_own_size(released):
    folder, theirs = released
    encoder = load(f"rae:{folder}", device="cpu").encoder
    square = image(4, (224, 224))
    point = encoder.encode_images([square]).vectors
    seen = torch.tensor(np.asarray(square)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        tower = theirs.encoder(theirs._resize_and_normalize(seen)).last_hidden_state
    assert np.abs(point - tower[:, 0].numpy()).max() <= 1e-4
    assert encoder.space.dimension == WIDTH


# The decoder of its tokens


def test_a_decoder_of_tokens_ends_in_the_codecs_own_image(model):
    latents = torch.randn(1, *model.decoder.latent_shape)
    codec = codec_of(model.name, "cpu")
    with torch.inference_mode():
        (shown,) = model.decoder.to_image(latents)
        levels = codec.network.decode(latents).sample[0].clamp(0, 1) * 255
    assert np.abs(np.asarray(shown) - levels.permute(1, 2, 0).numpy()).max() <= 0.501
    assert not model.decoder.scheduler_config["clip_sample"]


def test_more_numbers_get_more_noise(model):
    from diffusers import DDIMScheduler

    plain = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod
    config = schedule_of_tokens((768, 16, 16))
    shifted = DDIMScheduler.from_config(config).alphas_cumprod
    ratio = ((1 - shifted) / shifted) / ((1 - plain) / plain)
    assert ratio[:900].numpy() == pytest.approx(np.full(900, 48.0), rel=0.02)
    assert config["trained_betas"] == json.loads(json.dumps(config))["trained_betas"]


def test_points_of_any_encoder_are_decoded_to_tokens(model, tmp_path):
    """A decoder for another CLIP, on the same codec."""
    clip = load(f"openclip:{write_folder(tmp_path / 'clip')}", device="cpu")
    folder = write_decoder(tmp_path / "decoder", clip, model.name)
    manifest = json.loads((folder / "decoder.json").read_text())
    assert load_decoder(folder, "cpu").space == clip.space
    points = clip.encoder.encode_images([image(1)])
    points = points.with_vectors(points.unit * manifest["norm_mean"])
    (shown,) = load_decoder(folder, "cpu").decode(points)
    assert shown.size == (4 * GRID, 4 * GRID)


# What is refused


def test_words_are_refused_with_what_to_do(model):
    with pytest.raises(QueryError, match="no words.*siglip-b-16"):
        model.encoder.encode_text("a cat")


def test_other_encoders_grids_variants_and_files_are_refused(released, tmp_path):
    folder, _ = released

    def changed(name, **values):
        copy = shutil.copytree(folder, tmp_path / name)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | values))
        return f"rae:{copy}"

    with pytest.raises(UnknownModel, match="siglip2.*transformers 5"):
        codec_of(changed("siglip", encoder_type="siglip2"), "cpu")
    with pytest.raises(WeightsMissing, match="32 × 32 tokens.*256 × 256"):
        codec_of(changed("large", encoder_input_size=448), "cpu")
    with pytest.raises(WeightsMissing, match="not that of an AutoencoderRAE"):
        codec_of(changed("other", _class_name="AutoencoderKL"), "cpu")
    with pytest.raises(WeightsMissing, match="not those of its configuration"):
        load_rae(tmp_path / changed("wide", decoder_hidden_size=64).rpartition("/")[2])
    with pytest.raises(UnknownModel, match="no variant 'siglip2'"):
        releases("siglip2")
    with pytest.raises(UnknownModel, match="no codec"):
        codec_of("karlo", "cpu")
    copy = shutil.copytree(folder, tmp_path / "pickled")
    (copy / WEIGHTS).rename(copy / "diffusion_pytorch_model.bin")
    with pytest.raises(WeightsMissing, match="Only safetensors"):
        load(f"rae:{copy}")


def test_a_codec_of_other_weights_or_of_strangers_is_refused(model, tmp_path, monkeypatch):
    tiny_rae(tmp_path / "rae")
    name = f"rae:{tmp_path / 'rae'}"
    clip = load(name, device="cpu")
    folder = write_decoder(tmp_path / "decoder", clip, name)
    load_decoder(folder, "cpu")
    tensors = load_file(tmp_path / "rae" / WEIGHTS)
    tensors["decoder.decoder_pred.bias"] += 1
    save_file(tensors, tmp_path / "rae" / WEIGHTS)
    with pytest.raises(WeightsMissing, match="not trusted"):
        load_decoder(folder, "cpu")
    load(name, device="cpu")  # a person names it
    with pytest.raises(WeightsMissing, match="was trained on weights of"):
        load_decoder(folder, "cpu")
    manifest = json.loads((folder / "decoder.json").read_text())
    manifest["codec"]["model"] = "rae"
    (folder / "decoder.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsMissing, match="starts no download.*unclip models get rae"):
        load_decoder(folder, "cpu")


def test_other_weights_of_the_encoder_are_another_space(released, model, tmp_path):
    tiny_rae(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    tensors["encoder.embeddings.cls_token"] += 1
    save_file(tensors, tmp_path / WEIGHTS)
    other = load(f"rae:{tmp_path}", device="cpu")
    first = load(f"rae:{released[0]}", device="cpu")
    assert first.space.fingerprint == model.space.fingerprint != other.space.fingerprint
    with pytest.raises(SpaceMismatch):
        next(model.decoder.decode(other.encoder.encode_images([Image.new("RGB", (9, 9))])))


def test_the_released_configuration_is_longer_than_others_and_read(tmp_path):
    """It holds a deviation for each of 196,608 numbers: 6 MB of JSON."""
    tiny_rae(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["latents_mean"] = np.zeros((768, 16, 16)).tolist()
    file.write_text(json.dumps(config, indent=8))
    assert file.stat().st_size > 1 << 21
    assert codec_of(f"rae:{tmp_path}", "cpu").side == CONFIG["patch_size"] * GRID
