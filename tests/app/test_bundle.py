"""Tests that JavaScript modules are joined into one script."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.components.base.bundle import bundle


def written(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source, encoding="utf-8")
    return folder


def test_a_module_follows_those_it_imports_and_stands_once(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        page="import { two } from './left.js';\nimport { three } from './right.js';\n\n"
        "export const six = two * three;\n",
        left="import { one } from './base.js';\nexport const two = one + one;\n",
        right="import {\n  one,\n} from './base.js';\nexport function three() {\n  return one;\n}\n",
        base="export const one = 1; // import nothing\n",
    )
    script = bundle(folder, "page.js")
    assert [line for line in script.splitlines() if line.startswith("modules[")] == [
        f"modules['{name}.js'] = (() => {{" for name in ("base", "left", "right", "page")
    ]
    assert "const { two } = modules['left.js'];" in script
    assert "return { six };" in script
    assert "export" not in script


@pytest.mark.parametrize(
    "line",
    [
        "import one from './base.js';",
        "import { one } from 'elsewhere';",
        "import './base.js';",
        "export default 1;",
        "export let one = 1;",
        "export { one };",
    ],
)
def test_another_form_is_refused(line: str, tmp_path: Path) -> None:
    folder = written(tmp_path, page=f"{line}\n", base="export const one = 1;\n")
    with pytest.raises(ValueError, match=r"page\.js: .* is a form that bundle\.py does not know"):
        bundle(folder, "page.js")


def test_a_circle_is_refused(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        left="import { b } from './right.js';\nexport const a = 1;\n",
        right="import { a } from './left.js';\nexport const b = a;\n",
    )
    with pytest.raises(ValueError, match=r"Modules import one another: .*left\.js"):
        bundle(folder, "left.js")
