"""What every method owes, checked on all of METHODS: a new file in methods/ is picked up here by itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel
from torch import Tensor, nn

from cache_engine.method import METHODS, Knob, Method
from cache_engine.models.catalog import MODELS
from cache_engine.plans import ModelFacts, Plan
from cache_engine.records import RunRequest
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.strict import Cancelled, EngineError
from tests.parity.loop import denoise, tiny_flux, tiny_qwen_image

STEPS = 12
PUBLISHED = MODELS["flux-dev"].coefficients
ALIKE = tuple(tuple(0.9 ** abs(one - other) for other in range(STEPS)) for one in range(STEPS))
FACTS = ModelFacts(
    blocks=6,
    steps=STEPS,
    sections=(2, 4),
    modules=True,
    attention=True,
    polynomial=PUBLISHED.polynomial,
    ratios=PUBLISHED.ratios,
    alike=ALIKE,
)
every_method = pytest.mark.parametrize("name", METHODS)
# TeaCache looks at the modulated input, which is described for FLUX.1 only; Delta-DiT's published rule is
# about single blocks.
FLUX_ALONE = ("teacache", "delta_dit")
on_both_models = pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, "flux") for name in METHODS),
        *((name, "qwen-image") for name in METHODS if name not in FLUX_ALONE),
    ],
    indirect=["model"],
)
Model = FluxTransformer2DModel | QwenImageTransformer2DModel


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Model:
    return {"flux": tiny_flux, "qwen-image": tiny_qwen_image}[request.param]()


def planned(method: Method) -> Callable[[ModelFacts], Plan]:
    """The method's plan for a random model, which lends itself the coefficients that FLUX.1-dev has."""
    return lambda facts: method.plan(
        facts._replace(polynomial=PUBLISHED.polynomial, ratios=PUBLISHED.ratios, alike=ALIKE)
    )


def under(
    model: nn.Module, method: Method, streams: tuple[str, ...] = ("cond",), **more: Any
) -> AbstractContextManager[Session]:
    return attached(model, method, steps=STEPS, streams=streams, plan=planned(method), **more)


def run(model: Model, method: Method, streams: tuple[str, ...] = ("cond",)) -> tuple[Tensor, Session]:
    with under(model, method, streams) as session:
        session.begin()
        return denoise(model, STEPS, streams), session


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def path(stream: str, model: nn.Module | None = None) -> Iterator[dict[str, Any]]:
    """One stream's calls along a path that does not depend on what the model answers; of a FLUX.1, unless it
    is another.
    """
    generator = torch.Generator().manual_seed(len(stream))
    start, end = torch.randn((2, 1, 16, 4), generator=generator)
    text, pooled = torch.randn((1, 6, 32), generator=generator), torch.randn((1, 32), generator=generator)
    for step in range(STEPS):
        share = 0.05 * step / STEPS  # slow enough for every threshold's default
        call = {
            "hidden_states": start + share * (end - start),
            "encoder_hidden_states": text,
            "timestep": torch.tensor([1 - share]),
        }
        yield call | (
            {"img_shapes": [[(1, 4, 4)]]}
            if isinstance(model, QwenImageTransformer2DModel)
            else {"pooled_projections": pooled, "img_ids": torch.zeros(16, 3), "txt_ids": torch.zeros(6, 3)}
        )


@on_both_models
def test_a_setting_that_computes_everything_is_bit_equal_to_the_baseline(name: str, model: Model) -> None:
    found, session = run(model, METHODS[name](**METHODS[name].always), ("cond", "uncond"))
    assert torch.equal(found, denoise(model, STEPS, ("cond", "uncond")))
    assert {call.mode for call in session.trace} == {"C"}
    assert {call.blocks_run for call in session.trace} == {6}


