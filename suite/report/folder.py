"""What lies in the folder of a reading, and what would be lost if a reading took its place."""

from __future__ import annotations

from pathlib import Path

from suite.errors import StorageError


def check_holds_only_a_reading(folder: Path) -> None:
    """Fail where replacing ``folder`` by a reading would remove what is none.

    Raises:
        StorageError: there is something else in it, or it cannot be looked into.
    """
    try:
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"{folder}: could not be made or opened ({error.strerror}); choose another folder."
        ) from error
    is_reading = "report.json" in names
    others = sorted(name for name in names if not (is_reading and _is_of_reading(name)))
    if others:
        raise StorageError(
            f"{folder}: holds {others[0]}, which is no part of a reading and would be lost; move it away, or "
            "choose another folder."
        )


def _is_of_reading(name: str) -> bool:
    return name in ("report.json", "dicom") or name.endswith(".png")
