"""A gallery from meshes: what is known of a synthetic set comes back, bad input is refused."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.transform import Rotation

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.archives import write_npz
from synth.building.gallery import GallerySettings, build_gallery, classes_of, read_inputs
from synth.building.mean_faces import read_frames, read_neutrals, sample_of
from synth.cli import cli
from synth.errors import AssetError, TargetError, UsageError
from synth.expressions.alignment import aligned, stillness
from synth.expressions.build import draw_va
from synth.expressions.face_classes import load_face_classes, save_face_classes
from synth.expressions.labels import read_labels
from synth.expressions.own_gallery import growth, split_faces
from synth.expressions.storage import load_gallery
from synth.meshes.collection import open_collection
from synth.morphable.carrier import dressed, with_carrier
from synth.morphable.native import native_model, save_model
from synth.parts import with_own

SUBJECTS, FRAMES, APEX, NEUTRAL, CLASSES = 9, 40, 2, 2, 24
#: mm rms that drawn faces may differ: so little that ARKit alone does not do.
BOUND = 0.02


@pytest.fixture(scope="module")
def skin(model):
    """A native model with its carrier, and the vertices of the embedded one that it has."""
    native, used = skin_model(model)
    return with_carrier(native, model), used


def skin_model(model):
    """The embedded model's skin and lips as a model of its own, without blendshapes."""
    outside = np.isin(model.parts, (0, 1))
    used, faces = np.unique(model.faces[outside], return_inverse=True)
    renumbered = np.cumsum(outside) - 1
    assert outside[model.landmark_faces].all()
    made = native_model(
        "skin", "1", model.mean[used], faces.reshape(-1, 3), model.modes[:10, used],
        model.sigma[:10], (renumbered[model.landmark_faces], model.landmark_bary),
    )  # fmt: skip
    return made, used


def write_set(folder, model, gallery, used, motion, noise, seed=0):
    """A stack of meshes with labels; the true offsets of all frames are given back."""
    rng = np.random.default_rng(seed)
    shapes = model.blendshapes[:, used].reshape(52, -1)
    va = draw_va(SUBJECTS * FRAMES, rng).reshape(SUBJECTS, FRAMES, 2)
    names, rows, meshes, truth = [], [], [], []
    for s in range(SUBJECTS):
        neutral = model.shape(rng.normal(0, 0.7, 10))[used]
        habit = np.clip(1 + 0.15 * rng.standard_normal(52), 0.5, 1.5)
        items = [("neutral", k, (0, 0), np.zeros(52), "neutral") for k in range(NEUTRAL)]
        faces = gallery.smooth_weights(va[s]) * habit
        items += [(f"take{k % 3}", k, va[s, k], faces[k], "") for k in range(FRAMES)]
        for name in BASIC_EXPRESSIONS:
            at, face = EXPRESSIONS[name], gallery.expression(name).weights * habit
            items += [(name, k, (at.valence, at.arousal), face, name) for k in range(APEX)]
        for take, k, point, weights, expression in items:
            offset = (weights @ shapes).reshape(-1, 3)
            mesh = neutral + offset + rng.normal(0, noise, offset.shape)
            if motion:
                turn = Rotation.from_euler("xyz", rng.normal(0, 5, 3), degrees=True)
                mesh = turn.apply(mesh) + rng.normal(0, 5, 3)
            names.append(f"S{s:02}/{take}/{k:04}")
            rows.append([names[-1] + ".ply", f"S{s:02}", *point, expression])
            meshes.append(mesh.astype(np.float32))
            truth.append(offset)
    np.save(folder / "stack.npy", np.array(meshes))
    write_csv(folder / "stack.csv", [["file_name"], *([name] for name in names)])
    order = rng.permutation(len(rows))
    header = ["file_name", "subject", "valence", "arousal", "expression"]
    write_csv(folder / "labels.csv", [header, *(rows[i] for i in order)])
    return np.array(truth)


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def scans(tmp_path_factory, model, gallery, skin):
    """Still, noiseless meshes of the skin alone, and their true offsets."""
    folder = tmp_path_factory.mktemp("scans")
    native, used = skin
    truth = write_set(folder, model, gallery, used, motion=False, noise=0.0)
    np.save(folder / "stack.faces.npy", native.faces)
    save_model(native, folder / "model.npz")
    return folder, truth


