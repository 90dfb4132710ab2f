"""The parts of a recipe, each with a word that explains it. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class RecipePart(TypedDict):
    """One knob in the recipe. In tests: ``[data-part=MC]``, where MC are the letters of its code."""

    code: str  # such as "MC3"
    word: str
    title: str  # text of the tooltip
    changed: bool  # True if the part differs from the preset


class RecipeValue(TypedDict):
    """A recipe as one text, and in parts."""

    text: str
    parts: list[RecipePart]


def recipe(value: RecipeValue | None = None, **options: Any) -> gr.HTML:
    """Make the row of chips that shows a recipe, one chip for each knob. None draws no chip."""
    return drawn("recipe", value, **options)
