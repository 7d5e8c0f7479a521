"""Karlo: KakaoBrain's unCLIP as in the paper, on pixels: a decoder at 64, two networks up to 256.

Two repositories make it up; they share most folders. A folder of one's own is that of the image
variations; with `prior` and `prior_scheduler` of the other beside the rest, it has a prior too.

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
from explorer.masks import touched
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import load_part, read_config
from explorer.models.shared.clip_towers import TransformersEncoder, load_towers
from explorer.models.shared.hub import Release
from explorer.models.shared.manifest import sha256
from explorer.models.shared.networks import Networks
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.transformer_prior import WEIGHTS, TransformerPrior, unclip_step
from explorer.points import Points
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "karlo"
SPACE = "openclip:ViT-L-14/openai"
PAINTERS = ("decoder", "text_proj", "super_res_first", "super_res_last")
SCHEDULERS = ("decoder_scheduler", "super_res_scheduler")
TOWERS = ("image_encoder", "feature_extractor", "text_encoder", "tokenizer")
VARIATIONS = Release(
    "kakaobrain/karlo-v1-alpha-image-variations",
    "main",  # its commits were not known here; what was fetched is in the decoder's fingerprint
    tuple(f"{part}/*" for part in (*PAINTERS, *SCHEDULERS, *TOWERS)),
    10816,
)
PRIOR = Release("kakaobrain/karlo-v1-alpha", "main", ("prior/*", "prior_scheduler/*"), 4088)


def build(variant: str, device: str) -> Model:
    """Load the released weights, or a folder of them, with or without a prior.

    Raises:
        WeightsMissing: they are neither there nor to be had.
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
    return {
        "name": NAME,
        "space": SPACE,
        "dimension": 768,
        "decoder": True,
        "prior": True,
        "megabytes": sum(release.megabytes for release in releases("")),
        "licence": "CreativeML Open RAIL-M",
        "weights_here": all(release.cached() is not None for release in releases("")),
    }


def releases(variant: str) -> tuple[Release, ...]:
    """Give the repositories of Karlo; a folder of one's own has none."""
    return () if variant else (VARIATIONS, PRIOR)


def _folder(release: Release, source: str) -> FilePath:
    return release.folder(NAME, source)


class KarloDecoder(Decoder):
    """A UNet on the pixels of a small image; to show it, it is enlarged by two further networks.

    Enlarging is random: every image gets the same noise for it, so that images differ only
    because points differ. It is no part of the latents, so inversion finds the small image's x_T.
    """

    choices: ClassVar = {
        "prompt": "text beside the point, 77 tokens of it; weak, as the point says nearly all",
        "low_memory": "true: only the network at work is on the device",
    }
    steps, guidance, model = 25, 8.0, NAME
    prompt = ""
    low_memory = False
    enlarging_steps = 7

    def __init__(self, folder: FilePath, encoder: TransformersEncoder, device: str) -> None:
        self.space, self.device, self._encoder = encoder.space, device, encoder
        self.dtype = "float16" if device.startswith("cuda") else "float32"
        self._folder, self._networks = folder, Networks(device)
        self.scheduler_config, self._enlarging = (
            read_config(folder / part / "scheduler_config.json") for part in SCHEDULERS
        )
        small = read_config(folder / "decoder/config.json")
        self.latent_shape = (small["in_channels"], small["sample_size"], small["sample_size"])
        self.image_size = (read_config(folder / "super_res_first/config.json")["sample_size"],) * 2

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        """Of the weights of all four networks."""
        hashes = [sha256(self._folder / part / WEIGHTS) for part in PAINTERS]
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
        """What the UNet reads of a point and of one text, N rows of each."""
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

        seen = Preprocess(self.latent_shape[1:], (0.5,) * 3, (0.5,) * 3)
        return torch.from_numpy(np.stack([seen(image) for image in images]))

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        side = min(mask.size)
        left, top = (mask.width - side) // 2, (mask.height - side) // 2
        square = mask.crop((left, top, left + side, top + side))
        return touched(square, *self.latent_shape[1:])

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        levels = (self.enlarge(latents) * 127.5 + 127.5).clamp(0, 255).round().byte()
        return [Image.fromarray(row) for row in levels.permute(0, 2, 3, 1).cpu().numpy()]

    def enlarge(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Enlarge N 3 h w to N 3 H W, about -1 to 1; the second network does the last step."""
        import torch

        height_width, n = self.image_size[::-1], len(latents)
        upscaled = torch.nn.functional.interpolate(
            latents.clamp(-1, 1).cpu(), height_width, mode="bicubic", antialias=True
        ).to(self.device)  # on the CPU: neither MPS nor half precision can do this
        generators = [torch.Generator().manual_seed(0) for _ in range(n)]
        noise = torch.stack([torch.randn(upscaled.shape[1:], generator=g) for g in generators])

        def predict(x: "torch.Tensor", t: "torch.Tensor", condition: "Condition") -> "torch.Tensor":
            network = self._network("super_res_first" if t[0] > 0 else "super_res_last")
            return network(torch.cat([x, condition["upscaled"].to(x.dtype)], 1), t).sample

        settings = Settings(steps=self.enlarging_steps, solver="own")
        sides, dtype = ({"upscaled": upscaled},) * 2, getattr(torch, self.dtype)
        steps = sampler.denoise(
            sampler.guided(predict, sides, 1.0, self.batch_size, dtype),
            noise.to(self.device),
            self._enlarging,
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
        return self._networks.get(
            part, lambda: load_part(kind, folder, "cpu", self.dtype), alone=self.low_memory
        )
