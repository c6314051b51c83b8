"""Frames stored as samples: styles of measured people come back, and can be left out."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from synth.archives import write_npz
from synth.building.gallery import GallerySettings, build_gallery, read_inputs
from synth.cli import cli
from synth.errors import AssetError, UsageError
from synth.expressions.antagonists import antagonise, exclusive
from synth.expressions.arkit import NAMES, index_of
from synth.expressions.build import draw_va
from synth.expressions.own_gallery import split_faces
from synth.expressions.own_samples import even_frames, sample_arrays, split_frames
from synth.expressions.storage import load_gallery
from synth.expressions.stored_samples import read_samples
from synth.morphable.carrier import with_carrier
from synth.morphable.native import native_model, save_model
from synth.parts import with_own
from synth.pipeline import Generator
from synth.targets import Target
from synth.types import VA

SUBJECTS, FRAMES, APEX, CLASSES, BUMPS = 6, 50, 3, 10, 3


def rms(offsets):
    return np.sqrt((np.asarray(offsets) ** 2).sum(-1).mean(-1))


@pytest.fixture(scope="module")
def people(tmp_path_factory, model, gallery):
    """Meshes of people with styles and with ways to move that ARKit has not; their truth."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(3)
    outside = np.isin(model.parts, (0, 1))
    used, faces = np.unique(model.faces[outside], return_inverse=True)
    marks = ((np.cumsum(outside) - 1)[model.landmark_faces], model.landmark_bary)
    native = native_model(
        "skin", "1", model.mean[used], faces.reshape(-1, 3), model.modes[:5, used],
        model.sigma[:5], marks,
    )  # fmt: skip
    save_model(with_carrier(native, model), folder / "model.npz")
    centres = model.mean[rng.choice(model.faces[outside].ravel(), BUMPS)]
    near = np.exp(-((model.mean[used] - centres[:, None]) ** 2).sum(-1) / 800)
    bumps = near[..., None] * rng.normal(0, 1.5, (BUMPS, 1, 3))
    va = draw_va(SUBJECTS * FRAMES, rng).reshape(SUBJECTS, FRAMES, 2)
    rows, meshes, truth, habits = [], [], [], rng.normal(0, 1, (SUBJECTS, BUMPS))
    for s in range(SUBJECTS):
        style, neutral = gallery.draw(100 + s), model.shape(rng.normal(0, 0.7, 5))[used]
        frames = [((0, 0), np.zeros(52), "neutral")]
        frames += zip(va[s], gallery.smooth_weights(va[s], style), [""] * FRAMES, strict=True)
        joy = gallery.expression("happiness", 1.0, style)
        apexes = APEX - (s == 0)  # of one fewer, so that expressions have unlike numbers
        frames += [((0.92, 0.15), joy.weights * k, "happiness") for k in (1, 0.9, 0.8)[:apexes]]
        frames += [((-0.44, 0.8), gallery.expression("anger", 1.0, style).weights, "anger")]
        for k, (point, weights, name) in enumerate(frames):
            offset = np.einsum("e,evc->vc", weights, model.blendshapes[:, used])
            offset += np.hypot(*point) * np.einsum("b,bvc->vc", habits[s], bumps)
            rows.append([f"S{s}/take{k % 2}/{k:03}", f"S{s}", *point, name])
            meshes.append((neutral + offset).astype(np.float32))
            truth.append(offset)
    np.save(folder / "stack.npy", np.array(meshes))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file_name", "subject", "valence", "arousal", "expression"]])
        csv.writer(file).writerows(rows)
    with (folder / "stack.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file_name"], *([row[0]] for row in rows)])
    return folder, np.array(truth), used


@pytest.fixture(scope="module")
def built(people, model):
    folder = people[0]
    inputs = read_inputs(
        folder / "stack.npy", folder / "labels.csv", folder / "model.npz", square=False
    )
    found = {
        kept: build_gallery(
            *inputs, model, GallerySettings(classes=CLASSES, align=False, samples=kept)
        )
        for kept in (True, False)
    }
    return found[True], found[False]


