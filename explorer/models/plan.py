"""Plan: what every released family takes of a device's memory, computed from shapes alone.

Nothing is loaded: the networks are built on torch's meta device, and one call of each is followed
there. `Device` decides by the same amounts while it runs.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from explorer.device import USABLE
from explorer.device.footprint import footprint, weight_bytes
from explorer.models.shared import compressor
from explorer.models.shared.checkpoint import quiet
from explorer.models.shared.latent import TILE
from explorer.models.shared.released_networks import FAMILIES
from explorer.models.shared.released_shapes import Network

if TYPE_CHECKING:
    import torch

CLASSES = {"8 GB": 8 * 10**9, "12 GB": 12 * 10**9, "24 GB": 24 * 10**9}
ROWS = 8  # most images at once, as `Decoder.batch_size`
WAYS = ("all at once", "in turn", "in turn, in tiles", "layer by layer")


@dataclass(frozen=True)
class Part:
    """What one network of a family takes on an accelerator, where most run in half precision.

    Args:
        weights: bytes.
        work: bytes of one call for one image, beside the weights.
        tiled: the same where the autoencoder works in tiles.
        layer: bytes of its largest layer.
        flops: floating-point operations of that call.
        calls: how many there are for one image, by default.
        released: bytes of the network in the release.
        half: whether it runs in half precision.
        saved: bytes that its weights take less where linear layers are stored in 8 bits.
        unpacked: bytes of the largest of them, which is unpacked to be used; 0: it has none.
    """

    name: str
    weights: int
    work: int
    tiled: int = 0
    layer: int = 0
    flops: int = 0
    calls: int = 1
    released: int = 0
    half: bool = True
    saved: int = 0
    unpacked: int = 0


@dataclass(frozen=True)
class Fit:
    """How a family runs in an amount of memory.

    Args:
        way: one of `WAYS`; "": it does not run.
        peak: most bytes of the device at once, for one image.
        rows: how many images the UNet takes at once.
    """

    way: str
    peak: int
    rows: int


@cache
def parts_of(name: str) -> tuple[Part, ...]:
    """Return what the networks of a family take, in the order in which they run.

    Args:
        name: in `MODELS`, of a released family with a decoder.

    >>> 'karlo' in FAMILIES
    True
    """
    return tuple(_part(network) for network in FAMILIES[name]().networks)


def quantized(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return what they take with `--weights int8`.

    >>> quantized((Part("UNet", weights=600, work=100, saved=200, unpacked=50),))[0].weights
    400
    """
    return tuple(
        replace(
            p, weights=p.weights - p.saved, work=p.work + p.unpacked, tiled=p.tiled + p.unpacked
        )
        for p in parts
    )


