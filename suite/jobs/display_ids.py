"""Pseudonyms of studies, for everything that people see: a file's name may name a patient, this does not.

Drawn at random, so that nothing about the film leads to it; without vowels, so that it spells no word;
without letters and digits that look alike.
"""

from __future__ import annotations

import re
import secrets

ALPHABET = "23456789BCDFGHJKMNPQRSTVWXZ"
PATTERN = re.compile(rf"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


def new_display_id() -> str:
    """Two groups of four characters, such as ``K7QM-4T2X``: 27^8, some 3 x 10^11 of them."""
    drawn = [secrets.choice(ALPHABET) for _ in range(8)]
    return "".join(drawn[:4]) + "-" + "".join(drawn[4:])
