"""Registry: what there is by name, found by importing every file of a package on first use."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

from .strict import EngineError

T = TypeVar("T")


def modules_of(package: str) -> Iterator[ModuleType]:
    """Every file of a package of the engine, imported; less those whose name begins with ``patch_``, which
    are parts of networks.
    """
    within = importlib.import_module(package)
    for found in pkgutil.iter_modules(within.__path__):
        if not found.name.startswith("patch_"):
            yield importlib.import_module(f"{package}.{found.name}")


def subclasses(package: str, base: type[Any]) -> dict[str, Any]:
    """The classes under ``base`` that a package's files define, by their ``name``."""
    return {
        item.name: item
        for module in modules_of(package)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__
    }


class Registry(Mapping[str, T]):
    """``found`` is asked once, when something is looked up.  field: what an error says was given;
    ``choose``: and what to do.
    """

    def __init__(self, found: Callable[[], dict[str, T]], field: str, choose: str = "choose one of") -> None:
        self._found, self._field, self._choose = found, field, choose
        self._kept: dict[str, T] = {}

    def _filled(self) -> dict[str, T]:
        if not self._kept:
            self._kept = self._found()
        return self._kept

    def __getitem__(self, name: str) -> T:
        try:
            return self._filled()[name]
        except KeyError:
            raise EngineError(
                f"{self._field}: {name!r} is not known; {self._choose} {', '.join(self._filled())}."
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._filled()

    def __iter__(self) -> Iterator[str]:
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())
