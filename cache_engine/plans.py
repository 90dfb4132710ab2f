"""A method's plan as frozen facts: when to compute, how to predict, and where in the model."""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

Mode = Literal["C", "c", "p"]  # computed, cached or partial


class Signal(NamedTuple):
    """The tensor whose change a schedule may ask for. The change is measured since the last computed step, or
    since the previous step.
    """

    kind: Literal["front_residual", "modulated_input"]
    since: Literal["computed", "previous"]


class Stack(NamedTuple):
    """Skip blocks ``start`` to ``stop - 1`` (numbered across all sections), and predict their residual or
    their output.
    """

    start: int
    stop: int
    serves: Mode = "c"
    residual: bool = True
    steps: tuple[int, int] | None = None


class Modules(NamedTuple):
    """Run every block with predicted outputs of its attention and feed-forward. The block's gates are those
    of the current step.

    before_projection: remember the attention's result before the output projection, which then runs in every
    step.
    """

    serves: Mode = "c"
    before_projection: bool = False
    steps: tuple[int, int] | None = None


Score = Literal["v_norm", "low_v_norm", "k_norm", "attention", "age"]


class Tokens(NamedTuple):
    """Run every block with remembered attention, and run its feed-forward for the tokens that need it most.

    ratio: approximate share of a block's tokens that run; see ``sites.tokens.share``.
    score: the measure of how much a token needs to run.
    aging: a token's score grows by this much for each step since the token last ran. The scores of a block
    form a vector of length 1.
    """

    ratio: float
    score: Score = "v_norm"
    aging: float = 0.0
    serves: Mode = "p"
    steps: tuple[int, int] | None = None


class Columns(NamedTuple):
    """Run every block on some keys of its attention and some neurons of its feed-forward. The other keys and
    neurons count with their contribution at the last computed step.

    keys, neurons: the share of each that runs.
    dense_blocks: the number of blocks at the front that run completely.
    queries, rows: the number of neighbouring tokens that share one choice of keys, or one choice of neurons.
    """

    keys: float
    neurons: float
    dense_blocks: int = 2
    queries: int = 192
    rows: int = 128
    serves: Mode = "p"
    steps: tuple[int, int] | None = None


Site = Stack | Modules | Tokens | Columns


class ModelFacts(NamedTuple):
    """The facts that a plan may depend on. Coefficients that were not fitted for the model are None.

    sections: the number of blocks in each block list.
    modules: True if the blocks' modules are described, so that ``Modules`` can be used.
    attention: True if the blocks' attention is described too, so that ``Tokens`` and ``Columns`` can be used.
    polynomial: TeaCache's polynomial, highest power first.
    ratios: MagCache's ratios, evenly spread over a run.
    alike: Kriging's inner products of the residual of all blocks, at evenly spread times of a run.
    """

    blocks: int
    steps: int
    streams: tuple[str, ...] = ("cond",)
    sections: tuple[int, ...] = ()
    modules: bool = False
    polynomial: tuple[float, ...] | None = None
    ratios: tuple[float, ...] | None = None
    attention: bool = False
    alike: tuple[tuple[float, ...], ...] | None = None


class Reason(StrEnum):
    """The reason why a call was computed or cached. Traces show this text."""

    ALWAYS = "always"
    FIXED = "fixed"
    FIRST = "first"  # no value is remembered yet
    LAST = "last"
    WARM_UP = "warm-up"
    MASK = "mask"
    INTERVAL = "interval"
    WINDOW = "window"
    LANDMARK = "landmark"
    MAX_IN_ALL = "max in all"
    MAX_IN_A_ROW = "max in a row"
    THRESHOLD_0 = "threshold 0"
    THRESHOLD_1 = "threshold 1"
    CHANGE = "change"  # the signal's change was compared with the limit
    SUM = "sum"  # the sum of the changes was compared with the limit
    ERROR = "error"  # the expected error was compared with the limit


class Decision(NamedTuple):
    """Whether a call is computed, and why.

    limit: the limit on the signal's change. detail: a text that follows the reason in a trace, such as
    ``0.061 < 0.12``.
    """

    mode: Mode
    reason: Reason
    limit: float | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        """Return the reason with its detail."""
        return f"{self.reason} {self.detail}" if self.detail else self.reason