def build(folder, model, **settings):
    inputs = read_inputs(
        folder / "stack.npy", folder / "labels.csv", folder / "model.npz", square=False
    )
    options = GallerySettings(**{"classes": CLASSES, "align": False, **settings})
    return build_gallery(*inputs, model, options), inputs[2]


@pytest.fixture(scope="module")
def built(scans, model):
    return build(scans[0], model, bound=BOUND)


def vertex_error(found, truth):
    return np.linalg.norm(found - truth, axis=-1)


def test_classes_are_those_of_ward(built):
    found, labels = built[0], built[0].labels
    shown = ~labels.neutral
    known = fcluster(linkage(labels.va[shown], "ward"), CLASSES - 1, "maxclust")
    pairs = np.unique(np.stack([known, found.label[shown]], 1), axis=0)
    assert len(pairs) == CLASSES - 1 == len(found.classes) - 1
    assert not found.label[labels.neutral].any()
    k = found.label[shown][0]
    assert np.allclose(found.classes.class_va[k], labels.va[found.label == k].mean(0))


def test_mean_faces_are_the_true_ones(built, scans):
    found, truth = built[0], scans[1]
    for k in range(1, CLASSES):
        true = truth[found.label == k].mean(0)
        assert vertex_error(found.classes.face(k), true).mean() < 0.1
        va = found.classes.class_va[k]
        assert np.array_equal(found.classes.mean_face(va), found.classes.face(k))
    assert not found.classes.mean_face([0, 0]).any()
    for name in BASIC_EXPRESSIONS:
        true = truth[found.labels.expression == name].mean(0)
        assert vertex_error(found.classes.expression(name), true).mean() < 0.1
    with pytest.raises(TargetError, match="labelled"):
        found.classes.expression("contempt")


def test_a_class_model_holds_the_frames_of_its_class(built, scans):
    """Mean and ten directions come nearer to the frames than the mean alone."""
    found, truth = built[0], scans[1]
    k = int(found.classes.class_count[1:].argmax()) + 1
    frames = truth[found.label == k].reshape(found.classes.class_count[k], -1)
    offset = frames - found.classes.face(k).ravel()
    directions = np.array([found.classes.offsets(d).ravel() for d in found.classes.model[k]])
    scores = offset @ directions.T
    assert np.allclose(scores.std(0), found.classes.model_sd[k], atol=0.1)
    left = offset - scores @ directions
    assert (left**2).sum() < 0.05 * (offset**2).sum()
    one = found.classes.face(k, [1.0]) - found.classes.face(k)
    assert np.linalg.norm(one) == pytest.approx(found.classes.model_sd[k, 0], rel=1e-4)


def test_drawn_faces_are_the_mean_faces(built, scans, model, tmp_path):
    """What the renderer's mesh shows for a class is the mean offset there, within the bound."""
    found, native = built
    write_npz(tmp_path / "g.npz", found.gallery)
    gallery = load_gallery(tmp_path / "g.npz")
    carrier = native.carrier
    drawn = with_own(dressed(native, model, carrier), gallery)
    skin = np.zeros(model.n_vertices, bool)
    skin[np.unique(model.faces[np.isin(model.parts, (0, 1))])] = True
    skin &= carrier.covered
    for k in range(CLASSES):
        mean = carrier.offsets(scans[1][found.label == k].mean(0))
        shown = drawn.offsets(gallery.class_weights[k])
        assert np.sqrt((vertex_error(shown, mean)[skin] ** 2).mean()) < BOUND + 0.005
    face = gallery.expression("happiness")
    true = carrier.offsets(scans[1][found.labels.expression == "happiness"].mean(0))
    assert (
        np.sqrt((vertex_error(drawn.offsets(face.weights), true)[skin] ** 2).mean()) < BOUND + 0.005
    )
    eyes = np.unique(model.faces[model.parts >= 7])
    assert len(gallery.own_names) and not gallery.own_blendshapes[:, eyes].any()


def test_head_motion_is_taken_out(tmp_path, model, gallery, skin):
    native, used = skin
    truth = write_set(tmp_path, model, gallery, used, motion=True, noise=0.05)
    meshes = open_collection(tmp_path / "stack.npy")
    labels = read_labels(tmp_path / "labels.csv", meshes.names)
    label, _ = classes_of(labels, GallerySettings(CLASSES))
    chosen = sample_of(label, 0)
    error = {}
    for align in (True, False):
        neutrals = read_neutrals(meshes, labels, native.mean, align, chosen)
        frames = read_frames(meshes, labels, label, neutrals, (), 0.999, chosen)
        error[align] = np.mean(
            [
                vertex_error(frames.class_mean[k], truth[label == k].mean(0)).mean()
                for k in range(1, CLASSES)
            ]
        )
    assert error[True] < 0.15 < 1 < error[False]


