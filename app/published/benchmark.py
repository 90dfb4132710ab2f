"""The user's own benchmark beside the published tables: each of its settings as an entry, against its own
baseline. Pure.
"""

from __future__ import annotations

import re
from pathlib import Path

from cache_engine import MODELS, EngineError, Measured, Outcome, format_recipe, method_from, outcome_from

from ..components.base.shapes import NamedText
from ..components.setting import SettingValue
from ..words import plural, significant
from .rows import ROW_OF, YOURS, Baseline, Entry, entries
from .views import QUALITIES, SPEEDS, bars, told_of

MOST_BYTES = 2_000_000
METRIC_OF = {"psnr": "psnr_wrapped"}  # their PSNR wraps: only ours that wraps too may stand on its axis
TITLES = {"psnr": "PSNR, wrapped"}
PRINTED = {row: printed for printed, row in ROW_OF.items()}


def read(path: Path) -> tuple[Entry, ...]:
    """The settings of an uploaded ``summary.json``, the baseline first. Raises EngineError: one sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)  # no more of it than the engine will take
    except OSError as error:
        raise EngineError(
            f"benchmark: the file cannot be read ({error.strerror}); choose it again."
        ) from None
    found = outcome_from(data)
    return tuple(_entry(one, found) for one in found.settings)


def model_of(entry: Entry) -> str:
    """The row of MODELS that an entry is of, where there is one; else the name that it came with."""
    return ROW_OF.get(entry.base.model, entry.base.model)


def title_of(model: str) -> str:
    """Of a folder or a hub id, the last part."""
    return MODELS[model].title if model in MODELS else re.split(r"[\\/]", model.rstrip("\\/"))[-1] or model


def told(yours: tuple[Entry, ...]) -> str:
    """What is laid over, in a line."""
    about = yours[0].about
    return f"{plural(len(yours), 'setting')} of {about['Model']}, {about['Prompts']}."


def _entry(one: Measured, found: Outcome) -> Entry:
    method = method_from(one.setting.method)
    means = {
        figure: value
        for figure in QUALITIES
        if (value := one.metrics.get(METRIC_OF.get(figure, figure))) is not None
    }
    figures = means | {"tflops": one.tflops, "latency_s": one.latency}
    plain = method.name == "baseline"
    return Entry(
        f"{YOURS} {one.setting.key}",
        "Your baseline" if plain else format_recipe(method),
        YOURS,
        _base(one, found),
        one.setting.method,
        {figure: _text(figure, value) for figure, value in figures.items()},
        exact=figures,
        about=_about(one, found),
    )


def _base(one: Measured, found: Outcome) -> Baseline:
    """What its ratios are taken to: the baseline over the same prompts. Scores that have no such mean have
    no share.
    """
    plain = found.settings[0]
    scores = {
        name: plain.metrics.get(name) if plain.rows == one.rows else None
        for name in ("image_reward", "clip_score")
    }
    above = {
        name: value if value is not None and value > 0 else None for name, value in scores.items()
    }  # no share of less than 0
    return Baseline(
        "your own",
        PRINTED.get(found.model, found.model),
        found.steps,
        above["image_reward"],
        above["clip_score"],
        one.tflops * one.compute_ratio,
        "",
        one.latency * one.latency_ratio,
    )


def _about(one: Measured, found: Outcome) -> dict[str, str]:
    psnr, engine = one.metrics.get("psnr"), found.engine
    likeness = {"PSNR": "identical" if psnr is None else f"{psnr:.2f} dB"} if "psnr" in one.metrics else {}
    ran = (
        []
        if engine is None
        else [engine.device, engine.dtype, engine.placement, *["compiled"] * engine.compiled, engine.versions]
    )
    weights = [] if engine is None or engine.quantisation == "none" else [f"{engine.quantisation} weights"]
    faster = (
        {} if one.setting.method["name"] == "baseline" else {"Denoise loop": f"{one.speedup:.2f}× faster"}
    )
    return (
        likeness
        | faster
        | {
            "Steps computed": significant(one.computed),
            "Model": f"{title_of(found.model)}, {plural(found.steps, 'step')}, {found.width} × "
            f"{found.height}",
            "Prompts": plural(one.rows, "prompt")
            if one.rows == found.prompts
            else f"{one.rows} of {plural(found.prompts, 'prompt')}",
            "Engine": ", ".join([*ran, *weights]) or "not recorded",
        }
    )


def _text(figure: str, value: float) -> str:
    if figure in QUALITIES:
        return f"{value:.4f}"
    return f"{value:.2f}" if value >= 100 else significant(value, 4 if figure == "tflops" else 3)


# ---- card ----


def card(one: Entry) -> SettingValue:
    """Everything that was measured of one setting, and what others published of it."""
    theirs = published(one)
    facts: list[NamedText] = [{"name": "PSNR", "text": one.about["PSNR"]}] if "PSNR" in one.about else []
    facts += [
        NamedText(name=TITLES.get(name, figure.title), text=_beside(one, name, theirs))
        for name, figure in QUALITIES.items()
        if name in one.printed
    ]
    for name, unit, less in (("tflops", "", "Less compute"), ("latency_s", " s", "Less time")):
        base = one.baseline(name)
        of = "" if one.is_baseline or base is None else f" of {_text(name, base)}{unit}"
        facts.append({"name": SPEEDS[name].title, "text": f"{one.printed[name]}{unit}{of}"})
        if theirs and (ratio := theirs.own(name)):
            facts.append({"name": f"{less}, published", "text": f"{ratio:.2f}×"})
    facts += [NamedText(name=name, text=text) for name, text in one.about.items() if name != "PSNR"]
    notes = (
        [f"Published: {theirs.base.model} at {theirs.base.steps} steps on {theirs.base.cards}."]
        if theirs
        else []
    )
    if one.about.get("PSNR", "identical") != "identical" and "psnr" not in one.printed:
        notes.append(
            "The tables' PSNR wraps around: only psnr_wrapped, which has no figure here, can stand beside it."
        )
    return {
        "title": "Your baseline" if one.is_baseline else "Your run",
        "kind": "measured",
        "code": "" if one.is_baseline else one.name,
        "bars": [] if one.is_baseline else bars(one),
        "facts": facts,
        "notes": [*notes, *filter(None, [one.refused])],
    }


def published(one: Entry) -> Entry | None:
    """The published entry of the very setting, its own model's before another's; the rule for runs aside, as
    no table names it.
    """
    recipe = format_recipe(method_from(one.method))
    same = [other for other in entries() if not other.is_baseline and other.key.endswith(f" {recipe}")]
    return min(same, key=lambda other: other.base.model != one.base.model, default=None)


def _beside(one: Entry, figure: str, theirs: Entry | None) -> str:
    their = theirs.printed.get(figure) if theirs else None
    return f"{told_of(one, figure)} · published {their}" if their else told_of(one, figure)
