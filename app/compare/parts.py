"""The components of tab *Compare*, by name: what its layout makes and its wiring connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..controls import Updates

SIDES, FLIP = "Side by side", "Flip"
VIEWS = ("Slider", SIDES, FLIP)


@dataclass
class Parts:
    """Every component that an event reads or writes."""

    prompt: Any = None
    chips: list[gr.Button] = field(default_factory=list)
    generate: Any = None
    stop: Any = None
    status: Any = None
    unknown: Any = None
    model: Any = None
    size: Any = None
    seed: Any = None
    dice: Any = None
    lock: Any = None
    steps: Any = None
    guidance: Any = None
    cfg: Any = None
    repeats: Any = None  # timed runs of each side
    lora: Any = None
    weight: Any = None
    picture: Any = None  # to edit
    cost: Any = None  # of a click, where it costs a quota
    method: Any = None
    method_note: Any = None  # grain, memory and source of the chosen method
    preset: Any = None
    recipe_text: Any = None
    recipe: Any = None
    groups: dict[str, Any] = field(default_factory=dict)  # method -> its Column of knobs
    knobs: dict[tuple[str, str], Any] = field(default_factory=dict)
    dial: Any = None
    headline: Any = None
    stale: Any = None  # captions of the pictures; says that they are of another setting than the numbers
    versus: Any = None  # the column of the second contender
    against: Any = None  # what stands left in the pictures
    show_against: Any = None
    against_note: Any = None
    equal: Any = None  # the plain model at the same compute
    show_equal: Any = None
    view: Any = None
    pair: Any = None
    reveal: Any = None
    slider_view: Any = None
    side_view: Any = None
    left: Any = None
    right: Any = None
    heat: Any = None
    gain: Any = None
    difference: Any = None
    times: Any = None
    timeline: Any = None
    runs: Any = None
    shared: Any = None  # which run it is that can be taken along
    inside: Any = None  # whether pictures carry their setting
    pack: Any = None
    archive: Any = None
    take: Any = None
    taken: Any = None  # the column of what is to be copied
    kind: Any = None
    code: Any = None
    bring: Any = None
    pin: Any = None  # the run that is shown, in History
    # state of this browser tab
    job: Any = None  # key of the job on its way
    done: Any = None  # keys of finished comparisons, oldest first
    shown: Any = None  # key of the one that is shown
    both: Any = None  # why the next run is of both sides; empty: the shown one's baseline is enough
    origin: Any = None  # title of the preset that the knobs came from
    chosen: Any = None  # name of the chosen method, also while the list shows something else
    locked: Any = None  # whether the seed is kept
    painted: Any = None  # [mask, steps forced by hand]: they are marked as long as the mask is this one

    @property
    def request(self) -> set[Any]:
        """The fields that a request is made of."""
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


def buttons(parts: Parts, *, running: bool) -> Updates:
    """Generate and Stop, while something runs and when it is over."""
    return {parts.generate: gr.Button(interactive=not running), parts.stop: gr.Button(interactive=running)}