def test_aligned_undoes_a_motion():
    rng = np.random.default_rng(0)
    target = rng.normal(0, 50, (200, 3))
    turn = Rotation.from_euler("xyz", [20, -10, 5], degrees=True)
    moved = (turn.apply(target) + [3, -50, 400])[None].astype(np.float32)
    assert np.allclose(aligned(moved, target, np.ones(200)), target, atol=2e-3)
    lively = np.repeat(target[None], 30, axis=0)
    lively[:, :60] += rng.normal(0, 6, (30, 60, 3))
    weights = stillness(lively.astype(np.float32), np.repeat(target[None], 30, 0))
    assert weights[60:].min() > 20 * weights[:60].max()


def test_files_come_back(built, tmp_path):
    classes = built[0].classes
    save_face_classes(tmp_path / "c.npz", classes)
    again = load_face_classes(tmp_path / "c.npz")
    assert np.allclose(again.mean_face([0.5, 0.3]), classes.mean_face([0.5, 0.3]), atol=1e-4)
    assert again.expression_names == classes.expression_names
    (tmp_path / "c.npz").write_bytes(b"no")
    with pytest.raises(AssetError, match="face classes"):
        load_face_classes(tmp_path / "c.npz")


def test_classes_of_few_subjects_join(built):
    before = built[0]
    assert before.classes.class_subjects[1:].min() < 8
    label, joined = classes_of(before.labels, GallerySettings(CLASSES, min_subjects=8))
    subjects = [len(np.unique(before.labels.subject[label == k])) for k in range(label.max() + 1)]
    assert min(subjects) >= 8 and len(subjects) == CLASSES - joined
    assert np.array_equal(label == 0, before.label == 0)
    pairs = np.unique(np.stack([before.label, label], 1), axis=0)
    assert len(pairs) == CLASSES  # classes join whole


def test_a_split_gives_weights_back(model):
    """Faces of ARKit alone come back as they are; what ARKit cannot do becomes own."""
    rng = np.random.default_rng(4)
    names = ["jawOpen", "mouthSmileLeft", "browInnerUp", "mouthPucker", "eyeBlinkRight"]
    weights = np.zeros((12, 52))
    columns = [model.blendshape_names.index(name) for name in names]
    weights[1:, columns] = rng.uniform(0, 0.9, (11, 5))
    everywhere = np.ones(model.n_vertices, bool)
    faces = np.einsum("ne,evc->nvc", weights, model.blendshapes)
    plain = split_faces(faces, model.blendshapes, model.faces, everywhere, bound=0.05)
    assert np.abs(plain.weights[:, :52] - weights).max() < 0.08
    assert not plain.weights[0].any()
    bump = np.exp(-((model.mean - model.mean[100]) ** 2).sum(1) / 800)[:, None] * [1, 1, 1]
    sign = np.linspace(-2, 2, 12)
    sign[0] = 0
    more = split_faces(
        faces + sign[:, None, None] * bump, model.blendshapes, model.faces, everywhere, bound=0.05
    )
    assert 1 <= len(more.own) <= 6 and more.rest.max() <= 0.05 < more.arkit_rest.max()
    assert more.weights[:, 52].min() < 0 < more.weights[:, 52].max()


def test_growth_along_rays_is_found():
    rng = np.random.default_rng(5)
    va = draw_va(300, rng)
    radius = np.hypot(*va.T)[:, None]
    weights = radius ** np.array([1.0, 1.3, 1.8]) * [0.4, 0.9, -0.5]
    exponent, _ = growth(va, weights, np.full(300, 10), np.ones(3))
    assert np.allclose(exponent, [1.0, 1.3, 1.8], atol=0.051)
    # what is told in other units is the same; noise in a blendshape that moves nothing is nothing
    weights, units = weights + rng.normal(0, 0.02, (300, 3)), np.array([4.0, 0.1, 1.0])
    width = growth(va, weights, np.full(300, 10), np.ones(3))[1]
    assert growth(va, weights * units, np.full(300, 10), 1 / units)[1] == width
    noisy = np.c_[weights, rng.normal(size=300)]
    assert growth(va, noisy, np.full(300, 10), np.r_[1, 1, 1, 0])[1] == width


