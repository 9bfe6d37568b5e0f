"""What a cohort shows: the options of ``radsuite phantom``, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from suite.errors import InputError
from suite.findings import CODES
from suite.phantom import limbs
from suite.version import __version__

LIMBS: Final = limbs.PARTS
PARTS: Final = ("chest", *LIMBS)
SMALLEST, LARGEST = 64, 4096


@dataclass(frozen=True, slots=True)
class CohortSettings:
    """What a cohort shows, whatever its length.

    Attributes:
        seed: of everything drawn.
        size: rows and columns of the films.
        lateral: chests come with their lateral film.
        motion: heart and body move between the low and the high exposure.
        dicom: also write both films as DICOM.
        parts: body parts, dealt in turn; study ``index`` shows ``parts[index % len(parts)]``.
        prevalence: share of the studies with a finding, by code, where it shall not be the usual one.
        healthy: share of the patients who have nothing; the usual one when ``None``.
        label_noise: the manifest's labels are as text mining leaves them; ``truth.json`` keeps the truth.

    Raises:
        InputError: a value outside its range, an unknown part or finding.
    """

    seed: int
    size: int = 512
    lateral: bool = True
    motion: bool = False
    dicom: bool = False
    parts: tuple[str, ...] = ("chest",)
    prevalence: Mapping[str, float] = field(default_factory=dict)
    healthy: float | None = None
    label_noise: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed {self.seed} is outside 0 to 2^63 - 1; give another number.")
        if not SMALLEST <= self.size <= LARGEST:
            raise InputError(f"--size {self.size} is outside {SMALLEST} to {LARGEST} pixels; give another.")
        for part in self.parts or ("",):
            if part not in PARTS:
                raise InputError(
                    f"body part {part!r} is not known; use some of {', '.join(PARTS)}, or limbs."
                )
        for code, share in self.prevalence.items():
            if code not in CODES:
                raise InputError(f"finding {code!r} is not known; use one of {', '.join(CODES)}.")
            if not 0.0 <= share <= 1.0:
                raise InputError(f"prevalence {share} of {code} is outside 0 to 1; give a share.")

        if self.healthy is not None and not 0.0 <= self.healthy <= 1.0:
            raise InputError(f"--healthy {self.healthy} is outside 0 to 1; give a share.")

    def study_id(self, index: int) -> str:
        """Folder name of study ``index``."""
        return f"phantom-{self.seed}-{index:06d}"

    def uid_key(self, index: int) -> str:
        """What the DICOM UIDs of study ``index`` are computed from: everything its pixels depend on."""
        return json.dumps([__version__, asdict(self), index], sort_keys=True)

    def part(self, index: int) -> str:
        """Body part of study ``index``."""
        return self.parts[index % len(self.parts)]


def parse_parts(text: str) -> tuple[str, ...]:
    """``chest,hand`` or ``limbs`` as body parts, each once; the settings refuse unknown names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    listed = [part for name in names for part in (LIMBS if name == "limbs" else (name,))]
    return tuple(dict.fromkeys(listed))


def parse_prevalence(options: tuple[str, ...]) -> dict[str, float]:
    """``CODE=SHARE`` options, ``all=SHARE`` first, as a mapping.

    Raises:
        InputError: an option is not of that form.
    """
    shares: dict[str, float] = {}
    for option in sorted(options, key=lambda one: not one.startswith("all=")):
        code, separator, text = option.partition("=")
        try:
            share = float(text)
        except ValueError:
            separator = ""
        if not (separator and code):
            raise InputError(f"--prevalence {option!r} is not CODE=SHARE; write for example fracture=0.3.")
        shares |= dict.fromkeys(CODES if code == "all" else (code,), share)
    return shares
