"""A method's plan in frozen facts: when to compute, how to predict, and where in the model."""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

Mode = Literal["C", "c", "p"]  # computed, cached, partial


class Signal(NamedTuple):
    """The tensor whose change a schedule may ask for, measured since the last computed (or previous) step."""

    kind: Literal["front_residual", "modulated_input"]
    since: Literal["computed", "previous"]


class Stack(NamedTuple):
    """Skip blocks ``start..stop-1`` (numbered across all sections) and predict their residual (or output)."""

    start: int
    stop: int
    serves: Mode = "c"
    residual: bool = True
    steps: tuple[int, int] | None = None


class Modules(NamedTuple):
    """Run every block with predicted outputs of its attention and feed-forward; its gates are the current
    ones.

    before_projection: remember the attention before its output projection, which then runs in every step.
    """

    serves: Mode = "c"
    before_projection: bool = False
    steps: tuple[int, int] | None = None


Score = Literal["v_norm", "low_v_norm", "k_norm", "attention", "age"]


class Tokens(NamedTuple):
    """Run every block with remembered attention, and its feed-forward for the tokens that need it most.

    ratio: approximate share of a block's tokens that run; see ``sites.tokens.share``.
    score: the measure of a token's need.
    aging: added to a token's score for each step since it last ran. A block's scores have length 1.
    """

    ratio: float
    score: Score = "v_norm"
    aging: float = 0.0
    serves: Mode = "p"
    steps: tuple[int, int] | None = None


class Columns(NamedTuple):
    """Run every block on some keys of its attention and some neurons of its feed-forward. The rest comes
    from the last computed step.

    keys, neurons: the shares that run.
    dense_blocks: the number of first blocks that run whole.
    queries, rows: the number of neighbouring tokens that share one choice of keys, and of neurons.
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
    """The facts that a plan may depend on. A coefficient is None if it was not fitted for the model.

    sections: the number of blocks of each block list.
    modules: whether the blocks' modules are described, so that ``Modules`` fits.
    attention: whether the blocks' attention is described too, so that ``Tokens`` and ``Columns`` fit.
    polynomial: TeaCache's, highest power first.
    ratios: MagCache's, evenly spread over a run.
    alike: Kriging's inner products of all blocks' residual, at evenly spread times of a run.
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
    """Why a call was computed or cached. The text stands in traces."""

    ALWAYS = "always"
    FIXED = "fixed"
    FIRST = "first"  # nothing is remembered yet
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
    """Compute a call or not, and why.

    limit: of the signal's change.  detail: follows the reason in a trace, such as ``0.061 < 0.12``.
    """

    mode: Mode
    reason: Reason
    limit: float | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        """The reason with its detail."""
        return f"{self.reason} {self.detail}" if self.detail else self.reason


COMPUTE_ALWAYS = Decision("C", Reason.ALWAYS)


def reason_text(reason: str, mode: Mode, change: float | None, limit: float | None) -> str:
    """Return ``Decision.text`` as traces show it: with the change and its limit, if they decided.

    It is called only for traces that are read: runs make far more decisions.
    """
    if reason != Reason.CHANGE or change is None or limit is None:
        return str(reason)
    return f"{reason} {comparison(change, '>=' if mode == 'C' else '<', limit)}"


def comparison(value: float, sign: str, limit: float) -> str:
    """Return ``0.061 < 0.12``, with as many digits as the statement needs to be true."""
    if abs(value - limit) > 0.001 * abs(value):  # rounding moves the value by half of that at most
        return f"{value:.4g} {sign} {_written(limit)}"
    digits = next((digits for digits in range(4, 17) if _TRUE[sign](float(f"{value:.{digits}g}"), limit)), 17)
    return f"{value:.{digits}g} {sign} {_written(limit)}"


_TRUE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@lru_cache(maxsize=64)
def _written(limit: float) -> str:
    """Return the limit as text. Cached, because a run compares all its changes with one limit."""
    return f"{limit:.10g}"


class Probe(Protocol):
    """The facts of the current call, in its own stream, that a schedule may ask for."""

    step: int
    total: int
    ready: bool  # a value to predict from is remembered
    streak: int  # cached steps in a row up to here
    cached: int  # cached steps so far

    def change(self) -> float:
        """Return the signal's relative change. One device synchronisation."""
        ...


Decide = Callable[[Probe], Decision]


class Schedule(Protocol):
    def begin(self) -> Decide:
        """Return a decision function with fresh state, for one stream of one run."""
        ...


Gram = Callable[[], tuple[tuple[float, ...], ...]]


class Predictor(Protocol):
    """Predicts a skipped value as a weighted sum of computed values."""

    @property
    def keep(self) -> int:
        """The number of computed values to remember."""
        ...

    @property
    def uses_last_prediction(self) -> bool:
        """Whether the value predicted right before the newest computed step gets a weight too (FoCa)."""
        ...

    @property
    def needs_inner_products(self) -> bool:
        """Whether the weights depend on the values, through ``gram``, and not on the steps alone."""
        ...

    def row(
        self, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None, gram: Gram
    ) -> tuple[float, ...]:
        """Return the weights of the values computed at ``steps`` (newest first) that predict the value at
        ``step`` of ``total``.

        last_prediction: the step of the value predicted right before ``steps[0]``, or None. Its weight is the
        last one.
        gram: returns the inner products of the values at ``steps``, in their order. One device
        synchronisation.
        """
        ...


class Plan(NamedTuple):
    schedule: Schedule
    predictor: Predictor
    sites: tuple[Site, ...]
    signal: Signal | None = None


class PlanMaker(Protocol):
    """Makes a plan for a model and a number of steps. Every Method is one."""

    def plan(self, facts: ModelFacts) -> Plan:
        """Raises EngineError if the knobs do not fit the model or the steps."""
        ...


class FixedPlan(NamedTuple):
    """A plan-maker whose plan was made before; the facts change nothing."""

    made: Plan

    def plan(self, facts: ModelFacts) -> Plan:
        return self.made


Costs = Callable[[Mode, int], float]  # (mode, step) -> TFLOPs of one call


def active_sites(plan: Plan, step: int) -> tuple[Site, ...]:
    """Return the sites that may serve at this step; none if every block runs."""
    return tuple(site for site in plan.sites if site.steps is None or site.steps[0] <= step < site.steps[1])


def serving_site(plan: Plan, step: int, mode: Mode) -> Site | None:
    """Return the site that serves a call of this mode at this step, or None if every block runs."""
    for site in plan.sites:  # a plain loop: simulations ask it thousands of times a second
        if site.serves == mode and (site.steps is None or site.steps[0] <= step < site.steps[1]):
            return site
    return None