@pytest.fixture(scope="module")
def path(built, tmp_path_factory):
    file = tmp_path_factory.mktemp("gallery") / "people.npz"
    write_npz(file, built[0].gallery)
    return file


@pytest.fixture(scope="module")
def own(path):
    return load_gallery(path)


def test_frames_are_even_over_classes_and_subjects():
    rng = np.random.default_rng(0)
    group, subject = rng.integers(0, 6, 900), rng.integers(0, 4, 900)
    subject[group == 3] = 2
    rows = even_frames(group, subject, 24, 0)
    assert len(np.unique(rows)) == len(rows)
    assert np.bincount(group[rows], minlength=6).tolist() == [0, *[24] * 5]
    for k in (1, 2, 4, 5):
        assert np.bincount(subject[rows[group[rows] == k]]).tolist() == [6] * 4
    every = even_frames(group, subject, 1000, 0)
    assert np.array_equal(np.sort(every), np.flatnonzero(group > 0))


def test_frames_come_back_from_their_weights(model):
    """What ARKit has not comes back through added blendshapes, and nothing acts twice."""
    rng = np.random.default_rng(4)
    weights = np.zeros((40, 52))
    names = ("jawOpen", "mouthSmileLeft", "browInnerUp", "mouthPucker")
    weights[:, [index_of(name) for name in names]] = rng.uniform(0, 0.8, (40, 4))
    bump = np.exp(-((model.mean - model.mean[100]) ** 2).sum(1) / 800)[:, None] * [1, 1, 1]
    basis = np.concatenate([model.blendshapes, bump[None]])
    coefficients = np.c_[weights, rng.normal(0, 2, 40)]
    everywhere = np.ones(model.n_vertices, bool)
    means = np.einsum("ne,evc->nvc", [np.zeros(52), weights.mean(0)], model.blendshapes)
    split = split_faces(means, model.blendshapes, model.faces, everywhere, bound=0.05)
    inputs = (means, coefficients, basis, model.blendshapes, model.faces, everywhere)
    found = split_frames(split, *inputs, bound=0.05)
    shapes = np.concatenate([model.blendshapes, found.split.own])
    drawn = np.einsum("ne,evc->nvc", found.weights, shapes)
    true = np.einsum("ne,evc->nvc", coefficients, basis)
    assert np.sqrt((rms(drawn - true) ** 2).mean()) == pytest.approx(found.rest, rel=1e-3)
    assert found.added >= 1 and 1 - found.kept <= 0.05 * (1 - found.arkit_kept)
    assert found.rest < 0.04 * found.size
    assert found.size == pytest.approx(np.sqrt((rms(true) ** 2).mean()), rel=1e-6)
    arkit = found.weights[:, :52]
    assert np.array_equal(np.round(arkit * 255) / 255, arkit) and arkit.max() <= 1
    together = (arkit[:, :, None] > 0.02) & (arkit[:, None] > 0.02) & exclusive()
    assert together.any((1, 2)).mean() < 0.1  # smile and pucker are in every frame
    assert np.abs(antagonise(arkit, hard_only=True) - arkit).max() < 0.05
    again = np.einsum("ke,evc->kvc", found.split.weights, shapes)
    assert np.allclose(rms(again - means), found.split.rest, atol=2e-4)
    assert not found.split.weights[0].any()
    plain = split_frames(split, *inputs, bound=None)
    assert plain.added == 0 and plain.split is split and plain.rest > found.rest


def test_a_style_shows_the_frame_it_was_taken_from(built, own, people, model):
    """Where it comes from, within the share that is kept; far nearer than the mean face."""
    folder, truth, used = people
    drawn = with_own(model, own)
    va, subject = built[0].labels.va, built[0].labels.subject
    near, far = [], []
    for seed in range(25):
        style = own.draw(seed)
        at, who = own.samples.va[style.sample], own.samples.style[style.sample]
        frame = np.flatnonzero((np.abs(va - at).sum(1) < 1e-6) & (subject == who))
        k = int(own.samples.class_index[style.sample])
        face = style.face(own._styles.classes.at(style.ranks[0], k))
        near.append(rms(drawn.offsets(face)[used] - truth[frame]).min())
        far.append(rms(drawn.offsets(own.class_weights[k])[used] - truth[frame]).min())
    assert np.median(near) < 0.2 and np.median(near) < 0.4 * np.median(far)


