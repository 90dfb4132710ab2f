"""The user's own benchmark beside the published tables. Each setting is compared with its own baseline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cache_engine import (
    MODELS,
    BenchmarkSummary,
    EngineError,
    SettingSummary,
    benchmark_summary_from,
    format_recipe,
    method_from,
)

from ..components.base.shapes import NamedText
from ..components.setting import SettingValue
from ..words import plural, significant
from .figures import QUALITIES, SPEEDS
from .tables import OWN_FAMILY, ROW_OF, SCORES, ListedBaseline, ListedSetting, published_settings
from .views import quality_text, ratio_bars

MOST_BYTES = 2_000_000
# the tables' PSNR comes from differences that overflow, so only ours with the same overflow is comparable
METRIC_OF = {"psnr": "psnr_wrapped"}
TITLES = {"psnr": "PSNR, wrapped"}
PRINTED_NAMES = {row: printed for printed, row in ROW_OF.items()}


# ---- from a summary file to settings ----


def read_summary(path: Path) -> tuple[ListedSetting, ...]:
    """Read the settings of an uploaded ``summary.json``, the baseline first. Raises EngineError."""
    try:
        with path.open("rb") as file:
            data = file.read(
                MOST_BYTES + 1
            )  # benchmark_summary_from would refuse a larger file, so the rest is not read
    except OSError as error:
        raise EngineError(
            f"benchmark: the file cannot be read ({error.strerror}); choose it again."
        ) from None
    outcome = benchmark_summary_from(data)
    return tuple(_listed_setting(measured, outcome) for measured in outcome.settings)


def model_name(setting: ListedSetting) -> str:
    """Return the name of the MODELS row to which a setting belongs, or the name in the file."""
    return ROW_OF.get(setting.baseline.model, setting.baseline.model)


def model_title(model: str) -> str:
    """Return a model's title; for a folder or a hub id, return its last part."""
    return MODELS[model].title if model in MODELS else re.split(r"[\\/]", model.rstrip("\\/"))[-1] or model


def summary_line(settings: tuple[ListedSetting, ...]) -> str:
    """Say in one line which benchmark was added."""
    about = settings[0].about
    return f"{plural(len(settings), 'setting')} of {about['Model']}, {about['Prompts']}."


def _listed_setting(measured: SettingSummary, outcome: BenchmarkSummary) -> ListedSetting:
    method = method_from(measured.setting.method)
    metrics = {figure: measured.metrics.get(METRIC_OF.get(figure, figure)) for figure in QUALITIES}
    figures = {figure: value for figure, value in metrics.items() if value is not None}
    figures |= {"tflops": measured.tflops, "latency_s": measured.latency}
    return ListedSetting(
        f"{OWN_FAMILY} {measured.setting.key}",
        "Your baseline" if method.name == "baseline" else format_recipe(method),
        OWN_FAMILY,
        _baseline_of(measured, outcome),
        measured.setting.method,
        {figure: _figure_text(figure, value) for figure, value in figures.items()},
        exact=figures,
        about=_about(measured, outcome),
    )


def _baseline_of(measured: SettingSummary, outcome: BenchmarkSummary) -> ListedBaseline:
    """Return the baseline over the same prompts. A score is left out if its mean is missing, or is 0 or less,
    because no percentage of it would make sense.
    """
    baseline = outcome.settings[0]
    scores = {name: baseline.metrics.get(name) for name in SCORES if baseline.rows == measured.rows}
    positive = {name: value for name, value in scores.items() if value is not None and value > 0}
    return ListedBaseline(
        "your own",
        PRINTED_NAMES.get(outcome.model, outcome.model),
        outcome.steps,
        positive.get("image_reward"),
        positive.get("clip_score"),
        measured.tflops * measured.compute_ratio,
        "",
        measured.latency * measured.latency_ratio,
    )


