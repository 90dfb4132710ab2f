"""Frozen facts that cross borders: what is asked, what was decided, what came out.

NamedTuples where thousands are made; strict pydantic for everything that comes from outside.
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
    """What picture to draw. ``None`` means: as the model's row says."""

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
    """What ran it. Two results may be compared only if this is equal."""

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
    """One call of the transformer. ``change`` is None where nothing could be measured."""

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
    """For each stream, its calls' modes in a string."""
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
    """Unix time as this machine's clock shows it; with the day where it is not today's."""
    then, today = time.localtime(finished), time.localtime(now)
    return time.strftime(
        "%H:%M" if then[:3] == today[:3] else "%d %b, %H:%M" if then[0] == today[0] else "%d %b %Y", then
    )


class RunResult(NamedTuple):
    """One picture and how it came about. Pickles."""

    request: RunRequest  # as asked, resolved
    effective: RunRequest  # as the method ran it
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
    survey: Any = None  # a survey.Survey, where a baseline was asked to take one
    timed: tuple[
        float, ...
    ] = ()  # seconds of the denoise loop in every timed run, where there were several; this is the middle one

    @property
    def schedules(self) -> dict[str, str]:
        """A string of C, c and p for each stream."""
        return schedules_of(self.trace)

    @property
    def schedule(self) -> str:
        return next(iter(self.schedules.values()), "")

    @property
    def clock(self) -> str:
        return clock(self.finished)

    @property
    def baseline_key(self) -> tuple[RunRequest, Engine]:
        """The key of a kept baseline: a run with the same request and engine would repeat it."""
        return self.request, self.engine


class Quality(NamedTuple):
    """Likeness of two pictures. ``psnr_db`` is None when they are identical."""

    psnr_db: float | None
    ssim: float
    mean: float  # of the absolute difference, 0..255
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
        """Denoise loop, measured seconds over measured seconds."""
        return self.baseline.seconds.denoise / self.accelerated.seconds.denoise

    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest speedup of the runs that were timed in turn, where there were
        several.
        """
        ratios = [
            before / after for before, after in zip(self.baseline.timed, self.accelerated.timed, strict=True)
        ]
        return (min(ratios), max(ratios)) if ratios else None

    @property
    def compute_ratio(self) -> float:
        """Counted TFLOPs over counted TFLOPs."""
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
    """One side is complete. ``reused``: a remembered baseline, not a new run."""

    side: Side
    result: RunResult
    reused: bool = False


Event = Progress | SideDone | Comparison
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """For who wants the result only."""
