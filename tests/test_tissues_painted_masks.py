"""Films with masks painted in an editor: what is read, what counts as an edge, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from suite.datasets import painted_masks
from suite.datasets.painted_masks import classes_of, read_legend, tissue_classes
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError
from suite.training import command
from tests.made_datasets import painted, write_rows

BLACK, GREEN, RED = (0, 0, 0), (0, 255, 0), (255, 0, 0)
LEGEND = {BLACK: 0, GREEN: 1, RED: 2}

Picture = NDArray[np.uint8]


def picture(*rows: str) -> Picture:
    """A mask from letters: k black, g green, r red."""
    colours = {"k": BLACK, "g": GREEN, "r": RED}
    return np.array([[colours[letter] for letter in row] for row in rows], dtype=np.uint8)


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset("painted-masks", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.exit_code == 2
    return message


def repaint(path: Path, row: int, column: int, colour: tuple[int, ...]) -> None:
    """One pixel in another colour (red, green, blue)."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    mask[row, column] = colour[::-1] if len(colour) == 3 else (*colour[2::-1], colour[3])
    cv2.imwrite(str(path), mask)


def test_films_are_read_with_their_parts_and_patients(tmp_path: Path) -> None:
    manifest = open_dataset("painted-masks", painted(tmp_path, count=6))
    assert [record.attributes["part"] for record in manifest] == ["hand", "knee"] * 3
    assert len({record.patient_id for record in manifest}) == 6
    for record in manifest:
        classes = tissue_classes(record)
        assert classes.dtype == np.uint8
        assert set(np.unique(classes)) == {0, 1, 2}


def test_without_a_table_every_film_is_its_own_patient(tmp_path: Path) -> None:
    painted(tmp_path, count=3)
    (tmp_path / "index.csv").unlink()
    (tmp_path / "images" / ".DS_Store").write_text("")
    manifest = open_dataset("painted-masks", tmp_path)
    assert [record.id for record in manifest] == ["film0.png", "film1.png", "film2.png"]
    assert len({record.patient_id for record in manifest}) == 3
    assert not any("part" in record.attributes for record in manifest)


def test_pure_colours_are_their_tissues() -> None:
    assert classes_of(picture("kgr", "rrk"), LEGEND, Path("m.png")).tolist() == [[0, 1, 2], [2, 2, 0]]


def test_several_colours_may_be_one_tissue(tmp_path: Path) -> None:
    table = tmp_path / "legend.csv"
    rows = [["#000000", "open beam"], ["00FF00", "Soft_Tissue"], ["#ff0000", "bone"], ["#ffffff", "bone"]]
    write_rows(table, ["colour", "tissue"], rows)
    assert read_legend(table) == {BLACK: 0, GREEN: 1, RED: 2, (255, 255, 255): 2}


def test_a_smoothed_edge_goes_to_the_nearer_of_its_two_colours() -> None:
    mask = picture("ggggrrrr", "ggggrrrr")
    mask[0, 3], mask[0, 4] = (60, 195, 0), (190, 65, 0)
    mask[1, 3] = (140, 115, 0)
    assert classes_of(mask, LEGEND, Path("m.png")).tolist() == [
        [1, 1, 1, 1, 2, 2, 2, 2],
        [1, 1, 1, 2, 2, 2, 2, 2],
    ]


