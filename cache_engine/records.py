"""Frozen facts that the parts of the project exchange: requests, decisions and results.

Types that exist by the thousands are NamedTuples; everything that comes from outside is strict pydantic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple

from PIL.Image import Image
from pydantic import Field

from .files import MOST_LORAS, Input, Loras
from .plans import Mode
from .strict import Strict, Whole

Side = Literal["baseline", "accelerated"]
Stage = Literal["load", "count", "warm-up", "encode", "denoise", "decode", "timing"]
Prompt = Annotated[str, Field(min_length=1, max_length=2000)]


class RunRequest(Strict):
    """The picture to draw. ``None`` stands for the default of the model's row."""

    model: str = Field(default="tiny", min_length=1, max_length=200)
    prompt: Prompt
    negative_prompt: str = Field(default="", max_length=2000)
    true_cfg_scale: float | None = Field(default=None, ge=1, le=20)
    guidance: float | None = Field(default=None, ge=0, le=20)
    seed: Whole = Field(default=0, ge=0, le=2**32 - 1)
    steps: Whole | None = Field(default=None, ge=1, le=200)
    width: Whole | None = Field(default=None, ge=64, le=2048)
    height: Whole | None = Field(default=None, ge=64, le=2048)
    max_sequence_length: Whole | None = Field(default=None, ge=1, le=512)
    loras: Loras = Field(default=(), max_length=MOST_LORAS)
    image: Input = None


class Engine(Strict):
    """The engine that ran a picture. Two results may be compared only if their engines are equal."""

    model: str
    revision: str
    dtype: str
    quantisation: str = "none"
    placement: str = "resident"
    attention: str = "native"
    compiled: bool = False
    device: str
    threads: int = 0
    versions: str


class StepTrace(NamedTuple):
    """One call of the transformer. ``change`` is None if the call could not measure it."""

    step: int
    call: int
    stream: str
    mode: Mode
    reason: str
    change: float | None
    limit: float | None
    blocks_run: int
    blocks: int
    tflops: float
    seconds: float


def schedules_of(trace: Iterable[StepTrace]) -> dict[str, str]:
    """Return each stream's schedule: the modes of its calls as a string."""
    found: dict[str, str] = {}
    for call in trace:
        found[call.stream] = found.get(call.stream, "") + call.mode
    return found


class Seconds(NamedTuple):
    encode: float
    denoise: float
    decode: float

    @property
    def total(self) -> float:
        return sum(self)


def clock(finished: float, now: float | None = None) -> str:
    """Return a Unix time as this machine's clock shows it, with the date unless it is today."""
    then, today = time.localtime(finished), time.localtime(now)
    return time.strftime(
        "%H:%M" if then[:3] == today[:3] else "%d %b, %H:%M" if then[0] == today[0] else "%d %b %Y", then
    )


class RunResult(NamedTuple):
    """One picture, and the facts of the run that drew it. It can be pickled."""

    request: RunRequest  # the user's request, resolved
    effective: RunRequest  # the request as the method ran it
    method: dict[str, Any]
    recipe: str
    engine: Engine
    image: Image
    trace: tuple[StepTrace, ...]
    seconds: Seconds
    tflops: float
    peak_bytes: int | None
    cache_bytes: int
    finished: float  # Unix time
    survey: Any = None  # a survey.Survey, if the baseline run recorded one
    # seconds of the denoising loop in every timed run, if there were several; this result has the median time
    timed: tuple[float, ...] = ()

    @property
    def schedules(self) -> dict[str, str]:
        """Return each stream's schedule: a string of C, c and p."""
        return schedules_of(self.trace)

    @property
    def schedule(self) -> str:
        return next(iter(self.schedules.values()), "")

    @property
    def clock(self) -> str:
        return clock(self.finished)

    @property
    def baseline_key(self) -> tuple[RunRequest, Engine]:
        """Return the key of a remembered baseline: a run with the same request and engine would repeat it."""
        return self.request, self.engine


class Quality(NamedTuple):
    """The likeness of two pictures. ``psnr_db`` is None if they are identical."""

    psnr_db: float | None
    ssim: float
    mean: float  # mean of the absolute difference, 0 to 255
    largest: int
    share_over_8: float

    @property
    def identical(self) -> bool:
        return self.psnr_db is None


class Comparison(NamedTuple):
    baseline: RunResult
    accelerated: RunResult
    quality: Quality
    baseline_reused: bool

    @property
    def speedup(self) -> float:
        """Return the baseline's denoising time divided by the accelerated side's, both measured."""
        return self.baseline.seconds.denoise / self.accelerated.seconds.denoise

    @property
    def spread(self) -> tuple[float, float] | None:
        """Return the smallest and the largest speedup of the pairs of timed runs, or None if each side ran
        once.
        """
        ratios = [
            before / after for before, after in zip(self.baseline.timed, self.accelerated.timed, strict=True)
        ]
        return (min(ratios), max(ratios)) if ratios else None

    @property
    def compute_ratio(self) -> float:
        """Return the baseline's TFLOPs divided by the accelerated side's, both counted."""
        return self.baseline.tflops / self.accelerated.tflops

    @property
    def steps_cached(self) -> int:
        return len(self.accelerated.schedule) - self.accelerated.schedule.count("C")


class Progress(NamedTuple):
    """An event of a run. ``call`` is set while denoising."""

    side: Side
    stage: Stage
    message: str
    done: int = 0
    total: int = 0
    call: StepTrace | None = None


class SideDone(NamedTuple):
    """One side is complete. ``reused``: True if it is a remembered baseline and not a new run."""

    side: Side
    result: RunResult
    reused: bool = False


Event = Progress | SideDone | Comparison
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Do nothing with an event: for a caller who wants the result only."""
