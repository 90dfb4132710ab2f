"""Tab *About*: how the numbers are measured, in plain words."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ROWS = Path(__file__).resolve().parents[1] / "docs" / "published-rows.md"
TEXT = """
## What you see

One prompt is drawn twice with the same seed: once with every block of the model at every step (**baseline**), once with a
feature cache (**accelerated**). Both run through the same code on the same device in the same precision.

## How it is measured

- **Times faster** is the denoise loop alone, in measured seconds, from the start of the first call of the transformer to the end
  of the last step. Reading the prompt and decoding the picture are shown apart. The first run of a model and size is a
  warm-up and is not recorded.
- **TFLOPs** are counted for what ran, attention included. Their ratio is another number than the measured one: a step that is
  skipped costs no compute, but the rest of the loop goes on.
- **PSNR** and **SSIM** compare the pixels of the two pictures. They say how close the accelerated picture is to the baseline, not
  how good it is. A small shift costs as much as a fault, so look at the pictures.
- **Change** is how far the residual of the first blocks has moved since the last computed step: mean absolute difference over mean
  absolute value, in float32.
- On the embedded model many usual settings are no closer to the baseline than the plain model with fewer steps; a searched one is, by
  several dB (docs/quality.md). Always compare with the method *Fewer steps* before you conclude.
- Figures called *published* were printed by their source and not measured here.
- *Expected* figures were not measured either: they follow from one recorded baseline run. The decisions are made by the same code as a
  run's; the likeness carries a band, and where nothing is known there is no estimate.
- A run that is opened from *History* shows what was measured then, on the device that it names.
- Two contenders are held against the same baseline: a PSNR is always to the baseline, never from one contender to the other.
"""


def build() -> None:
    with gr.Column(elem_classes="cl-text"):
        gr.Markdown(TEXT)
        if ROWS.is_file():
            with gr.Accordion(
                "The published rows, and what they cost here", open=False, elem_id="published-rows"
            ):
                gr.Markdown(ROWS.read_text(encoding="utf-8").partition("\n")[2])
