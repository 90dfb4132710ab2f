"""The components that the page draws itself. Each component is a folder with a Python file, a script and
styles.

The Python file holds a TypedDict (the component's value) and a constructor with the folder's name. Views make
the values. The constructor takes ``(value=None, **options)`` and passes ``options`` on to ``gr.HTML``.
Figures in a value are texts with units, ready to show; plain numbers are places and lengths. Text from a
visitor, a file or a method enters the document only as text nodes.

Use ``show_progress="hidden"`` for events that write to a component, because gradio's own overlay would cover
it. Launch with ``theme=theme(), css=css()`` from ``app.components.theme``. Headline, timeline and runs draw
their own card.

To add a component, make a folder NAME with ``__init__.py`` (a TypedDict NameValue and a function NAME),
``NAME.js`` (which exports ``mount``) and ``NAME.css``, and import it here. The module's docstring lists the
events that the script fires, as ``event {its data}``. Arithmetic belongs in a script of its own, which
tests/js tests.
"""

from .cells import cells
from .chart import chart
from .dial import dial
from .difference import difference
from .header import header
from .headline import headline
from .jobs import jobs
from .notes import notes
from .recipe import recipe
from .runs import runs
from .setting import setting
from .sheet import sheet
from .stale import stale
from .status import status
from .strips import strips
from .timeline import timeline
from .times import times

__all__ = [
    "cells",
    "chart",
    "dial",
    "difference",
    "header",
    "headline",
    "jobs",
    "notes",
    "recipe",
    "runs",
    "setting",
    "sheet",
    "stale",
    "status",
    "strips",
    "timeline",
    "times",
]
