"""The tissue map of a record, whatever its data set keeps it in."""

from __future__ import annotations

from suite.datasets import painted_masks, phantom
from suite.datasets.manifest import Record
from suite.study import Mask

TARGETS = {"phantom": "tissue", painted_masks.NAME: painted_masks.TARGET}
"""The target that holds the map, by data set."""


def tissue_classes(record: Record) -> Mask:
    """(H, W) on the film's grid: 0 open beam and shutters, 1 soft tissue, 2 bone.

    Raises:
        DatasetError: a file is missing, or a mask has a colour its legend does not.
    """
    if painted_masks.TARGET in record.targets:
        return painted_masks.tissue_classes(record)
    return phantom.tissue_classes(record)
