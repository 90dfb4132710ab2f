"""Converts recipes such as ``F8B0_W8I1M0MC3_R0.12_T1O1`` to methods and back. The parts of a recipe may come
in any order.

Publications write DBCache's settings in this form. We added two parts: the predictor if it is not
TaylorSeer's (``_dmd``), and ``_before`` for the streak rule of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, get_args

from .method import METHODS, Method
from .predictors import PredictorName
from .strict import EngineError, short_repr

NUMBER = r"\d+(?:\.\d+)?"
MASK, MASK_POLICY = "steps_computation_mask", "steps_computation_policy"
LIMITS = ("max_cached_steps", "max_continuous_cached_steps")  # a 0 in a recipe is the knob's -1: no limit


class Part(NamedTuple):
    """One part of a recipe: letters with a value, such as ``MC3``, or a word alone, such as ``dmd``."""

    letters: str
    knob: str
    word: str  # names the part in one or two words
    pattern: str = NUMBER
    unwritten: str = ""  # the knob's value if the recipe leaves the word out


# Underscores separate these groups.
GROUPS = (
    (Part("F", "Fn_compute_blocks", "first"), Part("B", "Bn_compute_blocks", "last")),
    (
        Part("W", "max_warmup_steps", "warm"),
        Part("I", "warmup_interval", "every"),
        Part("M", "max_cached_steps", "in all"),
        Part("MC", "max_continuous_cached_steps", "in row"),
    ),
    (Part("R", "residual_diff_threshold", "limit"),),
    (Part("T", "taylorseer_order", "Taylor"), Part("O", "taylorseer_order", "Taylor")),  # T0 means order 0
    (Part("", "predictor", "predictor", "|".join(get_args(PredictorName)), "taylor"),),
    (Part("", "streak_rule", "rule", "before", "1.5.3"),),
    (Part("SCM", MASK, "mask", r"[01]+_(?:static|dynamic)"),),
)
PARTS = tuple(part for group in GROUPS for part in group)
RECIPE_KNOBS = {part.letters: part.knob for part in PARTS if part.letters}
TOKEN = re.compile(
    "|".join(rf"{part.letters or '_'}(?P<part{place}>{part.pattern})" for place, part in enumerate(PARTS))
    + "|_"
)
BASELINE = "C0_Q0_NONE"
EXAMPLE = "F8B0_W8I1M0MC3_R0.12_T1O1"
LONGEST = 500  # characters of a recipe; a mask of 200 steps and all other parts take half of these
# Rows of the published tables that have a name in prose, each with its recipe or method. Knobs that a row
# does not name follow from its TFLOPs (docs/published-rows.md).
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
    """Return the setting that the name of a published row stands for: ``{"name": method, knobs...}``.

    The name may also be a recipe. Raises EngineError if the name is neither a recipe nor in the tables.
    """
    setting = _NAMED.get(name.split(": arxiv")[0].strip(), name)
    return parse_recipe(setting).to_dict() if isinstance(setting, str) else dict(setting)


def is_recipe(text: str) -> bool:
    """Return whether the text is a recipe, as opposed to the prose name of a table's row."""
    text = text.strip()
    if not 0 < len(text) <= LONGEST:
        return False
    return text == BASELINE or "".join(match.group() for match in TOKEN.finditer(text)) == text


def parse_recipe(text: str) -> Method:
    """Return the method that a recipe names. Raises EngineError that shows the part that cannot be read.

    Missing parts: I is 1, M and MC have no limit, without T and O the last value is repeated, and other knobs
    have their defaults.
    """
    text = text.strip()
    if text == BASELINE:
        return METHODS["baseline"]()
    if len(text) > LONGEST:
        raise EngineError(
            f"recipe: {short_repr(text)} has more than {LONGEST} characters; write it like {EXAMPLE}."
        )
    if not is_recipe(text):
        rest = TOKEN.sub("", text)
        raise EngineError(f"recipe: {rest[:40]!r} cannot be read in {text[:60]!r}; write it like {EXAMPLE}.")
    knobs: dict[str, Any] = {}
    forecasts = set[bool]()
    for part, value in _read(text):
        if part.letters in ("T", "O"):
            forecasts.add(part.letters == "O" or value != "0")
        if part.letters == "T":
            continue
        if part.letters and part.knob in knobs:
            raise EngineError(f"recipe: {part.letters} stands twice in {text[:60]!r}; remove one of the two.")
        if part.knob == MASK:
            knobs[MASK], knobs[MASK_POLICY] = value.split("_")
        else:
            knobs[part.knob] = _value(part, value)
    for name in LIMITS:
        knobs[name] = knobs.get(name) or -1
    knobs["taylorseer_order"] = knobs.get("taylorseer_order", 1) if forecasts == {True} else 0
    return METHODS["dbcache"](**knobs)


def _read(text: str) -> Iterator[tuple[Part, str]]:
    """Yield each part of a recipe with its value."""
    for match in TOKEN.finditer(text):
        if match.lastgroup is not None:
            yield PARTS[int(match.lastgroup.removeprefix("part"))], match[match.lastgroup]


def _value(part: Part, text: str) -> float | int | str:
    if not part.letters:
        return text
    if part.letters == "R":
        return float(text)
    if "." in text:
        whole = text.split(".")[0]
        raise EngineError(f"recipe: {part.letters}{text} is not a whole number; write {part.letters}{whole}.")
    return int(text)


def _exact(value: float) -> str:
    """Return the shortest decimal digits of exactly this value, so that different
    settings never look alike.
    """
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_recipe(method: Method) -> str:
    """Return the canonical recipe of a DBCache setting or of the baseline.

    Other methods have no recipe: the result is their name with knobs, such as ``fora(interval=3)``.
    """
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
    groups = ("".join(_written(part, knobs) for part in group) for group in GROUPS)
    return "_".join(group for group in groups if group)


def _written(part: Part, knobs: Mapping[str, Any]) -> str:
    value = knobs[part.knob]
    if part.knob == MASK:
        return f"{part.letters}{value}_{knobs[MASK_POLICY]}" if value else ""
    if part.letters == "T":
        return f"T{int(value > 0)}"
    if part.knob in LIMITS:
        value = max(0, value)
    if part.letters:
        return part.letters + (_exact(value) if isinstance(value, float) else str(value))
    return "" if value == part.unwritten else str(value)


def recipe_chips(text: str) -> list[tuple[Part, str]]:
    """Return the parts of a recipe, each with its text; T and O count as one part. Any other text has no
    parts.
    """
    chips: list[tuple[Part, str]] = []
    for part, value in _read(text) if is_recipe(text) else ():
        if part.letters == "O" and chips and chips[-1][0].letters == "T":
            chips[-1] = chips[-1][0], f"{chips[-1][1]}O{value}"
        else:
            chips.append((part, part.letters + value))
    return chips
