"""A zoo of small synthetic DICOM radiographs, each with the display values it must give.

The expected values are closed forms of the stored numbers, written out here in plain numpy from the text of
the standard; nothing of the code under test is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
DX_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

Stored = npt.NDArray[Any]
Expected = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def scattered(low: int, high: int, rows: int = 67, columns: int = 45) -> npt.NDArray[np.int64]:
    """A picture (rows, columns) with every part of ``low`` to ``high``, both included, evenly, unordered."""
    count = rows * columns
    order = (np.arange(count) * 1009) % count  # 1009 is prime to every size used here
    return (low + np.rint(order * (high - low) / (count - 1))).astype(np.int64).reshape(rows, columns)


def lut_item(entries: npt.NDArray[np.integer[Any]], first: int, bits: int) -> Dataset:
    """One item of a LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [entries.size % 65536, first % 65536, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


def make_dataset(stored: Stored, *, bits: int = 12, signed: bool = False, **attributes: Any) -> Dataset:
    """A complete CR data set around stored values (H, W); ``None`` as an attribute's value removes it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    allocated = 8 if bits <= 8 else 16
    defaults: dict[str, Any] = {
        "SOPClassUID": CR,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "Modality": "CR",
        "PatientName": "Nobody^Known",
        "PatientID": "secret-7",
        "PatientAge": "062Y",
        "PatientSex": "F",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
    }
    for keyword, value in {**defaults, **attributes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if stored.ndim == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    kind = f"<{'i' if signed else 'u'}{dataset.BitsAllocated // 8}"
    data = stored.astype(kind).tobytes()
    dataset.add_new("PixelData", "OB" if allocated == 8 else "OW", data + b"\0" * (len(data) % 2))
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write a data set as a DICOM file and return its path."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CR)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.save_as(path, enforce_file_format=True)
    return path


@dataclass(frozen=True)
class Animal:
    """One case: stored values, headers, and display values as a function of the stored ones."""

    name: str
    stored: npt.NDArray[np.int64]
    expected: Expected
    bits: int = 12
    signed: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-6
    warns: str | None = None

    def dataset(self) -> Dataset:
        return make_dataset(self.stored, bits=self.bits, signed=self.signed, **self.attributes)


def _linear(center: float, width: float) -> Expected:
    """PS3.3 C.11.2.1.2.1 with output 0 to 1."""

    def window(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        inside = (x - (center - 0.5)) / (width - 1) + 0.5
        below, above = x <= center - 0.5 - (width - 1) / 2, x > center - 0.5 + (width - 1) / 2
        return np.where(below, 0.0, np.where(above, 1.0, inside))

    return window


def _exact(center: float, width: float) -> Expected:
    """PS3.3 C.11.2.1.3.2."""
    return lambda x: np.where(
        x <= center - width / 2, 0.0, np.where(x > center + width / 2, 1.0, (x - center) / width + 0.5)
    )


def _sigmoid(center: float, width: float) -> Expected:
    """PS3.3 C.11.2.1.3.1."""
    return lambda x: 1.0 / (1.0 + np.exp(-4.0 * (x - center) / width))


def _full(low: float, high: float) -> Expected:
    return lambda x: np.clip((x - low) / (high - low), 0.0, 1.0)


_WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
_GAMMA_16 = np.rint(65535 * (np.arange(4096) / 4095) ** 2).astype(np.int64)
_RAMP_12 = np.arange(4096)
_FULL_12 = scattered(0, 4095)
_PADDED = np.where(np.arange(67)[:, None] < 20, 4095, scattered(100, 3000))


def _damaged_lut() -> Dataset:
    """A table that announces more entries than it has."""
    item = lut_item(np.arange(100), 0, 12)
    item.LUTDescriptor = [4096, 0, 12]
    return item


def _of(function: Expected, transform: Expected) -> Expected:
    return lambda x: function(transform(x))


ZOO: tuple[Animal, ...] = (
    # Polarity
    Animal("monochrome2", _FULL_12, _linear(2048, 4096), attributes=_WINDOW),
    Animal(
        "monochrome1",
        _FULL_12,
        lambda x: 1 - _linear(2048, 4096)(x),
        attributes={**_WINDOW, "PhotometricInterpretation": "MONOCHROME1"},
    ),
    Animal(
        "monochrome1-inverse-shape-inverts-once",
        _FULL_12,
        lambda x: 1 - _linear(2048, 4096)(x),
        attributes={
            **_WINDOW,
            "SOPClassUID": DX,
            "Modality": "DX",
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "INVERSE",
        },
    ),
    Animal(
        "monochrome1-identity-shape-contradicts",
        _FULL_12,
        lambda x: 1 - _linear(2048, 4096)(x),
        attributes={
            **_WINDOW,
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "IDENTITY",
        },
        warns="contradict",
    ),
    Animal(
        "monochrome2-inverse-shape",
        _FULL_12,
        lambda x: 1 - _linear(2048, 4096)(x),
        attributes={**_WINDOW, "PresentationLUTShape": "INVERSE"},
        warns="unusual pair",
    ),
    Animal(
        "monochrome2-identity-shape",
        _FULL_12,
        _linear(2048, 4096),
        attributes={**_WINDOW, "PresentationLUTShape": "IDENTITY"},
    ),
    # Modality
    Animal(
        "signed-without-window",
        scattered(-2048, 2047),
        _full(-2048, 2047),
        signed=True,
        tolerance=2e-3,
        warns="own range",
    ),
    Animal(
        "signed-16-bits",
        scattered(-32768, 32767),
        _linear(0, 65536),
        bits=16,
        signed=True,
        attributes={"WindowCenter": 0, "WindowWidth": 65536},
    ),
    Animal(
        "slope-minus-one",
        _FULL_12,
        _of(_linear(2048, 4096), lambda x: 4095 - x),
        attributes={**_WINDOW, "RescaleSlope": -1, "RescaleIntercept": 4095},
    ),
    Animal(
        "slope-minus-one-without-window",
        _FULL_12,
        lambda x: 1 - x / 4095,
        attributes={"RescaleSlope": -1, "RescaleIntercept": 0},
        tolerance=2e-3,
        warns="own range",
    ),
    Animal(
        "slope-minus-one-monochrome1",
        _FULL_12,
        lambda x: 1 - _linear(2048, 4096)(4095 - x),
        attributes={
            **_WINDOW,
            "RescaleSlope": -1,
            "RescaleIntercept": 4095,
            "PhotometricInterpretation": "MONOCHROME1",
        },
    ),
    Animal(
        "fractional-slope",
        _FULL_12,
        _of(_exact(100, 300), lambda x: 0.0625 * x - 10),
        attributes={
            "RescaleSlope": 0.0625,
            "RescaleIntercept": -10,
            "WindowCenter": 100,
            "WindowWidth": 300,
            "VOILUTFunction": "LINEAR_EXACT",
        },
    ),
    Animal(
        "zero-slope-is-left-out",
        _FULL_12,
        _linear(2048, 4096),
        attributes={**_WINDOW, "RescaleSlope": 0, "RescaleIntercept": 5},
        warns="Rescale Slope",
    ),
    Animal(
        "modality-lut",
        _FULL_12,
        _of(_linear(32768, 65536), lambda x: _GAMMA_16[x.astype(np.int64)].astype(np.float64)),
        attributes={
            "ModalityLUTSequence": [lut_item(_GAMMA_16, 0, 16)],
            "WindowCenter": 32768,
            "WindowWidth": 65536,
        },
    ),
    # VOI
    Animal(
        "narrow-window",
        _FULL_12,
        _linear(1500.5, 1001),
        attributes={"WindowCenter": 1500.5, "WindowWidth": 1001},
    ),
    Animal(
        "first-of-two-windows",
        _FULL_12,
        _linear(2000, 3000),
        attributes={"WindowCenter": [2000, 100], "WindowWidth": [3000, 50]},
    ),
    Animal(
        "linear-exact",
        _FULL_12,
        _exact(2000, 1600),
        attributes={"WindowCenter": 2000, "WindowWidth": 1600, "VOILUTFunction": "LINEAR_EXACT"},
    ),
    Animal(
        "sigmoid",
        _FULL_12,
        _sigmoid(1800, 1200),
        attributes={"WindowCenter": 1800, "WindowWidth": 1200, "VOILUTFunction": "SIGMOID"},
    ),
    Animal(
        "unknown-voi-function",
        _FULL_12,
        _linear(2048, 4096),
        attributes={**_WINDOW, "VOILUTFunction": "CUBIC"},
        warns="CUBIC",
    ),
    Animal(
        "voi-lut-of-16-bits-on-12-bit-data",
        _FULL_12,
        lambda x: np.rint(65535 * (x / 4095) ** 2) / 65535,
        attributes={"VOILUTSequence": [lut_item(_GAMMA_16, 0, 16)]},
    ),
    Animal(
        "voi-lut-before-window",
        _FULL_12,
        lambda x: np.rint(65535 * (x / 4095) ** 2) / 65535,
        attributes={**_WINDOW, "VOILUTSequence": [lut_item(_GAMMA_16, 0, 16)]},
    ),
    Animal(
        "voi-lut-from-1000-on",
        _FULL_12,
        lambda x: np.clip(x - 1000, 0, 1023) / 1023,
        attributes={"VOILUTSequence": [lut_item(np.arange(1024), 1000, 10)]},
    ),
    Animal(
        "voi-lut-with-negative-first-value",
        scattered(-2048, 2047),
        lambda x: (x + 2048) / 4095,
        signed=True,
        attributes={"VOILUTSequence": [lut_item(_RAMP_12, -2048, 12)]},
    ),
    Animal(
        "voi-lut-bits-declared-too-many",
        _FULL_12,
        lambda x: x / 4095,
        attributes={"VOILUTSequence": [lut_item(_RAMP_12, 0, 16)]},
        warns="declares 16 bits",
    ),
    Animal(
        "voi-lut-bits-declared-too-few",
        _FULL_12,
        lambda x: np.rint(65535 * (x / 4095) ** 2) / 65535,
        attributes={"VOILUTSequence": [lut_item(_GAMMA_16, 0, 12)]},
        warns="declares 12 bits",
    ),
    Animal(
        "voi-lut-then-monochrome1",
        _FULL_12,
        lambda x: 1 - np.rint(65535 * (x / 4095) ** 2) / 65535,
        attributes={
            "VOILUTSequence": [lut_item(_GAMMA_16, 0, 16)],
            "PhotometricInterpretation": "MONOCHROME1",
        },
    ),
    Animal(
        "damaged-voi-lut-gives-way-to-window",
        _FULL_12,
        _linear(2048, 4096),
        attributes={**_WINDOW, "VOILUTSequence": [_damaged_lut()]},
        warns="readable table",
    ),
    # Headers that make no sense
    Animal(
        "window-outside-the-data",
        scattered(100, 1100),
        _full(100, 1100),
        attributes={"WindowCenter": 40000, "WindowWidth": 400},
        tolerance=2e-3,
        warns="does not fit",
    ),
    Animal(
        "window-of-zero-width",
        scattered(100, 1100),
        _full(100, 1100),
        attributes={"WindowCenter": 600, "WindowWidth": 0},
        tolerance=2e-3,
        warns="impossible width",
    ),
    Animal(
        "quarter-of-the-range",
        scattered(1000, 2000),
        _full(1000, 2000),
        tolerance=2e-3,
        warns="grey levels it could have",
    ),
    Animal(
        "quarter-of-the-range-with-a-window-over-all",
        scattered(0, 1023),
        _full(0, 1023),
        attributes=_WINDOW,
        tolerance=2e-3,
        warns="does not fit",
    ),
    # Padding
    Animal(
        "padding-is-black",
        _PADDED,
        lambda x: np.where(x == 4095, 0.0, _linear(1550, 2900)(x)),
        attributes={"PixelPaddingValue": 4095, "WindowCenter": 1550, "WindowWidth": 2900},
    ),
    Animal(
        "padding-is-black-on-monochrome1-and-outside-the-range",
        np.where(_PADDED == 4095, 0, _PADDED),
        lambda x: np.where(x == 0, 0.0, 1 - _full(100, 3000)(x)),
        attributes={"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"},
        tolerance=2e-3,
        warns="own range",
    ),
    Animal(
        "padding-range",
        _PADDED,
        lambda x: np.where(x >= 4000, 0.0, _linear(1550, 2900)(x)),
        attributes={
            "PixelPaddingValue": 4000,
            "PixelPaddingRangeLimit": 4095,
            "WindowCenter": 1550,
            "WindowWidth": 2900,
        },
    ),
    # Depths and sizes
    *(
        Animal(
            f"{bits}-bits",
            scattered(0, 2**bits - 1),
            _linear(2 ** (bits - 1), 2**bits),
            bits=bits,
            attributes={"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits},
        )
        for bits in range(8, 17)
    ),
    Animal("8-bits-without-window", scattered(0, 255), lambda x: x / 255, bits=8),
    Animal("odd-size", scattered(0, 255, 33, 35), lambda x: x / 255, bits=8),
    # Missing tags
    Animal(
        "few-tags",
        _FULL_12,
        _linear(2048, 4096),
        attributes={
            **_WINDOW,
            "SamplesPerPixel": None,
            "BitsStored": 12,
            "HighBit": None,
            "PixelRepresentation": None,
            "ViewPosition": None,
            "StudyInstanceUID": None,
            "PatientAge": None,
        },
    ),
    Animal(
        "without-photometric-interpretation",
        _FULL_12,
        _linear(2048, 4096),
        attributes={**_WINDOW, "PhotometricInterpretation": None},
        warns="PhotometricInterpretation is missing",
    ),
)
