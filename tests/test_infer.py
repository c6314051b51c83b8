"""`synth infer`: faces of photos and videos to tables, overlays, dashboards; what it refuses."""

from __future__ import annotations

import csv
import json
import tomllib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.errors import SkipPhoto, UsageError
from synth.images import encode_image, load_image, resize
from synth.recognition.faces import CLASSES
from synth.recognition.infer import Inference, read_image
from synth.recognition.reader import DEFAULTS, Readings


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, ["infer", *(str(a) for a in args)], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Brightness:
    """Valence is the mean brightness of a crop, arousal its side; the class is its darkness."""

    size, digest = 64, "b" * 64

    def __init__(self):
        self.calls = []

    def read(self, pixels, points=None):
        self.calls.append([p.shape for p in pixels])
        mean = np.array([p.mean() for p in pixels]) / 127.5 - 1
        va = np.stack([mean, np.full(len(pixels), len(pixels[0]) / 100)], 1).astype(np.float32)
        shares = np.zeros((len(pixels), len(CLASSES)), np.float32)
        shares[np.arange(len(pixels)), np.where(mean > 0, 1, 2)] = 1
        return Readings(va, shares, CLASSES)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Files of networks with random weights, by spectrum."""
    import torch

    from synth.models.fer import FERConfig, build, save_fer

    folder, files = tmp_path_factory.mktemp("networks"), {}
    for number, spectrum in enumerate(("vis", "nir")):
        torch.manual_seed(number)
        config = FERConfig("small_cnn", classes=CLASSES, size=48, channels=1)
        files[spectrum] = folder / f"{spectrum}.safetensors"
        save_fer(files[spectrum], build(config).eval(), spectrum)
    return files


@pytest.fixture(scope="module")
def small(samples, tmp_path_factory):
    """Three small portraits, one of two people, a landscape and a broken file."""
    folder = tmp_path_factory.mktemp("small")
    faces = [resize(load_image(samples / f"sample_{n}.jpg").pixels, 256, 256) for n in (1, 2, 3)]
    for number, face in enumerate(faces, 1):
        (folder / f"{number}.png").write_bytes(encode_image(face))
    (folder / "both.png").write_bytes(encode_image(np.concatenate(faces[:2], axis=1)))
    (folder / "empty.png").write_bytes(encode_image(np.full((64, 64, 3), 90, np.uint8)))
    (folder / "torn.png").write_bytes(encode_image(faces[0])[:999])
    return folder


# ------------------------------------------------------------------------------- pictures
def test_every_face_is_read_where_it_is(small):
    bright = load_image(small / "both.png").pixels.copy()
    bright[:, :256] //= 3
    reader = Brightness()
    found = read_image(bright, Inference(readers={"vis": reader}))
    assert len(found) == 2 and reader.calls == [[(64, 64, 3)] * 2]
    by_side = sorted(found, key=lambda reading: reading.box[0])
    assert by_side[0].box[2] < 256 < by_side[1].box[0]
    dark, light = by_side
    assert dark.valence < -0.5 < light.valence and dark.arousal == pytest.approx(0.64)
    assert (dark.expression, dark.confidence) == ("sadness", 1.0)
    assert {r.face for r in found} == {0, 1} and dark.weights == "b" * 16
    assert read_image(np.full((80, 80, 3), 90, np.uint8), Inference(readers={"vis": reader})) == []


def test_crops_are_those_of_the_profile(small):
    from synth.crops import crop_by_profile

    seen = []

    class Keeps(Brightness):
        def read(self, pixels, points=None):
            seen.append((pixels, points))
            return super().read(pixels, points)

    image = load_image(small / "1.png")
    inference = Inference(readers={"vis": Keeps(), "nir": Keeps()})
    read_image(small / "1.png", inference)
    face = inference.detect(image)[0]
    crop, points, _ = crop_by_profile(image, face, "aligned", 64)
    assert np.array_equal(seen[0][0][0], crop.pixels)
    np.testing.assert_allclose(seen[0][1][0], points.points)


def test_the_spectrum_is_said_or_told_by_the_colours(small):
    readers = {"vis": Brightness(), "nir": Brightness()}
    colour = load_image(small / "1.png").pixels
    grey = np.repeat(colour[..., 1:2], 3, axis=2)
    auto = Inference(spectrum="auto", readers=readers)
    assert [read_image(p, auto)[0].spectrum for p in (colour, grey)] == ["vis", "nir"]
    assert readers["nir"].calls == [[(64, 64)]]  # grey crops for its network
    with pytest.raises(SkipPhoto, match="grey picture for --spectrum nir"):
        read_image(colour, Inference(spectrum="nir", readers=readers))
    with pytest.raises(UsageError, match="spectrum"):
        Inference(spectrum="swir")


def test_approach_1_reads_the_translation(small):
    grey = load_image(small / "1.png").pixels[..., 1]
    given = []

    def translate(pixels, faces, seed):
        given.append((pixels.shape, len(faces)))
        return np.full((*pixels.shape, 3), (250, 0, 0), np.uint8)

    vis = Brightness()
    found = read_image(grey, Inference(spectrum="nir", translate=translate, readers={"vis": vis}))
    assert given == [((256, 256), 1)] and vis.calls == [[(64, 64, 3)]]
    assert found[0].spectrum == "nir"
    assert found[0].valence == pytest.approx(250 / 3 / 127.5 - 1, abs=1e-3)


def test_a_folder_becomes_a_table(small, networks, tmp_path):
    done = call("-i", small, "-o", tmp_path, "--weights", networks["vis"], "--overlay",
                "--dashboard")  # fmt: skip
    assert done.exit_code == 3 and "5 faces in 6 photos" in done.output
    table = rows(tmp_path / "predictions.csv")
    assert [(r["file_name"], r["face"]) for r in table] == [
        ("1.png", "0"), ("2.png", "0"), ("3.png", "0"), ("both.png", "0"), ("both.png", "1")
    ]  # fmt: skip
    for row in table:
        shares = [float(row[f"p_{name}"]) for name in CLASSES]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert float(row["confidence"]) == max(shares) == float(row[f"p_{row['expression']}"])
        assert float(row["left"]) < float(row["right"]) and row["track"] == row["time"] == ""
        assert len(row["weights"]) == 16 and row["spectrum"] == "vis"
    skipped = {r["source"]: r["reason"] for r in rows(tmp_path / "skipped.csv")}
    assert skipped == {"empty.png": "NO_FACE", "torn.png": "DECODE"}
    run = tomllib.loads((tmp_path / "run.toml").read_text())
    assert run["assets"]["fer_vis"].startswith(table[0]["weights"])
    for folder in ("overlays", "dashboards"):
        names = sorted(p.name for p in (tmp_path / folder).iterdir())
        assert names == ["1.png", "2.png", "3.png", "both.png"]
    drawn = load_image(tmp_path / "overlays" / "both.png").pixels
    assert drawn.shape == (256, 512, 3)
    assert load_image(tmp_path / "dashboards" / "both.png").pixels.shape == (720, 1280, 3)
    again = call("-i", small, "-o", tmp_path, "--weights", networks["vis"])
    assert again.exit_code == 2 and "overlay = False (was True)" in again.output


def test_batches_and_formats_do_not_matter(small, networks, tmp_path):
    import pyarrow.parquet as pq

    common = ("-i", small, "--weights", networks["vis"])
    call(*common, "-o", tmp_path / "a", "--batch", 1, "--format", "json")
    call(*common, "-o", tmp_path / "b", "--format", "parquet")
    call(*common, "-o", tmp_path / "c")
    one = json.loads((tmp_path / "a" / "predictions.json").read_text())
    two = pq.read_table(tmp_path / "b" / "predictions.parquet").to_pylist()
    three = rows(tmp_path / "c" / "predictions.csv")
    assert len(one) == len(two) == len(three) == 5
    for a, b, c in zip(one, two, three, strict=True):
        assert list(a) == list(b) == list(c)
        assert {n: "" if v is None else str(v) for n, v in b.items()} == c
        for name, value in a.items():
            same = pytest.approx(b[name], abs=1.01e-4) if isinstance(value, float) else b[name]
            assert value == same


def test_chunks_come_in_order(small, networks, tmp_path, monkeypatch):
    from synth.cli import infer_photos

    common = ("-i", small, "--weights", networks["vis"])
    call(*common, "-o", tmp_path / "a")
    monkeypatch.setattr(infer_photos, "CHUNK", 2)
    call(*common, "-o", tmp_path / "b")
    a, b = (rows(tmp_path / n / "predictions.csv") for n in "ab")
    assert [r["file_name"] for r in a] == [r["file_name"] for r in b]


def test_a_photo_that_fails_stops_no_other(small, networks, tmp_path, monkeypatch):
    crops = Inference.crops

    def failing(self, image, faces, spectrum):
        if image.name == "2.png":
            raise ZeroDivisionError("nothing there")
        return crops(self, image, faces, spectrum)

    monkeypatch.setattr(Inference, "crops", failing)
    done = call("-i", small / "[1-3].png", "-o", tmp_path, "--weights", networks["vis"])
    assert done.exit_code == 3
    assert [r["file_name"] for r in rows(tmp_path / "predictions.csv")] == ["1.png", "3.png"]
    skipped = rows(tmp_path / "skipped.csv")
    assert [(r["source"], r["reason"]) for r in skipped] == [("2.png", "INTERNAL")]
    assert "ZeroDivisionError: nothing there" in skipped[0]["message"]


@pytest.mark.slow
def test_workers_do_not_matter(small, networks, tmp_path, monkeypatch):
    from synth.cli import infer_photos

    monkeypatch.setattr(infer_photos, "CHUNK", 2)
    common = ("-i", small, "--weights", networks["vis"], "--overlay")
    for workers in (1, 3):
        call(*common, "-o", tmp_path / str(workers), "--workers", workers)
    one, three = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")
         if p.name != "run.toml"}
        for n in "13"
    )  # fmt: skip
    assert one == three and len(one) == 6


def test_approach_1_of_the_command(small, networks, tmp_path):
    grey = load_image(small / "2.png").pixels[..., 1]
    (tmp_path / "nir.png").write_bytes(encode_image(grey))
    photo, out = tmp_path / "nir.png", tmp_path / "out"
    first = call("-i", photo, "-o", out / "1", "--spectrum", "nir", "--approach", "1",
                 "--weights", networks["vis"])  # fmt: skip
    second = call("-i", photo, "-o", out / "2", "--spectrum", "nir", "--weights", networks["nir"])
    assert first.exit_code == second.exit_code == 0
    a, b = (rows(out / n / "predictions.csv")[0] for n in "12")
    assert a["spectrum"] == b["spectrum"] == "nir" and a["weights"] != b["weights"]
    assets = tomllib.loads((out / "1" / "run.toml").read_text())["assets"]
    assert set(assets) > {"fer_vis"} and "fer_nir" not in assets  # and the translator's
    assert call("-i", small / "1.png", "-o", out / "3", "--spectrum", "nir", "--weights",
                networks["nir"]).exit_code == 3  # fmt: skip
    assert rows(out / "3" / "skipped.csv")[0]["reason"] == "SPECTRUM"


# --------------------------------------------------------------------------------- videos
@pytest.fixture(scope="module")
def portraits(samples):
    return [resize(load_image(samples / f"sample_{n}.jpg").pixels, 200, 200) for n in (1, 2)]


def scene(portraits, t, away=()):
    """Two portraits that move; those in `away` are not there. The second one grows darker."""
    picture = np.full((240, 440, 3), 200, np.uint8)
    if 1 not in away:
        picture[20:220, 5 + round(10 * t) :][:, :200] = portraits[0]
    if 2 not in away:
        picture[20:220, 235 - round(10 * t) :][:, :200] = portraits[1] * (1 - 0.3 * t)
    return picture


def frames(portraits, count, fps=10.0, gone=None):
    from synth.recognition.video import Frame

    for i in range(count):
        away = () if gone is None else gone(i)
        pixels = scene(portraits, i / fps, away)
        yield Frame(i, i / fps, i, 1, pixels)


def follow(frames, every=1):
    from synth.recognition.follow import FilmSettings, read_film

    inference = Inference(readers={"vis": Brightness()})
    return list(read_film(frames, inference, "a.mp4", FilmSettings(every)))


@pytest.mark.parametrize("every", [1, 4])
def test_faces_of_a_video_keep_their_numbers(portraits, every):
    found = follow(frames(portraits, 12), every)
    assert len(found) == 12
    sides = {}
    for number, readings in enumerate(found):
        assert len(readings) == 2
        for reading in readings:
            assert (reading.frame, reading.time) == (number, pytest.approx(number / 10))
            middle = reading.points[:, 0].mean()
            t, left = number / 10, reading.track == sides.setdefault("left", min(
                readings, key=lambda r: r.points[:, 0].mean()).track)  # fmt: skip
            centre = 105 + 10 * t if left else 335 - 10 * t
            assert middle == pytest.approx(centre, abs=8)
    assert {r.track for readings in found for r in readings} == {1, 2}
    right = [next(r for r in f if r.track != sides["left"]) for f in found]
    assert right[-1].valence < right[0].valence - 0.2  # it grew darker


def test_a_face_that_comes_back_soon_is_the_same(portraits):
    def gone(i):
        return (2,) if 3 <= i < 7 or 9 <= i < 22 else ()

    found = follow(frames(portraits, 24, gone=gone))
    numbers = [sorted(r.track for r in readings) for readings in found]
    kept = next(r.track for r in found[5])
    other = ({1, 2} - {kept}).pop()
    assert all(n == [kept] for n in numbers[3:7] + numbers[9:22])
    assert all(n == [1, 2] for n in numbers[:3] + numbers[7:9])
    assert all(n == sorted([kept, 3]) for n in numbers[22:]), other  # 1.4 s unseen


def test_empty_stretches_are_searched_now_and_then(portraits, monkeypatch):
    searched = []
    detect = Inference.detect

    def counted(self, image, photo=None):
        searched.append(image)
        return detect(self, image, photo)

    monkeypatch.setattr(Inference, "detect", counted)
    small = np.full((48, 64, 3), 90, np.uint8)
    found = follow(replace(f, pixels=small) for f in frames(portraits, 40, fps=20.0))
    assert found == [[]] * 40 and len(searched) == 10  # every 0.2 s of 2


def written(path, pictures, sound=True, fps=10):
    """A video of these pictures, with a tone of its length."""
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        tone = output.add_stream("aac", rate=44100, layout="mono") if sound else None
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            count = 44100 * len(pictures) // fps
            wave = np.sin(2 * np.pi * 440 * np.arange(count) / 44100).astype(np.float32)
            for start in range(0, count, 1024):
                part = np.ascontiguousarray(wave[None, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 44100, start
                output.mux(tone.encode(frame))
            output.mux(tone.encode(None))
    return path


def facts(path):
    """Rate, times of the frames, length in seconds, packets of sound."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        rate, shown = stream.average_rate, list(file.decode(stream))
        times = [f.pts * f.time_base for f in shown]
        length = times[-1] + shown[-1].duration * shown[-1].time_base
    with av.open(str(path)) as file:
        sound = [bytes(p) for p in file.demux(file.streams.audio) if p.dts is not None]
    return rate, times, length, sound


