"""ModelSpec: one row a model, and the registry of rows. Torch and diffusers are imported inside load()
only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .placement import Memory
from .records import EngineError, ModelFacts, RunRequest
from .registry import Registry, modules_of
from .section import Coefficients as Coefficients
from .section import Given as Given
from .section import Neurons as Neurons
from .section import Section as Section
from .section import Source as Source
from .section import Whole as Whole
from .section import model_facts as model_facts


@dataclass(frozen=True)
class ModelSpec:
    """A model as the engine needs to know it.

    config: the transformer's config, from which it is built without weights to count its compute. load:
    (placement, **parts) -> a diffusers pipeline, with those parts in place of its own. inputs: (request) ->
    one transformer call's arguments: a tuple is a tensor's shape; ``Given`` is handed over as it is.
    text_tokens: (pipeline, request) -> tokens of text in a call, where that depends on the prompt. fetch:
    downloads what it takes for ``unavailable`` to be None. shown: (pipeline, latents (batch, tokens,
    numbers)) -> (batch, tokens, values): each token's part of the picture, in levels of 8 bits. call:
    (request) -> the pipeline's arguments beside prompt, steps, size and generator.
    """

    name: str
    title: str
    family: str
    transformer: str
    config: Mapping[str, Any]
    sections: tuple[Section, ...]
    blocks: int
    load: Callable[..., Any]
    inputs: Callable[[RunRequest], dict[str, Any]]
    call: Callable[[RunRequest], dict[str, Any]]
    steps: int
    sizes: tuple[tuple[int, int], ...]
    multiple: int
    max_sequence_length: int
    licence: str
    needs: str
    revision: Callable[[], str]
    unavailable: Callable[[], str | None]
    fetch: Callable[[], None] = field(default=lambda: None)
    guidance: float | None = None
    true_cfg_scale: float = 1.0
    gated: bool = False
    coefficients: Coefficients = field(default=Coefficients())
    memory: Memory | None = None
    text_tokens: Callable[[Any, RunRequest], int] | None = None
    shown: Callable[[Any, Any], Any] | None = None
    psnr_calibration: Path | None = None  # how far its forecasts of likeness are off, where that was measured
    examples: tuple[str, ...] = ()
    image: Literal["none", "optional", "needed"] = "none"  # an input picture
    # its guidance may ask for a second answer in every step, to a negative prompt: in a second call or in one
    # of two
    doubles: bool = False
    as_called: bool = (
        False  # its compute is counted on the shapes of real calls: nobody knows how its pipeline pads
    )
    unknown_words: Callable[[str], tuple[str, ...]] = field(default=lambda prompt: ())

    def resolve(self, request: RunRequest) -> RunRequest:
        """Fill in what the request leaves to the model, and refuse what the model cannot take."""
        width, height = self.sizes[0]
        filled = request.replaced(
            steps=request.steps or self.steps,
            width=request.width or width,
            height=request.height or height,
            max_sequence_length=request.max_sequence_length or self.max_sequence_length,
            guidance=self.guidance if request.guidance is None else request.guidance,
            true_cfg_scale=self.true_cfg_scale if request.true_cfg_scale is None else request.true_cfg_scale,
        )
        for name in ("width", "height"):
            value = getattr(filled, name)
            if value % self.multiple:
                raise EngineError(
                    f"{name}: {value} is not a multiple of {self.multiple}; {self.title} draws in steps "
                    f"of {self.multiple} pixels, so choose {value // self.multiple * self.multiple}."
                )
        if len(self.sizes) == 1 and (filled.width, filled.height) != self.sizes[0]:
            raise EngineError(
                f"width x height: {filled.width} x {filled.height} is not what {self.title} was trained "
                f"on; choose {width} x {height}."
            )
        if filled.max_sequence_length > self.max_sequence_length:
            raise EngineError(
                f"max_sequence_length: {filled.max_sequence_length} is more than {self.title} takes; "
                f"choose 1 to {self.max_sequence_length}."
            )
        if self.image == "none" and filled.image is not None:
            raise EngineError(
                f"image: {self.title} takes no input picture; leave it out, or choose a model that edits "
                f"pictures."
            )
        if self.image == "needed" and filled.image is None:
            raise EngineError(f"image: {self.title} edits a picture; name one (--image FILE).")
        if self.guidance is None and filled.guidance is not None:
            raise EngineError(f"guidance: {self.title} takes none; leave it out (true_cfg_scale guides it).")
        return filled

    def facts(self, request: RunRequest) -> ModelFacts:
        """What a plan may depend on, for a resolved request."""
        guided = request.true_cfg_scale is not None and request.true_cfg_scale > 1
        lengths = tuple(self.config[section.length] for section in self.sections)
        return model_facts(
            self.sections,
            lengths,
            request.steps or self.steps,
            ("cond", "uncond") if guided else ("cond",),
            self.coefficients,
        )

    def unsurveyed(self, request: RunRequest, calls: int, steps: int) -> str:
        """Why a baseline that made so many calls in so many steps leaves no survey: one sentence, or nothing
        where it leaves one.
        """
        wanted = steps * len(self.facts(request).streams)
        return (
            ""
            if calls == wanted
            else (
                f"survey: {self.title} called its transformer {calls} times in {steps} steps, not {wanted}, "
                f"so its settings cannot be judged "
                "without running them; run each of them (compare, check or benchmark)."
            )
        )


def _rows() -> dict[str, ModelSpec]:
    """Of the files of ``models/``: each has ``ROWS``."""
    rows = [row for module in modules_of("cache_engine.models") for row in getattr(module, "ROWS", ())]
    return {row.name: row for row in sorted(rows, key=lambda row: row.blocks)}


MODELS: Registry[ModelSpec] = Registry(_rows, "model")  # MODELS["tiny"] -> its row


@cache
def _found(source: str) -> ModelSpec:
    return importlib.import_module("cache_engine.models.folder").row(source)


def spec_of(name: str) -> ModelSpec:
    """A row, or else what the folder or hub id of this name holds. The page asks ``MODELS`` alone: a visitor
    names rows.

    Raises EngineError where it is neither, or holds what cannot be cached.
    """
    if name in MODELS:
        return MODELS[name]
    if not importlib.import_module("cache_engine.models.folder").is_source(name):
        raise EngineError(
            f"model: {name!r} is not known; choose one of {', '.join(MODELS)}, or name a diffusers folder or "
            "a hub id, or a .safetensors file."
        )
    return _found(name)


def resolve(request: RunRequest) -> RunRequest:
    """The request with every None filled from its model's row."""
    return spec_of(request.model).resolve(request)


def facts_of(request: RunRequest) -> ModelFacts:
    """Blocks, steps and streams of the run that this request asks for."""
    return spec_of(request.model).facts(resolve(request))


def sections_of(transformer: Any) -> tuple[Section, ...]:
    """The block lists of a transformer, from its class or its blocks' classes."""
    generic = importlib.import_module("cache_engine.models.generic")
    found = generic.described(transformer)
    if found is None:
        raise EngineError(
            f"{type(transformer).__name__} is not described; known transformers are "
            f"{', '.join(sorted(generic.TRANSFORMERS))}. One line in cache_engine/models/generic.py adds "
            f"one."
        )
    return found


def coefficients_of(transformer: str, config: Mapping[str, Any]) -> Coefficients:
    """What is known of the row that has this very config; nothing for a model that is only of a known
    class.
    """

    def alike(row: ModelSpec) -> bool:
        return row.transformer == transformer and all(
            _plain(config.get(name)) == _plain(value) for name, value in row.config.items()
        )

    return next((row.coefficients for row in MODELS.values() if alike(row)), Coefficients())


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
