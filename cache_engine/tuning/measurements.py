"""The real runs of a tune, a sweep or a check, in a folder: each run is made once and stored with its
picture.
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
from ..records import Emit, RunRequest, RunResult, Side, ignore
from ..runs.disk import read_text, write_whole, writing
from ..runs.engine_note import note_engine
from ..runs.row import png_of, row_of
from ..runs.setting import Setting, setting_of
from ..runs.table import Table
from ..strict import EngineError
from ..whatif.survey import Survey
from ..whatif.survey_file import load

REQUEST, SURVEYS = "request.json", "surveys"


class Measurement(NamedTuple):
    """The figures of one setting on one prompt.

    psnr_db: None if the picture equals the baseline's. seconds: of the denoising loop. picture, baseline: the
    PNG files of this run and of the plain run.
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
        """Return the PSNR, or a fixed finite number for identical pictures."""
        return IDENTICAL if self.psnr_db is None else self.psnr_db


IDENTICAL = 100.0  # dB: more than two different 8-bit pictures of the usual sizes can have
BASELINE = setting_of(METHODS["baseline"]())


class Measurements:
    """The real runs of one request on several prompts. Use the class as a context manager.

    A prompt's number is its place in ``prompts``. emit, stop: as in ``run``. The folder belongs to one
    request with its prompts, to one engine, and to one process at a time: anything else raises EngineError.
    The methods raise EngineError or Cancelled; a run that was interrupted leaves no files.
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
        self._emit, self._stop = emit, stop
        self.made = 0  # number of pictures drawn since the folder was opened
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

    def find(self, number: int, setting: Setting) -> Measurement | None:
        """Return an earlier measurement, or None if the setting has not run on this prompt."""
        row, plain = (self._table.rows.get((number, key)) for key in (setting.key, BASELINE.key))
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

    def measure(self, number: int, method: Method) -> Measurement:
        """Return the measurement of a setting; if there is none, run the setting. The prompt's baseline must
        have run before.
        """
        setting = setting_of(method)
        return self.find(number, setting) or self._keep(number, setting, self._run(number, method))

    def measure_baseline(self, number: int) -> Measurement:
        """Return the measurement of the prompt's plain run; if there is none, make the run."""
        return self.find(number, BASELINE) or self._keep(
            number, BASELINE, self._run(number, METHODS["baseline"](), side="baseline")
        )

    def survey(self, number: int) -> Survey:
        """Return the prompt's survey. The survey is recorded in a separate run, because
        recording takes time.
        """
        if number not in self._surveys:
            path = self._folder / SURVEYS / f"{number:05d}.npz"
            self._surveys[number] = self._load_survey(path) or self._record_survey(number, path)
        return self._surveys[number]

    def _load_survey(self, path: Path) -> Survey | None:
        """Return the survey of a file, or None if the file is missing or was written by an older version."""
        try:
            return load(path)
        except EngineError:
            return None

    def _record_survey(self, number: int, path: Path) -> Survey:
        survey = self._run(number, METHODS["baseline"](), side="baseline", survey=True).survey
        assert survey is not None
        with writing(self._folder):
            part = path.with_name(f"part-{path.name}")
            survey.save(part)
            os.replace(part, path)
        self.made += 1
        return load(path)

    def _run(
        self, number: int, method: Method, *, side: Side = "accelerated", survey: bool = False
    ) -> RunResult:
        from ..runner import run  # imports torch

        request = self._request.replaced(prompt=self._prompts[number])
        return run(request, method, emit=self._emit, stop=self._stop, side=side, survey=survey)

    def _keep(self, number: int, setting: Setting, result: RunResult) -> Measurement:
        picture = result.image.convert("RGB")
        quality = measure(
            self._reference(number) if (number, BASELINE.key) in self._table.rows else picture, picture
        )
        row = row_of(number, setting, result) | {"psnr_db": quality.psnr_db, "ssim": quality.ssim}
        with writing(self._folder):
            self._table.add(row, png_of(picture))
        self.made += 1
        measurement = self.find(number, setting)
        assert measurement is not None
        return measurement

    def _reference(self, number: int) -> Image.Image:
        return Image.open(io.BytesIO(self._table.picture((number, BASELINE.key)))).convert("RGB")


def claim_folder(path: Path, contents: dict[str, Any], what: str) -> None:
    """Write ``contents`` to ``path``, or check that the file already holds the same contents.

    what: the name of the folder's contents, for the error message. Raises EngineError if the folder belongs
    to another task.
    """
    if path.is_file():
        if read_text(path) != json.dumps(contents, indent=1):
            raise EngineError(
                f"out: {path.parent} holds the {what} of another request; give the same arguments, or "
                "choose another folder."
            )
        return
    with writing(path.parent):
        write_whole(path, json.dumps(contents, indent=1).encode())
