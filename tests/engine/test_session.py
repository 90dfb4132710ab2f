"""Tests one run's decisions: steps and streams are counted correctly, and every call gets one decision with a
reason and a trace.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from cache_engine.plans import Decide, Decision, Plan, Reason
from cache_engine.predictors import Reuse
from cache_engine.schedules import Always, Drift, Fixed
from cache_engine.session import STREAM_NAMES, Call, Session, walk
from cache_engine.strict import EngineError


def session_of(schedule: Any, **more: Any) -> Session:
    """Make a session with one stream, unless streams are named or the scheduler counts the steps."""
    more = {"streams": None if more.get("stepped") else ("cond",)} | more
    return Session(lambda total: Plan(schedule, Reuse(), ()), 6, **more)


def begun(schedule: Any = Always(), total: int = 4, **more: Any) -> Session:
    session = session_of(schedule, **more)
    session.begin(total)
    return session


def decide(session: Session, change: Any = 0.5) -> Call:
    call = session.open()
    measure: Any = change if callable(change) else lambda: change
    session.decide(call, measure)
    return call


class OnDevice:
    """A number that must be waited for, and that counts how often it was read."""

    def __init__(self, value: float) -> None:
        self.value, self.fetched = value, 0

    def __float__(self) -> float:
        self.fetched += 1
        return self.value


# Steps, calls, streams


@pytest.mark.parametrize("total", [0, 4])
def test_a_call_before_the_run_begins(total: int) -> None:
    with pytest.raises(EngineError, match="has not begun"):
        session_of(Always(), total=total).open()


def test_named_streams_make_the_steps() -> None:
    session = begun(total=2, streams=("cond", "uncond"))
    assert [(call.step, call.number, call.stream) for call in (decide(session) for _ in range(4))] == [
        (0, 0, "cond"),
        (0, 1, "uncond"),
        (1, 2, "cond"),
        (1, 3, "uncond"),
    ]
    with pytest.raises(EngineError, match="call 5 does not fit 2 steps of 2 calls"):
        session.open()


def test_the_scheduler_makes_the_steps() -> None:
    """Streams are found by counting calls between steps; a scheduler may step more than
    once for each call.
    """
    session = begun(total=3, stepped=True)
    for calls, steps in ((2, 2), (1, 1), (1, 0)):  # with a guidance interval, a stream may be left out
        for _ in range(calls):
            decide(session)
        for _ in range(steps):
            session.next_step()
    assert [(call.step, call.stream) for call in session.calls] == [
        (0, "cond"),
        (0, "uncond"),
        (1, "cond"),
        (2, "cond"),
    ]


def test_more_calls_in_a_step_than_there_are_names() -> None:
    session = begun(stepped=True)
    assert tuple(decide(session).stream for _ in STREAM_NAMES) == STREAM_NAMES
    with pytest.raises(EngineError, match="call 5 does not fit 4 steps of 4 calls"):
        session.open()


def test_more_steps_than_announced() -> None:
    session = begun(total=1)
    decide(session)
    with pytest.raises(EngineError, match="call 2 does not fit 1 steps"):
        session.open()


def test_a_step_that_lacks_a_named_stream() -> None:
    session = begun(streams=("cond", "uncond"), stepped=True)
    decide(session)
    with pytest.raises(
        EngineError, match=r"step 0: the model was called 1 times for 2 streams \(cond, uncond\)"
    ):
        session.next_step()


def test_streams_count_for_themselves() -> None:
    changes = {"cond": 0.1, "uncond": 0.9}
    plan = Plan(Drift(1, 1, 0.5, max_in_a_row=2), Reuse(), ())
    session = walk(plan, 6, ("cond", "uncond"), lambda call: changes[call.stream])
    by_stream = {
        name: "".join(call.mode for call in session.trace if call.stream == name) for name in changes
    }
    assert by_stream == {"cond": "CccCcc", "uncond": "CCCCCC"}


# Runs


def test_begin_starts_afresh() -> None:
    session = begun(Drift(1, 1, 1.0, max_cached=2), total=4)
    first = [decide(session).decision for _ in range(4)]
    session.memory["cond"] = "remembered"
    session.begin()
    assert (session.calls, session.memory, session.step) == ([], {}, 0)
    assert [decide(session).decision for _ in range(4)] == first
    session.begin(2)
    assert decide(session).total == session.total == 2


def test_the_end_forgets_all_but_the_trace() -> None:
    session = begun()
    decide(session)
    session.memory["cond"] = "remembered"
    session.end()
    assert (session.memory, len(session.trace)) == ({}, 1)
    with pytest.raises(EngineError, match="has not begun"):
        session.open()


def test_knobs_that_do_not_fit_are_refused_at_once_and_leave_no_run() -> None:
    def planner(total: int) -> Plan:
        if total > 4:
            raise EngineError("too long")
        return Plan(Always(), Reuse(), ())

    with pytest.raises(EngineError, match="too long"):
        Session(planner, 6, total=5)
    session = Session(planner, 6, total=4, streams=("cond",))
    session.begin()
    decide(session)
    with pytest.raises(EngineError, match="too long"):
        session.begin(5)
    with pytest.raises(EngineError, match="has not begun"):
        session.open()


def test_forget_lets_a_stream_start_again() -> None:
    session = begun(Drift(1, 1, 1.0, max_in_a_row=3), total=8)
    for _ in range(3):
        decide(session)
    call = session.open()
    assert (call.ready, call.streak, call.cached) == (True, 2, 2)
    session.memory |= {"cond": "this shape", "uncond": "another stream"}
    session.forget(call)
    assert (call.ready, call.streak, call.cached) == (False, 0, 0)
    assert session.memory == {"uncond": "another stream"}
    assert session.decide(call) == Decision("C", Reason.FIRST)
    calls = [decide(session) for _ in range(4)]
    assert [call.decision.mode for call in calls if call.decision] == ["c", "c", "c", "C"]


# The facts that a schedule gets


def test_ready_streak_and_cached() -> None:
    session = begun(Fixed("CcpCcc"), total=6)
    told = [(call.ready, call.streak, call.cached) for call in (decide(session) for _ in range(6))]
    assert told == [(False, 0, 0), (True, 0, 0), (True, 1, 1), (True, 2, 2), (True, 0, 2), (True, 1, 3)]


def test_a_schedule_that_needs_a_change_where_none_is_measured() -> None:
    session = begun(Drift(0, 1, 0.5))
    decide(session)
    with pytest.raises(
        EngineError, match="step 1: this method's schedule needs a change, but its plan measures no change"
    ):
        session.decide(session.open())


# The change


def test_the_change_is_recorded_whatever_decides() -> None:
    session = begun(Drift(3, 1, 0.5, max_in_a_row=1), total=6)
    for step in range(6):
        decide(session, 0.1 * step)
    assert "".join(call.mode for call in session.trace) == "CCCcCC"
    assert [call.change for call in session.trace] == [
        None,
        *(pytest.approx(0.1 * step) for step in range(1, 6)),
    ]


def test_it_is_measured_once_and_only_where_something_is_remembered() -> None:
    measured: list[int] = []

    session = begun(Drift(2, 1, 0.5), total=5)
    for step in range(5):
        decide(session, lambda step=step: (measured.append(step), 0.1)[1])
    assert measured == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("schedule", "fetches"),
    [
        (Drift(0, 1, 0.5), 1),
        (Drift(4, 1, 0.5), 0),
        (Drift(0, 1, 1.0), 0),
        (Drift(0, 1, 0.0), 0),
        (Always(), 0),
    ],
)
def test_a_change_on_the_device_is_fetched_only_if_asked(schedule: Any, fetches: int) -> None:
    session = begun(schedule)
    decide(session)
    call = session.open()
    call.live = False
    change = OnDevice(0.25)
    session.decide(call, lambda: change)
    assert change.fetched == fetches
    assert session.traced(call, fetch=False).change == (0.25 if fetches else None)
    assert session.traced(call, fetch=False).seconds == 0
    assert change.fetched == fetches
    assert session.trace[1].change == 0.25


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize(
    "schedule", [Drift(0, 1, 0.5), Drift(4, 1, 0.5), Drift(0, 1, 1.0), Drift(0, 1, 0.0), Always()]
)
def test_a_broken_change_names_the_step(schedule: Any, broken: float) -> None:
    session = begun(schedule)
    decide(session)
    decide(session)
    with pytest.raises(EngineError, match=f"^step 2: the change is {broken}"):
        decide(session, broken)


@pytest.mark.parametrize("schedule", [Drift(4, 1, 0.5), Drift(0, 1, 1.0)])
def test_a_broken_change_on_the_device_is_found_in_the_end(schedule: Any) -> None:
    session = begun(schedule)
    decide(session)
    call = session.open()
    call.live = False
    session.decide(call, lambda: OnDevice(math.nan))
    decide(session)
    with pytest.raises(EngineError, match=r"^step 1: the change is nan"):
        _ = session.trace


# The trace


def test_the_trace_has_what_each_call_was() -> None:
    session = begun(Fixed("Cc"), total=2, costs=lambda mode, step: 74.5 if mode == "C" else 1.3)
    for blocks, seconds in ((6, 2.0), (1, 0.5)):
        call = decide(session)
        call.blocks_run, call.seconds = blocks, lambda seconds=seconds: seconds
    assert [tuple(call) for call in session.trace] == [
        (0, 0, "cond", "C", "fixed", None, None, 6, 6, 74.5, 2.0),
        (1, 1, "cond", "c", "fixed", 0.5, None, 1, 6, 1.3, 0.5),
    ]


def test_a_schedule_decides_each_call_once() -> None:
    asked: list[int] = []
    counting = Fixed("CCCCC").begin()

    class Counting:
        def begin(self) -> Decide:
            return lambda probe: (asked.append(probe.step), counting(probe))[1]

    walk(Plan(Counting(), Reuse(), ()), 5, ("cond",), lambda call: 0.1)
    assert asked == list(range(5))