def test_a_video_becomes_a_table_an_overlay_and_a_dashboard(portraits, networks, tmp_path):
    pictures = [scene(portraits, i / 10, (1,) if i == 5 else ()) for i in range(12)]
    video = written(tmp_path / "two people.mp4", pictures)
    (tmp_path / "broken.mp4").write_bytes(video.read_bytes()[:3000])
    written(tmp_path / "empty.mp4", [np.full((64, 96, 3), 90, np.uint8)] * 2, sound=False)
    out = tmp_path / "out"
    done = call("-i", tmp_path, "-o", out, "--weights", networks["vis"], "--overlay",
                "--dashboard", "--smooth", 0.3, "--detect-every", 1)  # fmt: skip
    assert done.exit_code == 3 and "23 faces in 14 frames of 2 videos" in done.output
    table = rows(out / "predictions.csv")
    assert len(table) == 23 and {r["file_name"] for r in table} == {"two people.mp4"}
    assert {r["track"] for r in table} == {"1", "2"}
    assert [r["frame"] for r in table if r["face"] == "0"] == [str(i) for i in range(12)]
    assert all(float(r["time"]) == pytest.approx(int(r["frame"]) / 10) for r in table)
    assert all(r["valence_raw"] and r["arousal_raw"] for r in table)
    skipped = {r["source"]: (r["reason"], r["message"]) for r in rows(out / "skipped.csv")}
    assert skipped["broken.mp4"][0] == "DECODE" and skipped["empty.mp4"][0] == "NO_FACE"
    assert "readable video" in skipped["broken.mp4"][1]
    assert "one of 2 frames" in skipped["empty.mp4"][1]
    before = facts(video)
    for folder in ("overlays", "dashboards"):
        assert facts(out / folder / "two_people.mp4") == before
    assert load_image(out / "courses" / "two_people.png").pixels.shape[1] == 1200
    assert not list(out.glob("*/empty*"))


