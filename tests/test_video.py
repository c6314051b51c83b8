"""Films read back with the decoder: format, count, rate, colours, bytes."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import ShapeError, UsageError
from synth.video import frame_rate, write_mp4, write_webp

COLOURS = np.array([[200, 40, 40], [40, 180, 60], [30, 60, 200], [220, 200, 180], [90, 60, 50]])


def frames(count=12, height=64, width=96):
    """A bar of colours that walks over grey."""
    for i in range(count):
        frame = np.full((height, width, 3), 128, np.uint8)
        frame[:, (4 * i) % width : (4 * i) % width + 40] = COLOURS[i % len(COLOURS)]
        yield frame


def decoded(path):
    import av

    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        pictures = list(film.decode(stream))
        return stream, pictures, [p.to_ndarray(format="rgb24") for p in pictures]


@pytest.mark.parametrize("fps", [25.0, 30.0, 29.97, 12.5])
def test_h264_of_constant_rate(tmp_path, fps):
    write_mp4(frames(), tmp_path / "a.mp4", fps)
    stream, pictures, _ = decoded(tmp_path / "a.mp4")
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert float(stream.average_rate) == pytest.approx(fps, rel=1e-4)
    assert len(pictures) == stream.frames == 12
    steps = {
        (b.pts - a.pts) * stream.time_base for a, b in zip(pictures, pictures[1:], strict=False)
    }
    assert steps == {1 / stream.average_rate}


def test_colours_survive(tmp_path):
    write_mp4(frames(), tmp_path / "a.mp4", 30)
    _, pictures, pixels = decoded(tmp_path / "a.mp4")
    assert pictures[0].colorspace == 1  # BT.709
    import av

    for want, picture in zip(frames(), pictures, strict=True):
        back = picture.reformat(
            format="rgb24", src_colorspace=av.video.reformatter.Colorspace.ITU709
        )
        got = back.to_ndarray().astype(int)
        inner = np.abs(got - want).max(2)
        edges = np.abs(np.diff(want.astype(int), axis=1)).max(2).max(0)
        near = np.convolve(np.r_[edges, 0] > 0, np.ones(9), "same") > 0  # chroma is halved there
        assert inner[:, ~near].max() <= 8


def test_odd_sides_are_padded_and_bytes_repeat(tmp_path):
    odd = list(frames(5, 63, 95))
    write_mp4(odd, tmp_path / "a.mp4", 30)
    write_mp4(odd, tmp_path / "b.mp4", 30)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert decoded(tmp_path / "a.mp4")[2][0].shape == (64, 96, 3)


@pytest.mark.parametrize("fps, shown", [(30.0, 12), (60.0, 6), (100.0, 6)])
def test_webp_repeats_and_lasts_as_long_as_the_film(tmp_path, fps, shown):
    from PIL import Image

    write_webp(frames(), tmp_path / "a.webp", fps, side=48)
    with Image.open(tmp_path / "a.webp") as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (shown, (48, 32), 0)
        total = 0
        for i in range(picture.n_frames):
            picture.seek(i)
            picture.load()
            total += picture.info["duration"]
    assert total == pytest.approx(12 / fps * 1000, abs=1)


@pytest.mark.parametrize("write", [write_mp4, write_webp])
def test_nothing_and_mixed_sizes_are_refused_and_leave_no_file(tmp_path, write):
    with pytest.raises(ShapeError, match="at least one"):
        write([], tmp_path / "a", 30)
    with pytest.raises(ShapeError, match="one size"):
        write([*frames(2), *frames(1, 32, 32)], tmp_path / "a", 30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fps, rate",
    [
        (30, (30, 1)),
        (29.97, (2997, 100)),
        (30000 / 1001, (30000, 1001)),
        (24000 / 1001, (24000, 1001)),
        (0.5, (1, 2)),
        (1 / 4000, (1, 4000)),
    ],
)
def test_rates_are_exact(fps, rate):
    assert frame_rate(fps).as_integer_ratio() == rate


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("write", [write_mp4, write_webp])
def test_rates_that_are_none(tmp_path, write, fps):
    with pytest.raises(UsageError, match="fps"):
        write(frames(), tmp_path / "a", fps)
    assert list(tmp_path.iterdir()) == []


def test_tagged_bt709_limited_and_nothing_private(tmp_path):
    write_mp4(frames(), tmp_path / "a.mp4", 30)
    stream, _, _ = decoded(tmp_path / "a.mp4")
    context = stream.codec_context
    tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    assert tags == (1, 1, 1, 1)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is all there
    assert b"Lavf" not in data
    # creation and change time of the movie header, version 0: zero
    header = data.index(b"mvhd") + 4
    assert data[header : header + 12] == bytes(12)


def test_the_planes_are_those_of_bt709():
    from synth.video import _yuv420

    names = {(0, 0, 0): (16, 128, 128), (255, 255, 255): (235, 128, 128),
             (255, 0, 0): (63, 102, 240), (0, 255, 0): (173, 42, 26),
             (0, 0, 255): (32, 240, 118)}  # fmt: skip
    for colour, expected in names.items():
        planes = _yuv420(np.full((4, 6, 3), colour, np.uint8)).ravel()
        assert (planes[:24] == expected[0]).all()
        assert (planes[24:30] == expected[1]).all()
        assert (planes[30:] == expected[2]).all()


def test_an_odd_side_gets_its_last_row_and_column_twice(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 255, 95).astype(np.uint8)[:, None], (63, 95, 3))
    write_mp4([ramp], tmp_path / "a.mp4", 30)
    picture = decoded(tmp_path / "a.mp4")[2][0].astype(int)
    assert np.abs(picture[:63, :95] - ramp).max() <= 12
    assert np.abs(picture[63] - picture[62]).max() <= 3
    assert np.abs(picture[:, 95] - picture[:, 94]).max() <= 6


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    def failing():
        yield from frames(3)
        raise RuntimeError("render")

    for write, name in ((write_mp4, "a.mp4"), (write_webp, "a.webp")):
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(RuntimeError, match="render"):
            write(failing(), tmp_path / name, 30)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "a.mp4": b"old",
        "a.webp": b"old",
    }


def test_a_long_preview_is_thinned_and_lasts_as_long(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1301, 8, 8, 3)).astype(np.uint8)
    write_webp(iter(noise), tmp_path / "a.webp", 25)
    with Image.open(tmp_path / "a.webp") as picture:
        assert picture.n_frames == 326  # every fourth
        total = 0
        for i in range(picture.n_frames):
            picture.seek(i)
            picture.load()
            total += picture.info["duration"]
    assert total == 1301 * 40
