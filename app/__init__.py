"""The page. It knows the engine's front door and gradio; of torch and diffusers it knows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr


def build_page() -> gr.Blocks:
    """The whole page, ready to launch with ``launch_options()``."""
    from .page import build_page as build

    return build()


def prepare() -> None:
    """On a ZeroGPU Space: load its model. Elsewhere nothing."""
    from .engine.zerogpu import prepare as load

    load()


def launch_options() -> dict[str, Any]:
    """What ``launch`` needs beside host and port."""
    from .page import launch_options as options

    return options()
