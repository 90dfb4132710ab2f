"""Frozen descriptions of a model: its row in the registry, its block lists, and the
arguments of its calls.
"""

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
    """The two layers of a block that make the keys and values for the tokens of one module.

    text: True if these tokens come first in the attention; otherwise they come last, or are all tokens.
    """

    key: str
    value: str
    text: bool = False


class Neurons(NamedTuple):
    """A feed-forward part: its two layers, and the function between them, which treats each neuron alone.

    If the last layer has other inputs too (in FLUX's single blocks: the attention's output), their columns
    come first. between: takes the block and returns that function. width: number of neurons for each channel.
    """

    first: str
    last: str
    between: Callable[[Any], Callable[[Any], Any]]
    width: int = 4


class Section(NamedTuple):
    """One list of blocks that have the same class and arguments.

    path: the transformer's attribute that holds the list.
    takes: name of the block's image argument and, if the blocks carry the text, of its text argument.
    returns: the same names in the order of the block's results.
    length: the configuration key that holds the number of blocks.
    modulated: a function that takes (block, its arguments) and returns TeaCache's signal.
    outputs: the block's modules whose outputs are gated and added to the image or text.
    muted: the modules whose results are not needed while the outputs come from the cache.
    projections: by output module, its last layers, in the order of its results.
    attention: the module in which tokens interact.
    tokenwise: the output modules that treat every token alone, each with the source of its keys and values.
    neurons: among these, the image's feed-forwards, whose neurons can be run one by one.
    streams: total length of a block's outputs, in multiples of image and text together.
    text_first: if image and text are one tensor, the text comes first.
    refilled: between the blocks the model exchanges a part of the text, and drops that part of the results.
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
    refilled: bool = False

    @property
    def joint(self) -> bool:
        """True if attention and feed-forward share one output, as in FLUX's single blocks."""
        return bool(self.attention) and self.attention in self.muted


class Coefficients(NamedTuple):
    """Values that were fitted to one model's activations. Coefficients hold for no other model; ModelFacts
    explains them.
    """

    polynomial: tuple[float, ...] | None = None
    ratios: tuple[float, ...] | None = None
    alike: tuple[tuple[float, ...], ...] | None = None


class Given(NamedTuple):
    """An argument of the transformer that is not a tensor."""

    value: Any


class IntegerTensor(NamedTuple):
    """A tensor filled with one whole number, such as token ids, a mask of ones, or a size in pixels."""

    shape: tuple[int, ...]
    value: int = 0


