"""Tests streak_rule="before": the expected strings were recorded from cache-dit 1.5.2, its last release with
this rule.

These settings of the float32 table give different decisions in 1.5.2 and 1.5.3; for the other settings both
versions agree.
"""

from __future__ import annotations

from typing import Any

import pytest

from cache_engine.methods.dbcache import DBCache
from cache_engine.sites.attach import attached
from tests.parity.loop import denoise, tiny_flux
from tests.parity.settings import ALWAYS, FLOAT32, MASK_SLOW, Setting, at

RECORDED = (
    (at(28, MC=1, R=ALWAYS), "CCCCcCccCccCccCccCccCccCccCc"),
    (at(28, W=8, I=3, MC=4, R=ALWAYS), "CccCccCccCccccCccccCccccCccc"),
    (at(50, W=8, I=4, MC=10, R=ALWAYS), "CcccCccccccccCccccccccccCccccccccccCccccccccccCccc"),
    (at(50, W=16, I=4, MC=8, R=ALWAYS), "CcccCcccCcccCccCccccccccCccccccccCccccccccCccccccc"),
    (at(28, W=8, I=4, MC=3, R=0.3), "CCcCCccCcCccCcccCccCCccCcCcc"),
    (at(28, MC=1, R=0.3), "CCCCcCccCccCccCccCccCccCcCcc"),
    (at(28, MC=3, R=0.3), "CCCCccCccCcccCcccCcccCCcccCc"),
    (at(50, MC=3, R=0.22), "CCCCcCCCCCcccCcccCCCCCCccCCCCCCCcCCCCcCCCcCcCccCCc"),
    (at(28, MC=1, SCM=MASK_SLOW, R=ALWAYS), "CCCCCCCCcCCCCcCCCccCCCcCccCC"),
    (at(28, F=2, B=1, O=1, MC=3, R=0.3), "CCCCcccCccCccCcccCcccCcccCcc"),
    (at(50, W=8, O=1, I=4, MC=10, R=ALWAYS), "CcccCccccccccCccccccccccCccccccccccCccccccccccCccc"),
    (at(50, O=3, MC=4, R=0.3), "CCCCccccCCccccCccccCcCcccCcCCCCccCccccCcCccccCcccc"),
    (at(28, two=True, O=1, MC=3, R=0.3), "CCCCCCCCcccCCCccccCccCcccCCCccccccCCcccccCCcCccCcccCCCcc"),
    (at(28, side=6, O=2, MC=3, R=0.28), "CCCCccCccCcccCcccCccCccCcCcc"),
)


def decided(model: Any, setting: Setting) -> str:
    method = DBCache(**setting.method, streak_rule="before")
    with attached(model, method, steps=setting.steps, streams=setting.streams) as session:
        session.begin()
        denoise(model, setting.steps, setting.streams, setting.side)
    return "".join(call.mode for call in session.trace)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_flux()


@pytest.mark.parametrize(("setting", "letters"), RECORDED, ids=[str(setting) for setting, _ in RECORDED])
def test_decides_as_1_5_2_did(setting: Setting, letters: str, model: Any, reference: dict[str, Any]) -> None:
    assert decided(model, setting) == letters
    assert letters != reference["runs"][str(setting)]["calls"]


def test_elsewhere_both_rules_agree(model: Any, reference: dict[str, Any]) -> None:
    recorded = {str(setting) for setting, _ in RECORDED}
    limited = [setting for setting in FLOAT32 if "MC" in setting.knobs and str(setting) not in recorded]
    assert len(limited) >= 15
    for setting in limited:
        assert decided(model, setting) == reference["runs"][str(setting)]["calls"], setting
