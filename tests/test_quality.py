"""Gates and scores on pictures broken on purpose, the embedding against dlib, the audit."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, replace
from itertools import combinations

import cv2
import numpy as np
import pytest

from synth import assets
from synth.affect import EXPRESSIONS
from synth.errors import AssetError, ShapeError, UsageError
from synth.images import load_image
from synth.landmarks import get_detector
from synth.pipeline import Generator
from synth.quality import (
    REASONS,
    Embedder,
    Gates,
    Reject,
    audit,
    geometry,
    identity_distance,
    looks,
    measure,
    reasons,
)
from synth.quality.embedder import ASSET, embedder_digests, face_chip
from synth.quality.gates import NAMES
from synth.quality.loops import border_jumps, capped_detail, folded
from synth.quality.network import Network, read_tensors
from synth.render.deform import deform
from synth.render.eyes import edge_rows
from synth.render.face import render
from synth.render.topology import INTERIOR
from synth.targets import Target
from synth.types import VA, FaceImage

FAST = Gates.named("fast")


# ------------------------------------------------------------------------- fixtures
@pytest.fixture(scope="module")
def maker():
    """A generator of the size that most sets have."""
    return Generator(crop="face", size=256)


@pytest.fixture(scope="module")
def faces(maker, samples):
    """The bundled portraits, prepared."""
    made = []
    for file in sorted(samples.glob("*.jpg")):
        image, found = maker.faces(file)
        made.append(maker.prepare(image, found[0]))
    return made


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture(scope="module")
def smiling(maker, faces):
    """Rig, weights, picture and mesh of one good picture."""
    weights = weights_of(maker, faces[0], Target(VA(0.7, 0.3)))
    rig = faces[0].rig
    return rig, weights, render(rig, weights), deform(rig, weights, rig.fit.camera).points


def weights_of(maker, face, target):
    return maker.act(face, target).weights[maker.order]


def some_targets(seed, count):
    """Drawn person styles: points of the disc and basic expressions, in turn."""
    rng = np.random.default_rng(seed)
    names = [name for name, va in EXPRESSIONS.items() if va.radius > 0]
    made = []
    for k in range(count):
        radius, angle = np.sqrt(rng.random()), 2 * np.pi * rng.random()
        va = VA(radius * np.cos(angle), radius * np.sin(angle))
        name = names[rng.integers(len(names))]
        made.append(
            Target(EXPRESSIONS[name], k, expression=name, sample=1)
            if k % 3 == 2
            else Target(va, k, sample=1)
        )
    return made


def codes(rig, drawn, weights, gates=FAST, **more):
    """Why the picture would be refused."""
    scores = measure(rig, drawn, weights, gates=gates, **more)
    return {reject.reason for reject in reasons(scores, gates)}


def hull_of(drawn):
    """(H, W) bool: the face inside its landmarks."""
    filled = np.zeros(drawn.mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.rint(drawn.landmarks).astype(np.int32)), 1)
    return filled > 0


def with_face_of(drawn, pixels, landmarks):
    """The picture with another face laid over it, softly."""
    matrix = cv2.estimateAffinePartial2D(
        landmarks.astype(np.float32), drawn.landmarks.astype(np.float32)
    )[0]
    size = drawn.mask.shape[::-1]
    other = cv2.warpAffine(
        pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    soft = cv2.GaussianBlur(hull_of(drawn).astype(np.float32), (0, 0), 3)[..., None]
    return replace(drawn, pixels=np.uint8(drawn.pixels * (1 - soft) + other * soft + 0.5))


# ------------------------------------------------------------------------ embedding
def test_network_gives_the_numbers_of_dlib(portrait, embedder):
    import dlib

    reference = dlib.face_recognition_model_v1(str(assets.path(ASSET)))
    points = get_detector("dlib").detect(portrait)[0].points
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8), (150, 150))
    for chip in (face_chip(portrait.pixels, points), noise):
        expected = np.array(reference.compute_face_descriptor(chip))
        np.testing.assert_allclose(embedder.network(chip[None])[0], expected, atol=1e-5)


def test_another_file_is_no_network(tmp_path):
    whole = assets.path(ASSET).read_bytes()
    cut = tmp_path / "cut.dat"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AssetError, match="cut.dat: expected a tensor"):
        read_tensors(cut)
    (tmp_path / "none.dat").write_bytes(b"")
    with pytest.raises(AssetError, match="reinstall"):
        Network(tmp_path / "none.dat")


def test_embedding_is_that_of_the_face_not_of_its_place(portrait, embedder):
    points = get_detector("dlib").detect(portrait)[0].points
    here = embedder.embed(portrait.pixels, points)
    assert here.shape == (128,) and here.dtype == np.float64
    shifted = np.roll(portrait.pixels, (16, 8), (0, 1))
    np.testing.assert_allclose(embedder.embed(shifted, points + (8, 16)), here, atol=1e-6)
    center = (portrait.width / 2, portrait.height / 2)
    for angle, scale in ((20, 1.0), (0, 0.5), (-15, 0.7)):
        matrix = cv2.getRotationMatrix2D(center, angle, scale)
        pixels = cv2.warpAffine(portrait.pixels, matrix, (portrait.width, portrait.height),
                                flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)  # fmt: skip
        moved = points @ matrix[:, :2].T + matrix[:, 2]
        assert identity_distance(embedder.embed(pixels, moved), here) < 0.15


def test_chip_refuses_other_arrays(portrait):
    points = np.zeros((68, 2))
    with pytest.raises(ShapeError, match="landmarks: expected"):
        face_chip(portrait.pixels, points[:5])
    with pytest.raises(ShapeError, match="finite"):
        face_chip(portrait.pixels, points * np.nan)
    with pytest.raises(ShapeError, match="pixels: expected"):
        face_chip(portrait.pixels.astype(float), points)


def test_photo_is_embedded_once_as_long_as_its_rig_lives(faces, monkeypatch):
    embedder, calls = Embedder(), []
    monkeypatch.setattr(embedder, "embed", lambda *a: calls.append(a) or np.zeros(128))
    rig = replace(faces[0].rig)
    assert embedder.source(rig) is embedder.source(rig) and len(calls) == 1
    embedder.source(faces[1].rig)
    assert len(calls) == 2 and len(embedder._sources) == 2
    del rig
    calls.clear()
    gc.collect()
    assert len(embedder._sources) == 1


def test_digest_for_run_files():
    assert embedder_digests() == {ASSET: assets.verified(ASSET)[ASSET]}


def test_sample_portraits_are_six_people(faces, embedder):
    found = [embedder.source(face.rig) for face in faces]
    assert min(identity_distance(a, b) for a, b in combinations(found, 2)) > 0.4


# ---------------------------------------------------------------------------- gates
def test_presets():
    assert Gates.named("all") == Gates() and Gates.named("all").needs_embedding
    assert set(NAMES) - set(FAST.on) == {"identity"} and not FAST.needs_embedding
    assert Gates.named("off").on == ()
    with pytest.raises(UsageError, match="all, fast, off"):
        Gates.named("some")


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_limits_must_be_limits(limit):
    with pytest.raises(UsageError, match="fold: expected a finite limit above 0"):
        Gates(fold=limit)


def test_reasons_name_value_and_limit_once_each():
    gates = Gates(identity=None, seam=4.0, outline=3.0, sharpness=0.85)
    scores = {"identity": 9.0, "seam": 5.0, "outline": 6.0, "sharpness": 0.8, "fold": 0.01}
    found = reasons(scores, gates)
    assert found == (
        Reject("GATE_SEAM", "seam", 5.0, 4.0),
        Reject("GATE_SHARPNESS", "sharpness", 0.8, 0.85),
    )
    assert str(found[1]) == "sharpness: expected at least 0.85, got 0.8"
    assert reasons({"sharpness": 0.85, "seam": 4.0, "outline": 3.0}, gates) == ()
    assert reasons({"lips": float("nan")}, gates)[0].reason == "GATE_LIPS"
    assert reasons(scores, Gates.named("off")) == ()
    worst = dict.fromkeys(NAMES, 99.0) | {"sharpness": 0.0}
    assert {reject.reason for reject in reasons(worst, Gates())} == set(REASONS)


def test_gates_can_be_written_down():
    assert Gates(**json.loads(json.dumps(asdict(Gates(seam=None))))) == Gates(seam=None)


# ---------------------------------------------------------------------------- loops
def test_jump_across_a_border_is_measured_where_it_is():
    photo = np.full((60, 60, 3), 100, np.uint8)
    photo[:, 40:] = 160  # an edge of the photo itself, on the border: no seam
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    drawn = photo.copy()
    nowhere = np.zeros((0, 4), np.int64)
    centre = np.array([29.5, 29.5])
    same = border_jumps(drawn, photo, mask, nowhere, centre, 4)
    assert same[:, 1].sum() == 80 and not same[:, 0].any()
    drawn[mask] += 12
    found = border_jumps(drawn, photo, mask, nowhere, centre, 4)
    assert found[:, 0].sum() == pytest.approx(3 * 20 * 12 - 20 * 12)  # the edge got weaker
    spared = np.array([[0, 0, 60, 30]])
    assert border_jumps(drawn, photo, mask, spared, centre, 4)[:, 1].sum() == 40


def test_detail_is_capped_and_read_in_the_region_only():
    image = np.full((20, 20, 3), 100, np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 103
    region = np.ones((10, 10), np.uint8)
    assert capped_detail(image, region, 5, 5, 100.0) == pytest.approx(12, abs=1e-4)
    assert capped_detail(image, region, 5, 5, 10.0) == pytest.approx(10)
    region[:, 5:] = 0
    image[:, 11:] = 0
    assert capped_detail(image, region, 5, 5, 100.0) == pytest.approx(12, abs=1e-4)


def test_triangles_that_turn_over_are_weighed_by_area():
    points = np.array([[0, 0], [4, 0], [0, 4], [4, 4], [10, 4]], float)
    faces = np.array([[0, 1, 2], [1, 3, 2], [1, 4, 3]], np.int32)
    groups = np.array([0, 0, -1])
    after = points.copy()
    after[3] = (1, 1)  # pushed through the diagonal
    found = folded(points, after, faces, groups, 1)
    assert found[0, :, 0].sum() == 16 and found[0, :, 1].sum() == 8
    assert not folded(points, points, faces, groups, 1)[..., 1].any()


# ------------------------------------------------------------------- known geometry
def test_lips_and_lids_moved_through_each_other_by_a_known_length(smiling):
    rig, _, drawn, points = smiling
    axes, iod = geometry.face_axes(drawn.landmarks), rig.inter_ocular
    for score, curves in (
        (geometry.lips_crossed, rig.topology.lips),
        (geometry.lids_crossed, rig.topology.lids[1]),
    ):
        upper, lower = points[curves.upper, :2] @ axes.T, points[curves.lower, :2] @ axes.T
        lower[:, 1] = edge_rows(upper, lower[:, 0]) - 0.1 * iod
        moved = points.copy()
        moved[curves.lower, :2] = lower @ axes
        assert score(rig, moved, axes) == pytest.approx(0.1, abs=0.02)


def test_scores_of_the_mesh_do_not_depend_on_the_tilt_of_the_picture(smiling):
    rig, _, drawn, points = smiling
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilted = points.copy()
    tilted[:, :2] = points[:, :2] @ turn.T
    upright = geometry.face_axes(drawn.landmarks)
    leaning = geometry.face_axes(drawn.landmarks @ turn.T)
    for score in (geometry.lips_crossed, geometry.lids_crossed):
        assert score(rig, tilted, leaning) == pytest.approx(score(rig, points, upright), abs=1e-9)
    camera = rig.fit.camera
    assert geometry.fold_share(rig, tilted, camera) == geometry.fold_share(rig, points, camera)


def test_iris_left_behind_by_its_lids(smiling):
    rig, weights, drawn, points = smiling
    moved, lids = points.copy(), rig.topology.lids[0]
    moved[np.concatenate((lids.upper, lids.lower)), 1] += 0.14 * rig.inter_ocular
    assert codes(rig, drawn, weights, points=points) == set()
    assert codes(rig, drawn, weights, points=moved) == {"GATE_LIDS"}
    shut = moved.copy()  # an eye that is shut has no iris to lose
    shut[lids.upper, 1] = edge_rows(moved[lids.lower, :2], moved[lids.upper, 0])
    axes = geometry.face_axes(drawn.landmarks)
    assert geometry.iris_outside(rig, moved, axes, weights, rig.fit.camera) > 0.03
    assert geometry.iris_outside(rig, shut, axes, weights, rig.fit.camera) == 0


def test_inside_of_the_mouth_pushed_through_the_lips(smiling):
    rig, weights, drawn, points = smiling
    lips = np.concatenate((rig.topology.lips.upper, rig.topology.lips.lower))
    inside = np.unique(rig.model.faces[np.isin(rig.model.parts, INTERIOR)])
    moved = points.copy()
    moved[np.setdiff1d(inside, lips), 2] -= 30
    assert geometry.mouth_outside(rig, points) == 0
    assert codes(rig, drawn, weights, points=moved) == {"GATE_MOUTH"}


def test_mirrored_mesh_is_folded_and_the_unmoved_is_not(smiling):
    rig, _, _, points = smiling
    still = np.column_stack((np.concatenate((rig.neutral[:, :2], rig.surface.skirt)), points[:, 2]))
    assert geometry.fold_share(rig, still, rig.fit.camera) == 0
    assert geometry.fold_share(rig, still * (-1, 1, 1), rig.fit.camera) == 1


# ------------------------------------------------------------------ broken pictures
def test_unchanged_photo_scores_nothing(faces, embedder):
    rig = faces[0].rig
    scores = measure(rig, render(rig, np.zeros(52)), np.zeros(52), embedder=embedder)
    assert tuple(scores) == NAMES and scores["identity"] < 0.05
    assert scores["seam"] == 0 and scores["outline"] < 0.05 and scores["fold"] == 0
    assert scores["sharpness"] == pytest.approx(1, abs=0.05)


def test_only_what_is_asked_for_is_measured(smiling):
    rig, weights, drawn, points = smiling
    assert measure(rig, drawn, weights, gates=Gates.named("off")) == {}
    only = replace(Gates.named("off"), seam=4.0)
    assert set(measure(rig, drawn, weights, gates=only)) == {"seam"}
    # The mesh of the renderer gives what the mesh deformed again gives.
    again = replace(drawn, points=None)
    assert measure(rig, drawn, weights, gates=FAST) == measure(rig, again, weights, gates=FAST)
    source = Embedder().source(rig) + 1.0
    far = measure(rig, drawn, weights, gates=Gates(), source_embedding=source, points=points)
    assert far["identity"] > 5


def test_measure_refuses_other_shapes(smiling):
    rig, weights, drawn, _ = smiling
    with pytest.raises(ShapeError, match="weights, pose"):
        measure(rig, drawn, weights[:5])
    with pytest.raises(ShapeError, match="weights, pose"):
        measure(rig, drawn, weights, (1.0, 2.0))


def test_good_pictures_pass_turned_or_not(maker, faces, embedder):
    rng = np.random.default_rng(2)
    for face in faces:
        for target in some_targets(4, 4):
            weights = weights_of(maker, face, target)
            assert (
                codes(face.rig, render(face.rig, weights), weights, Gates(), embedder=embedder)
                == set()
            )
            pose = rng.uniform(-1, 1, 3) * (6, 4, 4)
            scores = measure(face.rig, render(face.rig, weights, pose), weights, pose, FAST)
            assert reasons(scores, FAST) == () and "outline" not in scores


def test_mouth_closed_on_a_shut_mouth(faces):
    rig = faces[0].rig
    weights = np.zeros(52)
    weights[rig.model.blendshape_names.index("mouthClose")] = 1
    assert "GATE_LIPS" in codes(rig, render(rig, weights), weights)


def test_weights_beyond_their_range(faces):
    rng = np.random.default_rng(3)
    caught = 0
    for face in faces:
        for _ in range(4):
            weights = rng.uniform(0, 3, 52) * (rng.random(52) < 0.3)
            caught += bool(codes(face.rig, render(face.rig, weights), weights))
    assert caught >= 0.9 * 4 * len(faces)


def test_soft_face_is_caught_from_half_a_pixel_on(smiling):
    rig, weights, drawn, points = smiling
    face = hull_of(drawn)
    ratios = []
    for deviation in (0.6, 1.0, 2.0):
        pixels = drawn.pixels.copy()
        pixels[face] = cv2.GaussianBlur(drawn.pixels, (0, 0), deviation)[face]
        soft = replace(drawn, pixels=pixels)
        ratios.append(looks.sharpness_ratio(rig, soft))
        assert "GATE_SHARPNESS" in codes(rig, soft, weights, points=points)
    assert ratios == sorted(ratios, reverse=True)


def test_part_that_lies_six_pixels_off(smiling):
    rig, weights, drawn, points = smiling
    for shift in ((0, 6), (0, -6), (6, 0), (-6, 0)):
        rolled = np.roll(drawn.pixels, shift, (0, 1))
        pixels = np.where(drawn.mask[..., None], rolled, rig.image.pixels)
        assert codes(rig, replace(drawn, pixels=pixels), weights, points=points) == {"GATE_SEAM"}


def test_face_of_someone_else(maker, faces, embedder):
    only = replace(Gates.named("off"), identity=0.55)
    for mine, other in zip(faces, faces[1:] + faces[:1], strict=True):
        weights = weights_of(maker, mine, Target(VA(0.3, 0.3)))
        drawn = render(mine.rig, weights)
        pasted = with_face_of(drawn, other.rig.image.pixels, other.rig.landmarks.points)
        own = measure(mine.rig, drawn, weights, gates=only, embedder=embedder)["identity"]
        found = measure(mine.rig, pasted, weights, gates=only, embedder=embedder)["identity"]
        assert own < 0.5 * found
        # Composites of eight are more alike than people are; see the test on photos.
        assert found > 0.4


# ---------------------------------------------------------------------------- audit
def test_audit_names_exactly_the_near_pairs_that_are_kept_apart():
    faces = np.eye(128)[:5] * 2.0
    faces = np.concatenate((faces, faces[:3] + 0.01))
    subjects = ["a", "b", "c", "d", "e", "a", "x", "y"]
    splits = ["train", "train", "train", "val", "val", "train", "train", "test"]
    found = audit(faces, subjects, splits)
    # Row 5 is person a in the same split: as it should be.
    assert [(p.first, p.second, p.reason) for p in found] == [(2, 7, "split"), (1, 6, "subject")]
    assert found[0].distance == pytest.approx(0.01 * np.sqrt(128))
    assert audit(faces, ["a"] * 8, ["train"] * 8) == []
    assert len(audit(faces, [""] * 8, ["train"] * 8)) == 3  # unknown is like no other
    assert len(audit(faces, ["a"] * 8, ["train"] * 5 + ["val"] * 3)) == 3


def test_audit_of_many_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    faces = rng.normal(size=(700, 8)) * 0.4
    subjects = [f"s{k}" for k in rng.integers(0, 200, 700)]
    splits = [("train", "val", "test")[k] for k in rng.integers(0, 3, 700)]
    found = {(p.first, p.second): p.reason for p in audit(faces, subjects, splits)}
    apart = np.linalg.norm(faces[:, None] - faces, axis=2)
    for i, j in combinations(range(700), 2):
        wanted = apart[i, j] < 0.5 and (splits[i] != splits[j] or subjects[i] != subjects[j])
        assert ((i, j) in found) == wanted
        if wanted:
            assert found[i, j] == ("split" if splits[i] != splits[j] else "subject")


def test_audit_refuses_what_does_not_fit():
    faces = np.zeros((2, 128))
    assert audit(np.zeros((0, 128)), [], []) == []
    with pytest.raises(ShapeError, match="one per embedding"):
        audit(faces, ["a"], ["train", "val"])
    with pytest.raises(ShapeError, match="finite"):
        audit(faces * np.nan, ["a", "b"], ["train", "val"])
    with pytest.raises(UsageError, match="threshold"):
        audit(faces, ["a", "b"], ["train", "val"], threshold=0)


# --------------------------------------------------------------- development photos
@pytest.fixture(scope="module")
def people(shared, embedder):
    """(set, person) -> embedding of the photo, for the three sets of frontal photos."""
    detector, found = get_detector("dlib"), {}
    for name in ("neutral", "smiling", "canada"):
        for file in sorted((shared / "data" / name).glob("*.jpg")):
            image: FaceImage = load_image(file)
            points = detector.detect(image)[0].points
            found[name, file.stem] = embedder.embed(image.pixels, points)
    return found


def test_the_same_people_under_other_names_are_found_and_nobody_else(people):
    keys = list(people)
    split = {"neutral": "train", "smiling": "val", "canada": "test"}
    found = audit(
        np.array(list(people.values())),
        [f"{name}/{person}" for name, person in keys],
        [split[name] for name, _ in keys],
    )
    wanted = {
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(keys), 2)
        if a[1] == b[1] and {a[0], b[0]} == {"neutral", "smiling"}
    }
    assert len(wanted) == 41
    assert {(pair.first, pair.second) for pair in found} == wanted
    assert all(pair.reason == "split" and pair.distance < 0.4 for pair in found)


def test_few_good_pictures_of_photos_are_refused_and_other_peoples_faces_are(
    shared, maker, embedder
):
    files = sorted((shared / "data/neutral").glob("*.jpg"))[::4]
    only = replace(Gates.named("off"), identity=Gates().identity)
    refused = drawn_at_all = missed = 0
    before = None
    for file in files:
        image, found = maker.faces(file)
        face = maker.prepare(image, found[0])
        for target in some_targets(6, 6):
            weights = weights_of(maker, face, target)
            drawn = render(face.rig, weights)
            refused += bool(codes(face.rig, drawn, weights, Gates(), embedder=embedder))
            drawn_at_all += 1
        if before is not None:
            pasted = with_face_of(drawn, *before)
            missed += not codes(face.rig, pasted, weights, only, embedder=embedder)
        before = drawn.pixels, drawn.landmarks
    assert drawn_at_all >= 60 and refused <= 0.03 * drawn_at_all
    assert missed == 0
