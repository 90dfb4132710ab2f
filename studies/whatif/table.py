"""Writes docs/what-if.md: it compares forecasts with the stored real runs."""

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
from studies.shared import write_page
from studies.whatif.store import SCORED, Case, RunStore, setting

PAGE = Path(__file__).with_name("page.md")
PAIRS = 5  # number of baseline runs with and without a survey
RANKED = 6  # smallest number of runs of a prompt for which a rank correlation is computed


class Pair(NamedTuple):
    """A forecast, with the schedules and the PSNR of the real run."""

    case: Case
    forecast: Forecast
    schedules: dict[str, str]
    psnr_db: float | None

    @property
    def off(self) -> int:
        """Return the error in the number of computed steps, in the stream with the largest error."""
        return max(
            abs(self.forecast.schedules[name].count("C") - real.count("C"))
            for name, real in self.schedules.items()
        )

    @property
    def inside(self) -> bool:
        low, high = self.forecast.band or (0.0, 0.0)
        return self.psnr_db is not None and low <= self.psnr_db <= high


def paired(store: RunStore) -> list[Pair]:
    return [
        Pair(
            case,
            simulate(survey, method_from(line["method"]), psnr_calibration_of(survey)),
            line["schedules"],
            line["psnr_db"],
        )
        for case, line, survey in store.with_surveys()
    ]


def spearman(first: Iterable[float], second: Iterable[float]) -> float:
    """Return the rank correlation."""
    ranks = [np.argsort(np.argsort(np.array(list(values)))) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def share(flags: Iterable[bool]) -> str:
    every = list(flags)
    return f"{100 * sum(every) / len(every):.1f} % ({sum(every)} of {len(every)})" if every else "no runs"


def column(pairs: list[Pair], steps: int) -> list[str]:
    """Return the cells for one number of steps, in the order of LINES."""
    mine = [pair for pair in pairs if pair.case.steps == steps and pair.case.kind == "random"]
    static = [pair for pair in pairs if pair.case.steps == steps and pair.case.kind == "static"]
    compared = [
        pair for pair in mine + static if pair.psnr_db is not None and pair.forecast.psnr_db is not None
    ]
    ranks = []
    for prompt in dict.fromkeys(pair.case.prompt for pair in compared):
        of_prompt = [pair for pair in compared if pair.case.prompt == prompt]
        if len(of_prompt) >= RANKED:
            ranks.append(
                spearman(
                    [pair.forecast.psnr_db or 0 for pair in of_prompt],
                    [pair.psnr_db or 0 for pair in of_prompt],
                )
            )
    off = [(pair.psnr_db or 0) - (pair.forecast.psnr_db or 0) for pair in compared]
    widths = [pair.forecast.band[1] - pair.forecast.band[0] for pair in compared if pair.forecast.band]
    return [
        f"{len(mine)} + {len(static)} over {len({pair.case.prompt for pair in mine + static})} prompts",
        share(pair.off <= 1 for pair in mine),
        share(next(iter(pair.schedules.values())) == pair.forecast.schedule for pair in mine),
        share(pair.schedules == pair.forecast.schedules for pair in mine),
        share(pair.schedules == pair.forecast.schedules for pair in static),
        f"{statistics.median(ranks):.3f} (lowest {min(ranks):.3f}, highest {max(ranks):.3f})"
        if ranks
        else "too few runs",
        share(pair.inside for pair in compared if pair.forecast.band),
        share(pair.forecast.band is not None for pair in compared),
        f"{np.median(widths):.1f} dB (widest {max(widths):.1f})" if widths else "-",
        f"{np.median(np.abs(off)):.1f} dB" if off else "-",
        f"{min(pair.psnr_db or 0 for pair in compared):.0f} to "
        f"{max(pair.psnr_db or 0 for pair in compared):.0f} dB"
        if compared
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
    """Return the number of settings simulated in a second of one core's time. Each setting was simulated once
    before without measuring.
    """
    draw_number = random.Random(1)
    settings: list[Method] = [
        setting(Case("random", draw_number.randrange(10**6), "-", 0, survey.facts.steps), survey)
        for _ in range(1000)
    ]
    for method in settings:
        simulate(survey, method, calibration)
    begin = time.process_time()
    for method in settings:
        simulate(survey, method, calibration)
    return len(settings) / (time.process_time() - begin)


def recording_shares(case: Case) -> list[float]:
    """Return the shares by which a survey lengthens a baseline run in processor time:
    PAIRS of them, sorted.
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

    seconds(True)  # the first run is slow
    return sorted(seconds(True) / seconds(False) - 1 for _ in range(PAIRS))


def _bands(calibration: PsnrCalibration) -> str:
    """Describe the origin of the band, and its width at each expected PSNR."""
    bands = [(level, calibration.band(level)) for level in calibration.levels]
    stated = ", ".join(f"±{(band[1] - band[0]) / 2:.1f} dB at {level:.0f}" for level, band in bands if band)
    return (
        f"from {calibration.runs} runs on {calibration.prompts} prompts. With their own prompt left out "
        f"of the fit, the band held {calibration.held:.0%} of the runs that have a band. The width of "
        f"the band depends on the expected PSNR: {stated} (a forecast has no band where ±{WIDEST:g} dB "
        "did not hold nine of ten runs)"
    )


def write(path: Path, store: RunStore) -> None:
    """Write the page. Its text is in studies/whatif/page.md."""
    pairs = paired(store)
    first = next(iter(store.done))
    survey = store.survey(first)[0]
    calibration = psnr_calibration_of(survey)
    errors = [
        store.survey(pair.case)[0].sampling_error or 0.0
        for pair in pairs
        if pair.case.number == 0 and pair.case.kind == "random"
    ]
    one_of = {steps: next(case for case in store.done if case.steps == steps) for steps in (28, 50)}
    speeds = {steps: per_second(store.survey(case)[0], calibration) for steps, case in one_of.items()}
    shares = recording_shares(first)
    page = PAGE.read_text(encoding="utf-8").format(
        revision=store.revision,
        prompts=len(SCORED),
        table="\n".join(
            f"| {name} | {goal} | {short} | {long} |"
            for (name, goal), short, long in zip(LINES, *(column(pairs, steps) for steps in (28, 50)))
        ),
        band=_bands(calibration) if calibration else "none is calibrated",
        speed_28=speeds[28],
        speed_50=speeds[50],
        megabytes=survey.nbytes / 1e6,
        sampling_error=max(errors),
        recording=statistics.median(shares),
        pairs=PAIRS,
        least=shares[0],
        most=shares[-1],
    )
    write_page(path, page)
