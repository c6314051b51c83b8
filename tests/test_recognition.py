"""Sets of faces, readers of crops, tracks, smoothing, and videos read and written again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from synth.errors import AssetError, ShapeError, SkipPhoto, UsageError
from synth.recognition.faces import CLASSES, UNLABELLED, FaceSet, joined
from synth.recognition.track import Tracker, iou


def face_set(count=5, side=48, seed=0, prefix="a", groups=None):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, side, (count, 68, 2)).astype(np.float32)
    points[0] = np.nan
    va = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    va[1] = np.nan
    return FaceSet(
        rng.integers(0, 256, (count, side, side), dtype=np.uint8),
        points,
        va,
        np.array([UNLABELLED, *(i % 8 for i in range(count - 1))]),
        tuple(f"person {i // 2}" for i in range(count)),
        tuple(f"{prefix}{i}.png" for i in range(count)),
        ("synthetic",) * count,
        ("vis", "nir") * (count // 2) + ("vis",) * (count % 2),
        groups or {},
    )


def same(a, b):
    arrays = all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=n in ("points", "va"))
        for n in ("pixels", "points", "va", "label")
    )
    words = all(
        getattr(a, n) == getattr(b, n)
        for n in ("subjects", "names", "origin", "spectrum", "groups")
    )
    return arrays and words


# ------------------------------------------------------------------------ sets of faces
def test_classes_are_those_of_written_sets():
    from synth.dataset.reader import CLASSES as WRITTEN
    from synth.dataset.reader import UNLABELLED as NONE

    assert (CLASSES, UNLABELLED) == (WRITTEN, NONE)


def test_a_set_survives_its_file(tmp_path):
    faces = face_set(groups={"age": ("20", "", "30", "40", "ü")})
    faces.save(tmp_path / "faces.npz")
    assert same(FaceSet.load(tmp_path / "faces.npz"), faces)
    empty = faces.take(np.zeros(5, bool))
    empty.save(tmp_path / "empty.npz")
    assert same(FaceSet.load(tmp_path / "empty.npz"), empty) and len(empty) == 0


def test_taking_and_joining_undo_each_other():
    faces = face_set(groups={"age": tuple("12345")})
    mask = np.array([True, False, True, False, False])
    one, other = faces.take(mask), faces.take(np.flatnonzero(~mask))
    assert one.names == ("a0.png", "a2.png") and one.groups == {"age": ("1", "3")}
    back = one.joined(other)
    assert same(back.take(np.argsort([0, 2, 1, 3, 4])), faces)
    more = joined(faces, face_set(3, prefix="b", groups={"gender": ("f",) * 3}))
    assert more.groups["age"] == (*"12345", "", "", "")
    assert more.groups["gender"] == ("",) * 5 + ("f",) * 3


@pytest.mark.parametrize(
    "change, error, word",
    [
        ({"pixels": np.zeros((5, 4, 6), np.uint8)}, ShapeError, "pixels"),
        ({"pixels": np.zeros((5, 4, 4))}, ShapeError, "pixels"),
        ({"va": np.zeros((5, 3))}, ShapeError, "va"),
        ({"label": np.full(5, 8)}, UsageError, "label"),
        ({"names": ("a",) * 5}, UsageError, "names"),
        ({"subjects": ("a",)}, ShapeError, "subjects"),
        ({"spectrum": ("swir",) * 5}, UsageError, "spectrum"),
        ({"groups": {"age": ("1",)}}, ShapeError, "age"),
    ],
)
def test_wrong_sets_are_refused(change, error, word):
    with pytest.raises(error, match=word):
        replace(face_set(), **change)


def test_what_is_no_set_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "b.npz", pixels=np.zeros((1, 4, 4), np.uint8))
    for name in ("a.npz", "b.npz", "c.npz"):
        with pytest.raises(AssetError, match=r"FaceSet\.save"):
            FaceSet.load(tmp_path / name)
    with pytest.raises(ShapeError, match="one shape"):
        joined(face_set(), face_set(side=32, prefix="b"))


# ------------------------------------------------------------------------------ readers
def weights(folder, name="w.safetensors", spectrum="vis", **config):
    """A network with random weights whose answers differ from face to face."""
    import torch

    from synth.models.fer import FERConfig, build, save_fer

    torch.manual_seed(3)
    options = {"arch": "small_cnn", "classes": CLASSES, "size": 48, "channels": 1} | config
    network = build(FERConfig(**options))
    with torch.no_grad():
        network.train()  # the norms learn what the features of noise are, so that they differ
        size, channels = options["size"], options["channels"]
        pictures = torch.rand(32, channels, size, size) * 2 - 1
        points = torch.rand(32, 68, 2) * size
        for _ in range(20):
            network(pictures, points=points) if network.config.reads_points else network(pictures)
    save_fer(folder / name, network.eval(), spectrum)
    return folder / name


@pytest.mark.parametrize("config", [{}, {"landmarks": True}, {"classes": ()}, {"va": False}])
def test_a_batch_says_what_its_faces_say_alone(tmp_path, config):
    from synth.recognition.reader import FaceReader

    faces = face_set(7)
    points = np.nan_to_num(faces.points)
    path = weights(tmp_path, **config)
    together = FaceReader(path, batch=64).read(faces.pixels, points)
    in_threes = FaceReader(path, batch=3).read(list(faces.pixels), points)
    alone = [
        FaceReader(path).read(faces.pixels[i : i + 1], points[i : i + 1]) for i in range(len(faces))
    ]
    assert len(together) == 7
    for name in ("va", "probabilities"):
        values = getattr(together, name)
        if values is None:
            assert getattr(alone[0], name) is None
            continue
        assert np.ptp(values, axis=0).max() > 1e-3
        np.testing.assert_allclose(getattr(in_threes, name), values, atol=1e-5)
        singles = np.concatenate([getattr(one, name) for one in alone])
        np.testing.assert_allclose(singles, values, atol=1e-5)
    if together.probabilities is not None:
        np.testing.assert_allclose(together.probabilities.sum(1), 1, atol=1e-5)
        assert together.classes == CLASSES


def test_readers_refuse_what_is_not_theirs(tmp_path):
    from synth.recognition.reader import FaceReader

    path = weights(tmp_path, spectrum="nir")
    assert FaceReader(path, None).spectrum == "nir"
    with pytest.raises(AssetError, match="spectrum"):
        FaceReader(path, "vis")
    with pytest.raises(AssetError, match="exist"):
        FaceReader(tmp_path / "none.safetensors")
    with pytest.raises(UsageError, match="batch"):
        FaceReader(path, "nir", batch=0)
    with pytest.raises(UsageError, match="device"):
        FaceReader(path, "nir", device="tpu")
    faces = face_set(2)
    reader = FaceReader(weights(tmp_path, "p.safetensors", landmarks=True))
    with pytest.raises(UsageError, match="points"):
        reader.read(faces.pixels)
    with pytest.raises(UsageError, match="NaN"):
        reader.read(faces.pixels, faces.points)
    with pytest.raises(ShapeError, match="points"):
        reader.read(faces.pixels, faces.points[:1])
    assert len(reader.read(faces.pixels[:0], faces.points[:0])) == 0


# ------------------------------------------------------------------------------- tracks
def box(x, y=50.0, side=40.0):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def test_overlap_of_known_boxes():
    a = [[0, 0, 2, 2], [0, 0, 4, 1]]
    b = [[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]]
    expected = [[1 / 7, 1, 0], [0, 2 / 6, 0]]
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-12)


def test_faces_that_pass_each_other_keep_their_numbers():
    tracker = Tracker()
    for i in range(60):
        right, left = box(40 + 4 * i), box(280 - 4 * i, 78)
        order = [right, left] if i % 2 else [left, right]
        numbers = tracker.assign(order, i / 25)
        assert numbers == ([2, 1] if i % 2 else [1, 2])


def test_numbers_survive_short_gaps_and_end_with_long_ones():
    tracker = Tracker(gap=1.0)
    assert tracker.assign([box(50), box(150)], 0.0) == [1, 2]
    assert tracker.assign([box(150)], 0.5) == [2]
    assert tracker.assign([], 0.7) == []
    assert tracker.assign([box(52), box(150)], 0.9) == [1, 2]
    assert tracker.assign([box(150)], 1.9) == [2]
    assert tracker.assign([box(52)], 2.0) == [3]  # 1.1 s unseen
    assert tracker.assign([box(152), box(52)], 2.1) == [2, 3]


def test_a_face_elsewhere_or_of_another_size_is_another_face():
    tracker = Tracker()
    assert tracker.assign([box(50)], 0.0) == [1]
    assert tracker.assign([box(50 + 40)], 0.04) == [2]
    assert tracker.assign([box(50, side=90)], 0.08) == [3]


# ---------------------------------------------------------------------------- smoothing
def readings(values, track=1, fps=25.0):
    from synth.recognition.face_reading import FaceReading

    return [
        FaceReading("a.mp4", 0, float(v), float(-v), "happiness", 0.5 + float(v) / 2,
                    {"happiness": 0.5 + float(v) / 2, "anger": 0.5 - float(v) / 2}, np.zeros(4),
                    np.zeros((68, 2)), "vis", "", i, i / fps, track)
        for i, v in enumerate(values)
    ]  # fmt: skip


def test_smoothing_does_not_lag_and_calms():
    from synth.recognition.follow import smoothed

    ramp = np.linspace(-0.5, 0.5, 101)
    noise = np.random.default_rng(0).normal(0, 0.1, 101)
    calm = np.array([r.valence for r in smoothed(readings(ramp), 0.4)])
    np.testing.assert_allclose(calm[20:-20], ramp[20:-20], atol=1e-4)
    noisy = smoothed(readings(ramp + noise), 0.4)
    left = np.array([r.valence for r in noisy]) - ramp
    # a Gaussian of 5 frames leaves 1 / sqrt(2 sqrt(pi) 5) of white noise
    assert np.std(left[20:-20]) < 1.5 * 0.1 / np.sqrt(2 * np.sqrt(np.pi) * 5)
    assert noisy[50].raw == pytest.approx((ramp[50] + noise[50], -ramp[50] - noise[50]))
    assert noisy[10].expression == "anger" and noisy[90].expression == "happiness"
    assert noisy[50].confidence == max(noisy[50].probabilities.values())


def test_smoothing_keeps_tracks_apart_and_zero_keeps_all():
    from synth.recognition.follow import smoothed

    both = [r for pair in zip(readings([0.5] * 30), readings([-0.5] * 30, 2), strict=True)
            for r in pair]  # fmt: skip
    assert {(r.track, r.valence) for r in smoothed(both, 1.0)} == {(1, 0.5), (2, -0.5)}
    assert smoothed(both, 0.0) == both


# ------------------------------------------------------------------------------- videos
VARIABLE = [0, 40, 120, 160, 400, 440, 520, 600]


def film(path, times=range(0, 1000, 40), sound="aac", codec="libx264", size=(96, 128)):
    """A video whose frame i is grey i * 5, shown from `times` ms, with a tone of its length."""
    import av

    base = Fraction(1, 1000)
    times = list(times)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p" if codec == "ffv1" else "yuv420p"
        stream.codec_context.time_base = base
        if codec == "libx264":
            stream.codec_context.options = {"bf": "0", "crf": "10"}
        tone = output.add_stream(sound, rate=44100, layout="mono") if sound else None
        for i, at in enumerate(times):
            grey = np.full((*size, 3), 5 * i, np.uint8)
            grey[: size[0] // 4, : size[1] // 4] = (230, 30, 30)  # top left
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = at, base
            for packet in stream.encode(frame):
                packet.duration = round(40 * base / packet.time_base)
                output.mux(packet)
        for packet in stream.encode(None):
            packet.duration = round(40 * base / packet.time_base)
            output.mux(packet)
        if tone is not None:
            count = 44100 * (times[-1] + 40) // 1000
            wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(count) / 44100).astype(np.float32)
            for start in range(0, count, 1024):
                part = np.ascontiguousarray(wave[None, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 44100, start
                output.mux(tone.encode(frame))
            output.mux(tone.encode(None))
    return path


def facts(path):
    """Times and lengths of the frames, and the packets of sound."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        shown = [(f.pts * f.time_base, f.duration * f.time_base) for f in file.decode(stream)]
    with av.open(str(path)) as file:
        packets = [
            (p.pts * p.time_base, bytes(p))
            for tone in file.streams.audio
            for p in file.demux(tone)
            if p.dts is not None
        ]
    return shown, packets


