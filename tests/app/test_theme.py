"""Tests the contrast of the colours in both themes, and that the theme downloads nothing."""

from __future__ import annotations

import re

import pytest

from app.components.theme import POINTERS, css, theme

SURFACES = ("surface", "bg")
TEXT = (
    [("ink", on) for on in (*SURFACES, "well", "accent-soft", "accent-wash", "raised")]
    + [("ink-2", on) for on in (*SURFACES, "well", "accent-soft", "accent-wash", "raised", "error-soft")]
    + [("ink-3", on) for on in (*SURFACES, "well", "accent-soft", "accent-wash")]
    + [("accent-ink", on) for on in (*SURFACES, "accent-soft")]
    + [
        ("on-accent", "accent-fill"),
        ("on-accent", "accent-fill-hover"),
        ("warn", "warn-soft"),
        ("surface", "ink"),
        ("surface", "computed"),
        ("surface", "baseline"),
    ]
)
GRAPHICS = (
    [("field", on) for on in SURFACES]
    + [("computed", on) for on in (*SURFACES, "cached", "accent-wash", "accent-soft")]
    + [("cached-edge", on) for on in ("surface", "accent-wash", "accent-soft")]
    + [("accent", on) for on in SURFACES]
    + [("focus", on) for on in SURFACES]
    + [("error-edge", "error-soft"), ("ink", "cached")]
)


def tokens(dark: bool) -> dict[str, str]:
    light_block, dark_block = re.findall(r"(?:^:root|^\.dark) \{(.*?)^\}", css(), re.S | re.M)[:2]
    light = dict(re.findall(r"--cl-([\w-]+): (#[0-9a-f]{6})\b", light_block))
    return light | (dict(re.findall(r"--cl-([\w-]+): (#[0-9a-f]{6})\b", dark_block)) if dark else {})


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: str, ground: str) -> float:
    low, high = sorted((luminance(ink), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast_of_text_and_of_graphics(dark: bool) -> None:
    colours = tokens(dark)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    weak = [
        f"{ink} on {ground}"
        for pairs, least in ((TEXT, 4.5), (GRAPHICS, 3.0))
        for ink, ground in pairs
        if contrast(colours[ink], colours[ground]) < least
    ]
    assert weak == []


def test_the_dark_theme_names_the_same_colours() -> None:
    assert set(tokens(False)) == set(tokens(True))
    assert tokens(False) != tokens(True)


def test_gradio_points_at_the_tokens_in_light_and_dark() -> None:
    variables, sheet = theme()._get_theme_css(), css()
    for name, token in POINTERS.items():
        assert f"--cl-{token}:" in sheet
        assert variables.count(f"--{name.replace('_', '-')}: var(--cl-{token});") == 2, name


def test_nothing_is_fetched() -> None:
    everything = css() + theme()._get_theme_css()
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z]", everything)
    assert "@import" not in everything
    assert theme()._stylesheets == []
