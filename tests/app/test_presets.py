"""Tests the preset files: all are valid, and an invalid file is named with its key."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app.page import build_page
from app.presets import FOLDER, _own, own_folder, own_presets, presets, presets_for, read, save
from cache_engine import MODELS, EngineError, RunRequest, method_from, read_name

with (FOLDER / "published.csv").open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
COLUMNS = (
    "tflops",
    "speedup_tflops",
    "latency_s",
    "speedup_latency",
    "clip_score",
    "image_reward",
    "ssim",
    "lpips",
)
GOOD = json.loads((FOLDER / "22-slow.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.title)
def test_it_fits_what_it_was_made_for(preset: Any) -> None:
    for name in preset.models or ():
        request = MODELS[name].resolve(RunRequest(model=name, prompt="-", steps=preset.steps))
        method_from(preset.method).plan(MODELS[name].facts(request))


@pytest.mark.parametrize(
    "preset", [preset for preset in presets() if preset.published], ids=lambda preset: preset.title
)
def test_published_figures_stand_in_the_tables(preset: Any) -> None:
    rows = [row for row in ROWS if row["config"] in preset.published.configs]
    assert {row["config"] for row in rows} == set(preset.published.configs)
    for column in COLUMNS:
        value = getattr(preset.published, column)
        assert value is None or value in {float(row[column]) for row in rows if row[column]}
    printed = preset.published.psnr_as_printed
    assert printed is None or printed in {float(row["psnr"]) for row in rows if row["psnr"]}


def test_the_named_settings_of_the_tables_are_there() -> None:
    titles = {preset.title for preset in presets() if preset.models and "flux-dev" in preset.models}
    assert {
        "Slow",
        "Medium",
        "Fast",
        "Ultra",
        "Slow + TaylorSeer",
        "Medium + TaylorSeer",
        "Fast + TaylorSeer",
        "Ultra + TaylorSeer",
        "F8",
        "F8 + TaylorSeer",
    } <= titles
    assert any("tiny" in (preset.models or ()) for preset in presets())


@pytest.mark.parametrize(
    "config",
    [
        "FLUX.1-dev: 60% steps",
        "FLUX.1-dev: 34% steps",
        "FLUX.1-dev: 22% steps",
        "Δ-DiT(N=2)",
        "Δ-DiT(N=3)",
        "FORA(N=3)",
        "FORA(N=7)",
        "TeaCache(l=1.2)",
        "TaylorSeer(N=4,O=2)",
        "TaylorSeer(N=7,O=2)",
        "FoCa(N=5): arxiv.2508.16211",
        "FoCa(N=8): arxiv.2508.16211",
    ],
)
def test_every_rivals_row_is_a_preset_of_its_method(config: str) -> None:
    """The knobs are those in the table of names, and a method's buttons are its own presets."""
    (preset,) = (
        offered for offered in presets() if offered.published and config in offered.published.configs
    )
    assert method_from(preset.method) == method_from(read_name(config))
    assert preset.title in presets_for("flux-dev", preset.method["name"])
    assert preset.title not in presets_for("flux-dev", "dbcache")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"titel": "x"}, "titel"),
        ({"title": ""}, "title"),
        ({"steps": "28"}, "steps"),
        ({"steps": 0}, "steps"),
        ({"method": {"name": "magic"}}, "method"),
        ({"method": GOOD["method"] | {"Fn_compute_blocks": 0}}, "Fn_compute_blocks"),
        ({"method": GOOD["method"] | {"F": 1}}, "F: unknown field"),
        ({"published": GOOD["published"] | {"tflops": -1}}, "tflops"),
        ({"method": GOOD["method"] | {"residual_diff_threshold": float("nan")}}, "residual_diff_threshold"),
    ],
)
def test_a_bad_file_names_itself_and_the_key(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GOOD | change), encoding="utf-8")
    with pytest.raises(EngineError) as error:
        read(path)
    assert "mine.json" in str(error.value)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_broken_file_names_itself(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"mine\.json"):
        read(path)


def test_a_users_bad_presets_are_skipped_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk left an empty file, and an update renamed a knob. The page starts and names both."""
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))
    save("Mine", "good", "tiny", 8, GOOD["method"])
    (own_folder() / "empty.json").write_bytes(b"")
    renamed = GOOD | {"title": "Old", "method": GOOD["method"] | {"old_name": 1}}
    (own_folder() / "renamed.json").write_text(json.dumps(renamed), encoding="utf-8")
    (own_folder() / "a.json").mkdir()
    _own.cache_clear()
    assert [preset.title for preset in own_presets().presets] == ["Mine"]
    first, second, third = own_presets().skipped
    assert (first[:16], second[:19]) == ("presets/a.json: ", "presets/empty.json:")
    assert third.startswith("presets/renamed.json: method.old_name: unknown field")
    assert "Mine" in presets_for("tiny")
    page = str(build_page().get_config_file())
    assert all(sentence in page for sentence in (first, second))


def test_a_preset_is_saved_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EngineError, match=r"cannot be written to \(No space left on device\)"):
        save("Mine", "good", "tiny", 8, GOOD["method"])
    assert list(own_folder().iterdir()) == []


def test_there_is_a_largest_number_of_presets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))
    monkeypatch.setattr("app.presets.MOST_PRESETS", 2)
    for title in ("one", "two"):
        save(title, "-", "tiny", 28, GOOD["method"])
    with pytest.raises(EngineError, match="2 are stored already"):
        save("three", "-", "tiny", 28, GOOD["method"])
    assert len(own_presets().presets) == 2
