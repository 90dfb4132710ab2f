"""A comparison on a ZeroGPU Space: each runs in a forked process that holds a GPU for the seconds that were declared.

What crosses the fork is pickled; what the fork changes is lost with it. So the parent keeps the baselines, hands the one
that fits over, and gets events back as they come. Elsewhere nothing of this is used: ``comparer()`` is ``compared``.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event as Flag
from typing import NamedTuple

from cache_engine import (
    Baselines,
    Cancelled,
    Comparison,
    EngineError,
    Event,
    Method,
    RunRequest,
    RunResult,
    compare,
    compared,
    facts_of,
    preload_model,
    resolve,
)

MODEL = "flux2-klein-base-4b"  # the Space's own: its licence lets everyone run it, and it fits half a card
MOST_KEPT = 16
# To declare a duration: TFLOPs of one call at 1024 x 1024, and what the card does of them in a second (bfloat16, attention
# included; on the safe side). Declared seconds that are not used are not charged, but a run that takes longer is cut off.
TFLOPS_A_CALL = {"tiny": 0.01, "flux2-klein-base-4b": 34.9, "flux-dev": 74.6, "flux-schnell": 69.7, "qwen-image": 71.6,
                 "qwen-image-lightning-8": 71.6, "qwen-image-lightning-4": 71.6}
TFLOPS_A_SECOND = 160
OVERHEAD = 6.0  # seconds: weights to the card, the prompt, the unrecorded warm-up, decoding twice
MOST_SECONDS = 120


class Failed(NamedTuple):
    """An EngineError on its way through the fork."""

    sentence: str


def on_zerogpu() -> bool:
    """Whether this is a Space with ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def seconds(request: RunRequest, method: Method, baseline: object = None, marker: str = "") -> int:
    """The duration to declare for a comparison. Takes the same arguments as the forked function, as `spaces` demands."""
    del method, marker
    request = resolve(request)
    facts = facts_of(request)
    size = (request.width or 0) * (request.height or 0) / 1024**2
    call = TFLOPS_A_CALL.get(request.model, 75.0) * size / TFLOPS_A_SECOND
    steps = facts.steps * (baseline is None) + 0.6 * facts.steps
    return min(round(OVERHEAD + steps * len(facts.streams) * call), MOST_SECONDS)


def told(request: RunRequest, method: Method, kept: bool = False) -> str:
    """What a click will cost, for the page to say before it; ``kept``: its baseline is there already."""
    return f"Uses up to {seconds(request, method, baseline=kept or None)} s of your daily GPU time."


def forked(request: RunRequest, method: Method, baseline: RunResult | None, marker: str) -> Generator[Event | Failed]:
    """In the fork: a comparison's events. It ends early once the file ``marker`` is there."""
    events = compare(request, method, baseline=baseline)
    try:
        for event in events:
            yield event
            if Path(marker).exists():
                Path(marker).unlink(missing_ok=True)
                return
    except EngineError as error:
        yield Failed(str(error))
    finally:
        events.close()


Run = Callable[[RunRequest, Method, RunResult | None, str], Generator[Event | Failed]]


class Forked:
    """``compared`` with every comparison in a fork of its own. ``run``: the forked function as `spaces` wrapped it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._kept: OrderedDict[RunRequest, RunResult] = OrderedDict()

    def __call__(self, request: RunRequest, method: Method, *, baselines: Baselines, emit: Callable[[Event], None],
                 stop: Flag) -> Comparison:
        """Raises EngineError or Cancelled, as ``compared`` does."""
        request = resolve(request)
        marker = Path(tempfile.gettempdir()) / f"cachelens-{secrets.token_hex(8)}"
        events = self._run(request, method, self._kept.get(request), str(marker))
        try:
            for event in events:
                if isinstance(event, Failed):
                    raise EngineError(event.sentence)
                if stop.is_set():
                    raise Cancelled
                emit(event)
                if isinstance(event, Comparison):
                    self._keep(request, event.baseline)
                    return event
        except BaseException:
            marker.touch()  # the fork may run on after the generator is closed: it looks for the file at every event
            raise
        finally:
            events.close()
        raise EngineError("GPU: the Space ended the run before it was done; choose fewer steps, or try again.")

    def _keep(self, request: RunRequest, baseline: RunResult) -> None:
        self._kept[request] = baseline
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def comparer() -> Callable[..., Comparison]:
    """What runs a comparison here: ``compared`` in this process, or in a fork where the Space lends GPUs."""
    if not on_zerogpu():
        return compared
    import spaces  # pyright: ignore[reportMissingImports]

    return Forked(spaces.GPU(duration=seconds)(forked))


def prepare() -> None:
    """On ZeroGPU a model has to be on its stand-in device before the first fork. Elsewhere nothing happens.

    Raises EngineError where the Space's model cannot be loaded.
    """
    if on_zerogpu():
        preload_model(os.environ.get("MODEL") or MODEL)