# ------------------------------------------------------------------- labels and the command
NAMES = ("a/neutral/1", "a/x/1", "b/neutral/1", "b/x/1")
ROWS = [
    ["a/neutral/1", "a", 0, 0, "neutral"], ["a/x/1.ply", "a", 0.5, 0.1, ""],
    ["b/neutral/1", "b", 0, 0, "Neutral"], ["b/x/1", "b", -0.4, 0.8, "angry"],
]  # fmt: skip
HEADER = ["file_name", "subject", "valence", "arousal", "expression"]


def test_labels_in_any_order(tmp_path):
    write_csv(tmp_path / "l.csv", [HEADER, *ROWS[::-1]])
    labels = read_labels(tmp_path / "l.csv", NAMES)
    assert labels.subject.tolist() == [0, 0, 1, 1]
    assert labels.expression.tolist() == ["neutral", "", "neutral", "anger"]
    assert labels.va[3].tolist() == [-0.4, 0.8]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: rows[:3], "none for 1: b/x/1"),
        (lambda rows: [*rows, ["c", "c", 0, 0, ""]], "1 of no mesh: c"),
        (lambda rows: [*rows, rows[0]], "5 rows with 4 names"),
        (lambda rows: [[*rows[0][:4], ""], *rows[1:]], "none for a; mark"),
        (lambda rows: [*rows[:3], [*rows[3][:2], -0.9, 0.8, ""]], "--square"),
        (lambda rows: [*rows[:3], [*rows[3][:2], -1.9, 0.8, ""]], r"\[-1, 1\]"),
        (lambda rows: [*rows[:3], [*rows[3][:2], "x", 0.8, ""]], "line 5"),
        (lambda rows: [*rows[:3], [*rows[3][:4], "glum"]], "line 5"),
    ],
)
def test_bad_labels(tmp_path, change, message):
    write_csv(tmp_path / "l.csv", [HEADER, *change(ROWS)])
    with pytest.raises(UsageError, match=message):
        read_labels(tmp_path / "l.csv", NAMES)


def test_ratings_on_the_square(tmp_path):
    write_csv(tmp_path / "l.csv", [HEADER, *ROWS[:3], [*ROWS[3][:2], -1, 1, ""]])
    labels = read_labels(tmp_path / "l.csv", NAMES, square=True)
    assert np.allclose(labels.va[3], [-np.sqrt(0.5), np.sqrt(0.5)])
    write_csv(tmp_path / "l.csv", [HEADER[:2], *ROWS])
    with pytest.raises(UsageError, match="valence"):
        read_labels(tmp_path / "l.csv", NAMES)


def call(folder, *more):
    return CliRunner().invoke(
        cli,
        ["gallery", "build", "--meshes", str(folder / "stack.npy"), "--labels",
         str(folder / "labels.csv"), "--model", str(folder / "model.npz"), *map(str, more)],
    )  # fmt: skip


def test_the_command(scans, tmp_path):
    output = tmp_path / "g.npz"
    done = call(scans[0], "-o", output, "--classes", CLASSES, "--no-align")
    assert done.exit_code == 0, done.output
    assert len(load_gallery(output).class_va) == CLASSES
    assert len(load_face_classes(tmp_path / "g_classes.npz")) == CLASSES
    report = tmp_path / "g_report"
    assert "probe" in (report / "report.md").read_text("utf-8")
    for name in ("classes.csv", "leak.csv"):
        with (report / name).open(encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == CLASSES
    assert (report / "mean_faces.png").stat().st_size > 10_000


def test_bad_input_leaves_nothing(scans, tmp_path, skin):
    output = tmp_path / "out" / "g.npz"
    native, _ = skin
    save_model(replace(native, faces=native.faces[::-1].copy()), tmp_path / "other.npz")
    for more, message in (
        (("--classes", 5000), "distinct ratings"),
        (("--model", tmp_path / "other.npz"), "expected the topology of the model"),
        (("--min-subjects", 50, "--classes", 9), "number of subjects"),
        (("--components", 2.5), "whole number"),
        (("--meshes", tmp_path / "none"), "folder"),
    ):
        done = call(scans[0], "-o", output, *more)
        text = done.output if done.exit_code == 2 else f"{done.output}{done.exception}"
        assert done.exit_code != 0 and message in text, text
    assert not output.parent.exists()
