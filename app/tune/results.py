"""The tab *Tune*: draws a job's results into the tab's components: chart or grid, card,
pictures and files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import gradio as gr
from PIL import Image

from cache_engine import difference

from ..controls import DIFFERENCE_GAIN, Updates
from ..engine.longjobs import LongJobs
from . import sweep_views
from . import views as tune_views
from .chart import NEAR, FrontierChoice, chart
from .csv_files import sweep_csv, tune_csv
from .layout import MEASURED, TuneParts
from .snapshot import TuneSnapshot, chosen_setting, worst_pictures
from .sweep_views import SweepSnapshot, chosen_cell


class ResultsDrawing:
    """Returns the new values of the components that show a job's results."""

    def __init__(self, parts: TuneParts, jobs: LongJobs) -> None:
        self.results, self.chosen, self.state, self.jobs = parts.results, parts.chosen, parts.state, jobs

    def tune(self, values: Updates, snapshot: TuneSnapshot | None, key: str) -> Updates:
        """Draw a tune with one setting chosen."""
        results, chosen, setting = self.results, self.chosen, chosen_setting(snapshot, key)
        choice = FrontierChoice(values[results.speed], values[results.near] == NEAR)
        key = setting["key"] if setting else ""
        return {
            results.chart: chart(snapshot, choice, key),
            results.sheet: tune_views.sheet(snapshot, key, measured=values[results.rows] == MEASURED),
            chosen.card: tune_views.card(snapshot, setting),
            chosen.margins: tune_views.margins(setting, snapshot and snapshot["goal"]),
            chosen.open: gr.Button(interactive=setting is not None),
            chosen.save: gr.Button(interactive=setting is not None),
            **self._pictures(values, *(worst_pictures(setting) if setting else ("", ""))),
        }

    def sweep(self, values: Updates, snapshot: SweepSnapshot | None, key: str) -> Updates:
        """Draw a sweep with one cell chosen."""
        results, chosen, cell = self.results, self.chosen, chosen_cell(snapshot, key)
        baseline = snapshot["baseline"] if snapshot else None
        pictures = (baseline["picture"], cell["picture"]) if baseline and cell else ("", "")
        return {
            results.cells: sweep_views.cells(snapshot, values[self.state.order], key),
            chosen.card: sweep_views.card(cell),
            chosen.margins: tune_views.margins(None, None),
            chosen.open: gr.Button(interactive=cell is not None),
            chosen.save: gr.Button(interactive=cell is not None),
            **self._pictures(values, *pictures),
        }

    def _pictures(self, values: Updates, baseline: str, accelerated: str) -> Updates:
        """Show a setting's pictures, unless the browser has them already. Empty paths hide the pictures."""
        state, chosen = self.state, self.chosen
        name = f"{baseline} {accelerated}" if baseline and accelerated else ""
        if name == values[state.pictures]:
            return {}
        updates: Updates = {state.pictures: name, chosen.pictures: gr.Column(visible=bool(name))}
        if not name:
            return updates
        try:
            before, after = (Image.open(path).convert("RGB") for path in (baseline, accelerated))
        except OSError:  # the files were removed in the meantime
            return updates | {chosen.pictures: gr.Column(visible=False)}
        return updates | {
            chosen.baseline: before,
            chosen.accelerated: after,
            chosen.difference: difference(before, after, DIFFERENCE_GAIN),
        }

    def files(self, key: str, kind: str, snapshot: dict[str, Any] | None) -> Updates:
        """Offer the results as files. Offer none without a snapshot, or if the files cannot be written."""
        results, folder = self.results, self.jobs.folder(key) if snapshot is not None else None
        if snapshot is None or folder is None or not _write_csv(folder / "settings.csv", kind, snapshot):
            return {
                results.csv: gr.DownloadButton(value=None, interactive=False),
                results.json: gr.DownloadButton(value=None, interactive=False),
            }
        return {
            results.csv: gr.DownloadButton(value=str(folder / "settings.csv"), interactive=True),
            results.json: gr.DownloadButton(value=str(folder / "result.json"), interactive=True),
        }


def _write_csv(path: Path, kind: str, snapshot: dict[str, Any]) -> bool:
    """Write the settings as CSV. Return False if the disk is full, or if the job was
    removed in the meantime.
    """
    is_sweep = kind == "sweep"
    text = sweep_csv(cast(SweepSnapshot, snapshot)) if is_sweep else tune_csv(cast(TuneSnapshot, snapshot))
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError:
        return False
    return True
