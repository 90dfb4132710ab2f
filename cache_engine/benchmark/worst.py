"""Makes a page of a benchmark's worst pairs of pictures: these show failures that a mean hides."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ..metric import METRICS
from ..quality import difference
from ..runs.disk import write_whole, writing
from ..runs.row import Row, key_of, png_of
from ..strict import EngineError
from .folder import read_folder
from .score import open_picture

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 "
    "1rem;color:#1b1b1f;background:#fff}"
    "section{border-top:1px solid #d8d8de;padding:1rem "
    "0}.three{display:grid;grid-template-columns:repeat(3,1fr);gap:8px}"
    "figure{margin:0}img{width:100%;display:block}figcaption,p{color:#5b5b66;margin:.2rem 0}"
    "@media(max-width:600px){.three{grid-template-columns:1fr}}"
)


def write_worst_pairs(path: Path, metric: str, most: int) -> list[Row]:
    """Write ``worst-METRIC.html`` and its difference pictures into the benchmark's folder.

    Returns the rows, the worst first. Raises EngineError if the metric does not
    compare a picture with its baseline, or was not measured in this benchmark.
    """
    job, _, rows = read_folder(path)
    if metric not in METRICS or metric not in job.metrics or not METRICS[metric].reference:
        comparing = ", ".join(name for name in job.metrics if METRICS[name].reference)
        raise EngineError(
            f"metric: {metric!r} does not compare pictures here; choose among "
            f"{comparing or 'none: this benchmark has none'}."
        )
    row_of = {key_of(row): row for row in rows}
    sign = 1 if METRICS[metric].better == "higher" else -1
    pairs = sorted(
        (row for row in rows if row["metrics"].get(metric) is not None),
        key=lambda row: sign * row["metrics"][metric],
    )[:most]
    if not pairs:
        raise EngineError("the table has no pairs of pictures that differ, so no pair is the worst.")
    shown = [
        (row, row_of[row["prompt"], job.settings[0].key], f"worst/{metric}-{place:02d}.png")
        for place, row in enumerate(pairs, 1)
    ]
    with writing(path):
        (path / "worst").mkdir(exist_ok=True)
        for row, plain, name in shown:
            pair = open_picture(path / plain["picture"]), open_picture(path / row["picture"])
            write_whole(path / name, png_of(difference(*pair)))
        write_whole(path / f"worst-{metric}.html", "\n".join(_page(metric, shown)).encode())
    return pairs


def _page(metric: str, shown: list[tuple[Row, Row, str]]) -> Iterator[str]:
    title = f"The {len(shown)} worst pairs by {METRICS[metric].title}"
    yield (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title>'
    )
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    for place, (row, plain, name) in enumerate(shown, 1):
        figures = ", ".join(
            f"{METRICS[name].title} {value:.4g}"
            for name, value in row["metrics"].items()
            if value is not None
        )
        yield f"<section><h2>{place}. {escape(row['text'])}</h2>"
        yield (
            f"<p>{escape(row['setting'])}: {figures}; {row['computed']} of {row['steps']} steps computed, "
            f"{plain['tflops'] / row['tflops']:.2f}x less compute</p><div class=three>"
        )
        for caption, source in (
            ("baseline", plain["picture"]),
            ("cached", row["picture"]),
            ("difference x 8", name),
        ):
            yield (
                f'<figure><img loading=lazy src="{escape(source)}" '
                f'alt="{caption}"><figcaption>{caption}</figcaption></figure>'
            )
        yield "</div></section>"
    yield "</html>"
