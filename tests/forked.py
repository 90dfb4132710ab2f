"""Python programs in processes that start with torch and diffusers already imported.

To import them takes 8 s of processor time. A server process imports them once and forks for each program that
a test runs. Tests of imports, and of settings that an import reads, start a new interpreter instead.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
# Windows cannot fork. There each process imports for itself.
CONTEXT = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
IMPORTED = ["diffusers.pipelines.flux.pipeline_flux", "calflops"]


def start(
    arguments: Sequence[str],
    output: Path,
    errors: Path | None = None,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Start ``python ARGUMENTS`` and return its process.

    arguments: a script's path, or ``-m MODULE``, or ``-c CODE``; then those of the program.
    output, errors: the files that its standard output and its errors are written to; errors=None: to output.
    folder: the folder that it runs in.
    environment: variables beside those of this process.
    """
    if CONTEXT.get_start_method() == "forkserver":
        multiprocessing.set_forkserver_preload(IMPORTED)
    process = CONTEXT.Process(
        target=_program,
        args=(list(arguments), output, errors or output, folder, dict(os.environ) | dict(environment or {})),
    )
    process.start()
    return process


def run(
    arguments: Sequence[str], folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` to its end and return its exit code, output and errors."""
    with TemporaryDirectory() as place:
        output, errors = Path(place, "output"), Path(place, "errors")
        process = start(arguments, output, errors, folder, environment)
        process.join()
        code = -1 if process.exitcode is None else process.exitcode
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (output, errors)]
    return subprocess.CompletedProcess(list(arguments), code, *texts)


def _program(
    arguments: list[str], output: Path, errors: Path, folder: Path, environment: dict[str, str]
) -> None:
    _redirect(sys.stdout, output)
    _redirect(sys.stderr, errors)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        _execute(arguments)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _redirect(stream: IO[str], path: Path) -> None:
    with path.open("ab") as file:
        os.dup2(file.fileno(), stream.fileno())


def _execute(arguments: list[str]) -> None:
    flag, *rest = arguments
    if flag == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif flag == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        runpy.run_path(flag, run_name="__main__")
