"""Karlo: KakaoBrain's unCLIP on pixels, as in the paper: a decoder at 64, two upsamplers to 256.

It consists of two repositories that share most folders. A local folder has the layout of the image
variations; with the folders `prior` and `prior_scheduler` of the other, it has a prior too.

Source: Ramesh et al. 2022, sections 2.1 and 2.2, as diffusers' UnCLIP pipelines run it.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer import sampler
from explorer.decoder import Decoder
from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import placed, read_config
from explorer.models.shared.clip_towers import TransformersEncoder, load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.latent import mask_cells
from explorer.models.shared.manifest import sha256
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.transformer_prior import WEIGHTS, TransformerPrior, unclip_step
from explorer.points import Points
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "karlo"
SPACE = "openclip:ViT-L-14/openai"
NETWORKS = ("decoder", "text_proj", "super_res_first", "super_res_last")
SCHEDULERS = ("decoder_scheduler", "super_res_scheduler")
TOWERS = ("image_encoder", "feature_extractor", "text_encoder", "tokenizer")
VARIATIONS = Release(
    "kakaobrain/karlo-v1-alpha-image-variations",
    "refs/pr/2",  # main has pickles only
    tuple(f"{part}/*" for part in (*NETWORKS, *SCHEDULERS, *TOWERS)),
    10816,
    commit="2a0902e",
)
PRIOR = Release(
    "kakaobrain/karlo-v1-alpha",
    "5ee45298e0956749e621bcb30c799a0b599afa83",
    ("prior/*", "prior_scheduler/*"),
    4088,
)


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder of them, with or without a prior.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    folder = _folder(VARIATIONS, variant)
    encoder = load_towers(
        SPACE,
        image=folder / "image_encoder",
        text=folder / "text_encoder",
        tokenizer=folder / "tokenizer",
        preprocess=folder / "feature_extractor",
        device=device,
    )
    prior = None
    if not variant or (folder / "prior").is_dir():
        words = _folder(PRIOR, variant)
        prior = TransformerPrior(words / "prior", words / "prior_scheduler", encoder)
    decoder = KarloDecoder(folder, encoder, device)
    decoder.norms = prior.norms if prior else None
    return Model(NAME, encoder.space, encoder, prior, decoder)


def card() -> Card:
    """Describe Karlo as released."""
    return released_card(NAME, SPACE, 768, "CreativeML Open RAIL-M", releases(""), prior=True)


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories of Karlo; a local folder has none."""
    return () if variant else (VARIATIONS, PRIOR)


def _folder(release: Release, source: str) -> FilePath:
    return release.folder(NAME, source)


