"""Tests the command line's input and output, for any console and any typed text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cache_engine.__main__ import main
from cache_engine.commands.shared import number, real

ROOT = Path(__file__).resolve().parents[2]


def said(*arguments: str, encoding: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cache_engine", *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_utf_8_on_any_console(encoding: str) -> None:
    done = said("methods", "--json", encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Δ" in json.dumps(json.loads(done.stdout.decode("utf-8").splitlines()[-1]), ensure_ascii=False)


@pytest.mark.parametrize("arguments", [["methods"], ["--help"], ["compare", "--help"]], ids=" ".join)
def test_text_loses_letters_that_a_console_lacks_and_nothing_else(arguments: list[str]) -> None:
    plain, poor = (said(*arguments, encoding=encoding) for encoding in ("utf-8", "ascii"))
    assert (poor.returncode, poor.stderr) == (0, b"")
    assert poor.stdout == plain.stdout.decode("utf-8").encode("ascii", errors="replace")


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_refused_as_it_was_typed(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert real(text) == number(text) == text
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a big panda on a pink background\n", encoding="utf-8")
    for arguments in (
        ["check", "--recipe", "F1B0_W2I1M0MC2_R1_T1O1", "--prompts", str(prompts), f"--min-psnr={text}"],
        ["check", "--prompts", str(prompts), "--min-psnr=30", f"--percentile={text}"],
        ["tune", "--prompt", "a fox", f"--min-psnr={text}", "--out", str(tmp_path / "out")],
        ["tune", "--prompt", "a fox", "--min-psnr=30", f"--minutes={text}", "--out", str(tmp_path / "out")],
        ["flops", "--method", "dbcache", f"--computed-steps={text}"],
        ["compare", "--prompt", "a fox", f"--guidance={text}", "--out", str(tmp_path / "out")],
        [
            "compare",
            "--prompt",
            "a fox",
            "--set",
            f"residual_diff_threshold={text}",
            "--out",
            str(tmp_path / "out"),
        ],
    ):
        assert main(arguments) == 2
        told = capsys.readouterr()
        assert "not valid" in told.err
        assert len(told.err.strip().splitlines()) == 1
        assert told.out == ""
    assert real("30") == 30.0
    assert real(None) is None
