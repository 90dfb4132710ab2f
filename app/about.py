"""The tab *About*: it explains in plain words how the numbers are measured."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

PUBLISHED_ROWS = Path(__file__).resolve().parents[1] / "docs" / "published-rows.md"
TEXT = """
## What you see

CacheLens draws one prompt twice with the same seed: once with every block of the model at every step
(**baseline**), once with a feature cache (**accelerated**). Both run through the same code, on the same
device, in the same precision.

## How it is measured

- **Times faster** is the ratio of the measured seconds of the denoising loop alone, from the start of the
  transformer's first call to the end of the last step. The times for reading the prompt and decoding the
  picture are shown separately. The first run of a model and size is a warm-up and is not measured.
- **TFLOPs** are counted for everything that ran, attention included. The ratio of TFLOPs differs from the
  ratio of the times: a skipped step costs no compute, but the rest of the loop still takes time.
- **PSNR** and **SSIM** compare the pixels of the two pictures. Both figures tell how close the accelerated
  picture is to the baseline, not how good it is. A small shift costs as much as a fault, so look at the
  pictures too.
- **Change** tells how far the residual of the first blocks has moved since the last computed step: the mean
  absolute difference divided by the mean absolute value, in float32.
- On the embedded model, many usual settings are no closer to the baseline than the plain model with fewer
  steps. A setting that a search has found is closer, by several dB (docs/quality.md). Always compare with the
  method *Fewer steps* before you draw conclusions.
- Figures called *published* were printed by their source. CacheLens did not measure them.
- *Expected* figures were not measured either: CacheLens computes them from one recorded baseline run. The
  code that decides about each step is the same as in a run. The quality is given with a band. If the
  recorded run does not determine a figure, the page shows no estimate.
- A run opened from *History* shows the figures that were measured at that time, on the device that it names.
- Two contenders are compared with the same baseline. Every PSNR compares with the baseline, never one
  contender with the other.
"""


def build() -> None:
    """Build the tab."""
    with gr.Column(elem_classes="cl-text"):
        gr.Markdown(TEXT)
        if PUBLISHED_ROWS.is_file():
            with gr.Accordion(
                "The published rows, and what they cost here", open=False, elem_id="published-rows"
            ):
                gr.Markdown(PUBLISHED_ROWS.read_text(encoding="utf-8").partition("\n")[2])
