"""Describes the arguments of one call of each transformer class: (config, resolved request) -> arguments.

The arguments have the form of ``ModelSpec.inputs``.

A latent pixel stands for 8 x 8 pixels of the picture (32 x 32 for Sana), so the shapes hold for any size. The
text has ``max_sequence_length`` tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..model import Given, IntegerTensor
from ..records import RunRequest

Config = Mapping[str, Any]
Call = Callable[[Config, RunRequest], dict[str, Any]]


def _text(request: RunRequest) -> int:
    return request.max_sequence_length or 0  # a resolved request never has None here


def _grid(request: RunRequest, pixels: int) -> tuple[int, int]:
    """Return the rows and columns of a grid of squares, each with sides of ``pixels``."""
    return (request.height or 0) // pixels, (request.width or 0) // pixels


def latent(text_width: str, pixels: int = 8, **more: Any) -> Call:
    """Describe calls with latents (1, channels, rows, columns) and a text (1, tokens, config[text_width])."""

    def call(config: Config, request: RunRequest) -> dict[str, Any]:
        return {
            "hidden_states": (1, config["in_channels"], *_grid(request, pixels)),
            "encoder_hidden_states": (1, _text(request), config[text_width]),
            "timestep": (1,),
            **{name: make(config, request) for name, make in more.items()},
        }

    return call


def packed(text_width: str, places: int = 3, batched: bool = False, **more: Any) -> Call:
    """Describe calls with packed tokens (1, rows x columns, channels), a text, and the positions of both.

    Each token stands for 16 x 16 pixels.
    """

    def call(config: Config, request: RunRequest) -> dict[str, Any]:
        rows, columns = _grid(request, 16)
        first = (1,) if batched else ()
        return {
            "hidden_states": (1, rows * columns, config["in_channels"]),
            "encoder_hidden_states": (1, _text(request), config[text_width]),
            "timestep": (1,),
            "img_ids": (*first, rows * columns, places),
            "txt_ids": (*first, _text(request), places),
            **{name: make(config, request) for name, make in more.items()},
        }

    return call


def width(name: str) -> Callable[[Config, RunRequest], tuple[int, ...]]:
    """Describe an argument of shape (1, config[name])."""
    return lambda config, request: (1, config[name])


def mask(config: Config, request: RunRequest) -> IntegerTensor:
    """Return a mask in which every text token counts."""
    return IntegerTensor((1, _text(request)), 1)


def pixels(config: Config, request: RunRequest) -> tuple[int, ...]:
    """Return the shape of an argument that holds a size or a place in pixels."""
    return (1, 2)


def fibo(config: Config, request: RunRequest) -> dict[str, Any]:
    blocks = config["num_layers"] + config["num_single_layers"]
    return packed("joint_attention_dim")(config, request) | {
        "text_encoder_layers": [(1, _text(request), config["text_encoder_dim"])] * blocks
    }


def hidream(config: Config, request: RunRequest) -> dict[str, Any]:
    text = _text(request)
    layers = max(config["llama_layers"]) + 1
    return {
        "hidden_states": (1, config["in_channels"], *_grid(request, 8)),
        "timesteps": (1,),
        "encoder_hidden_states_t5": (1, text, config["caption_channels"][0]),
        "encoder_hidden_states_llama3": (layers, 1, text, config["caption_channels"][1]),
        "pooled_embeds": (1, config["text_emb_dim"]),
    }


def lumina2(config: Config, request: RunRequest) -> dict[str, Any]:
    return latent("cap_feat_dim", encoder_attention_mask=mask)(config, request)


def omnigen(config: Config, request: RunRequest) -> dict[str, Any]:
    rows, columns = _grid(request, 8 * config["patch_size"])
    tokens = _text(request) + 1 + rows * columns
    return {
        "hidden_states": (1, config["in_channels"], *_grid(request, 8)),
        "timestep": (1,),
        "input_ids": IntegerTensor((1, _text(request))),
        "input_img_latents": Given([]),
        "input_image_sizes": Given({}),
        "attention_mask": IntegerTensor((1, tokens, tokens), 1),
        "position_ids": IntegerTensor((1, tokens)),
    }


def z_image(config: Config, request: RunRequest) -> dict[str, Any]:
    return {
        "x": [(config["in_channels"], 1, *_grid(request, 8))],
        "t": (1,),
        "cap_feats": [(_text(request), config["cap_feat_dim"])],
    }


def pixart(config: Config, request: RunRequest) -> dict[str, Any]:
    arguments = latent("caption_channels")(config, request)
    sized = config.get("use_additional_conditions")
    if sized is None:
        sized = config["sample_size"] == 128
    nothing = Given(None)
    return arguments | {
        "added_cond_kwargs": {
            "resolution": (1, 2) if sized else nothing,
            "aspect_ratio": (1, 1) if sized else nothing,
        }
    }


def ernie(config: Config, request: RunRequest) -> dict[str, Any]:
    return {
        "hidden_states": (1, config["in_channels"], *_grid(request, 16)),
        "timestep": (1,),
        "text_bth": (1, _text(request), config["text_in_dim"]),
        "text_lens": IntegerTensor((1,), _text(request)),
    }


def krea2(config: Config, request: RunRequest) -> dict[str, Any]:
    rows, columns = _grid(request, 16)
    return {
        "hidden_states": (1, rows * columns, config["in_channels"]),
        "timestep": (1,),
        "encoder_hidden_states": (1, _text(request), config["num_text_layers"], config["text_hidden_dim"]),
        "position_ids": (_text(request) + rows * columns, 3),
    }


def glm(config: Config, request: RunRequest) -> dict[str, Any]:
    rows, columns = _grid(request, 8 * config["patch_size"])
    return latent("text_embed_dim", target_size=pixels, crop_coords=pixels)(config, request) | {
        "prior_token_id": IntegerTensor((1, rows * columns)),
        "prior_token_drop": Given(False),
    }


def wan(config: Config, request: RunRequest) -> dict[str, Any]:
    """Describe a call of Wan: its 21 latent frames stand for 81 pictures."""
    return {
        "hidden_states": (1, config["in_channels"], 21, *_grid(request, 8)),
        "timestep": (1,),
        "encoder_hidden_states": (1, _text(request), config["text_dim"]),
    }


def ltx(config: Config, request: RunRequest) -> dict[str, Any]:
    """Describe a call of LTX: it has 16 latent frames; a latent pixel stands for 32 x 32 pixels of 8
    pictures.
    """
    rows, columns = _grid(request, 32)
    return {
        "hidden_states": (1, 16 * rows * columns, config["in_channels"]),
        "timestep": (1,),
        "encoder_hidden_states": (1, _text(request), config["caption_channels"]),
        "encoder_attention_mask": mask(config, request),
        "num_frames": Given(16),
        "height": Given(rows),
        "width": Given(columns),
    }
