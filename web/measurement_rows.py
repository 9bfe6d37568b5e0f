"""Measurements of a report as readers see them: in words, with units, what belongs together side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Unit = Literal["px", "mm", "cm²", "%", "ratio", "score"]

WORDS: dict[str, tuple[str, Unit]] = {
    "lung_area_px": ("Visible lung fields", "px"),
    "right_lung_area_px": ("Right lung field", "px"),
    "left_lung_area_px": ("Left lung field", "px"),
    "lung_area_cm2_at_detector": ("Visible lung fields, at detector", "cm²"),
    "lung_whole_area_px": ("Whole lungs, with what is hidden", "px"),
    "lung_whole_area_cm2_at_detector": ("Whole lungs, at detector", "cm²"),
    "right_lung_hidden_share": ("Right lung, hidden on the film", "%"),
    "left_lung_hidden_share": ("Left lung, hidden on the film", "%"),
    "cardiothoracic_ratio": ("Cardiothoracic ratio", "ratio"),
    "heart_width_px": ("Heart, widest", "px"),
    "thorax_width_px": ("Thorax, widest inside", "px"),
    "heart_area_px": ("Heart, area", "px"),
    "heart_width_mm_at_detector": ("Heart, widest, at detector", "mm"),
    "thorax_width_mm_at_detector": ("Thorax, widest inside, at detector", "mm"),
    "heart_area_cm2_at_detector": ("Heart, area at detector", "cm²"),
    "pneumothorax_area_px": ("Pneumothorax, area", "px"),
    "pneumothorax_right_area_px": ("Pneumothorax, area on the right", "px"),
    "pneumothorax_right_share": ("Pneumothorax, of the right side", "%"),
    "pneumothorax_left_area_px": ("Pneumothorax, area on the left", "px"),
    "pneumothorax_left_share": ("Pneumothorax, of the left side", "%"),
    "pneumothorax_gate_score": ("Pneumothorax gate, no probability", "score"),
    "bone_share_inside_lungs": ("Bone layer inside the lungs, mean of the film's range", "%"),
    "bone_residual_energy": ("Removed with the bones, root mean square of the film's range", "%"),
    "bone_residual_structure": ("Removed with the bones, of the film's structure", "%"),
    "bone_residual_again": ("What a second look would remove, of what was removed", "%"),
    "open_beam_share": ("Open beam, of the film", "%"),
    "soft_tissue_share": ("Soft tissue, of the film", "%"),
    "bone_share": ("Bone, of the film", "%"),
    "bone_area_px": ("Bone, area", "px"),
    "bone_area_cm2_at_detector": ("Bone, area at detector", "cm²"),
}
"""Name and unit by key of the report, in the order in which they are shown; shares are shown in percent."""


def measurement_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Measurements by name and value with unit; those that were not made are left out.

    Those of other people's stages come last, by their keys.
    """
    made = {
        key: value
        for key, value in (report.get("measurements") or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    known = [(WORDS[key][0], _shown(made[key], WORDS[key][1])) for key in WORDS if key in made]
    others = [(key.replace("_", " ").capitalize(), _plain(made[key])) for key in made if key not in WORDS]
    return known + others


def _shown(value: float, unit: Unit) -> str:
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit in ("ratio", "score"):
        return f"{value:.2f}"
    digits = 0 if unit == "px" else 1
    return f"{value:,.{digits}f}".replace(",", " ") + f" {unit}"


def _plain(value: float) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:,.2f}"
