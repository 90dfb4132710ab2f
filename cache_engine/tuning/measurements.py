"""Real runs of a tune or a sweep, in a folder: each is made once, kept with its picture, and found again
after a restart.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ..loading import load_model
from ..method import METHODS, Method
from ..quality import measure
from ..records import Emit, RunRequest, RunResult, ignore
from ..runs.disk import read_text, write_whole, writing
from ..runs.engine_note import note_engine
from ..runs.row import png_of, row_of
from ..runs.setting import Setting, setting_of
from ..runs.table import Table
from ..strict import EngineError
from ..whatif.survey import Survey, load

REQUEST, SURVEYS = "request.json", "surveys"


class Measurement(NamedTuple):
    """One setting on one prompt. psnr_db: None where the picture is the baseline's own.  seconds: of the
    denoise loop.

    picture, baseline: its PNG, and the plain run's.
    """

    prompt: str
    psnr_db: float | None
    ssim: float
    tflops: float
    seconds: float
    schedules: dict[str, str]
    picture: Path
    baseline: Path

    @property
    def closeness(self) -> float:
        """dB, where identical is as close as can be told apart in 8 bits."""
        return IDENTICAL if self.psnr_db is None else self.psnr_db


IDENTICAL = 100.0
BASELINE = setting_of(METHODS["baseline"]())


class Measurements:
    """Of one request on several prompts, told by their numbers. Methods raise EngineError or Cancelled;
    nothing half done is kept.

    emit, stop: as in ``run``.  The folder is for one request, its prompts and one engine, and open for one at
    a time: EngineError for any other. Use as a context manager.
    """

    def __init__(
        self,
        folder: Path,
        request: RunRequest,
        prompts: Sequence[str],
        *,
        emit: Emit = ignore,
        stop: threading.Event | None = None,
    ) -> None:
        self._folder, self._request, self._prompts = folder, request, prompts
        self._how: dict[str, Any] = {"emit": emit, "stop": stop}
        self.made = 0
        with writing(folder):
            (folder / SURVEYS).mkdir(parents=True, exist_ok=True)
            self._table = Table(folder)
        try:
            claim_folder(
                folder / REQUEST,
                {"request": request.model_dump(mode="json"), "prompts": list(prompts)},
                "runs",
            )
            note_engine(folder, load_model(request.model).engine)
            with writing(folder):
                self._table.load()
        except BaseException:
            self.__exit__()
            raise
        self._surveys: dict[int, Survey] = {}

    def __enter__(self) -> Measurements:
        return self

    def __exit__(self, *error: object) -> None:
        self._table.close()

    def known(self, number: int, setting: Setting) -> Measurement | None:
        """What was measured before."""
        row, plain = (self._table.rows.get((number, one.key)) for one in (setting, BASELINE))
        return (
            None
            if row is None or plain is None
            else Measurement(
                self._prompts[number],
                row["psnr_db"],
                row["ssim"],
                row["tflops"],
                row["seconds"]["denoise"],
                row["schedules"],
                self._folder / row["picture"],
                self._folder / plain["picture"],
            )
        )

    def measured(self, number: int, method: Method) -> Measurement:
        """Known, or run now; the prompt's baseline has been run."""
        setting = setting_of(method)
        return self.known(number, setting) or self._made(number, setting, self._run(number, method))

    def baseline(self, number: int) -> Measurement:
        """The prompt's plain run, clocked."""
        return self.known(number, BASELINE) or self._made(
            number, BASELINE, self._run(number, METHODS["baseline"](), side="baseline")
        )

    def survey(self, number: int) -> Survey:
        """What settings are judged by, recorded in a plain run of its own: recording takes time."""
        if number not in self._surveys:
            path = self._folder / SURVEYS / f"{number:05d}.npz"
            self._surveys[number] = self._kept(path) or self._recorded(number, path)
        return self._surveys[number]

    def _kept(self, path: Path) -> Survey | None:
        """None for one that is not there, or is of an older version: it is recorded anew."""
        try:
            return load(path)
        except EngineError:
            return None

    def _recorded(self, number: int, path: Path) -> Survey:
        recorded = self._run(number, METHODS["baseline"](), side="baseline", survey=True).survey
        assert recorded is not None
        with writing(self._folder):
            part = path.with_name(f"part-{path.name}")
            recorded.save(part)
            os.replace(part, path)
        self.made += 1
        return load(path)

    def _run(self, number: int, method: Method, **how: Any) -> RunResult:
        from ..runner import run  # torch

        return run(self._request.replaced(prompt=self._prompts[number]), method, **how, **self._how)

    def _made(self, number: int, setting: Setting, result: RunResult) -> Measurement:
        picture = result.image.convert("RGB")
        quality = measure(
            self._reference(number) if (number, BASELINE.key) in self._table.rows else picture, picture
        )
        row = row_of(number, setting, result) | {"psnr_db": quality.psnr_db, "ssim": quality.ssim}
        with writing(self._folder):
            self._table.add(row, png_of(picture))
        self.made += 1
        found = self.known(number, setting)
        assert found is not None
        return found

    def _reference(self, number: int) -> Image.Image:
        return Image.open(io.BytesIO(self._table.picture((number, BASELINE.key)))).convert("RGB")


def claim_folder(path: Path, wanted: dict[str, Any], what: str) -> None:
    """The folder of ``path`` is for what is wanted, or becomes it. Raises EngineError where it is for
    something else.
    """
    if path.is_file():
        if read_text(path) != json.dumps(wanted, indent=1):
            raise EngineError(
                f"out: {path.parent} holds another request's {what}; give the same arguments, or choose "
                f"another folder."
            )
        return
    with writing(path.parent):
        write_whole(path, json.dumps(wanted, indent=1).encode())
