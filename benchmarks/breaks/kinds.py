"""The kinds of images that detectors of breaks are measured on, and what a folder's scores are of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.errors import InputError
from suite.storage import make_folder, write_text

BASELINE = "film"
"""The kind that the others are compared with."""


def known_kinds(text: str, known: Sequence[str]) -> list[str]:
    """Kinds named with commas between them.

    Raises:
        InputError: one of them is none of ``known``.
    """
    kinds = text.split(",")
    for kind in kinds:
        if kind not in known:
            raise InputError(f"--kinds names {kind!r}; use some of {', '.join(known)}.")
    return kinds


def remember(path: Path, state: Mapping[str, object], otherwise: str) -> None:
    """Write down in ``path`` what the scores beside it are of.

    Args:
        otherwise: what the folder holds if they are of something else.

    Raises:
        InputError: there are scores of something else.
    """
    if path.is_file() and json.loads(path.read_text()) != state:
        raise InputError(f"{path.parent}: holds {otherwise}; name another folder.")
    make_folder(path.parent / "scores")
    write_text(path, json.dumps(state, indent=2) + "\n")
