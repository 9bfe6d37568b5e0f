"""The C-STORE statuses this suite answers with (PS3.4 B.2.3); STOW-RS gives the same as failure reasons."""

from __future__ import annotations

from enum import IntEnum

from suite.errors import InputError, NotARadiographError, StorageError, SuiteError, UnsupportedPixelsError

MAX_COMMENT = 64
"""Characters of an Error Comment (0000,0902), VR LO."""


class Status(IntEnum):
    """What became of one instance. The high byte is the standard's, the low byte tells our cases apart."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    WRONG_CLASS = 0xA900
    UNREADABLE = 0xC000
    UNSUPPORTED_PIXELS = 0xC001
    WRONG_UID = 0xC002
    OTHER_CONTENT = 0xC003
    TOO_LARGE = 0xC004


class RefusedInstanceError(InputError):
    """An instance that was not taken, with the status its sender is told."""

    def __init__(self, status: Status, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def status_of(error: SuiteError) -> Status:
    """The status for a failure of intake or storage."""
    if isinstance(error, RefusedInstanceError):
        return error.status
    if isinstance(error, StorageError):
        return Status.OUT_OF_RESOURCES
    if isinstance(error, NotARadiographError):
        return Status.WRONG_CLASS
    if isinstance(error, UnsupportedPixelsError):
        return Status.UNSUPPORTED_PIXELS
    return Status.UNREADABLE if isinstance(error, InputError) else Status.PROCESSING_FAILURE


def comment(error: SuiteError) -> str:
    """The sentence of an error as an Error Comment: cut before a clause that is too much, else at a word."""
    plain = sentence(error).encode("ascii", "replace").decode().replace("\\", "/")
    text = "".join(sign if sign.isprintable() else "?" for sign in plain)
    if len(text) <= MAX_COMMENT:
        return text
    start = text[: MAX_COMMENT + 1]
    end = start.rfind(";")
    return start[:end] if end > 0 else start.rsplit(" ", 1)[0].rstrip(",")


def sentence(error: SuiteError) -> str:
    """The sentence of an error without the name of what it is about."""
    return str(error).partition(": ")[2] or str(error)
