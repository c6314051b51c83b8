"""Annotations: reading, common instants, agreement, delays, outliers, labels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synth.affect import square_to_disc
from synth.building.annotation_files import annotation_files
from synth.building.annotation_labels import read_expressions
from synth.building.annotations import AnnotationSettings, check_annotations
from synth.cli import cli
from synth.errors import UsageError
from synth.expressions.annotation_agreement import agreement, mean_label, spikes
from synth.expressions.annotations import Ratings, Track, read_annotations, resample
from synth.metrics.agreement import pcc

RATE = 20.0


def truth(seed: int, seconds: float = 30.0) -> np.ndarray:
    """(T, 2) smooth valence and arousal, standard deviation 0.3."""
    rng = np.random.default_rng(seed)
    t = np.arange(0, seconds, 1 / RATE)
    waves = [
        sum(rng.normal() * np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) for f in (0.05, 0.11, 0.2))
        for _ in range(2)
    ]
    out = np.stack(waves, 1)
    return 0.3 * (out - out.mean(0)) / out.std(0)


def write(path: Path, places: np.ndarray, values: np.ndarray, unit: str = "time") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "{:.4f}" if unit == "time" else "{:.0f}"
    rows = [f"{form.format(p)},{v:.6f},{a:.6f}" for p, (v, a) in zip(places, values, strict=True)]
    path.write_text("\n".join([f"{unit},valence,arousal", *rows]) + "\n", "utf-8")


def ratings(values: np.ndarray, sequence: str = "S/x") -> Ratings:
    count = values.shape[1]
    names = tuple("abcdef"[: len(values)])
    return Ratings(sequence, names, np.arange(count), np.arange(count) / RATE, values)


def call(*args: object):
    result = CliRunner().invoke(cli, ["gallery", "annotate-check", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three annotators, two subjects, one sequence and a neutral one each."""
    rng = np.random.default_rng(5)
    for s, subject in enumerate(("S01", "S02")):
        clean = truth(s, 6.0)
        t = np.arange(len(clean)) / RATE
        for name in ("ann", "ben", "cleo"):
            noisy = np.clip(clean + rng.normal(0, 0.1, clean.shape), -1, 1)
            write(tmp_path / name / subject / "happy_1.csv", t, noisy)
    return tmp_path


# -------------------------------------------------------------------------------- agreement
def test_correlation_is_the_one_that_the_noise_leaves():
    rng = np.random.default_rng(1)
    clean = np.concatenate([truth(s, 300.0) for s in range(4)])
    noise = np.array([0.15, 0.2, 0.3])
    values = clean + noise[:, None, None] * rng.standard_normal((3, *clean.shape))
    found = agreement([ratings(values)], "abc")
    share = 0.09 / (0.09 + noise**2)  # of each annotator's variance
    pair = np.sqrt(np.outer(share, share))
    expected = (pair.sum(1) - pair.diagonal()) / 2
    np.testing.assert_allclose(found.pooled, np.tile(expected[:, None], 2), atol=0.02)
    np.testing.assert_allclose(found.within, found.pooled, atol=1e-12)
    np.testing.assert_allclose(found.overall("pooled"), expected.mean(), atol=0.02)
    # a different offset costs concordance, not correlation
    values[0] += 0.3
    moved = agreement([ratings(values)], "abc")
    np.testing.assert_allclose(moved.pooled, found.pooled, atol=1e-12)
    assert (moved.concordance < found.concordance - 0.05).all()


def test_mean_correlation_is_that_of_the_definition():
    values = np.random.default_rng(2).uniform(-1, 1, (4, 50, 2))
    found = agreement([ratings(values)], "abcd")
    for i in range(4):
        for d in range(2):
            others = [pcc(values[i, :, d], values[j, :, d]) for j in range(4) if j != i]
            assert found.pooled[i, d] == pytest.approx(np.mean(others))
            rest = np.delete(values, i, 0)[:, :, d].mean(0)
            assert found.with_mean[i, d] == pytest.approx(pcc(values[i, :, d], rest))


