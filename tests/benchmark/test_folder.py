"""Tests the benchmark's folder: every written row is safe, a torn line is removed, and errors are one
sentence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cache_engine.benchmark.folder import BenchmarkFolder, read_folder
from cache_engine.strict import EngineError
from tests.benchmark.made import ENGINE, job, row

ROOT = Path(__file__).resolve().parents[2]


def table_lines(out: Path) -> list[str]:
    return (out / "table.jsonl").read_text(encoding="utf-8").splitlines()


def test_rows_and_pictures_are_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with BenchmarkFolder(tmp_path / "out", job()) as folder:
        folder.accept(ENGINE)
        folder.add(row(0, "C0_Q0_NONE", text="é"), b"picture")
    with BenchmarkFolder(tmp_path / "out", job()) as folder:
        assert list(folder.rows) == [(0, "C0_Q0_NONE")]
        assert folder.picture((0, "C0_Q0_NONE")) == b"picture"
        folder.add(row(1, "C0_Q0_NONE"), b"another")
    summary, engine, rows = read_folder(tmp_path / "out")
    assert (summary, engine) == (job(), ENGINE)
    assert [entry["prompt"] for entry in rows] == [0, 1]


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_torn_last_line_is_cut_and_made_again(tmp_path: Path, cut: int) -> None:
    with BenchmarkFolder(tmp_path, job()) as folder:
        folder.add(row(0, "C0_Q0_NONE"), b"one")
        folder.add(row(1, "C0_Q0_NONE"), b"two")
    table = tmp_path / "table.jsonl"
    table.write_bytes(table.read_bytes()[:-cut])
    assert len(read_folder(tmp_path)[2]) == 1
    with BenchmarkFolder(tmp_path, job()) as folder:
        assert list(folder.rows) == [(0, "C0_Q0_NONE")]
        folder.add(row(1, "C0_Q0_NONE"), b"two")
    assert [json.loads(line)["prompt"] for line in table_lines(tmp_path)] == [0, 1]


def test_a_line_that_was_never_filled_is_cut_too(tmp_path: Path) -> None:
    with BenchmarkFolder(tmp_path, job()) as folder:
        folder.add(row(0, "C0_Q0_NONE"), b"one")
    with (tmp_path / "table.jsonl").open("ab") as file:
        file.write(bytes(20) + b"\n")
    with BenchmarkFolder(tmp_path, job()) as folder:
        assert len(folder.rows) == 1
    assert len(table_lines(tmp_path)) == 1


def test_a_line_spoilt_in_the_middle_is_named(tmp_path: Path) -> None:
    with BenchmarkFolder(tmp_path, job()) as folder:
        for number in range(3):
            folder.add(row(number, "C0_Q0_NONE"), b"one")
    lines = table_lines(tmp_path)
    (tmp_path / "table.jsonl").write_text("\n".join([lines[0], lines[1][:9], lines[2], ""]), encoding="utf-8")
    with pytest.raises(EngineError, match=r"^out: line 2 of .* cannot be read; "):
        BenchmarkFolder(tmp_path, job())


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: job(2), "prompts 3 "),
        (lambda: job(shard=(1, 2)), "shard 1/1, not 1/2"),
        (lambda: job(recipes=("F1B0_W1MC3_R1",)), "methods 4 "),
        (lambda: job().replaced(request=job().request.replaced(steps=9)), "steps 5, not 9"),
        (lambda: job().replaced(metrics=("psnr",)), "metrics psnr, ssim, not psnr"),
    ],
)
def test_another_job_is_refused(tmp_path: Path, other, sentence: str) -> None:
    BenchmarkFolder(tmp_path, job()).__exit__()
    with pytest.raises(
        EngineError,
        match=rf"^out: .* was made with {sentence}.*; give the same arguments, or choose another folder\.$",
    ):
        BenchmarkFolder(tmp_path, other())


def test_another_engine_is_refused(tmp_path: Path) -> None:
    with BenchmarkFolder(tmp_path, job()) as folder:
        folder.accept(ENGINE)
        folder.accept(ENGINE)
        with pytest.raises(
            EngineError,
            match=r"was made on another engine \(threads 1, not 2\); use that engine, or choose another",
        ):
            folder.accept(ENGINE.replaced(threads=2))


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(EngineError, match="holds files that no benchmark wrote"):
        BenchmarkFolder(tmp_path, job())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with BenchmarkFolder(tmp_path, job()), pytest.raises(EngineError, match="another process is writing to"):
        BenchmarkFolder(tmp_path, job())
    BenchmarkFolder(tmp_path, job()).__exit__()


@contextmanager
def nobody() -> Iterator[None]:
    """Run as a user who may not write everywhere, because root may."""
    root = hasattr(os, "seteuid") and os.access(os.sep, os.W_OK)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with nobody(), pytest.raises(EngineError) as error:
            BenchmarkFolder(tmp_path / "out", job())
    finally:
        tmp_path.chmod(0o755)
    assert str(error.value).startswith(
        f"out: {tmp_path / 'out'} cannot be written to (Permission denied); make room or choose another"
    )
    assert "\n" not in str(error.value)


def test_a_file_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match=r"^out: .* cannot be written to \(File exists\); "):
        BenchmarkFolder(tmp_path / "out", job())


FILL = """
from pathlib import Path
from cache_engine.benchmark.folder import BenchmarkFolder
from cache_engine.strict import EngineError
from tests.benchmark.made import job, row
with BenchmarkFolder(Path({out!r}), job()) as folder:
    try:
        for number in range(1000):
            folder.add(row(number, "C0_Q0_NONE", text="x" * {row}), b"x" * {picture})
    except EngineError as error:
        print(error)
"""


@pytest.mark.parametrize(("size", "picture"), [(700, 10), (10, 100_000)])
def test_no_more_room_is_one_sentence_and_costs_no_row(tmp_path: Path, size: int, picture: int) -> None:
    """A limit of the shell on file sizes strikes in the table, in the middle of a row, and in a picture."""
    out = tmp_path / "out"
    code = FILL.format(out=str(out), row=size, picture=picture)
    limited = subprocess.run(
        ["sh", "-c", 'ulimit -f 30; exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    sentence = limited.stdout.strip()
    assert sentence.startswith(
        f"out: {out} cannot be written to (File too large); make room or choose another folder: rows written "
        f"so far are"
    )
    assert (limited.stderr, "\n" in sentence) == ("", False)
    table = (out / "table.jsonl").read_bytes()
    assert table.endswith(b"\n") or not table
    rows_before = len(table.splitlines())
    assert (rows_before > 10) == (picture == 10)
    with BenchmarkFolder(out, job()) as folder:  # once there is room again, the benchmark continues
        assert len(folder.rows) == rows_before
        folder.add(row(rows_before, "C0_Q0_NONE"), b"x")
    assert not list(out.rglob("*.part"))
