"""``synth sequence`` and the new targets of ``synth generate``, as a user sees them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.affect import EXPRESSIONS
from synth.cli import cli
from synth.images import load_image
from synth.pipeline import Generator
from synth.targets import Target, frame_targets, make_targets, target_tags
from synth.types import VA, Track

SMALL = ["--crop", "face", "--size", "96"]


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows(root: Path) -> list[dict[str, str]]:
    with open(root / "metadata.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def records(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "provenance.jsonl").read_text().splitlines()]


def tree(root: Path) -> dict[str, bytes]:
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name != "run.toml")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def photo(samples) -> Path:
    return samples / "sample_1.jpg"


@pytest.fixture(scope="module")
def face(generator, portrait):
    image, found = generator.faces(portrait)
    return generator.prepare(image, found[0])


# --------------------------------------------------------------------------- targets
def test_samples_number_the_styles_of_every_point():
    targets = make_targets([(VA(0.5, 0.3), ""), (VA(0, 0), "")], [(("12", 0.8),)], samples=3)
    assert [t.index for t in targets] == list(range(5))
    assert [t.sample for t in targets] == [1, 2, 3, 0, 0]  # neutral has one face
    assert len(set(target_tags(targets))) == 5


def test_frames_share_a_folder_and_two_equal_paths_do_not(generator):
    track = Track("circle", 30, np.zeros((3, 2)))
    one = frame_targets(track, 0, 0)
    assert target_tags(one) == ["circle/00000", "circle/00001", "circle/00002"]
    both = target_tags(one + frame_targets(track, 1, 3))
    assert both[0] == "circle_q00/00000" and both[3] == "circle_q01/00000"


# --------------------------------------------------------- expressions, styles, actions
@pytest.fixture(scope="module")
def mixed(photo, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mixed") / "out"
    result = call("generate", "--va", "0.5,0.3", "--expression", "happy", "--expression",
                  "contempt", "--expression", "neutral", "--intensity", "0.4", "--intensity", "1",
                  "--au", "12:0.8,6:0.5", "--au", "L12:0.6", "--blendshape", "jawOpen:0.3",
                  "-i", photo, "-o", out, *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def test_expressions_carry_category_intensity_and_va(mixed):
    got = [(r["expression"], float(r["intensity"])) for r in rows(mixed)[1:6]]
    assert got == [("happiness", 0.4), ("contempt", 0.4), ("neutral", 0.0),
                   ("happiness", 1.0), ("contempt", 1.0)]  # fmt: skip
    for row in rows(mixed)[1:6]:
        full = EXPRESSIONS[row["expression"]]
        assert float(row["valence"]) == pytest.approx(full.valence * float(row["intensity"]))
        assert float(row["arousal"]) == pytest.approx(full.arousal * float(row["intensity"]))
    assert {r["lookup"] for r in rows(mixed)[1:6]} == {"expression"}


def test_neutral_passes_the_photo_through(mixed, photo):
    crop = Generator(crop="face", size=96).generate(photo, "0,0").image
    for record in records(mixed):
        same = np.array_equal(load_image(mixed / record["file_name"]).pixels, crop)
        assert same == (record["expression"] == "neutral")


def test_an_expression_is_its_own_mean_face_not_a_point_of_the_plane(gallery, generator, face):
    named = generator.act(face, Target(EXPRESSIONS["fear"], 0, "fear")).weights
    np.testing.assert_allclose(named, gallery.expressions["fear"].weights, atol=1e-6)
    assert np.abs(named - gallery.lookup(EXPRESSIONS["fear"]).weights).max() > 0.1


def test_action_units_asked_for_are_recorded_and_have_a_va(mixed):
    smile, left, jaw = records(mixed)[6:]
    assert smile["action_units"] == {"12": 0.8, "6": 0.5} and smile["lookup"] == "actions"
    assert smile["valence"] > 0.4 and smile["weights"]["mouthSmileLeft"] == pytest.approx(0.8)
    assert left["action_units"] == {"L12": 0.6} and "mouthSmileRight" not in left["weights"]
    assert jaw["weights"] == {"jawOpen": 0.3} and set(jaw["action_units"]) == {"26"}
    assert rows(mixed)[6]["action_units"] == "12:0.8,6:0.5"


def test_every_picture_tells_its_action_units(mixed):
    happy = records(mixed)[4]
    assert {"6", "12"} <= set(happy["action_units"]) and happy["action_units"]["12"] > 0.5
    assert records(mixed)[3]["action_units"] == {}  # neutral


def test_samples_differ_and_repeat(photo, tmp_path):
    base = ["generate", "--va", "-0.5,0.5", "--expression", "sadness", "--samples", "3",
            "-i", photo, *SMALL]  # fmt: skip
    assert call(*base, "-o", tmp_path / "a").exit_code == 0
    assert call(*base, "-o", tmp_path / "b").exit_code == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    found = records(tmp_path / "a")
    assert len({json.dumps(r["weights"]) for r in found}) == 6
    assert len({r["style"] for r in found}) == 6
    assert {(r["valence"], r["arousal"]) for r in found[:3]} == {(-0.5, 0.5)}
    again = call("generate", "--config", tmp_path / "a/run.toml", "-o", tmp_path / "c")
    assert again.exit_code == 0, again.output
    assert tree(tmp_path / "a") == tree(tmp_path / "c")


def test_a_style_is_the_same_person_for_all_photos(samples, tmp_path):
    base = ["generate", "--va", "0.5,0.5", "--style", "7", "-i", samples, "--limit", "2", *SMALL]
    assert call(*base, "-o", tmp_path / "out").exit_code == 0
    one, two = records(tmp_path / "out")
    assert one["weights"] == two["weights"] and one["style"] == "person_7"


# -------------------------------------------------------------------------- sequences
@pytest.fixture(scope="module")
def ramp(photo, tmp_path_factory) -> Path:
    """A short sequence with video, blinks and head motion, from and to neutral."""
    out = tmp_path_factory.mktemp("ramp") / "out"
    result = call("sequence", "--path", "onset-apex-offset:0.6,0.3", "--seconds", "1.5", "--fps",
                  "10", "--blinks", "--head-motion", "--video", "-i", photo, "-o", out,
                  *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def test_frames_are_numbered_and_labelled(ramp):
    table = rows(ramp)
    assert list(table[0])[-3:] == ["sequence", "frame", "time"]
    assert [int(r["frame"]) for r in table] == list(range(len(table)))
    assert [float(r["time"]) for r in table] == pytest.approx(np.arange(len(table)) / 10)
    (sequence,) = {r["sequence"] for r in table}
    assert table[3]["file_name"] == f"images/{sequence}/00003.png"
    radius = np.hypot([float(r["valence"]) for r in table], [float(r["arousal"]) for r in table])
    assert radius[0] == radius[-1] == 0 and radius.max() == pytest.approx(np.hypot(0.6, 0.3))


def test_first_frame_at_neutral_is_the_photo(ramp, photo):
    crop = Generator(crop="face", size=96).generate(photo, "0,0").image
    assert np.array_equal(load_image(ramp / rows(ramp)[0]["file_name"]).pixels, crop)


def test_the_record_tells_how_smooth_the_sequence_is(ramp):
    found = records(ramp)
    assert {json.dumps(r["smoothness"]) for r in found} == {json.dumps(found[0]["smoothness"])}
    assert 0 < found[0]["smoothness"]["step"] < 0.2 and found[0]["smoothness"]["jerk"] > 0
    assert any(any(r["head_motion"]) for r in found)


def test_video_and_preview_show_every_frame(ramp):
    import av
    from PIL import Image

    (name,) = {r["sequence"] for r in rows(ramp)}
    with av.open(str(ramp / "videos" / f"{name}.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.average_rate == 10
        assert stream.codec_context.pix_fmt == "yuv420p"
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(pictures) == len(rows(ramp))
    for picture, row in zip(pictures, rows(ramp), strict=True):
        still = load_image(ramp / row["file_name"]).pixels.astype(float)
        assert np.abs(picture - still).mean() < 4
    with Image.open(ramp / "videos" / f"{name}.webp") as preview:
        assert preview.n_frames > 1


def test_a_run_repeats_byte_for_byte_with_any_number_of_workers(ramp, tmp_path):
    again = call("sequence", "--config", ramp / "run.toml", "--video", "--workers", "2",
                 "-o", tmp_path / "out")  # fmt: skip
    assert again.exit_code == 0, again.output
    assert tree(ramp) == tree(tmp_path / "out")


def test_a_waypoint_file_is_part_of_the_settings(photo, tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text("t,valence,arousal\n0,0,0\n1,0.5,0.2\n")
    base = ["sequence", "--path", path, "--fps", "5", "-i", photo, "-o", tmp_path / "out", *SMALL]
    assert call(*base).exit_code == 0
    table = rows(tmp_path / "out")
    assert (float(table[-1]["valence"]), float(table[-1]["arousal"])) == (0.5, 0.2)
    path.write_text("t,valence,arousal\n0,0,0\n1,0.5,0.3\n")
    refused = call(*base)
    assert refused.exit_code == 2 and "walk.csv" in refused.stderr


def test_blinks_do_not_change_a_label(generator, face):
    track = Track("still", 30, np.tile([0.5, 0.3], (600, 1)))
    lively = Generator(crop="face", size=128, blinks=True, head_motion=True)
    targets = frame_targets(track)
    shut = [t for t in targets if lively.act(face, t).blink > 0.9]
    assert shut  # 20 seconds without a blink are next to impossible at 17 a minute
    one = lively.draw(face, shut[0]).record
    plain = generator.draw(face, shut[0]).record
    assert (one.valence, one.arousal, one.class_index) == (0.5, 0.3, plain.class_index)
    assert one.weights["eyeBlinkLeft"] > 0.9 > plain.weights.get("eyeBlinkLeft", 0.0)


def test_a_circle_stays_smooth(generator, face):
    track = generator.track("circle:0.8", fps=60)
    measured = generator.act(face, frame_targets(track)[0]).smoothness
    assert measured["step"] < 0.02  # share of the inter-ocular distance, at 60 frames a second


# ------------------------------------------------------------------------ bad usage
OK = "-i {photo} -o {tmp}/out"
BAD_SEQUENCES = {
    "no path": (OK, "--path"),
    "outside": (OK + " --path {tmp}/outside.csv", "unit disc"),
    "nan": (OK + " --path {tmp}/nan.csv", "nan"),
    "times": (OK + " --path {tmp}/times.csv", "increas"),
    "empty": (OK + " --path {tmp}/empty.csv", "empty"),
    "circle": (OK + " --path circle:1.2", "1.2"),
    "expression": (OK + " --path joyish", "joyish"),
    "fps 0": (OK + " --path happiness --fps 0", "fps"),
    "fps nan": (OK + " --path happiness --fps nan", "fps"),
    "seconds": (OK + " --path happiness --seconds -1", "seconds"),
    "style and samples": (OK + " --path happiness --style 1 --samples 2", "style"),
    "no input": ("-o {tmp}/out --path happiness", "--input"),
}
BAD_STILLS = {
    "expression": (OK + " --expression grumpy", "grumpy"),
    "intensity": (OK + " --expression anger --intensity 1.5", "1.5"),
    "intensity nan": (OK + " --expression anger --intensity nan", "nan"),
    "intensity alone": (OK + " --va 0.5,0.3 --intensity 0.5", "--expression"),
    "action unit": (OK + " --au 99:0.5", "99"),
    "action unit strength": (OK + " --au 12:1.5", "1.5"),
    "blendshape": (OK + " --blendshape jawOpn:0.5", "jawOpn"),
    "samples 0": (OK + " --va 0.5,0.3 --samples 0", "x>=1"),
    "style 0": (OK + " --va 0.5,0.3 --style 0", "x>=1"),
}


@pytest.fixture
def faulty(tmp_path) -> Path:
    head = "t,valence,arousal\n0,0,0\n"
    (tmp_path / "outside.csv").write_text(head + "1,0.9,0.9\n")
    (tmp_path / "nan.csv").write_text(head + "1,nan,0\n")
    (tmp_path / "times.csv").write_text(head + "0,0.1,0.1\n")
    (tmp_path / "empty.csv").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "command, case",
    [("sequence", c) for c in BAD_SEQUENCES] + [("generate", c) for c in BAD_STILLS],
)
def test_bad_usage_is_one_line_and_exit_code_2(command, case, photo, faulty, monkeypatch):
    monkeypatch.chdir(faulty)
    before = set(faulty.rglob("*"))
    line, word = (BAD_SEQUENCES if command == "sequence" else BAD_STILLS)[case]
    result = call(command, *line.format(photo=photo, tmp=faulty).split())
    assert result.exit_code == 2, result.output
    message = [row for row in result.stderr.splitlines() if row.startswith("Error")]
    assert len(message) == 1 and word in message[0], result.stderr
    assert set(faulty.rglob("*")) == before