def test_constant_tracks_are_counted_not_averaged():
    values = np.random.default_rng(3).uniform(-1, 1, (3, 50, 2))
    stuck = values.copy()
    stuck[0, :, 1] = 0.5
    found = agreement([ratings(values, "S/x"), ratings(stuck, "S/y")], "abc")
    assert found.undefined.tolist() == [[0, 1], [0, 0], [0, 0]]
    alone = agreement([ratings(values, "S/x")], "abc")
    assert found.within[0, 1] == pytest.approx(alone.within[0, 1])
    nobody = agreement([ratings(np.ones((2, 9, 2)))], "ab")
    assert np.isnan(nobody.pooled).all() and nobody.undefined.tolist() == [[1, 1], [1, 1]]


def test_mean_label_leaves_out_what_is_missing():
    values = np.array([[[0.0, 0.2]] * 3, [[0.4, 0.4]] * 3, [[0.8, np.nan]] * 3])
    values[1, 1] = np.nan
    values[:, 2] = np.nan
    mean, spread, count = mean_label(ratings(values), "abc")
    assert count.tolist() == [2, 1, 0]
    np.testing.assert_allclose(mean[0], [0.4, 0.3])
    assert spread[0, 1] == pytest.approx(np.sqrt(0.02)) and np.isnan(spread[1]).all()
    assert np.isnan(mean[2]).all()


# --------------------------------------------------------------------------------- instants
def test_resampling_is_linear_and_holds_no_longer_than_the_tolerance():
    track = Track("a", "S/x", np.array([1.0, 2.0, 3.0]), np.array([[0, 0], [1, -1], [0, 0.0]]))
    at = np.array([0.7, 0.9, 1.5, 2.25, 3.1, 3.4])
    got = resample(track, at, 0.2)
    np.testing.assert_allclose(got[1:5, 0], [0, 0.5, 0.75, 0])
    np.testing.assert_allclose(got[1:5, 1], [0, -0.5, -0.75, 0])
    assert np.isnan(got[[0, 5]]).all()


def test_ratings_off_the_scale_are_not_used_and_reported(folder):
    file = folder / "ann/S01/happy_1.csv"
    lines = file.read_text().splitlines()
    lines[11] = "0.5000,1.5,0.1"
    file.write_text("\n".join(lines))
    found = check_annotations(folder)
    assert found.out_of_range == (("ann", "S01/happy_1", 0.5, 1.5, 0.1),)
    label = found.labels[0]
    assert label.annotators[10] == 2 and (np.delete(label.annotators, 10) == 3).all()


# ------------------------------------------------------------------------------------ delay
@pytest.mark.parametrize("late", [0.4, -0.65])
def test_delays_are_recovered_and_taken_out(tmp_path, late):
    rng = np.random.default_rng(7)
    for s in range(2):
        clean = truth(20 + s, 40.0)
        t = np.arange(len(clean)) / RATE
        for name, lag in (("a", 0.0), ("b", late), ("c", 0.0)):
            moved = np.column_stack([np.interp(t - lag, t, clean[:, d]) for d in range(2)])
            noisy = moved + rng.normal(0, 0.05, moved.shape)
            write(tmp_path / name / f"S{s}/x.csv", t, np.clip(noisy, -1, 1))
    plain = check_annotations(tmp_path, AnnotationSettings(rate=10))
    assert plain.lags["b"] - plain.lags["a"] == pytest.approx(late, abs=0.03)
    assert plain.lags["c"] == pytest.approx(plain.lags["a"], abs=0.03)
    aligned = check_annotations(tmp_path, AnnotationSettings(rate=10, align_lag=True))
    assert (aligned.agreement.pooled > plain.agreement.pooled + 0.01).all()
    assert aligned.agreement.overall("pooled").min() > 0.95


