"""The figures that the tab *Published* can put on its axes, and the format of each."""

from __future__ import annotations

from typing import NamedTuple

from .tables import ListedSetting

AS_PRINTED, RELATIVE = "as printed", "against its baseline"
NOT_PRINTED = "not printed"


class Figure(NamedTuple):
    """One figure. ``text_format``: format of a printed value. ``relative_format``: format of a value relative
    to its baseline.
    """

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
    """The two figures that the user compares: a quality and a speed, as printed or relative to each row's own
    baseline.
    """

    quality: str = "image_reward"
    speed: str = "tflops"
    relative: bool = True

    def value(self, setting: ListedSetting, figure: str) -> float | None:
        """Return a setting's figure, as printed or relative to its baseline."""
        return setting.relative(figure) if self.relative else setting.value(figure)

    def text(self, setting: ListedSetting, figure: str) -> str:
        """Write a figure: relative to its baseline, or as printed with every digit. Return "" if the figure
        is not known.
        """
        known, value = (QUALITIES | SPEEDS)[figure], self.value(setting, figure)
        if value is None:
            return ""
        if self.relative and known.relative_format:
            return known.relative_format.format(value)
        return setting.printed[figure]
