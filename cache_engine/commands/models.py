"""``models``: lists the models, their needs and whether they can run here, or describes one model."""

from __future__ import annotations

import argparse
from typing import Any

from ..files import Picture
from ..method import METHODS
from ..model import ModelSpec
from ..models.catalog import MODELS, spec_of
from ..records import RunRequest
from ..strict import EngineError
from .shared import Answer, Command, table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="describe one model: a row's name, a diffusers folder, a hub id or a .safetensors file",
    )


def run(options: argparse.Namespace) -> Answer:
    if options.model:
        return _described(spec_of(options.model))
    listed = []
    for row in MODELS.values():
        reason = row.unavailable()
        listed.append(
            {
                "name": row.name,
                "title": row.title,
                "family": row.family,
                "blocks": row.blocks,
                "steps": row.steps,
                "needs": row.needs,
                "licence": row.licence,
                "gated": row.gated,
                "available": reason is None,
                "reason": reason,
            }
        )
    lines = [("name", "family", "blocks", "here?", "needs")]
    lines += [
        (row["name"], row["family"], row["blocks"], "yes" if row["available"] else "no", row["needs"])
        for row in listed
    ]
    why = "\n".join(f"{row['name']}: {row['reason']}" for row in listed if row["reason"])
    return Answer(listed, f"{table(lines)}\n{why}".rstrip())


def _described(spec: ModelSpec) -> Answer:
    """Describe one model: its block lists, its streams, and the methods that fit it."""
    picture = Picture(file="-", sha256="0" * 64) if spec.image == "needed" else None
    facts = spec.facts(spec.resolve(RunRequest(model=spec.name, prompt="-", image=picture)))
    unfit: dict[str, str] = {}
    for name, method in METHODS.items():
        try:
            method().plan(facts)
        except EngineError as error:
            unfit[name] = str(error)
    fit = [name for name in METHODS if name not in unfit]
    reason = spec.unavailable()
    data: dict[str, Any] = {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "transformer": spec.transformer,
        "blocks": list(facts.sections),
        "streams": list(facts.streams),
        "steps": spec.steps,
        "image": spec.image,
        "methods": fit,
        "unfit": unfit,
        "available": reason is None,
        "reason": reason,
    }
    lists = ", ".join(
        f"{length} in {section.path}" for section, length in zip(spec.sections, facts.sections, strict=True)
    )
    lines = [
        ("model", spec.title),
        ("class", spec.transformer),
        ("blocks", lists),
        ("streams", ", ".join(facts.streams)),
        ("picture", spec.image),
        ("methods", ", ".join(fit)),
        *(("not", why) for why in unfit.values()),
        ("here?", reason or "yes"),
    ]
    return Answer(data, table(lines))


COMMAND = Command(
    "models",
    "list the models, their needs and whether they can run here, or describe one model",
    arguments,
    run,
)
