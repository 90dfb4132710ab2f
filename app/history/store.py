"""Finished comparisons that outlive the server: a folder each, as ``compare --out`` writes it, with a note of
what its owner made of it.

The files are the truth: a folder that is put there is listed after the next start, one that is taken away is
not.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from cache_engine import Comparison, EngineError, RunRequest, load_comparison, save_comparison

from ..engine.store import user_folder

MOST = 200  # runs that are not pinned: beyond them the oldest goes
LONGEST = 80  # letters of a name
SIDE = 96  # pixels of the small picture, at most
LEFT_OVER = 600.0  # seconds after which what is half written is nobody's
RESULT, NOTE, SMALL, PART = "result.json", "note.json", "small.png", ".part"

log = logging.getLogger(__name__)


def history_folder() -> Path | None:
    """Where this user's runs are kept. None: on a Space, where visitors would read each other's prompts, or
    by choice.
    """
    unwanted = os.environ.get("CACHELENS_HISTORY", "").lower() in ("0", "off", "no", "false")
    return None if unwanted or "SPACE_ID" in os.environ else user_folder() / "history"


class HistoryEntry(NamedTuple):
    """A kept comparison in short.  tflops, seconds (of the denoise loop): baseline, accelerated.  timed: runs
    of a side that were timed.

    small: whether there is a small picture of it.
    """

    key: str
    request: RunRequest
    method: str
    recipe: str
    schedule: str
    speedup: float
    compute_ratio: float
    psnr_db: float | None
    ssim: float
    tflops: tuple[float, float]
    seconds: tuple[float, float]
    timed: int
    device: str
    finished: float
    small: bool = False
    name: str = ""
    pinned: bool = False


class HistoryStore:
    """``folder`` None: nothing is kept. Any thread may ask. What is changed here raises EngineError where it
    cannot be written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.last_failure = ""  # why the last comparison could not be kept
        self._lock = threading.RLock()
        self._read: dict[str, HistoryEntry] | None = None

    def add(self, key: str, comparison: Comparison) -> None:
        """Raises nothing: it is seen and can be taken along although it could not be kept."""
        if self.folder is None:
            return
        part = self.folder / f".{key}{PART}"
        with self._lock:
            try:
                known = self._known()
                save_comparison(comparison, part)
                small = comparison.accelerated.image.copy()
                small.thumbnail((SIDE, SIDE))
                small.save(part / SMALL)
                part.rename(self.folder / key)  # whole, or not at all
                if one := _read_entry(self.folder / key):
                    known[key] = one
                for old in [one for one in self.entries() if not one.pinned][MOST:]:
                    self.remove(old.key)
                self.last_failure = ""
            except Exception as error:  # whatever it is, the engine's thread goes on
                log.exception("a run could not be kept")
                reason = getattr(error.__cause__ or error, "strerror", None) or type(error).__name__
                self.last_failure = f"history: the last run could not be kept ({reason})."
                shutil.rmtree(part, ignore_errors=True)

    def entries(self) -> list[HistoryEntry]:
        """The newest first."""
        with self._lock:
            return sorted(self._known().values(), key=lambda one: one.finished, reverse=True)

    def entry(self, key: str) -> HistoryEntry | None:
        with self._lock:
            return self._known().get(key)

    def pictures(self, key: str) -> tuple[Path, Path] | None:
        """Files of the baseline's and the accelerated picture."""
        with self._lock:
            return (
                (self._at(key) / "baseline.png", self._at(key) / "accelerated.png")
                if key in self._known()
                else None
            )

    def comparison(self, key: str) -> Comparison | None:
        """The whole of it, read from the disk. None where there is none, or its files are damaged."""
        if self.entry(key) is None:
            return None
        try:
            return load_comparison(self._at(key))
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
                part.write_text(
                    json.dumps({"name": changed.name, "pinned": changed.pinned}, ensure_ascii=False),
                    encoding="utf-8",
                )
                os.replace(part, self._at(key) / NOTE)
            except OSError as error:
                raise EngineError(
                    f"history: {self._at(key)} cannot be written to ({error.strerror}); make room, or remove "
                    f"it."
                ) from None
            self._known()[key] = changed

    def remove(self, key: str) -> None:
        """The comparison and its files. Its name goes first: what is half removed is not listed again."""
        with self._lock:
            if key not in self._known():
                return
            part = self.folder / f".{key}{PART}" if self.folder else Path()
            try:
                self._at(key).rename(part)
            except FileNotFoundError:
                pass  # somebody else removed it
            except OSError as error:
                raise EngineError(
                    f"history: {self._at(key)} cannot be removed ({error.strerror}); is it in use?"
                ) from None
            del self._known()[key]
            if part.is_symlink():
                part.unlink()
            else:
                shutil.rmtree(part, ignore_errors=True)

    def clear(self) -> None:
        """All but the pinned ones."""
        for one in self.entries():
            if not one.pinned:
                self.remove(one.key)

    def _at(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key

    def _known(self) -> dict[str, HistoryEntry]:
        """Read once: what another server keeps there is listed after the next start."""
        if self._read is None:
            folders = sorted(self.folder.iterdir()) if self.folder and self.folder.is_dir() else ()
            self._read = {one.key: one for one in map(_read_entry, folders) if one is not None}
        return self._read


def _read_entry(folder: Path) -> HistoryEntry | None:
    """None for what is no whole comparison; what was being written, or removed, when a server ended is taken
    away.
    """
    try:
        if folder.name.endswith(PART):
            if time.time() - folder.stat().st_mtime > LEFT_OVER:  # younger ones are another server's, at work
                shutil.rmtree(folder, ignore_errors=True)
            return None
        data = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        note = json.loads((folder / NOTE).read_text(encoding="utf-8")) if (folder / NOTE).is_file() else {}
        before, after = data["baseline"], data["accelerated"]
        found = HistoryEntry(
            folder.name,
            RunRequest(**data["request"]),
            str(data["method"]["name"]),
            str(data["recipe"]),
            str(after["schedule"]),
            _real(data["speedup"]),
            _real(data["compute_ratio"]),
            None if data["psnr_db"] is None else _real(data["psnr_db"]),
            _real(data["ssim"]),
            (_real(before["tflops"]), _real(after["tflops"])),
            (_real(before["seconds"]["denoise"]), _real(after["seconds"]["denoise"])),
            len(after.get("timed", ())) or 1,
            str(data["engine"]["device"]),
            _real(after["finished"]),
            (folder / SMALL).is_file(),
            str(note.get("name", ""))[:LONGEST],
            note.get("pinned") is True,
        )
        time.localtime(found.finished)
        return found
    except (
        OSError,
        ArithmeticError,
        RecursionError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EngineError,
    ) as error:
        log.warning("history: %s is no whole comparison (%s)", folder.name, type(error).__name__)
        return None


def _real(value: Any) -> float:
    """Raises ValueError for what is no plain number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
