"""The four numbers of a comparison, and how they were measured. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


CardName = Literal["speed", "flops", "psnr", "ssim"]
CardKind = Literal["measured", "counted", "expected", "unknown"]


class LikenessScale(TypedDict):
    """The zones of likeness on one line. Places run from 0 (left) to 100."""

    place: float  # of the mark
    on: int  # index of the zone that holds the mark; -1 where the pictures are identical
    words: list[str]  # the zones' names
    ends: list[float]  # where one zone ends and the next begins
    band: NotRequired[list[float]]  # both ends of an expected likeness


class HeadlineCard(TypedDict):
    """One number. A card of kind "expected" is dashed; one of kind "unknown" holds words instead of a number.

    In tests: ``[data-card=speed] .num``.
    """

    name: CardName
    kind: CardKind
    label: str
    before: str  # the baseline's number, drawn with an arrow before ``num``; "" for none
    num: str
    word: str  # small, after the number
    strong: str  # the line below the number
    notes: list[str]
    exact: str  # the number with more digits, as tooltip and under "How it was measured"
    scale: LikenessScale | None


class PublishedFigures(TypedDict):
    """What a source printed about the same setting."""

    text: str
    source: str


class HeadlineValue(TypedDict):
    """Four cards, and sentences on how their numbers came about."""

    state: Literal["measured", "expected", "empty"]
    cards: list[HeadlineCard]
    about: list[str]
    published: PublishedFigures | None


def headline(value: HeadlineValue | None = None, **options: Any) -> gr.HTML:
    """Make the four cards. None draws no card."""
    return drawn("headline", value, **options)
