"""``tune()`` forecasts the whole space in seconds, then runs the few settings that matter, the most promising
first.

``tune()`` is a generator, and it draws at most one picture between two of its values. The caller can
therefore let other jobs run in between, stop the tune, or continue on another day: every run is stored in the
folder, and no run is repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from ..method import Method
from ..models.catalog import facts_of, resolve
from ..records import Emit, Prompt, RunRequest, ignore
from ..strict import Strict, Whole
from ..whatif.survey import Survey
from . import space
from .candidates import Candidate, costs_of, deviation_of, expected_of, features, forecast_candidates
from .gaussian_process import GaussianProcess, Posterior
from .goal import Goal, Search, SettingCosts
from .measurements import Measurement, Measurements, claim_folder

EDGE = 2.0  # dB: a setting is "on the edge" if a neighbour falls this far below the goal
CHECKED = 3  # number of the best setting's neighbours that run: those with the lowest expected PSNR
HARDEST = 3  # these neighbours run on this many prompts: those on which the best setting is worst
TASK = "task.json"

Stage = Literal["baselines", "judging", "verifying", "accepting", "done"]


class TuneTask(Strict):
    """The prompts, the goal and the ranges of a tune.

    vary: for each method, the ranges of its knobs as text. acceptance: prompts that the search uses only if
    its best setting misses the goal on them. most: number of settings to verify, and as many again if the
    best ones miss the goal on the acceptance prompts.
    """

    request: RunRequest
    prompts: tuple[Prompt, ...] = Field(min_length=1, max_length=200)
    acceptance: tuple[Prompt, ...] = Field(default=(), max_length=1000)
    goal: Goal
    vary: dict[str, dict[str, str]] = Field(
        default_factory=lambda: {"dbcache": dict(space.USUAL_RANGES)}, min_length=1
    )
    fewer_steps: bool = True
    most: Whole = Field(default=6, ge=1, le=500)

    def model_post_init(self, _: object) -> None:
        """Refuse ranges that would take seconds to read. Raises EngineError."""
        space.refuse_too_long(self.vary)

    @property
    def settings(self) -> list[Method]:
        """Return all settings. Raises EngineError for ranges that are not valid or have too many settings."""
        facts = facts_of(resolve(self.request))
        ranges = {method: space.parse_ranges(method, texts) for method, texts in self.vary.items()}
        space.refuse_too_many(ranges.values())
        varied = [setting for method, vary in ranges.items() for setting in space.grid(method, vary, facts)]
        return [*varied, *(space.fewer_steps_methods(facts) if self.fewer_steps else ())]

    def ranges_of(self, method: Method) -> space.Ranges:
        """Return the ranges of a setting's method; the plain model has none."""
        name = space.parts_of(method).method.name
        return space.parse_ranges(name, self.vary.get(name, {}))


class Verification(NamedTuple):
    """The real runs of a candidate on the tuning prompts."""

    place: int
    runs: tuple[Measurement, ...]
    held: float  # the dB that the goal's share of the tuning prompts reaches
    whole: bool  # False: the setting missed the goal before it had run on all prompts


class Acceptance(NamedTuple):
    """The real runs of a candidate on the acceptance prompts, and the runs of its neighbours.

    neighbours: pairs of a setting that is one step of one knob away, and its dB on the worst of the hardest
    prompts.
    """

    place: int
    runs: tuple[Measurement, ...]
    neighbours: tuple[tuple[Method, float], ...]

    def on_edge(self, floor: float) -> bool:
        """Return whether a neighbour falls EDGE dB or more below the floor."""
        return any(closeness < floor - EDGE for _, closeness in self.neighbours)


class TuneStatus(NamedTuple):
    """The progress and the results of a tune.

    doing: a text for people. made: number of pictures drawn since the tune began or was resumed. left: number
    of pictures still to draw, at most. costs: expected until measured. best, running: places among the
    candidates.
    """

    stage: Stage
    doing: str
    made: int
    left: int = 0
    candidates: tuple[Candidate, ...] = ()
    posterior: Posterior | None = None
    costs: SettingCosts | None = None
    verified: tuple[Verification, ...] = ()
    best: int | None = None
    accepted: tuple[Acceptance, ...] = ()
    running: int | None = None

    def has_estimate(self, place: int) -> bool:
        """Return whether a candidate's expected PSNR comes from surveys or runs, and not from a guess."""
        return self.candidates[place].has_closeness or any(
            verification.place == place for verification in self.verified
        )


