"""cache-dit's side: one process runs every setting once, and all tests of this folder read what it wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """``{"version", "runs": {setting: {"calls", "latents", "changes"}}, "traps": {name: what happened}}``."""
    base = tmp_path_factory.getbasetemp()
    out = (
        base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    ) / "reference.pt"  # of all processes of this test run
    with FileLock(f"{out}.lock"):
        if not out.exists():
            ran = subprocess.run(
                [sys.executable, "-m", "tests.parity.reference", str(out)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            assert ran.returncode == 0, ran.stderr[-4000:]
    return torch.load(out)