def again(source, target):
    from synth.recognition.remux import Shown, write_film
    from synth.recognition.video import open_film, read_frames

    opened = open_film(source)
    write_film(opened, (Shown(f.pts, f.duration, f.pixels) for f in read_frames(opened)), target)
    return opened


@pytest.mark.parametrize("name, times", [("a.mp4", range(0, 2000, 40)), ("b.mp4", VARIABLE),
                                         ("c.mkv", VARIABLE)])  # fmt: skip
def test_a_copy_has_the_same_frames_times_and_sound(tmp_path, name, times):
    from synth.recognition.video import read_frames

    opened = again(film(tmp_path / name, times), tmp_path / "copy.mp4")
    (before, sound), (after, copied) = facts(tmp_path / name), facts(tmp_path / "copy.mp4")
    assert len(after) == len(times)
    assert [at for at, _ in after] == [at for at, _ in before] == [Fraction(t, 1000) for t in times]
    assert sum(after[-1]) == sum(before[-1]) == Fraction(times[-1] + 40, 1000)
    assert [data for _, data in copied] == [data for _, data in sound] and len(sound) > 20
    assert max(abs(a - b) for (a, _), (b, _) in zip(sound, copied, strict=True)) < 1e-3
    frames = list(read_frames(opened))
    assert [f.index for f in frames] == list(range(len(times)))
    np.testing.assert_allclose([f.time for f in frames], np.array(times) / 1000)
    levels = [int(np.median(f.pixels)) for f in frames]
    np.testing.assert_allclose(levels, 5 * np.arange(len(times)), atol=3)