def test_overlays_change_what_is_beside_the_face_not_the_face(portraits):
    from synth.preview.overlay import draw_overlay, face_box

    pixels = scene(portraits, 0.0)
    found = read_image(pixels, Inference(readers={"vis": Brightness()}))
    drawn = draw_overlay(pixels, found)
    changed = (drawn != pixels).any(axis=2)
    assert changed.mean() > 0.02
    for reading in found:
        box = face_box(reading, *pixels.shape[:2])
        inside = changed[box.top + 4 : box.bottom - 4, box.left + 4 : box.right - 4]
        assert inside.mean() < 0.1
    assert np.array_equal(draw_overlay(pixels, []), pixels)


class FakeCamera:
    """Stands in for `cv2.VideoCapture`."""

    pictures: list = []

    def __init__(self, number):
        self.left = list(self.pictures) if number == 0 else []
        self.there = number == 0

    def isOpened(self):
        return self.there

    def read(self):
        return (True, self.left.pop(0)[..., ::-1].copy()) if self.left else (False, None)

    def release(self):
        self.left = []


def test_the_webcam(portraits, networks, tmp_path, monkeypatch):
    import cv2

    FakeCamera.pictures = [scene(portraits, 0.0)] * 4
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    common = ("--weights", networks["vis"], "--overlay")
    done = call("--camera", 0, "-o", tmp_path / "a", *common)
    assert done.exit_code == 0 and "8 faces in 4 frames" in done.output
    table = rows(tmp_path / "a" / "predictions.csv")
    assert {r["file_name"] for r in table} == {"camera.mp4"}
    times = [float(r["time"]) for r in table[::2]]
    assert times == sorted(set(times))
    recorded, drawn = (facts(tmp_path / "a" / n) for n in ("camera.mp4", "overlays/camera.mp4"))
    assert recorded[1] == drawn[1] and len(drawn[1]) == 4
    np.testing.assert_allclose([float(t) for t in recorded[1]], times, atol=1e-3)
    none = call("--camera", 1, "-o", tmp_path / "b", *common)
    assert none.exit_code == 2 and "expected a camera with the number 1" in none.output
    assert not (tmp_path / "b").exists()