def test_what_an_editor_smooths_is_read_as_it_was_drawn() -> None:
    """A disc of bone in a disc of tissue, drawn with smooth edges: edge pixels alone may differ."""
    smooth, sharp = np.zeros((120, 120, 3), np.uint8), np.zeros((120, 120, 3), np.uint8)
    for drawn, line in ((smooth, cv2.LINE_AA), (sharp, cv2.LINE_8)):
        cv2.circle(drawn, (60, 60), 50, GREEN, -1, line)
        cv2.circle(drawn, (60, 60), 25, RED, -1, line)
    read = classes_of(smooth, LEGEND, Path("m.png"))
    expected = classes_of(sharp, LEGEND, Path("m.png"))
    pure = [(smooth == colour).all(axis=-1) for colour in (BLACK, GREEN, RED)]
    mixed = ~np.any(pure, axis=0)
    assert mixed.sum() > 100
    np.testing.assert_array_equal(read[~mixed], np.argmax(pure, axis=0)[~mixed])
    # soft tissue lies between open beam and bone: no edge may skip it
    border = cv2.dilate((read == 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not (border & (read == 2)).any()
    assert (read != expected).mean() < 0.03


@pytest.mark.parametrize(
    ("colour", "why"),
    [
        ((0, 0, 255), "a colour of its own"),
        ((128, 128, 128), "no mixture of two colours"),
        ((128, 0, 0), "a mixture of red and black, and no black is near"),
    ],
)
def test_an_unknown_colour_is_named_with_file_colour_and_pixel(
    tmp_path: Path, colour: tuple[int, int, int], why: str
) -> None:
    mask = picture(*["gggggggggrrrrrrrrr"] * 12)
    mask[4, 8] = colour
    with pytest.raises(DatasetError) as caught:
        classes_of(mask, LEGEND, Path("knee.png"))
    expected = f"knee.png: colour #{bytes(colour).hex()} at row 4, column 8 is not in legend.csv"
    assert expected in str(caught.value), why


def test_a_mixture_far_from_its_pure_colours_is_no_edge() -> None:
    mask = picture(*["ggggggggggrrrrrrrrrr"] * 3)
    mask[1, 3] = (128, 127, 0)
    with pytest.raises(DatasetError, match="row 1, column 3"):
        classes_of(mask, LEGEND, Path("m.png"))


def test_every_damage_is_one_sentence_before_anything_is_trained(tmp_path: Path) -> None:
    def fresh(name: str) -> Path:
        return painted(tmp_path / name, count=2)

    folder = fresh("colour")
    repaint(folder / "masks" / "film1.png", 2, 3, (0, 0, 250))
    assert "film1.png: colour #0000fa at row 2, column 3 is not in legend.csv" in refusal(folder)
    folder = fresh("size")
    cv2.imwrite(str(folder / "masks" / "film0.png"), np.zeros((20, 30, 3), np.uint8))
    message = refusal(folder)
    assert "film0.png: is 20 x 30 pixels but its film 64 x 56; export the mask at the film's size" in message
    folder = fresh("no mask")
    (folder / "masks" / "film1.png").unlink()
    assert "film1.png: has no mask masks/film1.png" in refusal(folder)
    (folder / "masks" / "film1.jpg").write_bytes(b"lossy")
    assert "film1.jpg: JPEG changes the colours of a mask; export it anew as PNG" in refusal(folder)
    folder = fresh("no film")
    (folder / "images" / "film1.png").unlink()
    assert "film1.png: is named in index.csv but missing" in refusal(folder)
    folder = fresh("no legend")
    (folder / "legend.csv").unlink()
    assert "legend.csv is missing; data set painted-masks needs legend.csv (colour, tissue)" in refusal(
        folder
    )
    folder = fresh("empty")
    (folder / "index.csv").unlink()
    for path in (folder / "images").iterdir():
        path.unlink()
    assert "images: holds no film" in refusal(folder)
    (folder / "images").rmdir()
    assert "images is missing" in refusal(folder)


def test_what_a_system_leaves_in_a_folder_is_no_film_and_endings_may_be_large(tmp_path: Path) -> None:
    folder = painted(tmp_path, count=2)
    (folder / "index.csv").unlink()
    for name in ("Thumbs.db", "desktop.ini", "._film0.png"):
        (folder / "images" / name).write_bytes(b"left over")
    (folder / "masks" / "film1.png").rename(folder / "masks" / "film1.PNG")
    assert [record.id for record in open_dataset("painted-masks", folder)] == ["film0.png", "film1.png"]


def test_transparent_and_deep_masks_are_refused(tmp_path: Path) -> None:
    path = painted(tmp_path, count=1) / "masks" / "film0.png"
    mask = cv2.imread(str(path))
    alpha = np.full(mask.shape[:2], 255, np.uint8)
    cv2.imwrite(str(path), np.dstack([mask, alpha]))
    open_dataset("painted-masks", tmp_path)
    alpha[7, 9] = 40
    cv2.imwrite(str(path), np.dstack([mask, alpha]))
    assert "is transparent at row 7, column 9; paint it all and flatten" in refusal(tmp_path)
    cv2.imwrite(str(path), mask.astype(np.uint16))
    assert "is no 8-bit picture" in refusal(tmp_path)
    path.write_bytes(b"no picture")
    assert "is no 8-bit picture" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["#00ff0", "bone"]], "colour '#00ff0' is not of the form #rrggbb"),
        ([["#000000", "metal"]], "tissue 'metal' is not known; use open beam, soft tissue, bone"),
        ([["#000000", "bone"], ["000000", "open beam"]], "comes twice; give each colour one tissue"),
        ([["#000000", "open beam"], ["#ff0000", "bone"]], "has no colour for soft tissue; add a line for it"),
    ],
)
def test_a_legend_that_cannot_be_is_refused(tmp_path: Path, rows: list[list[str]], words: str) -> None:
    painted(tmp_path, count=1)
    write_rows(tmp_path / "legend.csv", ["colour", "tissue"], rows)
    assert words in refusal(tmp_path)


def test_the_recipe_refuses_them_too_before_it_builds_anything(tmp_path: Path) -> None:
    repaint(painted(tmp_path, count=2) / "masks" / "film1.png", 0, 0, (9, 9, 99))
    with pytest.raises(DatasetError, match="colour #090963 at row 0, column 0"):
        command.prepare("tissues", {painted_masks.NAME: tmp_path}, [])
