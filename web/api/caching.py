"""Answers that a client may keep, told apart by their ``ETag``."""

from __future__ import annotations

from web.api.operations import Answers

FOREVER = "private, max-age=31536000, immutable"
"""What never changes."""

ASK_AGAIN = "private, no-cache"
"""What may have changed: kept, and asked for again with ``If-None-Match``."""

CACHED = {"ETag": "Of this very content", "Cache-Control": "How long it holds"}
NOT_CHANGED = Answers("It is the one in `If-None-Match`")


def asked_again(etag: str) -> dict[str, str]:
    """Headers of an answer that may change."""
    return {"ETag": f'"{etag}"', "Cache-Control": ASK_AGAIN}
