"""Where a data set says a finding is: an outline or boxes, as a mask on the frontal film's own pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from suite.findings import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from suite.datasets.manifest import Box, Record
    from suite.study import Mask


def known_places(record: Record) -> tuple[str, ...]:
    """Codes of the findings whose place the record knows, in their order. No file is opened."""
    outlined = {code for code in CODES if f"finding_{code}" in record.targets} | set(record.boxes)
    if record.attributes.get("rle"):
        outlined.add("pneumothorax")
    return tuple(code for code in CODES if code in outlined)


def place_of(record: Record, code: str, shape: tuple[int, int]) -> Mask:
    """Where ``code`` is on the frontal film of ``shape`` (H, W): 1 inside its outline or boxes, else 0.

    An outline that is drawn on another matrix of the same film is resized. A finding without a known place
    gives a mask of zeros.

    Raises:
        DatasetError: the outline's file cannot be read.
    """
    import cv2
    import numpy as np

    if code in record.boxes:
        return _boxes(record.boxes[code], shape)
    if code == "pneumothorax" and record.attributes.get("rle"):
        from suite.datasets.siim import pneumothorax_mask

        outline = pneumothorax_mask(record)
    elif f"finding_{code}" in record.targets:
        from suite.phantom.encoding import read_png

        outline = (read_png(record.targets[f"finding_{code}"]) > 0).astype(np.uint8)
    else:
        return np.zeros(shape, np.uint8)
    if outline.shape == shape:
        return outline
    return np.asarray(cv2.resize(outline, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _boxes(boxes: Sequence[Box], shape: tuple[int, int]) -> Mask:
    import numpy as np

    rows, columns = shape
    mask = np.zeros(shape, np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[
            max(0, math.floor(y0 * rows)) : math.ceil(y1 * rows),
            max(0, math.floor(x0 * columns)) : math.ceil(x1 * columns),
        ] = 1
    return mask
