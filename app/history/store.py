"""Stores finished comparisons that outlive the server. Each has a folder as ``compare --out`` writes it, and
a note with the name and the pin that its owner gave it.

The files decide: a folder that somebody adds is listed after the next start, and a removed folder is not.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cache_engine import (
    Comparison,
    EngineError,
    RunRequest,
    load_comparison,
    save_comparison,
    writable,
    write_whole,
)

from ..engine.store import everybody, user_folder

MOST = 200  # number of an owner's runs that are not pinned; a further run replaces the oldest
MOST_OF_ALL = 1000  # the same for the runs of all owners
MOST_BYTES = (
    2_000_000_000  # of the runs of all owners that are not pinned: about 300 pairs of 1024 x 1024 pixels
)
LONGEST = 80  # number of letters in a name
SMALL_SIDE = 96  # pixels of the longer side of the small picture
# seconds; if a half-written folder is older than this, no running server is writing it
ABANDONED_AFTER = 600.0
RESULT, NOTE, SMALL, PART = "result.json", "note.json", "small.png", ".part"

log = logging.getLogger(__name__)


def history_folder() -> Path | None:
    """Return the folder of this user's runs. Return None on a Space, where visitors would read each other's
    prompts, and if the user switched the history off.
    """
    switched_off = os.environ.get("CACHELENS_HISTORY", "").lower() in ("0", "off", "no", "false")
    return None if switched_off or "SPACE_ID" in os.environ else user_folder() / "history"


class HistoryEntry(NamedTuple):
    """The figures of a stored comparison.

    tflops, seconds (of the denoising loop): pairs of baseline and accelerated. timed: number of timed runs of
    each side. small: True if the folder has a small picture. number: counts the runs in the order in which
    they were added; 0 for runs of older versions. owner: the visitor whose run it is; "" where visitors are
    not kept apart. size: bytes of the folder's files, without the note.
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
    number: int = 0
    owner: str = ""
    size: int = 0


class HistoryStore:
    """Stores comparisons in ``folder``; with None, it stores nothing. Any thread may call it.

    owner: returns who asks. ``entries`` and ``clear`` treat the runs of this owner; the key of a run opens it
    to everybody.

    ``last_failure``: the sentence that says why the last comparison could not be stored, or "".
    """

    def __init__(self, folder: Path | None, owner: Callable[[], str] = everybody) -> None:
        self.folder, self._owner = folder, owner
        self.last_failure = ""
        self._lock = threading.RLock()
        self._entries: dict[str, HistoryEntry] | None = None  # None until the folder has been read

    def add(self, key: str, comparison: Comparison) -> None:
        """Store a comparison. This function raises nothing: after a failure, the comparison can still be
        viewed and downloaded.
        """
        if self.folder is None:
            return
        part = self.folder / f".{key}{PART}"
        with self._lock:
            try:
                entries = self._by_key()
                save_comparison(comparison, part)
                small = comparison.accelerated.image.copy()
                small.thumbnail((SMALL_SIDE, SMALL_SIDE))
                small.save(part / SMALL)
                number = 1 + max((entry.number for entry in entries.values()), default=0)
                owner = self._owner()
                note = {"number": number, "owner": owner}
                (part / NOTE).write_text(json.dumps(note), encoding="utf-8")
                part.rename(self.folder / key)  # the folder appears complete, or not at all
                if entry := _read_entry(self.folder / key):
                    entries[key] = entry
                # by the order of adding, because a clock can be set back; older runs have no number
                unpinned = [entry for entry in entries.values() if not entry.pinned]
                unpinned.sort(key=lambda entry: (entry.number, entry.finished))
                own = [entry for entry in unpinned if entry.owner == owner]
                for old in {*own[:-MOST], *unpinned[:-MOST_OF_ALL], *_beyond(unpinned, MOST_BYTES)}:
                    self.remove(old.key)
                self.last_failure = ""
            except Exception as error:  # no failure here may stop the engine's thread
                log.exception("history: a run could not be stored")
                reason = getattr(error.__cause__ or error, "strerror", None) or type(error).__name__
                self.last_failure = f"history: the last run could not be stored ({reason})."
                shutil.rmtree(part, ignore_errors=True)

    def entries(self) -> list[HistoryEntry]:
        """Return the owner's entries, the newest first."""
        owner = self._owner()
        with self._lock:
            own = [entry for entry in self._by_key().values() if entry.owner == owner]
            return sorted(own, key=lambda entry: entry.finished, reverse=True)

    def entry(self, key: str) -> HistoryEntry | None:
        """Return one entry; None for an unknown key."""
        with self._lock:
            return self._by_key().get(key)

    def pictures(self, key: str) -> tuple[Path, Path] | None:
        """Return the files of the baseline's and the accelerated picture; None for an unknown key."""
        if self.entry(key) is None:
            return None
        return self._run_folder(key) / "baseline.png", self._run_folder(key) / "accelerated.png"

    def comparison(self, key: str) -> Comparison | None:
        """Read a whole comparison. Return None for an unknown key, or if files are damaged."""
        if self.entry(key) is None:
            return None
        try:
            return load_comparison(self._run_folder(key))
        except EngineError as error:
            log.warning("%s", error)
            return None

    def rename(self, key: str, name: object) -> None:
        """Give a run a name. Raises EngineError if the name cannot be written."""
        self._write_note(key, name=writable(" ".join(str(name or "").split())[:LONGEST]))

    def pin(self, key: str, pinned: bool) -> None:
        """Pin a run, so that no newer run replaces it, or unpin it. Raises EngineError if the pin cannot be
        written.
        """
        self._write_note(key, pinned=pinned)

    def remove(self, key: str) -> None:
        """Delete a comparison and its files. Raises EngineError if the files cannot be removed."""
        with self._lock:
            if key not in self._by_key():
                return
            part = self.folder / f".{key}{PART}" if self.folder else Path()
            try:
                # renamed first, so that a half-removed run is not listed again
                self._run_folder(key).rename(part)
            except FileNotFoundError:
                pass  # another server has removed the run
            except OSError as error:
                raise EngineError(
                    f"history: {self._run_folder(key)} cannot be removed ({error.strerror}); close "
                    "programs that use it, and try again."
                ) from None
            del self._by_key()[key]
            if part.is_symlink():
                part.unlink()
            else:
                shutil.rmtree(part, ignore_errors=True)

    def clear(self) -> None:
        """Delete the owner's comparisons that are not pinned. Raises EngineError if a
        comparison cannot be removed.
        """
        for entry in self.entries():
            if not entry.pinned:
                self.remove(entry.key)

    def _write_note(self, key: str, **fields: Any) -> None:
        with self._lock:
            entry = self._by_key().get(key)
            if entry is None:
                return
            changed = entry._replace(**fields)
            folder = self._run_folder(key)
            kept = ("name", "pinned", "number", "owner")
            note = {name: getattr(changed, name) for name in kept}
            try:
                write_whole(folder / NOTE, json.dumps(note, ensure_ascii=False).encode())
            except OSError as error:
                raise EngineError(
                    f"history: {folder} cannot be written to ({error.strerror}); make room, or remove it."
                ) from None
            self._by_key()[key] = changed

    def _run_folder(self, key: str) -> Path:
        assert self.folder is not None, "only a store with a folder has runs"
        return self.folder / key

    def _by_key(self) -> dict[str, HistoryEntry]:
        """Read the folder once. Runs that another server adds are listed after the next start."""
        if self._entries is None:
            folders = sorted(self.folder.iterdir()) if self.folder and self.folder.is_dir() else ()
            self._entries = {entry.key: entry for entry in map(_read_entry, folders) if entry}
        return self._entries


