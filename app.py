"""Serve the page: HOST, PORT and MODEL may be set. On a Space, `spaces` has to be imported before torch
is.
"""

try:
    import spaces  # noqa: F401  # pyright: ignore[reportMissingImports]
except ImportError:
    pass

import os
import sys

from app.engine.zerogpu import prepare
from app.page import build_page, launch_options
from cache_engine import EngineError

if __name__ == "__main__":
    try:
        prepare()
        page = build_page()
    except EngineError as error:
        sys.exit(str(error))
    page.launch(
        server_name=os.environ.get("HOST") or None,
        server_port=int(os.environ.get("PORT") or 7860),
        **launch_options(page),
    )
