"""A setting is one method with all its knobs. Tables, folders and pages name it by its key."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from ..method import Method
from ..recipe import format_recipe, is_recipe, parse_recipe
from ..strict import Strict


class Setting(Strict):
    """One method with its knobs, as plain values. ``key`` is readable, and no two settings share a key."""

    key: str
    method: dict[str, Any]

    @property
    def folder(self) -> str:
        """Return the key as a folder name that every operating system accepts."""
        plain = re.sub(r"[^\w.=+-]+", "_", self.key).strip("_")
        return plain if plain == self.key and len(plain) <= 100 else f"{plain[:90]}-{_digest(self.key)}"


def setting_of(method: Method) -> Setting:
    """Name a method by its recipe. If the recipe leaves knobs out, add a digest of them."""
    recipe = format_recipe(method)
    complete = not is_recipe(recipe) or parse_recipe(recipe) == method
    return Setting(
        key=recipe if complete else f"{recipe}_{_digest(repr(method.to_dict()))}", method=method.to_dict()
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
