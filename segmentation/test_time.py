"""Test-time augmentation: a film is read several ways and the answers averaged on its own grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

Change = Callable[[Tensor], Tensor]
EDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to show a film, and the way back for the answer.

    Attributes:
        name: for provenance.
        forward: film (B, C, H, W) to film of the same shape.
        back: probabilities (B, M, H, W) to the grid and planes of the film as it was.
    """

    name: str
    forward: Change
    back: Change


def _same(tensor: Tensor) -> Tensor:
    return tensor


AS_IT_IS = Variant("as it is", _same, _same)


def mirrored(sides: Sequence[tuple[int, int]] = ()) -> Variant:
    """Left and right exchanged; only for networks that learned from mirrored films too.

    Args:
        sides: pairs of planes that are the same organ on either side, such as ``[(0, 1)]`` for right and left
            lung; they change places on the way back.
    """

    def back(probabilities: Tensor) -> Tensor:
        order = list(range(probabilities.shape[1]))
        for first, second in sides:
            order[first], order[second] = order[second], order[first]
        return probabilities.flip(-1)[:, order]

    return Variant("mirrored", lambda film: film.flip(-1), back)


def gamma(exponent: float) -> Variant:
    """Grey values in [0, 1] to a power: above 1 darker, below 1 brighter."""
    return Variant(f"gamma {exponent:g}", lambda film: film.clamp(0, 1).pow(exponent), _same)


def zoomed(factor: float) -> Variant:
    """Enlarged about the centre by ``factor``; below 1 smaller, with black around it."""
    return Variant(
        f"zoom {factor:g}", lambda film: _scaled(film, factor), lambda answer: _scaled(answer, 1 / factor)
    )


def _scaled(picture: Tensor, factor: float) -> Tensor:
    matrix = picture.new_tensor([[1 / factor, 0, 0], [0, 1 / factor, 0]]).expand(len(picture), 2, 3)
    grid = affine_grid(matrix, list(picture.shape), align_corners=False)
    return grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def shifted(down: float, across: float) -> Variant:
    """Moved by shares of its sides, in whole pixels, with black where nothing comes in."""

    def by(picture: Tensor, sign: int) -> Tensor:
        rows, columns = (
            sign * round(share * side) for share, side in zip((down, across), picture.shape[-2:], strict=True)
        )
        return pad(picture, (columns, -columns, rows, -rows))

    return Variant(f"shift {down:g} {across:g}", lambda film: by(film, 1), lambda answer: by(answer, -1))


UNMIRRORED = (
    AS_IT_IS,
    *(gamma(exponent) for exponent in (0.8, 1.25)),
    *(zoomed(factor) for factor in (0.92, 1.08)),
    *(shifted(down, across) for down in (-0.02, 0.02) for across in (-0.02, 0.02)),
)
"""For networks that were never shown a mirrored film: lungs and organs. All well within what they learned."""

CHANGE = "tta_change_"
"""Before the name of a score: what it gains or loses by the averaging, film by film."""

NOTE = (
    f"tta: every film was read in {len(UNMIRRORED)} ways ({', '.join(way.name for way in UNMIRRORED)}) and "
    f"the answers averaged; {CHANGE}*: the score so read less the score of the film read once, film by film."
)


def changes(averaged: Mapping[str, Any], once: Mapping[str, Any], scores: Iterable[str]) -> dict[str, float]:
    """What the averaging does to the ``scores`` of one film: with it less without it."""
    return {f"{CHANGE}{score}": float(averaged[score]) - float(once[score]) for score in scores}


def averaged(predict: Change, film: Tensor, variants: Sequence[Variant]) -> Tensor:
    """Mean probability over the variants, of each pixel over those that showed it.

    Args:
        predict: films (B, C, H, W) to probabilities (B, M, H, W).
        film: (B, C, H, W) in [0, 1].
        variants: with ``AS_IT_IS`` among them every pixel is shown by at least one.
    """
    answers, weights = [], []
    for variant in variants:
        answer = predict(variant.forward(film))
        # pixels that interpolation mixed with the black around a film are not film
        film_there = variant.forward(torch.ones_like(film[:, :1])) > 1 - EDGE
        weight = film_there.to(answer).expand_as(answer)
        answers.append(variant.back(answer * weight))
        weights.append(variant.back(weight))
    return torch.stack(answers).sum(0) / torch.stack(weights).sum(0).clamp_min(EDGE)
