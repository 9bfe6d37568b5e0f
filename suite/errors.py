"""The error tree: every failure the suite foresees, one class each.

A message says what happened, where, and what to do now, in one sentence. ``exit_code`` is what the command
line returns: 2 when the input is at fault, 1 when the suite is.
"""

from __future__ import annotations

from typing import ClassVar


class SuiteError(Exception):
    """Root of all foreseen failures; catching it never hides a programming error."""

    exit_code: ClassVar[int] = 1


class InputError(SuiteError):
    """What the user handed in cannot be used: a file, a folder, an option, a recipe."""

    exit_code: ClassVar[int] = 2


class UnreadableFileError(InputError):
    """The file is missing, empty, truncated, or not what its content claims to be."""


class UnsupportedPixelsError(InputError):
    """The file is sound, but its pixels (compression, colour, frames, size) are of a kind not read."""


class NotARadiographError(InputError):
    """A sound image that is not a projection radiograph: CT, a document, a photograph."""


class RecipeError(InputError):
    """A training recipe or setting with an unknown key or a value outside its range."""


class DatasetError(InputError):
    """A data set folder that does not have its documented layout."""


class NotFoundError(InputError):
    """What was named does not exist, or not for who asks."""


class ConflictError(InputError):
    """The request does not fit what there is now: a taken name, a stale version, a job that has ended."""


class TooLargeError(InputError):
    """More bytes or files than is taken at once."""


class AccessError(InputError):
    """Name, password or token is wrong, expired, revoked or locked; which of them is not told."""


class WeightsError(SuiteError):
    """A weights file that is missing, altered (sha256), or of another architecture."""


class NotShippedError(WeightsError):
    """Weights that this release does not bring; the user may train them."""


class StageError(SuiteError):
    """A stage failed while it ran."""


class GraphError(SuiteError):
    """The stages asked for do not form a runnable graph."""


class StorageError(SuiteError):
    """The disk or the database refused."""
