"""Gradio's theme with our colours, and the page's style sheet.

Colours, sizes and spaces are custom properties in tokens.css (the "tokens"). There, each colour has a light
and a dark value. The theme refers to tokens only, so gradio's components change with the tokens. README.md
lists our classes.
"""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base

FOLDER = Path(__file__).resolve().parent
SHEETS = ("tokens.css", "base.css", "gradio.css", "viewer.css", "published.css", "tune.css", "share.css")
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")

# Maps gradio's variable to our token. The same token serves for light and dark.
POINTERS = {
    "body_background_fill": "bg",
    "body_text_color": "ink-2",
    "body_text_color_subdued": "ink-3",
    "background_fill_primary": "surface",
    "background_fill_secondary": "bg",
    "border_color_primary": "line",
    "border_color_accent": "accent",
    "color_accent_soft": "accent-soft",
    "link_text_color": "accent-ink",
    "link_text_color_hover": "accent-ink",
    "link_text_color_visited": "accent-ink",
    "link_text_color_active": "accent-ink",
    "block_background_fill": "surface",
    "block_border_color": "line",
    "block_label_background_fill": "surface",
    "block_label_border_color": "line",
    "block_label_text_color": "ink-3",
    "block_title_text_color": "ink-3",
    "block_info_text_color": "ink-3",
    "panel_background_fill": "bg",
    "panel_border_color": "line",
    "accordion_text_color": "ink",
    "input_background_fill": "surface",
    "input_background_fill_focus": "surface",
    "input_background_fill_hover": "surface",
    "input_border_color": "field",
    "input_border_color_focus": "accent",
    "input_border_color_hover": "ink-3",
    "input_placeholder_color": "ink-3",
    "checkbox_background_color": "surface",
    "checkbox_background_color_selected": "accent-fill",
    "checkbox_background_color_hover": "surface",
    "checkbox_background_color_focus": "surface",
    "checkbox_border_color": "field",
    "checkbox_border_color_focus": "accent",
    "checkbox_border_color_hover": "ink-3",
    "checkbox_border_color_selected": "accent-fill",
    "checkbox_label_background_fill": "surface",
    "checkbox_label_background_fill_hover": "well",
    "checkbox_label_background_fill_selected": "accent-soft",
    "checkbox_label_border_color": "field",
    "checkbox_label_border_color_selected": "accent",
    "checkbox_label_text_color": "ink-2",
    "checkbox_label_text_color_selected": "accent-ink",
    "slider_color": "accent",
    "loader_color": "accent",
    "stat_background_fill": "accent-soft",
    "button_primary_background_fill": "accent-fill",
    "button_primary_background_fill_hover": "accent-fill-hover",
    "button_primary_border_color": "accent-fill",
    "button_primary_border_color_hover": "accent-fill-hover",
    "button_primary_text_color": "on-accent",
    "button_primary_text_color_hover": "on-accent",
    "button_secondary_background_fill": "surface",
    "button_secondary_background_fill_hover": "well",
    "button_secondary_border_color": "field",
    "button_secondary_border_color_hover": "field",
    "button_secondary_text_color": "ink",
    "button_secondary_text_color_hover": "ink",
    "button_cancel_background_fill": "surface",
    "button_cancel_background_fill_hover": "well",
    "button_cancel_border_color": "field",
    "button_cancel_border_color_hover": "field",
    "button_cancel_text_color": "ink",
    "button_cancel_text_color_hover": "ink",
    "error_background_fill": "error-soft",
    "error_border_color": "error-edge",
    "error_text_color": "error",
    "error_icon_color": "error-edge",
    "table_border_color": "line",
    "table_even_background_fill": "surface",
    "table_odd_background_fill": "surface",
    "table_row_focus": "accent-soft",
    "table_text_color": "ink-2",
    "code_background_fill": "well",
}
# Sizes, and one colour for which gradio has no dark variable.
SIZES = {
    "color_accent": "var(--cl-accent)",
    "body_text_size": "var(--cl-text)",
    "block_label_text_size": "var(--cl-small)",
    "block_title_text_size": "var(--cl-small)",
    "block_info_text_size": "var(--cl-small)",
    "input_text_size": "var(--cl-text)",
    "block_title_text_weight": "500",
    "block_label_text_weight": "500",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_padding": "0px",
    "block_radius": "var(--cl-r-control)",
    "container_radius": "var(--cl-r-control)",
    "input_radius": "var(--cl-r-control)",
    "input_border_width": "1px",
    "input_padding": "6px 10px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "button_large_radius": "var(--cl-r-control)",
    "button_medium_radius": "var(--cl-r-control)",
    "button_small_radius": "var(--cl-r-control)",
    "button_large_text_size": "var(--cl-text)",
    "button_medium_text_size": "var(--cl-text)",
    "button_small_text_size": "var(--cl-small)",
    "button_large_text_weight": "600",
    "button_medium_text_weight": "500",
    "button_small_text_weight": "500",
    "button_large_padding": "0 var(--cl-3)",
    "button_medium_padding": "0 var(--cl-3)",
    "button_small_padding": "0 10px",
    "button_border_width": "1px",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "button_primary_shadow_hover": "none",
    "button_secondary_shadow_hover": "none",
    "button_transform_hover": "none",
    "button_transform_active": "none",
    "layout_gap": "var(--cl-3)",
    "form_gap_width": "0px",
    "section_header_text_size": "var(--cl-title)",
    "section_header_text_weight": "600",
}


def theme() -> Base:
    """Return gradio's theme with system fonts and our colours. The theme downloads nothing from other
    machines.
    """
    made = Base(font=list(SANS), font_mono=list(MONO))
    colours = {name: f"var(--cl-{token})" for name, token in POINTERS.items()}
    values = SIZES | colours | {f"{name}_dark": value for name, value in colours.items()}
    return made.set(**values)


def css() -> str:
    """Return the styles of tokens, shared parts and gradio's components, for ``launch(css=...)``."""
    return "\n".join((FOLDER / sheet).read_text(encoding="utf-8") for sheet in SHEETS)
