"""Finished comparisons that outlive the server: a folder each, as ``compare --out`` writes it, with a note of what its owner made of it.

The files are the truth: a folder that is put there is listed after the next start, one that is taken away is not.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any, NamedTuple

from cache_engine import Comparison, EngineError, keep_comparison, kept_comparison

from .store import home

MOST = 200  # runs that are not pinned: beyond them the oldest goes
LONGEST = 80  # letters of a name
RESULT, NOTE, PART = "result.json", "note.json", ".part"

log = logging.getLogger(__name__)


def history_folder() -> Path | None:
    """Where this user's runs are kept. None: on a Space, where visitors would read each other's prompts, or by choice."""
    unwanted = os.environ.get("CACHELENS_HISTORY", "").lower() in ("0", "off", "no", "false")
    return None if unwanted or "SPACE_ID" in os.environ else home() / "history"


class Entry(NamedTuple):
    """A kept comparison. ``data``: result.json without the calls, which nobody reads here."""

    key: str
    data: dict[str, Any]
    name: str = ""
    pinned: bool = False

    @property
    def finished(self) -> float:
        return float(self.data["accelerated"]["finished"])


class History:
    """``folder`` None: nothing is kept. Any thread may ask. What is changed here raises EngineError where it cannot be written."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.said = ""  # why the last comparison could not be kept
        self._lock = threading.RLock()
        self._read: dict[str, Entry] | None = None

    def add(self, key: str, comparison: Comparison) -> None:
        """Raises nothing: it is seen and can be taken along although it could not be kept."""
        if self.folder is None:
            return
        with self._lock:
            try:
                known, part = self._known(), self.folder / f".{key}{PART}"
                keep_comparison(comparison, part)
                part.rename(self.folder / key)  # whole, or not at all
                if one := _entry(self.folder / key):
                    known[key] = one
                for old in [one for one in self.listed() if not one.pinned][MOST:]:
                    self.remove(old.key)
                self.said = ""
            except (EngineError, OSError) as error:
                self.said = f"history: the last run could not be kept ({getattr(error, 'strerror', None) or error})"
                log.warning("%s", self.said)

    def listed(self) -> list[Entry]:
        """The newest first."""
        with self._lock:
            return sorted(self._known().values(), key=lambda one: one.finished, reverse=True)

    def one(self, key: str) -> Entry | None:
        with self._lock:
            return self._known().get(key)

    def pictures(self, key: str) -> tuple[Path, Path] | None:
        """Files of the baseline's and the accelerated picture."""
        with self._lock:
            return (self._at(key) / "baseline.png", self._at(key) / "accelerated.png") if key in self._known() else None

    def comparison(self, key: str) -> Comparison | None:
        """The whole of it, read from the disk. None where there is none, or its files are damaged."""
        if self.one(key) is None:
            return None
        try:
            return kept_comparison(self._at(key))
        except EngineError as error:
            log.warning("%s", error)
            return None

    def note(self, key: str, **fields: Any) -> None:
        """Another ``name`` or ``pinned``."""
        with self._lock:
            found = self._known().get(key)
            if found is None:
                return
            if "name" in fields:
                fields["name"] = " ".join(str(fields["name"] or "").split())[:LONGEST]
            changed = found._replace(**fields)
            part = self._at(key) / f".{NOTE}"
            try:
                part.write_text(json.dumps({"name": changed.name, "pinned": changed.pinned}, ensure_ascii=False), encoding="utf-8")
                os.replace(part, self._at(key) / NOTE)
            except OSError as error:
                raise EngineError(f"history: {self._at(key)} cannot be written to ({error.strerror}); make room, or remove it.") from None
            self._known()[key] = changed

    def remove(self, key: str) -> None:
        """The comparison and its files."""
        with self._lock:
            if self._known().pop(key, None) is not None:
                shutil.rmtree(self._at(key), ignore_errors=True)

    def clear(self) -> None:
        """All but the pinned ones."""
        for one in self.listed():
            if not one.pinned:
                self.remove(one.key)

    def _at(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key

    def _known(self) -> dict[str, Entry]:
        """Read once: what another server keeps there is listed after the next start."""
        if self._read is None:
            folders = sorted(self.folder.iterdir()) if self.folder and self.folder.is_dir() else ()
            self._read = {one.key: one for one in map(_entry, folders) if one is not None}
        return self._read


def _light(data: dict[str, Any]) -> dict[str, Any]:
    return data | {side: {name: value for name, value in data[side].items() if name != "trace"} for side in ("baseline", "accelerated")}


def _entry(folder: Path) -> Entry | None:
    """None for what is no whole comparison; one that was being written when the server ended is taken away."""
    if folder.name.endswith(PART):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    try:
        data = _light(json.loads((folder / RESULT).read_text(encoding="utf-8")))
        note = json.loads((folder / NOTE).read_text(encoding="utf-8")) if (folder / NOTE).is_file() else {}
        found = Entry(folder.name, data, str(note.get("name", ""))[:LONGEST], note.get("pinned") is True)
        return found if found.finished > 0 and {"recipe", "psnr_db", "ssim", "speedup", "compute_ratio", "engine"} <= data.keys() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("history: %s is no whole comparison (%s)", folder.name, type(error).__name__)
        return None
