"""Parts that several commands share: the command's type, and the options that become a
request and a method.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..method import METHODS, Method
from ..models.catalog import spec_of
from ..recipe import parse_recipe
from ..records import RunRequest
from ..strict import EngineError


class Answer(NamedTuple):
    """The result of a command: JSON data for programs, text for people, and an exit code for the shell."""

    data: Any
    text: str
    code: int = 0


class Command(NamedTuple):
    """One command. ``arguments`` declares the command's options; ``run`` executes it
    and raises EngineError.
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Answer]


def request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="tiny",
        help="the model: a row of `models`, a diffusers folder, a hub id, or a .safetensors file",
    )
    parser.add_argument("--steps", help="number of steps of the denoising loop")
    parser.add_argument("--size", metavar="WxH", help="picture size in pixels, such as 1024x1024")
    parser.add_argument("--text-tokens", help="number of tokens that the prompt is padded to")
    parser.add_argument(
        "--true-cfg-scale", help="strength of true guidance; above 1, each step makes a second call"
    )


def method_arguments(parser: argparse.ArgumentParser, *, default: str) -> None:
    parser.add_argument("--method", default=default, help="the caching method: a row of `methods`")
    parser.add_argument(
        "--recipe", help="the setting as a recipe such as F8B0_W8I1M0MC3_R0.12_T1O1, instead of --method"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KNOB=VALUE", help="value of a knob; may be repeated"
    )


def request_from_options(options: argparse.Namespace, **more: Any) -> RunRequest:
    """Return the options as a checked request. An option that is not given stays None: the model's row fills
    it in.
    """
    fields: dict[str, Any] = {
        "model": options.model,
        "steps": number(options.steps),
        "max_sequence_length": number(options.text_tokens),
        "true_cfg_scale": real(options.true_cfg_scale),
    }
    if options.size:
        width, by, height = options.size.lower().replace("×", "x").partition("x")
        if not (by and width.isdecimal() and height.isdecimal()):
            raise EngineError(f"size: {options.size!r} is not valid; write it like 1024x1024.")
        fields |= {"width": int(width), "height": int(height)}
    return RunRequest(**{name: value for name, value in fields.items() if value is not None}, **more)


def tell_unread(request: RunRequest, prompts: Sequence[str]) -> str:
    """Print how many prompts the model does not read to their end, and return that sentence, or ""."""
    spec = spec_of(request.model)
    resolved = spec.resolve(request)
    notes = [note for prompt in prompts if (note := spec.unread_note(resolved.replaced(prompt=prompt)))]
    if not notes:
        return ""
    told = notes[0] if len(prompts) == 1 else f"{len(notes)} of {len(prompts)} prompts; the first: {notes[0]}"
    print(told, flush=True)
    return told


def method_from_options(options: argparse.Namespace) -> Method:
    """Return the method of --recipe, or of --method with its --set knobs. Raises EngineError."""
    if options.recipe:
        if options.set:
            raise EngineError(
                "set: a recipe names every knob already; use either --recipe or --method with --set."
            )
        return parse_recipe(options.recipe)
    kinds = {knob.name: knob.type for knob in METHODS[options.method].knobs()}
    return METHODS[options.method](
        **{name: typed(value, kinds.get(name, "text")) for name, value in pairs(options.set)}
    )


def pairs(
    settings: Iterable[str], option: str = "set", example: str = "Fn_compute_blocks=8"
) -> list[tuple[str, str]]:
    """Split each NAME=VALUE into name and value. Raises EngineError for a text without ``=``."""
    split = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise EngineError(f"{option}: {setting!r} is not valid; write it like {example}.")
        split.append((name.strip(), value.strip()))
    return split


def typed(value: str, kind: str) -> Any:
    """Convert a knob's text to the knob's type. A text that cannot be converted stays a text: the knob
    refuses it.
    """
    if kind == "bool":
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    return {"int": number, "float": real}.get(kind, str)(value)


def number(text: str | None) -> int | float | str | None:
    """Return a whole number, or else the result of ``real``. The record that receives a wrong value reports
    it.
    """
    try:
        return int(text) if text is not None else None
    except ValueError:
        return real(text)


def real(text: str | None) -> float | str | None:
    """Return a finite number, or else the text itself. The record that receives a wrong value reports it."""
    try:
        return text if text is None or not math.isfinite(float(text)) else float(text)
    except ValueError:
        return text


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Return the rows as text with aligned columns."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def pretty(data: Any) -> str:
    """Return the data as indented JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False)
