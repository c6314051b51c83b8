"""``synth evaluate detectors``: overlaps by hand, known shifts, photos with known boxes."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.errors import DependencyError, ShapeError, UsageError
from synth.evaluation import boxes, detectors
from synth.evaluation.box_finders import FINDERS, make_finder
from synth.evaluation.detectors import Seen, box_scores
from synth.images import load_image


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


def some_boxes(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return np.concatenate([low, low + rng.uniform(20, 60, (n, 2))], axis=1)


# ----------------------------------------------------------------------------------- boxes
def test_iou_by_hand():
    square = [[0, 0, 2, 2]]
    others = [[0, 0, 2, 2], [1, 0, 3, 2], [1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 1, 1]]
    np.testing.assert_allclose(boxes.iou(square, others), [[1, 1 / 3, 1 / 7, 0, 1 / 4]])
    assert boxes.iou(np.zeros((0, 4)), square).shape == (0, 1)


def test_iou_agrees_with_counted_pixels():
    rng = np.random.default_rng(0)
    first, second = (np.round(some_boxes(seed, 6)) for seed in rng.integers(0, 99, 2))
    y, x = np.mgrid[:200, :200] + 0.5
    masks = [
        [(x > b[0]) & (x < b[2]) & (y > b[1]) & (y < b[3]) for b in side]
        for side in (first, second)
    ]
    wanted = [[(a & b).sum() / (a | b).sum() for b in masks[1]] for a in masks[0]]
    np.testing.assert_allclose(boxes.iou(first, second), wanted)


def test_each_box_is_matched_once_the_best_first():
    truth = [[0, 0, 10, 10], [8, 0, 18, 10], [50, 50, 60, 60]]
    found = [[1, 0, 11, 10], [7, 0, 17, 10], [80, 80, 90, 90]]
    pairs = boxes.match_boxes(truth, found)
    assert [(t, f) for t, f, _ in pairs] == [(0, 0), (1, 1)]
    assert pairs[0][2] == pytest.approx(9 / 11)
    assert boxes.match_boxes(truth, np.zeros((0, 4))) == []


def test_the_fit_recovers_a_known_convention():
    found = some_boxes(1, 30)
    wanted = (0.02, 0.11, 0.9, 0.8)
    fit = boxes.fit_convention(boxes.moved(found, wanted), found)
    assert fit == pytest.approx(wanted)
    np.testing.assert_allclose(boxes.moved(found, (0, 0, 1, 1)), found)
    assert boxes.iou(boxes.moved(found, fit), boxes.moved(found, wanted)).diagonal() == (
        pytest.approx(1)
    )


@pytest.mark.parametrize(
    ("call_", "words"),
    [
        (lambda: boxes.iou([[0, 0, 1]], [[0, 0, 1, 1]]), r"first: expected \(N, 4\)"),
        (lambda: boxes.iou([[0, 0, 1, 1]], [[0, 0, 0, 1]]), "second: expected left < right"),
        (lambda: boxes.iou([[0, 0, 1, np.nan]], [[0, 0, 1, 1]]), "finite"),
        (lambda: boxes.fit_convention(np.zeros((0, 4)), np.zeros((0, 4))), "more than 0"),
    ],
)
def test_bad_boxes_are_refused(call_, words):
    with pytest.raises(ShapeError, match=words):
        call_()


# ---------------------------------------------------------------------------------- scores
def test_scores_by_hand():
    one = np.array([[0.0, 0, 10, 10]])
    none = np.zeros((0, 4))
    seen = [
        Seen("exact", one, one, 0.1),
        Seen("half", one, np.array([[0.0, 0, 10, 5], [50, 50, 60, 60]]), 0.2),
        Seen("missed", one, none, 0.3),
        Seen("no face, one found", none, one, 0.4),
        Seen("not known", None, one, 9.0),
    ]
    scores = box_scores(seen)
    counts = {
        key: scores[key] for key in ("n", "with_face", "one_face", "found", "faces", "misses")
    }
    assert counts == {
        "n": 5, "with_face": 4, "one_face": 3, "found": 5, "faces": 3, "misses": 1,
    }  # fmt: skip
    assert scores["milliseconds"] == pytest.approx(300)
    plain = scores["as_found"]
    assert plain["iou"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert plain["recall"] == pytest.approx(2 / 3)  # at 0.5 and above
    assert plain["precision"] == pytest.approx(2 / 4)
    assert plain["low"] <= plain["iou"] <= plain["high"]


def test_a_constant_convention_is_taken_out():
    truth = some_boxes(2, 20)
    found = boxes.moved(truth, (0.1, -0.2, 1.3, 1.2))
    scores = box_scores([Seen(str(i), truth[[i]], found[[i]], 0.1) for i in range(20)])
    assert scores["as_found"]["iou"] < 0.65
    assert scores["fitted"]["iou"] == pytest.approx(1)
    assert scores["convention"] == pytest.approx((-0.1 / 1.3, 0.2 / 1.2, 1 / 1.3, 1 / 1.2))


def test_nothing_known_or_found_has_scores_too():
    none = np.zeros((0, 4))
    assert "as_found" not in box_scores([Seen("a", None, none, 0.1)])
    scores = box_scores([Seen("a", np.array([[0.0, 0, 1, 1]]), none, 0.1)])
    assert scores["as_found"]["iou"] == 0 and math.isnan(scores["as_found"]["precision"])
    assert "fitted" not in scores and box_scores([])["n"] == 0
    assert math.isnan(box_scores([Seen("a", none, none, 0.1)])["as_found"]["iou"])


# ----------------------------------------------------------------------------------- truth
def test_templates_give_the_box_of_their_landmarks(shared):
    from synth.landmarks import get_detector

    photo = shared / "data/neutral/001.jpg"
    box = boxes.tem_box(photo.with_suffix(".tem"))
    points = get_detector("dlib").detect(load_image(photo))[0].points
    wanted = np.concatenate([points.min(0), points.max(0)])
    assert boxes.iou(box[None], wanted[None])[0, 0] > 0.93


def test_bad_templates_and_tables_are_refused(tmp_path):
    (tmp_path / "a.tem").write_text("189\n1 2\n")
    with pytest.raises(UsageError, match=r"a.tem: expected 189 points"):
        boxes.tem_box(tmp_path / "a.tem")
    with pytest.raises(UsageError, match="beside the photos, got none"):
        boxes.boxes_beside([("b", tmp_path / "b.jpg")])
    for content, words in (
        ("file_name,left\na,1\n", "none of bottom, right, top"),
        ("file_name,left,top,right,bottom\n", "at least one row"),
        ("file_name,left,top,right,bottom\na,5,0,1,1\n", "line 2: expected a box"),
        ("file_name,left,top,right,bottom\na,x,0,1,1\n", "line 2: expected a box"),
    ):
        (tmp_path / "boxes.csv").write_text(content)
        with pytest.raises(UsageError, match=words):
            boxes.read_boxes(tmp_path / "boxes.csv")
    (tmp_path / "boxes.csv").write_text(
        "file_name,left,top,right,bottom\na.png,0,0,2,2\na.png,3,3,4,4\nb.jpg,,,,\n"
    )
    found = boxes.read_boxes(tmp_path / "boxes.csv")
    assert found["a"].shape == (2, 4) and found["b"].shape == (0, 4)


# -------------------------------------------------------------------------------- detectors
@pytest.fixture(scope="module")
def photos(samples, tmp_path_factory) -> Path:
    """Two portraits, one moved inside a larger picture, and a blank."""
    import cv2

    folder = tmp_path_factory.mktemp("photos")
    names = sorted(samples.glob("*.jpg"))[:2]
    first, second = (cv2.imread(str(name)) for name in names)
    cv2.imwrite(str(folder / "a.png"), first)
    cv2.imwrite(
        str(folder / "b.png"), cv2.copyMakeBorder(second, 90, 0, 150, 0, cv2.BORDER_REFLECT)
    )
    cv2.imwrite(str(folder / "blank.png"), np.full((240, 240), 128, np.uint8))
    return folder


@pytest.mark.parametrize("name", ["dlib", "lbp"])
def test_boxes_are_in_pixels_of_the_photo(name, photos):
    from synth.landmarks import get_detector

    find = make_finder(name)
    image = load_image(photos / "b.png")
    points = get_detector("dlib").detect(image)[0].points
    found = find(image)
    middle = (found[0, :2] + found[0, 2:]) / 2
    size = found[0, 2:] - found[0, :2]
    assert np.abs(middle - points[27:36].mean(0)).max() < 0.2 * size.max()
    assert 0.8 < size[0] / np.ptp(points[:, 0]) < 1.6
    assert find(load_image(photos / "blank.png")).shape == (0, 4)


def test_dlib_network_finds_the_same_face(photos):
    image = load_image(photos / "b.png")
    first, second = (make_finder(name)(image) for name in ("dlib", "dlib-cnn"))
    assert boxes.iou(first, second).max() > 0.5


def test_detectors_that_are_missing_are_left_out_or_named(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no weights of face-alignment
    monkeypatch.delenv("SYNTH_MEDIAPIPE_MODEL", raising=False)
    monkeypatch.setattr(detectors, "FINDERS", {"dlib": "", "yunet": "", "face-alignment": ""})
    report, rows = detectors.evaluate_detectors({"vis": (photos, None)})
    assert [name for name, _ in report["left_out"]] == ["yunet", "face-alignment"]
    assert report["sets"]["vis"]["detectors"]["dlib"]["with_face"] == 2 and len(rows) == 3
    with pytest.raises(DependencyError, match="yunet: expected its model file"):
        detectors.evaluate_detectors({"vis": (photos, None)}, ["yunet"])
    with pytest.raises(UsageError, match="model: expected none for dlib"):
        make_finder("dlib", tmp_path)
    (tmp_path / "yunet.onnx").write_bytes(b"nothing")
    with pytest.raises(DependencyError, match="expected YuNet's ONNX file"):
        make_finder("yunet", tmp_path / "yunet.onnx")
    assert set(FINDERS) >= {"dlib", "face-alignment", "mediapipe"}


def test_the_command_measures_and_writes(photos, tmp_path):
    image = load_image(photos / "a.png")
    left, top, right, bottom = make_finder("dlib")(image)[0]
    truth = tmp_path / "boxes.csv"
    truth.write_text(
        f"file_name,left,top,right,bottom\na.jpg,{left},{top},{right},{bottom}\nblank,,,,\n"
    )
    out = tmp_path / "out"
    line = ["evaluate", "detectors", "--vis", photos, "--vis-boxes", truth, "-d", "dlib", "-o", out]
    result = call(*line)
    assert result.exit_code == 0, result.output
    found = json.loads((out / "detectors.json").read_text())["sets"]["vis"]
    scores = found["detectors"]["dlib"]
    assert (found["n"], scores["with_face"], scores["faces"], scores["misses"]) == (3, 2, 1, 0)
    assert scores["as_found"]["iou"] == pytest.approx(1, abs=1e-6)
    assert scores["as_found"]["precision"] == 1  # b has no truth and is not counted
    rows = list(csv.DictReader((out / "boxes.csv").open()))
    assert [(r["file_name"], r["iou"]) for r in rows] == [
        ("a", "1.0000"), ("b", ""), ("blank", ""),
    ]  # fmt: skip
    text = (out / "detectors.md").read_text()
    assert "| dlib | 1 | 0 | 1.000 |" in text and "## Visible light" in text
    again = call(*line)
    assert again.exit_code == 2 and "--overwrite" in again.stderr


def test_pictures_that_cannot_be_read_are_counted(photos, tmp_path):
    for name in ("a.png", "blank.png"):
        (tmp_path / name).write_bytes((photos / name).read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    result = call("evaluate", "detectors", "--nir", tmp_path, "-d", "dlib")
    assert result.exit_code == 0 and "n = 3 photos, 1 unreadable" in result.stdout
    assert "## Near infrared" in result.stdout and "No true boxes" in result.stdout


def test_bad_use_of_the_command_is_a_message(photos, tmp_path):
    (tmp_path / "other.csv").write_text("file_name,left,top,right,bottom\nelsewhere,0,0,1,1\n")
    for line, words in (
        ([], "--vis or --nir"),
        (["--vis", photos, "-d", "magic"], "expected one of dlib"),
        (["--vis", photos, "--nir-boxes", "x.csv"], "--nir with it"),
        (["--vis", photos, "--vis-boxes", tmp_path / "no.csv"], "expected a CSV file"),
        (["--vis", photos, "--vis-boxes", "beside"], "beside the photos"),
        (["--vis", photos, "--vis-boxes", tmp_path / "other.csv"], "none in common"),
        (["--vis", tmp_path / "nowhere"], "expected a folder"),
        (["--vis", photos, "--model", "yunet"], "NAME=FILE"),
        (["--vis", photos, "--model", "magic=x"], "expected one of dlib"),
    ):
        result = call("evaluate", "detectors", *line)
        assert result.exit_code == 2 and words in result.stderr, (line, result.output)