# --------------------------------------------------------------------------------- outliers
def test_an_annotator_who_disagrees_is_named_and_can_be_left_out(folder):
    rng = np.random.default_rng(8)
    for s in ("S01", "S02"):
        t = np.arange(120) / RATE
        write(folder / "zoe" / s / "happy_1.csv", t, rng.uniform(-0.6, 0.6, (120, 2)))
    kept = check_annotations(folder)
    assert list(kept.weak) == ["zoe"] and len(kept.kept) == 4
    left = check_annotations(folder, AnnotationSettings(drop_outliers=True))
    assert left.kept == ("ann", "ben", "cleo") and list(left.dropped) == ["zoe"]
    clean = truth(0, 6.0)
    errors = [np.abs(c.labels[0].mean - clean).mean() for c in (left, kept)]
    assert errors[0] < 0.08 < errors[1]
    assert left.agreement_kept.overall("pooled").min() > left.agreement.overall("pooled").max()


def test_a_spike_is_one_stretch_of_the_one_who_made_it():
    rng = np.random.default_rng(9)
    values = truth(3) + rng.normal(0, 0.05, (3, 600, 2))
    values[1, 200:206, 0] += 0.9
    found = spikes([ratings(values)], "abc", 6.0)
    assert [(s.annotator, s.dimension, s.first, s.last) for s in found] == [
        ("b", "valence", 200, 205)
    ]
    assert found[0].z > 6


# ----------------------------------------------------------------------------------- labels
def test_table_and_folder_say_the_same(folder, tmp_path_factory):
    table = tmp_path_factory.mktemp("table") / "all.csv"
    lines = ["annotator,sequence,time,valence,arousal"]
    for file in sorted(folder.rglob("*.csv")):
        annotator, sequence = file.relative_to(folder).with_suffix("").as_posix().split("/", 1)
        lines += [f"{annotator},{sequence},{row}" for row in file.read_text().splitlines()[1:]]
    table.write_text("\n".join(lines))
    first, second = read_annotations(folder), read_annotations(table)
    assert first.keys() == second.keys() == {"S01/happy_1", "S02/happy_1"}
    for sequence, tracks in first.items():
        for name, track in tracks.items():
            np.testing.assert_array_equal(track.values, second[sequence][name].values)


def test_labels_of_meshes_at_their_instants(folder):
    fps = 10.0
    meshes = [f"S01/happy_1/{i:04d}" for i in range(1, 61)] + ["S01/neutral/0001", "S09/x/0001"]
    found = check_annotations(folder, AnnotationSettings(fps=fps), meshes)
    assert dict(found.notes) == {
        "S01/neutral": "NEUTRAL",
        "S02/happy_1": "NO_MESHES",
        "S09/x": "NO_ANNOTATION",
    }
    happy, neutral = found.labels
    tracks = read_annotations(folder)["S01/happy_1"]
    mean = np.mean([t.values for t in tracks.values()], 0)
    np.testing.assert_allclose(happy.mean, mean[::2], atol=1e-12)
    assert happy.names[0] == "S01/happy_1/0001" and happy.frames[-1] == 60
    assert (neutral.expression, neutral.subject) == ("neutral", "S01")
    assert (neutral.mean == 0).all() and neutral.annotators.tolist() == [0]


def test_expressions_of_frames_are_taken_from_the_protocol(folder, tmp_path):
    table = tmp_path.parent / f"{tmp_path.name}.csv"  # beside it stand the annotators
    table.write_text("file_name,expression\nS01/happy_1/0030,happy\n", encoding="utf-8")
    meshes = [f"S01/happy_1/{i:04d}" for i in range(1, 61)]
    known = read_expressions(table)
    settings = AnnotationSettings(fps=10.0)
    found = check_annotations(folder, settings, meshes, None, known)
    rows = list(csv.DictReader(annotation_files(found)["labels.csv"].decode().splitlines()))
    shown = {row["file_name"]: row["expression"] for row in rows if row["expression"]}
    assert shown == {"S01/happy_1/0030": "happiness"}
    with pytest.raises(UsageError, match="S01/happy_1/0099"):
        check_annotations(folder, settings, meshes, None, {"S01/happy_1/0099": "fear"})
    table.write_text("file_name,expression\nS01/happy_1/0030,jolly\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 2"):
        read_expressions(table)


