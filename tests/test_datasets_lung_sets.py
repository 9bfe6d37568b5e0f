"""Sets of films with outlined lungs, each in its official layout, and the functions that read outlines."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.films import framed_planes
from suite.datasets import outlines
from suite.datasets.jsrt import ORGAN_BITS
from suite.datasets.manifest import FilmFile, Manifest, Record
from suite.datasets.outlines import (
    ORGANS,
    as_bits,
    has_lungs,
    has_organs,
    has_sides,
    lung_sides,
    lung_union,
    organ_planes,
    with_organs,
    with_sides,
)
from suite.datasets.registry import open_dataset
from suite.datasets.scr import read_raw_film
from suite.errors import DatasetError
from suite.findings import CODES
from suite.training.films import load_film
from tests import made_datasets, made_lung_sets
from tests.made_films import chest_pixels, write_png


def scr(folder: Path, **options: bool) -> Manifest:
    return open_dataset("scr", made_lung_sets.scr(folder, **options))


def montgomery(folder: Path) -> Manifest:
    return open_dataset("montgomery", made_lung_sets.montgomery(folder))


def shenzhen(folder: Path) -> Manifest:
    return open_dataset("shenzhen", made_lung_sets.shenzhen(folder))


def refusal(name: str, folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# scr


def test_a_raw_film_is_big_endian_density_turned_to_bright_bone(tmp_path: Path) -> None:
    words = np.full((2048, 2048), 1000, ">u2")
    words[0, 0], words[0, 1], words[5, 7] = 0, 4095, 5000
    (tmp_path / "JPCLN001.IMG").write_bytes(words.tobytes())
    film = load_film(FilmFile(tmp_path / "JPCLN001.IMG"))
    assert film.shape == (2048, 2048)
    assert film.dtype == np.float32
    assert (film[0, 0], film[0, 1], film[5, 7]) == (1.0, 0.0, 0.0)
    assert float(film[9, 9]) == pytest.approx(1 - 1000 / 4095, abs=1e-6)


def test_a_raw_film_of_another_size_is_refused(tmp_path: Path) -> None:
    for size in (0, 2 * 2048 * 2048 - 1, 2 * 2048 * 2048 + 2):
        path = tmp_path / "JPCLN001.IMG"
        path.write_bytes(bytes(size))
        with pytest.raises(
            DatasetError, match=rf"has {size} bytes and a raw JSRT film 8388608; fetch it again"
        ):
            read_raw_film(path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_raw_film(tmp_path / "none.IMG")


def test_scr_films_have_all_five_organs_whatever_fold_they_are_in(tmp_path: Path) -> None:
    manifest = scr(tmp_path, raw=True)
    expected = made_lung_sets.outlines(64, 64)
    assert [record.id for record in manifest] == ["JPCLN001", "JPCNN002"]
    assert [record.frontal.path.suffix for record in manifest] == [".IMG", ".IMG"]
    for record in manifest:
        planes = organ_planes(record)
        assert planes.shape == (64, 64, 5)
        for index, organ in enumerate(ORGANS):
            np.testing.assert_array_equal(planes[..., index], expected[organ] > 0, err_msg=organ)
        assert record.attributes["view"] == "PA"


def test_a_raw_film_and_its_outlines_meet_in_a_training_item(tmp_path: Path) -> None:
    item = framed_planes(scr(tmp_path, raw=True).records[0], 64, organ_planes)
    assert item["film"].shape == (1, 64, 64)
    mask = item["mask"] > 0
    lungs = mask[0] & ~mask[3]
    # lungs are dark on a film with bright bone
    assert item["film"][0][lungs].mean() < item["film"][0][~mask[1]].mean()


def test_the_name_of_a_jsrt_film_says_whether_it_has_a_nodule(tmp_path: Path) -> None:
    nodule, none = scr(tmp_path)
    code = CODES.index("lung_lesion")
    assert (nodule.labels[code], none.labels[code]) == (1.0, 0.0)
    assert (nodule.abnormal, none.abnormal) == (1.0, 0.0)
    assert sum(not math.isnan(value) for value in nodule.labels) == 1


def test_scr_is_found_with_other_spellings_and_without_the_outer_folder(tmp_path: Path) -> None:
    made_lung_sets.scr(tmp_path)
    (tmp_path / "scratch" / "fold1").rename(tmp_path / "fold1")
    (tmp_path / "scratch" / "fold2").rename(tmp_path / "fold2")
    (tmp_path / "All247images").rename(tmp_path / "images")
    lungs = tmp_path / "fold1" / "masks" / "right lung"
    lungs.rename(lungs.with_name("right_lung"))
    for path in (tmp_path / "fold1" / "masks" / "heart").iterdir():
        with Image.open(path) as mask:
            mask.save(path.with_suffix(".png"))
        path.unlink()
    assert [has_organs(record) for record in open_dataset("scr", tmp_path)] == [True, True]


def test_a_film_lacking_an_organ_is_left_out_by_name(tmp_path: Path) -> None:
    made_lung_sets.scr(tmp_path)
    (tmp_path / "scratch" / "fold1" / "masks" / "heart" / "JPCLN001.gif").unlink()
    manifest = open_dataset("scr", tmp_path)
    assert [record.id for record in with_organs(manifest)] == ["JPCNN002"]
    assert [has_sides(record) for record in manifest] == [True, True]
    with pytest.raises(DatasetError, match="record JPCLN001 has no outline of heart; leave it out"):
        organ_planes(manifest.records[0])


def test_scr_without_films_or_outlines_says_which(tmp_path: Path) -> None:
    assert "holds no film; data set scr needs All247images/JPCLN001.IMG" in refusal("scr", tmp_path)
    made_lung_sets.scr(tmp_path)
    for fold in ("fold1", "fold2"):
        (tmp_path / "scratch" / fold).rename(tmp_path / f"old-{fold}")
    assert "holds no outline" in refusal("scr", tmp_path)


def test_outlines_of_different_sizes_are_refused(tmp_path: Path) -> None:
    record = scr(tmp_path).records[0]
    made_lung_sets.write_gif(record.targets["heart"], np.zeros((32, 64), np.uint8))
    with pytest.raises(DatasetError, match="JPCLN001: its outlines have different sizes"):
        organ_planes(record)


def test_a_damaged_outline_is_named(tmp_path: Path) -> None:
    record = scr(tmp_path).records[0]
    content = record.targets["heart"].read_bytes()
    for damaged in (b"", b"GIF89a", b"no picture", content[:40]):
        record.targets["heart"].write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"JPCLN001\.gif: is missing or no picture; fetch"):
            organ_planes(record)


def test_a_palette_does_not_change_what_is_inside(tmp_path: Path) -> None:
    """In a GIF the number of a grey is its place in a table: white may be number 0."""
    shown = np.zeros((20, 20), np.uint8)
    shown[4:9, 4:9] = 255
    picture = Image.fromarray((shown == 0).astype(np.uint8)).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "a.gif")
    np.testing.assert_array_equal(outlines.read_outline(tmp_path / "a.gif"), shown > 0)


def test_white_of_any_depth_is_inside(tmp_path: Path) -> None:
    deep = np.array([[0, 1, 256, 32768, 65535]], np.uint16)
    write_png(tmp_path / "a.png", deep)
    assert outlines.read_outline(tmp_path / "a.png").tolist() == [[0, 1, 1, 1, 1]]


# montgomery


def test_montgomery_lungs_are_on_the_patients_sides(tmp_path: Path) -> None:
    expected = made_lung_sets.outlines()
    for record in montgomery(tmp_path):
        planes = lung_sides(record)
        np.testing.assert_array_equal(planes[..., 0], expected["right_lung"] > 0)
        np.testing.assert_array_equal(planes[..., 1], expected["left_lung"] > 0)
        # the patient's right lung is on the picture's left
        assert np.nonzero(planes[..., 0])[1].mean() < np.nonzero(planes[..., 1])[1].mean()
        assert "leftMask" in str(record.targets["right_lung"])


def test_films_of_one_person_have_one_patient_id(tmp_path: Path) -> None:
    people = {record.id: record.patient_id for record in montgomery(tmp_path)}
    assert people["MCUCXR_0162_1"] == people["MCUCXR_0166_1"] == "montgomery-0162"
    assert people["MCUCXR_0001_0"] == "montgomery-0001"


def test_montgomery_readings_give_sex_age_and_whether_it_is_normal(tmp_path: Path) -> None:
    first, second, _ = montgomery(tmp_path)
    assert (first.attributes["sex"], first.attributes["age"], first.abnormal) == ("F", "27", 0.0)
    assert (second.attributes["sex"], second.attributes["age"], second.abnormal) == ("M", "49", 1.0)
    assert all(math.isnan(value) for value in first.labels)


def test_a_set_without_readings_or_masks_still_has_its_films(tmp_path: Path) -> None:
    made_lung_sets.montgomery(tmp_path)
    (tmp_path / "ClinicalReadings").rename(tmp_path / "away")
    (tmp_path / "ManualMask" / "leftMask").rename(tmp_path / "also away")
    record = open_dataset("montgomery", tmp_path).records[0]
    assert record.attributes == {"view": "PA"}
    assert not has_lungs(record)
    with pytest.raises(DatasetError, match="has no film with outlines of the right and left lung"):
        with_sides(open_dataset("montgomery", tmp_path))


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((4892, 4020), "0.0875"),
        ((4020, 4892), "0.0875"),
        ((978, 804), "0.437679"),  # a fifth: 4892 pixels of 0.0875 mm on 978
        ((4892, 3500), None),  # cropped
    ],
)
def test_montgomery_films_have_the_spacing_of_the_readme_as_far_as_they_are_whole(
    shape: tuple[int, int], spacing: str | None, tmp_path: Path
) -> None:
    made_lung_sets.montgomery(tmp_path)
    film = Image.new("L", (shape[1], shape[0]))
    film.save(tmp_path / "CXR_png" / "MCUCXR_0001_0.png", compress_level=1)
    record = open_dataset("montgomery", tmp_path).records[0]
    assert record.attributes.get("spacing_mm") == spacing


def test_a_montgomery_film_that_is_no_picture_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    made_lung_sets.montgomery(tmp_path)
    (tmp_path / "CXR_png" / "MCUCXR_0001_0.png").write_bytes(b"no picture")
    assert "spacing_mm" not in open_dataset("montgomery", tmp_path).records[0].attributes


# shenzhen


@pytest.mark.parametrize("folder", ["mask", "mask/mask", "masks"])
def test_shenzhen_masks_are_both_lungs_together(folder: str, tmp_path: Path) -> None:
    manifest = open_dataset("shenzhen", made_lung_sets.shenzhen(tmp_path, folder))
    masks = made_lung_sets.outlines()
    both = np.maximum(masks["right_lung"], masks["left_lung"]) > 0
    assert [has_lungs(record) for record in manifest] == [True, True, False]
    assert not any(has_sides(record) for record in manifest)
    np.testing.assert_array_equal(lung_union(manifest.records[0]), both)
    with pytest.raises(DatasetError, match="CHNCXR_0001_0 does not tell the right lung from the left"):
        lung_sides(manifest.records[0])
    with pytest.raises(DatasetError, match="CHNCXR_0327_1 has no outline of the lungs; leave it out"):
        lung_union(manifest.records[2])


def test_shenzhen_readings_in_their_own_spellings(tmp_path: Path) -> None:
    found = [(record.attributes["sex"], record.attributes["age"]) for record in shenzhen(tmp_path)]
    assert found == [("M", "45"), ("F", "1.3"), ("F", "24")]
    assert [record.abnormal for record in shenzhen(tmp_path)] == [0.0, 0.0, 1.0]


def test_a_film_in_a_palette_is_read_as_its_greys(tmp_path: Path) -> None:
    record = shenzhen(tmp_path).records[0]
    with Image.open(record.frontal.path) as stored:
        assert stored.mode == "P"
    assert float(np.abs(load_film(record.frontal) - chest_pixels(80, 64, 0)).mean()) < 0.03


# both tuberculosis sets


@pytest.mark.parametrize(("name", "prefix"), [("montgomery", "MCUCXR"), ("shenzhen", "CHNCXR")])
def test_a_renamed_film_and_an_empty_folder_are_refused(name: str, prefix: str, tmp_path: Path) -> None:
    assert re.search(rf"holds no CXR_png/{prefix}_\*\.png; data set {name} needs", refusal(name, tmp_path))
    write_png(tmp_path / "CXR_png" / f"{prefix}_0001.png", made_lung_sets.film(0))
    assert f"is not named {prefix}_NUMBER_0 or _1" in refusal(name, tmp_path)


# every set by the same functions


def test_the_bit_field_of_jsrt_is_read_plane_by_plane(tmp_path: Path) -> None:
    record = open_dataset("jsrt", made_datasets.jsrt(tmp_path)).records[0]
    stored = made_datasets.organs()
    planes = organ_planes(record)
    for index, bit in enumerate(ORGAN_BITS.values()):
        np.testing.assert_array_equal(planes[..., index], (stored & bit) > 0)
    np.testing.assert_array_equal(lung_sides(record), planes[..., :2])
    np.testing.assert_array_equal(lung_union(record), (stored & 3) > 0)
    np.testing.assert_array_equal(as_bits(np.moveaxis(planes, -1, 0)), stored)


def test_one_mask_for_both_lungs_has_no_sides(tmp_path: Path) -> None:
    record = open_dataset("covid-lungs", made_datasets.covid_lungs(tmp_path)).records[0]
    assert not has_sides(record)
    np.testing.assert_array_equal(lung_union(record), (made_datasets.organs() & 3) > 0)


def test_a_computed_chest_has_five_organs(tmp_path: Path) -> None:
    pictures = {"lung_mask": np.zeros((8, 8), np.uint8)}
    pictures["lung_mask"][:, 1], pictures["lung_mask"][:, 6] = 128, 255
    pictures["heart"] = np.zeros((8, 8), np.uint8)
    pictures["heart"][4:, 3:6] = 255
    pictures["clavicles_scr"] = np.roll(pictures["lung_mask"], 1, axis=1)
    pictures["lung_whole"] = pictures["lung_mask"]
    targets = {name: write_png(tmp_path / f"{name}.png", picture) for name, picture in pictures.items()}
    record = Record("a", "a", tmp_path / "film.png", targets=targets)
    planes = organ_planes(record)
    assert [int(plane.sum()) for plane in np.moveaxis(planes, -1, 0)] == [8, 8, 12, 8, 8]
    assert planes[:, 2, 3].all()
    assert planes[:, 7, 4].all()
    np.testing.assert_array_equal(lung_sides(record), planes[..., :2])
    assert has_organs(record)
