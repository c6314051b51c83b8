"""The report on translations: aligned faces, what belongs together, every number's meaning."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.errors import ShapeError, SynthError, UsageError
from synth.evaluation import concordance as agree
from synth.evaluation import faces, fer_linear, sheets, skin_tone
from synth.evaluation.features import CONTRASTS, FAMILIES, domain_features, region_medians
from synth.evaluation.matching import match_pictures, read_people
from synth.evaluation.picture_scores import landmark_shift
from synth.evaluation.translation import TranslationTest
from synth.images import encode_image, find_images, load_image


@pytest.fixture(scope="module")
def people(samples):
    """(pixels, points) of three of the sample portraits by file name."""
    found = {}
    for path in sorted(samples.glob("*.jpg"))[:3]:
        pixels = load_image(path).pixels
        found[path.name] = pixels, faces.find_face(pixels).points
    return found


@pytest.fixture(scope="module")
def someone(people):
    return next(iter(people.values()))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(faces.to_rgb(pixels), "png"))


# -------------------------------------------------------------------------------- faces
def test_an_aligned_face_is_where_it_should_be_whatever_the_photo(someone):
    pixels, points = someone
    turn = cv2.getRotationMatrix2D((300, 350), 17, 0.8)
    size = pixels.shape[1], pixels.shape[0]
    moved = cv2.warpAffine(pixels, turn, size, flags=cv2.INTER_AREA, borderMode=1)
    there = points @ turn[:, :2].T + turn[:, 2]
    plain, turned = faces.align(pixels, points), faces.align(moved, there)
    for face in (plain, turned):
        corner, other = face.points[36], face.points[45]
        assert np.allclose(other - corner, (faces.EYE_DISTANCE, 0))
        assert (corner[0] + other[0]) / 2 == pytest.approx((faces.SIZE - 1) / 2)
    assert np.allclose(plain.points, turned.points, atol=1e-6)
    assert turned.scale == pytest.approx(plain.scale / 0.8)
    difference = plain.pixels[plain.hull].astype(float) - turned.pixels[plain.hull]
    assert np.abs(difference).mean() < 3


def test_sharpness_is_one_for_a_copy_and_falls_with_every_blur(someone):
    pixels, points = someone
    grey = faces.to_grey(pixels)
    values = [
        faces.sharpness(cv2.GaussianBlur(grey, (0, 0), s), pixels, points) for s in (0.3, 1, 2, 4)
    ]
    assert faces.sharpness(grey, pixels, points) == 1
    assert values == sorted(values, reverse=True) and values[-1] < 0.1
    half = (grey // 2).astype(np.uint8)  # variance goes with the square of the contrast
    assert faces.sharpness(half, pixels, points) == pytest.approx(0.25, abs=0.05)
    with pytest.raises(ShapeError, match="the photo's"):
        faces.sharpness(grey[:-2], pixels, points)


@pytest.mark.parametrize(
    "points, message",
    [(np.zeros((68, 2)), "4 pixels apart"), (np.full((68, 2), np.nan), "finite"),
     (np.zeros((5, 2)), "68, 2")],
)  # fmt: skip
def test_points_that_make_no_face_are_refused(points, message):
    with pytest.raises(ShapeError, match=message):
        faces.align(np.zeros((64, 64), np.uint8), points)


def test_features_are_finite_and_react_to_what_they_are_about(someone):
    pixels, points = someone
    face = faces.align(pixels, points)
    found = domain_features([face])
    assert set(found) == set(FAMILIES)
    known = [name for name in CONTRASTS if name != "teeth"]  # the mouth is shut
    at = [CONTRASTS.index(name) for name in known]
    assert np.isfinite(found["contrast"][0, at]).all()
    assert np.isnan(found["contrast"][0, CONTRASTS.index("teeth")])
    for name in ("statistics", "texture", "deep"):
        assert np.isfinite(found[name]).all()
    # Brighter lips are brighter lips, and nothing else of the contrasts moves.
    mask = np.zeros(face.pixels.shape, np.uint8)
    cv2.fillPoly(mask, [face.points[48:60].round().astype(np.int32)], 1)
    paler = np.where(mask > 0, np.minimum(face.pixels.astype(int) + 40, 255), face.pixels)
    other = faces.AlignedFace(paler.astype(np.uint8), face.points)
    assert region_medians(other)["lips"] == pytest.approx(region_medians(face)["lips"] + 40)
    change = domain_features([other], ["contrast"])["contrast"][0] - found["contrast"][0]
    moved = {name for name, x in zip(CONTRASTS, change, strict=True) if abs(x) > 1e-9}
    assert moved == {"lips", "lips_darkest"}


def test_a_blur_and_a_gain_show_in_the_right_family(someone):
    pixels, points = someone
    face = faces.align(pixels, points)
    blurred = faces.AlignedFace(cv2.GaussianBlur(face.pixels, (0, 0), 3), face.points)
    darker = faces.AlignedFace((face.pixels * 0.6).astype(np.uint8), face.points)
    found = domain_features([face, blurred, darker], ["texture", "statistics"])
    finest = found["texture"][:, 0]  # logarithm of the finest band's energy over brightness
    assert finest[1] < finest[0] - 0.5
    assert abs(finest[2] - finest[0]) < 0.2
    mean = found["statistics"][:, 0]
    assert mean[2] == pytest.approx(0.6 * mean[0], abs=0.01)
    assert mean[1] == pytest.approx(mean[0], abs=0.01)


def test_typology_angle_of_known_colours():
    points = np.random.default_rng(0).uniform(0, 1, (68, 2))
    points[36], points[45] = (100, 100), (164, 100)
    points[[2, 31, 41, 48]], points[[14, 35, 46, 54]] = (100, 130), (164, 130)
    for rgb, lightness, b in (((230, 200, 180), 82.8, 13.4), ((80, 55, 40), 25.6, 14.0)):
        flat = np.full((256, 256, 3), rgb, np.uint8)
        wanted = np.degrees(np.arctan2(lightness - 50, b))
        assert skin_tone.typology_angle(flat, points) == pytest.approx(wanted, abs=1.0)
    assert [skin_tone.tone_of(a) for a in (60, 50, 30, 20, 0, -40)] == [
        name for name, _ in skin_tone.TONES
    ]


def test_landmark_shift_is_in_percent_of_the_eye_distance():
    points = np.zeros((68, 2))
    points[45, 0] = 200
    assert landmark_shift(points, points + (3, 4)) == pytest.approx(2.5)


# ------------------------------------------------------------------------------- sheets
def test_a_sheet_groups_by_tone_and_keeps_the_pictures(someone):
    picture = sheets.face_picture(*someone, side=64)
    assert picture.shape == (64, 64, 3)
    rows = [sheets.SheetRow(t, picture, picture, None, t) for t in ("dark", "light", "light")]
    sheet = sheets.tone_sheet(rows, across=2)
    places = [
        (y, x)
        for y in range(sheet.shape[0] - 63)
        for x in (sheets.MARGIN, sheets.MARGIN + 3 * 64 + 2 * sheets.GAP + sheets.BETWEEN)
        if (sheet[y : y + 64, x : x + 64] == picture).all()
    ]
    assert len(places) == 3
    assert places[0][0] == places[1][0] < places[2][0]  # two light ones, the dark one below
    with pytest.raises(ShapeError, match="one size"):
        sheets.tone_sheet([])


# -------------------------------------------------------------------------- concordance
def test_concordance_by_hand(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text(
        "file_name,valence,arousal,expression\n"
        "x/1.jpg,0.0,0.0,Happiness\nx/2.jpg,0.5,0.2,anger\nx/3.jpg,1,0.4,anger\nonly.jpg,0,0,fear\n"
    )
    b.write_text(
        "file_name,valence,arousal,expression\n"
        "x/1.png,0.3,0.4,happiness\nx/2.png,0.5,0.2,anger\nx/3.png,,,happiness\n"
    )
    found = agree.concordance(agree.read_predictions(a), agree.read_predictions(b))
    assert (found["n"], found["only_photos"], found["only_translated"]) == (3, 1, 0)
    assert found["expression"]["equal"] == pytest.approx(200 / 3)
    # Observed 2/3; chance 1/3 * 2/3 + 2/3 * 1/3 = 4/9.
    assert found["expression"]["kappa"] == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    assert found["expression"]["confusion"] == [[1, 1], [0, 1]]
    assert found["va"]["n"] == 2
    assert found["va"]["mean_distance"] == pytest.approx(0.25)
    assert found["va"]["ccc"]["valence"] == pytest.approx(2 * 0.025 / (0.0625 + 0.01 + 0.0225))


def test_a_recogniser_agrees_with_itself_perfectly():
    rng = np.random.default_rng(0)
    said = {
        str(i): agree.Prediction(*rng.uniform(-1, 1, 2), rng.choice(["a", "b", "c"]))
        for i in range(30)
    }
    found = agree.concordance(said, said)
    assert found["expression"]["equal"] == 100 and found["expression"]["kappa"] == 1
    assert found["va"]["ccc"] == pytest.approx({"valence": 1, "arousal": 1})
    assert found["va"]["mean_distance"] == 0


def test_names_lose_only_the_extensions_of_pictures():
    assert agree.name_key("a\\b.JPG") == "a/b"
    assert agree.name_key("001_va+0.5") == "001_va+0.5"


@pytest.mark.parametrize(
    "text, message",
    [
        ("file_name,score\n1.jpg,2\n", "expected columns"),
        ("file_name,expression\n", "at least one prediction"),
        ("file_name,expression\n1.jpg,a\n1.png,b\n", "line 3: expected a new file name"),
        ("file_name,valence,arousal\n1.jpg,high,0\n", "line 2: expected a number, got 'high'"),
    ],
)
def test_bad_predictions_are_refused(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        agree.read_predictions(tmp_path / "p.csv")


def test_predictions_without_common_names_are_refused():
    with pytest.raises(UsageError, match="none in common: a and b"):
        agree.concordance({"a": agree.Prediction(0, 0)}, {"b": agree.Prediction(0, 0)})


# --------------------------------------------------------------------- a linear reader
def made_up(rng, people: str, each: int, noise: float, shift: float = 0.0):
    """Faces of which five features say the class, and two valence and arousal."""
    names = [p for p in people for _ in range(each)]
    classes = rng.choice(["calm", "glad"], len(names)).tolist()
    va = rng.uniform(-1, 1, (len(names), 2))
    values = noise * rng.normal(size=(len(names), 12))
    values[:, :5] += np.where(np.array(classes) == "glad", 1.0, -1.0)[:, None]
    values[:, 5:7] += 3 * va
    return fer_linear.LabelledFaces(values + shift, names, classes, va)


def test_the_reader_gains_from_faces_that_look_alike_only():
    rng = np.random.default_rng(0)
    test = made_up(rng, "abcd", 8, 1.0)
    alike = made_up(rng, "efgh", 60, 1.0)
    mirrored = made_up(rng, "efgh", 60, 1.0)
    mirrored = fer_linear.LabelledFaces(
        -mirrored.features, mirrored.people, mirrored.expressions, mirrored.va
    )
    found = fer_linear.compare_training(test, {"alike": alike, "mirrored": mirrored})
    assert list(found) == ["nir", "alike", "mirrored", "nir + alike", "nir + mirrored"]
    assert found["alike"]["accuracy"] > 0.9 > 0.2 > found["mirrored"]["accuracy"]
    assert found["nir + alike"]["macro_f1"] > 0.9
    assert found["alike"]["n"] == 32 and found["alike"]["trained_on"] == 240
    assert found["nir"]["trained_on"] == 24


def test_nobody_reads_a_face_they_learned_from():
    # Everyone shows one class of their own: whoever saw the person is always right.
    rng = np.random.default_rng(1)
    people = [p for p in "abcdefgh" for _ in range(6)]
    looks = {p: rng.normal(size=30) for p in "abcdefgh"}
    classes = ["calm" if p in "abcd" else "glad" for p in people]
    values = np.stack([looks[p] for p in people]) + 0.01 * rng.normal(size=(48, 30))
    test = fer_linear.LabelledFaces(values, people, classes, np.full((48, 2), np.nan))
    found = fer_linear.compare_training(test, {"same": test})
    assert found["same"] == found["nir"] | {"trained_on": 42.0}
    assert found["nir"]["accuracy"] < 0.7
    assert "ccc" not in found["nir"]


def test_the_reader_sees_the_face(someone):
    pixels, points = someone
    features = fer_linear.reader_features(faces.align(pixels, points))
    brighter = np.clip(pixels.astype(int) * 0.7 + 40, 0, 255).astype(np.uint8)
    again = fer_linear.reader_features(faces.align(brighter, points))
    assert features.ndim == 1 and np.corrcoef(features, again)[0, 1] > 0.98


def test_a_reader_needs_something_to_learn():
    faces_ = fer_linear.LabelledFaces(
        np.zeros((2, 3)), ["a", "b"], ["x", ""], np.full((2, 2), np.nan)
    )
    with pytest.raises(UsageError, match="got neither"):
        fer_linear.LinearReader(faces_)
    with pytest.raises(UsageError, match="at least two people"):
        fer_linear.compare_training(faces_.take(np.array([True, False])), {})


# ----------------------------------------------------------------- what belongs together
def test_a_run_of_translate_and_plain_names_are_matched(tmp_path):
    grey = np.zeros((8, 8), np.uint8)
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        save(tmp_path / "vis" / name, grey)
    save(tmp_path / "plain/a/1.png", grey)
    save(tmp_path / "plain/b/1_nir.png", grey)
    found, without = match_pictures(tmp_path / "vis", tmp_path / "plain")
    assert [match.key for match in found] == ["a/1", "b/1"] and without == ["a/2"]
    save(tmp_path / "run/images/x.png", grey)
    (tmp_path / "run/metadata.csv").write_text("file_name,source\nimages/x.png,b/1.jpg\n")
    found, without = match_pictures(tmp_path / "vis", tmp_path / "run")
    assert [match.translated.name for match in found] == ["x.png"]
    save(tmp_path / "run/b/1.png", grey)
    with pytest.raises(UsageError, match="one translation of 1.jpg, got .* and"):
        match_pictures(tmp_path / "vis", tmp_path / "run")


def test_folders_that_do_not_go_together(tmp_path):
    save(tmp_path / "vis/1.jpg", np.zeros((8, 8), np.uint8))
    save(tmp_path / "other/2.jpg", np.zeros((8, 8), np.uint8))
    (tmp_path / "empty").mkdir()
    for folder, message in (
        ("other", "got none of them"),
        ("empty", "translated: expected pictures in"),
        ("nowhere", "translated: expected a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            match_pictures(tmp_path / "vis", tmp_path / folder)
    save(tmp_path / "vis/1.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(UsageError, match="more than their extension"):
        match_pictures(tmp_path / "vis", tmp_path / "other")


def test_labels_name_a_person(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("file_name,subject,x\n1.jpg,ann,0\n")
    assert read_people(file) == {"1": "ann"}
    file.write_text("file,who\n1.jpg,ann\n")
    with pytest.raises(UsageError, match="file_name and person in labels.csv, got file, who"):
        read_people(file)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"paired": True}, "give --nir"),
        ({"lpips_weights": (Path("x"),)}, "give --paired"),
        ({"vis_predictions": Path("x")}, "got one of the two"),
        ({"nir": Path("x"), "counted": ("8",)}, "--labels"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(UsageError, match=message):
        TranslationTest(Path("a"), Path("b"), **options)


# -------------------------------------------------------------------------- the command
def call(*args: object) -> Result:
    from synth.cli.evaluate import evaluate

    return CliRunner().invoke(evaluate, [str(a) for a in args])


@pytest.fixture(scope="module")
def report(people, samples, tmp_path_factory):
    """A report on darkened grey photos as translations of the samples, paired with grey ones."""
    root = tmp_path_factory.mktemp("evaluate")
    for name, (pixels, _) in people.items():
        grey = faces.to_grey(pixels)
        save(root / "nir" / f"{Path(name).stem}.png", grey)
        save(root / "translated" / f"{Path(name).stem}.png", (grey * 0.9).astype(np.uint8))
    said = "".join(f"{name},0.{i},0.2,anger\n" for i, name in enumerate(people))
    (root / "said.csv").write_text("file_name,valence,arousal,expression\n" + said)
    labels = "".join(f"{name},person {i}\n" for i, name in enumerate(people))
    (root / "labels.csv").write_text("file_name,person\n" + labels)
    options = ("--vis", samples, "--translated", root / "translated", "--nir", root / "nir",
               "--paired", "--labels", root / "labels.csv",
               "--vis-predictions", root / "said.csv",
               "--translated-predictions", root / "said.csv", "--output", root / "out")  # fmt: skip
    result = call("translation", *options)
    assert result.exit_code == 0, result.output
    return root, options


def test_the_report_has_every_number_and_says_of_how_many(report, people):
    root, _ = report
    found = json.loads((root / "out/report.json").read_text())
    count = len(people)
    assert found["pictures"]["n"] == count and found["pictures"]["faces_lost"] == 0
    measures = found["measures"]
    for name in ("sharpness", "identity", "landmark_shift", "psnr", "ssim", "mae"):
        assert measures[name]["n"] == count
    assert measures["sharpness"]["median"] == pytest.approx(0.81, abs=0.03)  # 0.9 squared
    assert measures["identity"]["median"] < 0.3
    assert measures["landmark_shift"]["median"] < 1.5
    assert 18 < measures["psnr"]["median"] < 35 and measures["ssim"]["median"] > 0.9
    assert found["concordance"]["expression"]["equal"] == 100
    assert found["real"]["people"] == found["real"]["with_face"] == count
    # The same people on both sides, and each in one fold: nearly the same pictures.
    assert found["told_apart"]["n_real"] == count
    assert sum(group["n"] for group in found["by_tone"].values()) == count


def test_the_table_and_the_sheet_are_there(report, people):
    root, _ = report
    rows = list(csv.DictReader((root / "out/per_image.csv").open()))
    assert [row["name"] for row in rows] == [Path(name).stem for name in people]
    assert all(row["face"] == "kept" and float(row["psnr"]) > 0 for row in rows)
    sheet = load_image(root / "out/sheet.jpg").pixels
    assert sheet.shape[0] > 200 and sheet.shape[1] > 500
    text = (root / "out/report.md").read_text()
    assert f"n = {len(people)} photos" in text and "faces lost: 0" in text


def test_an_earlier_report_is_not_replaced_unasked(report):
    _, options = report
    with pytest.raises(UsageError, match="--overwrite"):
        raise call("translation", *options).exception


@pytest.mark.parametrize(
    "change, message",
    [
        ("colour", "expected grey pictures, got colour in sample_1"),
        ("size", "in the size of its photo"),
        ("pair", "names of the photos .* since the pictures are paired"),
        ("people", "the person of every picture in nir"),
    ],
)
def test_pictures_that_cannot_be_compared(report, people, samples, tmp_path, change, message):
    name, (pixels, _) = next(iter(people.items()))
    grey = faces.to_grey(pixels)
    save(tmp_path / "t" / f"{Path(name).stem}.png",
         pixels if change == "colour" else grey[:-1] if change == "size" else grey)  # fmt: skip
    save(tmp_path / "n" / "another.png", grey)
    more = ("--nir", tmp_path / "n", "--paired") if change == "pair" else ()
    if change == "people":
        more = "--nir", tmp_path / "n", "--labels", report[0] / "labels.csv"
    result = call("translation", "--vis", samples, "--translated", tmp_path / "t",
                  "--output", tmp_path / "o", *more)  # fmt: skip
    assert isinstance(result.exception, SynthError)
    with pytest.raises(UsageError, match=message):
        raise result.exception


def test_a_face_that_is_gone_is_counted(people, samples, tmp_path):
    name, (pixels, _) = next(iter(people.items()))
    save(tmp_path / "t" / f"{Path(name).stem}.png", np.full(pixels.shape[:2], 128, np.uint8))
    result = call("translation", "--vis", samples, "--translated", tmp_path / "t",
                  "--output", tmp_path / "o")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "o/report.json").read_text())
    assert found["pictures"]["faces_lost"] == 1
    assert found["pictures"]["lost"] == [Path(name).stem]
    assert (
        found["pictures"]["photos_without_translation"]
        == len(find_images(samples, recursive=True)) - 1
    )
    assert "landmark_shift" not in found["measures"]
