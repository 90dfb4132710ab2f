"""``methods``: lists every method with its knobs, their defaults and bounds."""

from __future__ import annotations

import argparse
from typing import Any

from ..method import METHODS
from .shared import Answer, Command, table


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: argparse.Namespace) -> Answer:
    del options
    listed = [
        {
            "name": name,
            "title": method.title,
            "paper": method.paper,
            "grain": method.grain,
            "knobs": [knob._asdict() for knob in method.knobs()],
        }
        for name, method in METHODS.items()
    ]
    parts = []
    for method in listed:
        lines = [
            (
                f"  {knob['name']}",
                knob["default"] if knob["default"] != "" else "-",
                values(knob),
                knob["help"],
            )
            for knob in method["knobs"]
        ]
        parts.append(
            f"{method['name']}: {method['title']} "
            f"({method['grain']})\n{table(lines) if lines else '  no knobs'}"
        )
    return Answer(listed, "\n\n".join(parts))


def values(knob: dict[str, Any]) -> str:
    """Describe the values that a knob accepts, in a few characters."""
    if knob["type"] in ("text", "bool"):
        return {"text": "text", "bool": "false|true"}[knob["type"]]
    return "|".join(knob["choices"]) or f"{knob['low']}..{knob['high']}"


COMMAND = Command("methods", "list the methods and their knobs", arguments, run)
