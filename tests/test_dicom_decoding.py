"""Stored values out of every transfer syntax, bit layouts, and pixel data that must be refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from suite.dicom import apart
from suite.dicom.reading import read_radiograph
from suite.errors import UnreadableFileError, UnsupportedPixelsError
from tests.dicom_zoo import make_dataset, save, scattered

_WINDOW: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}
_STORED = scattered(0, 4095, 64, 80)
_EXPECTED = (_STORED - 2047.5) / 4095 + 0.5


def _stored(path: Path) -> npt.NDArray[np.int64]:
    """12-bit numbers back from the display values of a full-range window."""
    return np.rint(read_radiograph(path).pixels.astype(np.float64) * 4095).astype(np.int64)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.keyword
)
def test_lossless_compressions_give_the_stored_values(syntax: UID, tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    dataset.compress(syntax)

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_jpeg_2000_keeps_signs(signed: bool, tmp_path: Path) -> None:
    stored = _STORED - 2048 * signed
    dataset = make_dataset(stored, signed=signed, WindowCenter=2048 - 2048 * signed, WindowWidth=4096)
    dataset.compress(JPEG2000Lossless)

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


@pytest.fixture
def jpeg_lossless(tmp_path: Path) -> Path:
    """A film in lossless JPEG."""
    gdcm = pytest.importorskip("gdcm")
    source = save(make_dataset(_STORED, **_WINDOW), tmp_path / "plain.dcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "film.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return tmp_path / "film.dcm"


def test_jpeg_lossless_gives_the_stored_values(jpeg_lossless: Path) -> None:
    film = read_radiograph(jpeg_lossless)
    assert JPEGLosslessSV1.name in film.preprocessing[0]
    np.testing.assert_array_equal(_stored(jpeg_lossless), _STORED)


def test_a_file_in_the_working_folder_is_not_taken_for_a_library(
    jpeg_lossless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pydicom.py").write_text("raise SystemExit('the wrong file')")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(_stored(jpeg_lossless), _STORED)


@pytest.mark.parametrize("ending", ["import os; os.abort()", "import time; time.sleep(60)"])
def test_a_decoder_that_dies_or_hangs_refuses_the_film_and_leaves_the_process(
    jpeg_lossless: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(apart, "COMMAND", (sys.executable, "-c", ending))
    monkeypatch.setattr(apart, "LIMIT_SECONDS", 0.5)
    with pytest.raises(UnreadableFileError, match="corrupt and could not be decoded"):
        read_radiograph(jpeg_lossless)


def test_a_film_that_is_decompressed_keeps_its_uid_and_the_child_sees_no_patient(
    jpeg_lossless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = pydicom.dcmread(jpeg_lossless)
    uid, given = dataset.SOPInstanceUID, []
    plain = apart._run
    monkeypatch.setattr(apart, "_run", lambda content: given.append(content) or plain(content))
    apart.decompress(dataset, "gdcm")
    assert dataset.SOPInstanceUID == uid
    assert not dataset.file_meta.TransferSyntaxUID.is_compressed
    assert b"PatientID" not in given[0]
    assert str(dataset.PatientID).encode() not in given[0]
    np.testing.assert_array_equal(dataset.pixel_array, _STORED)


def test_jpeg_baseline_is_close_to_the_original(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    dataset = _encapsulated(make_dataset(smooth, bits=8), JPEGBaseline8Bit, _jpeg(smooth))

    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.pixels, smooth / 255, atol=3 / 255)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=lambda uid: uid.keyword,
)
def test_uncompressed_syntaxes(syntax: UID, tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = _STORED.astype(">u2").tobytes()
    path = tmp_path / "film.dcm"
    dataset.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)

    np.testing.assert_array_equal(_stored(path), _STORED)


def test_a_file_without_preamble_and_meta_information_is_read(tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    del dataset.file_meta
    path = tmp_path / "bare"
    dataset.save_as(path, implicit_vr=True, little_endian=True)

    np.testing.assert_array_equal(_stored(path), _STORED)


def test_an_embedded_overlay_is_not_part_of_the_picture(tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    dataset.PixelData = (_STORED | (_STORED % 2 << 12)).astype("<u2").tobytes()
    dataset.add_new(0x60000102, "US", 12)

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


def test_values_beyond_the_declared_bits_are_kept(tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    dataset.BitsStored, dataset.HighBit = 10, 9

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


def test_signed_values_without_sign_extension(tmp_path: Path) -> None:
    signed = _STORED - 2048
    dataset = make_dataset(signed, signed=True, WindowCenter=0, WindowWidth=4096)
    dataset.PixelData = (signed & 0x0FFF).astype("<u2").tobytes()

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


def test_a_high_bit_above_the_stored_bits_is_shifted_down(tmp_path: Path) -> None:
    dataset = make_dataset(_STORED, **_WINDOW)
    dataset.HighBit = 15
    dataset.PixelData = (_STORED << 4).astype("<u2").tobytes()

    np.testing.assert_array_equal(_stored(save(dataset, tmp_path / "film.dcm")), _STORED)


def test_grey_rgb_becomes_one_channel(tmp_path: Path) -> None:
    grey = scattered(0, 255, 64, 80)
    dataset = make_dataset(np.dstack([grey] * 3), bits=8, PhotometricInterpretation="RGB")

    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.pixels, grey / 255, atol=1e-6)


def test_a_grey_palette_is_looked_up(tmp_path: Path) -> None:
    index = scattered(0, 255, 64, 80)
    dataset = make_dataset(index, bits=8, PhotometricInterpretation="PALETTE COLOR")
    reversed_grey = np.arange(255, -1, -1, dtype=np.uint16) * 257
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", reversed_grey.tobytes())

    film = read_radiograph(save(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.pixels, 1 - index / 255, atol=2e-3)


def _cut_native(dataset: Dataset) -> Dataset:
    dataset.PixelData = dataset.PixelData[:3000]
    return dataset


def _cut_codestream(dataset: Dataset) -> Dataset:
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    return _encapsulated(make_dataset(smooth, bits=8), JPEGBaseline8Bit, _jpeg(smooth)[:-200])


def _other_size(dataset: Dataset) -> Dataset:
    big = np.zeros((4000, 4000), dtype=np.uint8)
    return _encapsulated(make_dataset(scattered(0, 255, 64, 80), bits=8), JPEGBaseline8Bit, _jpeg(big))


def _no_pixel_data(dataset: Dataset) -> Dataset:
    del dataset.PixelData
    return dataset


def _no_rows(dataset: Dataset) -> Dataset:
    del dataset.Rows
    return dataset


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_cut_native, "ends after 3000 of 10240 bytes"),
        (_cut_codestream, "breaks off before the end"),
        (_other_size, "promises 80 x 64 pixels and the compressed picture has 4000 x 4000"),
        (_no_pixel_data, "no pixel data"),
        (_no_rows, "no rows and columns"),
    ],
)
def test_damaged_pixel_data_are_refused(
    damage: Callable[[Dataset], Dataset], reason: str, tmp_path: Path
) -> None:
    path = save(damage(make_dataset(_STORED)), tmp_path / "film.dcm")

    with pytest.raises(UnreadableFileError, match=reason):
        read_radiograph(path)


@pytest.mark.parametrize("keep", [200, 700, 900, 4000, 10_000])
def test_a_truncated_file_is_refused_wherever_it_breaks_off(keep: int, tmp_path: Path) -> None:
    whole = save(make_dataset(_STORED), tmp_path / "whole.dcm").read_bytes()
    path = tmp_path / "film.dcm"
    path.write_bytes(whole[:keep])

    with pytest.raises(UnreadableFileError, match=r"film\.dcm: .*again\."):
        read_radiograph(path)


def test_twelve_bit_jpeg_names_the_plug_in_that_reads_it(tmp_path: Path) -> None:
    import pydicom
    from pydicom.data import get_testdata_files

    dataset = pydicom.dcmread(get_testdata_files("JPGExtended.dcm")[0])
    dataset.Modality = "CR"
    assert dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    path = tmp_path / "film.dcm"
    dataset.save_as(path)

    with pytest.raises(UnsupportedPixelsError, match="pip install pylibjpeg-libjpeg"):
        read_radiograph(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Rows": 20_000, "Columns": 20_000}, "more than the 64 million"),
        ({"Rows": 1, "Columns": 1}, "1 x 1 pixels are too few"),
        ({"NumberOfFrames": 12}, "12 frames"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "pixels of 1 bits"),
        ({"PhotometricInterpretation": "CMYK"}, "CMYK"),
    ],
)
def test_pixels_that_are_not_read_are_refused_from_the_header(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    dataset = make_dataset(_STORED)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)

    with pytest.raises(UnsupportedPixelsError, match=reason):
        read_radiograph(save(dataset, tmp_path / "film.dcm"))


def test_an_unknown_transfer_syntax_is_named(tmp_path: Path) -> None:
    dataset = _encapsulated(make_dataset(_STORED), UID("1.2.840.10008.1.2.4.100"), b"\0" * 100)

    with pytest.raises(UnsupportedPixelsError, match="MPEG2 Main Profile"):
        read_radiograph(save(dataset, tmp_path / "film.dcm"))


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _encapsulated(dataset: Dataset, syntax: UID, frame: bytes) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset
