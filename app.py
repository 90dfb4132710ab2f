"""Serve the page: HOST, PORT and MODEL may be set. On a Space, `spaces` has to be imported before torch
is.
"""

try:
    import spaces  # noqa: F401  # pyright: ignore[reportMissingImports]
except ImportError:
    pass

import sys

from app.engine.zerogpu import prepare
from app.page import build_page, launch_options
from app.serving import serving
from cache_engine import EngineError

if __name__ == "__main__":
    try:
        where = serving()
        prepare()
        page = build_page(where.access)
    except EngineError as error:
        sys.exit(str(error))
    try:
        page.launch(
            server_name=where.host,
            server_port=where.port,
            auth=where.auth,
            **launch_options(page, where.access),
        )
    except OSError:
        sys.exit(
            f"PORT: the page cannot be served on {where.host}:{where.port}: another program uses it, or "
            "the address is not this machine's. Choose another PORT or HOST."
        )
