"""A finished reading: the report, its pictures, and how both reach the disk whole."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from suite.errors import StorageError
from suite.report.folder import check_holds_only_a_reading
from suite.report.images import Picture
from suite.report.schema import as_text
from suite.storage import whole_folder, write_bytes, write_text

_FAST_COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class Reading:
    """One study, read.

    Attributes:
        report: follows the schema ``radsuite.report/1``.
        images: arrays by the names the report gives them, on the grid of the film they belong to;
            ``lung_mask`` is written to ``lung_mask.png``.
    """

    report: Mapping[str, Any]
    images: Mapping[str, Picture]

    def write(self, folder: Path) -> Path:
        """``report.json`` and the pictures into ``folder``, which then is complete or as it was before.

        A reading that is there already is replaced as a whole, with its DICOM objects.

        Raises:
            SuiteError: the report does not follow its schema, or holds a number that is not finite.
            StorageError: the disk refused, or the folder holds anything but a reading.
        """
        check_holds_only_a_reading(folder)
        text = as_text(self.report)
        with whole_folder(folder) as temporary, ThreadPoolExecutor(max_workers=2) as pool:
            paths = [temporary / f"{name}.png" for name in self.images]
            list(pool.map(_write_png, paths, self.images.values()))
            write_text(temporary / "report.json", text)
        return folder / "report.json"


def _write_png(path: Path, picture: Picture) -> None:
    done, encoded = cv2.imencode(".png", picture, _FAST_COMPRESSION)
    if not done:
        raise StorageError(f"{path}: the picture could not be encoded; please report this as a defect.")
    write_bytes(path, encoded.tobytes())
