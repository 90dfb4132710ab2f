"""Answers the events of the tab *Published*. This tab starts no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from cache_engine import MODELS, EngineError, method_from

from .. import form, statuses
from ..compare.parts import CompareParts
from ..compare.setting import SettingFields
from ..components.setting import SettingValue
from ..controls import QUIET, Inputs, Updates, error_line
from ..presets import preset_title
from . import own_benchmark
from . import views as published_views
from .chart import chart
from .figures import QUALITIES, RELATIVE, FigureChoice
from .layout import START, PublishedParts, build, family_choices, knob_choices
from .notes import FLUX, care_notes
from .tables import OWN_FAMILY, ListedSetting, find_setting, knob_values, select_settings

# Events run one at a time, in the order of the clicks. Without a queue, events would overtake each other,
# because a large answer takes longer than a small one. With "always_last", only the last of several clicks
# would count.
IN_ORDER: dict[str, Any] = {
    "concurrency_id": "published",
    "concurrency_limit": 1,
    "trigger_mode": "multiple",
    **QUIET,
}
TOGGLE_FILTERS = """() => {
  const open = document.querySelector('#published-filters').classList.toggle('cl-unfolded');
  document.querySelector('#published-fold').setAttribute('aria-expanded', open);
}"""


def build_tab(compare: CompareParts, tabs: gr.Tabs) -> None:
    """Build the tab and connect it. Settings are opened in ``compare``, which is one of ``tabs``."""
    PublishedHandlers(build(), compare, tabs).wire()


class PublishedHandlers:
    """The handlers of the tab's events."""

    def __init__(self, parts: PublishedParts, compare: CompareParts, tabs: gr.Tabs) -> None:
        self.parts, self.compare, self.tabs = parts, compare, tabs
        self.filters, self.own, self.plots = parts.filters, parts.own, parts.plots
        self.fields = SettingFields(compare)

    def wire(self) -> None:
        """Connect every event of the tab with its handler."""
        parts, filters, own, plots = self.parts, self.filters, self.own, self.plots
        inputs = parts.filter_inputs
        inputs_and_chosen: Inputs = {*inputs, parts.chosen}
        drawn = [plots.chart, plots.sheet, parts.notes]
        chosen = [parts.chosen, parts.card, parts.open, parts.status]
        filters.fold.click(None, js=TOGGLE_FILTERS)
        # Listen to .input, not .change: when Python sets several fields, gradio fires .change for each while
        # the others still hold their old values. A textbox fires .input before its value arrives, so .change
        # is used for the search words, which Python never sets.
        pressed: list[Any] = [*filters.knobs.values(), filters.families]
        pressed += [plots.quality, plots.speed, plots.figures]
        gr.on(
            [filters.words.change, *(part.input for part in pressed)],
            self.filter,
            inputs=inputs_and_chosen,
            outputs=drawn,
            **IN_ORDER,
        )
        # Filter once more afterwards: a filter that was pressed before the answer arrived used the previous
        # model's knobs.
        filters.model.input(
            self.change_model, inputs=inputs, outputs=[*filters.knobs.values(), *drawn, *chosen], **IN_ORDER
        ).then(self.filter, inputs=inputs_and_chosen, outputs=drawn, **IN_ORDER)
        plots.chart.choose(self.choose_point, inputs=inputs, outputs=[*chosen, plots.sheet], **IN_ORDER)
        plots.sheet.choose(self.choose_row, inputs=inputs, outputs=[*chosen, plots.chart], **IN_ORDER)
        benchmark = [own.settings, own.remove, own.status, filters.families, plots.quality, *drawn, *chosen]
        own.file.upload(self.add_benchmark, inputs={*inputs, own.file}, outputs=benchmark, **IN_ORDER)
        own.remove.click(self.remove_benchmark, inputs=inputs, outputs=benchmark, **IN_ORDER)
        self._wire_opening()

    def _wire_opening(self) -> None:
        parts, there = self.parts, self.compare
        outputs: list[Block] = [
            self.tabs,
            parts.status,
            there.model,
            there.size,
            there.steps,
            there.guidance,
            there.cfg,
            *there.chips,
            *self.fields.outputs,
        ]
        inputs = [there.model, self.own.settings]
        parts.open.click(self.open, inputs=[parts.chosen, *inputs], outputs=outputs, **IN_ORDER)
        self.plots.chart.open(self.open_point, inputs=inputs, outputs=outputs, **IN_ORDER)

    # ---- rows and the chosen row ----
    def filter(self, values: Updates, chosen: str = "") -> Updates:
        """Draw the rows that pass the filters."""
        filters, plots = self.filters, self.plots
        choice = FigureChoice(values[plots.quality], values[plots.speed], values[plots.figures] == RELATIVE)
        settings = select_settings(
            values[filters.model],
            values[filters.families],
            {letter: values[group] for letter, group in filters.knobs.items()},
            values[filters.words],
            values[self.own.settings],
        )
        chosen = chosen or values[self.parts.chosen]
        return {
            plots.chart: chart(settings, choice, chosen),
            plots.sheet: published_views.sheet(settings, choice, chosen),
            self.parts.notes: care_notes(values[filters.model], choice),
        }

    def change_model(self, values: Updates) -> Updates:
        """Offer the knob values of this model, none of them selected, and choose its first row."""
        model, knobs = values[self.filters.model], self.filters.knobs
        groups: Updates = {
            knobs[letter]: gr.CheckboxGroup(knob_choices(letter, choices), value=[], visible=len(choices) > 1)
            for letter, choices in knob_values(model).items()
        }
        key = first_key(model)
        none_pressed = values | {group: [] for group in knobs.values()}
        return groups | self.filter(none_pressed, key) | self.choose(values, key)

    def choose_point(self, values: Updates, event: gr.EventData) -> Updates:
        """Show the chosen point's setting on the card and in the table. The chart itself marks the point."""
        key = str(event.id)
        return self.choose(values, key) | {self.plots.sheet: self.filter(values, key)[self.plots.sheet]}

    def choose_row(self, values: Updates, event: gr.EventData) -> Updates:
        """Show the chosen row's setting on the card and in the chart. The table itself marks the row."""
        key = str(event.id)
        return self.choose(values, key) | {self.plots.chart: self.filter(values, key)[self.plots.chart]}

    def choose(self, values: Updates, key: str) -> Updates:
        """Show a setting's card, and whether the setting can be opened."""
        setting = find_setting(key, values[self.own.settings])
        return {
            self.parts.chosen: key,
            self.parts.card: _card(setting),
            self.parts.status: statuses.idle(),
            self.parts.open: gr.Button(interactive=setting is not None and not setting.why_not_openable),
        }

    # ---- the user's own benchmark ----
    def add_benchmark(self, values: Updates) -> Updates:
        """Add a file's settings to the rows. Choose the file's first cached setting, and a quality that this
        setting has.
        """
        try:
            settings = own_benchmark.read_summary(Path(values[self.own.file]))
        except EngineError as error:
            return {self.own.status: error_line(error)}
        measured = [name for name in QUALITIES if any(name in setting.printed for setting in settings)]
        quality = values[self.plots.quality]
        added: Updates = {
            self.own.settings: settings,
            self.filters.families: [*self._published_families(values), OWN_FAMILY],
            self.plots.quality: quality if quality in measured or not measured else measured[0],
        }
        first_cached = settings[min(1, len(settings) - 1)]
        status = statuses.idle(own_benchmark.summary_line(settings))
        return self._redraw(values | added, first_cached.key) | {self.own.status: status}

    def remove_benchmark(self, values: Updates) -> Updates:
        """Show the published rows only."""
        removed: Updates = {self.own.settings: (), self.filters.families: self._published_families(values)}
        key = first_key(values[self.filters.model])
        return self._redraw(values | removed, key) | {self.own.status: statuses.idle()}

    def _published_families(self, values: Updates) -> list[str]:
        return [family for family in values[self.filters.families] if family != OWN_FAMILY]

    def _redraw(self, values: Updates, key: str) -> Updates:
        """Redraw everything that changes when a benchmark is added or removed."""
        settings, families = values[self.own.settings], self.filters.families
        changed: Updates = {
            self.own.settings: settings,
            self.own.remove: gr.Button(visible=bool(settings)),
            self.plots.quality: values[self.plots.quality],
            families: gr.CheckboxGroup(family_choices(own=bool(settings)), value=values[families]),
        }
        return changed | self.filter(values, key) | self.choose(values, key)

    # ---- opening in Compare ----
    def open_point(self, model: str, own: tuple[ListedSetting, ...], event: gr.EventData) -> Updates:
        """Open the setting of the point that was double-clicked."""
        return self.open(str(event.id), model, own)

    def open(self, key: str, model: str, own: tuple[ListedSetting, ...]) -> Updates:
        """Put a row's model, steps, method and knobs into Compare. If the row's model cannot be loaded here,
        Compare keeps ``model``, the model chosen there.
        """
        setting = find_setting(key, own)
        if setting is None or setting.why_not_openable:  # the card gives the reason
            return {self.parts.status: statuses.idle()}
        wanted = own_benchmark.model_name(setting)
        available = wanted in MODELS and MODELS[wanted].unavailable() is None
        target, steps = wanted if available else model, setting.baseline.steps
        try:
            request = form.request_from({"model": target, "prompt": setting.name, "steps": steps})
            form.method_of(setting.method, request)
        except EngineError as error:
            return {self.parts.status: error_line(f"It does not fit {MODELS[target].title}. {error}")}
        origin = preset_title(target, method_from(setting.method))
        there = self.compare
        moved: Updates = {} if target == model else self.fields.for_model(target) | {there.model: target}
        moved |= self.fields.fill(target, steps, setting.method, origin)
        return moved | {
            there.steps: steps,
            there.status: statuses.idle(_opened_line(setting, wanted, "" if available else target)),
            self.parts.status: statuses.idle(),
            self.tabs: gr.Tabs(selected="compare"),
        }


def _card(setting: ListedSetting | None) -> SettingValue:
    if setting is not None and setting.family == OWN_FAMILY:
        return own_benchmark.card(setting)
    return published_views.card(setting)


def first_key(model: str) -> str:
    """Return the key of the row that is chosen when the tables of a model are first shown."""
    return START if model == FLUX else select_settings(model, ["dbcache"])[0].key


def _opened_line(setting: ListedSetting, wanted: str, instead: str) -> str:
    """Return the line in which Compare names the source of the setting. ``instead``: the model on Compare, if
    ``wanted`` cannot run.
    """
    if setting.family == OWN_FAMILY:
        verb, model = "measured on", own_benchmark.model_title(wanted)
    else:
        verb, model = "published for", setting.baseline.model
    line = f"{setting.name}, {verb} {model} at {setting.baseline.steps} steps"
    return (
        f"{line}; {model} cannot be loaded here, so {MODELS[instead].title} stays." if instead else f"{line}."
    )