def on_cpu(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return what they take on the CPU, where all run in float32 and no layer goes alone.

    >>> on_cpu((Part("UNet", weights=600, work=100),))[0].weights
    1200
    """
    twice = [(part, 2 if part.half else 1) for part in parts]
    return tuple(
        replace(p, weights=n * p.weights, work=n * p.work, tiled=n * p.tiled, layer=n * p.weights)
        for p, n in twice
    )


def fit(parts: tuple[Part, ...], memory: float) -> Fit:
    """Return how networks run in an amount of memory, in bytes, of which a part stays free.

    >>> part = Part("UNet", weights=600, work=200, tiled=100, layer=50)
    >>> [fit((part, part), memory).way for memory in (1800, 1000, 900, 300, 100)]
    ['all at once', 'in turn', 'in turn, in tiles', 'layer by layer', '']
    """
    limit = memory * USABLE
    for way in WAYS:
        if (peak := peak_of(parts, way, limit)) <= limit:
            unet = denoiser_of(parts)
            rows = (limit - unet.weights) // max(1, unet.work)
            return Fit(way, peak, int(max(1, min(ROWS, rows))))
    return Fit("", peak, 0)


def denoiser_of(parts: tuple[Part, ...]) -> Part:
    """Return the network that reads the point."""
    return next(part for part in parts if part.name.startswith(("UNet", "transformer")))


def peak_of(parts: tuple[Part, ...], way: str, limit: float = 0) -> int:
    """Return the most bytes that networks take at once in one of `WAYS`.

    Args:
        limit: layer by layer goes only what does not fit into as many bytes.
    """
    if way == WAYS[0]:
        return sum(part.weights for part in parts) + max(part.work for part in parts)
    if way == WAYS[1]:
        return max(part.weights + part.work for part in parts)
    whole = [part.weights + part.tiled for part in parts]
    if way == WAYS[2]:
        return max(whole)
    layers = (part.layer + part.tiled for part in parts)
    return max(w if w <= limit else n for w, n in zip(whole, layers, strict=True))


def smallest_class(parts: tuple[Part, ...]) -> str:
    """Return the smallest of `CLASSES` in which no network has to go layer by layer."""
    ways = {label: fit(parts, memory).way for label, memory in CLASSES.items()}
    return next((label for label, way in ways.items() if way in WAYS[:3]), "over 24 GB")


def _part(network: Network) -> Part:
    import torch

    with quiet():
        kind = torch.float16 if network.half else torch.float32
        module: Any = build(network).to(kind).eval()
    call = call_of(network, module, kind)
    done = footprint(call)
    tiled = done.peak
    if hasattr(module, "tile_latent_min_size"):
        module.use_tiling, module.tile_latent_min_size = True, TILE
        module.tile_sample_min_size = TILE * 8
        tiled = min(tiled, footprint(call).peak)
    layers = ((*m.parameters(recurse=False), *m.buffers(recurse=False)) for m in module.modules())
    saved, unpacked = (0, 0) if network.exact else _in_8_bits(module)
    return Part(
        network.part,
        weights=weight_bytes(module),
        work=done.peak,
        tiled=tiled,
        layer=max(sum(t.nbytes for t in layer) for layer in layers),
        flops=done.flops,
        calls=network.calls,
        released=_released(network, module),
        half=network.half,
        saved=saved,
        unpacked=unpacked,
    )


def _in_8_bits(module: "torch.nn.Module") -> tuple[int, int]:
    """Return the bytes that int8 saves on linear layers, and those of the largest, unpacked.

    A row of a weight has a scale of four bytes and a zero point of one.
    """
    import torch

    weights = [m.weight for m in module.modules() if isinstance(m, torch.nn.Linear)]
    saved = sum(w.nbytes - w.numel() - 5 * len(w) for w in weights)
    return saved, max((w.nbytes for w in weights), default=0)


def _released(network: Network, module: "torch.nn.Module") -> int:
    """Return the bytes of a network's parameters as released."""
    adapter = ("_ip.", "encoder_hid_proj") if network.adapter else ()
    return sum(
        p.numel() * (2 if network.stored and any(x in name for x in adapter) else network.stored)
        for name, p in module.named_parameters()
    )


def build(network: Network) -> "torch.nn.Module":
    """Return a network on the meta device."""
    import diffusers
    import open_clip
    import torch
    import transformers
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
    from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel

    kind, config = network.kind, network.config
    others = {"UnCLIPTextProjModel": UnCLIPTextProjModel, "PaellaVQModel": PaellaVQModel}
    with torch.device("meta"):
        if kind == "open_clip":
            return open_clip.CLIP(**open_clip.get_model_config(config["name"]))
        if kind == "XLMRobertaModel":
            return transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**config))
        if kind == "T5EncoderModel":
            return transformers.T5EncoderModel(transformers.T5Config(**config))
        if kind == "compressor":
            return compressor.network(16)
        if kind in others:
            return others[kind](**config)
        if kind.startswith("CLIP"):
            shape = "CLIPVisionConfig" if "Vision" in kind else "CLIPTextConfig"
            return getattr(transformers, kind)(getattr(transformers, shape)(**config))
        module = getattr(diffusers, kind)(**config)
        if network.adapter:
            module._load_ip_adapter_weights(
                [adapter_of(module, network.adapter)], low_cpu_mem_usage=False
            )
    return module


def adapter_of(network: Any, dimension: int) -> dict[str, Any]:
    """Return the tensors of an IP-Adapter for a network, as shapes: four tokens of a point."""
    import torch

    flux = "joint_attention_dim" in network.config
    width = network.config.joint_attention_dim if flux else network.config.cross_attention_dim
    image = {
        "proj.weight": torch.empty(4 * width, dimension),
        "proj.bias": torch.empty(4 * width),
        "norm.weight": torch.empty(width),
        "norm.bias": torch.empty(width),
    }
    if flux:
        shapes = {"weight": (network.inner_dim, width), "bias": (network.inner_dim,)}
        attention = {
            f"{i}.to_{half}_ip.{name}": torch.empty(shape)
            for i in range(network.config.num_layers)
            for half in "kv"
            for name, shape in shapes.items()
        }
        return {"image_proj": image, "ip_adapter": attention}
    layers = [m for name, m in network.named_modules() if name.endswith("attn2")]
    attention = {
        f"{2 * i + 1}.to_{half}_ip.weight": torch.empty(m.inner_dim, width)
        for i, m in enumerate(layers)
        for half in "kv"
    }
    return {"image_proj": image, "ip_adapter": attention}


def call_of(network: Network, module: Any, kind: "torch.dtype") -> Any:
    """Return the call of a network for one image, on the meta device."""
    import torch

    def made(name: str, shape: Any) -> Any:
        if shape is None:
            return None
        if isinstance(shape, dict):
            return {key: made(key, value) for key, value in shape.items()}
        if isinstance(shape, list):
            return [made(name, each) for each in shape]
        whole = name in ("tokens", "timestep")
        dtype = torch.int64 if whole else kind
        rows = () if name in ("img_ids", "txt_ids") else (network.sides,)
        return torch.empty(*rows, *shape, dtype=dtype, device="meta")

    inputs = {name: made(name, shape) for name, shape in network.inputs.items()}
    run = getattr(module, network.verb)
    more = {"force_not_quantize": True} if network.kind == "VQModel" else {}  # as decoders do
    if not inputs.keys().isdisjoint(("tokens", "latents", "pixels")):
        return lambda: run(*inputs.values(), **more)
    return lambda: run(**inputs) if inputs else None