def tune(
    task: TuneTask,
    folder: Path,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Generator[TuneStatus]:
    """Tune, or resume an earlier tune of the same task. The stage of the last value is "done".

    enough: is called before each setting but the first; if it returns True, the best setting so far runs on
    the acceptance prompts. Raises EngineError or Cancelled; runs that are complete stay stored.
    """
    request = resolve(task.request)
    methods = task.settings
    with Measurements(folder, request, (*task.prompts, *task.acceptance), emit=emit, stop=stop) as runs:
        claim_folder(folder / TASK, task.model_dump(mode="json"), "tune")
        yield from _run_baselines(task, runs)
        surveys = [runs.survey(number) for number in range(len(task.prompts))]
        candidates: list[Candidate] = []
        for so_far, candidates in forecast_candidates(methods, surveys):
            search = search_of(task.goal, candidates, surveys)
            yield TuneStatus(
                "judging",
                f"{len(methods)} settings estimated on {so_far} of {len(surveys)} prompts",
                runs.made,
                _most_left(task),
                tuple(candidates),
                search.posterior,
                search.costs,
            )
        yield from _Verifier(
            task, runs, tuple(candidates), search_of(task.goal, candidates, surveys), enough
        ).steps()


def _most_left(task: TuneTask) -> int:
    """Return the number of pictures after the surveys, if no best setting misses the goal on the acceptance
    prompts.
    """
    return task.most * len(task.prompts) + 2 * len(task.acceptance) + CHECKED * HARDEST


def _run_baselines(task: TuneTask, runs: Measurements) -> Iterator[TuneStatus]:
    count = len(task.prompts)
    for number in range(count):
        yield TuneStatus(
            "baselines",
            f"baseline {number + 1} of {count}",
            runs.made,
            2 * (count - number) + _most_left(task),
        )
        runs.measure_baseline(number)
        yield TuneStatus(
            "baselines",
            f"survey {number + 1} of {count}",
            runs.made,
            2 * (count - number) - 1 + _most_left(task),
        )
        runs.survey(number)


def likely_worst_neighbours(
    method: Method, vary: space.Ranges, candidates: Sequence[Candidate], posterior: Posterior
) -> list[Method]:
    """Return the settings that are one step of one knob away, those with the lowest expected PSNR first.

    Twins of the setting itself are left out.
    """
    place_of = {
        twin: place
        for place, candidate in enumerate(candidates)
        for twin in (candidate.method, *candidate.twins)
    }
    near = space.neighbours(method, vary, place_of)
    return sorted(
        (neighbour for neighbour in near if place_of[neighbour] != place_of[method]),
        key=lambda neighbour: posterior.mean[place_of[neighbour]],
    )


def search_of(goal: Goal, candidates: Sequence[Candidate], surveys: Sequence[Survey]) -> Search:
    """Start a search over candidates that were forecast from these surveys, before any measurement."""
    costs = costs_of(candidates)
    expected = expected_of(candidates, goal, costs)
    alike = features(candidates, costs, expected, surveys[0].facts)
    return Search(goal, GaussianProcess(expected, alike, deviation_of(candidates, expected, surveys)), costs)


class _Verifier:
    """Runs the settings of a tune, and holds the tune's state during that time."""

    def __init__(
        self,
        task: TuneTask,
        runs: Measurements,
        candidates: tuple[Candidate, ...],
        search: Search,
        enough: Callable[[], bool],
    ) -> None:
        self._task, self._runs, self._candidates, self._search, self._enough = (
            task,
            runs,
            candidates,
            search,
            enough,
        )
        self._verified: list[Verification] = []
        self._accepted: dict[int, Acceptance] = {}

    def steps(self) -> Iterator[TuneStatus]:
        """Verify settings. Test the best one on the acceptance prompts, until a setting reaches the goal
        there.

        For each best setting that misses the goal there, one more setting is verified.
        """
        while True:
            while len(self._verified) < self._most and not (self._verified and self._enough()):
                place = self._search.next()
                if place is None:
                    break
                yield from self._verify(place)
            place = self._best()
            if place is None:
                break
            yield from self._accept(place)
            if self._best() == place:
                break
        yield self._status("done", f"{self._runs.made} pictures drawn")

    @property
    def _most(self) -> int:
        return self._task.most + min(len(self._accepted), self._task.most)

    def _status(self, stage: Stage, doing: str, left: int = 0, running: int | None = None) -> TuneStatus:
        return TuneStatus(
            stage,
            doing,
            self._runs.made,
            left,
            self._candidates,
            self._search.posterior,
            self._search.costs,
            tuple(self._verified),
            self._best(),
            tuple(self._accepted.values()),
            running,
        )

    def _best(self) -> int | None:
        return next(iter(self._search.ranked()), None)

    def _verify(self, place: int) -> Iterator[TuneStatus]:
        """Run a setting on the tuning prompts, the hardest prompt first. Stop as soon as the setting has
        missed the goal.
        """
        candidate, goal, count = self._candidates[place], self._task.goal, len(self._task.prompts)
        runs: list[Measurement] = []
        left = (self._most - len(self._verified)) * count + 2 * len(self._task.acceptance) + CHECKED * HARDEST
        for number in map(int, np.argsort(candidate.closeness)):
            yield self._status(
                "verifying",
                f"setting {len(self._verified) + 1}, prompt {len(runs) + 1} of {count}",
                left - len(runs),
                place,
            )
            runs.append(self._runs.measure(number, candidate.method))
            missed = sum(run.closeness < goal.value for run in runs)
            if goal.kind == "close" and missed > goal.may_miss(count):
                break
        closeness = sorted(run.closeness for run in runs)
        reached = closeness[min(goal.may_miss(count), len(runs) - 1)]
        self._verified.append(Verification(place, tuple(runs), reached, len(runs) == count))
        self._learn(place, reached, runs)

    def _learn(self, place: int, reached: float, runs: Sequence[Measurement]) -> None:
        self._search.measure(
            place,
            reached,
            float(np.mean([run.tflops for run in runs])),
            float(np.mean([run.seconds for run in runs])),
        )

    def _accept(self, place: int) -> Iterator[TuneStatus]:
        """Run the best setting on the acceptance prompts, and its worst neighbours on the prompts that are
        hardest for it.
        """
        method, goal, count = self._candidates[place].method, self._task.goal, len(self._task.prompts)
        runs: list[Measurement] = []
        near: list[tuple[Method, float]] = []
        for number in range(count, count + len(self._task.acceptance)):
            yield self._status(
                "accepting",
                f"acceptance prompt {len(runs) + 1} of {len(self._task.acceptance)}",
                2 * (len(self._task.acceptance) - len(runs)) + CHECKED * HARDEST,
                place,
            )
            self._runs.measure_baseline(number)
            runs.append(self._runs.measure(number, method))
        hardest = sorted(range(count), key=lambda number: self._runs.measure(number, method).closeness)[
            :HARDEST
        ]
        for neighbour in likely_worst_neighbours(
            method, self._task.ranges_of(method), self._candidates, self._search.posterior
        )[:CHECKED]:
            closeness: list[float] = []
            for number in hardest:
                yield self._status(
                    "accepting",
                    "neighbours: settings that are one step of one knob away",
                    (CHECKED - len(near)) * HARDEST - len(closeness),
                    place,
                )
                closeness.append(self._runs.measure(number, neighbour).closeness)
            near.append((neighbour, min(closeness)))
        self._accepted[place] = Acceptance(place, tuple(runs), tuple(near))
        if (
            goal.kind == "close"
            and runs
            and (reached := float(goal.held(np.array([run.closeness for run in runs])))) < goal.value
        ):
            self._learn(place, reached, runs)
