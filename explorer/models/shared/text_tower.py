"""Text tower: the words of a CLIP by numpy, since torch and open_clip take seconds to import.

It is the text transformer of Radford et al. 2021 (arXiv 2103.00020) as open_clip stores it, and it
is tested against open_clip. Towers of other shapes are left to open_clip.
"""

from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

SHAPE = ("context_length", "vocab_size", "width", "heads", "layers")
PLAIN = {*SHAPE, "mlp_ratio", "tokenizer_kwargs"}
EPSILON = 1e-5  # of layer normalisation

Array = np.ndarray


class TextTower:
    """The text tower of a CLIP in open_clip's safetensors; half precision is read as float32.

    Args:
        file: the weights, which `is_stored` has looked at.
        config: the model's configuration, `model_cfg`.
    """

    def __init__(self, file: str | PathLike[str], config: dict[str, Any]) -> None:
        text = config["text_cfg"]
        self._heads, layers = text["heads"], range(text["layers"])
        self._quick = bool(config.get("quick_gelu"))
        self._weights = _read(file, layers)
        self._blocks = [f"transformer.resblocks.{layer}." for layer in layers]

    def __call__(self, tokens: Int[Array, "N L"]) -> Float[Array, "N D"]:
        """Embed texts.

        Args:
            tokens: from 0; the highest number marks the end of a text. What follows has no effect,
                as attention looks back only, and is not computed.
        """
        project = self._weights["text_projection"]
        return np.stack([self._states(row[: row.argmax() + 1])[-1] @ project for row in tokens])

    def states(
        self, tokens: Int[Array, "N L"]
    ) -> tuple[Float[Array, "N D"], Float[Array, "N L D"], Bool[Array, "N L"]]:
        """Embed texts and their tokens.

        Args:
            tokens: as for a call.

        Returns:
            the texts' points; the states of their tokens, projected if they are of another width;
            which tokens are of the text, the mark of its end included: the states of others are 0.
        """
        project = self._weights["text_projection"]
        points = np.zeros((len(tokens), project.shape[1]), np.float32)
        states = np.zeros((*tokens.shape, project.shape[1]), np.float32)
        mask = np.arange(tokens.shape[1]) <= tokens.argmax(1)[:, None]
        for i, (row, of_text) in enumerate(zip(tokens, mask, strict=True)):
            own = self._states(row[of_text])
            points[i] = own[-1] @ project
            states[i, of_text] = own if own.shape[1] == project.shape[1] else own @ project
        return points, states, mask

    def _states(self, tokens: Int[Array, " L"]) -> Float[Array, "L W"]:
        w = self._weights
        x = w["token_embedding.weight"][tokens] + w["positional_embedding"][: len(tokens)]
        for block in self._blocks:
            x = x + self._attend(block, self._normed(f"{block}ln_1", x))
            hidden = self._linear(f"{block}mlp.c_fc", self._normed(f"{block}ln_2", x))
            x = x + self._linear(f"{block}mlp.c_proj", self._gelu(hidden))
        return self._normed("ln_final", x)

    def _attend(self, block: str, x: Float[Array, "L W"]) -> Float[Array, "L W"]:
        fused = x @ self._weights[f"{block}attn.in_proj_weight"].T
        fused += self._weights[f"{block}attn.in_proj_bias"]
        query, key, value = (
            part.reshape(len(x), self._heads, -1).transpose(1, 0, 2)
            for part in np.split(fused, 3, axis=1)
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        scores += np.triu(np.full(scores.shape[1:], -np.inf, np.float32), 1)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        joined = (weights @ value).transpose(1, 0, 2).reshape(len(x), -1)
        return self._linear(f"{block}attn.out_proj", joined)

    def _normed(self, name: str, x: Float[Array, "L W"]) -> Float[Array, "L W"]:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + np.float32(EPSILON))
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _linear(self, name: str, x: Float[Array, "L W"]) -> Float[Array, "L V"]:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _gelu(self, x: Float[Array, "L W"]) -> Float[Array, "L W"]:
        if self._quick:
            return x / (1 + np.exp(np.float32(-1.702) * x))
        from scipy.special import erf

        return x * (1 + erf(x / np.float32(np.sqrt(2)))) / 2


def is_plain(config: dict[str, Any]) -> bool:
    """Return whether a model's configuration is of a text tower that `TextTower` computes."""
    text = config.get("text_cfg", {})
    tokenizer = text.get("tokenizer_kwargs") or {}
    return (
        not config.get("custom_text")
        and set(config) <= {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text"}
        and set(SHAPE) <= set(text) <= PLAIN
        and text.get("mlp_ratio") in (None, 4, 4.0)
        and set(tokenizer) <= {"bpe_path"}
    )


def is_stored(file: str | PathLike[str], config: dict[str, Any]) -> bool:
    """Return whether weights hold that text tower, as open_clip names it and in plain numbers."""
    from safetensors import safe_open

    text = config["text_cfg"]
    width, vocabulary, length = text["width"], text["vocab_size"], text["context_length"]
    shapes = {
        "token_embedding.weight": [vocabulary, width],
        "positional_embedding": [length, width],
        "text_projection": [width, config["embed_dim"]],
    }
    with safe_open(file, "np") as tensors:
        if not set(_names(range(text["layers"]))) <= set(tensors.keys()):
            return False
        stored = {name: tensors.get_slice(name) for name in _names(range(text["layers"]))}
        return all(each.get_dtype() in ("F32", "F16") for each in stored.values()) and all(
            stored[name].get_shape() == shape for name, shape in shapes.items()
        )


def _names(layers: range) -> list[str]:
    blocks = (f"transformer.resblocks.{layer}.{name}" for layer in layers for name in _BLOCK)
    return [*_ENDS, *blocks]


def _read(file: str | PathLike[str], layers: range) -> dict[str, Array]:
    from safetensors import safe_open

    with safe_open(file, "np") as tensors:
        return {name: tensors.get_tensor(name).astype(np.float32) for name in _names(layers)}


_ENDS = (
    *("token_embedding.weight", "positional_embedding", "text_projection"),
    *("ln_final.weight", "ln_final.bias"),
)
_BLOCK = (
    *("attn.in_proj_weight", "attn.in_proj_bias"),
    *(
        f"{name}.{part}"
        for name in ("ln_1", "ln_2", "attn.out_proj")
        for part in ("weight", "bias")
    ),
    *(f"mlp.{name}.{part}" for name in ("c_fc", "c_proj") for part in ("weight", "bias")),
)
