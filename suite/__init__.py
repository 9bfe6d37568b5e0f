"""The kernel of the radiology assistant suite: radiographs, studies, stages, jobs, data sets and training.

``from suite import analyze, read_study`` is the Python interface; both are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from suite.version import __version__

if TYPE_CHECKING:
    from suite.analysis import Analyzer, analyze
    from suite.intake import read_study

__all__ = ["Analyzer", "__version__", "analyze", "read_study"]

_HOMES = {"Analyzer": "suite.analysis", "analyze": "suite.analysis", "read_study": "suite.intake"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'suite' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
