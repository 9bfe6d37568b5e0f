"""Real files: pydicom's own samples, and the shared films where they are present."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_files

from suite.errors import InputError
from suite.film import read_film
from suite.intake import collect, read_study
from suite.study import Projection

SHARED = Path(__file__).parents[2] / "shared" / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared films are not on this machine")

_SAMPLES = sorted(path for path in map(Path, get_testdata_files()) if path.is_file())
_GREY_SYNTAX_SAMPLES = (
    "JPEG2000.dcm",
    "JPEG-lossy.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "693_J2KI.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "image_dfl.dcm",
)


def test_every_bundled_sample_is_read_or_refused_in_one_sentence() -> None:
    refusals = []
    for path in _SAMPLES:
        try:
            read_film(path)
        except InputError as error:
            refusals.append(str(error).removeprefix(f"{path}: "))

    assert 100 < len(refusals) < len(_SAMPLES)
    for refusal in refusals:
        assert refusal.endswith(".")
        assert "\n" not in refusal
        assert not refusal.startswith("/")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", _GREY_SYNTAX_SAMPLES)
def test_bundled_samples_relabelled_as_radiographs_are_decoded_or_refused(name: str, tmp_path: Path) -> None:
    """The refusal by modality hides the decoders; as CR each sample must get through or be named broken."""
    dataset = pydicom.dcmread(get_testdata_files(name)[0])
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    dataset.save_as(tmp_path / "film.dcm")
    broken = {"JPEG-lossy.dcm": "pylibjpeg-libjpeg"}

    if name in broken:
        with pytest.raises(InputError, match=broken[name]):
            read_film(tmp_path / "film.dcm")
    else:
        film = read_film(tmp_path / "film.dcm")
        stored = dataset.pixel_array
        assert film.shape == stored.shape
        # MONOCHROME2 and positive slopes throughout: no brighter stored value may come out darker.
        in_order = film.pixels.ravel()[np.argsort(stored, axis=None, kind="stable")]
        assert float(np.diff(in_order).min()) >= 0.0


@needs_shared
def test_shared_dicom_films_have_dark_lungs_and_bright_mediastinum() -> None:
    intake = collect([SHARED / "dicom"])
    films = {files.id: files.load().frontal for files in intake.studies}

    assert intake.refused == ()
    assert len(films) == 6
    for name, projection in (
        ("chest-ap-monochrome2-jpeg-baseline", Projection.AP),
        ("chest-pa-monochrome1", Projection.PA),
        ("chest-pa-monochrome1-jpeg2000-lossy", Projection.PA),
    ):
        film = films[name]
        assert film is not None
        assert film.projection is projection
        rows, columns = film.shape
        strip = film.pixels[int(0.3 * rows) : int(0.6 * rows)]
        middle = strip[:, int(0.46 * columns) : int(0.54 * columns)].mean()
        for side in (0.25, 0.72):
            lung = strip[:, int((side - 0.05) * columns) : int((side + 0.05) * columns)].mean()
            assert middle - lung > 0.05, name


@needs_shared
def test_the_two_compressions_of_one_leg_give_the_same_pixels() -> None:
    first = read_film(SHARED / "dicom" / "leg-monochrome1-jpeg-lossless.dcm")
    second = read_film(SHARED / "dicom" / "leg-monochrome1-jpeg2000-lossless.dcm")

    np.testing.assert_array_equal(first.pixels, second.pixels)


@needs_shared
def test_shared_frontal_lateral_pairs_are_read() -> None:
    folder = SHARED / "frontal-lateral" / "images"
    frontals = sorted(folder.glob("*_frontal.*"))
    assert len(frontals) == 12
    for frontal in frontals:
        study = read_study(frontal, lateral=frontal.with_name(frontal.name.replace("frontal", "lateral")))
        assert set(study.views) == {"frontal", "lateral"}


@needs_shared
def test_jsrt_films_are_on_their_12_bit_scale() -> None:
    deep = next(
        film
        for film in (read_film(path) for path in sorted((SHARED / "jsrt" / "images").glob("*.png")))
        if "16-bit" in film.preprocessing[0]
    )

    assert (deep.grey_scale.black, deep.grey_scale.white) == (0.0, 4095.0)
