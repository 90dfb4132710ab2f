"""cache-dit's side: one process runs every setting once, and all tests of this folder read what it wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """``{"version", "runs": {setting: {"calls", "latents", "changes"}}, "traps": {name: what happened}}``."""
    out = tmp_path_factory.mktemp("reference") / "runs.pt"
    ran = subprocess.run([sys.executable, "-m", "tests.parity.reference", str(out)], cwd=ROOT, capture_output=True,
                         text=True, encoding="utf-8", errors="replace")
    assert ran.returncode == 0, ran.stderr[-4000:]
    return torch.load(out)
