"""A registry holds items by name. The registry finds its items by importing every file of a package on first
use.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

from .strict import EngineError, short_repr

T = TypeVar("T")


def modules_of(package: str) -> Iterator[ModuleType]:
    """Import and yield every file of a package, except ``patch_*`` files, which are parts of networks."""
    within = importlib.import_module(package)
    for module in pkgutil.iter_modules(within.__path__):
        if not module.name.startswith("patch_"):
            yield importlib.import_module(f"{package}.{module.name}")


def subclasses(package: str, base: type[Any]) -> dict[str, Any]:
    """Return the subclasses of ``base`` that a package's files define, each under its ``name``."""
    return {
        item.name: item
        for module in modules_of(package)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
    }


class Registry(Mapping[str, T]):
    """A mapping that fills itself when it is first used.

    discover: a function that returns all items by name. field, choose: the beginning and the middle of the
    error for an unknown name.
    """

    def __init__(
        self, discover: Callable[[], dict[str, T]], field: str, choose: str = "choose one of"
    ) -> None:
        self._discover, self._field, self._choose = discover, field, choose
        self._items: dict[str, T] = {}

    def _filled(self) -> dict[str, T]:
        if not self._items:
            self._items = self._discover()
        return self._items

    def __getitem__(self, name: str) -> T:
        try:
            return self._filled()[name]
        except (KeyError, TypeError):  # a page or a file may send a list or an object as the name
            raise EngineError(
                f"{self._field}: {short_repr(name, 120)} is not known; {self._choose} "
                f"{', '.join(self._filled())}."
            ) from None

    def get(self, name: object, default: Any = None) -> Any:
        """Return the entry, or ``default`` for an unknown name."""
        return self._filled()[name] if isinstance(name, str) and name in self._filled() else default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._filled()

    def __iter__(self) -> Iterator[str]:
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())
