"""Write docs/reliability.md from the rows that the attacks told: ``python -m tools.reliability ROWS``.

`make soak` calls it. The rows are JSON lines: the attack, and what it found.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
HEAD = """# What the page survived

`make soak` attacks the page and writes this table. `make test` makes the same attacks in short. An attack
that finds anything else fails. The tests are in `tests/hardening/`; each fault is shown to have fired.

Python {python}, torch {torch}, gradio {gradio}, {system}; the embedded model on the CPU.

| attack | found |
|---|---|
"""


def main(rows: Path) -> None:
    """Write the page."""
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    head = HEAD.format(
        python=platform.python_version(),
        torch=version("torch"),
        gradio=version("gradio"),
        system=platform.system(),
    )
    table = "".join(f"| {attack} | {found} |\n" for attack, found in lines)
    PAGE.write_text(head + table, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
