"""XLabs' IP-Adapter on FLUX with tiny random networks, in the layout of the released repositories.

The transformer and T5 lie in several files, as released.
"""

import json

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from safetensors.torch import save_file
from tiny_clip import DIMENSION, LENGTH, save, write_clip
from tiny_stable import AUTOENCODER, WIDTH, write_texts
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from transformers import T5Config, T5EncoderModel

from explorer.models.flux_ip_adapter import ADAPTER

WORDS = 32  # width of T5's states
HEADS, HEAD = 2, 12
CHANNELS = 4  # of the latents
TRANSFORMER = {
    "in_channels": 4 * CHANNELS,
    "num_layers": 2,
    "num_single_layers": 1,
    "attention_head_dim": HEAD,
    "num_attention_heads": HEADS,
    "joint_attention_dim": WORDS,
    "pooled_projection_dim": WIDTH,
    "guidance_embeds": True,
    "axes_dims_rope": (4, 4, 4),
}
SCHEDULER = {  # as released
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
SHARD = "40KB"


def tiny_flux_ip_adapter(folder):
    """Write what `flux-ip-adapter` reads: base, adapter and towers."""
    base = folder / "base"
    write_clip(folder / "towers", preprocess="image_processor")
    write_texts(base)
    write_t5(base)
    transformer = FluxTransformer2DModel(**TRANSFORMER)
    save(transformer, base / "transformer")
    near_its_input(transformer)
    in_shards(transformer, base / "transformer")
    codec = AUTOENCODER | {"latent_channels": CHANNELS}
    more = {"scaling_factor": 0.3611, "shift_factor": 0.1159}
    save(AutoencoderKL(**codec, **more), base / "vae")
    FlowMatchEulerDiscreteScheduler(**SCHEDULER).save_pretrained(base / "scheduler")
    write_adapter(folder / "adapter" / ADAPTER)
    return folder


def near_its_input(transformer):
    """Keep the output small, so that inversion converges, as with a trained one."""
    transformer.proj_out.weight.data *= 0.25


def in_shards(network, folder):
    for file in folder.glob("*.safetensors"):
        file.unlink()
    network.save_pretrained(folder, max_shard_size=SHARD)


def write_t5(base):
    letters = [(letter, -2.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    tokenizer = Tokenizer(Unigram([*special, *letters], unk_id=2))
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    (base / "tokenizer_2").mkdir(parents=True)
    tokenizer.save(str(base / "tokenizer_2" / "tokenizer.json"))
    config = {
        "eos_token": "</s>",
        "extra_ids": 0,
        "model_max_length": LENGTH,
        "pad_token": "<pad>",
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>",
    }
    (base / "tokenizer_2" / "tokenizer_config.json").write_text(json.dumps(config))
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=len(special) + len(letters),
            d_model=WORDS,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )
    save(t5, base / "text_encoder_2")
    in_shards(t5, base / "text_encoder_2")


def write_adapter(file, dimension=DIMENSION):
    """Write an adapter for the transformer, under XLabs' names."""
    generator = torch.Generator().manual_seed(2)
    inner = HEADS * HEAD

    def layer(name, rows, columns):
        weight = torch.randn(rows, columns, generator=generator) * columns**-0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(rows)}

    tensors = layer("ip_adapter_proj_model.proj", 4 * WORDS, dimension)
    tensors["ip_adapter_proj_model.norm.weight"] = torch.ones(WORDS)
    tensors["ip_adapter_proj_model.norm.bias"] = torch.zeros(WORDS)
    for i in range(TRANSFORMER["num_layers"]):
        for part in "kv":
            name = f"double_blocks.{i}.processor.ip_adapter_double_stream_{part}_proj"
            tensors |= layer(name, inner, WORDS)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
