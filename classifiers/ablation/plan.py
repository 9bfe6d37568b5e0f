"""Which networks an ablation trains: the configurations, placebo, ceiling, and leave-one-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.diagnosis.parts import is_chest
from suite.datasets.manifest import Manifest
from suite.errors import InputError

FULL = "dual+lungs+bone"


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of network: its name in the tables, the recipe keys that make it, and what it is."""

    name: str
    settings: Mapping[str, Any]
    meaning: str
    needs: tuple[str, ...] = ()
    """Targets every record must have."""


VARIANTS: tuple[Variant, ...] = (
    Variant("single", {"configuration": "single"}, "one branch, the frontal film as RGB: the baseline"),
    Variant("dual", {"configuration": "dual"}, "frontal and lateral branch"),
    Variant("dual+lungs", {"configuration": "dual+lungs"}, "and the lung-segmented channel"),
    Variant(FULL, {"configuration": FULL, "bone_source": "gan"}, "and the GAN's bone-subtracted channel"),
    Variant(
        "placebo", {"configuration": FULL, "bone_source": "copy"}, "the bone channel is a copy of the film"
    ),
    Variant(
        "dual-energy",
        {"configuration": FULL, "bone_source": "dual_energy"},
        "the bone channel from two exposures",
        ("low", "high", "tissue"),
    ),
    Variant(
        "ceiling", {"configuration": FULL, "bone_source": "true"}, "the bone channel is the true bone image",
        ("bone",),
    ),
)  # fmt: skip

LEAVE_ONE_OUT: tuple[Variant, ...] = tuple(
    Variant(
        f"without {channel}",
        {"configuration": FULL, "bone_source": "gan", "without": channel},
        f"the full network without its {channel} input",
    )
    for channel in ("x-ray", "lung-segmented", "lateral")
)
"""Without the bone channel the full network is ``dual+lungs``, which is trained anyway."""

COMPARISONS: tuple[tuple[str, str], ...] = (
    ("dual", "single"),
    ("dual+lungs", "dual"),
    (FULL, "dual+lungs"),
    (FULL, "placebo"),
    ("placebo", "dual+lungs"),
    ("dual-energy", "dual+lungs"),
    ("ceiling", "dual+lungs"),
    ("ceiling", FULL),
    *((FULL, variant.name) for variant in LEAVE_ONE_OUT),
)
"""Pairs whose difference is a question of the study: first minus second."""


def choose(
    names: Sequence[str], manifests: Sequence[Manifest], *, leave_one_out: bool
) -> tuple[Variant, ...]:
    """The variants called ``names``, or all that the data allow; leave-one-out besides, on request.

    Raises:
        InputError: a name that does not exist.
    """
    known = {variant.name: variant for variant in (*VARIANTS, *LEAVE_ONE_OUT)}
    for name in names:
        if name not in known:
            raise InputError(f"configuration {name!r} is not known; use some of {', '.join(known)}.")
    further = LEAVE_ONE_OUT if leave_one_out else ()
    if names:
        return tuple(known[name] for name in dict.fromkeys((*names, *(variant.name for variant in further))))
    wanted = (*VARIANTS, *further)
    return tuple(variant for variant in wanted if _possible(variant, manifests))


def _possible(variant: Variant, manifests: Sequence[Manifest]) -> bool:
    return all(
        target in record.targets
        for target in variant.needs
        for manifest in manifests
        for record in manifest
        if is_chest(record)
    )
