"""tune(): the whole space judged in seconds, then real runs of the few settings that matter, the most
promising first.

A generator: between two of its values at most one picture is drawn, so whoever drives it can let others run
in between, stop it, or go on another day: every run is in the folder, and none is made twice.
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
from .candidates import Candidate, costs, expected_of, features, judged, spread_of
from .gaussian_process import GaussianProcess, Posterior
from .goal import Goal, Search, SettingCosts
from .measurements import Measurement, Measurements, claim_folder

EDGE = 2.0  # dB below the goal: a neighbour that falls so far makes a setting one "on the edge"
CHECKED, HARDEST = (
    3,
    3,
)  # neighbours that are run, those that are expected to be worst; and on how many prompts, the hardest
TASK = "task.json"


Stage = Literal["baselines", "judging", "verifying", "accepting", "done"]


class TuneTask(Strict):
    """What to tune. ``vary``: of each method its knobs' ranges, as text.  acceptance: prompts that the search
    never sees, but for those on which its best fell short.  most: settings to verify, and as many again where
    the best of them fall short there.
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

    @property
    def settings(self) -> list[Method]:
        """All there is to choose from. Raises EngineError for ranges that cannot be read, fit nowhere or
        hold too much.
        """
        facts = facts_of(resolve(self.request))
        found = [
            one
            for method, texts in self.vary.items()
            for one in space.grid(method, space.ranges(method, texts), facts)
        ]
        return [*found, *(space.fewer_steps_methods(facts) if self.fewer_steps else ())]

    def ranges_of(self, method: Method) -> space.Ranges:
        """Of a setting's method; none for the plain model."""
        name = space.parts_of(method).method.name
        return space.ranges(name, self.vary.get(name, {}))


class Verification(NamedTuple):
    """A candidate that was run: on the tuning prompts, and (for the best) beyond them."""

    place: int
    runs: tuple[Measurement, ...]
    held: float  # dB that the wanted share of the tuning prompts reaches
    whole: bool  # False: it missed the goal before all prompts were run


class Acceptance(NamedTuple):
    """The acceptance prompts, and what lies one step of one knob away: (setting, dB on the worst of the
    prompts that are hardest).
    """

    place: int
    runs: tuple[Measurement, ...]
    neighbours: tuple[tuple[Method, float], ...]

    def on_edge(self, floor: float) -> bool:
        return any(closeness < floor - EDGE for _, closeness in self.neighbours)


