"""Every experiment that comes with the package, on tiny fakes of the sets it needs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from synth.errors import UsageError
from synth.experiments import results, sets
from synth.experiments.files import load_definition
from synth.experiments.running import run_experiment
from synth.experiments.scoring import scores_of_seeds
from synth.experiments.tables import read_table
from synth.images import encode_image
from synth.recognition.faces import CLASSES, FaceSet
from synth.recognition.reader import Readings

NEW = ("real-plus-synthetic", "synthetic-train", "synthetic-test", "synface", "vis-nir")
VA = np.random.default_rng(5).uniform(-0.9, 0.9, (400, 2)).round(3)
#: RAF-DB's labels by position in `CLASSES`; contempt is none of them.
RAF = (7, 4, 5, 1, 2, 3, 6)


@cache
def picture(k: int) -> bytes:
    """Upper half as bright as face k is pleasant, lower half as it is aroused."""
    pixels = np.empty((96, 96), np.uint8)
    pixels[:48], pixels[48:] = (127 + 120 * VA[k]).astype(np.uint8)
    return encode_image(np.repeat(pixels[..., None], 3, 2), "png")


def put(root: Path, name: str, data: bytes | str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def affectnet(root: Path) -> None:
    for part, count, first in (("train_set", 40, 0), ("val_set", 16, 40)):
        for k in range(count):
            put(root, f"{part}/images/{k}.jpg", picture(first + k))
            values = {"exp": k % 8, "val": VA[first + k, 0], "aro": VA[first + k, 1]}
            for name, value in values.items():
                (root / part / "annotations").mkdir(exist_ok=True)
                np.save(root / part / f"annotations/{k}_{name}.npy", np.array(str(value)))


def raf_db(root: Path) -> None:
    names = [f"{part}_{k:05d}" for part, n in (("train", 40), ("test", 14)) for k in range(n)]
    for k, name in enumerate(names):
        put(root, f"basic/Image/aligned/{name}_aligned.jpg", picture(k))
    lines = "".join(f"{name}.jpg {RAF[k % 7]}\n" for k, name in enumerate(names))
    put(root, "basic/EmoLabel/list_patition_label.txt", lines)


def aff_wild2(root: Path) -> None:
    for number in range(14):
        part = "Validation_Set" if number > 10 else "Train_Set"
        lines = ["valence,arousal"]
        for k in range(1, 22):
            lines.append(f"{VA[number * 9 + k, 0]},{VA[number * 9 + k, 1]}")
            put(root, f"cropped_aligned/v{number:02d}/{k:05d}.jpg",
                picture(number * 9 + k))  # fmt: skip
        put(root, f"annotations/VA_Estimation_Challenge/{part}/v{number:02d}.txt",
            "\n".join(lines) + "\n")  # fmt: skip


def afew_va(root: Path) -> None:
    for clip in range(1, 7):
        at, name = [clip * 4 + k for k in range(4)], f"{clip:03d}"
        labels = {f"{k:05d}": {"valence": float(VA[i, 0] * 10), "arousal": float(VA[i, 1] * 10)}
                  for k, i in enumerate(at)}  # fmt: skip
        put(root, f"{name}/{name}.json", json.dumps({"video_id": name, "frames": labels}))
        for k, i in enumerate(at):
            put(root, f"{name}/{k:05d}.png", picture(i))


def recola(root: Path) -> None:
    ratings = "RECOLA-Annotation/emotional_behaviour"
    for person in range(6):
        for axis, name in enumerate(("valence", "arousal")):
            lines = ["time;FM1;FM2;FM3;FF1;FF2;FF3"]
            lines += [f"{k * 0.04:.2f};" + ";".join([str(VA[person * 9 + k // 25, axis])] * 6)
                      for k in range(101)]  # fmt: skip
            put(root, f"{ratings}/{name}/P{person}.csv", "\n".join(lines) + "\n")
        for k in range(1, 102, 25):
            put(root, f"frames/P{person}/{k:05d}.jpg", picture(person * 9 + k // 25))


def bu_3dfe(root: Path) -> None:
    for person in range(1, 7):
        for k, word in enumerate(("NE", "AN", "DI", "FE", "HA", "SA", "SU")):
            level = "00" if word == "NE" else "04"
            put(root, f"F{person:04d}/F{person:04d}_{word}{level}WH_F2D.bmp",
                picture(person * 7 + k))  # fmt: skip


def oulu_casia(root: Path) -> None:
    for person in range(1, 7):
        for word in ("Anger", "Happiness", "Surprise"):
            for spectrum in ("VL", "NI"):
                for k in range(4):
                    put(root, f"{spectrum}/Strong/P{person:03d}/{word}/{k:03d}.jpeg",
                        picture(person * 12 + k))  # fmt: skip


def nir(root: Path) -> None:
    lines = ["file_name,person,gender,expression_code,valence,arousal"]
    for k in range(20):
        put(root, f"{k % 4}-{k}.jpg", picture(k))
        lines.append(f"{k % 4}-{k}.jpg,{k % 4},male,{k % 7}.0,{VA[k, 0]},{VA[k, 1]}")
    put(root, "labels.csv", "\n".join(lines) + "\n")


FAKES = {"affectnet": affectnet, "raf-db": raf_db, "aff-wild2": aff_wild2, "afew-va": afew_va,
         "recola": recola, "bu-3dfe": bu_3dfe, "oulu-casia": oulu_casia, "nir": nir}  # fmt: skip


@pytest.fixture(scope="module")
def roots(tmp_path_factory, samples) -> dict[str, Path]:
    """A tiny fake of every set; real portraits as neutral photos."""
    folder = tmp_path_factory.mktemp("roots")
    for name, write in FAKES.items():
        write(folder / name)
    return {name: folder / name for name in FAKES} | {"faces": samples}


class Pixels:
    """A trainer whose reader says how bright the halves are; classes by chance."""

    def train(self, lesson):
        assert len(lesson.train) and len(lesson.val)
        lesson.output.mkdir(parents=True, exist_ok=True)
        names = tuple(lesson.reader.get("classes", CLASSES))
        told = {"task": lesson.reader["task"], "classes": names}
        (lesson.output / "told.json").write_text(json.dumps(told))
        return True

    def read(self, output, faces, device):
        told = json.loads((output / "told.json").read_text())
        half = faces.pixels.shape[1] // 2
        halves = [faces.pixels[:, :half], faces.pixels[:, half:]]
        va = np.stack([h.reshape(len(faces), -1).mean(1) / 127.5 - 1 for h in halves], axis=1)
        scores = np.random.default_rng(0).dirichlet(np.ones(len(told["classes"])), len(faces))
        return Readings(
            None if told["task"] == "expr" else va.astype(np.float32),
            None if told["task"] == "va" else scores.astype(np.float32),
            tuple(told["classes"]) if told["task"] != "va" else (),
        )


def made(definition, name, roots, own, work):
    """In place of pictures that are made: flat ones, with the labels of real sets."""
    people = [photo.name for photo in sets.photos_of(definition.sets[name], roots)]
    lines = ["file_name,valence,arousal,expression,subject,origin"]
    folder = own / ("morphs" if definition.sets[name].make == "morphs" else "pictures")
    for k in range(24):
        put(folder, f"{k}.png", picture(k))
        lines.append(f"{k}.png,{VA[k, 0]},{VA[k, 1]},{CLASSES[k % 7]},{people[k % len(people)]},"
                     "synthetic")  # fmt: skip
    put(folder, "labels.csv", "\n".join(lines) + "\n")
    return {}


def tiny(name: str):
    """The trial of an experiment, on pictures that are cut out already."""
    definition = load_definition(name).quickly()
    specs = {key: dataclasses.replace(spec, crop="as-is", translate="")
             for key, spec in definition.sets.items()}  # fmt: skip
    return dataclasses.replace(definition, sets=specs)


@pytest.mark.parametrize("name", NEW)
def test_it_runs_on_tiny_fakes(name, roots, tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "_make", made)
    monkeypatch.setattr(results, "scores_of_seeds", partial(scores_of_seeds, folds=20))
    definition = tiny(name)
    given = {key: roots[key] for key in definition.roots}
    assert run_experiment(definition, given, tmp_path, trainer=Pixels())
    rows = read_table(tmp_path / "results.csv")
    means = [row for row in rows if row["seed"] == "mean"]
    assert {row["condition"] for row in means} == set(definition.conditions)
    for key, condition in definition.conditions.items():
        asked = {row["test"] for row in means if row["condition"] == key}
        assert asked == set(definition.tests_of(key))
        if condition.synthetic_share:
            note = json.loads((tmp_path / f"runs/{key}/seed0/done.json").read_text())
            assert abs(note["train_synthetic"] - note["train_real"]) <= 1
    for row in means:  # brightness is the label wherever a set has valence and arousal
        if row["measure"] == "valence_ccc" and row["test"] not in ("oulu",):
            assert float(row["value"]) > 0.95, row


@pytest.mark.parametrize("name", NEW)
def test_a_missing_set_is_named_with_its_licence(name, roots, tmp_path):
    definition = load_definition(name)
    for key, root in definition.roots.items():
        given = {other: roots[other] for other in definition.roots if other != key}
        with pytest.raises(UsageError, match=f"--root {key}=DIR") as error:
            run_experiment(definition, given, tmp_path / "out", trainer=Pixels())
        assert root.what in str(error.value) and root.licence in str(error.value)


def test_one_database_is_enough_for_its_own_conditions(roots, tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "_make", made)
    definition = tiny("synthetic-train")
    given = {"raf-db": roots["raf-db"], "faces": roots["faces"]}
    assert run_experiment(definition, given, tmp_path, only=["raf-db-*"], trainer=Pixels())
    rows = read_table(tmp_path / "results.csv")
    assert {row["condition"] for row in rows} == {"raf-db-real", "raf-db-synthetic"}


def test_an_empty_split_is_told(roots, tmp_path):
    shutil.copytree(roots["raf-db"], tmp_path / "raf")
    listed = tmp_path / "raf/basic/EmoLabel/list_patition_label.txt"
    train = [line for line in listed.read_text().splitlines() if line.startswith("train")]
    listed.write_text("\n".join(train) + "\n")
    for path in (tmp_path / "raf/basic/Image/aligned").glob("test*"):
        path.unlink()
    given = {"raf-db": tmp_path / "raf", "faces": roots["faces"]}
    with pytest.raises(UsageError, match="split|test"):
        run_experiment(tiny("synthetic-train"), given, tmp_path / "out",
                       only=["raf-db-real"], trainer=Pixels())  # fmt: skip


def test_faces_are_translated_once_they_are_cut(portrait):
    from synth.crops import crop_by_profile
    from synth.landmarks import get_detector

    found = get_detector("dlib").detect(portrait)[0]
    face, points, _ = crop_by_profile(portrait, found, "aligned", 96)
    one = FaceSet(
        face.pixels[None], points.points[None].astype(np.float32), np.zeros((1, 2)),
        np.array([0]), ("a",), ("a/1",), ("real",), ("vis",),
    )  # fmt: skip
    nir = sets.translated(one, "nir", 1, "cpu")
    assert nir.pixels.shape == (1, 96, 96) and nir.spectrum == ("nir",)
    grey = face.pixels.astype(float).mean(-1)
    assert 2 < np.abs(nir.pixels[0] - grey).mean() < 90  # the same face in other light
    assert np.corrcoef(nir.pixels[0].ravel(), grey.ravel())[0, 1] > 0.5
    back = sets.translated(nir, "vis", 3, "cpu")
    assert back.pixels.shape == (1, 96, 96, 3) and back.spectrum == ("vis",)
    assert sets.translated(nir, "nir", 1, "cpu").pixels.tolist() == nir.pixels.tolist()
