"""Reads the Dockerfile without building it: the files that it copies exist and are enough; its commands and
ports are the README's.
"""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n", " ", TEXT).splitlines()
README = (ROOT / "README.md").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    return [line.split(" ", 1)[1] for line in LINES if line.startswith(f"{name} ")]


def left_out() -> list[str]:
    return (ROOT / ".dockerignore").read_text(encoding="utf-8").split()


def test_what_it_copies_is_there() -> None:
    sources = [
        word for line in instructions("COPY") for word in shlex.split(line)[:-1] if not word.startswith("--")
    ]
    assert sources == ["requirements.txt", "."]
    assert not {
        "requirements.txt",
        "app.py",
        "app",
        "cache_engine",
        "assets",
        "presets",
        "docs",
        "README.md",
    } & set(left_out())


def test_nothing_that_runs_needs_what_is_left_out() -> None:
    files = [ROOT / "app.py", *(ROOT / "app").rglob("*.py"), *(ROOT / "cache_engine").rglob("*.py")]
    imported = {
        name.split(".")[0]
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert "tests" in left_out()
    assert not imported & set(left_out())


def test_it_installs_and_starts_as_the_readme_says() -> None:
    assert "`pip install -r requirements.txt`, then `python app.py`" in README
    (installed,) = re.findall(r"pip install (.*)", TEXT)
    assert [word for word in installed.split() if word != "--no-cache-dir"] == ["-r", "requirements.txt"]
    assert instructions("CMD") == ['["python", "app.py"]']


def test_port_and_host_are_those_that_the_launcher_reads() -> None:
    settings = dict(word.split("=", 1) for line in instructions("ENV") for word in shlex.split(line))
    launcher = (ROOT / "app" / "serving.py").read_text(encoding="utf-8")
    assert {"HOST", "PORT"} <= set(settings)
    assert all(f'"{name}"' in launcher for name in ("HOST", "PORT"))
    assert instructions("EXPOSE") == [settings["PORT"]]
    assert f":{settings['PORT']}/" in instructions("HEALTHCHECK")[0]
    assert f"-p {settings['PORT']}:{settings['PORT']}" in TEXT
    assert f"hub:{settings['HF_HOME']}" in TEXT
    assert settings["PATH"].startswith(
        next(word for line in instructions("RUN") for word in line.split() if word.endswith("/venv"))
    )


def test_its_python_is_new_enough() -> None:
    """Ubuntu 24.04's own Python is 3.12."""
    (base,) = instructions("FROM")
    assert base.startswith("nvidia/cuda:")
    assert base.endswith("-ubuntu24.04")
    needed = re.search(
        r'requires-python = ">=3\.(\d+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert needed
    assert int(needed[1]) <= 12
