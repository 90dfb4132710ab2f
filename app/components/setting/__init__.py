"""A card that shows all facts of one setting. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..base.drawn import drawn
from ..base.shapes import NamedText

if TYPE_CHECKING:
    import gradio as gr


class SettingBar(TypedDict):
    """A ratio that is drawn as a bar. ``share``: the bar's length, 0 to 1."""

    name: str
    share: float
    text: str
    look: str  # the bar's colour: "computed" or "forced"


class SettingValue(TypedDict):
    """One setting. In tests: ``.cl-setting dd``."""

    title: str
    kind: Literal["", "measured", "expected", "published"]
    code: str  # the setting's recipe or name
    bars: list[SettingBar]
    facts: list[NamedText]
    notes: list[str]


def setting(value: SettingValue | None = None, **options: Any) -> gr.HTML:
    """Make a setting's card. None draws it empty."""
    return drawn("setting", value, **options)
