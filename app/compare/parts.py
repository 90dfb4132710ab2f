"""The components of tab *Compare*, in groups. A layout function builds each group in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..controls import Updates
from ..form import KnobField

RequestField = gr.Textbox | gr.Dropdown | gr.Number | gr.File | gr.Image
SLIDER, SIDE_BY_SIDE, FLIP = VIEWS = ("Slider", "Side by side", "Flip")


@dataclass(frozen=True, eq=False, kw_only=True)
class PromptParts:
    """The prompt and the buttons under it."""

    prompt: gr.Textbox
    chips: list[gr.Button]  # example prompts
    unknown: gr.HTML  # words of the prompt that the model does not know
    generate: gr.Button
    stop: gr.Button
    cost: gr.HTML | None  # of a click; None where a click costs nothing
    status: gr.HTML


@dataclass(frozen=True, eq=False, kw_only=True)
class RequestParts:
    """The model, and the other fields of a request beside the prompt."""

    model: gr.Dropdown
    size: gr.Dropdown
    seed: gr.Number
    dice: gr.Button
    lock: gr.Button
    steps: gr.Number
    guidance: gr.Number
    cfg: gr.Number
    repeats: gr.Number  # timed runs of each side
    lora: gr.File
    weight: gr.Number  # of the LoRA
    picture: gr.Image  # to edit


@dataclass(frozen=True, eq=False, kw_only=True)
class SettingParts:
    """Method, preset, recipe and knobs."""

    method: gr.Dropdown
    method_note: gr.HTML  # grain, memory and source
    preset: gr.Radio
    dial: gr.HTML
    recipe_text: gr.Textbox
    recipe: gr.HTML
    groups: Mapping[str, gr.Column]  # by method, the column of its knobs
    knobs: Mapping[tuple[str, str], KnobField]  # by method and knob
    origin: gr.State  # title of the preset that the knobs came from
    chosen: gr.State  # name of the chosen method, also while the list offers more methods


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureParts:
    """The two pictures, their difference and their times."""

    view: gr.Radio
    stale: gr.HTML  # captions; a tag while the numbers belong to another setting
    slider_view: gr.Column
    pair: gr.ImageSlider
    reveal: gr.Slider
    side_view: gr.Column
    left: gr.Image
    right: gr.Image
    heat: gr.Image
    gain: gr.Slider
    difference: gr.HTML
    times: gr.HTML


@dataclass(frozen=True, eq=False, kw_only=True)
class ContenderParts:
    """The choice of a second contender for the left picture."""

    versus: gr.Column
    equal: gr.HTML  # the plain model at the same compute
    show_equal: gr.Button
    against: gr.Dropdown
    show_against: gr.Button
    against_note: gr.HTML


@dataclass(frozen=True, eq=False, kw_only=True)
class SharingParts:
    """Exports of the shown run, and the import of a file."""

    shared: gr.HTML  # which run is exported
    inside: gr.Checkbox  # whether pictures carry their setting
    pack: gr.Button
    archive: gr.DownloadButton
    take: gr.Button
    pin: gr.Button  # keeps the shown run in History
    bring: gr.UploadButton
    taken: gr.Column
    kind: gr.Radio
    code: gr.Textbox


@dataclass(frozen=True, eq=False, kw_only=True)
class TabState:
    """The state of one browser tab."""

    job: gr.State  # key of the job on its way
    done: gr.State  # keys of finished comparisons, oldest first
    shown: gr.State  # key of the comparison that is shown
    both: gr.State  # why the next run needs both sides; "" where the shown baseline is enough
    locked: gr.State  # whether the seed stays
    painted: gr.State  # [mask, steps forced by hand]; the steps are marked as long as the mask is this one


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareParts(
    PromptParts, RequestParts, SettingParts, PictureParts, ContenderParts, SharingParts, TabState
):
    """All components of the tab. A handler that needs one group takes that group's class."""

    headline: gr.HTML
    timeline: gr.HTML
    runs: gr.HTML

    @classmethod
    def of(cls, *groups: object, headline: gr.HTML, timeline: gr.HTML, runs: gr.HTML) -> CompareParts:
        """Put the groups together. Raises TypeError where a group is missing."""
        fields: dict[str, Any] = {}
        for group in groups:
            fields |= vars(group)
        return cls(**fields, headline=headline, timeline=timeline, runs=runs)

    @property
    def request(self) -> set[RequestField]:
        """The fields that make up a request."""
        return {
            self.prompt,
            self.model,
            self.size,
            self.seed,
            self.steps,
            self.guidance,
            self.cfg,
            self.lora,
            self.weight,
            self.picture,
        }

    @property
    def method_fields(self) -> set[gr.Component]:
        """The fields that make up a method: the chosen method's name, its preset and all knobs."""
        return {self.chosen, self.origin, *self.knobs.values()}


def buttons(parts: PromptParts, *, running: bool) -> Updates:
    """Return Generate and Stop, each usable only when a click makes sense."""
    return {parts.generate: gr.Button(interactive=not running), parts.stop: gr.Button(interactive=running)}
