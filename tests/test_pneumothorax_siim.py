"""SIIM-ACR: the official layout in small, its run lengths, and every way a table can be wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from suite.datasets.manifest import Manifest
from suite.datasets.registry import open_dataset
from suite.datasets.siim import decode_rle, encode_rle, pneumothorax_mask
from suite.errors import DatasetError
from suite.findings import CODES
from tests.made_siim import COLUMNS, GAS, ROWS, RUNS, siim

PIXELS = ROWS * COLUMNS


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset("siim", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_runs_go_down_the_columns_and_skip_from_the_last_end() -> None:
    # by hand: skip 1, take 2 (rows 1, 2 of column 0); skip 2 (row 3, then row 0 of column 1), take 1
    expected = [[0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(decode_rle("1 2 2 1", (4, 3)), expected)


def test_a_run_to_the_last_pixel_fits_and_one_more_does_not() -> None:
    assert decode_rle("0 12", (4, 3)).all()
    assert decode_rle("11 1", (4, 3))[3, 2] == 1
    with pytest.raises(DatasetError, match="reaches pixel 13 of a film of 4 x 3 = 12"):
        decode_rle("11 2", (4, 3))


@given(arrays(np.uint8, (7, 5), elements=st.integers(0, 1)))
def test_what_is_encoded_decodes_to_itself(mask: np.ndarray) -> None:
    runs = encode_rle(mask)
    assert (runs == "-1") == (not mask.any())
    if mask.any():
        np.testing.assert_array_equal(decode_rle(runs, (7, 5)), mask)


def test_the_layout_is_read_with_its_patients_labels_and_outlines(tmp_path: Path) -> None:
    manifest = open_dataset("siim", siim(tmp_path, (True, False, True)))
    first, second, third = manifest
    assert [record.patient_id for record in manifest] == ["siim-p0", "siim-p1", "siim-p2"]
    assert all(record.frontal.path.is_file() for record in manifest)
    assert first.attributes["view"] == "AP"
    for record, gas in ((first, 1.0), (second, 0.0), (third, 1.0)):
        assert record.labels[CODES.index("pneumothorax")] == gas
        others = [value for code, value in zip(CODES, record.labels, strict=True) if code != "pneumothorax"]
        assert all(math.isnan(value) for value in others)
    expected = np.zeros((ROWS, COLUMNS), np.uint8)
    expected[GAS] = 1
    np.testing.assert_array_equal(pneumothorax_mask(first), expected)
    assert not pneumothorax_mask(second).any()


@pytest.mark.parametrize("header", ["ImageId, EncodedPixels", "ImageId,EncodedPixels"])
def test_both_official_headers_are_read(tmp_path: Path, header: str) -> None:
    assert len(open_dataset("siim", siim(tmp_path, header=header))) == 3


def test_the_table_of_the_second_stage_is_read_under_its_name(tmp_path: Path) -> None:
    folder = siim(tmp_path)
    (folder / "train-rle.csv").rename(folder / "stage_2_train.csv")
    assert len(open_dataset("siim", folder)) == 3


def test_several_rows_of_a_film_are_one_mask(tmp_path: Path) -> None:
    last = open_dataset("siim", siim(tmp_path, extra=(f"1.2.276.0, {PIXELS - 5} 5",))).records[0]
    mask = pneumothorax_mask(last)
    assert mask[GAS].all()
    assert mask[-5:, -1].all()
    assert int(mask.sum()) == 22 * 6 + 5


def test_a_film_without_a_row_was_never_labelled(tmp_path: Path) -> None:
    folder = siim(tmp_path)
    table = folder / "train-rle.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:3]) + "\n")
    assert [record.id for record in open_dataset("siim", folder)] == ["1.2.276.0", "1.2.276.1"]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (f"{PIXELS - 1} 2", f"reaches pixel {PIXELS + 1} of a film of {ROWS} x {COLUMNS} = {PIXELS}"),
        ("5 3 7", "holds 3 numbers, which are not pairs"),
        ("5 three", "holds something else than whole numbers"),
        ("5 0", "holds a negative skip or an empty run"),
        ("-4 6", "holds a negative skip or an empty run"),
    ],
)
def test_a_run_that_cannot_be_is_named_by_file_and_line(tmp_path: Path, runs: str, words: str) -> None:
    message = refusal(siim(tmp_path, extra=(f"1.2.276.0, {runs}",)))
    assert f"{tmp_path / 'train-rle.csv'}: line 5 {words}; compare" in message


def test_a_film_called_both_empty_and_not_is_refused(tmp_path: Path) -> None:
    assert "1.2.276.1 both empty (-1) and not" in refusal(siim(tmp_path, extra=(f"1.2.276.1, {RUNS}",)))


def test_a_row_without_its_film_and_a_film_that_is_none_are_refused(tmp_path: Path) -> None:
    assert "line 5 names 1.2.3, which has no 1.2.3.dcm" in refusal(siim(tmp_path, extra=("1.2.3, -1",)))
    film = next(tmp_path.rglob("1.2.276.0.dcm"))
    film.write_text("no film")
    (tmp_path / "train-rle.csv").write_text("ImageId,EncodedPixels\n1.2.276.0,-1\n")
    assert f"{film}: is no readable DICOM film" in refusal(tmp_path)


def test_a_missing_table_or_column_is_named(tmp_path: Path) -> None:
    folder = siim(tmp_path, header="ImageId, Pixels")
    assert "column EncodedPixels is missing" in refusal(folder)
    (folder / "train-rle.csv").unlink()
    assert "train-rle.csv is missing; data set siim needs" in refusal(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return open_dataset("siim", siim(tmp_path_factory.mktemp("many"), (False,) * 60))


def test_folds_test_every_patient_once_and_learn_from_the_rest(many: Manifest) -> None:
    folds = [many.fold(index, 5, seed=3) for index in range(5)]
    tested = [record.id for fold in folds for record in fold["test"]]
    assert sorted(tested) == sorted(record.id for record in many)
    for fold in folds:
        parts = [{record.id for record in fold[name]} for name in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 60
        assert all(parts)


def test_a_fold_that_does_not_exist_is_refused(many: Manifest) -> None:
    with pytest.raises(DatasetError, match=r"fold 5 of 5 does not exist; give one of 0 to 4\."):
        many.fold(5, 5)
    with pytest.raises(DatasetError, match="has 1 folds; give two or more"):
        many.fold(0, 1)
