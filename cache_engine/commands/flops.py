"""``flops``: counts a setting's compute from shapes alone, without weights or a device."""

from __future__ import annotations

import argparse

from ..models.catalog import spec_of
from ..plans import Costs, Mode, ModelFacts, Plan
from ..session import Call, walk
from ..strict import EngineError
from .shared import (
    Answer,
    Command,
    method_arguments,
    method_from_options,
    real,
    request_arguments,
    request_from_options,
)


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    method_arguments(parser, default="baseline")
    parser.add_argument(
        "--computed-steps",
        help="number of computed steps, for schedules that depend on the picture (an average may be "
        "fractional)",
    )


def run(options: argparse.Namespace) -> Answer:
    from ..flops import costs  # imports torch

    method = method_from_options(options)
    spec = spec_of(options.model)
    request = spec.resolve(request_from_options(options, prompt="-"))
    effective = spec.resolve(method.effective(request))
    facts = spec.facts(effective)
    plan = method.plan(facts)
    cost = costs(effective, plan)
    plain = spec.facts(request)
    baseline = costs(request, plan._replace(sites=()))("C", 0) * plain.steps * len(plain.streams)
    computed = real(options.computed_steps)
    if computed is None:
        calls = walk(plan, facts.steps, facts.streams, _Unknown).calls
        letters: list[Mode] = [call.decision.mode for call in calls if call.decision]
        tflops = sum(cost(mode, call.step) for mode, call in zip(letters, calls, strict=True))
        modes: dict[str, float] = {"C": letters.count("C"), "p": letters.count("p"), "c": letters.count("c")}
        schedule = "".join(
            mode for mode, call in zip(letters, calls, strict=True) if call.stream == facts.streams[0]
        )
        computed = modes["C"] / len(facts.streams)
    else:
        tflops, modes = _split(computed, facts, plan, cost)
        schedule = None
    doubt = spec.doubles and (request.guidance or 0) > 1
    note = (
        (
            f"counted with one call a step: with guidance_scale {request.guidance:g}, {spec.title} may "
            "make a second call in every step, and the run then takes twice the compute"
        )
        if doubt
        else ""
    )
    data = {
        "tflops": tflops,
        "baseline_tflops": baseline,
        "compute_ratio": baseline / tflops,
        "computed_steps": computed,
        "schedule": schedule,
        "modes": modes,
        "note": note,
    }
    text = (
        f"{tflops:.2f} TFLOPs of {baseline:.2f} ({baseline / tflops:.2f}x less compute), {computed:g} of "
        f"{facts.steps} steps computed{f': {schedule}' if schedule else ''}"
    )
    return Answer(data, f"{text}\n{note}" if note else text)


def _split(computed: object, facts: ModelFacts, plan: Plan, cost: Costs) -> tuple[float, dict[str, float]]:
    if not isinstance(computed, float) or not 0 <= computed <= facts.steps:
        raise EngineError(
            f"computed-steps: {computed!r} is not valid; choose a number from 0 to {facts.steps}."
        )
    if not plan.sites:
        raise EngineError("computed-steps: this method computes every step; leave it out.")
    kinds: set[Mode] = {site.serves for site in plan.sites}
    if len(kinds) > 1:
        raise EngineError(
            "computed-steps: this method's steps without full compute are of two kinds that alternate; "
            "leave it out."
        )
    kind = kinds.pop()
    skipped, streams = facts.steps - computed, len(facts.streams)
    tflops = streams * (computed * cost("C", 0) + skipped * cost(kind, facts.steps - 1))
    return tflops, {"C": computed * streams, "p": 0, "c": 0, kind: skipped * streams}


class _Unknown:
    """Stands for the change of a step that was not run. Raises EngineError if a decision needs the change."""

    def __init__(self, call: Call) -> None:
        self.step = call.step

    def __float__(self) -> float:
        raise EngineError(
            f"computed-steps: step {self.step} is decided by the picture's own change, which is not "
            "known without a run; pass --computed-steps N, or a threshold of 1 (every step counts as "
            "similar)."
        )


COMMAND = Command("flops", "count a setting's TFLOPs, without weights or a device", arguments, run)