def test_people_of_meshes_are_never_mirrored_and_stay_themselves(own):
    styles = [own.draw(seed) for seed in range(30)]
    assert not any(style.mirror for style in styles)
    assert styles[3].ranks.shape == (8, len(own.names))
    assert np.array_equal(styles[3].ranks, own.draw(3).ranks)
    tables = own._styles
    same = 0
    for style in styles:
        who = own.samples.style[style.sample]
        of = np.flatnonzero(own.samples.style == who)
        faces = own.samples.weights[of]
        groups = own.samples.class_index[of]
        low = tables.classes.ranks_of(faces, groups, np.zeros(faces.shape[1]))
        high = tables.classes.ranks_of(faces, groups, np.ones(faces.shape[1]))
        for ranks in style.ranks[1:]:
            same += ((low <= ranks + 1e-9) & (ranks <= high + 1e-9)).all(1).any()
    assert same > 0.8 * 7 * len(styles)


@pytest.mark.parametrize("method", ["smooth", "class"])
def test_styles_differ_as_people_do(own, method):
    mean = own.lookup(VA(0.6, 0.3), method).weights
    faces = [own.lookup(VA(0.6, 0.3), method, own.draw(s, VA(0.6, 0.3))).weights for s in range(12)]
    assert np.std(faces, axis=0)[52:].max() > 0.05 and np.abs(faces - mean).max() > 0.2
    assert not own.lookup(VA(0, 0), method, own.draw(1)).weights.any()
    line = np.outer(np.linspace(0, 1, 2000), [0.8, 0.1])
    steps = np.abs(np.diff(own.smooth_weights(line, own.draw(5)), axis=0))
    assert steps.max() < 0.02  # continuous along a path


def test_expressions_have_as_many_samples_as_frames(own, built):
    counts = {name: e.count for name, e in own.expressions.items()}
    assert counts == {"happiness": SUBJECTS * APEX - 1, "anger": SUBJECTS}
    assert [len(e.samples) for e in own.expressions.values()] == list(counts.values())
    assert all(e.samples[:, :52].any(1).all() for e in own.expressions.values())
    a, b = (own.expression("happiness", 1.0, own.draw(s, expression="happy")) for s in (1, 4))
    assert np.abs(a.weights - b.weights).max() > 0.05
    assert own.expressions["happiness"].va == VA(0.92, 0.15)


def test_the_file_keeps_the_weights(own, built):
    found, arrays = built[0].frames, built[0].gallery
    n = len(arrays["sample_weights"])
    assert arrays["sample_weights"].dtype == np.uint8 and arrays["sample_own"].dtype == np.float16
    assert np.allclose(own.samples.weights / 255, found.weights[:n], atol=2e-3)
    assert np.array_equal(own.samples.weights[:, :52], arrays["sample_weights"])
    assert (own.samples.limit >= own.limit - 1e-6).all() and own.samples.class_index.min() > 0
    assert np.bincount(own.samples.class_index)[1:].max() <= 24


