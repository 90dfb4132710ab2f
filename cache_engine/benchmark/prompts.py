"""Read prompts from a text file with one prompt a line, from a JSON list, or from DrawBench on the hub."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from ..strict import EngineError, lines_of

DRAWBENCH = "sayakpaul/drawbench"  # a data set on the hub: a CSV file with a column "Prompts"
COLUMN = "Prompts"
PLACE = Path(__file__).resolve().parents[2] / "presets" / "drawbench.txt"


def prompts(name: str, limit: int | None = None) -> tuple[str, ...]:
    """Return the first ``limit`` prompts of a file, or of ``drawbench``. Raises EngineError."""
    texts = drawbench() if name == "drawbench" else prompts_from_file(Path(name))
    if not texts:
        raise EngineError(f"prompts: {name} holds no prompt; write one prompt a line, or a JSON list.")
    return texts if limit is None else texts[:limit]


def prompts_from_file(path: Path) -> tuple[str, ...]:
    """Read the prompts of a file.

    A ``.json`` file holds a list of texts, or of objects with a ``prompt``. A ``.jsonl`` file holds one such
    text or object a line. Any other file holds one prompt a line. Raises EngineError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = lines_of(text)
        if path.suffix not in (".json", ".jsonl"):
            return tuple(lines)
        entries = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise EngineError(
            f"prompts: {path} cannot be read ({reason}); name a file with one prompt a line, or drawbench."
        ) from None
    if not isinstance(entries, list):
        raise EngineError(f"prompts: {path} is not a JSON list; write a list of texts.")
    return tuple(_text(entry, path) for entry in entries)


def _text(entry: Any, path: Path) -> str:
    text = entry.get("prompt") if isinstance(entry, dict) else entry
    if not isinstance(text, str) or not text.strip():
        raise EngineError(
            f"prompts: {str(entry)[:60]} in {path} is not a prompt; write a text, or an object with a prompt."
        )
    return text.strip()


def drawbench() -> tuple[str, ...]:
    """Return DrawBench's prompts: from ``presets/drawbench.txt`` if it exists, else from the hub."""
    if PLACE.is_file():
        return prompts_from_file(PLACE)
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(DRAWBENCH, repo_type="dataset", allow_patterns="*.csv"))
        with next(folder.rglob("*.csv")).open(encoding="utf-8", newline="") as file:
            return tuple(row[COLUMN].strip() for row in csv.DictReader(file) if row[COLUMN].strip())
    except Exception as error:  # without a connection, the hub's client raises many kinds of errors
        raise EngineError(
            f"prompts: DrawBench cannot be downloaded from the hub ({type(error).__name__}); put its "
            f"200 prompts, one a line, into {PLACE}, or name a file."
        ) from None
