"""CacheLens' engine: see what caching does to a diffusion transformer, before you trust it.

    from cache_engine import METHODS, RunRequest, compare
    request = RunRequest(model="tiny", prompt="a small red apple on a blue background", seed=7)
    for event in compare(request, METHODS["dbcache"](residual_diff_threshold=0.12, taylorseer_order=1)):
        print(event)

    with attached(pipe, METHODS["dbcache"]()) as session:  # a pipeline that you have already
        pipe("a fox")
    session.trace

Importing this package does not import torch: each name is imported when it is first used. ``__init__.pyi``
lists the names; type checkers and editors read that file too.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
