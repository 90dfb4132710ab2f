"""The figures that tab *Published* can put on its axes, and how each is written. Pure."""

from __future__ import annotations

from typing import NamedTuple

from .tables import ListedSetting

AS_PRINTED, RELATIVE = "as printed", "against its baseline"
NOT_PRINTED = "not printed"


class Figure(NamedTuple):
    """``text_format``: of a printed value; ``relative_format``: of a value against its baseline."""

    title: str
    text_format: str = "{:g}"
    relative_format: str = ""
    lower_is_better: bool = False


QUALITIES = {
    "image_reward": Figure("ImageReward", relative_format="{:.1f} %"),
    "clip_score": Figure("CLIP score", relative_format="{:.2f} %"),
    "psnr": Figure("PSNR as printed", "{:g} dB"),
    "ssim": Figure("SSIM"),
    "lpips": Figure("LPIPS", lower_is_better=True),
}
SPEEDS = {
    "tflops": Figure("TFLOPs", "{:g}", "{:.2f}×", lower_is_better=True),
    "latency_s": Figure("Latency", "{:g} s", "{:.2f}×", lower_is_better=True),
}


class FigureChoice(NamedTuple):
    """The figures that the user looks at: a quality against a speed, as printed or against each row's own
    baseline.
    """

    quality: str = "image_reward"
    speed: str = "tflops"
    relative: bool = True

    def value(self, setting: ListedSetting, figure: str) -> float | None:
        """Return a figure of a setting as this choice reads it."""
        return setting.relative(figure) if self.relative else setting.value(figure)

    def text(self, setting: ListedSetting, figure: str) -> str:
        """Write a figure: against its baseline, or as printed with every digit. Empty where none is known."""
        known, value = (QUALITIES | SPEEDS)[figure], self.value(setting, figure)
        if value is None:
            return ""
        if self.relative and known.relative_format:
            return known.relative_format.format(value)
        return setting.printed[figure]
