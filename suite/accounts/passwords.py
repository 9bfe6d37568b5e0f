"""Passwords as Argon2id hashes."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from suite.errors import InputError

MIN_LENGTH = 12
MAX_LENGTH = 512
"""NIST SP 800-63B asks for 8 or more and for at least 64 to be allowed; no rules on kinds of characters."""

_hasher = PasswordHasher()  # Argon2id, RFC 9106 second recommended option: 64 MiB, 3 passes
_turns = threading.BoundedSemaphore(2)
"""Each computation takes 64 MiB: many sign-ins at once must not exhaust the memory."""

_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$yhOcKX4dJwScZXKhs8IKSA$yg2Sz+bxCyyG7psttldTnecwI98okF51qPELjYfOZJs"
"""The hash of a password nobody knows: an unknown name takes as long as a known one."""


def hash_password(password: str) -> str:
    """The hash to store.

    Raises:
        InputError: the password is shorter than 12 or longer than 512 characters.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InputError(
            f"The password has {len(password)} characters; choose one of {MIN_LENGTH} to {MAX_LENGTH}, such "
            "as a sentence of your own."
        )
    with _turns:
        return _hasher.hash(password)


def is_right(stored: str | None, password: str) -> bool:
    """Whether the password belongs to the hash; takes as long when there is none."""
    with _turns:
        try:
            return _hasher.verify(stored or _NOBODY, password[: MAX_LENGTH + 1]) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)
