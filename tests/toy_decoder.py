"""A decoder with a small random network, real in every other way."""

import weakref
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from explorer.decoder import Decoder
from explorer.points import Space

TOY = Space("toy", 6, "0f")
SHAPE = (3, 16, 16)


class Network(torch.nn.Module):
    """A residual convolution over the latents, shifted by the point and by the timestep."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.point = torch.nn.Linear(6, 32)
        self.inner = torch.nn.Conv2d(3, 32, 3, padding=1)
        self.outer = torch.nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, latents, t, z):
        waves = torch.sin(t[:, None] * torch.linspace(0.001, 0.1, 32)).to(latents.dtype)
        shift = self.point(z) + waves
        hidden = torch.nn.functional.silu(self.inner(latents) + shift[:, :, None, None])
        return 0.5 * latents + self.outer(hidden)


class Toy(Decoder):
    """Pixel-space: latents are the image's own values in -1 … 1."""

    space, fingerprint, latent_shape, image_size = TOY, "toy", SHAPE, (16, 16)
    steps, guidance, model, batch_size = 8, 3.0, "toy-model", 3
    choices: ClassVar = {
        "scale": "how much the point counts",
        "prompt": "words that change nothing",
        "negative": "the point to keep away from",
    }
    scale, negative = 1.0, None

    def __init__(self):
        self.scheduler_config = {
            "_class_name": "DDPMScheduler",
            "clip_sample": False,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": "v_prediction",
        }
        self.network = Network().eval()
        self.calls = 0
        self.seen = []

    def condition(self, points):
        z = torch.tensor(points.vectors)
        away = 0 if self.negative is None else torch.tensor(self.negative.vectors)
        return {"z": z}, {"z": torch.zeros_like(z) + away}

    def predict(self, latents, t, condition):
        self.calls += 1
        return self.network(latents, t, self.scale * condition["z"])

    def to_latent(self, images):
        pixels = np.stack([np.asarray(i.resize((16, 16)), np.float32) for i in images])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1

    def to_image(self, latents):
        self.seen.append(weakref.ref(latents))
        pixels = ((latents.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255)
        return [Image.fromarray(p) for p in pixels.to(torch.uint8).numpy()]
