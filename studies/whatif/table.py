"""docs/what-if.md: forecasts against the real runs that ``studies.whatif.__main__`` kept."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cache_engine import METHODS, Method, method_from
from cache_engine.loading import load_model
from cache_engine.runner import draw, fresh_scheduler
from cache_engine.sites.attach import attached, device_of
from cache_engine.sites.clock import Clock
from cache_engine.whatif.psnr_calibration import WIDEST, PsnrCalibration, psnr_calibration_of
from cache_engine.whatif.recording import recording_survey
from cache_engine.whatif.simulation import Forecast, simulate
from cache_engine.whatif.survey import Survey
from studies.whatif.__main__ import SCORED, Case, Store, setting

PAIRS = 5
RANKED = 6  # runs of a prompt, from which its settings are ranked


class Pair(NamedTuple):
    """A forecast and what a run did."""

    case: Case
    forecast: Forecast
    schedules: dict[str, str]
    psnr_db: float | None

    @property
    def off(self) -> int:
        """By how many computed steps, in the stream that is furthest off."""
        return max(
            abs(self.forecast.schedules[name].count("C") - real.count("C"))
            for name, real in self.schedules.items()
        )

    @property
    def inside(self) -> bool:
        low, high = self.forecast.band or (0.0, 0.0)
        return self.psnr_db is not None and low <= self.psnr_db <= high


def paired(store: Store) -> list[Pair]:
    return [
        Pair(
            case,
            simulate(survey, method_from(line["method"]), psnr_calibration_of(survey)),
            line["schedules"],
            line["psnr_db"],
        )
        for case, line, survey in store.recording_survey()
    ]


def spearman(one: Iterable[float], other: Iterable[float]) -> float:
    """Rank correlation."""
    ranks = [np.argsort(np.argsort(np.array(list(values)))) for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def share(flags: Iterable[bool]) -> str:
    found = list(flags)
    return f"{100 * sum(found) / len(found):.1f} % ({sum(found)} of {len(found)})" if found else "no runs"


def row(pairs: list[Pair], steps: int) -> list[str]:
    """One column of the table."""
    mine = [pair for pair in pairs if pair.case.steps == steps and pair.case.kind == "random"]
    static = [pair for pair in pairs if pair.case.steps == steps and pair.case.kind == "static"]
    judged = [
        pair for pair in mine + static if pair.psnr_db is not None and pair.forecast.psnr_db is not None
    ]
    ranks = []
    for prompt in dict.fromkeys(pair.case.prompt for pair in judged):
        of_prompt = [pair for pair in judged if pair.case.prompt == prompt]
        if len(of_prompt) >= RANKED:
            ranks.append(
                spearman(
                    [pair.forecast.psnr_db or 0 for pair in of_prompt],
                    [pair.psnr_db or 0 for pair in of_prompt],
                )
            )
    off = [(pair.psnr_db or 0) - (pair.forecast.psnr_db or 0) for pair in judged]
    widths = [pair.forecast.band[1] - pair.forecast.band[0] for pair in judged if pair.forecast.band]
    return [
        f"{len(mine)} + {len(static)} over {len({pair.case.prompt for pair in mine + static})} prompts",
        share(pair.off <= 1 for pair in mine),
        share(next(iter(pair.schedules.values())) == pair.forecast.schedule for pair in mine),
        share(pair.schedules == pair.forecast.schedules for pair in mine),
        share(pair.schedules == pair.forecast.schedules for pair in static),
        f"{statistics.median(ranks):.3f} (lowest {min(ranks):.3f}, highest {max(ranks):.3f})"
        if ranks
        else "too few runs",
        share(pair.inside for pair in judged if pair.forecast.band),
        share(pair.forecast.band is not None for pair in judged),
        f"{np.median(widths):.1f} dB (widest {max(widths):.1f})" if widths else "-",
        f"{np.median(np.abs(off)):.1f} dB" if off else "-",
        f"{min(pair.psnr_db or 0 for pair in judged):.0f} to "
        f"{max(pair.psnr_db or 0 for pair in judged):.0f} dB"
        if judged
        else "-",
    ]


LINES = (
    ("runs: random + static settings", ""),
    ("computed steps within 1 of the run's, in every stream", "95 %"),
    ("schedule equal, first stream", "75 %"),
    ("schedules equal, both streams at once", ""),
    ("static settings equal", "100 %"),
    ("rank correlation of expected and measured PSNR within a prompt: median", "0.95"),
    ("measured PSNR within the band", "90 %"),
    ("runs that a band is stated for", ""),
    ("the band's width, median", "6 dB"),
    ("median distance of expected from measured PSNR", ""),
    ("measured PSNR", ""),
)


def per_second(survey: Survey, calibration: PsnrCalibration | None) -> float:
    """Settings a second of one core's own time, after each front was asked for once."""
    changes = random.Random(1)
    settings: list[Method] = [
        setting(Case("random", changes.randrange(10**6), "-", 0, survey.facts.steps), survey)
        for _ in range(1000)
    ]
    for method in settings:
        simulate(survey, method, calibration)
    begin = time.process_time()
    for method in settings:
        simulate(survey, method, calibration)
    return len(settings) / (time.process_time() - begin)


