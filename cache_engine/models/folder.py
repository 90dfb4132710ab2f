"""Models that are not rows: a diffusers folder or a hub id, described by its own configuration files."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..model import ModelSpec
from ..strict import EngineError, first_line, short_repr
from . import single_file
from .generic import TRANSFORMERS
from .hub import Weights, load_pipeline, revision_of
from .pipeline_call import arguments, number, parameters, picture_argument, picture_need, refuse
from .prompt_length import unread_words

SIZES = ((1024, 1024), (768, 768), (512, 512))
LISTED = "cache_engine/models/generic.py"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
# Maps the name of a quantiser in a config to the package that reads its weights.
QUANTISERS = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "quanto": "optimum", "gguf": "gguf"}


def is_source(name: str) -> bool:
    """Return whether a name can be a folder, a file or a hub id, and not a row's name."""
    if "/" in name or "\\" in name:
        return True
    try:
        return Path(name).exists()
    except OSError:  # a name that is too long for a file
        return False


def row(source: str, rows: Sequence[ModelSpec]) -> ModelSpec:
    """Return a row made from the configuration files of a folder or repository, or from a single file.

    rows: the known models; a single file has to fit one of them.
    Raises EngineError if configuration files are missing, or if the pipeline or transformer cannot be cached.
    """
    if Path(source).is_file():
        return single_file.row(source, rows)
    index = read(source, "model_index.json")
    pipeline, name = str(index.get("_class_name")), _class_of(index.get("transformer"))
    if name is None:
        raise EngineError(
            f"model: {source} is a {pipeline} without a transformer (it may have a UNet); choose a "
            "diffusion transformer."
        )
    description = TRANSFORMERS.get(name)
    if description is None:
        raise EngineError(
            f"model: {source} has a {name}, which is not described; known classes are "
            f"{', '.join(sorted(TRANSFORMERS))}. One line in {LISTED} makes a class known."
        )
    if description.video:
        raise EngineError(
            f"model: {source} is a {pipeline}, which draws videos, and neither the page nor a command "
            "compares videos; attach a method to it in Python with attached()."
        )
    takes = parameters(pipeline)
    refuse(source, pipeline, takes)
    config = defaults(name) | read(source, "transformer/config.json")
    refuse_quantised(source, index, config)
    weights = Weights(source, "", 0, "see its model card")
    return ModelSpec(
        name=source,
        title=Path(source).name,
        family=pipeline,
        transformer=name,
        config=config,
        sections=description.sections,
        blocks=sum(_length(source, config, section.length) for section in description.sections),
        load=partial(load_pipeline, "DiffusionPipeline", lambda: source),
        inputs=lambda request: description.call(config, request),
        call=lambda request: arguments(takes, request),
        steps=int(number(takes, "num_inference_steps") or 28),
        sizes=SIZES,
        multiple=32,
        max_sequence_length=min(int(number(takes, "max_sequence_length") or 512), 512),
        licence=weights.licence,
        needs="as much memory as its files are large",
        revision=partial(revision_of, source),
        unavailable=lambda: None,
        guidance=number(takes, "guidance_scale"),
        as_called=True,
        true_cfg_scale=float(number(takes, "true_cfg_scale") or 1),
        doubles="negative_prompt" in takes and "true_cfg_scale" not in takes,
        image=picture_need(pipeline, takes),
        unread_words=partial(unread_words, source, takes_length="max_sequence_length" in takes),
        image_argument=picture_argument(takes) or "image",
    )


def _class_of(part: object) -> str | None:
    """Return the class in an entry [library, class] of model_index.json; None for any other entry."""
    return str(part[1]) if isinstance(part, list) and len(part) == 2 and part[1] else None


def _length(source: str, config: Mapping[str, Any], name: str) -> int:
    blocks = config.get(name)
    if not isinstance(blocks, int) or isinstance(blocks, bool) or not 0 <= blocks <= 1000:
        raise EngineError(
            f"model: transformer/config.json of {source} has {name} = {short_repr(blocks)}, which is no "
            "number of blocks; restore it."
        )
    return blocks


def refuse_quantised(source: str, index: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise EngineError if a part was saved with quantised weights whose package is missing.

    config: the transformer's configuration. The other parts are checked in local folders only.
    """
    configs = {"transformer": config} | {
        part: read(source, f"{part}/config.json")
        for part in index
        if part != "transformer" and (Path(source) / part / "config.json").is_file()
    }
    for part, settings in configs.items():
        stored = settings.get("quantization_config")
        method = str(stored.get("quant_method")) if isinstance(stored, Mapping) else ""
        name = next((name for name in QUANTISERS if method.startswith(name)), None)
        if name and importlib.util.find_spec(QUANTISERS[name]) is None:
            raise EngineError(
                f"model: the {part} of {source} was saved in fewer bits with {name}, which is not installed; "
                "install it, or choose the model's bfloat16 version."
            )


def read(source: str, file: str) -> dict[str, Any]:
    """Read a JSON object from the folder, the hub's cache or the hub. Raises EngineError."""
    folder = Path(source)
    if not folder.is_dir() and not HUB_ID.fullmatch(source):
        version = "; download a version with `hf download --revision`, and name its folder" * ("@" in source)
        raise EngineError(
            f"model: {source} is neither a row of `models`, a folder, nor a hub id like owner/name{version}."
        )
    try:
        content = json.loads(_found(folder, source, file).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        where = "holds" if folder.is_dir() else "is not on this machine, or the hub has"
        raise EngineError(
            f"model: {source} {where} no {file}; name the folder of a diffusers pipeline, as "
            "save_pretrained writes it, or a hub id."
        ) from error
    except OSError as error:
        what = "cannot be read" if folder.is_dir() else "cannot be read from the hub"
        raise EngineError(
            f"model: {source} {what} ({first_line(error, 120)}); check the name, set HF_TOKEN if it is gated "
            "or private, or name a local folder."
        ) from error
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise EngineError(f"model: {file} of {source} is damaged ({where}); restore it.") from error
    if not isinstance(content, dict):
        raise EngineError(f"model: {file} of {source} is no JSON object; restore it.")
    return content


def _found(folder: Path, source: str, file: str) -> Path:
    """Return the file's path. Raises OSError, as the hub's client does, or EngineError for a wrong name."""
    if folder.is_dir():
        return folder / file
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(source, file))
    except ValueError as error:
        raise EngineError(
            f"model: {source} cannot be a name on the hub ({first_line(error, 120)}); check it."
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
