"""What an access token of the pages has to be: long, and none that everybody tries first."""

from __future__ import annotations

MIN_SECRET_LENGTH = 16
"""Characters."""

_PLACEHOLDERS = (
    "changeme",
    "replaceme",
    "changethis",
    "defaultsecret",
    "yoursecret",
    "secretsecret",
    "passwordpassword",
    "radsuitesecret",
    "0123456789",
    "qwertyuiop",
)


def is_guessable(secret: str) -> bool:
    """Whether a secret is a placeholder, a keyboard row or a few characters repeated."""
    plain = "".join(character for character in secret.lower() if character.isalnum())
    return len(set(secret)) < 6 or any(word in plain for word in _PLACEHOLDERS)


def check_secret(secret: str) -> None:
    """Fail unless a secret can guard the pages.

    Raises:
        ValueError: it is short, or guessable.
    """
    if len(secret) < MIN_SECRET_LENGTH:
        raise ValueError(f"needs at least {MIN_SECRET_LENGTH} characters")
    if is_guessable(secret):
        raise ValueError("is one that everybody tries first; make one with `openssl rand -base64 32`")