def _beyond(entries: list[HistoryEntry], most: int) -> list[HistoryEntry]:
    """Return the oldest entries that the newest ones leave no bytes for; never the newest.

    entries: the oldest first.
    """
    total = 0
    for place, entry in enumerate(reversed(entries)):
        total += entry.size
        if total > most and place:
            return entries[: len(entries) - place]
    return []


def _read_entry(folder: Path) -> HistoryEntry | None:
    """Read a folder's figures. Return None if the folder holds no complete comparison.

    Folders that a server was writing or removing when it ended are deleted.
    """
    try:
        if folder.name.endswith(PART):
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(folder, ignore_errors=True)
            return None
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        note = json.loads((folder / NOTE).read_text(encoding="utf-8")) if (folder / NOTE).is_file() else {}
        return _entry(folder, result, note)
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
        log.warning("history: %s is not a complete comparison (%s)", folder.name, type(error).__name__)
        return None


def _entry(folder: Path, result: Mapping[str, Any], note: Mapping[str, Any]) -> HistoryEntry:
    before, after = result["baseline"], result["accelerated"]
    entry = HistoryEntry(
        folder.name,
        RunRequest(**result["request"]),
        str(result["method"]["name"]),
        str(result["recipe"]),
        str(after["schedule"]),
        _number(result["speedup"]),
        _number(result["compute_ratio"]),
        None if result["psnr_db"] is None else _number(result["psnr_db"]),
        _number(result["ssim"]),
        (_number(before["tflops"]), _number(after["tflops"])),
        (_number(before["seconds"]["denoise"]), _number(after["seconds"]["denoise"])),
        len(after.get("timed", ())) or 1,
        str(result["engine"]["device"]),
        _number(after["finished"]),
        (folder / SMALL).is_file(),
        str(note.get("name", ""))[:LONGEST],
        note.get("pinned") is True,
        int(_number(note.get("number", 0))),
        str(note.get("owner", "")),
        sum(path.stat().st_size for path in folder.iterdir() if path.name != NOTE),
    )
    time.localtime(entry.finished)  # raises an error for a time that no clock can show
    return entry


def _number(value: Any) -> float:
    """Check a number. Raises ValueError for any other value, also for a boolean or an infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
