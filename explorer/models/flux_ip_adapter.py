"""XLabs' IP-Adapter on FLUX.1 [dev]: points of OpenAI's ViT-L/14 besides text, 1024 × 1024 pixels.

FLUX predicts a velocity (`shared.flow`); here its latents are scaled to unit variance.

It consists of three repositories. A local folder has a subfolder in the layout of each: `base`,
`adapter` and `towers`.

Source: diffusers' FluxPipeline with `load_ip_adapter`.
"""

import math
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import QueryError, WeightsMissing
from explorer.models import Card, Model
from explorer.models.kandinsky import TOWERS, Parts
from explorer.models.shared import flow
from explorer.models.shared.checkpoint import load_part, load_tokenizer, placed, quiet, read_config
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.latent import LatentDecoder
from explorer.models.shared.manifest import digest
from explorer.models.shared.text_notes import clean_texts
from explorer.points import Points

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "flux-ip-adapter"
SPACE = "openclip:ViT-L-14/openai"
LICENCE = "FLUX.1 [dev] Non-Commercial License"
ADAPTER = "flux-ip-adapter.safetensors"
PARTS = Parts(
    NAME,
    "base, adapter and towers",
    {
        "base": Release(
            "black-forest-labs/FLUX.1-dev",
            "3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
            (
                *("tokenizer/*", "tokenizer_2/*", "text_encoder/*", "text_encoder_2/*"),
                *("transformer/*", "scheduler/*", "vae/*"),
            ),
            33741,
            LICENCE,
        ),
        "adapter": Release(
            "XLabs-AI/flux-ip-adapter",
            "95f849a432536003f9f714147b09baae20938045",
            (ADAPTER,),
            982,
            LICENCE,
        ),
        "towers": Release(  # which hold the same ViT-L/14 in diffusers' layout
            "kandinsky-community/kandinsky-2-1-prior",
            "b726af62d69111bbf62b5d71bb9d90d9867fbce4",
            TOWERS,
            1710,
            "Apache-2.0",
        ),
    },
    main=("base", "adapter", "towers"),
)
PATCH = 2  # latent cells of a side of one token


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder with `base`, `adapter` and `towers`.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    base, adapter, towers = (PARTS.folder(part, variant) for part in PARTS.main)
    encoder = load_towers(
        SPACE,
        image=towers / "image_encoder",
        text=towers / "text_encoder",
        tokenizer=towers / "tokenizer",
        preprocess=towers / "image_processor",
        device=device,
    )
    decoder = FluxIpAdapter(base, adapter / ADAPTER, encoder, device)
    return Model(NAME, encoder.space, encoder, decoder=decoder)