@dataclass(frozen=True)
class ModelSpec:
    """The engine's description of one model: a row of ``MODELS``, or made from a folder, a file or a hub id.

    transformer, config: the transformer's class and configuration. Class and configuration are enough to
    count compute without weights.
    load: (placement, **parts) -> a diffusers pipeline; ``parts`` replace the pipeline's own parts.
    inputs: (request) -> the arguments of one transformer call. A tuple is a tensor's shape; a ``Given`` value
    is passed on unchanged.
    call: (request) -> the pipeline's arguments beside prompt, steps, size and generator.
    sizes: (width, height) in pixels, the default first. multiple: width and height must be multiples of it.
    needs: the device memory, as a text for people. revision: () -> the version of the weights.
    unavailable: () -> None if the weights can be loaded, otherwise one sentence with the remedy.
    fetch: downloads the files that ``unavailable`` found missing. Raises EngineError, or an error of the
    hub's client.
    guidance, true_cfg_scale: the defaults; a guidance of None means that the model has no guidance input.
    memory: bytes of the model's parts; None if unknown.
    text_tokens: (pipeline, request) -> number of text tokens in a call, if it depends on the prompt.
    to_pixels: (pipeline, latents (batch, tokens, numbers)) -> (batch, tokens, values): the pixels of each
    token, in levels of 8 bits.
    psnr_calibration: file with the measured errors of the model's PSNR forecasts.
    image: "none", "optional" or "needed": whether the model takes an input picture. image_argument: the
    pipeline's argument for it.
    doubles: with guidance_scale > 1, the pipeline also runs the negative prompt, as a second call of each
    step or as a second sample in the same call.
    as_called: the request does not determine the shapes of the calls, so compute is counted on real calls.
    unknown_words: (prompt) -> the words in it that the model was not trained on.
    unread_words: (resolved request) -> how many words at the prompt's end lie behind the model's tokens.
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
    psnr_calibration: Path | None = None
    examples: tuple[str, ...] = ()
    image: Literal["none", "optional", "needed"] = "none"
    image_argument: str = "image"
    doubles: bool = False
    as_called: bool = False
    unknown_words: Callable[[str], tuple[str, ...]] = field(default=lambda prompt: ())
    unread_words: Callable[[RunRequest], int] = field(default=lambda request: 0)

    def resolve(self, request: RunRequest) -> RunRequest:
        """Return the request with every None replaced by this model's default.

        Raises EngineError for a value that the model cannot take.
        """
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
                    f"{name}: {value} is not a multiple of {self.multiple}, as {self.title} needs; "
                    f"choose {value // self.multiple * self.multiple}."
                )
        if len(self.sizes) == 1 and (filled.width, filled.height) != self.sizes[0]:
            raise EngineError(
                f"width x height: {filled.width} x {filled.height} is not the size that {self.title} was "
                f"trained on; choose {width} x {height}."
            )
        if filled.max_sequence_length > self.max_sequence_length:
            raise EngineError(
                f"max_sequence_length: {filled.max_sequence_length} is more tokens than {self.title} "
                f"takes; choose 1 to {self.max_sequence_length}."
            )
        if self.image == "none" and filled.image is not None:
            raise EngineError(
                f"image: {self.title} takes no input picture; leave it out, or choose a model that edits "
                "pictures."
            )
        if self.image == "needed" and filled.image is None:
            raise EngineError(f"image: {self.title} draws from a picture; name the picture (--image FILE).")
        if self.guidance is None and filled.guidance is not None:
            raise EngineError(
                f"guidance: {self.title} has no guidance input; leave it out (true_cfg_scale guides this "
                "model)."
            )
        return filled

    def unread_note(self, request: RunRequest) -> str:
        """Return a sentence about the words that the model will not read; empty if it reads them all.

        request: resolved.
        """
        words = self.unread_words(request)
        if not words:
            return ""
        end = "its last word is" if words == 1 else f"its last {words} words are"
        return (
            f"prompt: {end} not read, because {self.title} takes {request.max_sequence_length} tokens of "
            "text; shorten the prompt."
        )

    def facts(self, request: RunRequest) -> ModelFacts:
        """Return the facts that a plan may depend on. ``request`` is resolved."""
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
        """Return, as one sentence, why a run with this many calls and steps cannot be recorded. Return "" if
        the run can be recorded.

        A survey needs exactly one call for each stream in each step.
        """
        wanted = steps * len(self.facts(request).streams)
        return (
            ""
            if calls == wanted
            else (
                f"survey: {self.title} called its transformer {calls} times in {steps} steps, not "
                f"{wanted}, so settings cannot be estimated without running them; run each setting "
                "(compare, check or benchmark)."
            )
        )


def model_facts(
    sections: tuple[Section, ...],
    lengths: tuple[int, ...],
    steps: int,
    streams: tuple[str, ...],
    coefficients: Coefficients,
) -> ModelFacts:
    """Return the facts that a plan may depend on. ``lengths``: number of blocks of each section."""
    return ModelFacts(
        sum(lengths),
        steps,
        streams,
        lengths,
        all(section.outputs for section in sections),
        coefficients.polynomial if sections[0].modulated else None,
        coefficients.ratios,
        all(section.tokenwise and section.neurons for section in sections),
        coefficients.alike,
    )
