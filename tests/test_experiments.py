"""Experiments: definitions, steps, scores, and all of them on tiny sets."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synth.cli import cli
from synth.errors import SynthError, UsageError
from synth.experiments.conditions import training_faces
from synth.experiments.definition import Condition
from synth.experiments.files import available, load_definition, read_definition
from synth.experiments.making import Work
from synth.experiments.measures import MEASURES, measure
from synth.experiments.people import chosen
from synth.experiments.readings import constant_readings
from synth.experiments.running import run_experiment
from synth.experiments.scoring import compare, scores_of_seeds
from synth.experiments.tables import read_table
from synth.experiments.trainers import FERTrainer, Lesson
from synth.metrics.discrimination import discrimination
from synth.metrics.intervals import intervals
from synth.recognition.faces import CLASSES, FaceSet
from synth.recognition.reader import Readings


def faces_of(count: int, people: int, *, origin: str = "real", seed: int = 0, prefix: str = "p"):
    """Flat grey faces: valence is the brightness of the upper half, arousal of the lower."""
    rng = np.random.default_rng(seed)
    va = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    pixels = np.empty((count, 16, 16), np.uint8)
    pixels[:, :8] = (127 + 120 * va[:, 0, None, None]).astype(np.uint8)
    pixels[:, 8:] = (127 + 120 * va[:, 1, None, None]).astype(np.uint8)
    label = np.where(np.arange(count) % 2, 1, 0)
    return FaceSet(
        pixels, np.full((count, 68, 2), np.nan), va, label,
        tuple(f"{prefix}{i % people}" for i in range(count)),
        tuple(f"{prefix}{seed}/{i}" for i in range(count)),
        (origin,) * count, ("vis",) * count,
    )  # fmt: skip


class Ridge:
    """A trainer that is exact on `faces_of`: least squares on two means; notes each lesson."""

    def __init__(self):
        self.lessons = []

    def train(self, lesson):
        self.lessons.append(lesson.name)
        x = self.features(lesson.train)
        target = np.nan_to_num(lesson.train.va).astype(np.float64)
        noise = 0.01 * np.random.default_rng(lesson.seed).normal(size=target.shape)
        weights = np.linalg.lstsq(x, target + noise, rcond=None)[0]
        lesson.output.mkdir(parents=True, exist_ok=True)
        np.save(lesson.output / "weights.npy", weights)
        return True

    def features(self, faces):
        half = faces.pixels.shape[1] // 2
        grey = faces.pixels / 127.5 - 1
        return np.stack([grey[:, :half].mean((1, 2)), grey[:, half:].mean((1, 2)),
                         np.ones(len(faces))], axis=1)  # fmt: skip

    def read(self, output, faces, device):
        va = (self.features(faces) @ np.load(output / "weights.npy")).astype(np.float32)
        scores = np.abs(np.random.default_rng(0).normal(size=(len(faces), 8))).astype(np.float32)
        return Readings(va, scores / scores.sum(1, keepdims=True), CLASSES)


def tables(**changes):
    """An experiment on labelled folders, as parsed TOML."""
    made = {
        "title": "Grey halves",
        "count": 24,
        "seeds": 2,
        "size": 16,
        "reference": "real",
        "roots": {"faces": {"what": "pictures with labels", "licence": "ask somebody"}},
        "sets": {
            name: {"read": "set", "root": "faces", "folder": name, "crop": "as-is"}
            for name in ("train", "val", "test", "made")
        },
        "tests": {"held": {"sets": ["test"], "measures": ["valence_ccc", "arousal_rmse",
                                                          "accuracy", "smile_auc"]}},
        "conditions": {
            "real": {"train": ["train"], "val": ["val"]},
            "mixed": {"train": ["train", "made"], "val": ["val"], "synthetic_share": 0.5},
            "constant": {"kind": "constant"},
            "left-out": {"kind": "leave-one-out", "test": "held"},
        },
    }  # fmt: skip
    for path, value in changes.items():
        place = made
        *parents, last = path.split("__")
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return made


def write_faces(folder: Path, faces: FaceSet) -> None:
    """Pictures with ``labels.csv``, as `read_face_set` takes them."""
    from synth.images import encode_image

    folder.mkdir(parents=True)
    lines = ["file_name,valence,arousal,expression,subject,origin"]
    for i in range(len(faces)):
        (folder / f"{i:03d}.png").write_bytes(encode_image(faces.pixels[i], "png"))
        valence, arousal = faces.va[i].tolist()
        lines.append(f"{i:03d}.png,{valence},{arousal},{CLASSES[faces.label[i]]},"
                     f"{faces.subjects[i]},{faces.origin[i]}")  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> Path:
    """Folders of flat faces of different people."""
    root = tmp_path_factory.mktemp("faces")
    for name, origin in (("train", "real"), ("val", "real"), ("test", "real"),
                         ("made", "synthetic")):  # fmt: skip
        seed = ord(name[0]) * len(name)
        write_faces(root / name, faces_of(30, 5, origin=origin, seed=seed, prefix=name))
    return root


def run(definition, root, output, trainer=None, **more):
    return run_experiment(definition, {"faces": root}, output, trainer=trainer or Ridge(), **more)


# -------------------------------------------------------------------------- definitions
def test_all_that_come_with_the_package_can_be_read():
    assert "real-faces" in available()
    for name in available():
        definition = load_definition(name)
        assert definition.name == name and definition.title
        assert all(definition.roots[s.root].licence for s in definition.sets.values())
        from synth.experiments.published import published_names

        assert set(definition.published) <= set(published_names())


@pytest.mark.parametrize(
    "change, said",
    [
        ({"colour": 1}, "expected keys among"),
        ({"sets__train__colour": 1}, r"\[sets.train\]: expected keys among"),
        ({"sets__train__root": "other"}, "root: expected faces, got 'other'"),
        ({"sets__train__read": "nowhere"}, "read: expected photos, set"),
        ({"sets__train__make": "augment"}, "either make or read, got both"),
        ({"sets__train__people": "::0"}, "slices of the sorted names"),
        ({"tests__held__measures": ["beauty"]}, "measures: expected"),
        ({"tests__held__sets": []}, "at least one of"),
        ({"conditions__real__train": ["test"]}, "expected sets that are no test, got test"),
        ({"conditions__real__kind": "luck"}, "kind: expected train, constant, leave-one-out"),
        ({"conditions__real__start": "mixed", "conditions__mixed__start": "real"}, "from nothing"),
        ({"conditions__mixed__synthetic_share": 1.0}, "less than 1"),
        ({"conditions__mixed__amounts": {"val": 0.5}}, "amounts: expected train, made"),
        ({"conditions": {}}, "at least one"),
        ({"seeds": 0}, "seeds: expected 1 or more"),
        ({"seeds": "three"}, "seeds: expected a whole number"),
        ({"reference": "none"}, "reference: expected real"),
        ({"quick__speed": 9}, r"\[quick\]: expected count"),
    ],
)
def test_a_wrong_definition_is_refused_by_name(change, said):
    with pytest.raises(UsageError, match=said):
        read_definition("mine", tables(**change))


def test_an_unknown_experiment_names_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="expected one of .*real-faces.* got 'real-face'"):
        load_definition("real-face")
    (tmp_path / "x.toml").write_text("title = ")
    with pytest.raises(UsageError, match="expected a TOML file"):
        load_definition(str(tmp_path / "x.toml"))


def test_the_file_of_the_documentation_can_be_read(root):
    text = (root / "docs/experiments.md").read_text("utf-8")
    definition = read_definition(
        "own", tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S)[1])
    )
    assert definition.in_order() == ["with", "without"]
    assert set(available()) <= set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M))
    assert set(re.findall(r"`([a-z_]+_(?:ccc|auc|accuracy|neutral|distance))`", text)) <= set(
        MEASURES
    )


@pytest.mark.parametrize(
    "words, said",
    [
        (["run", "nope"], "expected one of real-faces"),
        (["run", "real-faces", "--root", "data"], "root: expected NAME=DIR"),
        (["run", "real-faces"], "--root data=DIR: neutral/"),
        (["run", "real-faces", "--root", "data=/nowhere"], "expected the folder data"),
        (["run", "real-faces", "--only", "cake"], "only: expected conditions among 3dmm"),
        (["report", "/nowhere"], "expected the tables of a finished run"),
    ],
)
def test_the_command_tells_bad_input(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["experiment", *words], prog_name="synth")
    assert result.exit_code == 2 and said in result.output and not list(tmp_path.iterdir())


def test_the_command_lists_all():
    lines = CliRunner().invoke(cli, ["experiment", "list"]).output.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["nir-known-truth", "own-data", *available()]


def test_slices_of_people():
    names = [f"{i:02d}" for i in range(9)]
    assert chosen(names[::-1], "::4") == ["00", "04", "08"]
    assert chosen(names, "not ::4,1::4") == ["02", "03", "06", "07"]
    assert chosen(names, "all") == names
    held = load_definition("real-faces").sets
    assert set(chosen(names, held["vis-test"].people)).isdisjoint(
        chosen(names, held["vis-3dmm"].people)
    )


# ------------------------------------------------------------------------------ measures
def test_intervals_of_one_seed_are_those_of_the_metrics():
    faces = faces_of(60, 7)
    rng = np.random.default_rng(3)
    va = (faces.va + rng.normal(0, 0.5, faces.va.shape)).astype(np.float32)
    readings = Readings(va, rng.dirichlet(np.ones(8), len(faces)).astype(np.float32), CLASSES)
    guess = [CLASSES[i] for i in readings.probabilities.argmax(1)]
    numbers = intervals(["ccc", "rmse"], faces.va[:, 0], va[:, 0], faces.subjects)
    names = intervals(["macro_f1"], [CLASSES[i] for i in faces.label], guess, faces.subjects)
    smiles = discrimination(va[:, 0], faces.label == 1, faces.subjects)
    wanted = {
        "valence_ccc": numbers["ccc"], "valence_rmse": numbers["rmse"],
        "macro_f1": names["macro_f1"], "smile_auc": smiles["auc"],
        "pair_accuracy": smiles["pair_accuracy"],
    }  # fmt: skip
    for name, interval in wanted.items():
        one, mean = scores_of_seeds("c", "t", name, [measure(name, faces, readings)])
        np.testing.assert_allclose(
            [one.value, one.low, one.high], [interval.value, interval.low, interval.high],
            atol=1e-9,
        )  # fmt: skip
        assert (one.value, one.low, one.high) == (mean.value, mean.low, mean.high)
        assert np.isnan(mean.deviation) and (one.n, one.people) == (60, 7)


def test_the_mean_over_seeds_is_taken_within_a_draw():
    faces = faces_of(40, 5)
    rng = np.random.default_rng(0)
    found = [
        measure("arousal_ccc", faces, Readings(
            (faces.va + rng.normal(0, s, faces.va.shape)).astype(np.float32), None))
        for s in (0.2, 0.9)
    ]  # fmt: skip
    *seeds, mean = scores_of_seeds("c", "t", "arousal_ccc", found, folds=300)
    assert mean.value == pytest.approx(np.mean([s.value for s in seeds]))
    assert mean.deviation == pytest.approx(np.std([s.value for s in seeds], ddof=1))
    draws = np.random.default_rng(0).integers(0, 5, (300, 5))
    times = np.stack([np.bincount(d, minlength=5) for d in draws]).astype(float)
    by_hand = np.mean([one.of(times) for one in found], axis=0)
    np.testing.assert_allclose([mean.low, mean.high], np.quantile(by_hand, [0.025, 0.975]))
    told = compare("c", "r", "t", "arousal_ccc", found[:1], found[1:], folds=300)
    assert told.value == pytest.approx(seeds[0].value - seeds[1].value) and told.low > 0


def test_minus_neutral_takes_a_persons_offset_away():
    faces = faces_of(60, 5)
    offset = np.array([int(s[1:]) / 3 for s in faces.subjects], np.float32)[:, None]
    faces = dataclasses.replace(faces, va=np.where(faces.label[:, None] == 0, 0, faces.va))
    readings = Readings((faces.va + offset).astype(np.float32), None)
    raw = measure("valence_ccc", faces, readings)
    own = measure("valence_ccc_minus_neutral", faces, readings)
    assert raw.value < 0.9 and own.value == pytest.approx(1, abs=1e-5) and own.n == 60
    # A person's only neutral face is what the others are compared with, and not counted.
    smiling = [i for i in range(60) if faces.label[i]]
    first = [next(i for i in range(60) if not faces.label[i] and i % 5 == p) for p in range(3)]
    few = faces.take(np.array(sorted(smiling + first)))
    counted = measure("valence_ccc_minus_neutral", few, Readings(few.va, None))
    assert counted.people == ("p0", "p1", "p2") and counted.n == 18


def test_what_cannot_be_measured_is_none():
    faces = faces_of(12, 3)
    nothing = Readings(None, np.full((12, 8), 0.125, np.float32), CLASSES)
    assert measure("valence_ccc", faces, nothing) is None
    assert measure("accuracy", faces, Readings(faces.va, None)) is None
    smiling = faces.take(faces.label == 1)
    assert measure("smile_auc", smiling, Readings(smiling.va, None)) is None
    assert measure("pair_accuracy", smiling, Readings(smiling.va, None)) is None
    with pytest.raises(UsageError, match="readings: expected 12"):
        measure("accuracy", faces, Readings(faces.va[:3], None))


def test_no_constant_is_better_than_the_best_constant():
    faces = faces_of(50, 5)
    best = measure("valence_rmse", faces, constant_readings(faces)).value
    for value in np.linspace(-1, 1, 21):
        other = Readings(np.full((50, 2), value, np.float32), None)
        assert measure("valence_rmse", faces, other).value >= best - 1e-6


# ---------------------------------------------------------------------------- conditions
def test_shares_are_drawn_evenly_over_people():
    faces = {"a": faces_of(40, 4), "b": faces_of(60, 6, prefix="q", origin="synthetic")}
    one = Condition(train=("a", "b"), amounts={"a": 0.5})
    drawn = training_faces("c", one, faces, seed=0)
    counts = {s: drawn.subjects.count(s) for s in set(drawn.subjects)}
    assert len(drawn) == 80 and {counts[f"p{i}"] for i in range(4)} == {5}
    again, other = (training_faces("c", one, faces, seed=s) for s in (0, 1))
    assert again.names == drawn.names != other.names
    for share, made, real in ((0.5, 40, 40), (0.2, 10, 40), (0.75, 60, 20)):
        mixed = training_faces("c", Condition(train=("a", "b"), synthetic_share=share), faces, 0)
        assert mixed.origin.count("synthetic") == made and mixed.origin.count("real") == real


# ------------------------------------------------------------------------------- engine
def test_an_experiment_runs_once(fake, tmp_path):
    definition, trainer = read_definition("mine", tables()), Ridge()
    assert run(definition, fake, tmp_path / "out", trainer)
    assert trainer.lessons[:4] == ["real 0", "real 1", "mixed 0", "mixed 1"]
    assert len(trainer.lessons) == 4 + 2 * 5  # left-out: five people, two seeds
    rows = read_table(tmp_path / "out/results.csv")
    found = {(r["condition"], r["seed"], r["measure"]): r for r in rows}
    assert float(found["real", "mean", "valence_ccc"]["value"]) > 0.99
    assert float(found["left-out", "mean", "valence_ccc"]["value"]) > 0.99
    assert found["real", "mean", "valence_ccc"]["people"] == "5"
    assert float(found["constant", "mean", "valence_ccc"]["value"]) == 0
    assert {r["seed"] for r in rows} == {"0", "1", "mean"}
    conditions = {r["condition"]: r for r in read_table(tmp_path / "out/conditions.csv")}
    assert conditions["mixed"]["train_synthetic"] == conditions["mixed"]["train_real"] == "30"
    before = (tmp_path / "out/results.csv").read_bytes()
    again = Ridge()
    assert run(definition, fake, tmp_path / "out", again)
    assert again.lessons == [] and (tmp_path / "out/results.csv").read_bytes() == before


def test_an_interrupted_experiment_goes_on(fake, tmp_path):
    definition, presses = read_definition("mine", tables()), iter(range(100))
    work = Work(stop=lambda: next(presses) >= 7)
    first, second = Ridge(), Ridge()
    assert not run(definition, fake, tmp_path / "out", first, work=work, only=["real", "mixed"])
    assert not (tmp_path / "out/results.csv").exists()
    assert run(definition, fake, tmp_path / "out", second, only=["real", "mixed"])
    assert first.lessons and first.lessons + second.lessons == [
        "real 0", "real 1", "mixed 0", "mixed 1"]  # fmt: skip


def test_more_conditions_and_seeds_are_added(fake, tmp_path):
    definition = read_definition("mine", tables())
    run(definition, fake, tmp_path, Ridge(), only=["re*"], seeds=1)
    trainer = Ridge()
    run(definition, fake, tmp_path, trainer, only=["mixed"], seeds=2)
    assert trainer.lessons == ["mixed 0", "mixed 1"]
    rows = read_table(tmp_path / "results.csv")
    assert {r["condition"] for r in rows} == {"real", "mixed"}
    differences = read_table(tmp_path / "differences.csv")
    assert {(r["condition"], r["reference"]) for r in differences} == {("mixed", "real")}


def test_the_report_is_made_of_the_tables_alone(fake, tmp_path):
    from synth.experiments.report import write_report

    told = tables(published=["quick-study"], protocol=["faces are grey halves"])
    run(read_definition("mine", told), fake, tmp_path / "out")
    copy = tmp_path / "copy"
    copy.mkdir()
    for table in (tmp_path / "out").glob("*.csv"):
        (copy / table.name).write_bytes(table.read_bytes())
    page = write_report(copy).read_text("utf-8")
    assert page == write_report(tmp_path / "out").read_text("utf-8")
    assert "faces are grey halves" in page and "Quick study" in page and "| `mixed` |" in page
    assert all((copy / "figures" / f"held_{name}.png").exists()
               for name in ("valence_ccc", "smile_auc"))  # fmt: skip
    with pytest.raises(UsageError, match="tables of a finished run"):
        write_report(tmp_path)


def test_bad_input_is_told(fake, tmp_path):
    definition = read_definition("mine", tables())
    with pytest.raises(UsageError, match=r"--root faces=DIR: pictures with labels \[ask somebody"):
        run_experiment(definition, {}, tmp_path / "a", trainer=Ridge())
    with pytest.raises(UsageError, match="root: expected faces, got 'other'"):
        run_experiment(definition, {"other": fake}, tmp_path / "a", trainer=Ridge())
    with pytest.raises(UsageError, match="which is none"):
        run_experiment(definition, {"faces": fake / "no"}, tmp_path / "a", trainer=Ridge())
    with pytest.raises(UsageError, match="only: expected conditions among real"):
        run(definition, fake, tmp_path / "a", only=["unreal"])
    with pytest.raises(UsageError, match="seeds: expected 1 or more"):
        run(definition, fake, tmp_path / "a", seeds=0)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/mine.txt").write_text("x")
    with pytest.raises(UsageError, match="empty folder or an earlier run"):
        run(definition, fake, tmp_path / "b")
    assert not (tmp_path / "a").exists()


def test_a_changed_step_is_refused(fake, tmp_path):
    run(read_definition("mine", tables()), fake, tmp_path, only=["real"], seeds=1)
    other = read_definition("mine", tables(training__rate=0.5))
    with pytest.raises(UsageError, match="real, seed 0 with the settings asked for"):
        run(other, fake, tmp_path, only=["real"], seeds=1)
    (tmp_path / "runs/real/seed0/done.json").write_text("{")
    with pytest.raises(UsageError, match="note of a finished step"):
        run(other, fake, tmp_path, only=["real"], seeds=1)


def test_people_of_a_test_are_not_learned_from(fake, tmp_path):
    same = tables(sets__train__folder="test")
    with pytest.raises(SynthError, match="people that are not in the test held"):
        run(read_definition("mine", same), fake, tmp_path, only=["real"])


def test_a_set_without_anybody_is_refused(fake, tmp_path):
    nobody = read_definition("mine", tables(sets__val__people="50:"))
    with pytest.raises(UsageError, match="val: expected faces, got none"):
        run(nobody, fake, tmp_path)


def test_notes_say_what_came_of_a_set(fake, tmp_path):
    run(read_definition("mine", tables()), fake, tmp_path, only=["constant"])
    note = json.loads((tmp_path / "sets/test/done.json").read_text())
    assert (note["faces"], note["people"], note["unread"]) == (30, 5, 0)
    assert note["with_va"] == note["with_class"] == 30
    assert MEASURES.keys() >= {"valence_ccc", "smile_auc"}


# ------------------------------------------------------------------------- real trainer
def lesson(folder: Path, train: FaceSet, val: FaceSet, **more) -> Lesson:
    reader = {"arch": "small_cnn", "size": 32, "task": "both"}
    training = {"epochs": 2, "epoch_size": 64, "batch": 32, "augment": "none"}
    return Lesson("small", train, val, reader, {**training, **more.pop("training", {})}, 0,
                  folder, **more)  # fmt: skip


def test_readers_are_trained_watched_and_begun_with(tmp_path):
    train, val = faces_of(64, 4, prefix="a"), faces_of(32, 4, prefix="b", seed=1)
    test = faces_of(32, 4, prefix="c", seed=2)
    trainer = FERTrainer({"held": ("valence_ccc", "smile_auc")})
    assert trainer.train(lesson(tmp_path / "one", train, val, watch={"held": test}))
    curves = read_table(tmp_path / "one/curves.csv")
    assert {(r["step"], r["measure"]) for r in curves} >= {
        ("1", "held/valence_ccc"), ("2", "held/smile_auc"), ("2", "generated/ccc")}  # fmt: skip
    readings = trainer.read(tmp_path / "one", test, "cpu")
    shown = [r for r in curves if r["measure"] == "held/valence_ccc"]
    found = measure("valence_ccc", test, readings).value
    assert any(abs(float(r["value"]) - found) < 1e-4 for r in shown)  # the best epoch's
    # What begins with these weights and learns next to nothing says nearly the same.
    slow = {"rate": 1e-9, "epochs": 1}
    more = lesson(tmp_path / "two", train, val, start=tmp_path / "one", training=slow)
    assert trainer.train(more)
    np.testing.assert_allclose(
        trainer.read(tmp_path / "two", test, "cpu").va, readings.va, atol=0.05
    )
    with pytest.raises(UsageError, match="expected settings among .* got 'colour'"):
        trainer.train(lesson(tmp_path / "three", train, val, training={"colour": 1}))


@pytest.mark.slow
def test_real_faces_in_small(shared, tmp_path):
    definition = load_definition("real-faces")
    only = ["3dmm", "morphset", "ganmut", "fine-tuned", "constant"]
    assert run_experiment(
        definition, {"data": shared / "data"}, tmp_path, only=only, quick=True, count=150
    )
    rows = read_table(tmp_path / "results.csv")
    assert {row["condition"] for row in rows} == set(only)
    made = {row["set"]: row for row in read_table(tmp_path / "sets.csv")}
    assert int(made["vis-morphset"]["faces"]) > 100 and int(made["nir-test"]["people"]) == 8
    people = {row["test"]: row["people"] for row in read_table(tmp_path / "tests.csv")}
    assert people == {"vis": "11", "nir": "8"}