class TuneStatus(NamedTuple):
    """Where a tune is. ``doing``: for people.  made: pictures drawn since it began or went on.  left: at most
    so many are to be drawn.

    costs: expected, until measured.  running: the candidate that is being run.
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
        """Whether what is believed of a candidate's likeness rests on a survey or on runs of it, and is no
        mere guess.
        """
        return self.candidates[place].known or any(one.place == place for one in self.verified)


def tune(
    task: TuneTask,
    folder: Path,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Generator[TuneStatus]:
    """Tune, or go on where an earlier tune of the same task stopped. The last value's stage is "done".

    enough: asked before each setting but the first; once it says True, the best so far meets the acceptance
    prompts. Raises EngineError (one sentence) or Cancelled; runs made so far are kept.
    """
    request = resolve(task.request)
    methods = task.settings
    with Measurements(folder, request, (*task.prompts, *task.acceptance), emit=emit, stop=stop) as runs:
        claim_folder(folder / TASK, task.model_dump(mode="json"), "tune")
        yield from _surveyed(task, runs)
        surveys = [runs.survey(number) for number in range(len(task.prompts))]
        candidates: list[Candidate] = []
        for so_far, candidates in judged(methods, surveys):
            search = search_of(task.goal, candidates, surveys)
            yield TuneStatus(
                "judging",
                f"{len(methods)} settings judged on {so_far} of {len(surveys)} prompts",
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
    """Pictures, once the surveys are there; more where the best fall short on the acceptance prompts."""
    return task.most * len(task.prompts) + 2 * len(task.acceptance) + CHECKED * HARDEST


def _surveyed(task: TuneTask, runs: Measurements) -> Iterator[TuneStatus]:
    count = len(task.prompts)
    for number in range(count):
        yield TuneStatus(
            "baselines",
            f"baseline {number + 1} of {count}",
            runs.made,
            2 * (count - number) + _most_left(task),
        )
        runs.baseline(number)
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
    """One step of one knob away, those first that are believed to be furthest off; twins of the setting are
    the setting.
    """
    place_of = {
        one: place
        for place, candidate in enumerate(candidates)
        for one in (candidate.method, *candidate.twins)
    }
    near = space.neighbours(method, vary, place_of)
    return sorted(
        (one for one in near if place_of[one] != place_of[method]),
        key=lambda one: posterior.mean[place_of[one]],
    )


def search_of(goal: Goal, candidates: Sequence[Candidate], surveys: Sequence[Survey]) -> Search:
    """Nothing measured yet, all of them judged on these surveys."""
    price = costs(candidates)
    expected = expected_of(candidates, goal, price)
    alike = features(candidates, price, expected, surveys[0].facts)
    return Search(goal, GaussianProcess(expected, alike, spread_of(candidates, expected, surveys)), price)


class _Verifier:
    """From judged to measured: the state of a tune while settings are run."""

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
        """Each best that does not hold on the acceptance prompts has one more setting verified, with what
        that taught.
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
        """Run a setting on the tuning prompts, the hardest first; one that has missed the goal is left."""
        candidate, goal, count = self._candidates[place], self._task.goal, len(self._task.prompts)
        found: list[Measurement] = []
        left = (self._most - len(self._verified)) * count + 2 * len(self._task.acceptance) + CHECKED * HARDEST
        for number in map(int, np.argsort(candidate.closeness)):
            yield self._status(
                "verifying",
                f"setting {len(self._verified) + 1}, prompt {len(found) + 1} of {count}",
                left - len(found),
                place,
            )
            found.append(self._runs.measured(number, candidate.method))
            missed = sum(one.closeness < goal.value for one in found)
            if goal.kind == "close" and missed > goal.may_miss(count):
                break
        closeness = sorted(one.closeness for one in found)
        reached = closeness[min(goal.may_miss(count), len(found) - 1)]
        self._verified.append(Verification(place, tuple(found), reached, len(found) == count))
        self._learn(place, reached, found)

    def _learn(self, place: int, reached: float, runs: Sequence[Measurement]) -> None:
        self._search.measure(
            place,
            reached,
            float(np.mean([one.tflops for one in runs])),
            float(np.mean([one.seconds for one in runs])),
        )

    def _accept(self, place: int) -> Iterator[TuneStatus]:
        """Run the best on prompts that the search has not seen, and its worst neighbours on the prompts that
        are hardest for it.
        """
        method, goal, tuned = self._candidates[place].method, self._task.goal, len(self._task.prompts)
        found: list[Measurement] = []
        near: list[tuple[Method, float]] = []
        for number in range(tuned, tuned + len(self._task.acceptance)):
            yield self._status(
                "accepting",
                f"acceptance prompt {len(found) + 1} of {len(self._task.acceptance)}",
                2 * (len(self._task.acceptance) - len(found)) + CHECKED * HARDEST,
                place,
            )
            self._runs.baseline(number)
            found.append(self._runs.measured(number, method))
        hardest = sorted(range(tuned), key=lambda number: self._runs.measured(number, method).closeness)[
            :HARDEST
        ]
        for neighbour in likely_worst_neighbours(
            method, self._task.ranges_of(method), self._candidates, self._search.posterior
        )[:CHECKED]:
            closeness: list[float] = []
            for number in hardest:
                yield self._status(
                    "accepting",
                    "what lies one step of one knob away",
                    (CHECKED - len(near)) * HARDEST - len(closeness),
                    place,
                )
                closeness.append(self._runs.measured(number, neighbour).closeness)
            near.append((neighbour, min(closeness)))
        self._accepted[place] = Acceptance(place, tuple(found), tuple(near))
        if (
            goal.kind == "close"
            and found
            and (reached := float(goal.held(np.array([one.closeness for one in found])))) < goal.value
        ):
            self._learn(place, reached, found)
