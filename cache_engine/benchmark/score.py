"""Scores pictures that other programs made: it compares folders of pictures with the baseline's folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from ..metric import METRICS, Metric, MetricInput, scores
from ..strict import EngineError
from .figures import MetricStatistics, statistics_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class ScoredFolder(NamedTuple):
    """One folder of scored pictures. rows: ``{"picture", "prompt", metrics...}``, one for each picture."""

    name: str
    rows: list[dict[str, Any]]

    def statistics(self, floors: Mapping[str, float]) -> dict[str, MetricStatistics | None]:
        names = [name for name in self.rows[0] if name in METRICS]
        return {
            name: statistics_of(name, [row[name] for row in self.rows], floors.get(name)) for name in names
        }


def score_folders(
    images: Path, baseline: Path | None, prompts: Sequence[str], metrics: Mapping[str, Metric]
) -> Iterator[ScoredFolder]:
    """Score ``images`` if it holds pictures; otherwise score every folder in it that holds pictures.

    Pictures are read in the order of the numbers in their names. The n-th picture belongs to the n-th prompt.
    Each picture is compared with the baseline's picture of the same name, or else with the baseline's n-th
    picture. Raises EngineError if there are too few prompts or baseline pictures.
    """
    folders = (
        [images]
        if pictures(images)
        else [folder for folder in sorted(_entries(images)) if folder.is_dir() and pictures(folder)]
    )
    if not folders:
        raise EngineError(
            f"images: {images} holds neither pictures nor folders of pictures; name the folder that "
            "holds the pictures."
        )
    if baseline is None and any(metric.reference for metric in metrics.values()):
        names = ", ".join(name for name, metric in metrics.items() if metric.reference)
        raise EngineError(
            f"baseline: missing, but needed by {names}; name its folder, or leave these "
            "metrics out with --metrics."
        )
    if not prompts and any(not metric.reference for metric in metrics.values()):
        names = ", ".join(name for name, metric in metrics.items() if not metric.reference)
        raise EngineError(
            f"prompts: missing, but needed by {names}; name their file, or leave these metrics out "
            "with --metrics."
        )
    for folder in folders:
        rows = [
            _row(number, picture, folder, baseline, prompts, metrics)
            for number, picture in enumerate(pictures(folder))
        ]
        yield ScoredFolder(folder.name, rows)


def _row(
    number: int,
    picture: Path,
    folder: Path,
    baseline: Path | None,
    prompts: Sequence[str],
    metrics: Mapping[str, Metric],
) -> dict[str, Any]:
    if prompts and number >= len(prompts):
        raise EngineError(
            f"prompts: {folder} holds more pictures than the {len(prompts)} prompts; name the file of "
            "the prompts that made the pictures."
        )
    prompt = prompts[number] if prompts else ""
    reference = open_picture(_counterpart(number, picture, baseline)) if baseline else None
    return {
        "picture": picture.name,
        "prompt": prompt,
        **scores(metrics, MetricInput(open_picture(picture), prompt, reference)),
    }


def _counterpart(number: int, picture: Path, baseline: Path) -> Path:
    if (baseline / picture.name).is_file():
        return baseline / picture.name
    candidates = pictures(baseline)
    if number >= len(candidates):
        raise EngineError(
            f"baseline: {baseline} holds {len(candidates)} pictures and none for {picture.name}; name "
            "the folder with pictures of the same prompts."
        )
    return candidates[number]


def pictures(folder: Path) -> list[Path]:
    """Return a folder's pictures, sorted by the numbers in their names: img_2 comes before img_10."""
    files = [path for path in _entries(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(
        files,
        key=lambda path: [
            (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)
        ],
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise EngineError(
            f"images: {folder} cannot be read ({error.strerror}); name a folder of pictures."
        ) from None


def open_picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise EngineError(
            f"images: {path} cannot be read ({type(error).__name__}); restore or remove it."
        ) from None
