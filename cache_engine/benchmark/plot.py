"""Charts as SVG files: each metric against TFLOPs, against seconds, and as bars.

Text is escaped, and a chart loads no other file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from ..metric import METRICS
from .figures import SettingFigures

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 76, 24, 44, 56
BAR = 22
INK, SOFT, LINE, MARK = "#1b1b1f", "#5b5b66", "#d8d8de", "#3b5bdb"


def charts(figures: Sequence[SettingFigures], metrics: Sequence[str]) -> dict[str, str]:
    """Return the charts by file name, for every metric that at least one setting has."""
    svgs = {}
    for name in metrics:
        scored = [line for line in figures if line.metrics.get(name)]
        if not scored:
            continue
        svgs[f"{name}-tflops.svg"] = scatter(name, scored, "TFLOPs a picture", lambda line: line.tflops)
        svgs[f"{name}-seconds.svg"] = scatter(
            name, scored, "seconds a picture (denoising loop)", lambda line: line.denoise
        )
        svgs[f"{name}-bars.svg"] = bars(name, scored)
    return svgs


def scatter(
    name: str, figures: Sequence[SettingFigures], label: str, at: Callable[[SettingFigures], float]
) -> str:
    """Draw one point for each setting at its mean; a bar through it shows the mean's 95 % interval.

    The best corner is on the left, at the top or at the bottom: the chart's title says which direction is
    better.
    """
    metric = METRICS[name]
    across, up = (
        ticks([at(line) for line in figures]),
        ticks([value for line in figures for value in _ends(line, name)]),
    )

    def x(value: float) -> float:
        return LEFT + (value - across[0]) / (across[-1] - across[0]) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - up[0]) / (up[-1] - up[0]) * (HEIGHT - TOP - BOTTOM)

    def body() -> Iterator[str]:
        for value in across:
            yield _line(x(value), TOP, x(value), HEIGHT - BOTTOM, LINE) + _text(
                x(value), HEIGHT - BOTTOM + 18, _short(value), "middle"
            )
        for value in up:
            yield _line(LEFT, y(value), WIDTH - RIGHT, y(value), LINE) + _text(
                LEFT - 8, y(value) + 4, _short(value), "end"
            )
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, label, "middle")
        yield _text(LEFT, 24, f"{metric.title}, {metric.better} is better", "start", INK)
        for line in figures:
            low, high = _ends(line, name)
            statistics = line.metrics[name]
            assert statistics
            yield _line(x(at(line)), y(low), x(at(line)), y(high), MARK)
            yield (
                f'<circle cx="{x(at(line)):.1f}" cy="{y(statistics.mean):.1f}" r="4.5" fill="{MARK}"><title>'
                f"{escape(line.setting.key)}: {statistics.mean:.4g}, {label} {at(line):.4g}</title></circle>"
            )

    return _svg(HEIGHT, body())


def bars(name: str, figures: Sequence[SettingFigures]) -> str:
    """Draw a bar for each setting, from best to worst, with the setting's mean and compute ratio."""
    metric = METRICS[name]
    means = {line.setting.key: statistics.mean for line in figures if (statistics := line.metrics[name])}
    ordered = sorted(figures, key=lambda line: means[line.setting.key], reverse=metric.better == "higher")
    scale = ticks([0.0, *means.values()])
    height, left = TOP + BAR * len(ordered) + 16, 330

    def x(value: float) -> float:
        return left + (value - scale[0]) / (scale[-1] - scale[0]) * (WIDTH - left - 130)

    def body() -> Iterator[str]:
        yield _text(12, 24, f"{metric.title}, {metric.better} is better", "start", INK)
        for place, line in enumerate(ordered):
            middle, mean = TOP + BAR * place + BAR / 2, means[line.setting.key]
            ends = sorted((x(0), x(mean)))
            key = line.setting.key
            yield _text(left - 8, middle + 4, key if len(key) <= 46 else f"{key[:45]}…", "end", INK)
            yield (
                f'<rect x="{ends[0]:.1f}" y="{middle - 7:.1f}" width="{max(1, ends[1] - ends[0]):.1f}" '
                f'height="14" fill="{MARK}"><title>'
                f"{escape(key)}</title></rect>"
            )
            yield _text(ends[1] + 6, middle + 4, f"{mean:.4g}, {line.compute_ratio:.2f}x less", "start")

    return _svg(height, body())


def ticks(values: Sequence[float], wanted: int = 5) -> list[float]:
    """Return about ``wanted`` round numbers that reach from below the least value to above the greatest."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1
    step = 10 ** math.floor(math.log10(span / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= wanted)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [place * step for place in range(first, last + 1)]


def _ends(line: SettingFigures, name: str) -> tuple[float, float]:
    statistics = line.metrics[name]
    assert statistics
    return (
        statistics.mean if statistics.low is None else statistics.low,
        statistics.mean if statistics.high is None else statistics.high,
    )


def _short(value: float) -> str:
    return f"{value:.6g}"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = SOFT) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _svg(height: float, body: Iterator[str]) -> str:
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<rect width="100%" height="100%" '
        f'fill="#fff"/>\n{inner}\n</svg>\n'
    )
