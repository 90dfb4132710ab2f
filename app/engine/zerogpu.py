"""Comparisons on a ZeroGPU Space. Each runs in a forked process that gets a GPU for a declared time.

Arguments and events are pickled to cross the fork, and the fork's memory is lost at its end. For this reason
the parent process remembers the baselines, passes the matching baseline on, and receives events as they
happen. On other machines, ``comparison_runner()`` returns ``run_comparison``.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from threading import Event as Flag
from typing import NamedTuple

import gradio as gr

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
    engine_of,
    facts_of,
    fetch_model,
    load_baseline,
    preload_model,
    resolve,
    run_comparison,
    save_baseline,
)

MODEL = "flux2-klein-base-4b"  # the Space's model: its licence lets everyone run it, and it fits half a card
EXAMPLES = (
    Path(__file__).resolve().parents[2] / "assets" / "example"
)  # recorded comparisons that are part of the repository
MOST_BASELINES = 64  # number of baselines in memory, and in their folder
# Figures for the declared time: TFLOPs of one call at 1024 x 1024, and the card's TFLOPs a second (bfloat16,
# attention included, on the safe side). Unused seconds are not charged; a run that takes longer is cut off.
TFLOPS_A_CALL = {
    "tiny": 0.01,
    "tiny-lightning-8": 0.01,
    "tiny-lightning-4": 0.01,
    "flux2-klein-base-4b": 34.9,
    "flux-dev": 74.6,
    "flux-schnell": 69.7,
    "qwen-image": 71.6,
    "qwen-image-lightning-8": 71.6,
    "qwen-image-lightning-4": 71.6,
}
TFLOPS_A_SECOND = 160
# seconds for moving weights to the card, the prompt, the unrecorded warm-up, and decoding twice
OVERHEAD = 6.0
MOST_SECONDS = 120
# suffix of a baseline's folder that was saved here; other folders were put there by hand
SAVED_NAME = re.compile(r"-[0-9a-f]{8}$")
ABORTED = "ZeroGPU worker error"

log = logging.getLogger(__name__)


class ForkError(NamedTuple):
    """The sentence of an EngineError that leaves the fork."""

    sentence: str


def on_zerogpu() -> bool:
    """Return whether this machine is a Space with ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def declared_seconds(request: RunRequest, method: Method, baseline: object = None, marker: str = "") -> int:
    """Return the seconds to declare for a comparison.

    The function takes the arguments of ``compare_in_fork``, because `spaces` demands this.
    """
    del method, marker
    request = resolve(request)
    facts = facts_of(request)
    size = (request.width or 0) * (request.height or 0) / 1024**2
    call = TFLOPS_A_CALL.get(request.model, 75.0) * size / TFLOPS_A_SECOND
    steps = facts.steps * (baseline is None) + 0.6 * facts.steps
    return min(round(OVERHEAD + steps * len(facts.streams) * call), MOST_SECONDS)


def compare_in_fork(
    request: RunRequest, method: Method, baseline: RunResult | None, marker: str
) -> Generator[Event | ForkError]:
    """Yield a comparison's events inside the fork. End early if the file ``marker`` is gone."""
    events = compare(request, method, baseline=baseline)
    try:
        for event in events:
            yield event
            if not Path(marker).exists():
                return
    except EngineError as error:
        yield ForkError(str(error))
    finally:
        events.close()


Run = Callable[[RunRequest, Method, RunResult | None, str], Generator[Event | ForkError]]


