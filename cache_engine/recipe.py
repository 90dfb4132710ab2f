"""F8B0_W8I1M0MC3_R0.12_T1O1 <-> a method. The field's own shorthand, read in any order of its parts.

Two parts are ours: the forecast's name, where it is not TaylorSeer's (``_dmd``), and ``_before`` for the
streak rule of that name.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from .method import METHODS, Method
from .strict import EngineError

PARTS = {
    "F": "Fn_compute_blocks",
    "B": "Bn_compute_blocks",
    "W": "max_warmup_steps",
    "I": "warmup_interval",
    "M": "max_cached_steps",
    "MC": "max_continuous_cached_steps",
    "R": "residual_diff_threshold",
    "O": "taylorseer_order",
}
BASELINE = "C0_Q0_NONE"
EXAMPLE = "F8B0_W8I1M0MC3_R0.12_T1O1"
TOKEN = re.compile(
    r"SCM(?P<mask>[01]+)_(?P<policy>static|dynamic)|(?P<key>MC|[FBWIMRTO])(?P<value>\d+(?:\.\d+)?)|"
    r"_(?P<predictor>taylor|newton|foca|hermite|chebyshev|dmd)|_(?P<rule>before)|_"
)
# Rows of the published tables that are named in prose: recipe or method. The missing knobs of the DBCache
# rows follow from their TFLOPs, and those of the others from theirs (docs: the table of methods).
_NAMED: dict[str, str | dict[str, Any]] = {
    "FLUX.1-dev: 50 steps": BASELINE,
    "Baseline: FLUX.1 50 steps": BASELINE,
    "Baseline: FLUX.1.dev, 50 steps": BASELINE,
    "Lightning: 4 steps": BASELINE,
    "FLUX.1-dev: 60% steps": dict(name="fewer_steps", fraction=0.6),
    "FLUX.1-dev: 34% steps": dict(name="fewer_steps", fraction=0.34),
    "FLUX.1-dev: 22% steps": dict(name="fewer_steps", fraction=0.22),
    "DBCache(Slow)": "F4B0_W4MC4_R0.12_T0O0",
    "DBCache(Slow)+TaylorSeer(O=1)": "F1B0_W4MC4_R0.2_T1O1",
    "DBCache(Medium)": "F1B0_W4MC6_R0.24_T0O0",
    "DBCache(Medium)+TaylorSeer(O=1)": "F1B0_W4MC6_R0.24_T1O1",
    "DBCache(Fast)": "F1B0_W8I2MC8_R0.8_T0O0",
    "DBCache(Fast)+TaylorSeer(O=1)": "F1B0_W8I2MC8_R0.8_T1O1",
    "DBCache(Ultra)": "F1B0_W8I4MC10_R0.8_T0O0",
    "DBCache(Ultra)+TaylorSeer(O=1)": "F1B0_W8I4MC10_R0.8_T1O1",
    "Δ-DiT(N=2)": dict(name="delta_dit", interval=2),
    "Δ-DiT(N=3)": dict(name="delta_dit", interval=3),
    "FORA(N=3)": dict(name="fora", interval=3, before_projection=True),
    "FORA(N=7)": dict(name="fora", interval=7, first=3),
    "TeaCache(l=1.2)": dict(name="teacache", threshold=1.2),
    "TaylorSeer(N=4,O=2)": dict(name="taylorseer", interval=4, order=2),
    "TaylorSeer(N=7,O=2)": dict(name="taylorseer", interval=7, order=2),
    "FoCa(N=5)": dict(name="foca", interval=5),
    "FoCa(N=8)": dict(name="foca", interval=8),
    "ToCa(N=12)": dict(name="toca", interval=12),
    "DuCa(N=5)": dict(name="duca", interval=5),
    "DuCa(N=10)": dict(name="duca", interval=10),
    "Chipmunk": dict(name="chipmunk"),
}


def read_name(name: str) -> dict[str, Any]:
    """The setting that a row of the published tables names: ``{"name": method, knobs...}``; recipes are read
    too.

    Raises EngineError for a name that is neither a recipe nor known.
    """
    setting = _NAMED.get(name.split(": arxiv")[0].strip(), name)
    return parse_recipe(setting).to_dict() if isinstance(setting, str) else dict(setting)


def is_recipe(text: str) -> bool:
    """Whether the text is written in the grammar (and not in the prose of a table)."""
    text = text.strip()
    return text == BASELINE or (bool(text) and "".join(m.group() for m in TOKEN.finditer(text)) == text)


def parse_recipe(text: str) -> Method:
    """The method that a recipe names. Raises EngineError with the part that cannot be read."""
    text = text.strip()
    if text == BASELINE:
        return METHODS["baseline"]()
    if not is_recipe(text):
        rest = TOKEN.sub("", text)
        raise EngineError(f"recipe: {rest[:40]!r} cannot be read in {text[:60]!r}; write it like {EXAMPLE}.")
    knobs: dict[str, Any] = {}
    forecast = True
    for found in TOKEN.finditer(text):
        key, value = found["key"], found["value"]
        if found["mask"]:
            knobs |= {"steps_computation_mask": found["mask"], "steps_computation_policy": found["policy"]}
        elif found["predictor"]:
            knobs["predictor"] = found["predictor"]
        elif found["rule"]:
            knobs["streak_rule"] = found["rule"]
        elif key == "T":
            forecast = value != "0"
        elif key:
            name = PARTS[key]
            if name in knobs:
                raise EngineError(f"recipe: {key} stands twice in {text[:60]!r}; keep one.")
            knobs[name] = float(value) if key == "R" else _whole(key, value)
    for name in ("max_cached_steps", "max_continuous_cached_steps"):
        knobs[name] = knobs.get(name) or -1  # 0 in a recipe means: no limit
    knobs["taylorseer_order"] = knobs.get("taylorseer_order", 1) if forecast and _forecasts(text) else 0
    return METHODS["dbcache"](**knobs)


def _forecasts(text: str) -> bool:
    return re.search(r"[TO]\d", text) is not None


def _whole(key: str, value: str) -> int:
    if "." in value:
        raise EngineError(f"recipe: {key}{value} is not a whole number; write {key}{value.split('.')[0]}.")
    return int(value)


def _exact(value: float) -> str:
    """As short as it can be, in plain digits: two settings that differ are never written alike."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_recipe(method: Method) -> str:
    """The canonical recipe of a DBCache setting or of the baseline; other methods: their name and knobs."""
    if method.name == "baseline":
        return BASELINE
    knobs = method.model_dump()
    if method.name != "dbcache":
        plain = {
            name: _exact(value) if isinstance(value, float) else value
            for name, value in knobs.items()
            if value != ""
        }
        return f"{method.name}({', '.join(f'{name}={value}' for name, value in plain.items())})"
    order = knobs["taylorseer_order"]
    text = (
        f"F{knobs['Fn_compute_blocks']}B{knobs['Bn_compute_blocks']}_W{knobs['max_warmup_steps']}"
        f"I{knobs['warmup_interval']}M{max(0, knobs['max_cached_steps'])}"
        f"MC{max(0, knobs['max_continuous_cached_steps'])}_R{_exact(knobs['residual_diff_threshold'])}"
        f"_T{int(order > 0)}O{order}"
    )
    if knobs["predictor"] != "taylor":
        text += f"_{knobs['predictor']}"
    if knobs["streak_rule"] != "1.5.3":
        text += f"_{knobs['streak_rule']}"
    if knobs["steps_computation_mask"]:
        text += f"_SCM{knobs['steps_computation_mask']}_{knobs['steps_computation_policy']}"
    return text