def recording_shares(case: Case) -> list[float]:
    """Processor time of a baseline with a survey over one without, less one: of pairs taken in turn,
    sorted.
    """
    model = load_model("tiny")
    request = model.spec.resolve(case.request)

    def seconds(survey: bool) -> float:
        fresh_scheduler(model)
        clock = Clock(device_of(model.pipe))
        with attached(model.pipe, METHODS["baseline"](), clock=clock) as session:
            begin = time.process_time()
            if not survey:
                draw(model, request)
                return time.process_time() - begin
            with recording_survey(model, session, clock, request):
                draw(model, request)
                return time.process_time() - begin

    seconds(True)  # the first is slow
    return sorted(seconds(True) / seconds(False) - 1 for _ in range(PAIRS))


def _bands(calibration: PsnrCalibration) -> str:
    """By what is expected."""
    bands = [(level, calibration.band(level)) for level in calibration.levels]
    stated = ", ".join(f"±{(band[1] - band[0]) / 2:.1f} dB at {level:.0f}" for level, band in bands if band)
    return f"{stated} (none is stated where ±{WIDEST:g} dB did not hold nine of ten)"


def write(path: Path, store: Store, calibration: Store) -> None:
    """The page; what was learnt is in studies/whatif/learnt.md."""
    pairs = paired(store)
    columns = [row(pairs, steps) for steps in (28, 50)]
    first = next(iter(store.done))
    survey = store.survey(first)[0]
    calibration = psnr_calibration_of(survey)
    errors = [
        store.survey(pair.case)[0].sampling_error or 0.0
        for pair in pairs
        if pair.case.number == 0 and pair.case.kind == "random"
    ]
    speeds = {
        steps: per_second(store.survey(case)[0], calibration)
        for steps in (28, 50)
        for case in [next(one for one in store.done if one.steps == steps)]
    }
    table = "\n".join(
        f"| {name} | {goal} | {one} | {other} |" for (name, goal), one, other in zip(LINES, *columns)
    )
    band = (
        f"from {calibration.runs} runs on {calibration.prompts} prompts; it held {calibration.held:.0%} of those it "
        f"is stated for when their "
        f"prompt was left out. It depends on what is expected: {_bands(calibration)}"
        if calibration
        else "none"
    )
    shares = recording_shares(first)
    learnt = (Path(__file__).parent / "learnt.md").read_text(encoding="utf-8")
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"""# What the what-if is worth

Generated by `make what-if`: forecasts from one baseline's record against real runs of the embedded model (weights {store.revision},
float32 on the CPU, true CFG with two streams). Settings are DBCache's, drawn at random, their thresholds inside the changes that
were recorded; nothing was tuned on the prompts. The full size is 200 + 20 settings x {len(SCORED)} prompts x 2 step counts; what is
below was made with the runs that its first line counts.

| | wanted | 28 steps | 50 steps |
|---|---|---|---|
{table}

- Likeness: the band was measured on other prompts, {band}.
- Speed: {speeds[28]:,.0f} settings a second of one core's time at 28 steps, {speeds[50]:,.0f} at 50 (two streams: 56 and 100 calls
  each).
- The survey: {survey.nbytes / 1e6:.1f} MB at 28 steps. Sampled against exact change on every baseline: {max(errors):.2%} rms at most
  (the embedded model is small enough to be kept whole: float16's rounding is left). A baseline with it takes
  {statistics.median(shares):+.1%} processor time (median of {PAIRS} pairs taken in turn, from {shares[0]:+.1%} to {shares[-1]:+.1%}).

{learnt}""",
        encoding="utf-8",
        newline="\n",
    )
