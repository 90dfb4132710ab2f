"""The embedded model: a small but complete FLUX pipeline that runs on a laptop's CPU. The model's card is in
assets/tiny_flux/.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache, partial
from pathlib import Path
from typing import Any

from ..model import Coefficients, ModelSpec
from ..placement import Placement
from ..strict import EngineError
from .flux import SECTIONS, arguments, shapes
from .hub import load_pipeline
from .prompt_length import unread_words

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "tiny_flux"


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that is shipped with the weights. Raises EngineError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path.name}: cannot be read ({type(error).__name__}); restore assets/{path.parent.name} "
            "from the repository."
        ) from None


@cache
def _domain() -> dict[str, Any]:
    return read_json(FOLDER / "domain.json")


def _load(placement: Placement, **parts: Any) -> Any:
    import torch

    from .patch_autoencoder import PatchAutoencoder

    refuse_changed(_revision(), _domain().get("weights"), "assets/tiny_flux")
    vae = PatchAutoencoder.from_pretrained(str(FOLDER / "vae"), dtype=getattr(torch, placement.dtype))
    return load_pipeline("FluxPipeline", lambda: str(FOLDER), placement, vae=vae, **parts)


def _unknown_words(prompt: str) -> tuple[str, ...]:
    vocabulary = set(_domain()["words"])
    return tuple(dict.fromkeys(word for word in re.findall(r"\w+", prompt.lower()) if word not in vocabulary))


def weights_hash(folder: Path) -> str:
    """Return a hash of all weights in a folder, so that retrained weights count as another model."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _revision() -> str:
    return weights_hash(FOLDER)


def refuse_changed(found: str, wanted: object, place: str) -> None:
    """Raise EngineError if weights are not those that were exported: a flipped bit would go unnoticed."""
    if found != wanted:
        raise EngineError(f"model: the weights in {place} are damaged; restore them from the repository.")


def _unavailable() -> str | None:
    parts = ("model_index.json", "domain.json", "transformer/config.json")
    missing = next((part for part in parts if not (FOLDER / part).is_file()), None)
    return f"{missing} is missing from assets/tiny_flux; restore it from the repository." if missing else None


def _coefficients() -> Coefficients:
    """Return the coefficients that `python -m cache_engine calibrate` fitted on these weights; for other
    weights, empty ones.
    """
    path = FOLDER / "calibration.json"
    fitted = read_json(path) if path.is_file() else {}
    if fitted.get("revision") != _revision():
        return Coefficients()
    return Coefficients(
        tuple(fitted["polynomial"]),
        tuple(fitted["ratios"]),
        tuple(map(tuple, fitted.get("alike", ()))) or None,
    )


def _to_pixels(pipe: Any, latents: Any) -> Any:
    """Return the pixels of each token as the encoder saw them, in levels of 8 bits.

    Forecasts need pixels that depend on one token. The decoder's pixels depend on its neighbours too.
    """
    return (127.5 + 127.5 * pipe.vae.patches(latents.to(pipe.vae.dtype)).float()).clamp(0, 255)


def _row() -> tuple[ModelSpec, ...]:
    if _unavailable():
        return ()
    config = {
        key: value
        for key, value in read_json(FOLDER / "transformer" / "config.json").items()
        if key[0] != "_"
    }
    domain = _domain()
    return (
        ModelSpec(
            name="tiny",
            title="tiny FLUX (embedded)",
            family="FLUX.1",
            transformer="FluxTransformer2DModel",
            config=config,
            sections=SECTIONS,
            blocks=config["num_layers"] + config["num_single_layers"],
            load=_load,
            inputs=lambda request: shapes(config, request),
            call=arguments,
            steps=28,
            sizes=((domain["size"], domain["size"]),),
            multiple=32,
            max_sequence_length=domain["max_sequence_length"],
            licence="Apache-2.0; trained on Noto Color Emoji (OFL-1.1)",
            needs="a CPU; 22 MB on disk",
            revision=_revision,
            unavailable=_unavailable,
            coefficients=_coefficients(),
            true_cfg_scale=domain["true_cfg_scale"],
            to_pixels=_to_pixels,
            psnr_calibration=FOLDER / "psnr_calibration.json",
            examples=tuple(domain["examples"]),
            unknown_words=_unknown_words,
            unread_words=partial(unread_words, str(FOLDER)),
        ),
    )


ROWS = _row()
