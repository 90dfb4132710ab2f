"""Tests that a sweep draws every combination once, says why one does not fit, and can be resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cache_engine import METHODS, EngineError, RunRequest, SweepTask, run, sweep_json
from cache_engine.quality import measure

REQUEST = RunRequest(prompt="a small fox on a blue background", seed=5, steps=5)


def task(**more: Any) -> SweepTask:
    fields: dict[str, Any] = dict(
        request=REQUEST,
        knobs={"max_warmup_steps": 2, "residual_diff_threshold": 1.0},
        axes=(("Fn_compute_blocks", "2, 11, 12"), ("max_continuous_cached_steps", "1, -1")),
    )
    return SweepTask(**fields | more)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("sweep")
    return folder, list(sweep_json(task(), folder))


def test_every_cell_is_a_real_run_with_its_picture(done: tuple[Path, list[dict[str, Any]]]) -> None:
    last = done[1][-1]
    assert last["stage"] == "done"
    assert [cell["values"] for cell in last["cells"]] == [
        [2, 1],
        [2, -1],
        [11, 1],
        [11, -1],
        [12, 1],
        [12, -1],
    ]
    cell = last["cells"][1]
    method = METHODS["dbcache"](**{name: value for name, value in cell["method"].items() if name != "name"})
    plain, cached = run(REQUEST, METHODS["baseline"]()), run(REQUEST, method)
    assert cell["psnr_db"] == measure(plain.image, cached.image).psnr_db
    assert cell["schedule"] == cached.schedule
    assert cell["compute_ratio"] == pytest.approx(plain.tflops / cached.tflops)
    assert all(
        Path(drawn_cell["picture"]).is_file() for drawn_cell in last["cells"] if "picture" in drawn_cell
    )


def test_a_combination_that_does_not_fit_says_why(done: tuple[Path, list[dict[str, Any]]]) -> None:
    refused = [cell for cell in done[1][-1]["cells"] if "refused" in cell]
    assert [cell["values"][0] for cell in refused] == [12, 12]
    assert "12 blocks" in refused[0]["refused"]


def test_between_two_values_one_picture_is_drawn_and_none_twice(
    done: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    made = [status["made"] for status in done[1]]
    assert made == list(range(6))
    assert done[1][0]["left"] == 5
    halves = sweep_json(task(), tmp_path)
    for half in halves:
        if half["made"] == 3:
            halves.close()  # pyright: ignore
            break
    again = list(sweep_json(task(), tmp_path))
    assert again[0]["left"] == 5 - 3
    assert again[-1]["made"] == 5 - 3
    keys = [
        (row["prompt"], row["setting"])
        for row in map(json.loads, (tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines())
    ]
    assert len(keys) == len(set(keys)) == 5


def test_three_axes_and_their_order() -> None:
    cells = task(
        axes=(
            ("taylorseer_order", "0..1"),
            ("Fn_compute_blocks", "1, 2"),
            ("residual_diff_threshold", "0.1..0.3 /3"),
        )
    ).cells
    assert len(cells) == 12
    assert cells[1].values == (0, 1, 0.2)


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ((("Fn_compute_blocks", "1, 2"),), "axes: "),
        ((("nothing", "1"), ("Fn_compute_blocks", "1")), "nothing: dbcache has no such knob"),
        ((("Fn_compute_blocks", "1"), ("Fn_compute_blocks", "2")), "two axes have the same knob"),
        (
            (("residual_diff_threshold", "0..1 /200"), ("max_warmup_steps", "1..20")),
            "combinations are more than 1000",
        ),
        ((("Fn_compute_blocks", "12, 13"), ("max_warmup_steps", "1, 2")), "12 blocks"),
    ],
)
def test_what_cannot_be_swept_is_one_sentence(axes: Any, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        task(axes=axes).cells  # noqa: B018
