"""What a written report holds, and who signs it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from suite.accounts.principal import Means, Principal, Role
from suite.errors import AccessError, InputError

SECTIONS = {
    "indication": "Indication",
    "technique": "Technique",
    "findings": "Findings",
    "impression": "Impression",
}
"""Sections in their order, and what they are called."""

REQUIRED_TO_SIGN = ("findings", "impression")
SIGNING_ROLES = (Role.READER, Role.ADMIN)
MAX_NAME = 64
MAX_TEXT = 10_000
"""Characters of one section or addendum."""

_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]")


def may_sign(by: Principal) -> bool:
    """Whether they sign reports: readers and administrators, in person; a token is a program's."""
    return by.role in SIGNING_ROLES and by.means is not Means.TOKEN


def check_signs(by: Principal) -> None:
    """Let only those pass who may sign.

    Raises:
        AccessError: their role may not, or a program asks with a token.
    """
    if by.means is Means.TOKEN:
        raise AccessError(
            "A report is signed by a person at the page of the report, not by a token; sign in."
        )
    if not may_sign(by):
        raise AccessError(f"{by.name} is {by.role}, and reports are signed by readers; ask one of them.")


def signer_name(by: Principal, given: str) -> str:
    """The name below a text: a person's, never that of a shared token or of this computer.

    Args:
        given: what they call themselves; counts only where they have no account.

    Raises:
        InputError: it is needed, and is no name.
    """
    if by.user_id is not None:
        return by.name
    name = " ".join(given.split())
    if not 2 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InputError(
            f"A report is signed by a person: write your name, 2 to {MAX_NAME} characters, or sign in as a "
            "user."
        )
    return name


def checked_sections(sections: Mapping[str, str]) -> dict[str, str]:
    """All sections as they are kept; those left out are empty.

    Raises:
        InputError: an unknown section, or a text that is too long.
    """
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no section; the sections are {', '.join(SECTIONS)}.")
    return {name: checked_text(title, sections.get(name, "")) for name, title in SECTIONS.items()}


def checked_text(title: str, given: str) -> str:
    """The text as it is kept: lines by line feed, words by plain spaces, no other control characters.

    Raises:
        InputError: it is longer than :data:`MAX_TEXT`.
    """
    lines = _LINE_ENDS.sub("\n", given).strip()
    spaced = _SPACES.sub(" ", lines)  # a tab between two numbers that was dropped would make them one
    text = "".join(character for character in spaced if character == "\n" or character.isprintable())
    if len(text) > MAX_TEXT:
        raise InputError(f"{title} has {len(text)} characters and may have {MAX_TEXT}; shorten it.")
    return text
