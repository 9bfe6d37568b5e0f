"""PNG, JPEG and TIFF films: greys keep their numbers, colour and damage are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from suite.errors import InputError, NotARadiographError, UnreadableFileError, UnsupportedPixelsError
from suite.pictures import read_picture
from suite.study import FULL_16_BIT, GreyScale, Projection
from tests.dicom_zoo import scattered


def _write(path: Path, values: np.ndarray[Any, Any], **options: Any) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_8_bits_are_widened_by_257(suffix: str, tmp_path: Path) -> None:
    values = scattered(0, 255).astype(np.uint8)
    film = read_picture(_write(tmp_path / f"film{suffix}", values))

    assert film.grey_scale == FULL_16_BIT
    np.testing.assert_allclose(film.pixels, values / 255, atol=1e-6)
    np.testing.assert_array_equal(film.grey_scale.to_uint16(film.pixels), values.astype(np.uint16) * 257)
    assert film.projection is Projection.UNKNOWN
    assert film.spacing is None
    assert film.warnings == ()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0, 65535, GreyScale(0, 65535)),
        (0, 4095, GreyScale(0, 4095)),
        (200, 3900, GreyScale(0, 4095)),
        (17, 1000, GreyScale(0, 1023)),
        (0, 255, GreyScale(0, 255)),
        (3000, 3900, GreyScale(3000, 3900)),
        (40000, 60000, GreyScale(40000, 60000)),
    ],
)
def test_16_bit_files_keep_their_numbers(
    suffix: str, low: int, high: int, scale: GreyScale, tmp_path: Path
) -> None:
    values = scattered(low, high).astype(np.uint16)
    film = read_picture(_write(tmp_path / f"film{suffix}", values))

    assert film.grey_scale == scale
    np.testing.assert_array_equal(film.grey_scale.to_uint16(film.pixels), values)
    assert bool(film.warnings) == (scale.black > 0)


def test_a_few_marks_do_not_darken_the_film(tmp_path: Path) -> None:
    values = scattered(500, 3500, 400, 300).astype(np.uint16)
    values[5, 5:20] = 65535
    film = read_picture(_write(tmp_path / "film.png", values))

    assert film.grey_scale.black == pytest.approx(503, abs=3)
    assert film.grey_scale.white == pytest.approx(3497, abs=3)
    assert any("clipped" in warning for warning in film.warnings)


def test_equal_colour_channels_are_one_grey_channel(tmp_path: Path) -> None:
    values = scattered(0, 255).astype(np.uint8)
    film = read_picture(_write(tmp_path / "film.png", np.dstack([values] * 3)))

    np.testing.assert_array_equal(film.grey_scale.to_uint16(film.pixels), values.astype(np.uint16) * 257)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_png_keeps_16_bits(channels: int, tmp_path: Path) -> None:
    values = scattered(0, 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "film.png"), np.dstack([values] * channels))
    film = read_picture(tmp_path / "film.png")

    np.testing.assert_array_equal(film.grey_scale.to_uint16(film.pixels), values)


def test_signal_in_green_only_is_luminance_and_not_black(tmp_path: Path) -> None:
    values = scattered(0, 255).astype(np.uint8)
    zero = np.zeros_like(values)
    film = read_picture(_write(tmp_path / "film.png", np.dstack([zero, values, zero])))

    np.testing.assert_allclose(film.grey_scale.to_uint16(film.pixels) / 257, values * 0.587, atol=0.51)
    assert np.corrcoef(film.pixels.ravel(), values.ravel())[0, 1] > 0.999
    assert any("tinted" in warning for warning in film.warnings)


def test_transparency_is_dropped(tmp_path: Path) -> None:
    values = scattered(0, 255).astype(np.uint8)
    alpha = np.where(np.arange(values.size) % 2, 255, 0).astype(np.uint8).reshape(values.shape)
    Image.merge("LA", [Image.fromarray(values), Image.fromarray(alpha)]).save(tmp_path / "film.png")
    film = read_picture(tmp_path / "film.png")

    np.testing.assert_allclose(film.pixels, values / 255, atol=1e-6)


def test_a_grey_palette_is_looked_up(tmp_path: Path) -> None:
    values = scattered(0, 255).astype(np.uint8)
    image = Image.fromarray(values, "L").convert("P")
    image.putpalette([255 - level // 3 for level in range(768)])
    image.save(tmp_path / "film.png")

    np.testing.assert_allclose(read_picture(tmp_path / "film.png").pixels, 1 - values / 255, atol=1e-6)


def test_jpeg_is_close_to_the_original(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    film = read_picture(_write(tmp_path / "film.jpg", smooth, quality=95))

    np.testing.assert_allclose(film.pixels, smooth / 255, atol=3 / 255)


def test_floating_tiff_in_zero_to_one(tmp_path: Path) -> None:
    values = (scattered(0, 1000) / 1000).astype(np.float32)
    film = read_picture(_write(tmp_path / "film.tif", values))

    assert film.grey_scale == FULL_16_BIT
    np.testing.assert_allclose(film.pixels, values, atol=1e-6)


def test_floating_tiff_on_an_unknown_scale_is_refused(tmp_path: Path) -> None:
    values = scattered(-1000, 1000).astype(np.float32)

    with pytest.raises(UnsupportedPixelsError, match="reach from -1000 to 1000"):
        read_picture(_write(tmp_path / "film.tif", values))


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_with_white_as_zero_is_inverted(bits: int, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = scattered(0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)
    tifffile.imwrite(tmp_path / "film.tif", values, photometric="miniswhite")

    np.testing.assert_allclose(
        read_picture(tmp_path / "film.tif").pixels, 1 - values / (2**bits - 1), atol=1e-6
    )


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_an_orientation_tag_is_followed_and_reported(suffix: str, tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned by 90 degrees clockwise
    film = read_picture(_write(tmp_path / f"film{suffix}", smooth, exif=exif))

    assert film.shape == (128, 96)
    np.testing.assert_allclose(film.pixels, np.rot90(smooth, -1) / 255, atol=5 / 255)
    assert any("turned" in warning for warning in film.warnings)


def test_coloured_marks_on_a_film_are_tolerated(tmp_path: Path) -> None:
    grey = scattered(0, 255, 200, 200).astype(np.uint8)
    film = np.dstack([grey] * 3)
    film[5:15, 5:25] = (255, 0, 0)

    assert any(
        "coloured marks" in warning for warning in read_picture(_write(tmp_path / "a.png", film)).warnings
    )


def _photograph() -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[0:200, 0:300]
    red, green = rows * 255 // 199, columns * 255 // 299
    return np.dstack([red, green, 255 - red]).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_colour_photograph_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(NotARadiographError, match="colour picture"):
        read_picture(_write(tmp_path / f"cat{suffix}", _photograph()))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_pictures_are_refused(suffix: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 300), dtype=np.uint8)
    path = _write(tmp_path / f"film{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(UnreadableFileError, match="again"):
        read_picture(path)


def test_a_png_with_a_wrong_check_sum_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "film.png", scattered(0, 255).astype(np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))

    with pytest.raises(UnreadableFileError, match="damaged"):
        read_picture(path)


def test_a_png_whose_picture_data_are_too_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(_png(500, 500, zlib.compress(b"\0" * 1000)))

    with pytest.raises(UnreadableFileError, match="truncated or damaged"):
        read_picture(path)


def test_a_png_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png(60_000, 60_000, zlib.compress(b"\0" * 50_000_000, 9)))

    with pytest.raises(UnsupportedPixelsError, match="60000 x 60000 pixels are more than the 64 million"):
        read_picture(path)


def test_a_20000_by_20000_jpeg_header_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "film.jpg", np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8))
    content = path.read_bytes()
    frame = content.index(b"\xff\xc0")
    path.write_bytes(content[: frame + 5] + struct.pack(">HH", 20_000, 20_000) + content[frame + 9 :])

    with pytest.raises(UnsupportedPixelsError, match="20000 x 20000"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_single_pixel_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedPixelsError, match="1 x 1 pixels are too few"):
        read_picture(_write(tmp_path / f"dot{suffix}", np.zeros((1, 1), dtype=np.uint8)))


def test_a_constant_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every pixel has the same value"):
        read_picture(_write(tmp_path / "grey.png", np.full((64, 64), 90, dtype=np.uint8)))


def test_several_pages_are_refused(tmp_path: Path) -> None:
    page = Image.fromarray(scattered(0, 255).astype(np.uint8))
    page.save(tmp_path / "film.tif", save_all=True, append_images=[page])

    with pytest.raises(UnsupportedPixelsError, match="2 pictures"):
        read_picture(tmp_path / "film.tif")


def _png(width: int, height: int, data: bytes) -> bytes:
    """An 8-bit grey PNG with any picture data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
