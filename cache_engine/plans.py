"""What a method plans, in frozen facts: when, how and where; and what its schedules and predictors may
ask.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

Mode = Literal["C", "c", "p"]  # computed, cached, partial


class Signal(NamedTuple):
    """What a schedule may look at: how far a tensor moved since the last computed (or previous) step."""

    kind: Literal["front_residual", "modulated_input"]
    since: Literal["computed", "previous"]


class Stack(NamedTuple):
    """Skip blocks ``start..stop-1`` (flat numbering) and serve their residual (or their output)."""

    start: int
    stop: int
    serves: Mode = "c"
    residual: bool = True
    steps: tuple[int, int] | None = None


class Modules(NamedTuple):
    """Let every block run with the outputs of its attention and feed-forward served: they meet the current
    gates.

    ``before_projection``: remember the attention before its output projection, which then runs in every step.
    """

    serves: Mode = "c"
    before_projection: bool = False
    steps: tuple[int, int] | None = None


Score = Literal["v_norm", "low_v_norm", "k_norm", "attention", "age"]


class Tokens(NamedTuple):
    """Let every block run with its attention served, and its feed-forward run for the tokens that need it
    most.

    ratio: share of a block's tokens, about: see ``sites.tokens.share``.  score: what a token's need is
    measured by. aging: what each step since a token was run last adds to its score; a block's scores have
    length 1.
    """

    ratio: float
    score: Score = "v_norm"
    aging: float = 0.0
    serves: Mode = "p"
    steps: tuple[int, int] | None = None


class Columns(NamedTuple):
    """Let every block run, its attention on some keys and its feed-forward on some neurons: the rest is the
    last computed step's.

    keys, neurons: the shares that are run.  dense_blocks: so many blocks in front run whole.
    queries, rows: tokens next to each other that share one choice, of keys and of neurons.
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
    """What a plan may depend on.

    sections: blocks of each block list.  modules: whether the blocks' modules are described, so that
    ``Modules`` fits. polynomial: TeaCache's, highest power first.  ratios: MagCache's, evenly over a run.
    None: nobody fitted them. attention: whether it is described, too, where in a block tokens meet, so that
    ``Tokens`` and ``Columns`` fit. alike: Kriging's, inner products of all blocks' residual at evenly spread
    times of a run. None: nobody fitted them.
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
    """A run holds all its changes against one limit."""
    return f"{limit:.10g}"


class Probe(Protocol):
    """What a schedule may ask about the call at hand, in its own stream."""

    step: int
    total: int
    ready: bool  # something is remembered
    streak: int  # cached steps in a row up to here
    cached: int  # cached steps so far

    def change(self) -> float:
        """The signal's relative change; one device synchronisation."""
        ...


Decide = Callable[[Probe], Decision]


class Schedule(Protocol):
    def begin(self) -> Decide:
        """A decision function with fresh state, for one stream of one run."""
        ...


Gram = Callable[[], tuple[tuple[float, ...], ...]]


class Predictor(Protocol):
    """``uses_last_prediction``: also wants the value in use one step before the last computed one. ``needs_inner_products``: asks for
    ``gram``.
    """

    @property
    def keep(self) -> int:
        """Computed values that are remembered."""
        ...

    @property
    def uses_last_prediction(self) -> bool: ...

    @property
    def needs_inner_products(self) -> bool: ...

    def row(
        self, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None, gram: Gram
    ) -> tuple[float, ...]:
        """Weights over the values computed at ``steps`` (newest first) that predict the value at ``step`` of
        ``total``.

        last_prediction: the step of the value that was predicted right before ``steps[0]``, or None; it comes last in
        the row. gram: inner products of the values at ``steps``, in their order; one device synchronisation.
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
    """The sites that may serve at this step; none where every block runs."""
    return tuple(site for site in plan.sites if site.steps is None or site.steps[0] <= step < site.steps[1])


def serving_site(plan: Plan, step: int, mode: Mode) -> Site | None:
    """The site that serves a call of this mode at this step; None where every block runs."""
    for site in plan.sites:  # a plain loop: simulations ask it thousands of times a second
        if site.serves == mode and (site.steps is None or site.steps[0] <= step < site.steps[1]):
            return site
    return None
