"""The pictures beside a report: films, masks, and what the bone network parts a film into."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from suite.errors import StageError
from suite.report.unfinished import Draft
from suite.stages.artifacts import is_mask
from suite.stages.contract import Artifact
from suite.study import FULL_16_BIT, Mask, Radiograph, Study

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_FILMS = {"frontal": "film", "lateral": "film_lateral"}


def film_pictures(study: Study) -> dict[str, Picture]:
    """The films that were read, by the names of their pictures, 16 bit over the whole range."""
    return {_FILMS[view]: FULL_16_BIT.to_uint16(film.pixels) for view, film in study.views.items()}


def add_layers(draft: Draft, pictures: dict[str, Picture]) -> dict[str, str]:
    """Add the layers of the frontal film to ``pictures``, and name the file of each picture there is.

    Masks as they are; grey layers on the scale of the film they came from.

    Raises:
        StageError: a mask does not have the film's size, so that nobody could lay it on the film.
    """
    for name, artifact in draft.artifacts.items():
        if is_mask(artifact.value):
            _check_size(name, artifact.value, draft.study.frontal)
            pictures[name] = artifact.value
    if draft.study.frontal is not None and "bone_subtracted" in draft.artifacts:
        pictures |= _bone_layers(draft.study.frontal, draft.artifacts)
    return {name: f"{name}.png" for name in pictures}


def _check_size(name: str, mask: Mask, film: Radiograph | None) -> None:
    if film is not None and mask.shape != film.shape:
        raise StageError(
            f"the mask {name} has {mask.shape[0]} x {mask.shape[1]} pixels and its film "
            f"{film.shape[0]} x {film.shape[1]}; mend the stage that makes it, or leave that stage out."
        )


def _bone_layers(film: Radiograph, artifacts: Mapping[str, Artifact]) -> dict[str, Picture]:
    """Bone, film minus bone, and what is missing between film and soft tissue, in numbers of the source.

    Differences carry no offset: a layer of nothing is 0, whatever number the film's black has, so that
    ``film = bone_suppressed + bone_subtracted`` holds number by number.
    """
    scale = film.grey_scale
    original = scale.to_uint16(film.pixels).astype(np.int32)
    suppressed = scale.to_uint16(artifacts["bone_suppressed"].value).astype(np.int32)
    difference = np.abs(original - suppressed).astype(np.uint16)
    return {
        "bone_subtracted": difference,
        "bone_suppressed": suppressed.astype(np.uint16),
        "residual": difference,
    }
