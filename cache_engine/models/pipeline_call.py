"""Checks the signature of a pipeline's call before weights are loaded, and makes a run's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from ..records import RunRequest
from ..strict import EngineError

EMPTY = inspect.Parameter.empty
GIVEN = ("prompt", "num_inference_steps", "width", "height", "generator")  # every run passes these
PICTURES = ("control_image", "image")  # the first name that the call takes gets the picture
# A pipeline with one of these parameters does more than draw from a prompt, or from a prompt and a picture.
DEMANDS = {
    "mask_image": "needs a mask beside the picture",
    "control_mask": "needs a mask beside the picture",
    "controlnet_conditioning_scale": "runs a ControlNet between the blocks",
    "strength": "skips the first steps",
}


def parameters(pipeline: str) -> dict[str, Any]:
    """Return the parameters of the pipeline's call, with their defaults. Raises EngineError.

    pipeline: the name of the pipeline's class. A parameter without a default has ``inspect.Parameter.empty``.
    """
    import diffusers

    kind = getattr(diffusers, pipeline, None)
    if not (inspect.isclass(kind) and issubclass(kind, diffusers.DiffusionPipeline)):
        raise EngineError(
            f"model: {pipeline} is not a pipeline of diffusers {diffusers.__version__}; update diffusers, "
            "or choose another model."
        )
    return {
        name: parameter.default
        for name, parameter in inspect.signature(kind.__call__).parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def refuse(source: str, pipeline: str, takes: Mapping[str, Any]) -> None:
    """Raise EngineError for a pipeline whose call does not fit a run.

    A run passes a prompt, a size, steps and at most one picture. takes: the parameters of the call.
    """
    what = f"model: {source} is a {pipeline}"
    remedy = "choose the pipeline of its family that starts from noise"
    for name, reason in DEMANDS.items():
        if name in takes:
            raise EngineError(f"{what}, which {reason}; {remedy}.")
    lacking = [name for name in GIVEN if name not in takes]
    if lacking:
        raise EngineError(f"{what}, whose call takes no {', '.join(lacking)}; {remedy}, at a given size.")
    needed = [name for name, default in takes.items() if default is EMPTY and name not in (*GIVEN, *PICTURES)]
    if needed:
        raise EngineError(f"{what}, whose call also needs {', '.join(needed)}; {remedy}.")


def picture_argument(takes: Mapping[str, Any]) -> str | None:
    """Return the name of the parameter for the input picture, or None."""
    return next((name for name in PICTURES if name in takes), None)


def picture_need(pipeline: str, takes: Mapping[str, Any]) -> Literal["none", "optional", "needed"]:
    """Return whether a pipeline takes an input picture, and whether it needs the picture."""
    name = picture_argument(takes)
    if name is None:
        return "none"
    edits = "Edit" in pipeline or "Refiner" in pipeline
    return "needed" if edits or name == "control_image" or takes[name] is EMPTY else "optional"


def number(takes: Mapping[str, Any], name: str) -> int | float | None:
    """Return a parameter's default if the default is a number, otherwise None."""
    default = takes.get(name)
    return default if isinstance(default, int | float) else None


def arguments(takes: Mapping[str, Any], request: RunRequest) -> dict[str, Any]:
    """Return the pipeline's arguments beside prompt, size, steps, generator and picture.

    Without max_area FLUX Kontext draws a million pixels, whatever size the request has. Sana Sprint takes
    an intermediate timestep only in runs of two steps.
    """
    offered = {
        "max_sequence_length": request.max_sequence_length,
        "guidance_scale": request.guidance,
        "negative_prompt": request.negative_prompt or None,
        "max_area": (request.width or 0) * (request.height or 0),
    }
    if request.true_cfg_scale is not None and request.true_cfg_scale > 1:
        offered |= {"true_cfg_scale": request.true_cfg_scale, "negative_prompt": request.negative_prompt}
    given = {name: value for name, value in offered.items() if name in takes and value is not None}
    if "intermediate_timesteps" in takes and request.steps != 2:
        given["intermediate_timesteps"] = None
    return given
