"""Tests the choice of settings: the Gaussian process, the goals, and reading ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cache_engine.method import METHODS
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.fewer_steps import FewerSteps
from cache_engine.models.catalog import facts_of, resolve
from cache_engine.recipe import format_recipe
from cache_engine.records import RunRequest
from cache_engine.strict import EngineError
from cache_engine.tuning import space
from cache_engine.tuning.gaussian_process import ALIKE, NOISE, SHARED, GaussianProcess
from cache_engine.tuning.goal import Goal, Search, SettingCosts
from cache_engine.tuning.tuner import TuneTask

KNOBS = {knob.name: knob for knob in METHODS["dbcache"].knobs()}
REQUEST = RunRequest(prompt="a big panda on a pink background", seed=3, steps=8)


# ---- belief ----
def process(count: int = 40, spread: float = 3.0) -> tuple[GaussianProcess, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    expected, features = draw.uniform(10, 50, count), draw.normal(size=(count, 2))
    return GaussianProcess(expected, features, np.full(count, spread)), expected, features


def test_without_measurements_the_forecast_is_believed_as_it_is() -> None:
    belief, expected, _ = process()
    assert np.array_equal(belief.posterior([]).mean, expected)
    assert set(belief.posterior([]).deviation) == {3.0}


def test_it_is_the_posterior_of_a_gaussian_process() -> None:
    """The reference is the textbook's equations with the kernel written out, and an inverse instead of a
    solver.
    """
    belief, expected, features = process()
    places, values = [3, 7, 20], [30.0, 12.0, 41.0]
    kernel = SHARED + ALIKE * 2.0 ** -np.square(features[:, None] - features[None]).sum(axis=-1)
    inverse = np.linalg.inv(kernel[np.ix_(places, places)] + NOISE * np.eye(3))
    mean = expected + kernel[:, places] @ inverse @ (np.array(values) - expected[places])
    assert np.allclose(belief.posterior(list(zip(places, values, strict=True))).mean, mean)


def test_a_measured_setting_is_all_but_certain_and_corrects_those_like_it() -> None:
    belief, expected, _ = process()
    after = belief.posterior([(5, expected[5] + 6)])
    assert after.mean[5] == pytest.approx(expected[5] + 6, abs=0.1)
    assert after.deviation[5] < 0.2 * after.deviation.max()
    assert (after.mean > expected).all()  # the part that all forecasts share is learnt from one measurement


def test_forecasts_that_were_far_off_widen_what_is_left_open() -> None:
    belief, expected, _ = process()
    near, far = (
        belief.posterior([(5, expected[5] + 1)]),
        belief.posterior([(5, expected[5] + 15)]),
    )
    assert far.deviation.max() > 2 * near.deviation.max()


def test_chances_and_gains_are_those_of_a_normal_distribution() -> None:
    belief, expected, _ = process()
    after = belief.posterior([(0, 30.0)])
    draws = np.random.default_rng(2).normal(after.mean, after.deviation, size=(200_000, len(expected)))
    assert np.allclose(after.reaches(28), (draws >= 28).mean(axis=0), atol=0.01)
    assert np.allclose(after.gain(28), np.maximum(draws - 28, 0).mean(axis=0), atol=0.05)


# ---- goals ----
def test_a_share_of_the_prompts_has_to_reach_it() -> None:
    closeness = np.arange(20.0, 40.0)
    assert Goal(value=30, share=1).held(closeness) == 20
    assert Goal(value=30, share=0.95).held(closeness) == 21
    assert Goal(value=30, share=0.9).held(closeness) == 22
    assert Goal(value=30, share=0.95).held(closeness[:8]) == 20  # of 8 prompts, none may miss the goal


def search(goal: Goal) -> tuple[Search, np.ndarray, np.ndarray]:
    """Make settings on a line: the more compute, the closer; and forecasts that are 4 dB too high."""
    tflops = np.linspace(1, 10, 30)
    closeness = 15 + 3 * tflops
    costs = SettingCosts(tflops, tflops / 10, 10.0, 1.0)
    return (
        Search(goal, GaussianProcess(closeness + 4, np.log(tflops)[:, None], np.full(30, 2.0)), costs),
        tflops,
        closeness,
    )


@pytest.mark.parametrize(
    "goal",
    [Goal(value=30), Goal(kind="fast", value=2), Goal(kind="cheap", value=2)],
    ids=lambda goal: goal.kind,
)
def test_it_finds_the_best_of_thirty_within_six_runs(goal: Goal) -> None:
    tune_search, tflops, closeness = search(goal)
    for _ in range(6):
        place = tune_search.next()
        if place is None:
            break
        assert place not in tune_search.measured
        tune_search.measure(place, closeness[place], tflops[place], tflops[place] / 10)
    best = tune_search.ranked()[0]
    reach = closeness >= 30 if goal.kind == "close" else tflops <= 5
    ideal = tflops[reach].min() if goal.kind == "close" else tflops[reach].max()
    assert reach[best]
    assert tflops[best] == pytest.approx(ideal, rel=0.07)


def test_what_misses_the_goal_is_never_the_best() -> None:
    tune_search, tflops, closeness = search(Goal(value=30))
    tune_search.measure(0, closeness[0], tflops[0], 0.1)
    assert tune_search.ranked() == []


def test_expected_times_are_corrected_by_measured_ones() -> None:
    """The machine is half as fast as expected, so settings that seemed to reach a goal in time do not reach
    it.
    """
    tune_search, tflops, closeness = search(Goal(kind="fast", value=2))
    first = tune_search.next()
    assert first is not None
    tune_search.measure(first, closeness[first], tflops[first], 2 * tflops[first] / 10)
    second = tune_search.next()
    assert second is not None
    assert 2 * tflops[second] / 10 <= 0.5


# ---- space ----
@pytest.mark.parametrize(
    ("knob", "text", "values"),
    [
        ("residual_diff_threshold", "0.04..0.20 /5", (0.04, 0.08, 0.12, 0.16, 0.2)),
        ("Fn_compute_blocks", "1, 4, 8", (1, 4, 8)),
        ("max_warmup_steps", "2..5", (2, 3, 4, 5)),
        ("max_continuous_cached_steps", "2, 4, -1", (2, 4, -1)),
        ("predictor", "taylor, dmd", ("taylor", "dmd")),
        ("taylorseer_order", "0..1, 1", (0, 1)),
    ],
)
def test_ranges_are_read(knob: str, text: str, values: tuple[Any, ...]) -> None:
    assert space.parse_values(KNOBS[knob], text) == values


@pytest.mark.parametrize(
    ("knob", "text", "sentence"),
    [
        ("Fn_compute_blocks", "0..3", "0 is out of range; choose 1 to 100"),
        ("Fn_compute_blocks", "", "names no value"),
        ("Fn_compute_blocks", "x", "'x' is not a whole number"),
        ("residual_diff_threshold", "0.1..0.4", "is not a range"),
        ("residual_diff_threshold", "0.1..", "cannot be read"),
        ("predictor", "magic", "'magic' is not valid"),
        *(
            (knob, text, "is too long; write")
            for knob in ("Fn_compute_blocks", "residual_diff_threshold")
            for text in (
                f"1..3 /{'9' * 5000}",
                f"0..{'9' * 4000} /3",
                f"{'9' * 4000}..{'9' * 4001}",
                "9" * 5000,
                f"1, {'9' * 400}",
            )
        ),
    ],
)
def test_bad_ranges_are_one_sentence(knob: str, text: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence) as caught:
        space.parse_values(KNOBS[knob], text)
    assert str(caught.value).startswith(f"{knob}: ")
    assert len(str(caught.value)) < 160


def test_a_mask_may_be_as_long_as_a_run() -> None:
    assert space.parse_values(KNOBS["steps_computation_mask"], "10" * 50) == ("10" * 50,)


@pytest.mark.parametrize("prompts", [("a fox", ""), ("a fox", "x" * 2001), ("a fox", 5)])
@pytest.mark.parametrize("field", ["prompts", "acceptance"])
def test_a_prompt_that_could_not_be_drawn_is_refused_at_once(field: str, prompts: Any) -> None:
    with pytest.raises(
        EngineError, match=f"^{field}: .* is not valid; give a text of 1 to 2000 characters.$"
    ):
        TuneTask(**{"request": REQUEST, "prompts": ("an owl",), "goal": Goal(value=30), field: prompts})


def test_too_many_prompts_are_told_as_such() -> None:
    with pytest.raises(EngineError, match=r"^prompts: .* give a list of at most 200.$"):
        TuneTask(request=REQUEST, prompts=("a fox",) * 201, goal=Goal(value=30))


def test_neighbours_are_one_step_of_one_knob_away() -> None:
    vary = space.parse_ranges(
        "dbcache", {"Fn_compute_blocks": "1,2,4", "max_continuous_cached_steps": "2,4,-1"}
    )
    settings = space.grid("dbcache", vary, facts_of(REQUEST))
    near = space.neighbours(DBCache(Fn_compute_blocks=2, max_continuous_cached_steps=4), vary, settings)
    assert {
        (neighbour.model_dump()["Fn_compute_blocks"], neighbour.model_dump()["max_continuous_cached_steps"])
        for neighbour in near
    } == {(1, 4), (4, 4), (2, 2), (2, -1)}


def test_neighbours_of_fewer_steps_are_one_step_fewer_and_one_more() -> None:
    plain = space.fewer_steps_methods(facts_of(REQUEST))
    assert space.neighbours(plain[2], {}, [*plain, DBCache()]) == [plain[1], plain[3]]
    assert space.neighbours(plain[0], {}, plain) == [plain[1]]


@pytest.mark.parametrize("steps", [7, 28, 50, 190])
def test_shares_of_the_steps_are_short_and_give_every_number(steps: int) -> None:
    plain = space.fewer_steps_methods(facts_of(REQUEST.replaced(steps=steps)))
    assert [method.effective(resolve(REQUEST.replaced(steps=steps))).steps for method in plain] == list(
        range(2, steps)
    )
    assert all(len(format_recipe(method)) <= len("fewer_steps(fraction=0.01234)") for method in plain)


def test_fewer_steps_vary_beside_a_caches_own_knobs() -> None:
    facts = facts_of(REQUEST)
    vary = space.parse_ranges("dbcache", {"fraction": "0.5, 1", "max_warmup_steps": "2, 4, 8"})
    methods = space.grid("dbcache", vary, facts)
    within = [method for method in methods if isinstance(method, FewerSteps)]
    assert len(methods) == 3 + 2  # 8 warm-up steps are more than the 4 steps of half a run
    assert {method.effective(resolve(REQUEST)).steps for method in within} == {4}
    for candidate in methods:
        assert space.parts_of(candidate).joined == candidate
    half = next(method for method in within if space.parts_of(method).knobs["max_warmup_steps"] == 2)
    near = [space.parts_of(neighbour).knobs for neighbour in space.neighbours(half, vary, methods)]
    assert {(knobs["fraction"], knobs["max_warmup_steps"]) for knobs in near} == {(0.5, 4)}


@pytest.mark.parametrize(
    "knobs",
    [
        {"streak_rule": "before"},
        {"residual_diff_threshold": 0.123456789012345},
        {"predictor": "dmd"},
        {"residual_diff_threshold": 1e-7},
        {"steps_computation_mask": "1" * 28},
    ],
)
def test_every_knob_goes_along_into_fewer_steps(knobs: dict[str, Any]) -> None:
    made = space.method_with("dbcache", {"fraction": 0.5, **knobs}, facts_of(REQUEST.replaced(steps=56)))
    assert space.parts_of(made) == space.SettingParts(METHODS["dbcache"](**knobs), 0.5)


def test_several_methods_are_one_space() -> None:
    task = TuneTask(
        request=REQUEST,
        prompts=("a fox",),
        goal=Goal(value=30),
        vary={"dbcache": {"max_warmup_steps": "2, 4"}, "teacache": {"threshold": "0.1, 0.2, 0.3"}},
    )
    assert [setting.name for setting in task.settings] == ["dbcache"] * 2 + ["teacache"] * 3 + [
        "fewer_steps"
    ] * 6
    assert set(task.ranges_of(task.settings[3])) == {"threshold"}
    assert task.ranges_of(task.settings[-1]) == {}
    with pytest.raises(EngineError, match="magic"):
        _ = TuneTask(
            **{
                **task.model_dump(),
                "request": REQUEST,
                "goal": Goal(value=30),
                "vary": {"magic": {"threshold": "1"}},
            }
        ).settings


def test_too_many_settings_are_refused() -> None:
    vary = space.parse_ranges(
        "dbcache", {"residual_diff_threshold": "0..1 /200", "max_warmup_steps": "0..199"}
    )
    with pytest.raises(EngineError, match=r"ranges: \d+ settings are more than"):
        space.grid("dbcache", vary, facts_of(REQUEST))
