"""Tests `make gpu-check` without a GPU: the whole check runs on a tiny model."""

from __future__ import annotations

import pytest

from tools import gpu_check


def test_it_prints_every_published_setting_beside_what_it_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [setting for setting in gpu_check.settings() if setting.title in ("Fast", "Ultra")]
    monkeypatch.setattr(gpu_check, "settings", lambda: chosen)
    assert gpu_check.main(["--weights", "random", "--tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line.split("  ")[0]: line.split() for line in lines}
    assert table["baseline"][1:3] == ["3726.87", "3726.87"]
    assert table["Fast"][1:3] == ["651.90", "651.90"]
    assert table["Ultra"][1:3] == ["505.47", "505.47"]
    assert table["Fast"][-1] == "CcCcCcCccccccccCccccccccCccccccccCccccccccCccccccc"
    assert any(line.startswith("engine's own time:") for line in lines)


def test_all_published_settings_are_there() -> None:
    assert len(gpu_check.settings()) >= 10


def test_without_a_card_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main([]) == 2
    assert "gpu-check" in capsys.readouterr().err
