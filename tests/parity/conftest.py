"""Runs the reference: one process runs every setting on cache-dit. All tests of this
folder read its result.
"""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from tests import forked

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [*(ROOT / "tests" / "parity").glob("*.py"), ROOT / "tests" / "tiny_pipeline.py"]


def key() -> str:
    """Return a key that changes with everything on which the reference depends: packages, machine, and the
    sources that run.
    """
    packages = [version(name) for name in ("cache-dit", "torch", "diffusers", "transformers", "numpy")]
    digest = hashlib.sha256(" ".join([*packages, platform.version(), platform.processor()]).encode())
    for source in sorted(SOURCES):
        if not source.name.startswith(("test_", "conftest")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """``{"version", "runs": {setting: {"calls", "latents", "changes"}}, "traps": {name: what happened}}``.

    The result is stored under .pytest_cache for later test runs; all processes of one test run share it.
    """
    folder = ROOT / ".pytest_cache" / "cache-dit"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key()}.pt"
    with FileLock(f"{folder}.lock"):
        if not path.exists():
            for old in folder.glob("*.pt"):
                old.unlink()
            made = path.with_suffix(".part")
            ran = forked.run(["-m", "tests.parity.reference", str(made)])
            assert ran.returncode == 0, ran.stderr[-4000:]
            made.replace(path)
        return torch.load(path)
