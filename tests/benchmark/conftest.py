"""Makes one undisturbed run in one process, with which other runs are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmark import made


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "out"
    assert made.run(out.parent, out) == 0
    return out
