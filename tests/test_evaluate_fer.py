"""``synth evaluate fer`` and ``concordance``: tables, networks, reports and refusals."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn import metrics as reference

from synth.cli import cli
from synth.errors import ShapeError, UsageError
from synth.evaluation import fer_predictions
from synth.evaluation.concordance_report import predictions_of, read_folders
from synth.evaluation.fer import Labels, evaluate_fer, people_of
from synth.evaluation.fer_match import match
from synth.evaluation.fer_report import FILES, report_files
from synth.images import load_image
from synth.metrics import agreement, report, va_figures
from synth.metrics.discrimination import auc, minus_own
from synth.recognition.faces import CLASSES, UNLABELLED, FaceSet
from synth.recognition.reader import Readings


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def some_faces(n: int = 48, people: int = 6, seed: int = 0) -> FaceSet:
    """Labelled faces of all classes, several of each person; grey noise as pixels."""
    rng = np.random.default_rng(seed)
    return FaceSet(
        rng.integers(0, 255, (n, 32, 32)).astype(np.uint8),
        np.full((n, 68, 2), np.nan),
        rng.uniform(-0.7, 0.7, (n, 2)),
        np.arange(n) % len(CLASSES),
        tuple(f"p{i // len(CLASSES) % people}" for i in range(n)),
        tuple(f"images/{i:03d}.png" for i in range(n)),
        ("real",) * n,
        ("vis",) * n,
        {"gender": tuple("fm"[i % 2] for i in range(n))},
    )


def some_readings(faces: FaceSet, seed: int = 1, classes: tuple[str, ...] = CLASSES) -> Readings:
    rng = np.random.default_rng(seed)
    shares = rng.random((len(faces), len(classes)))
    for row, label in enumerate(faces.label):
        if label >= 0 and CLASSES[label] in classes:
            shares[row, classes.index(CLASSES[label])] += 0.5
    va = 0.5 * faces.va + 0.2 * rng.normal(size=faces.va.shape)
    return Readings(
        va.astype(np.float32), (shares / shares.sum(1, keepdims=True)).astype(np.float32), classes
    )


@pytest.fixture
def faces() -> FaceSet:
    return some_faces()


def as_rows(faces: FaceSet, readings: Readings) -> list[dict[str, object]]:
    """The table that ``synth infer`` would write."""
    return [
        {
            "file_name": name, "face": 0, "valence": va[0], "arousal": va[1],
            "expression": CLASSES[int(p.argmax())], "confidence": p.max(),
            **{f"p_{c}": share for c, share in zip(CLASSES, p, strict=True)},
        }
        for name, va, p in zip(faces.names, readings.va, readings.probabilities, strict=True)
    ]  # fmt: skip


def label_rows(faces: FaceSet) -> list[dict[str, object]]:
    return [
        {
            "file_name": name, "valence": va[0], "arousal": va[1], "expression": CLASSES[label],
            "subject": who, "gender": gender,
        }
        for name, va, label, who, gender in zip(
            faces.names, faces.va, faces.label, faces.subjects, faces.groups["gender"],
            strict=True,
        )
    ]  # fmt: skip


# ---------------------------------------------------------------------------------- scores
def test_scores_are_those_of_the_measures(faces):
    readings = some_readings(faces)
    table = evaluate_fer(faces, readings, folds=20)
    parts = table["parts"]
    for place, axis in enumerate(("valence", "arousal")):
        wanted = agreement.ccc(faces.va[:, place], readings.va[:, place])
        assert parts["va"]["measures"][f"{axis}_ccc"]["value"] == pytest.approx(wanted, abs=1e-9)
    guess = readings.probabilities.argmax(1)
    wanted = reference.f1_score(faces.label, guess, average="macro")
    assert parts["expression"]["measures"]["macro_f1"]["value"] == pytest.approx(wanted, abs=1e-9)
    for k in (1, 2, 3):
        wanted = reference.top_k_accuracy_score(faces.label, readings.probabilities, k=k)
        assert parts["expression"]["measures"][f"top_{k}"]["value"] == pytest.approx(wanted)
    asked = faces.label < 2
    smile = parts["smile"]
    wanted = reference.roc_auc_score(faces.label[asked] == 1, readings.va[asked, 0])
    assert smile["measures"]["auc"]["value"] == pytest.approx(wanted, abs=1e-9)
    assert (smile["n"], smile["smiling"], smile["pairs"]) == (12, 6, 6)
    assert table["groups"]["gender"]["f"]["n"] == 24 and table["notes"] == []
    assert parts["expression"]["confusion"]["classes"] == list(CLASSES)


def test_minus_own_is_scored_where_there_is_something_to_compare_with(faces):
    readings = some_readings(faces)
    label = faces.label.copy()
    label[np.array(faces.subjects) == "p0"] = UNLABELLED  # nobody knows p0's neutral
    label[9] = 0  # p1 has two
    table = evaluate_fer(Labels(faces.names, faces.va, label, faces.subjects), readings, folds=9)
    part = table["parts"]["minus_own"]
    own = minus_own(readings.va, label == 0, faces.subjects)
    known = np.isfinite(own[:, 0])
    # Without the 8 of p0 and the only neutral pictures of p2 to p5.
    assert (part["n"], part["without_estimate"], part["references"]) == (36, 12, 6)
    for name, values in (("arousal_ccc", own), ("arousal_ccc_as_read", readings.va)):
        wanted = agreement.ccc(faces.va[known, 1], values[known, 1])
        assert part["measures"][name]["value"] == pytest.approx(wanted, abs=1e-9)
        assert part["measures"][name]["n"] == 36


def test_experiments_measure_the_same(faces):
    from synth.experiments.measures import MEASURES, measure

    readings = some_readings(faces)
    label = faces.label.copy()
    label[9] = 0
    faces = dataclasses.replace(faces, label=label)
    parts = evaluate_fer(faces, readings, folds=5)["parts"]
    ours = {
        f"{name}_minus_neutral": value for name, value in parts["minus_own"]["measures"].items()
    }
    ours |= {
        k: v for part in ("va", "smile", "expression") for k, v in parts[part]["measures"].items()
    }
    ours["smile_auc"] = ours["auc"]
    common = set(MEASURES) & set(ours)
    assert {
        "arousal_ccc",
        "arousal_ccc_minus_neutral",
        "smile_auc",
        "pair_accuracy",
        "top_3",
    } <= common, sorted(MEASURES)
    for name in common:
        theirs = measure(name, faces, readings)
        assert theirs.value == pytest.approx(ours[name]["value"], abs=1e-9), name
        assert theirs.n == ours[name]["n"], name


def test_a_persons_offset_cancels_minus_own():
    rng = np.random.default_rng(0)
    target = rng.uniform(-0.5, 0.5, (60, 2))
    target[::6] = 0
    offset = np.repeat(rng.normal(size=(10, 2)), 6, axis=0)
    label = np.tile([0, 1, 2, 3, 4, 5], 10)
    faces = Labels(
        tuple(map(str, range(60))), target, label, tuple(f"p{i // 6}" for i in range(60))
    )
    found = evaluate_fer(faces, Readings(target + offset, None), folds=5)["parts"]
    assert found["minus_own"]["measures"]["valence_ccc"]["value"] == pytest.approx(1)
    assert found["va"]["measures"]["valence_ccc"]["value"] < 0.7
    assert found["smile"]["measures"]["pair_accuracy"]["value"] == ((target[1::6, 0] > 0).mean())


def test_classes_of_the_reader_may_be_fewer_or_called_otherwise(faces):
    seven = some_readings(faces, classes=CLASSES[:7])
    table = evaluate_fer(faces, seven, folds=5)
    part = table["parts"]["expression"]
    counts = np.array(part["confusion"]["counts"])
    assert counts.shape == (8, 8) and counts[:, 7].sum() == 0 and counts[7].sum() == 6
    assert any("always missed: contempt" in note for note in table["notes"])
    renamed = Readings(seven.va, seven.probabilities, ("neutral", "Happy", "sad", *CLASSES[3:7]))
    assert (
        evaluate_fer(faces, renamed, folds=5)["parts"]["expression"]["measures"]
        == (part["measures"])
    )
    with pytest.raises(UsageError, match="classes: expected those of .* got 'bored'"):
        evaluate_fer(faces, Readings(None, seven.probabilities, (*CLASSES[:6], "bored")), folds=5)


def test_awkward_sets_have_scores_and_notes(faces):
    one = faces.take(faces.label == 1)
    table = evaluate_fer(one, some_readings(one), folds=5)
    assert any("All labels are happiness" in note for note in table["notes"])
    assert "smile" not in table["parts"] and "minus_own" not in table["parts"]
    assert table["parts"]["expression"]["measures"]["kappa"]["value"] == pytest.approx(0, abs=1e-9)
    files = report_files(one, some_readings(one), table)
    assert b"All labels are happiness" in files["scores.md"]
    single = faces.take([3])
    assert "one person" in evaluate_fer(single, some_readings(single), folds=5)["notes"][0]
    files = report_files(single, some_readings(single), evaluate_fer(single, some_readings(single)))
    assert b"NaN" not in files["scores.json"] and files["scatter.png"][:4] == b"\x89PNG"
    stuck = Readings(np.zeros_like(faces.va), None)
    part = evaluate_fer(faces, stuck, folds=5)["parts"]["va"]["measures"]
    assert part["valence_ccc"]["value"] == 0 and math.isnan(part["valence_pcc"]["value"])
    blind = Readings(np.full_like(faces.va, np.nan), None)  # no face found anywhere
    table = evaluate_fer(faces, blind, folds=5)
    assert table["parts"]["va"]["without_estimate"] == 48 and not table["parts"]["va"]["measures"]
    assert set(report_files(faces, blind, table)) == {
        "scores.md", "scores.json", "scores.csv", "readings.csv",
    }  # fmt: skip


def test_persons_may_be_unknown(faces):
    assert people_of(("", "")) is None
    assert people_of(("a", "", "a")) == ["a", "unnamed 1", "a"]
    nobody = Labels(faces.names, faces.va, faces.label, ("",) * 48)
    table = evaluate_fer(nobody, some_readings(faces), folds=5)
    assert table["subjects"] is None and "names no persons" in table["notes"][0]
    some = Labels(faces.names, faces.va, faces.label, ("a",) * 47 + ("",))
    assert (
        "1 pictures name no person" in evaluate_fer(some, some_readings(faces), folds=5)["notes"][0]
    )


def test_what_cannot_be_scored_is_refused(faces):
    none = Labels(faces.names, np.full((48, 2), np.nan), np.full(48, UNLABELLED), faces.subjects)
    with pytest.raises(UsageError, match="48 faces without any label"):
        evaluate_fer(none, some_readings(faces))
    only_va = Labels(faces.names, faces.va, none.label, faces.subjects)
    with pytest.raises(UsageError, match=r"labelled with \(valence and arousal\), got expression"):
        evaluate_fer(only_va, Readings(None, some_readings(faces).probabilities, CLASSES))
    with pytest.raises(ShapeError, match="va: expected readings of 48 faces, got 3"):
        evaluate_fer(faces, Readings(np.zeros((3, 2), np.float32), None))


def test_masks_of_the_report_are_checked(faces):
    va = {"valence": [0.0, 0.5], "arousal": [0.0, 0.5]}
    with pytest.raises(ShapeError, match="'neutral': 1"):
        report.score_table(va, va, ["a", "a"], neutral=[True])
    parts = report.score_table(va, va, neutral=[True, False], smiling=[False, True])["parts"]
    assert set(parts) == {"va"}  # without persons nobody is compared with themselves


# ----------------------------------------------------------------------------------- files
def test_report_says_everything(faces):
    readings = some_readings(faces)
    files = report_files(faces, readings, evaluate_fer(faces, readings, folds=9), "Test")
    assert set(files) == set(FILES)
    kept = json.loads(files["scores.json"])
    rows = list(csv.DictReader(files["scores.csv"].decode().splitlines()))
    assert {row["part"] for row in rows} == {"va", "minus_own", "smile", "expression"}
    value = next(r for r in rows if r["measure"] == "auc" and r["group"] == "all")
    assert float(value["value"]) == kept["parts"]["smile"]["measures"]["auc"]["value"]
    assert int(value["n"]) == 12
    read = list(csv.DictReader(files["readings.csv"].decode().splitlines()))
    assert len(read) == 48 and read[5]["target_expression"] == CLASSES[5]
    assert float(read[5]["valence"]) == pytest.approx(float(readings.va[5, 0]), abs=1e-6)
    text = files["scores.md"].decode()
    assert "6 persons with both kinds" in text and "compared with 6 neutral pictures" in text
    for block in text.split("\n\n"):
        if block.startswith("|") and "TPR" not in block:
            assert " n |" in block.splitlines()[0]
    for name, content in files.items():
        if name.endswith(".png"):
            pixels = load_image(content, name).pixels
            assert pixels.shape[0] > 200 and pixels.std() > 5


def test_scatter_has_dots_where_they_belong():
    points = [[0.5, -0.5], [np.nan, 0]]
    picture = va_figures.draw_scatter(points, [[-0.5, 0.5], [0, 0]])
    side, margin = va_figures.SIDE, va_figures.MARGIN
    places = [(0.75, 0.75, 0), (0.25, 0.25, 1)]  # right and down; left and up
    for x, y, panel in places:
        left = margin + panel * (side + 2 * margin)
        red, _, blue = picture[int(margin + 22 + y * side), int(left + x * side)].astype(int)
        assert blue > red + 40
    with pytest.raises(ShapeError, match=r"estimate: expected \(2, 2\)"):
        va_figures.draw_scatter(points, [[0, 0]])


def test_circumplex_shows_the_means_of_classes():
    va = np.array([[0.8, 0.1], [0.6, -0.1], [-0.5, 0.5], [np.nan, 0]])
    names = ["happiness", "happiness", "anger", "anger"]
    picture = va_figures.draw_circumplex(va, names, ["anger", "happiness"], va)
    left, top, side = va_figures.MARGIN, va_figures.MARGIN + 8, va_figures.SIDE + 60
    for colour, (x, y) in zip(va_figures.COLOURS, ((-0.5, 0.5), (0.7, 0.0)), strict=False):
        pixel = picture[int(top + (1 - y) / 2 * side), int(left + (1 + x) / 2 * side)]
        assert np.abs(pixel.astype(int) - colour).max() < 30
    with pytest.raises(ShapeError, match="names: expected 4"):
        va_figures.draw_circumplex(va, names[:2], ["anger"])
    with pytest.raises(ShapeError, match="at most 8"):
        va_figures.draw_circumplex(va, names, [str(i) for i in range(9)])


# ---------------------------------------------------------------------------------- tables
def test_tables_say_the_same_as_the_readings(faces, tmp_path):
    readings = some_readings(faces)
    table = write(tmp_path / "readings.csv", as_rows(faces, readings)[::-1])
    labels = fer_predictions.read_labels(write(tmp_path / "labels.csv", label_rows(faces)))
    found, unused = match(labels.names, fer_predictions.read_table(table))
    assert unused == 0 and found.classes == CLASSES
    np.testing.assert_allclose(found.va, readings.va, atol=1e-6)
    wanted = evaluate_fer(faces, readings, folds=9)
    got = evaluate_fer(labels, found, folds=9)
    for part, inner in wanted["parts"].items():
        for name, measure in inner["measures"].items():
            again = got["parts"][part]["measures"][name]
            assert again["value"] == pytest.approx(measure["value"], abs=1e-6, nan_ok=True)
    assert got["groups"].keys() == wanted["groups"].keys()


def test_names_are_matched_without_extension_and_folder(tmp_path):
    rows = [{"file_name": n, "face": f, "valence": v, "arousal": 0.0}
            for n, f, v in (("b.JPG", 1, 0.9), ("b.JPG", 0, 0.1), ("x/c.png", "", 0.2),
                            ("d.png", 0, ""), ("e.png", 0, 0.5))]  # fmt: skip
    table = fer_predictions.read_table(write(tmp_path / "p.csv", rows))
    assert table.other_faces == 1 and len(table.names) == 4
    found, unused = match(["a.png", "set/b.png", "c.jpg", "d.png"], table)
    assert unused == 1  # e
    np.testing.assert_array_equal(found.va[:, 0], [np.nan, 0.1, 0.2, np.nan])
    both = fer_predictions.Predictions(("u/b.png", "v/b.png"), np.zeros((2, 2)), None)
    found, _ = match(["u/b.png", "w/b.png"], both)  # not guessed
    assert np.isfinite(found.va[:, 0]).tolist() == [True, False]


def test_labels_come_from_tables_codes_and_corpora(tmp_path):
    rows = [{"file_name": "p1-1.png", "person": "p1", "expression_code": "1.0", "age": "34",
             "valence": 0.5, "arousal": 0.1, "split": "test"},
            {"file_name": "p2-0.png", "person": "p2", "expression_code": "8", "age": "",
             "valence": "", "arousal": "", "split": "train"}]  # fmt: skip
    file = write(tmp_path / "labels.csv", rows)
    labels = fer_predictions.read_labels(file)
    assert labels.label.tolist() == [1, UNLABELLED] and labels.subjects == ("p1", "p2")
    assert labels.groups == {"age": ("30-39", "")} and np.isnan(labels.va[1]).all()
    assert fer_predictions.labels_from(str(tmp_path)).names == labels.names
    assert fer_predictions.labels_from(str(file), "test").names == ("p1-1.png",)
    for name in ("p1-1.png", "p2-0.png"):
        (tmp_path / name).write_bytes(b"")
    corpus = fer_predictions.labels_from(f"custom-nir:{tmp_path}")
    assert corpus.names == labels.names and corpus.label.tolist() == [1, UNLABELLED]
    assert fer_predictions.labels_from(str(tmp_path / "elsewhere")) is None


BAD_TABLES = {
    "no table": (None, "expected a CSV file"),
    "no names": ("name,valence\na,1\n", "a column file_name"),
    "no numbers": ("file_name,score\na,1\n", "columns valence and arousal"),
    "no rows": ("file_name,valence,arousal\n", "at least one row"),
    "words": ("file_name,valence,arousal\na,much,0\n", "line 2: expected"),
    "twice": ("file_name,valence,arousal\na,0,0\na,0,0\n", "'a' again"),
    "classes": ("file_name,expression\na,bored\n", "line 2: expected an expression"),
    "code": ("file_name,expression\na,12\n", "number of an expression"),
    "not text": (b"file_name\xff\xfe", "UTF-8"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_messages(case, tmp_path):
    content, words = BAD_TABLES[case]
    file = tmp_path / "bad.csv"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    good = tmp_path / "good.csv"
    good.write_text("file_name,valence,arousal\na,0,0\n")
    for line in (["--predictions", file, "--data", good], ["--predictions", good, "--data", file]):
        result = call("evaluate", "fer", *line, "-o", tmp_path / "out")
        assert result.exit_code == 2 and words in result.stderr, result.output
    assert not (tmp_path / "out").exists()


def test_bad_use_of_the_command_is_a_message(faces, tmp_path):
    table = write(tmp_path / "p.csv", as_rows(faces, some_readings(faces)))
    other = tmp_path / "other.csv"
    other.write_text("file_name,valence,arousal\nelsewhere,0,0\n")
    wide = tmp_path / "wide.csv"
    wide.write_text("file_name,valence,arousal\na,7,0\n")
    out = tmp_path / "out"
    for line, words in (
        (["--data", other, "--predictions", table, "--weights", table], "leave one out"),
        (["--data", other, "--predictions", table], "none in common"),
        (["--data", wide, "--predictions", table], "expected -1 to 1 as valence"),
        (["--data", other, "--predictions", table, "--split", "test"], "got no splits"),
        (["--data", other, "--weights", tmp_path / "no.safetensors"], "weights: expected"),
    ):
        result = call("evaluate", "fer", *line, "-o", out)
        assert result.exit_code in (1, 2) and words in result.stderr, result.output
        assert "Traceback" not in result.output and not out.exists()


def test_the_command_writes_and_protects_a_report(faces, tmp_path):
    table = write(tmp_path / "p.csv", as_rows(faces, some_readings(faces))[1:])
    labels = write(tmp_path / "labels.csv", label_rows(faces))
    line = ["evaluate", "fer", "--predictions", table, "--data", labels, "--folds", "20",
            "-o", tmp_path / "out"]  # fmt: skip
    result = call(*line)
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == set(FILES)
    assert "1 more without an estimate" in result.stdout
    assert (tmp_path / "out/scores.md").read_text() in result.stdout
    again = call(*line)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    rows = [{k: r[k] for k in ("file_name", "expression")} for r in label_rows(faces)]
    labels = write(tmp_path / "only_classes.csv", rows)
    result = call(*line[:4], "--data", labels, *line[6:], "--overwrite")
    assert result.exit_code == 0 and "no persons" in result.stderr
    assert not (tmp_path / "out/scatter.png").exists()  # of the earlier report


# --------------------------------------------------------------------------------- networks
@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained reader of both kinds; what it says is the same every time."""
    import torch

    from synth.models.fer import FERConfig, build, save_fer

    path = tmp_path_factory.mktemp("weights") / "fer.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(FERConfig("mobilenet_v1", True, CLASSES, 48, 1, width=0.25))
        save_fer(path, network.eval())
    return path


