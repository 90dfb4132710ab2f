"""The parts of a recipe with a word each. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class RecipePart(TypedDict):
    """One knob in the recipe. In tests: ``[data-part=MC]``, by the code's letters."""

    code: str  # "MC3"
    word: str
    title: str  # the tooltip
    changed: bool  # differs from the preset


class RecipeValue(TypedDict):
    """A recipe, whole and in parts."""

    text: str
    parts: list[RecipePart]


def recipe(value: RecipeValue | None = None, **options: Any) -> gr.HTML:
    """Make the chips of a recipe. None draws none."""
    return drawn("recipe", value, **options)