# -------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    "options, words",
    [
        ((), "input: expected a photo, video or folder"),
        (("-i", "nowhere"), "which does not exist"),
        (("-i", ".", "--camera", 0), "camera: expected no --input"),
        (("-i", ".", "--seconds", 3), "seconds: expected --camera"),
        (("--camera", 0, "--approach", 1), "approach: expected near infrared"),
        (("--camera", 0, "--translator", "x"), "translator: expected --approach 1"),
        (("--camera", 0, "--weights", "x"), "weights: expected a .safetensors file"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, monkeypatch, options, words):
    from synth.samples import copy_samples

    monkeypatch.chdir(tmp_path)
    if "-i" in options and "." in options:
        copy_samples(tmp_path)
    done = call(*options, "-o", tmp_path / "out")
    assert done.exit_code in (1, 2) and words in done.output
    assert not (tmp_path / "out").exists()


def test_weights_of_another_spectrum_are_refused(small, networks, tmp_path):
    common = ("-i", small / "1.png", "-o", tmp_path / "out")
    other = call(*common, "--spectrum", "nir", "--weights", networks["vis"])
    assert other.exit_code == 2 and "expected some for nir, got one for vis" in other.output
    two = call(*common, "--weights", networks["vis"], "--weights", networks["vis"])
    assert two.exit_code == 2 and "one file a spectrum" in two.output


def test_weights_for_both_spectra_serve_both(small, tmp_path):
    import torch

    from synth.models.fer import FERConfig, build, save_fer

    torch.manual_seed(0)
    file = tmp_path / "both.safetensors"
    save_fer(file, build(FERConfig("small_cnn", size=48, channels=1)).eval(), "both")
    grey = load_image(small / "2.png").pixels[..., 1]
    (tmp_path / "nir.png").write_bytes(encode_image(grey))
    done = call("-i", small / "1.png", "-i", tmp_path / "nir.png", "-o", tmp_path / "out",
                "--spectrum", "auto", "--weights", file, "--overlay", "--dashboard")  # fmt: skip
    table = rows(tmp_path / "out" / "predictions.csv")
    assert done.exit_code == 0 and [r["spectrum"] for r in table] == ["vis", "nir"]
    assert not any(name.startswith("p_") for name in table[0]) and table[0]["expression"] == ""


def test_films_take_no_face_by_number(portraits, networks, tmp_path):
    video = written(tmp_path / "a.mp4", [scene(portraits, 0.0)], sound=False)
    common = ("-i", video, "-o", tmp_path / "out", "--weights", networks["vis"])
    assert "all or largest for videos" in call(*common, "--face", 1).output
    other = call(*common, "--landmarks", "face-alignment", "--detect-every", 2)
    assert other.exit_code == 2 and "only dlib follows" in other.output


def test_without_weights_it_says_how_to_get_some(small, tmp_path, monkeypatch):
    monkeypatch.setitem(DEFAULTS, "nir", "no_such_asset")
    done = call("-i", small, "-o", tmp_path / "out", "--spectrum", "nir")
    assert done.exit_code == 1 and "synth train fer" in done.output