class KarloDecoder(Decoder):
    """A UNet on the pixels of a small image, which two further networks upsample.

    Upsampling starts from noise, the same for every image, so that images differ only because
    points differ. It is not part of the latents, so inversion gives x_T of the small image.
    """

    choices: ClassVar = {
        "prompt": "text besides the point, up to 77 tokens; its effect is weak",
    }
    on: Device
    steps, guidance, model = 25, 8.0, NAME
    prompt = ""
    upsampling_steps = 7

    def __init__(self, folder: FilePath, encoder: TransformersEncoder, device: Device) -> None:
        self.space, self.on, self.device, self._encoder = (
            encoder.space,
            device,
            device.name,
            encoder,
        )
        self.dtype, self._folder = device.half, folder
        self.scheduler_config, self._upsampling = (
            read_config(folder / part / "scheduler_config.json") for part in SCHEDULERS
        )
        small = read_config(folder / "decoder/config.json")
        self.latent_shape = (small["in_channels"], small["sample_size"], small["sample_size"])
        self.image_size = (read_config(folder / "super_res_first/config.json")["sample_size"],) * 2

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Return a hash of the weights of all four networks."""
        hashes = [sha256(self._folder / part / WEIGHTS) for part in NETWORKS]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        project = self._network("text_proj")
        z = torch.tensor(points.vectors, device=self.device, dtype=project.dtype)
        nothing = project.learned_classifier_free_guidance_embeddings.expand_as(z)
        read = self._encoder.token_states([self.prompt, ""])
        return self._inputs(z, *(part[:1] for part in read)), self._inputs(
            nothing, *(part[1:] for part in read)
        )

    def _inputs(
        self,
        z: "torch.Tensor",
        pooled: "torch.Tensor",
        states: "torch.Tensor",
        mask: "torch.Tensor",
    ) -> "Condition":
        """Return the UNet's inputs for points and one text, N rows."""
        import torch

        n, project = len(z), self._network("text_proj")
        context, added = project(
            image_embeddings=z,
            prompt_embeds=pooled.expand(n, -1),
            text_encoder_hidden_states=states.expand(n, -1, -1),
            do_classifier_free_guidance=False,
        )
        of_point = mask.new_ones(n, project.clip_extra_context_tokens)
        mask = torch.cat([of_point, mask.expand(n, -1)], 1)
        return {"encoder_hidden_states": context, "class_labels": added, "attention_mask": mask}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        return self._network("decoder")(latents, t, **condition).sample

    def own_step(
        self,
        scheduler: Any,
        output: "torch.Tensor",
        index: int,
        latents: "torch.Tensor",
        generators: "Sequence[torch.Generator]",
    ) -> Any:
        return unclip_step(scheduler, output, index, latents, generators)

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        preprocess = Preprocess(self.latent_shape[1:], (0.5,) * 3, (0.5,) * 3)
        return torch.from_numpy(np.stack([preprocess(image) for image in images]))

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        return mask_cells(mask, self.image_size, self.latent_shape)

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        levels = (self.upsample(latents) * 127.5 + 127.5).clamp(0, 255).round().byte()
        return [Image.fromarray(row) for row in levels.permute(0, 2, 3, 1).cpu().numpy()]

    def upsample(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Upsample N 3 h w to N 3 H W, about -1 to 1; the second network does the last step."""
        import torch

        height_width, n = self.image_size[::-1], len(latents)
        upscaled = torch.nn.functional.interpolate(
            latents.clamp(-1, 1).cpu(), height_width, mode="bicubic", antialias=True
        ).to(self.device)  # on the CPU: not available on MPS or in half precision
        generators = [torch.Generator().manual_seed(0) for _ in range(n)]
        noise = torch.stack([torch.randn(upscaled.shape[1:], generator=g) for g in generators])

        def predict(x: "torch.Tensor", t: "torch.Tensor", condition: "Condition") -> "torch.Tensor":
            network = self._network("super_res_first" if t[0] > 0 else "super_res_last")
            return network(torch.cat([x, condition["upscaled"].to(x.dtype)], 1), t).sample

        def on_meta() -> object:
            pair = torch.empty(1, 6, *height_width, device="meta", dtype=dtype)
            return self._network("super_res_first")(pair, torch.empty(1, device="meta")).sample

        dtype = getattr(torch, self.dtype)
        rows = self.on.rows(("upsampling", height_width), on_meta, self.batch_size)
        settings = Settings(steps=self.upsampling_steps, solver="own")
        sides = ({"upscaled": upscaled},) * 2
        steps = sampler.denoise(
            sampler.guided(predict, sides, 1.0, rows, dtype),
            noise.to(self.device),
            self._upsampling,
            settings,
            generators,
            own_step=unclip_step,
        )
        return sampler.last(steps).latents

    def _network(self, part: str) -> Any:
        from diffusers import UNet2DConditionModel, UNet2DModel
        from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel

        kinds = {"decoder": UNet2DConditionModel, "text_proj": UnCLIPTextProjModel}
        kind, folder = kinds.get(part, UNet2DModel), self._folder / part
        return placed(self.on, kind, folder, self.dtype)