def _about(measured: SettingSummary, outcome: BenchmarkSummary) -> dict[str, str]:
    about = {}
    if "psnr" in measured.metrics:
        psnr = measured.metrics["psnr"]
        about["PSNR"] = "identical" if psnr is None else f"{psnr:.2f} dB"
    if measured.setting.method["name"] != "baseline":
        about["Denoise loop"] = f"{measured.speedup:.2f}× faster"
    prompts = plural(outcome.prompts, "prompt")
    return about | {
        "Steps computed": significant(measured.computed),
        "Model": f"{model_title(outcome.model)}, {plural(outcome.steps, 'step')}, "
        f"{outcome.width} × {outcome.height}",
        "Prompts": prompts if measured.rows == outcome.prompts else f"{measured.rows} of {prompts}",
        "Engine": _engine_text(outcome),
    }


def _engine_text(outcome: BenchmarkSummary) -> str:
    engine = outcome.engine
    if engine is None:
        return "not recorded"
    words = [engine.device, engine.dtype, engine.placement, *["compiled"] * engine.compiled, engine.versions]
    if engine.quantisation != "none":
        words.append(f"{engine.quantisation} weights")
    return ", ".join(words)


def _figure_text(figure: str, value: float) -> str:
    if figure in QUALITIES:
        return f"{value:.4f}"
    return f"{value:.2f}" if value >= 100 else significant(value, 4 if figure == "tflops" else 3)


# ---- card ----


def card(setting: ListedSetting) -> SettingValue:
    """Return the card with everything that was measured for one setting, and everything that others published
    about it.
    """
    match = published_match(setting)
    facts = dict(setting.about)
    psnr = facts.pop("PSNR", "identical")
    return {
        "title": "Your baseline" if setting.is_baseline else "Your run",
        "kind": "measured",
        "code": "" if setting.is_baseline else setting.name,
        "bars": [] if setting.is_baseline else ratio_bars(setting),
        "facts": [
            *([{"name": "PSNR", "text": psnr}] if "PSNR" in setting.about else []),
            *_quality_facts(setting, match),
            *_speed_facts(setting, match),
            *({"name": name, "text": text} for name, text in facts.items()),
        ],
        "notes": list(_notes(setting, match, psnr)),
    }


def published_match(setting: ListedSetting) -> ListedSetting | None:
    """Return the published row of the same setting: of the same model if there is one, else of another model.
    The tables do not name the rule for runs of cached steps, so this rule is not compared.
    """
    ending = f" {format_recipe(method_from(setting.method))}"
    matches = [row for row in published_settings() if not row.is_baseline and row.key.endswith(ending)]
    return min(matches, key=lambda row: row.baseline.model != setting.baseline.model, default=None)


def _quality_facts(setting: ListedSetting, match: ListedSetting | None) -> Iterable[NamedText]:
    for name, figure in QUALITIES.items():
        if name not in setting.printed:
            continue
        text, published = quality_text(setting, name), match.printed.get(name) if match else None
        if published:
            text += f" · published {published}"
        yield {"name": TITLES.get(name, figure.title), "text": text}


def _speed_facts(setting: ListedSetting, match: ListedSetting | None) -> Iterable[NamedText]:
    for name, unit, ratio_name in (("tflops", "", "Less compute"), ("latency_s", " s", "Less time")):
        base, text = setting.baseline_value(name), f"{setting.printed[name]}{unit}"
        if base is not None and not setting.is_baseline:
            text += f" of {_figure_text(name, base)}{unit}"
        yield {"name": SPEEDS[name].title, "text": text}
        if match and (ratio := match.relative(name)):
            yield {"name": f"{ratio_name}, published", "text": f"{ratio:.2f}×"}


def _notes(setting: ListedSetting, match: ListedSetting | None, psnr: str) -> Iterable[str]:
    if match:
        base = match.baseline
        yield f"Published: {base.model} at {base.steps} steps on {base.cards}."
    if psnr != "identical" and "psnr" not in setting.printed:
        yield (
            "The tables' PSNR comes from differences that overflow at 256. To compare with it, score your "
            "benchmark with the metric psnr_wrapped as well."
        )
    if setting.why_not_openable:
        yield setting.why_not_openable
