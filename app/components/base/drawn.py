"""Makes a gr.HTML component whose template, styles and script are constants."""

from __future__ import annotations

import json
from abc import ABCMeta
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bundle import bundle

if TYPE_CHECKING:
    import gradio as gr

FOLDER = Path(__file__).resolve().parents[1]


@lru_cache
def _script(name: str) -> str:
    """Return the whole script of the component in the folder ``name``: its modules, its styles, and the call
    that mounts it.

    The script puts the styles into the document once. With a ``css_template``, gradio would compile the
    styles and restyle the whole page for every value.
    """
    modules = bundle(FOLDER, "base/host.js", f"{name}/{name}.js")
    styles = (FOLDER / name / f"{name}.css").read_text(encoding="utf-8")
    return modules + (
        f"const styles = {json.dumps(styles)};\n"
        "const connected = modules['base/host.js'].host({ element, trigger, props, watch }, styles);\n"
        f"modules['{name}/{name}.js'].mount(connected);\n"
    )


@lru_cache
def _drawn_class() -> type[gr.HTML]:
    """Return a class of gr.HTML that sends its value as one JSON text.

    For any other value, gradio compares and wraps every part of it, several times for each update. A class
    statement is avoided, because gradio would write a stub file beside this file. gradio is imported inside
    the function, so that the shapes of the values can be imported without gradio.
    """
    import gradio as gr

    def postprocess(component: gr.HTML, value: Mapping[str, object] | None) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    own = {"postprocess": postprocess, "__module__": __name__}
    return ABCMeta.__new__(type(gr.HTML), "Drawn", (gr.HTML,), own)


def drawn(name: str, value: Mapping[str, object] | None, **options: Any) -> gr.HTML:
    """Make the component of the folder ``name``. ``options`` go to ``gr.HTML``.

    Template, styles and script are constants: gradio executes templates, so a value inside a template would
    be executed.
    """
    return _drawn_class()(
        value,
        html_template=f'<div class="cl-{name}"></div>',
        css_template="",
        js_on_load=_script(name),
        apply_default_css=False,
        **options,
    )
