"""Models that are not rows: a diffusers folder or a hub id, described by its own configuration files."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..model import ModelSpec
from ..records import RunRequest
from ..strict import EngineError, first_line
from . import single_file
from .generic import TRANSFORMERS
from .hub import Weights, load_pipeline

SIZES = ((1024, 1024), (768, 768), (512, 512))
LISTED = "cache_engine/models/generic.py"


def is_source(name: str) -> bool:
    """Return whether a name can be a folder, a file or a hub id, and not a row's name."""
    return "/" in name or "\\" in name or Path(name).exists()


def row(source: str, rows: Sequence[ModelSpec]) -> ModelSpec:
    """Return a row made from the configuration files of a folder or repository, or from a single file.

    rows: the known models; a single file has to fit one of them.
    Raises EngineError if configuration files are missing, or if the pipeline or transformer cannot be cached.
    """
    if Path(source).is_file():
        return single_file.row(source, rows)
    index = read(source, "model_index.json")
    pipeline, part = str(index.get("_class_name")), index.get("transformer")
    if not part or not part[1]:
        raise EngineError(
            f"model: {source} is a {pipeline} without a transformer (it may have a UNet); choose a "
            "diffusion transformer."
        )
    name = str(part[1])
    description = TRANSFORMERS.get(name)
    if description is None:
        raise EngineError(
            f"model: {source} has a {name}, which is not described; known classes are "
            f"{', '.join(sorted(TRANSFORMERS))}. One line in {LISTED} makes a class known."
        )
    config = defaults(name) | read(source, "transformer/config.json")
    takes = parameters(pipeline)
    if "strength" in takes:
        raise EngineError(
            f"model: {source} is a {pipeline}, which skips the first steps; choose the pipeline that "
            "starts from noise."
        )
    if description.video:
        raise EngineError(
            f"model: {source} is a {pipeline}, which draws videos, and neither the page nor a command "
            "compares videos; attach a method to it in Python with attached()."
        )
    weights = Weights(source, "", 0, "see its model card")
    guidance = takes.get("guidance_scale")
    return ModelSpec(
        name=source,
        title=Path(source).name,
        family=pipeline,
        transformer=name,
        config=config,
        sections=description.sections,
        blocks=sum(config[section.length] for section in description.sections),
        load=partial(load_pipeline, "DiffusionPipeline", lambda: source),
        inputs=lambda request: description.call(config, request),
        call=lambda request: arguments(takes, request),
        steps=int(takes.get("num_inference_steps") or 28),
        sizes=SIZES,
        multiple=32,
        max_sequence_length=min(int(takes.get("max_sequence_length") or 512), 512),
        licence=weights.licence,
        needs="as much memory as its files are large",
        revision=lambda: source,
        unavailable=lambda: None,
        guidance=float(guidance) if isinstance(guidance, int | float) else None,
        as_called=True,
        true_cfg_scale=float(takes.get("true_cfg_scale") or 1),
        doubles="negative_prompt" in takes and "true_cfg_scale" not in takes,
        image="none" if "image" not in takes else "needed" if "Edit" in pipeline else "optional",
    )


def read(source: str, file: str) -> dict[str, Any]:
    """Read a JSON file from the folder, the hub's cache or the hub. Raises EngineError if the file cannot be
    read.
    """
    folder = Path(source)
    try:
        if folder.is_dir():
            return json.loads((folder / file).read_text(encoding="utf-8"))
        if source.count("/") != 1 or source.startswith((".", "~")):
            raise EngineError(
                f"model: {source} is neither a row of `models`, a folder, nor a hub id like owner/name."
            )
        from huggingface_hub import hf_hub_download

        return json.loads(Path(hf_hub_download(source, file)).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        where = "holds" if folder.is_dir() else "is not on this machine, or the hub has"
        raise EngineError(
            f"model: {source} {where} no {file}; name the folder of a diffusers pipeline, as "
            "save_pretrained writes it, or a hub id."
        ) from error
    except json.JSONDecodeError as error:
        raise EngineError(
            f"model: {file} of {source} is damaged (line {error.lineno}); restore it."
        ) from error
    except OSError as error:  # every error of the hub's client is an OSError
        raise EngineError(
            f"model: {source} cannot be read from the hub ({first_line(error, 120)}); check "
            "the name, set HF_TOKEN if it is gated or private, or name a local folder."
        ) from error


def defaults(transformer: str) -> dict[str, Any]:
    """Return the values that a configuration file may leave out."""
    import diffusers

    signature = inspect.signature(getattr(diffusers, transformer).__init__)
    return {
        parameter.name: parameter.default
        for parameter in signature.parameters.values()
        if parameter.default is not inspect.Parameter.empty
    }


def parameters(pipeline: str) -> dict[str, Any]:
    """Return the parameters of the pipeline's call, with their defaults. Raises EngineError for an unknown
    class.
    """
    import diffusers

    kind = getattr(diffusers, pipeline, None)
    if kind is None:
        raise EngineError(
            f"model: {pipeline} is not a pipeline of diffusers {diffusers.__version__}; update diffusers, "
            "or choose another model."
        )
    return {
        name: parameter.default for name, parameter in inspect.signature(kind.__call__).parameters.items()
    }


def arguments(takes: Mapping[str, Any], request: RunRequest) -> dict[str, Any]:
    """Return the pipeline's arguments other than prompt, size, steps and generator.

    Without max_area, FLUX Kontext draws a million pixels, whatever size the request has.
    """
    offered = {
        "max_sequence_length": request.max_sequence_length,
        "guidance_scale": request.guidance,
        "negative_prompt": request.negative_prompt or None,
        "max_area": (request.width or 0) * (request.height or 0),
    }
    if request.true_cfg_scale is not None and request.true_cfg_scale > 1:
        offered |= {"true_cfg_scale": request.true_cfg_scale, "negative_prompt": request.negative_prompt}
    return {name: value for name, value in offered.items() if name in takes and value is not None}
