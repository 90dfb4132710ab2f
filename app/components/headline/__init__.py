"""The four numbers of a comparison, with notes on how they were measured. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


CardName = Literal["speed", "flops", "psnr", "ssim"]
CardKind = Literal["measured", "counted", "expected", "unknown"]


class LikenessScale(TypedDict):
    """The zones of likeness on one line. Places run from 0 (left) to 100."""

    place: float  # place of the mark
    on: int  # index of the zone that holds the mark; -1 if the pictures are identical
    words: list[str]  # the zones' names
    ends: list[float]  # the places where one zone ends and the next begins
    band: NotRequired[list[float]]  # both ends of the range of an expected likeness


class HeadlineCard(TypedDict):
    """One card with one number. A card of kind "expected" is dashed; a card of kind "unknown" shows words
    instead of a number.

    In tests: ``[data-card=speed] .num``.
    """

    name: CardName
    kind: CardKind
    label: str
    before: str  # the baseline's number, drawn with an arrow before ``num``; "" for none
    num: str
    word: str  # small text after the number
    strong: str  # the line below the number
    notes: list[str]
    exact: str  # the number with more digits, for the tooltip and for "How it was measured"
    scale: LikenessScale | None


class PublishedFigures(TypedDict):
    """Figures that a source printed for the same setting."""

    text: str
    source: str


class HeadlineValue(TypedDict):
    """Four cards, and sentences that explain how their numbers were obtained."""

    state: Literal["measured", "expected", "empty"]
    cards: list[HeadlineCard]
    about: list[str]
    published: PublishedFigures | None


def headline(value: HeadlineValue | None = None, **options: Any) -> gr.HTML:
    """Make the four cards. None draws no card."""
    return drawn("headline", value, **options)