def test_a_network_is_scored_on_photos(weights, samples, tmp_path):
    names = sorted(p.name for p in samples.glob("*.jpg"))[:3]
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for i, name in enumerate(names):
        (folder / name).write_bytes((samples / name).read_bytes())
        rows.append({"file_name": name, "valence": 0.1 * i, "arousal": 0.2 - 0.1 * i,
                     "expression": CLASSES[i], "subject": f"p{i}"})  # fmt: skip
    write(folder / "labels.csv", rows)
    out = tmp_path / "out"
    result = call("evaluate", "fer", "--weights", weights, "--data", folder / "labels.csv",
                  "-o", out, "--folds", "10")  # fmt: skip
    assert result.exit_code == 0, result.output
    read = list(csv.DictReader((out / "readings.csv").open()))
    assert [row["target_expression"] for row in read] == list(CLASSES[:3])
    assert json.loads((out / "scores.json").read_text())["parts"]["va"]["n"] == 3
    result = call("evaluate", "fer", "--weights", weights, "--data", folder / "labels.csv",
                  "-o", out, "--overwrite", "--spectrum", "nir")  # fmt: skip
    assert result.exit_code != 0 and "expected the spectrum nir, got vis" in result.stderr


# ------------------------------------------------------------------------------ concordance
def test_concordance_of_tables(faces, tmp_path):
    rows = as_rows(faces, some_readings(faces))
    first = write(tmp_path / "photos.csv", rows)
    second = write(tmp_path / "nir.csv", as_rows(faces, some_readings(faces, 2))[:40])
    result = call("evaluate", "concordance", first, second, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out/concordance.json").read_text())
    words = [[row.expression for row in predictions_of(f).values()][:40] for f in (first, second)]
    assert found["expression"]["kappa"] == pytest.approx(reference.cohen_kappa_score(*words))
    wanted = 100 * reference.accuracy_score(*words)
    assert found["expression"]["equal"] == pytest.approx(wanted)
    assert (found["n"], found["only_photos"], found["only_translated"]) == (40, 8, 0)
    assert (tmp_path / "out/scatter.png").is_file() and "n = 40" in result.stdout
    same = call("evaluate", "concordance", first, first)
    assert "100.0 | 1.000" in same.stdout and "| valence | 48 | 1.000 |" in same.stdout
    rows = [{k: r[k] for k in ("file_name", *(c for c in r if c[:2] == "p_"))} for r in rows]
    shares = predictions_of(write(tmp_path / "shares.csv", rows))
    assert shares["images/000"].expression == predictions_of(first)["images/000"].expression


def test_concordance_refuses(faces, tmp_path):
    table = write(tmp_path / "p.csv", as_rows(faces, some_readings(faces)))
    other = tmp_path / "q.csv"
    other.write_text("file_name,valence,arousal\nelsewhere,0,0\n")
    for line, words in (
        ([table, other], "none in common"),
        ([table, tmp_path], "two tables or two folders"),
        ([table, tmp_path / "no.csv"], "expected a CSV file"),
        ([table, table, "--vis-weights", table], "none with tables"),
        ([tmp_path, tmp_path], "expected pictures in"),
    ):
        result = call("evaluate", "concordance", *line)
        assert result.exit_code == 2 and words in result.stderr, result.output


class Brightness:
    """A reader whose valence is the mean grey, and whose class is always the same."""

    size, digest = 48, "0" * 64

    def read(self, pixels, points=None) -> Readings:
        va = [[np.mean(one) / 127.5 - 1, 0.0] for one in pixels]
        shares = np.tile(np.eye(8, dtype=np.float32)[1], (len(va), 1))
        return Readings(np.array(va, np.float32), shares, CLASSES)


def test_concordance_of_folders(samples, tmp_path):
    import cv2

    from synth.recognition.infer import Inference

    names = sorted(p.name for p in samples.glob("*.jpg"))[:2]
    for folder in ("vis", "nir"):
        (tmp_path / folder).mkdir()
    for name in names:
        photo = cv2.imread(str(samples / name))
        cv2.imwrite(str(tmp_path / "vis" / name), photo)
        grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
        cv2.imwrite(str(tmp_path / "nir" / name.replace(".jpg", "_nir.png")), grey)
    for folder in ("vis", "nir"):
        cv2.imwrite(str(tmp_path / folder / "blank.png"), np.full((200, 200), 128, np.uint8))
    readers = [
        Inference(spectrum=s, face="largest", readers={s: Brightness()}) for s in ("vis", "nir")
    ]
    steps: list[tuple[int, int]] = []
    first, second, lost = read_folders(
        tmp_path / "vis", tmp_path / "nir", *readers, lambda *step: steps.append(step)
    )
    assert set(first) == set(second) == {Path(name).stem for name in names}
    for key, photo in first.items():
        assert second[key].expression == "happiness"
        assert second[key].valence == pytest.approx(photo.valence, abs=0.1)
    assert lost == [("blank", "photo: NO_FACE")] and steps[-1] == (3, 3)
    with pytest.raises(UsageError, match="a face on both sides"):
        for name in names:
            (tmp_path / "vis" / name).unlink()
        read_folders(tmp_path / "vis", tmp_path / "nir", *readers)


def test_auc_of_the_command_is_chance_for_a_constant(faces):
    table = evaluate_fer(faces, Readings(np.zeros_like(faces.va), None), folds=5)
    assert table["parts"]["smile"]["measures"]["auc"]["value"] == 0.5 == auc([1, 1], [0, 1])
