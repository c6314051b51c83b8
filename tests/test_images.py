"""Photos in: every kind of file, upright and in sRGB. Pictures out: exact and marked."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from synth.errors import ShapeError, UsageError
from synth.image_metadata import xmp_packet
from synth.images import (
    FORMATS,
    encode_image,
    find_images,
    load_image,
    read_record,
    resize,
    write_atomic,
)

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth colours and fine noise; no symmetry. (48, 64, 3) uint8."""
    y, x = np.mgrid[:48, :64]
    smooth = np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=2).clip(0, 255)
    noise = np.random.default_rng(3).integers(-8, 9, smooth.shape)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def encoded(picture: np.ndarray, fmt: str, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(buffer, fmt, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------ finding
def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(sources: list) -> list[str]:
    return [source.name for source in sources]


def test_a_folder_gives_its_photos_in_any_letter_case(tmp_path):
    make(tmp_path, "b.JPG", "a.jpeg", "c.TiF", "d.webp", ".hidden.png", "notes.txt", "sub/e.png")
    make(tmp_path, ".cache/f.png")
    assert names(find_images(tmp_path)) == ["a.jpeg", "b.JPG", "c.TiF", "d.webp"]
    assert names(find_images(tmp_path, recursive=True))[-1] == "sub/e.png"
    assert len(find_images(tmp_path, recursive=True)) == 5


def test_a_pattern_a_file_and_a_list(tmp_path, monkeypatch):
    make(tmp_path, "one/a.png", "one/b.png", "two/a.png", "two/odd.photo")
    assert names(find_images(str(tmp_path / "*" / "a.png"))) == ["one/a.png", "two/a.png"]
    assert names(find_images(str(tmp_path / "**" / "*.png"))) == [
        "one/a.png", "one/b.png", "two/a.png",
    ]  # fmt: skip
    assert names(find_images(tmp_path / "two/odd.photo")) == ["odd.photo"]
    listing = tmp_path / "photos.txt"
    listing.write_text("# mine\none/b.png\n\ntwo/a.png\ngone.png\n")
    found = find_images(listing)
    assert names(found) == ["one/b.png", "two/a.png", "gone.png"], "a lost entry is no silent loss"
    monkeypatch.chdir(tmp_path)
    assert names(find_images("one/*.png")) == ["a.png", "b.png"]


def test_duplicates_go_and_names_stay_unique(tmp_path):
    make(tmp_path, "one/a.png", "two/a.png", "three/x/a.png", "four/x/a.png")
    folders = [tmp_path / "one", tmp_path / "two", tmp_path / "one" / "a.png"]
    assert names(find_images(folders)) == ["a.png", "two/a.png"]
    deep = [tmp_path / f"{folder}/x/a.png" for folder in ("three", "four")]
    found = find_images([*folders, *deep])
    assert len(found) == 4 and len({name.lower() for name in names(found)}) == 4


def test_a_file_name_with_brackets_is_a_file(tmp_path):
    make(tmp_path, "a[1].png", "a1.png")
    assert names(find_images(tmp_path / "a[1].png")) == ["a[1].png"]


@pytest.mark.parametrize("item", ["missing", "missing/*.png", "empty", "empty.txt"])
def test_nothing_found_is_said(tmp_path, item):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    with pytest.raises(UsageError, match="input: expected .*got"):
        find_images(tmp_path / item)


# ----------------------------------------------------------------- decoding
@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_files_come_back_exactly(picture, tmp_path, fmt):
    data = encoded(picture, fmt, lossless=True) if fmt == "WEBP" else encoded(picture, fmt)
    path = tmp_path / "photo.JPG"  # the content counts, not the name
    path.write_bytes(data)
    for source in (path, str(path), data):
        image = load_image(source)
        np.testing.assert_array_equal(image.pixels, picture)
        assert image.sha256 == hashlib.sha256(data).hexdigest()
        assert image.notes == () and image.alpha is None
    assert load_image(path).name == "photo.JPG"


def test_jpeg_is_close(picture):
    image = load_image(encoded(picture, "JPEG", quality=95, subsampling=0))
    assert np.abs(image.pixels.astype(int) - picture).mean() < 4  # swapped channels: over 60


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(picture, orientation, fmt):
    # What a camera stores so that a viewer, applying the tag, shows `picture`.
    flips = {1: [], 2: ["lr"], 3: ["180"], 4: ["ud"], 5: ["t"], 6: ["ccw"], 7: ["tv"], 8: ["cw"]}
    undo = {
        "lr": np.fliplr,
        "ud": np.flipud,
        "180": lambda a: a[::-1, ::-1],
        "t": lambda a: a.transpose(1, 0, 2),
        "tv": lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        "ccw": np.rot90,
        "cw": lambda a: np.rot90(a, -1),
    }
    stored = picture
    for step in flips[orientation]:
        stored = undo[step](stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if fmt == "WEBP" else {}
    image = load_image(encoded(np.ascontiguousarray(stored), fmt, exif=exif, **options))
    np.testing.assert_array_equal(image.pixels, picture)
    if fmt != "TIFF":  # Pillow has turned those already
        assert bool(image.notes) == (orientation != 1)


def test_damaged_exif_does_not_cost_the_photo(picture):
    data = encoded(picture, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert load_image(data).pixels.shape == picture.shape


def test_16_bits_become_8(picture):
    deep = picture[..., 0].astype(np.uint16) * 257
    buffer = io.BytesIO()
    Image.fromarray(deep).save(buffer, "PNG")
    image = load_image(buffer.getvalue())
    np.testing.assert_array_equal(image.pixels, np.repeat(picture[..., :1], 3, axis=2))
    assert "16 bits" in image.notes[0]
    tiff = io.BytesIO()
    Image.fromarray(deep).save(tiff, "TIFF")
    np.testing.assert_array_equal(load_image(tiff.getvalue()).pixels, image.pixels)


def test_16_bit_colour(picture):
    import cv2

    deep = picture[..., ::-1].astype(np.uint16) * 257
    for extension in (".png", ".tiff"):
        data = cv2.imencode(extension, deep)[1].tobytes()
        np.testing.assert_array_equal(load_image(data).pixels, picture)


def test_grey_and_palette_and_two_level(picture):
    grey = load_image(encoded(picture[..., 0], "PNG"))
    np.testing.assert_array_equal(grey.pixels, np.repeat(picture[..., :1], 3, axis=2))
    palette = Image.fromarray(picture).quantize(64)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(load_image(buffer.getvalue()).pixels, expected)
    two = load_image(encoded(picture, "PNG", mode="1"))
    assert set(np.unique(two.pixels)) <= {0, 255}


def test_cmyk_looks_like_its_rgb(picture):
    image = load_image(encoded(picture, "JPEG", mode="CMYK", quality=100, subsampling=0))
    assert np.abs(image.pixels.astype(int) - picture).mean() < 6
    assert any("CMYK" in note for note in image.notes)


def test_alpha_is_kept_apart_and_colours_are_straight(picture):
    alpha = np.random.default_rng(0).integers(0, 256, picture.shape[:2], np.uint8)
    image = load_image(encoded(np.dstack([picture, alpha]), "PNG"))
    np.testing.assert_array_equal(image.pixels, picture)
    np.testing.assert_array_equal(image.alpha, alpha)
    premultiplied = np.array([[[100, 50, 0, 128]]], np.uint8)
    straight = load_image(Image.frombytes("RGBa", (1, 1), premultiplied.tobytes()))
    np.testing.assert_allclose(straight.pixels[0, 0], [199, 100, 0], atol=1)
    grey = load_image(encoded(np.dstack([picture[..., 0], alpha]), "PNG"))
    np.testing.assert_array_equal(grey.alpha, alpha)


def test_first_frame_of_an_animation(picture):
    frames = [Image.fromarray(f).quantize(32) for f in (picture, 255 - picture, picture)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    image = load_image(buffer.getvalue())
    assert np.abs(image.pixels.astype(int) - picture).mean() < 12
    assert image.notes[0] == "first of 3 frames"


def test_icc_profile_is_converted(picture):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = load_image(encoded(picture, "PNG", icc_profile=srgb))
    np.testing.assert_array_equal(same.pixels, picture)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    broken = load_image(encoded(picture, "PNG", icc_profile=lab))
    np.testing.assert_array_equal(broken.pixels, picture)
    assert "unusable ICC profile ignored" in broken.notes
    junk = load_image(encoded(picture, "JPEG", icc_profile=b"no profile"))
    assert "unusable ICC profile ignored" in junk.notes


def test_a_wide_gamut_profile_changes_the_numbers(picture):
    data = _swapped_profile()
    image = load_image(encoded(picture, "PNG", icc_profile=data))
    # The profile's red primary is sRGB's green and the other way round.
    difference = np.abs(image.pixels.astype(int) - picture[..., [1, 0, 2]])
    assert difference.mean() < 2 and "ICC profile converted to sRGB" in image.notes


def _swapped_profile() -> bytes:
    """sRGB with its red and green primaries exchanged, by its tag table."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", data, 128)
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    data[at[b"rXYZ"] : at[b"rXYZ"] + 4], data[at[b"gXYZ"] : at[b"gXYZ"] + 4] = b"gXYZ", b"rXYZ"
    return (
        bytes(data)
        .replace(b"s\0R\0G\0B\0", b"t\0e\0s\0t\0")
        .replace(b"\0s\0R\0G\0B", b"\0t\0e\0s\0t")
    )


def test_arrays_and_pil_images(picture):
    image = load_image(picture, name="mine")
    np.testing.assert_array_equal(image.pixels, picture)
    assert image.name == "mine" and len(image.sha256) == 64
    picture_before = image.pixels.copy()
    picture[:] = 0
    np.testing.assert_array_equal(image.pixels, picture_before)  # a copy, not a view
    assert load_image(picture).sha256 != image.sha256
    np.testing.assert_array_equal(load_image(Image.fromarray(picture)).pixels, picture)
    np.testing.assert_array_equal(load_image(np.full((4, 5), 0.2)).pixels, 51)
    rgba = load_image(np.zeros((4, 5, 4), np.uint8))
    assert rgba.alpha is not None and rgba.alpha.shape == (4, 5)


@pytest.mark.parametrize("shape", [(4,), (4, 5, 2), (0, 5, 3), (1, 4, 5, 3)])
def test_odd_arrays_are_refused(shape):
    with pytest.raises(ShapeError, match="expected .* got"):
        load_image(np.zeros(shape, np.uint8))


def test_resize_aligns_edges():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (8, 1))
    small = resize(ramp, 30, 4)
    # Pixel 0 of the half-size copy is the mean of pixels 0 and 1: x = (0 + 0.5) / 0.5 - 0.5.
    np.testing.assert_allclose(small[0], 4 * (np.arange(30) * 2 + 0.5), atol=0.51)


# ----------------------------------------------------------------- encoding
@pytest.mark.parametrize("marked", [False, True])
def test_png_keeps_every_pixel(picture, marked):
    record = '{"valence": 0.5}' if marked else None
    data = encode_image(picture, "png", record_json=record)
    np.testing.assert_array_equal(load_image(data).pixels, picture)
    alpha = picture[..., 1].copy()
    again = load_image(encode_image(picture, "png", alpha=alpha, record_json=record))
    np.testing.assert_array_equal(again.pixels, picture)
    np.testing.assert_array_equal(again.alpha, alpha)


@pytest.mark.parametrize("fmt", [*FORMATS, "jpg", "PNG"])
@pytest.mark.parametrize("length", [10, 5000, 200_000])
def test_record_and_mark_are_inside(picture, fmt, length, tmp_path):
    record = '{"name": "Zoë", "text": "' + "x" * length + '"}'
    data = encode_image(picture, fmt, record_json=record, digital_source_type=SOURCE_TYPE)
    found = read_record(data)
    assert found == {"name": "Zoë", "text": "x" * length}
    (tmp_path / "out").write_bytes(data)
    assert read_record(tmp_path / "out") == found
    image = Image.open(io.BytesIO(data))
    image.load()
    packet = image.info["xmp"]
    root = ElementTree.fromstring(packet.decode().split("?>", 1)[1].rsplit("<?", 1)[0])
    tag = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert [node.text for node in root.iter(tag)] == [SOURCE_TYPE]
    bare = load_image(encode_image(picture, fmt))
    np.testing.assert_array_equal(load_image(data).pixels, bare.pixels)


def test_xmp_escapes_what_it_is_given():
    assert b"a&amp;b&lt;" in xmp_packet("a&b<")


def test_webp_keeps_alpha_beside_the_record(picture):
    alpha = np.zeros(picture.shape[:2], np.uint8)
    alpha[10:30] = 255
    data = encode_image(picture, "webp", alpha=alpha, record_json="{}", digital_source_type="x")
    np.testing.assert_array_equal(load_image(data).alpha, alpha)


def test_files_without_a_record():
    assert read_record(b"") is None
    assert read_record(b"text") is None
    picture = np.zeros((8, 8, 3), np.uint8)
    for fmt in FORMATS:
        data = encode_image(picture, fmt)
        assert read_record(data) is None
        marked = encode_image(picture, fmt, record_json='{"a": 1}')
        for cut in range(0, len(marked), 7):
            assert read_record(marked[:cut]) in (None, {"a": 1})


def test_jpeg_keeps_full_colour_resolution():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = (200, 40, 60)
    stripes[:, 1::2] = (60, 120, 60)
    back = load_image(encode_image(stripes, "jpeg", 95)).pixels.astype(int)
    assert np.abs(back - stripes).mean() < 6  # 4:2:0 misses by 40


@pytest.mark.parametrize(("fmt", "quality"), [("gif", 95), ("", 95), ("jpeg", 0), ("jpeg", 101)])
def test_unknown_formats_and_qualities(picture, fmt, quality):
    with pytest.raises(UsageError, match="expected .*got"):
        encode_image(picture, fmt, quality)


def test_wrong_pixels_are_refused(picture):
    with pytest.raises(ShapeError, match="expected .*got"):
        encode_image(picture[..., :2])


@pytest.mark.parametrize("fmt", ["png", "jpeg", "webp"])
def test_grey_pictures_are_written_as_grey(picture, fmt):
    grey = picture[..., 1].copy()
    back = load_image(encode_image(grey, fmt, 100))
    with Image.open(io.BytesIO(encode_image(grey, fmt, 100))) as file:
        assert file.mode == ("RGB" if fmt == "webp" else "L")  # WebP knows no grey
    assert np.abs(back.pixels.astype(int) - grey[..., None]).max() <= (0 if fmt == "png" else 6)


# ------------------------------------------------------------------ writing
def test_write_atomic_replaces_whole_files(tmp_path):
    path = tmp_path / "a.png"
    write_atomic(path, b"one")
    write_atomic(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupt_leaves_no_partial_file(tmp_path, monkeypatch, error):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr("synth.image_files.os.replace", interrupted)
    with pytest.raises(error):
        write_atomic(path, b"new")
    assert os.listdir(tmp_path) == ["a.png"] and path.read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_files_have_the_usual_mode(tmp_path):
    write_atomic(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        write_atomic(tmp_path / "gone" / "a.png", b"x")
