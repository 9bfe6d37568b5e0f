"""The digital thorax: a patient the suite can compute, with the truth of everything about it.

Coordinates are millimetres in the patient: x towards the patient's left, y towards the back, z towards the
head. ``Patient`` holds the parameters, ``build_scene`` turns them into closed surfaces and vessel trees,
``render_study`` exposes the scene and returns films and truth. Importing this package loads nothing heavy;
names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.phantom.anatomy import build_scene
    from suite.phantom.pathology.draw import draw_findings
    from suite.phantom.patient import Patient
    from suite.phantom.scene import Scene
    from suite.phantom.study import PhantomStudy, render_study

__all__ = ["Patient", "PhantomStudy", "Scene", "build_scene", "draw_findings", "render_study"]

_HOMES = {
    "Patient": "suite.phantom.patient",
    "PhantomStudy": "suite.phantom.study",
    "Scene": "suite.phantom.scene",
    "build_scene": "suite.phantom.anatomy",
    "draw_findings": "suite.phantom.pathology.draw",
    "render_study": "suite.phantom.study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
