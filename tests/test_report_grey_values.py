"""The layers beside a report: film, bone and soft tissue add up, number by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.intake import read_study
from suite.study import GreyScale
from tests import fake_stages
from tests.made_films import chest_pixels, write_png
from tests.report_house import SHAPE, read, stored, study


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_film_is_soft_tissue_plus_bone_number_by_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bits: int
) -> None:
    """Read from a file, decomposed, written and read back: the numbers of the file itself."""
    values = np.rint(chest_pixels(*SHAPE) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    values[0, :2] = 0, 2**bits - 1
    write_png(tmp_path / "film.png", values)
    reading = read(monkeypatch, fake_stages.whole_house(), read_study(tmp_path / "film.png"))
    reading.write(tmp_path / "out")
    layers = {
        name: stored(tmp_path / "out", name) for name in ("bone_subtracted", "bone_suppressed", "residual")
    }
    assert all(layer.dtype == np.uint16 for layer in layers.values())
    widened = values.astype(np.int64) * (257 if bits == 8 else 1)
    np.testing.assert_array_equal(widened, layers["bone_suppressed"] + layers["bone_subtracted"])
    np.testing.assert_array_equal(layers["residual"], layers["bone_subtracted"])
    assert layers["bone_subtracted"][1:3].max() == 0  # the fake takes bone from every third row
    assert layers["bone_subtracted"][150].min() > 0


@pytest.mark.parametrize("scale", [GreyScale(0.0, 65535.0), GreyScale(0.0, 4095.0), GreyScale(500.0, 3000.0)])
def test_layers_add_up_on_any_grey_scale(monkeypatch: pytest.MonkeyPatch, scale: GreyScale) -> None:
    films = study(scale=scale)
    images = read(monkeypatch, fake_stages.whole_house(), films).images
    assert films.frontal is not None
    total = images["bone_suppressed"].astype(np.int64) + images["bone_subtracted"]
    np.testing.assert_array_equal(total, scale.to_uint16(films.frontal.pixels))


def test_a_dicom_film_keeps_the_full_sixteen_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DICOM film's presentation values are spread over 0 to 65535; the layers live there too."""
    films = study()
    images = read(monkeypatch, fake_stages.whole_house(), films).images
    total = images["bone_suppressed"].astype(np.int64) + images["bone_subtracted"]
    np.testing.assert_array_equal(total, images["film"])
    report = read(monkeypatch, fake_stages.whole_house(), films).report
    assert report["provenance"]["grey_scale"]["frontal"] == {"black": 0.0, "white": 65535.0}