def test_missing_meshes_are_matched_by_number(folder):
    kept = [i for i in range(1, 61) if i not in (1, 2, 30, 60)]
    meshes = [f"S01/happy_1/{i:04d}" for i in kept]
    settings = AnnotationSettings(fps=10.0, first_frame=1)
    label = check_annotations(folder, settings, meshes).labels[0]
    full = check_annotations(
        folder, settings, [f"S01/happy_1/{i:04d}" for i in range(1, 61)]
    ).labels[0]
    np.testing.assert_allclose(label.mean, full.mean[np.array(kept) - 1])


def test_annotated_frames_are_the_meshes(tmp_path):
    values = truth(1, 2.0)
    for name, off in (("a", 0.0), ("b", 0.1)):
        write(tmp_path / name / "S1/x.csv", np.arange(40), values + off, "frame")
    meshes = [f"S1/x/{i:04d}" for i in range(1, 41)]
    label = check_annotations(tmp_path, None, meshes).labels[0]
    np.testing.assert_allclose(label.mean, values + 0.05, atol=1e-5)
    assert label.frames.tolist() == list(range(1, 41))
    # fewer meshes, all of whose numbers are annotated
    part = check_annotations(tmp_path, None, meshes[4:9]).labels[0]
    np.testing.assert_allclose(part.mean, values[5:10] + 0.05, atol=1e-5)
    with pytest.raises(UsageError, match="expected 45 frames .* got 40"):
        check_annotations(tmp_path, None, [f"S1/x/{i:04d}" for i in range(1, 46)])


def test_labels_off_the_disc_are_counted_or_mapped(tmp_path):
    corner = np.tile([[0.9, 0.9]], (10, 1)) + np.linspace(0, 0.05, 10)[:, None]
    for name in "ab":
        write(tmp_path / name / "S1/x.csv", np.arange(10.0), corner)
    kept = check_annotations(tmp_path)
    assert kept.outside_disc == 10
    np.testing.assert_allclose(kept.labels[0].mean, corner, atol=1e-6)
    mapped = check_annotations(tmp_path, AnnotationSettings(disc="map"))
    np.testing.assert_allclose(mapped.labels[0].mean, square_to_disc(corner), atol=1e-6)
    assert np.hypot(*mapped.labels[0].mean.T).max() <= 1


# ---------------------------------------------------------------------------------- command
def test_command_writes_labels_tables_and_a_picture(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "labels"
    people = folder.parent / "people.csv"
    people.write_text("sequence,subject,expression\nS02/happy_1,Ada,happy\n")
    result = call(folder, "-o", out, "--rate", "10", "--subjects", people)
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {
        "labels.csv", "annotators.csv", "sequences.csv", "outliers.csv", "report.md", "tracks.png",
    }  # fmt: skip
    with open(out / "labels.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "file_name", "subject", "sequence", "frame", "valence", "arousal", "sd_valence",
        "sd_arousal", "annotators", "expression",
    ]  # fmt: skip
    assert rows[0]["file_name"] == "S01/happy_1/0000" and rows[0]["subject"] == "S01"
    assert (rows[-1]["subject"], rows[-1]["expression"]) == ("Ada", "happiness")
    assert "0.68 and 0.60" in (out / "report.md").read_text("utf-8")
    again = call(folder, "-o", out, "--rate", "10")
    assert again.exit_code == 2 and "--overwrite" in again.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("0.1000,", "0.1000,x", 1), r"line 4: expected a finite number as val"),
        (lambda t: t.replace("0.1000,", "nan,", 1), r"line 4: expected a finite number as time"),
        (lambda t: t.replace("arousal", "arrousal"), r"expected the columns time or frame"),
        (lambda t: t.replace("0.1000,", "0.0500,", 1), r"line 4: expected every time once"),
        (lambda t: "\n".join(t.splitlines()[:50]), r"other length; say --rate"),
        (lambda t: t.splitlines()[0], r"expected rows below the header"),
    ],
)
def test_bad_annotations_get_one_line_and_write_nothing(folder, tmp_path_factory, change, message):
    file = folder / "cleo/S01/happy_1.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(UsageError, match=message):
        check_annotations(folder)
    out = tmp_path_factory.mktemp("out") / "labels"
    result = call(folder, "-o", out)
    assert result.exit_code == 2 and len(result.output.strip().splitlines()) == 1
    assert "S01/happy_1.csv" in result.output and not out.exists()