def card() -> Card:
    """Describe the base and the adapter as released."""
    return released_card(NAME, SPACE, 768, LICENCE, releases(""))


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories; a local folder has none."""
    return PARTS.needed(variant)


class FluxIpAdapter(LatentDecoder):
    """A transformer whose attention reads four tokens of the point besides those of the text.

    The unconditional input is the point of a black image, or the option `negative`, beside the
    option `negative_prompt`; guidance is what diffusers calls `true_cfg_scale`.

    Raises:
        WeightsMissing: a configuration is missing, or the adapter reads other points.
    """

    choices: ClassVar = {
        "prompt": "text besides the point, up to 512 tokens",
        "negative_prompt": "negative text for guidance above 1",
        "image_size": "width and height in pixels, multiples of 16",
        "scale": "weight of the point against the text; 1 is usual, 0 ignores the point",
        "negative": "negative point for guidance, instead of a black image's",
        "distilled_guidance": "guidance that the network was trained to imitate; 3.5 is usual",
    }
    codec, denoiser = "vae", "transformer"
    steps, guidance = 25, 4.0
    prompt = negative_prompt = ""
    scale, distilled_guidance = 1.0, 3.5
    negative: Points | None = None

    def __init__(
        self, folder: FilePath, adapter: FilePath, encoder: Encoder, device: Device
    ) -> None:
        super().__init__(folder, encoder.space, NAME, device)
        if self.dtype == "float16":
            self.dtype = "bfloat16"  # T5 overflows in float16
        self._noise = read_config(folder / "scheduler" / "scheduler_config.json")
        self._folder, self._adapter, self._encoder = folder, adapter, encoder
        state, width = _read_adapter(adapter)["image_proj"], encoder.space.dimension
        if (reads := state["proj.weight"].shape[1]) != width:
            raise WeightsMissing(
                f"{adapter} reads points of {reads} dimensions, but its image tower gives {width}. "
                "Use an adapter and an image tower that belong together."
            )

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        shards = sorted((self._folder / "transformer").glob("*.safetensors"))
        return digest(*shards, self._adapter)

    def _check_option(self, name: str, value: Any) -> None:
        if name == "distilled_guidance":
            name = "scale"  # a finite number
        super()._check_option(name, value)
        step = PATCH * self._cell
        if name == "image_size" and any(side % step for side in value):
            raise QueryError(f"image_size is {value}, but must be multiples of {step}.")

    @property
    def scheduler_config(self) -> dict[str, Any]:  # type: ignore[override]
        return flow.discrete(self._noise, self._image_tokens)

    @property
    def _image_tokens(self) -> int:
        return math.prod(self.latent_shape[1:]) // PATCH**2

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)
        away = self._black if self.negative is None else self.negative.vectors
        nothing = torch.tensor(away, device=self.device).expand_as(z)
        some, none = (
            {"point": side[:, None], **{k: v.expand(len(z), *v.shape[1:]) for k, v in text.items()}}
            for side, text in (
                (z, self._read(self.prompt)),
                (nothing, self._read(self.negative_prompt)),
            )
        )
        return some, none

    @cached_property
    def _black(self) -> Any:
        return self._encoder.encode_images([Image.new("RGB", (64, 64))]).vectors

    def _read(self, text: str) -> "Condition":
        """Return what the transformer reads of a text, one row: CLIP's point and T5's states."""
        states = self._network("text_encoder_2")(self._tokens(text, "_2"))[0]
        pooled = self._network("text_encoder")(self._tokens(text, "")).pooler_output
        return {"pooled": pooled, "words": states}

    def _tokens(self, text: str, ending: str) -> "torch.Tensor":
        kind = "T5Tokenizer" if ending else "CLIPTokenizer"
        tokenizer = load_tokenizer(self._folder / f"tokenizer{ending}", kind)
        tokens = tokenizer(
            clean_texts([text], tokenizer.model_max_length),
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.device)

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        import torch
        from diffusers import FluxPipeline

        n, channels, height, width = latents.shape
        noise = flow.share_of_noise(t.float(), self._noise, self._image_tokens)
        unit = ((1 - noise) ** 2 + noise**2).sqrt()[:, None, None, None]
        inputs = {k: v.to(latents.dtype) for k, v in condition.items()}
        network, size = self._network("transformer"), (height // PATCH, width // PATCH)
        for layer in network.of_adapter:
            layer.scale = [self.scale]
        line = (latents.float() * unit).to(latents.dtype)
        velocity = network(
            FluxPipeline._pack_latents(line, n, channels, height, width),
            inputs["words"],
            inputs["pooled"],
            noise.to(latents.dtype),
            FluxPipeline._prepare_latent_image_ids(n, *size, latents.device, torch.float32),
            torch.zeros(inputs["words"].shape[1], 3, device=latents.device),
            torch.full((n,), self.distilled_guidance, device=latents.device),
            joint_attention_kwargs={"ip_adapter_image_embeds": [inputs["point"]]},
        ).sample
        velocity = FluxPipeline._unpack_latents(velocity, height, width, 1)
        return (1 - 2 * noise)[:, None, None, None] * latents.float() + unit * velocity.float()

    def _codec(self) -> Any:
        return self._network("vae")

    def encode_pixels(self, pixels: "torch.Tensor") -> "torch.Tensor":
        vae = self._codec()
        found = vae.encode(pixels).latent_dist.mode()
        return (found - vae.config.shift_factor) * vae.config.scaling_factor

    def decode_latents(self, latents: "torch.Tensor") -> "torch.Tensor":
        vae = self._codec()
        return vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample

    def _network(self, part: str) -> Any:
        mark = str(self._adapter) if part == "transformer" else ""
        folder, dtype = self._folder / part, "float32" if part == "vae" else self.dtype

        def load() -> Any:
            return self._load(part, dtype)

        more = (self._adapter,) if mark else ()
        return placed(self.on, None, folder, dtype, load, mark, exact=part == "vae", more=more)

    def _load(self, part: str, dtype: str) -> Any:
        """Load a network into main memory, the transformer with its adapter."""
        import diffusers
        import transformers

        kinds = {
            "transformer": diffusers.FluxTransformer2DModel,
            "vae": diffusers.AutoencoderKL,
            "text_encoder": transformers.CLIPTextModel,
            "text_encoder_2": transformers.T5EncoderModel,
        }
        network = load_part(kinds[part], self._folder / part, "cpu", dtype)
        if part == "transformer":
            try:
                with quiet():
                    network._load_ip_adapter_weights(
                        [_read_adapter(self._adapter)], low_cpu_mem_usage=False
                    )
                    network.to(network.dtype)
            except (KeyError, RuntimeError) as error:
                raise WeightsMissing(
                    f"{self._adapter} is not an adapter for the transformer in {self._folder}: its "
                    "layers differ. Use it with the base that it was trained for."
                ) from error
            layers = network.attn_processors.values()
            network.of_adapter = [layer for layer in layers if hasattr(layer, "to_k_ip")]
        return network


def _read_adapter(file: FilePath) -> "dict[str, dict[str, torch.Tensor]]":
    """Read an adapter's two halves, under the names that diffusers gives them.

    Raises:
        WeightsMissing: it is none of XLabs' adapters.
    """
    from safetensors import SafetensorError, safe_open

    halves: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    names = {"ip_adapter_proj_model": "image_proj", "double_blocks": "ip_adapter"}
    try:
        with safe_open(file, "pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - it is not a dict
                half, _, name = key.partition(".")
                name = name.replace("processor.ip_adapter_double_stream_", "to_")
                halves[names[half]][name.replace("_proj.", "_ip.")] = tensors.get_tensor(key)
        halves["image_proj"]["proj.weight"]
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsMissing(
            f"{file} is not XLabs' IP-Adapter for FLUX as safetensors ({error}). Download it "
            f"again: unclip models get {NAME}"
        ) from error
    return halves