def test_samples_can_be_left_out(built, tmp_path):
    kept, plain = built
    assert not any("sample" in key for key in plain.gallery)
    assert len(plain.split.own) < len(kept.split.own) and plain.frames.added == 0
    shared = len(plain.split.own)
    size = np.abs(kept.split.own[:shared]).max((1, 2)) / np.abs(plain.split.own).max((1, 2))
    same = kept.gallery["class_weights"][:, : 52 + shared] * np.r_[np.ones(52), size]
    assert np.allclose(same, plain.gallery["class_weights"], atol=1e-5)
    assert np.abs(kept.gallery["sample_own"]).max() <= 1 <= size.min() + 1e-6
    write_npz(tmp_path / "plain.npz", plain.gallery)
    with pytest.raises(UsageError, match="mean faces only"):
        load_gallery(tmp_path / "plain.npz").draw(1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sample_own": None}, "sample_own"),
        ({"sample_own": np.zeros((4, 1), np.float16)}, "sample_own of shape"),
        ({"sample_weights": np.zeros((4, 60), np.uint8)}, "sample_weights"),
        ({"sample_limit": np.full(3, 1.0)}, "sample_limit"),
        ({"expression_own": None}, "expression_own"),
        ({"expression_count": np.array([1, 900])}, "expression_count"),
        ({"expression_count": np.array([0, 3])}, "expression_count"),
    ],
)
def test_damaged_samples_are_refused_in_one_line(built, tmp_path, changes, what):
    data = {k: v for k, v in (built[0].gallery | changes).items() if v is not None}
    write_npz(tmp_path / "bad.npz", data)
    with pytest.raises(AssetError, match=what) as error:
        load_gallery(tmp_path / "bad.npz")
    assert "\n" not in str(error.value)


def test_own_weights_that_are_not_finite_or_misplaced_are_refused(built, tmp_path):
    data = dict(built[0].gallery)
    data["sample_own"] = np.full_like(data["sample_own"], np.nan)
    write_npz(tmp_path / "nan.npz", data)
    with pytest.raises(AssetError, match="sample_own"):
        load_gallery(tmp_path / "nan.npz")
    data["sample_own"] = built[0].gallery["sample_own"]
    names = built[0].gallery["names"]
    order = np.r_[len(names) - 1, : len(names) - 1]
    data = {k: v[..., order] if v.shape[-1:] == names.shape else v for k, v in data.items()}
    write_npz(tmp_path / "first.npz", data)
    with pytest.raises(AssetError, match="own ones before"):
        load_gallery(tmp_path / "first.npz")


def test_samples_of_arkit_alone():
    """A gallery that needs no blendshapes of its own stores bytes and nothing else."""
    weights = np.random.default_rng(0).uniform(0, 1, (5, 52))
    arrays = sample_arrays(
        weights, np.zeros((5, 2)), np.ones(5, int), np.arange(5), np.ones(52), [weights[:2]]
    )
    assert "sample_own" not in arrays and "expression_own" not in arrays
    read = read_samples(arrays, np.arange(52), 2)
    assert read.weights.dtype == np.uint8 and not read.mirrored
    del arrays["sample_mirror"]
    assert read_samples(arrays, np.arange(52), 2).mirrored  # what other galleries do
    assert np.abs(arrays["sample_weights"] / 255 - weights).max() < 0.003


def test_pictures_in_styles(path, own, portrait):
    made = Generator(gallery=path, crop="face", size=128)
    image, found = made.faces(portrait)
    face = made.prepare(image, found[0])
    a, b, mean = (
        made.draw(face, Target(VA(0.7, 0.2), style=style)).image for style in (1, 2, None)
    )
    assert (a != b).any() and (a != mean).any()
    assert np.array_equal(a, made.draw(face, Target(VA(0.7, 0.2), style=1)).image)


def test_the_command_says_what_is_stored(people, tmp_path):
    folder = people[0]
    command = ["gallery", "build", "--classes", str(CLASSES), "--no-align"]
    for name in ("meshes", "labels", "model"):
        file = {"meshes": "stack.npy", "labels": "labels.csv", "model": "model.npz"}[name]
        command += [f"--{name}", str(folder / file)]
    for more, stored in ((["--no-samples"], False), ([], True)):
        output = tmp_path / f"{stored}.npz"
        done = CliRunner().invoke(cli, [*command, "-o", str(output), *more])
        assert done.exit_code == 0, done.output
        page = (tmp_path / f"{stored}_report" / "report.md").read_text("utf-8")
        assert ("frames stored for styles" in done.output) is stored
        assert ("**Stored: " in page) is stored and "--no-samples" in page
        assert (load_gallery(output).samples is not None) is stored


def test_names_stay_arkits_first(own):
    assert own.names[:52] == NAMES and own.own_names[0] == "own_1"
