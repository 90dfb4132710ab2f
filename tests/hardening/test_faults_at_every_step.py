"""Tests that a fault or a cancel at any moment of a comparison ends it in one sentence, and that the same
engine draws the next comparison bit for bit as if nothing had happened. Every fault is shown to have fired.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from app.engine.worker import Worker
from cache_engine import Cancelled, Comparison, EngineError
from cache_engine.loading import load_model
from cache_engine.runner import draw
from tests.hardening.conftest import NEXT, SETTING, STEPS, Tell, is_sentence, often, pictures, request, solo

pytestmark = pytest.mark.hardening

CALLS = 2 * STEPS  # calls of the transformer in a run with guidance
FAULTS: dict[str, Callable[[], BaseException]] = {
    "an error": lambda: RuntimeError("boom\nin two lines, at /home/somebody"),
    "no memory on the device": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "no memory": lambda: MemoryError(),
    "an exit of the thread": lambda: SystemExit(1),
}
PLACES = ("encoding", "decoding")


class Fault:
    """Happens once, at the ``at``-th call of a part of the pipeline."""

    def __init__(self, at: int, happen: Callable[[], Any]) -> None:
        self.at, self.happen, self.seen, self.fired = at, happen, 0, 0

    def __call__(self, module: Any, *arguments: Any) -> Any:
        self.seen += 1
        if self.seen == self.at + 1:
            self.fired += 1
            return self.happen()
        return None


def raising(kind: str) -> Callable[[], Any]:
    def happen() -> Any:
        raise FAULTS[kind]()

    return happen


@pytest.fixture(scope="module")
def alone() -> tuple[bytes, bytes]:
    return solo(request())


@pytest.fixture(scope="module")
def worker(alone: tuple[bytes, bytes]) -> Worker:
    """The engine's thread, which outlives every fault of this file."""
    return Worker(with_survey=None)


def part(place: str) -> Any:
    pipe = load_model("tiny").pipe
    return {"encoding": pipe.text_encoder_2, "decoding": pipe.vae.decoder, "denoising": pipe.transformer}[
        place
    ]


def ask(worker: Worker) -> Comparison:
    worker._baselines._results.clear()  # both sides run
    *_, last = worker.watch(worker.submit(request(), SETTING))
    assert isinstance(last[-1], Comparison)
    return last[-1]


def moments(count: int) -> Iterator[int]:
    """Yield every call of both sides, or a few of them."""
    few = {0, 1, CALLS - 1, CALLS + 5}
    yield from range(2 * CALLS) if count > len(few) else sorted(few)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_at_every_step(
    kind: str,
    worker: Worker,
    alone: tuple[bytes, bytes],
    tell: Tell,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)  # tracebacks of expected errors
    places = [(place, at) for place in PLACES for at in (0, 1)]
    places += [("denoising", at) for at in moments(often(4, 2 * CALLS))]
    for place, at in places:
        fault = Fault(at, raising(kind))
        hook = part(place).register_forward_pre_hook(fault)
        try:
            with pytest.raises(EngineError) as caught:
                ask(worker)
        finally:
            hook.remove()
        assert fault.fired == 1, (place, at)
        is_sentence(str(caught.value))
        assert pictures(ask(worker)) == alone, (place, at)
        assert worker.state()["status"] == "ok"
    tell(
        f"fault in encoding, denoising, decoding: {kind}",
        f"{len(places)} fired, each one sentence; {NEXT} {len(places)} times",
    )


def test_values_that_are_no_numbers_at_every_step(
    worker: Worker, alone: tuple[bytes, bytes], tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    tried = list(moments(often(4, 2 * CALLS)))
    ended = 0
    for at in tried:
        fault = Fault(at, lambda: (torch.full((1, 64, 96), torch.nan),))
        hook = part("denoising").register_forward_hook(fault)
        try:
            ask(worker)
        except EngineError as error:
            is_sentence(str(error))
            ended += 1
        finally:
            hook.remove()
        assert fault.fired == 1, at
        assert pictures(ask(worker)) == alone, at
    tell(
        "NaN from the transformer at every step",
        f"{len(tried)} fired, {ended} ended in one sentence, the others in a result; "
        f"{NEXT} {len(tried)} times",
    )


def test_an_error_in_the_quality(
    worker: Worker,
    alone: tuple[bytes, bytes],
    tell: Tell,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    for kind in FAULTS:
        fired: list[str] = []

        def measure(*_: Any, kind: str = kind, fired: list[str] = fired) -> Any:
            fired.append(kind)
            raise FAULTS[kind]()

        with monkeypatch.context() as patch:
            patch.setattr("cache_engine.comparison.measure", measure)
            with pytest.raises(EngineError) as caught:
                ask(worker)
        assert fired == [kind]
        is_sentence(str(caught.value))
        assert pictures(ask(worker)) == alone
    tell(
        "fault in measuring the quality",
        f"{len(FAULTS)} fired, each one sentence; {NEXT} {len(FAULTS)} times",
    )


def is_cancelled(watching: Any, leaves: Callable[[], bool]) -> bool:
    """Watch a job until it ends, or until the client leaves, which closes the generator as gradio does."""
    try:
        for _ in watching:
            if leaves():
                watching.close()
                return True
    except Cancelled:
        return True
    return False


@pytest.mark.parametrize("way", ["button", "closed tab"])
def test_a_cancel_at_every_step(way: str, worker: Worker, alone: tuple[bytes, bytes], tell: Tell) -> None:
    tried = list(moments(often(4, 2 * CALLS)))
    for at in tried:
        worker._baselines._results.clear()
        job = worker.submit(request(), SETTING)
        watching = worker.watch(job)
        fault = Fault(
            at, job.stop.set if way == "closed tab" else lambda key=job.key: worker.cancel(key) and None
        )
        hook = part("denoising").register_forward_pre_hook(fault)
        try:
            assert is_cancelled(watching, lambda fault=fault: fault.fired > 0 and way == "closed tab")
        finally:
            hook.remove()
        assert fault.fired == 1, at
        assert not worker.busy_with(job.key) or way == "closed tab"
        assert pictures(ask(worker)) == alone, at
    tell(
        f"cancel at every step: {way}",
        f"{len(tried)} fired; {NEXT} {len(tried)} times",
    )


def test_the_pipeline_is_left_without_hooks(worker: Worker) -> None:
    ask(worker)
    model = load_model("tiny")
    for module in (*model.pipe.transformer.modules(), *model.pipe.vae.modules()):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert draw(model, model.spec.resolve(request())).size == (256, 256)
