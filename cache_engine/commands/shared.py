"""What commands share: their shape, and arguments that become a request and a method."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..method import METHODS, Method
from ..recipe import parse_recipe
from ..records import RunRequest
from ..strict import EngineError


class Answer(NamedTuple):
    """What a command says: for programs, for people, and to the shell."""

    data: Any
    text: str
    code: int = 0


class Command(NamedTuple):
    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Answer]


def request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="tiny",
        help="a row of `models`, a diffusers folder, a hub id, or a .safetensors file",
    )
    parser.add_argument("--steps", help="steps of the denoising loop")
    parser.add_argument("--size", metavar="WxH", help="picture size in pixels, such as 1024x1024")
    parser.add_argument("--text-tokens", help="length that the prompt is padded to")
    parser.add_argument("--true-cfg-scale", help="above 1: guided by a second call in every step")


def method_arguments(parser: argparse.ArgumentParser, *, default: str) -> None:
    parser.add_argument("--method", default=default, help="a row of `methods`")
    parser.add_argument("--recipe", help="instead of --method, such as F8B0_W8I1M0MC3_R0.12_T1O1")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KNOB=VALUE", help="a knob; may be repeated"
    )


def request_from_options(options: argparse.Namespace, **more: Any) -> RunRequest:
    """The arguments as a checked request; what was not given is left to the model's row."""
    fields: dict[str, Any] = {
        "model": options.model,
        "steps": number(options.steps),
        "max_sequence_length": number(options.text_tokens),
        "true_cfg_scale": real(options.true_cfg_scale),
    }
    if options.size:
        width, by, height = options.size.lower().replace("×", "x").partition("x")
        if not (by and width.isdigit() and height.isdigit()):
            raise EngineError(f"size: {options.size!r} is not valid; write it like 1024x1024.")
        fields |= {"width": int(width), "height": int(height)}
    return RunRequest(**{name: value for name, value in fields.items() if value is not None}, **more)


def method_from_options(options: argparse.Namespace) -> Method:
    """--recipe, or --method with its --set knobs."""
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
    """NAME=VALUE, each taken apart."""
    found = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise EngineError(f"{option}: {setting!r} is not valid; write it like {example}.")
        found.append((name.strip(), value.strip()))
    return found


def typed(value: str, kind: str) -> Any:
    """A knob's text as its type; what cannot be read is handed on, and refused with the knob's own
    sentence.
    """
    if kind == "bool":
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    return {"int": number, "float": real}.get(kind, str)(value)


def number(text: str | None) -> int | float | str | None:
    """A whole number; else as ``real``: the record that takes it says what is wrong."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return real(text)


def real(text: str | None) -> float | str | None:
    """A finite number; what is none is handed on as text, and refused by what takes it."""
    try:
        return text if text is None or not math.isfinite(float(text)) else float(text)
    except ValueError:
        return text


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Columns side by side, as wide as they need to be."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def pretty(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
