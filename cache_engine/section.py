"""What is said of a transformer's block lists, of the arguments of its calls, and of what was fitted on its
activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .records import ModelFacts


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


class Whole(NamedTuple):
    """A tensor of one whole number: token ids, a mask in which every token counts, a size in pixels."""

    shape: tuple[int, ...]
    value: int = 0


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
