"""A replacement for the package `spaces` on a ZeroGPU Space: a decorated generator runs in a fork, and
everything that leaves or enters the fork is pickled.

Where the real package's behaviour is not documented, this one is stricter: the fork continues when nobody
listens any more.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

declared: list[float] = []  # seconds, one number for each call
forks: list[Any] = []
DONE = b""


def GPU(duration: Callable[..., float]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(generator: Callable[..., Any]) -> Callable[..., Any]:
        context = multiprocessing.get_context("fork")

        def child(arguments: bytes, results: Any) -> None:
            for result in generator(*pickle.loads(arguments)):
                results.put(pickle.dumps(result))
            results.put(DONE)

        def call(*arguments: Any) -> Iterator[Any]:
            declared.append(duration(*arguments))
            results = context.Queue()
            forks.append(context.Process(target=child, args=(pickle.dumps(arguments), results)))
            forks[-1].start()
            while (result := results.get(timeout=120)) != DONE:
                yield pickle.loads(result)

        return call

    return decorate