def test_sound_that_mp4_cannot_hold_is_encoded(tmp_path):
    import av

    again(film(tmp_path / "a.mkv", sound="pcm_s16le"), tmp_path / "copy.mp4")
    with av.open(str(tmp_path / "copy.mp4")) as file:
        tone = file.streams.audio[0]
        assert tone.codec_context.name == "aac"
        heard = np.concatenate([f.to_ndarray()[0] for f in file.decode(tone)])
    assert len(heard) == pytest.approx(44100, rel=0.06)
    spectrum = np.abs(np.fft.rfft(heard[4410:39690]))
    assert np.argmax(spectrum) * 44100 / 35280 == pytest.approx(440, abs=2)


def test_odd_sides_and_no_sound(tmp_path):
    again(film(tmp_path / "a.avi", sound="", codec="mpeg4"), tmp_path / "b.mp4")
    again(film(tmp_path / "a.mkv", sound="", codec="ffv1", size=(91, 123)), tmp_path / "c.mp4")
    for name in ("b.mp4", "c.mp4"):
        shown, sound = facts(tmp_path / name)
        assert len(shown) == 25 and not sound


def test_turned_videos_come_upright(tmp_path):
    """The matrix of a telephone: x to y and y to -x, a quarter turn clockwise."""
    from synth.recognition.video import open_film, read_frames

    data = bytearray(film(tmp_path / "a.mp4", [0, 40], sound="").read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 36  # version and flags, then times to volume
    one = 1 << 16
    matrix = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in matrix)
    (tmp_path / "b.mp4").write_bytes(data)
    frame = next(read_frames(open_film(tmp_path / "b.mp4")))
    assert frame.pixels.shape == (128, 96, 3)
    assert frame.pixels[5, -5, 0] > 180 > 90 > frame.pixels[5, 5, 0]  # top left is top right now


