"""Computed limbs for tissue segmentation: hand, wrist, elbow, shoulder, knee, ankle, foot and pelvis.

The same machinery as the thorax: closed solids, exact path lengths, a polyenergetic beam, a display. Nothing
heavy is loaded before a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.phantom.limbs.study import LimbStudy, render_limb

PARTS = ("hand", "wrist", "elbow", "shoulder", "knee", "ankle", "foot", "pelvis")
"""Body parts that ``render_limb`` knows."""

__all__ = ["PARTS", "LimbStudy", "render_limb"]


def __getattr__(name: str) -> Any:
    if name not in ("LimbStudy", "render_limb"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("suite.phantom.limbs.study"), name)