class ForkedRunner:
    """Runs every comparison in a fork of its own. The runner takes the arguments of ``run_comparison``.

    run: ``compare_in_fork``, wrapped by `spaces`. folder: where new baselines are saved, so that they outlive
    a restart or can be published with the code.
    """

    def __init__(self, run: Run, folder: Path | None = None) -> None:
        self._run, self._folder = run, folder

    def cost_note(self, request: RunRequest, method: Method, baselines: Baselines) -> str:
        """Return a sentence for the page: how much GPU time a click may use."""
        baseline = baselines.newest(resolve(request))
        return f"Uses up to {declared_seconds(request, method, baseline)} s of your daily GPU time."

    def __call__(
        self,
        request: RunRequest,
        method: Method,
        *,
        baselines: Baselines,
        emit: Callable[[Event], None],
        stop: Flag,
    ) -> Comparison:
        """Run a comparison. Use the baseline in ``baselines`` if it is there; otherwise store it there
        afterwards.

        Raises EngineError or Cancelled, as ``run_comparison`` does.
        """
        request = resolve(request)
        baseline = baselines.newest(request)
        # The fork may continue after its generator is closed, so it checks at every event that this file
        # exists.
        marker = Path(tempfile.gettempdir()) / f"cachelens-{secrets.token_hex(8)}"
        marker.touch()
        events = self._run(request, method, baseline, str(marker))
        try:
            for event in events:
                if isinstance(event, ForkError):
                    raise EngineError(event.sentence)
                if stop.is_set():
                    raise Cancelled
                emit(event)
                if isinstance(event, Comparison):
                    baselines.put(event.baseline)
                    if baseline is None:
                        self._save(event.baseline)
                    return event
        except gr.Error as error:  # an error of the platform: a quota, a queue, or a run that took too long
            raise EngineError(_platform_sentence(error)) from None
        finally:
            marker.unlink(missing_ok=True)
            events.close()
        raise EngineError(
            "GPU: the Space ended the run before it was done; choose fewer steps, or try again."
        )

    def _save(self, baseline: RunResult) -> None:
        """Write a new baseline into the folder. Remove the oldest of those that were written here."""
        if self._folder is None:
            return
        try:
            save_baseline(baseline, self._folder / f"{baseline.request.model}-{secrets.token_hex(4)}")
            written = filter(SAVED_NAME.search, map(str, self._folder.iterdir()))
            for old in sorted(written, key=os.path.getmtime)[:-MOST_BASELINES]:
                shutil.rmtree(old, ignore_errors=True)
        except (EngineError, OSError) as error:  # the comparison itself is complete
            log.warning("%s", error)


def _platform_sentence(error: gr.Error) -> str:
    """Return the platform's message to a visitor as plain text. The message may contain links in HTML or
    Markdown.
    """
    text = (
        re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r"\1 (\2)", re.sub(r"<[^>]*>", "", str(error.message)))
        .strip()
        .rstrip(".")
    )
    return f"{error.title}: {text}{'; choose fewer steps, or try again' if error.title == ABORTED else ''}."


def comparison_runner() -> Callable[..., Comparison]:
    """Return the function that runs comparisons: in this process, or in forks on a ZeroGPU Space."""
    if not on_zerogpu():
        return run_comparison
    import spaces  # pyright: ignore[reportMissingImports]

    return ForkedRunner(spaces.GPU(duration=declared_seconds)(compare_in_fork), _volume())


def first_baselines() -> Baselines:
    """Return the baselines that need not run: on ZeroGPU those that were saved or published with the code,
    otherwise none.
    """
    baselines = Baselines(MOST_BASELINES)
    if on_zerogpu():
        for baseline in saved_baselines(space_model(), filter(None, [EXAMPLES, _volume()])):
            baselines.put(baseline)
    return baselines


def _volume() -> Path | None:
    """Return the Space's folder that outlives a restart, or None."""
    volume = os.environ.get("BASELINES_DIR")
    return Path(volume) if volume else None


def space_model() -> str:
    """Return the name of the Space's model."""
    return os.environ.get("MODEL") or MODEL


def saved_baselines(model: str, folders: Iterable[Path]) -> list[RunResult]:
    """Return the baselines in these folders that fit this Space: same model, same engine.

    In each folder, the newest comes last. At most MOST_BASELINES are read. A damaged baseline is logged and
    skipped.
    """
    baselines: list[RunResult] = []
    for folder in folders:
        for path in sorted(folder.rglob("result.json"), key=os.path.getmtime, reverse=True):
            if len(baselines) == MOST_BASELINES:
                break
            try:
                baseline = load_baseline(path.parent)
            except EngineError as error:
                log.warning("%s", error)
                continue
            if baseline.request.model == model and baseline.engine == engine_of(model):
                baselines.append(baseline)
    return baselines[::-1]


def prepare() -> None:
    """Get the model that the owner names in MODEL.

    On ZeroGPU, download the model if needed and load it: the first fork needs it on its stand-in device.
    Raises EngineError if that is impossible. On other machines, the first run downloads and loads it; without
    a hub, the page is served and the run says so.
    """
    if on_zerogpu():
        preload_model(space_model())
    elif model := os.environ.get("MODEL"):
        try:
            fetch_model(model)
        except EngineError as error:
            log.warning("%s", error)
