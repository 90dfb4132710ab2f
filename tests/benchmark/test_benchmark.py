"""Tests the whole benchmark command on the embedded model: it is complete, can be resumed after any kill, and
is the same with any number of workers and shards.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cache_engine import RunRequest, run_comparison
from cache_engine.__main__ import main
from cache_engine.benchmark.folder import read_folder
from cache_engine.recipe import parse_recipe
from tests import forked
from tests.benchmark.made import PROMPTS, RECIPES, STEPS, arguments, pictures, run, untimed


def test_every_prompt_has_its_baseline_and_every_setting(plain: Path) -> None:
    job, engine, rows = read_folder(plain)
    assert [(row["prompt"], row["setting"]) for row in rows] == list(job.keys)
    assert len(rows) == len(PROMPTS) * (1 + len(RECIPES))
    assert engine is not None
    assert (engine.threads, engine.model) == (1, "tiny")
    assert all(row["computed"] == STEPS for row in rows if row["setting"] == "C0_Q0_NONE")
    assert {row["picture"] for row in rows} == set(pictures(plain))


def test_a_row_says_what_a_comparison_says(plain: Path) -> None:
    row = read_folder(plain)[2][-1]
    result = run_comparison(RunRequest(prompt=row["text"], steps=STEPS, seed=0), parse_recipe(RECIPES[-1]))
    assert row["metrics"] == {"psnr": result.quality.psnr_db, "ssim": result.quality.ssim}
    assert (row["tflops"], row["schedules"]) == (result.accelerated.tflops, result.accelerated.schedules)
    with Image.open(plain / row["picture"]) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(result.accelerated.image))


def test_once_more_makes_nothing(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (plain / "table.jsonl").read_bytes()
    assert run(tmp_path, plain, "--json") == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (data["made"], data["kept"]) == (0, len(before.splitlines()))
    assert (plain / "table.jsonl").read_bytes() == before


def test_killed_and_gone_on_with_it_is_the_same(plain: Path, tmp_path: Path) -> None:
    """The benchmark is killed in the middle, and then runs to its end. studies/kill.py does this ten times at
    full size.
    """
    out = tmp_path / "out"
    process = forked.start(["-m", "cache_engine", *arguments(tmp_path, out)], tmp_path / "printed")
    while count(out) < 5:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert 0 < count(out) < count(plain)
    with (out / "table.jsonl").open("ab") as file:
        file.write(b'{"prompt": 2, "sett')  # as a kill during a write would leave it
    assert run(tmp_path, out) == 0
    assert without_seconds(out) == without_seconds(plain)
    assert pictures(out) == pictures(plain)


def count(out: Path) -> int:
    table = out / "table.jsonl"
    return table.read_bytes().count(b"\n") if table.exists() else 0


def without_seconds(out: Path) -> list[dict[str, object]]:
    """Return the table as it is on disk, line by line, without seconds."""
    rows = [json.loads(line) for line in (out / "table.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_two_processes_one_of_which_is_killed_make_the_same(plain: Path, tmp_path: Path) -> None:
    from cache_engine.benchmark.drive import drive
    from cache_engine.benchmark.folder import BenchmarkFolder
    from cache_engine.benchmark.processes import Processes

    out = tmp_path / "out"
    with BenchmarkFolder(out, read_folder(plain)[0]) as folder:
        crew = Processes(folder.job, 2, 1)
        victims = [crew.members[0].process]
        add = folder.add

        def add_and_kill(*made: object) -> None:
            add(*made)  # pyright: ignore[reportArgumentType]
            if len(folder.rows) == 3:
                victims.pop().kill()

        folder.add = add_and_kill
        outcome = drive(folder, crew)
    assert not victims
    assert outcome.made == count(plain)
    assert untimed(out) == untimed(plain)
    assert pictures(out) == pictures(plain)


def test_settings_of_another_method_are_named_and_run(tmp_path: Path) -> None:
    methods = tmp_path / "methods.json"
    methods.write_text(
        json.dumps(["FORA(N=3)", "10-tiny-slow", {"name": "dbcache", "streak_rule": "before"}, "F1B0_R1"]),
        encoding="utf-8",
    )
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": PROMPTS[0]}) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    assert (
        main(
            [
                "benchmark",
                "--prompts",
                str(prompts),
                "--methods",
                str(methods),
                "--steps",
                "5",
                "--metrics",
                "psnr",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    job, _, rows = read_folder(out)
    assert [setting.method["name"] for setting in job.settings] == [
        "baseline",
        "fora",
        "dbcache",
        "dbcache",
        "dbcache",
    ]
    assert len({row["setting"] for row in rows}) == len(rows) == 5
    assert len({Path(row["picture"]).parent for row in rows}) == 5


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--shard", "3/2"], "shard: '3/2' is not valid; "),
        (["--limit", "0"], "limit: '0' is not valid; "),
        (["--workers", "two"], "workers: 'two' is not valid; "),
        (["--metrics", "fid"], "metrics: 'fid' is not known; "),
        (["--steps", "0"], "steps: 0 is not valid; "),
        (["--prompts", "nowhere.txt"], "prompts: nowhere.txt cannot be read "),
        (["--methods", "nowhere.txt"], "methods: nowhere.txt is neither a file nor one of published, "),
        (["--size", "32x32"], "width: 32 is not valid; "),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    more: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, tmp_path / "out", *more) == 2
    heard = capsys.readouterr().err.strip()
    assert heard.startswith(sentence)
    assert "\n" not in heard
    assert not (tmp_path / "out").exists()


def test_a_picture_that_was_deleted_is_named(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(plain, out)
    table = (out / "table.jsonl").read_text(encoding="utf-8").splitlines()
    (out / "table.jsonl").write_text("\n".join(table[:2]) + "\n", encoding="utf-8")
    (out / json.loads(table[0])["picture"]).unlink()
    assert run(tmp_path, out) == 2
    assert "though the table has its row; restore it, or choose another folder." in capsys.readouterr().err
