"""Bad photos: each gives one clear reason, none a traceback, and the good ones go on."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.acceptance import check_photo
from synth.errors import REASONS, SkipPhoto, UsageError
from synth.images import find_images, load_image, resize
from synth.landmarks import get_detector, select_face
from synth.types import FaceImage


def save(pixels: np.ndarray, fmt: str, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    (image.convert(mode) if mode else image).save(buffer, fmt, **options)
    return buffer.getvalue()


def outcome(source: Path | bytes | np.ndarray, face: str = "largest") -> str:
    """What a run would do with the photo: '' or the reason of its skip row."""
    try:
        image = load_image(source)
        for landmarks in select_face(get_detector().detect(image), face):
            check_photo(image, landmarks)
    except SkipPhoto as skip:
        assert skip.reason in REASONS
        assert "expected" in str(skip) and "got" in str(skip), skip
        return skip.reason
    return ""


def huge_png(width: int, height: int) -> bytes:
    """A PNG header that claims a size, with no pixels behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    body = b"IDAT" + zlib.compress(b"\0")
    data += struct.pack(">I", zlib.crc32(chunk))
    return data + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


# ---------------------------------------------------------------- unreadable
def test_text_renamed_to_jpg(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("this is no photo\n" * 50)
    assert outcome(path) == "DECODE"


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_truncated_files(portrait, fmt):
    data = save(resize(portrait.pixels, 96, 96), fmt)
    for share in (0.01, 0.2, 0.5, 0.9):
        assert outcome(data[: int(len(data) * share)]) == "DECODE", share


def test_damaged_bytes_never_escape_as_other_errors(portrait):
    """Flip bytes anywhere: a picture or DECODE, never another exception."""
    rng = np.random.default_rng(0)
    small = resize(portrait.pixels, 40, 40)
    for fmt in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        data = save(small, fmt)
        for _ in range(40):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), 3):
                broken[at] = rng.integers(0, 256)
            try:
                image = load_image(bytes(broken))
                assert image.pixels.ndim == 3
            except SkipPhoto as skip:
                assert skip.reason in ("DECODE", "TOO_LARGE")


def test_empty_missing_and_folder(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert outcome(tmp_path / "empty.jpg") == "DECODE"
    assert outcome(tmp_path / "gone.jpg") == "DECODE"
    (tmp_path / "folder.jpg").mkdir()
    assert outcome(tmp_path / "folder.jpg") == "DECODE"


def test_postscript_is_never_run(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert outcome(path) == "DECODE"


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (60_000, 60_000), (2**31 - 1, 9)])
def test_too_large_is_refused_from_the_header(width, height):
    with pytest.raises(SkipPhoto, match="megapixels") as caught:
        load_image(huge_png(width, height))
    assert caught.value.reason == "TOO_LARGE"


def test_a_real_100_megapixel_file_costs_no_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "big.png"
    Image.new("L", (10_000, 10_000)).save(path, compress_level=1)
    tracemalloc.start()
    with pytest.raises(SkipPhoto) as caught:
        load_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.reason == "TOO_LARGE" and caught.value.value == 100
    assert peak < 10e6
    with pytest.raises(SkipPhoto, match="0.002 megapixels"):
        load_image(np.zeros((50, 50, 3), np.uint8), max_pixels=2000)


# ------------------------------------------------------------ odd but usable
@pytest.mark.parametrize(
    ("fmt", "mode"),
    [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("PNG", "P"), ("PNG", "L"), ("PNG", "RGBA"), ("GIF", "P")],
)
def test_unusual_modes_of_a_good_photo_are_used(portrait, fmt, mode):
    assert outcome(save(portrait.pixels, fmt, mode)) == ""


def test_animated_gif_uses_its_first_frame(portrait):
    frames = [Image.fromarray(portrait.pixels), Image.new("RGB", (768, 768))]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert outcome(buffer.getvalue()) == ""
    frames[1].save(buffer := io.BytesIO(), "GIF", save_all=True, append_images=frames[:1])
    assert outcome(buffer.getvalue()) == "NO_FACE"


# ------------------------------------------------------------------- no face
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 2), (17, 9)])
def test_tiny_pictures(size):
    assert outcome(np.zeros((*size, 3), np.uint8)) == "NO_FACE"


def test_pictures_without_a_face():
    rng = np.random.default_rng(4)
    assert outcome(rng.integers(0, 256, (300, 400, 3), np.uint8)) == "NO_FACE"
    assert outcome(np.full((300, 400, 3), 128, np.uint8)) == "NO_FACE"


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "coins.png"])
def test_a_cat_and_other_things(name):
    """Pictures inside the scikit-image wheel; nothing is downloaded."""
    skimage = pytest.importorskip("skimage")
    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        pytest.skip(f"this scikit-image does not bundle {name}")
    assert outcome(path) == "NO_FACE"


def test_an_upside_down_face(portrait):
    assert outcome(portrait.pixels[::-1]) == "NO_FACE"


# ---------------------------------------------------------------- wrong face
def test_two_faces(portrait):
    pair = np.hstack([portrait.pixels, portrait.pixels[:, ::-1]])
    assert outcome(pair) == ""
    assert outcome(pair, "error") == "MULTI_FACE"
    assert outcome(pair, "all") == ""
    assert outcome(pair, "1") == ""
    assert outcome(pair, "2") == "FACE_INDEX"


def test_a_small_and_a_blurred_face(portrait):
    import cv2

    assert outcome(resize(portrait.pixels, 90, 90)) == "FACE_TOO_SMALL"
    assert outcome(cv2.GaussianBlur(portrait.pixels, (0, 0), 9)) == "BLUR"


def test_a_smile(shared):
    assert outcome(shared / "data" / "smiling" / "001.jpg") in ("", "NOT_NEUTRAL")
    skipped = [outcome(p) for p in sorted((shared / "data" / "smiling").glob("*.jpg"))[:10]]
    assert "NOT_NEUTRAL" in skipped and set(skipped) <= {"", "NOT_NEUTRAL"}


def test_a_profile_face(portrait, model):
    """Landmarks of a head turned away; the photo itself shows no frontal face."""
    from scipy.spatial.transform import Rotation

    from synth.types import Landmarks

    points = model.landmarks(model.shape(np.zeros(1)))
    turn = Rotation.from_euler("y", 75, degrees=True).as_matrix()
    flat = (points @ turn.T)[:, :2] * (2, -2) + 384
    image = FaceImage(portrait.pixels, "side.jpg", "0" * 64)
    with pytest.raises(SkipPhoto) as caught:
        check_photo(image, Landmarks(flat, "test", np.array([200, 200, 500, 500])))
    assert caught.value.reason == "POSE" and abs(caught.value.value) > 60


# -------------------------------------------------------------------- folders
def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        find_images(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"\.jpg.*got none"):
        find_images(tmp_path)


def test_a_good_photo_among_bad_ones_is_not_lost(tmp_path, portrait):
    (tmp_path / "a.jpg").write_text("text")
    (tmp_path / "b.JPG").write_bytes(save(portrait.pixels, "JPEG"))
    (tmp_path / "c.png").write_bytes(save(portrait.pixels[:1, :1], "PNG"))
    results = {source.name: outcome(source.path) for source in find_images(tmp_path)}
    assert results == {"a.jpg": "DECODE", "b.JPG": "", "c.png": "NO_FACE"}
