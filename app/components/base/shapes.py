"""JSON shapes that the values of several components contain. Places run from 0 to 1 or from 0 to 100: each
component says which.
"""

from __future__ import annotations

from typing import TypedDict


class Tick(TypedDict):
    """A labelled place on an axis."""

    place: float
    text: str


class NamedText(TypedDict):
    """A figure and its name, both ready to show; or the id of a part and its label in a legend."""

    name: str
    text: str
