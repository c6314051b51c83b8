"""Sets of faces from everything that holds them, and training on a generated one."""

from __future__ import annotations

import csv
import math
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.crops import PROFILES, crop_by_profile
from synth.errors import UsageError
from synth.face_sets import join_sets, read_face_set, read_face_sets
from synth.face_sets.sources import open_source
from synth.images import encode_image, load_image
from synth.landmarks import get_detector, select_face
from synth.models.fer import ARCHITECTURES, load_fer
from synth.recognition.faces import CLASSES, UNLABELLED
from synth.training.fer import FERSettings, FERTraining, predict
from synth.training.fer_run import run_fer

PEOPLE = 3


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def people(samples, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for number in range(1, PEOPLE + 1):
        # A name of figures alone: tables of sets write it as id_007.
        (folder / f"00{number + 6}.jpg").write_bytes(
            (samples / f"sample_{number}.jpg").read_bytes()
        )
    return folder


@pytest.fixture(scope="module")
def made(people, tmp_path_factory) -> Path:
    """A set of crops, with people held out."""
    out = tmp_path_factory.mktemp("made") / "set"
    result = call("augment", "-i", people, "-o", out, "--plan", "basic", "--count", 15,
                  "--splits", "0.67,0.33,0", "--crop", "aligned", "--size", 64, "--gates", "off",
                  "--seed", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def table(samples, tmp_path_factory) -> Path:
    """Labelled photos with a table, one of them without a face and one missing."""
    root = tmp_path_factory.mktemp("table")
    for number in (1, 2):
        (root / f"{number}.jpg").write_bytes((samples / f"sample_{number}.jpg").read_bytes())
    grey = np.full((64, 64, 3), 128, np.uint8)
    (root / "wall.png").write_bytes(encode_image(grey))
    (root / "labels.csv").write_text(
        "file_name,valence,arousal,expression,subject,gender,spectrum\n"
        "1.jpg,0.5,-0.25,happy,ann,female,vis\n"
        "2.jpg,,,6,bob,,nir\n"
        "wall.png,0,0,,,,\n"
        "gone.jpg,0.1,0.1,neutral,ann,female,\n"
    )
    return root


# ------------------------------------------------------------------------ made by synth
def test_set_of_synth_augment(made):
    faces, skips = read_face_set(made, size=48)
    assert faces.pixels.shape == (len(faces), 48, 48) and not skips
    assert set(faces.subjects) == {"007", "008", "009"}
    assert set(faces.origin) == {"synthetic"} and set(faces.spectrum) == {"vis"}
    assert np.isnan(faces.points).all()
    with open(made / "train/metadata.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    train, _ = read_face_set(made, size=64, channels=3, split="train")
    assert len(train) == len(rows) and train.pixels.shape[1:] == (64, 64, 3)
    named = {name.split("/")[-1]: i for i, name in enumerate(train.names)}
    for row in rows:
        i = named[Path(row["file_name"]).stem]
        assert np.allclose(train.va[i], (float(row["valence"]), float(row["arousal"])), atol=1e-6)
        assert CLASSES[train.label[i]] == row["expression"]
        # Read as they are: the crops were aligned when they were made.
        assert np.array_equal(train.pixels[i], load_image(made / "train" / row["file_name"]).pixels)
    other, _ = read_face_set(made, split="val")
    assert not set(other.subjects) & set(train.subjects)
    assert len(other) + len(train) == len(faces)
    with pytest.raises(UsageError, match="split: expected one of train, val"):
        read_face_set(made, split="holdout")


def test_aligned_again_is_nearly_the_same(made):
    """Finding faces in crops that are aligned already hardly moves them."""
    part, _ = read_face_set(made, split="val", size=64, points=True)
    assert np.isfinite(part.points).all()
    eyes = part.points[:, 36:42].mean(1), part.points[:, 42:48].mean(1)
    for found, place in zip(eyes, PROFILES["aligned"].template[:2], strict=True):
        assert np.abs(found - (np.array(place) * 64 - 0.5)).max() < 4
    again, _ = read_face_set(made, split="val", size=64, crop="aligned")
    assert again.names == part.names
    error = np.linalg.norm(again.points - part.points, axis=2).mean() * 3 / 64
    assert error < 0.08  # of the eyes' distance


def test_run_of_synth_generate(people, tmp_path):
    result = call("generate", "-i", people / "007.jpg", "--expression", "happiness",
                  "--expression", "anger",
                  "-o", tmp_path / "run", "--crop", "face", "--size", 192)  # fmt: skip
    assert result.exit_code == 0, result.output
    faces, _ = read_face_set(tmp_path / "run", size=64)
    assert [CLASSES[i] for i in faces.label] == ["happiness", "anger"]
    assert faces.subjects == ("007", "007") and set(faces.origin) == {"synthetic"}
    assert np.isfinite(faces.points).all()  # not cropped so: faces were found and aligned
    with pytest.raises(UsageError, match="split: expected none"):
        read_face_set(tmp_path / "run", split="train")


# ------------------------------------------------------------------------ made by others
def test_table_of_photos(table, portrait):
    faces, skips = read_face_set(table, size=64)
    assert faces.names == ("1.jpg", "2.jpg") and faces.subjects == ("ann", "bob")
    assert [CLASSES[i] for i in faces.label] == ["happiness", "anger"]
    assert np.allclose(faces.va[0], (0.5, -0.25)) and np.isnan(faces.va[1]).all()
    assert faces.spectrum == ("vis", "nir") and set(faces.origin) == {"real"}
    assert faces.groups == {"gender": ("female", "")}
    assert [(skip.source, skip.reason) for skip in skips] == [
        ("wall.png", "NO_FACE"),
        ("gone.jpg", "DECODE"),
    ]
    face = select_face(get_detector().detect(portrait))[0]
    cropped, points, _ = crop_by_profile(portrait, face, "aligned", 64)
    assert np.array_equal(faces.pixels[0], cv2.cvtColor(cropped.pixels, cv2.COLOR_RGB2GRAY))
    assert np.allclose(faces.points[0], points.points, atol=1e-4)


def test_photos_in_folders_named_by_expression(samples, tmp_path):
    for folder, number in (("Happy", 1), ("neutral", 2), ("holiday", 3)):
        (tmp_path / folder).mkdir()
        data = (samples / f"sample_{number}.jpg").read_bytes()
        (tmp_path / folder / "a.jpg").write_bytes(data)
    labels = {row.name: row.label for row in open_source(str(tmp_path)).rows}
    assert labels == {"Happy/a.jpg": 1, "neutral/a.jpg": 0, "holiday/a.jpg": UNLABELLED}


def test_published_layout(table, tmp_path):
    (tmp_path / "labels.csv").write_text(
        "file_name,person,expression_code,valence,arousal\n5-1-a.jpg,5,3,0.25,0.75\n"
    )
    (tmp_path / "5-1-a.jpg").write_bytes((table / "1.jpg").read_bytes())
    row = open_source(f"custom-nir:{tmp_path}").rows[0]
    assert (row.subject, row.spectrum, CLASSES[row.label]) == ("5", "nir", "surprise")
    assert (row.valence, row.arousal) == (0.25, 0.75)
    row = open_source(f"custom-nir:{tmp_path},spectrum=vis").rows[0]
    assert row.spectrum == "vis"


def test_crops_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode_image(pixels))
    (tmp_path / "b.png").write_bytes(encode_image(pixels[:30]))
    faces, skips = read_face_set(tmp_path, size=40, channels=3, crop="as-is")
    assert np.array_equal(faces.pixels[0], pixels) and math.isnan(faces.va[0, 0])
    assert [(skip.source, skip.reason) for skip in skips] == [("b.png", "DECODE")]
    assert "square" in skips[0].message


@pytest.mark.parametrize(
    "content, message",
    [
        ("file,valence\na.jpg,0\n", "file_name"),
        ("file_name,expression\na.jpg,smirking\n", "expected an expression among neutral, .*'smir"),
        ("file_name,expression\na.jpg,9\n", "expected an expression among"),
        ("file_name,valence,arousal\na.jpg,1.5,0\n", "expected a valence from -1 to 1"),
        ("file_name,valence,arousal\na.jpg,x,0\n", "expected a valence from -1 to 1"),
        ("file_name,valence,arousal\na.jpg,0.5,\n", "expected valence and arousal, or neither"),
        ("file_name,spectrum\na.jpg,thermal\n", "expected a spectrum of vis or nir"),
    ],
)
def test_tables_that_are_wrong(tmp_path, content, message):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UsageError, match=message):
        read_face_set(tmp_path / "labels.csv")


def test_what_is_no_set(tmp_path):
    for source in (tmp_path / "nowhere", f"affectnett:{tmp_path}"):
        with pytest.raises(UsageError, match="data: expected .* does not exist"):
            read_face_set(source)
    with pytest.raises(UsageError, match="expected photos"):
        read_face_set(tmp_path)
    (tmp_path / "a.png").write_bytes(encode_image(np.zeros((32, 32, 3), np.uint8)))
    with pytest.raises(UsageError, match="data: expected faces in .* got none in 1 pictures"):
        read_face_set(tmp_path)
    for option, value in (("crop", "tight"), ("channels", 2), ("landmarks", "none")):
        with pytest.raises(UsageError, match=f"{option}: expected"):
            read_face_set(tmp_path, **{option: value})


def test_cache_notices_what_changed(table, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first, skips = read_face_set(table, size=48, cache=cache)
    monkeypatch.setattr("synth.face_sets.cut_rows", lambda *_: pytest.fail("read again"))
    again, same = read_face_set(table, size=48, cache=cache)
    assert np.array_equal(first.pixels, again.pixels) and skips == same
    assert again.groups == first.groups and again.subjects == first.subjects
    monkeypatch.undo()
    (other, _), (grown, _) = (
        read_face_set(table, size=48, channels=3, cache=cache),
        read_face_set(table, size=40, cache=cache),
    )
    assert other.pixels.ndim == 4 and grown.size == 40
    os.utime(table / "1.jpg", (1, 1))
    labels = table / "labels.csv"
    text = labels.read_text()
    labels.write_text(text.replace("0.5,-0.25", "0.6,-0.25"))
    changed, _ = read_face_set(table, size=48, cache=cache)
    labels.write_text(text)
    assert changed.va[0, 0] == np.float32(0.6)
    for file in cache.glob("*.npz"):
        file.write_bytes(b"torn")
    assert len(read_face_set(table, size=48, cache=cache)[0]) == 2


def test_sets_joined_keep_names_apart(made):
    one, _ = read_face_set(made, size=32, split="val")
    twice = join_sets([one, one])
    assert len(twice) == 2 * len(one) and len(set(twice.names)) == len(twice)
    joined, _ = read_face_sets([str(made)], size=32, split="val")
    assert joined.names == one.names
    assert read_face_sets([]) == (None, [])


# ---------------------------------------------------------------------------- training
def train(*args: object) -> Result:
    return call("train", "fer", "--size", 32, "--width", 0.25, "--batch", 8, "--device", "cpu",
                "--read-size", 48, *args)  # fmt: skip


def test_one_epoch_on_a_generated_set(made, table, tmp_path):
    out = tmp_path / "run"
    args = ("--data", f"{made}@train", "--val", f"{made}@val", "--task", "both", "--epochs", 1,
            "--cache", tmp_path / "cache", "-o", out)  # fmt: skip
    result = train(*args, "--watch", table)
    assert result.exit_code == 0, result.output
    assert "faces of 2 people to learn from" in result.output
    for name in ("weights/fer.safetensors", "scores.csv", "scores.png", "run.toml", "state.pt"):
        assert (out / name).is_file()
    again = train(*args, "--watch", table)
    assert again.exit_code == 0 and "had been done before" in again.output
    for wrong, message in (
        (("--data", made, "--val", f"{made}@val"), "val: expected other people than in data"),
        (("--data", made, "--val", made, "--val-people", 0.3), "val-people: expected"),
        (("--data", made, "--sweep", "1,x"), "sweep: expected numbers"),
        (("--data", made, "--sweep", "4", "--search", 2), "search: expected --sweep or"),
        (("--data", made, "--ratio", 0.5), "ratio: expected real and synthetic"),
        (("--data", made, "--classes", "glad,sad", "--task", "expr"), "classes: expected names"),
        (("--data", table, "--epochs", 1), "data: expected|val: expected"),
        (("--data", made, "--init", out / "weights/fer.safetensors"), "init: expected"),
    ):
        failed = train(*wrong, "--cache", tmp_path / "cache", "-o", tmp_path / "other")
        assert failed.exit_code == 2 and "Traceback" not in failed.output
        assert re.search(message, failed.output), failed.output


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_network_trains_an_epoch_on_a_generated_set(arch, made, tmp_path):
    """Thin ones; what comes out is finite, comes back from its file, and has learned something."""
    asks = ARCHITECTURES[arch].points
    known, _ = read_face_set(made, size=32, split="train", points=asks)
    other, _ = read_face_set(made, size=32, split="val", points=asks)
    settings = FERSettings(arch=arch, size=32, width=0.125, task="both", batch=4, epochs=1)
    before = FERTraining(known, other, settings).network.state_dict()
    run = run_fer(known, other, settings, tmp_path / "run")
    assert run.finished and math.isfinite(run.rows[0]["loss"])
    network, meta = load_fer(run.weights, "both", "vis")
    assert meta["classes"] == ",".join(CLASSES)
    moved = [name for name, value in network.state_dict().items()
             if not torch.equal(value, before[name])]  # fmt: skip
    assert any("head" in name for name in moved) and any("head" not in name for name in moved)
    readings = predict(network, other)
    assert np.abs(readings.va).max() <= 1 and np.allclose(readings.probabilities.sum(1), 1)


def test_sweep_and_people_held_out_from_the_command(made, tmp_path):
    result = train("--data", made, "--val-people", 0.34, "--epochs", 1, "--sweep", "4,8",
                   "-o", tmp_path / "sweep", "--cache", tmp_path)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sweep/sweep.csv").is_file() and "pictures 8" in result.output