def test_broken_videos_say_what_is_wrong(tmp_path):
    from synth.recognition.video import open_film, read_frames

    whole = film(tmp_path / "a.mp4", range(0, 2000, 40), sound="")
    (tmp_path / "half.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("half.mp4", "text.mp4", "none.mp4"):
        with pytest.raises(SkipPhoto, match=f"{name}: expected a whole, readable video") as caught:
            list(read_frames(open_film(tmp_path / name)))
        assert caught.value.reason == "DECODE"


def test_a_video_that_breaks_off_gives_what_it_has(tmp_path):
    from synth.recognition.video import open_film, read_frames

    again(film(tmp_path / "a.mp4", range(0, 2000, 40)), tmp_path / "b.mp4")  # its index is in front
    data = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "c.mp4").write_bytes(data[: len(data) * 2 // 3])
    frames = []
    with pytest.raises(SkipPhoto) as caught:
        for frame in read_frames(open_film(tmp_path / "c.mp4")):
            frames.append(frame)
    assert 10 < len(frames) < 50 and caught.value.value == len(frames)


def test_sound_alone_is_no_video(tmp_path):
    import av

    from synth.recognition.video import open_film

    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        tone = output.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        output.mux(tone.encode(frame))
        output.mux(tone.encode(None))
    with pytest.raises(SkipPhoto, match="only audio"):
        open_film(tmp_path / "a.mp4")


# ------------------------------------------------------------------------------- inputs
def test_folders_give_photos_and_videos(tmp_path):
    from synth.recognition.inputs import find_inputs

    (tmp_path / "sub [1]").mkdir()
    for name in ("b.JPG", "a.png", "film.MP4", ".hidden.mp4", "notes.doc", "sub [1]/deep.mov"):
        (tmp_path / name).touch()
    found = find_inputs([str(tmp_path)])
    assert [s.name for s in found.photos] == ["a.png", "b.JPG"]
    assert [s.name for s in found.films] == ["film.MP4"]
    deep = find_inputs([str(tmp_path)], recursive=True)
    assert [s.name for s in deep.films] == ["film.MP4", "deep.mov"]
    assert not find_inputs([str(tmp_path / "sub [1]")]).photos
    assert len(find_inputs([str(tmp_path / "*.MP4"), str(tmp_path / "film.MP4")]).films) == 1
    with pytest.raises(UsageError, match="input"):
        find_inputs([str(tmp_path / "nothing")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="expected photos"):
        find_inputs([str(tmp_path / "empty")])
