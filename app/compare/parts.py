"""The components of the tab *Compare*, in groups. A layout function builds each group in one call."""

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
    unknown: gr.HTML  # shows the words of the prompt that the model does not know
    generate: gr.Button
    stop: gr.Button
    cost: gr.HTML | None  # the cost of a click; None if clicks cost nothing
    status: gr.HTML


@dataclass(frozen=True, eq=False, kw_only=True)
class RequestParts:
    """The model, and the fields of a request other than the prompt."""

    model: gr.Dropdown
    size: gr.Dropdown
    seed: gr.Number
    dice: gr.Button
    lock: gr.Button
    steps: gr.Number
    guidance: gr.Number
    cfg: gr.Number
    repeats: gr.Number  # number of timed runs of each side
    lora: gr.File
    weight: gr.Number  # the LoRA's weight
    picture: gr.Image  # the picture to edit


@dataclass(frozen=True, eq=False, kw_only=True)
class SettingParts:
    """Method, preset, recipe and knobs."""

    method: gr.Dropdown
    method_note: gr.HTML  # grain, memory and source
    preset: gr.Radio
    dial: gr.HTML
    recipe_text: gr.Textbox
    recipe: gr.HTML
    groups: Mapping[str, gr.Column]  # by method: the column with its knobs
    knobs: Mapping[tuple[str, str], KnobField]  # by method and knob: the field
    origin: gr.State  # title of the preset that set the knobs
    chosen: gr.State  # name of the chosen method, kept while the list shows further methods


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureParts:
    """The two pictures, their difference and their times."""

    view: gr.Radio
    stale: gr.HTML  # captions, and a tag that is shown while the numbers belong to another setting
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
    equal: gr.HTML  # line about the plain model at the same compute
    show_equal: gr.Button
    against: gr.Dropdown
    show_against: gr.Button
    against_note: gr.HTML


@dataclass(frozen=True, eq=False, kw_only=True)
class SharingParts:
    """Exports of the shown run, and the button that opens a file."""

    shared: gr.HTML  # names the run that is exported
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
    """The state of one tab of the browser."""

    job: gr.State  # key of the job in progress
    done: gr.State  # keys of finished comparisons, oldest first
    shown: gr.State  # key of the comparison that the tab shows
    both: gr.State  # why the next run needs both sides; "" if the shown baseline is enough
    locked: gr.State  # True if the seed stays the same
    # [mask, steps forced by hand]; the steps are marked while the mask field holds exactly this mask
    painted: gr.State


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareParts(
    PromptParts, RequestParts, SettingParts, PictureParts, ContenderParts, SharingParts, TabState
):
    """All components of the tab. A handler that needs only one group takes that group's class."""

    headline: gr.HTML
    timeline: gr.HTML
    runs: gr.HTML

    @classmethod
    def of(cls, *groups: object, headline: gr.HTML, timeline: gr.HTML, runs: gr.HTML) -> CompareParts:
        """Put the groups together. Raises TypeError if a group is missing."""
        fields: dict[str, Any] = {}
        for group in groups:
            fields |= vars(group)
        return cls(**fields, headline=headline, timeline=timeline, runs=runs)

    @property
    def request(self) -> set[RequestField]:
        """Return the fields that make up a request."""
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
        """Return the fields that make up a method: the chosen method's name, its preset, and all knobs."""
        return {self.chosen, self.origin, *self.knobs.values()}


def buttons(parts: PromptParts, *, running: bool) -> Updates:
    """Return the buttons Generate and Stop, each enabled only while a click has an effect."""
    return {parts.generate: gr.Button(interactive=not running), parts.stop: gr.Button(interactive=running)}