COMPUTE_ALWAYS = Decision("C", Reason.ALWAYS)


def reason_text(reason: str, mode: Mode, change: float | None, limit: float | None) -> str:
    """Return ``Decision.text`` as traces show it; if the change decided, with the change and its limit.

    Only a trace that is read needs this text: runs make far more decisions than traces show.
    """
    if reason != Reason.CHANGE or change is None or limit is None:
        return str(reason)
    return f"{reason} {comparison(change, '>=' if mode == 'C' else '<', limit)}"


def comparison(value: float, sign: str, limit: float) -> str:
    """Return a comparison such as ``0.061 < 0.12``, with as many digits as it needs to be true."""
    if abs(value - limit) > 0.001 * abs(value):  # rounding moves the value by at most half of this
        return f"{value:.4g} {sign} {_written(limit)}"
    digits = next((digits for digits in range(4, 17) if _TRUE[sign](float(f"{value:.{digits}g}"), limit)), 17)
    return f"{value:.{digits}g} {sign} {_written(limit)}"


_TRUE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@lru_cache(maxsize=64)
def _written(limit: float) -> str:
    """Return the limit as text. The text is cached, because a run compares all its changes with the same
    limit.
    """
    return f"{limit:.10g}"


class Probe(Protocol):
    """The facts about the current call in its own stream, as far as a schedule may ask for them."""

    step: int
    total: int
    ready: bool  # True if the stream remembers a value to predict from
    streak: int  # number of cached steps in a row before this step
    cached: int  # number of cached steps so far

    def change(self) -> float:
        """Return the signal's relative change. This synchronises the device once."""
        ...


Decide = Callable[[Probe], Decision]


class Schedule(Protocol):
    def begin(self) -> Decide:
        """Return a new decision function, with its own state, for one stream of one run."""
        ...


Gram = Callable[[], tuple[tuple[float, ...], ...]]


class Predictor(Protocol):
    """Predicts a skipped value as a weighted sum of computed values."""

    @property
    def keep(self) -> int:
        """Return the number of computed values to remember."""
        ...

    @property
    def uses_last_prediction(self) -> bool:
        """Return whether the value predicted right before the newest computed step gets
        a weight too (FoCa).
        """
        ...

    @property
    def needs_inner_products(self) -> bool:
        """Return whether the weights depend on the values, through ``gram``, and not on the step numbers
        alone.
        """
        ...

    def row(
        self, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None, gram: Gram
    ) -> tuple[float, ...]:
        """Return the weights that predict the value at ``step`` of ``total``, one weight for each value
        computed at ``steps`` (newest first).

        last_prediction: the step of the value that was predicted right before ``steps[0]``, or None. Its
        weight comes last.
        gram: a function that returns the inner products of the values at ``steps``, in the same order.
        Calling ``gram`` synchronises the device once.
        """
        ...


class Plan(NamedTuple):
    schedule: Schedule
    predictor: Predictor
    sites: tuple[Site, ...]
    signal: Signal | None = None


class PlanMaker(Protocol):
    """Makes a plan for a model and a number of steps. Every Method is a plan-maker."""

    def plan(self, facts: ModelFacts) -> Plan:
        """Return the plan for these facts. Raises EngineError if the knobs do not fit
        the model or the steps.
        """
        ...


class FixedPlan(NamedTuple):
    """A plan-maker that always returns the same plan, whatever the facts."""

    made: Plan

    def plan(self, facts: ModelFacts) -> Plan:
        return self.made


Costs = Callable[[Mode, int], float]  # takes (mode, step) and returns the TFLOPs of one call


def active_sites(plan: Plan, step: int) -> tuple[Site, ...]:
    """Return the sites that may serve a call at this step; no site if every block runs."""
    return tuple(site for site in plan.sites if site.steps is None or site.steps[0] <= step < site.steps[1])


def serving_site(plan: Plan, step: int, mode: Mode) -> Site | None:
    """Return the site that serves a call of this mode at this step, or None if every block runs."""
    for site in plan.sites:  # a plain loop is fastest: simulations call this thousands of times a second
        if site.serves == mode and (site.steps is None or site.steps[0] <= step < site.steps[1]):
            return site
    return None
