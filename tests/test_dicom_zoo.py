"""Every animal of the synthetic DICOM zoo gives the display values that the standard prescribes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.dicom.reading import read_radiograph
from suite.study import FULL_16_BIT
from tests.dicom_zoo import ZOO, Animal, save


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_display_values_are_those_of_the_standard(animal: Animal, tmp_path: Path) -> None:
    film = read_radiograph(save(animal.dataset(), tmp_path / "film.dcm"))

    expected = animal.expected(animal.stored.astype(np.float64))
    assert film.shape == animal.stored.shape
    np.testing.assert_allclose(film.pixels, expected, rtol=0, atol=animal.tolerance)


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_warnings_name_what_is_odd_and_nothing_else(animal: Animal, tmp_path: Path) -> None:
    film = read_radiograph(save(animal.dataset(), tmp_path / "film.dcm"))

    if animal.warns is None:
        assert [warning for warning in film.warnings if "border" not in warning] == []
    else:
        assert any(animal.warns in warning for warning in film.warnings), film.warnings


def test_a_dicom_film_is_on_the_full_16_bit_scale_of_its_display_values(tmp_path: Path) -> None:
    film = read_radiograph(save(ZOO[0].dataset(), tmp_path / "film.dcm"))

    assert film.grey_scale == FULL_16_BIT
    assert not film.pixels.flags.writeable
