"""``models``: which models there are, what they need, and whether they can run here."""

from __future__ import annotations

import argparse

from ..model import MODELS
from .shared import Answer, Command, table


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: argparse.Namespace) -> Answer:
    del options
    found = []
    for row in MODELS.values():
        reason = row.unavailable()
        found.append({"name": row.name, "title": row.title, "family": row.family, "blocks": row.blocks, "steps": row.steps,
                      "needs": row.needs, "licence": row.licence, "gated": row.gated, "available": reason is None,
                      "reason": reason})
    lines = [("name", "family", "blocks", "here?", "needs")]
    lines += [(row["name"], row["family"], row["blocks"], "yes" if row["available"] else "no", row["needs"]) for row in found]
    why = "\n".join(f"{row['name']}: {row['reason']}" for row in found if row["reason"])
    return Answer(found, f"{table(lines)}\n{why}".rstrip())


COMMAND = Command("models", "the models, what they need, and whether they can run here", arguments, run)
