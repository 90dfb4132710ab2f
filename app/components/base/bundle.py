"""Joins JavaScript modules into one script.

gradio runs a component's script as the body of a function, where ``import`` is not allowed. With ``import()``
in the browser, each module would cost a request, and the components would be drawn only after the page's
first paint. For this reason the modules are joined here: each module becomes a function that returns its
exports, and every module comes after those that it imports. In the repository, the scripts stay real modules,
which the linter and node's tests can read.

Two forms are allowed, each at the start of a line: ``import { a, b } from './file.js';``, and ``export``
before a ``const`` or a ``function``.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

IMPORT = re.compile(r"^import \{([^}]*)\} from '(\.{1,2}/[^']+)';\n", re.M)
EXPORT = re.compile(r"^export (?=(?:const|function) (\w+))", re.M)
OTHER = re.compile(r"^(?:import|export)\b.*", re.M)


def bundle(root: Path, *entries: str) -> str:
    """Return a script that holds the entries and all modules they import as objects in ``modules``. A
    module's key is its path below ``root``: ``modules['timeline/timeline.js'].mount``.

    Raises ValueError for an import or export in another form, and for modules that import each other in a
    circle.
    """
    root = root.resolve()
    bodies: dict[str, str] = {}
    imported: dict[str, list[str]] = {}

    def read(path: Path) -> str:
        name = path.relative_to(root).as_posix()
        if name in bodies:
            return name
        source = path.read_text(encoding="utf-8")
        bodies[name], imported[name] = "", []

        def taken(found: re.Match[str]) -> str:
            other = read((path.parent / found[2]).resolve())
            imported[name].append(other)
            return f"const {{{found[1]}}} = modules['{other}'];\n"

        exports = ", ".join(EXPORT.findall(source))
        body = EXPORT.sub("", IMPORT.sub(taken, source))
        if left := OTHER.search(body):
            raise ValueError(f"{name}: '{left[0]}' is a form that bundle.py does not know.")
        bodies[name] = f"modules['{name}'] = (() => {{\n{body}return {{ {exports} }};\n}})();\n"
        return name

    for entry in entries:
        read((root / entry).resolve())
    try:
        order = list(TopologicalSorter(imported).static_order())
    except CycleError as error:
        raise ValueError(f"Modules import one another: {' -> '.join(error.args[1])}.") from None
    return "const modules = {};\n" + "".join(bodies[name] for name in order)