def test_annotations_of_other_length_than_the_meshes_or_of_one_annotator(folder):
    meshes = [f"S01/happy_1/{i:04d}" for i in range(1, 81)]
    with pytest.raises(UsageError, match=r"0\.00 to 7\.90 s as the 80 meshes .* 0\.00 to 5\.95"):
        check_annotations(folder, AnnotationSettings(fps=10.0), meshes)
    with pytest.raises(UsageError, match="fps: expected"):
        check_annotations(folder, None, meshes)
    with pytest.raises(UsageError, match="sequences called as those of the meshes"):
        check_annotations(folder, AnnotationSettings(fps=10.0), ["T1/x/0001"])
    for name in ("ben", "cleo"):
        for file in (folder / name).rglob("*.csv"):
            file.unlink()
    with pytest.raises(UsageError, match="at least two annotators, got 1"):
        check_annotations(folder)


def test_another_scale_is_refused_with_the_remedy(folder):
    for file in folder.rglob("*.csv"):
        track = np.loadtxt(file, delimiter=",", skiprows=1)
        write(file, track[:, 0], track[:, 1:] * 1000)
    with pytest.raises(UsageError, match="--scale"):
        check_annotations(folder)
    assert not check_annotations(folder, AnnotationSettings(scale=1000)).out_of_range


def test_a_track_turned_upside_down_is_the_only_one_reported(folder, tmp_path_factory):
    file = folder / "ben/S02/happy_1.csv"
    track = np.loadtxt(file, delimiter=",", skiprows=1)
    write(file, track[:, 0], -track[:, 1:])
    out = tmp_path_factory.mktemp("out")
    assert call(folder, "-o", out).exit_code == 0
    with open(out / "outliers.csv", encoding="utf-8", newline="") as table:
        tracks = [row for row in csv.DictReader(table) if row["kind"] == "track"]
    assert [(r["annotator"], r["sequence"], r["dimension"]) for r in tracks] == [
        ("ben", "S02/happy_1", "valence"),
        ("ben", "S02/happy_1", "arousal"),
    ]


def test_labels_are_what_a_gallery_is_built_from(folder, tmp_path_factory):
    from synth.expressions.labels import read_labels
    from synth.meshes.mesh import Mesh, write_mesh

    root = tmp_path_factory.mktemp("meshes")
    triangle = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    for subject in ("S01", "S02"):
        for i in range(1, 61):
            (root / subject / "happy_1").mkdir(parents=True, exist_ok=True)
            write_mesh(root / subject / f"happy_1/{i:04d}.ply", triangle)
        (root / subject / "neutral").mkdir()
        write_mesh(root / subject / "neutral/0001.ply", triangle)
    out = tmp_path_factory.mktemp("out") / "labels"
    result = call(folder, "-o", out, "--meshes", root, "--fps", "10")
    assert result.exit_code == 0, result.output
    from synth.meshes.collection import open_collection

    names = open_collection(root).names
    read = read_labels(out / "labels.csv", names, square=True)
    assert read.subjects == ("S01", "S02") and read.neutral.sum() == 2
    own = {n: m for part in check_annotations(folder, AnnotationSettings(fps=10.0), names).labels
           for n, m in zip(part.names, part.mean, strict=True)}  # fmt: skip
    expected = square_to_disc([own[name] for name in names])
    np.testing.assert_allclose(read.va, expected, atol=1e-5)


def test_frames_become_seconds_by_one_count_for_all(tmp_path):
    values = truth(2, 3.0)
    write(tmp_path / "a/S1/x.csv", np.arange(1, 61), values, "frame")
    write(tmp_path / "b/S1/x.csv", np.arange(4, 61), values[3:], "frame")  # starts late
    found = check_annotations(tmp_path, AnnotationSettings(fps=20.0, rate=20.0))
    np.testing.assert_allclose(found.labels[0].mean, values, atol=1e-5 + np.ptp(values[:4]))
    np.testing.assert_allclose(found.labels[0].mean[3:], values[3:], atol=1e-5)
    assert found.agreement.pooled.min() > 0.999
