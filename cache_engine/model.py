"""Frozen descriptions of a model: its row in the registry, its block lists, the arguments of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .placement import MemoryNeeds
from .plans import ModelFacts
from .records import RunRequest
from .strict import EngineError


class Source(NamedTuple):
    """Where the attention gets its keys and values of a module's tokens: two layers of the block.

    text: they are the first of the tokens that meet there; otherwise the last, or all.
    """

    key: str
    value: str
    text: bool = False


class Neurons(NamedTuple):
    """A feed-forward, two layers of the block and (block) -> what is between them, done to each neuron alone.

    What the last layer takes beside the neurons stands before them.  width: neurons for each channel.
    """

    first: str
    last: str
    between: Callable[[Any], Callable[[Any], Any]]
    width: int = 4


class Section(NamedTuple):
    """One list of blocks. ``takes``: the image and, if carried, the text argument; ``returns``: in the
    block's order.

    length: the config's name for how many blocks it has.  modulated: (block, its arguments) -> TeaCache's
    signal. outputs: the modules of a block whose outputs are gated and added.  muted: those that nobody reads
    while the outputs are served.  projections: the last layers within an output module, in the order of its
    results. attention: the module in which tokens meet.  tokenwise: the outputs to which every token goes
    alone, each with its source. neurons: of those, the ones on the image's side whose neurons can be run
    apart. streams: how many tensors as long as image and text together a block's outputs make up. text_first:
    where image and text are one tensor, which of them comes first.
    """

    path: str
    takes: tuple[str, ...]
    returns: tuple[str, ...]
    length: str = ""
    modulated: Callable[[Any, Mapping[str, Any]], Any] | None = None
    outputs: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    projections: Mapping[str, tuple[str, ...]] = {}
    attention: str = ""
    tokenwise: Mapping[str, Source] = {}
    neurons: Mapping[str, Neurons] = {}
    streams: int = 0
    text_first: bool = False

    @property
    def joint(self) -> bool:
        """Whether attention and feed-forward meet in one output, as in FLUX's single blocks."""
        return bool(self.attention) and self.attention in self.muted


class Coefficients(NamedTuple):
    """What was fitted on one model's activations and holds for no other; meaning as in ModelFacts."""

    polynomial: tuple[float, ...] | None = None
    ratios: tuple[float, ...] | None = None
    alike: tuple[tuple[float, ...], ...] | None = None


class Given(NamedTuple):
    """An argument of the transformer that is no tensor of floats."""

    value: Any


class IntegerTensor(NamedTuple):
    """A tensor of one whole number: token ids, a mask in which every token counts, a size in pixels."""

    shape: tuple[int, ...]
    value: int = 0


@dataclass(frozen=True)
class ModelSpec:
    """A model as the engine needs to know it.

    config: the transformer's config, from which it is built without weights to count its compute. load:
    (placement, **parts) -> a diffusers pipeline, with those parts in place of its own. inputs: (request) ->
    one transformer call's arguments: a tuple is a tensor's shape; ``Given`` is handed over as it is.
    text_tokens: (pipeline, request) -> tokens of text in a call, where that depends on the prompt. fetch:
    downloads what it takes for ``unavailable`` to be None. to_pixels: (pipeline, latents (batch, tokens,
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
    memory: MemoryNeeds | None = None
    text_tokens: Callable[[Any, RunRequest], int] | None = None
    to_pixels: Callable[[Any, Any], Any] | None = None
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
                    f"{name}: {value} is not a multiple of {self.multiple}; {self.title} draws in steps of "
                    f"{self.multiple} pixels, so choose {value // self.multiple * self.multiple}."
                )
        if len(self.sizes) == 1 and (filled.width, filled.height) != self.sizes[0]:
            raise EngineError(
                f"width x height: {filled.width} x {filled.height} is not what {self.title} was trained on; "
                f"choose {width} x {height}."
            )
        if filled.max_sequence_length > self.max_sequence_length:
            raise EngineError(
                f"max_sequence_length: {filled.max_sequence_length} is more than {self.title} takes; choose 1 "
                f"to {self.max_sequence_length}."
            )
        if self.image == "none" and filled.image is not None:
            raise EngineError(
                f"image: {self.title} takes no input picture; leave it out, or choose a model that edits "
                "pictures."
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

    def why_no_survey(self, request: RunRequest, calls: int, steps: int) -> str:
        """Why a baseline that made so many calls in so many steps leaves no survey: one sentence, or nothing
        where it leaves one.
        """
        wanted = steps * len(self.facts(request).streams)
        return (
            ""
            if calls == wanted
            else (
                f"survey: {self.title} called its transformer {calls} times in {steps} steps, not {wanted}, "
                "so its settings cannot be judged without running them; run each of them (compare, check or "
                "benchmark)."
            )
        )


def model_facts(
    sections: tuple[Section, ...],
    lengths: tuple[int, ...],
    steps: int,
    streams: tuple[str, ...],
    known: Coefficients,
) -> ModelFacts:
    """What a plan may depend on, from a model's description."""
    return ModelFacts(
        sum(lengths),
        steps,
        streams,
        lengths,
        all(section.outputs for section in sections),
        known.polynomial if sections[0].modulated else None,
        known.ratios,
        all(section.tokenwise and section.neurons for section in sections),
        known.alike,
    )