@on_both_models
def test_the_model_is_restored_after_a_run_an_error_and_a_cancel(name: str, model: Model) -> None:
    method = METHODS[name]()
    before = {path: dict(vars(module)) for path, module in model.named_modules()}
    baseline = denoise(model, STEPS)

    def restored() -> bool:
        kept = all(dict(vars(module)) == before[path] for path, module in model.named_modules())
        return kept and torch.equal(denoise(model, STEPS), baseline)

    run(model, method)
    assert restored()
    with pytest.raises(RuntimeError, match="halfway"):
        broken(model, method)
    assert restored()
    with pytest.raises(Cancelled):
        cancelled(model, method)
    assert restored()


def broken(model: Model, method: Method) -> None:
    with under(model, method) as session:
        session.begin()
        denoise(model, STEPS // 2)
        raise RuntimeError("halfway")


def cancelled(model: Model, method: Method) -> None:
    stop = threading.Event()
    with under(model, method, stop=stop) as session:
        session.begin()
        denoise(model, STEPS // 2)
        stop.set()
        denoise(model, 1)


@on_both_models
def test_streams_never_mix(name: str, model: Model) -> None:
    method = METHODS[name]()

    def answers(*streams: str) -> tuple[list[Tensor], str]:
        with under(model, method, streams) as session, torch.inference_mode():
            session.begin()
            found = [
                model(**call, return_dict=False)[0]
                for calls in zip(*(path(one, model) for one in streams))
                for call in calls
            ]
        return found[:: len(streams)], modes(session, streams[0])

    alone, schedule = answers("cond")
    together, schedule_of_two = answers("cond", "uncond")
    assert schedule_of_two == schedule
    assert method.grain == "none" or set(schedule) & {"c", "p"}  # else this shows nothing
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@on_both_models
def test_decisions_are_repeatable(name: str, model: Model) -> None:
    found, session = run(model, METHODS[name]())
    again, session_again = run(model, METHODS[name]())
    assert torch.equal(found, again)
    assert [call[:8] for call in session.trace] == [call[:8] for call in session_again.trace]
    assert all(call.reason for call in session.trace)


def others(knob: Knob) -> list[Any]:
    """Values of a knob that are not its default."""
    if knob.type == "bool":
        return [not knob.default]
    if knob.type == "choice":
        return [choice for choice in knob.choices if choice != knob.default]
    if knob.type == "text":
        return ["F1B0_W1_R0.5_T0O0" if knob.name == "cache" else "1" * (STEPS - 1) + "0"]
    assert knob.low is not None
    assert knob.high is not None
    steps = (1, 2, 3, 4, 0.1, 0.5)
    values = [
        knob.low,
        knob.high,
        *(value for value in steps if knob.type == "float" or isinstance(value, int)),
    ]
    return [value for value in values if knob.low <= value <= knob.high and value != knob.default]


def outcome(method: Method) -> object:
    """All that a setting can change: the plan and the request."""
    try:
        return method.plan(FACTS), method.effective(RunRequest(prompt="-", steps=STEPS))
    except EngineError:
        return None


@pytest.mark.parametrize(
    ("name", "knob"), [(name, knob.name) for name, method in METHODS.items() for knob in method.knobs()]
)
def test_every_knob_changes_something(name: str, knob: str) -> None:
    knobs = {found.name: found for found in METHODS[name].knobs()}
    elsewhere = [{}] + [
        {other.name: value} for other in knobs.values() if other.name != knob for value in others(other)
    ]
    assert any(
        outcome(METHODS[name](**{**rest, knob: value})) not in (None, outcome(METHODS[name](**rest)))
        for rest in elsewhere
        for value in others(knobs[knob])
    )


@every_method
def test_says_what_it_is_and_refuses_what_it_cannot_take_in_one_sentence(name: str) -> None:
    method = METHODS[name]
    assert method.title
    assert method.__module__ == f"cache_engine.methods.{name}"
    said = refusal(method(), ModelFacts(blocks=6, steps=STEPS, sections=(6,)))
    assert not said or re.fullmatch(r"(\w+): (FLUX\.1|[^.])+\.", said)
    assert not said or said.partition(":")[0] in (name, *method.model_fields)


def refusal(method: Method, facts: ModelFacts) -> str:
    try:
        method.plan(facts)
    except EngineError as error:
        return str(error)
    return ""
