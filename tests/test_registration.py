"""Registration of scans with known truth; the solver against a dense one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from synth.building.scans import ScanSettings, raw_scan
from synth.errors import MeshError, UsageError
from synth.meshes.mesh import Mesh
from synth.meshes.nearest import Surface
from synth.morphable.landmark_map import embedded_model
from synth.morphable.registration import (
    RegisterSettings,
    Registration,
    RegistrationError,
    prepare_template,
    register,
)
from synth.morphable.registration.cholesky import BlockCholesky
from synth.morphable.registration.cylindrical import fit_cylinder
from synth.morphable.registration.frame import fit_similarity, scan_unit
from synth.morphable.registration.motion import bounded, posed
from synth.morphable.registration.outliers import THRESHOLD, outlier_scores
from synth.morphable.registration.scan import prepare_scan
from synth.morphable.registration.source import bare, model_template, read_template, skin_model
from synth.morphable.registration.subject import neutral_face, rigid

LIMIT = 0.02  # of the inter-ocular distance


@pytest.fixture(scope="module")
def skin():
    return skin_model(embedded_model())


@pytest.fixture(scope="module")
def plain(skin):
    return model_template(skin, prior=False)


@pytest.fixture(scope="module")
def known(skin):
    return model_template(skin)


def make(seed, **weights):
    """True vertices of the skin, a scan, its landmarks."""
    rig, rng = embedded_model(), np.random.default_rng(seed)
    v = rig.shape(rng.normal(0, 1, 20)) + rig.offsets(rig.weights(weights))
    scan, points = raw_scan(v, rig.faces, rig.landmarks(v), rng, ScanSettings(spacing=3.0))
    return v[np.unique(rig.faces[rig.parts <= 1])], scan, points


@pytest.fixture(scope="module")
def neutral():
    return make(1)


@pytest.fixture(scope="module")
def open_mouth():
    return make(2, jawOpen=0.6, mouthSmile=0.3, browInnerUp=0.7)


def share_below(limit, found, truth, scan, template):
    """Share of the vertices that the scan shows whose error is below the limit."""
    shown = Surface(scan.vertices, scan.faces).nearest(truth).distance < 1
    size = np.linalg.norm(np.diff((template.marks @ truth)[[36, 45]], axis=0))
    return (np.linalg.norm(found - truth, axis=1)[shown] < limit * size).mean()


def test_a_scan_lies_on_the_face_it_is_of(neutral):
    truth, scan, points = neutral
    rig = embedded_model()
    off = Surface(truth, skin_model(rig).faces).nearest(scan.vertices).distance
    assert np.median(off) < 0.3
    assert len(scan.vertices) > 5000 and points.shape == (68, 3)
    edges = np.linalg.norm(
        scan.vertices[scan.faces[:, 0]] - scan.vertices[scan.faces[:, 1]], axis=1
    )
    assert np.percentile(edges, 99) < 6


@pytest.mark.parametrize("face", ["neutral", "open_mouth"])
def test_points_find_their_place(request, known, face):
    truth, scan, points = request.getfixturevalue(face)
    made = register(known, None, scan, points)
    assert made.accepted and made.unit == 1 and 0.9 < made.scale < 1.1
    assert share_below(LIMIT, made.vertices, truth, scan, known) > 0.95
    assert made.distance < 0.3 and made.flipped < 0.01


def test_without_a_model_a_neutral_face_is_found_too(neutral, plain):
    truth, scan, points = neutral
    made = register(plain, None, scan, points)
    assert share_below(LIMIT, made.vertices, truth, scan, plain) > 0.9


def test_by_the_cylinder(neutral, known):
    truth, scan, points = neutral
    made = register(known, None, scan, points, RegisterSettings(method="cylindrical"))
    assert made.method == "cylindrical" and made.accepted
    assert share_below(LIMIT, made.vertices, truth, scan, known) > 0.9


def test_place_direction_and_unit_of_the_scan_change_nothing(neutral, known):
    _, scan, points = neutral
    here = register(known, None, scan, points)
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    moved = Mesh(scan.vertices @ turn.T / 1000 + [1, 2, 3], scan.faces)
    there = register(known, None, moved, points @ turn.T / 1000 + [1, 2, 3])
    assert there.unit == 1000
    expected = here.vertices @ turn.T + [1000, 2000, 3000]
    assert np.abs(there.vertices - expected).max() < 0.01
    assert abs(here.distance - there.distance) < 1e-3


def test_the_template_itself_comes_back(plain):
    made = register(plain, None, plain.mesh, plain.landmarks)
    seen = np.linalg.norm(made.vertices - plain.mesh.vertices, axis=1)
    assert np.percentile(seen, 99) < 0.05


def test_a_start_from_the_frame_before_ends_in_the_same_place(neutral, plain):
    _, scan, points = neutral
    first = register(plain, None, scan, points)
    again = register(plain, None, scan, points, start=first.vertices)
    gap = np.linalg.norm(first.vertices - again.vertices, axis=1)[first.seen]
    assert np.percentile(gap, 95) < 0.5


def test_absent_landmarks(neutral, known):
    truth, scan, points = neutral
    some = points.copy()
    some[:17] = np.nan
    made = register(known, None, scan, some)
    assert made.accepted and share_below(LIMIT, made.vertices, truth, scan, known) > 0.9


@pytest.mark.parametrize(
    "reason, spoil",
    [
        ("FEW_LANDMARKS", lambda p: np.where(np.arange(68)[:, None] < 63, np.nan, p)),
        ("FEW_LANDMARKS", lambda p: p[:51]),
        ("LANDMARKS_OFF", lambda p: p * (-1, 1, 1)),
        ("LANDMARKS_OFF", lambda p: p / 1000),
        ("LANDMARKS_OFF", lambda p: np.roll(p, 20, 0)),
    ],
)
def test_impossible_landmarks(neutral, plain, reason, spoil):
    _, scan, points = neutral
    with pytest.raises(RegistrationError) as caught:
        register(plain, None, scan, spoil(points))
    assert caught.value.reason == reason and "\n" not in str(caught.value)


def test_half_a_face_is_not_accepted(neutral, plain):
    _, scan, points = neutral
    keep = scan.vertices[scan.faces][:, :, 0].min(1) > 15
    made = register(plain, None, Mesh(scan.vertices, scan.faces[keep]), points)
    assert made.reason == "COVERAGE" and "got" in made.message


def test_settings_are_checked():
    with pytest.raises(UsageError, match="method"):
        RegisterSettings(method="magic")
    with pytest.raises(UsageError, match="min_coverage"):
        RegisterSettings(min_coverage=2)


def test_the_solver_is_exact():
    rng = np.random.default_rng(0)
    a = sp.random(40, 40, 0.1, random_state=rng)
    matrix = (a @ a.T + sp.eye(40)).tocsr()
    half = rng.normal(size=(40, 3, 3))
    blocks = half @ half.transpose(0, 2, 1)
    right = rng.normal(size=(40, 3))
    dense = np.kron(matrix.toarray(), np.eye(3))
    for k in range(40):
        dense[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] += blocks[k]
    expected = np.linalg.solve(dense, right.ravel()).reshape(-1, 3)
    assert np.allclose(BlockCholesky(matrix).factor(matrix, blocks).solve(right), expected)
    with pytest.raises(np.linalg.LinAlgError):
        BlockCholesky(matrix).factor(-matrix, blocks * 0)


def test_a_cylinder_is_found():
    rng = np.random.default_rng(1)
    angle, height = rng.uniform(-1.2, 1.2, 500), rng.uniform(-80, 80, 500)
    points = np.column_stack([80 * np.sin(angle), height, 80 * np.cos(angle) - 60])
    found = fit_cylinder(points, np.ones(500))
    assert abs(found.radius - 80) < 0.1 and abs(found.frame[1, 1]) > 0.9999
    flat = found.unrolled(points)
    assert np.allclose(flat[:, 0] - flat[0, 0], 80 * (angle - angle[0]), atol=0.2)


def test_similarity_and_units():
    rng = np.random.default_rng(2)
    a = rng.normal(size=(10, 3))
    b = 3.5 * a @ np.linalg.qr(rng.normal(size=(3, 3)))[0].T + [1, 2, 3]
    found = fit_similarity(a, b)
    if np.linalg.det(found.rotation) > 0 and np.allclose(found(a), b):
        assert np.allclose(found.inverse()(b), a)
    assert np.linalg.det(found.rotation) > 0
    assert [scan_unit(x) for x in (1.1, 0.00095, 0.11, 0.03)] == [1, 1000, 10, 1]


def test_outliers_are_found_and_nothing_else():
    rng = np.random.default_rng(3)
    shapes = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 90)) + 0.05 * rng.normal(
        size=(200, 90)
    )
    shapes[17] += rng.normal(0, 6, 90)
    shapes[90] *= 9
    assert np.flatnonzero(outlier_scores(shapes) > THRESHOLD).tolist() == [17, 90]
    assert outlier_scores(shapes[:10]).tolist() == [0] * 10


def test_templates_of_files(tmp_path, skin):
    from synth.meshes.mesh import write_mesh
    from synth.meshes.points import write_points

    mesh = tmp_path / "head.ply"
    write_mesh(mesh, Mesh(skin.mean, skin.faces))
    marks = skin.landmarks(skin.mean)
    write_points(tmp_path / "head.txt", marks)
    ids = [int(np.linalg.norm(skin.mean - p, axis=1).argmin()) for p in marks]
    (tmp_path / "map.txt").write_text("".join(f"{k} {i}\n" for k, i in enumerate(ids)))
    for name, limit in (("head.txt", 0.5), ("map.txt", 5)):
        made = read_template(mesh, tmp_path / name)
        assert made.n_vertices == skin.n_vertices and made.n_modes == 0
        assert np.linalg.norm(made.landmarks(made.mean) - marks, axis=1).max() < limit
    with pytest.raises(MeshError, match="template-landmarks"):
        read_template(mesh)
    write_points(tmp_path / "off.txt", marks + 100)
    with pytest.raises(MeshError, match="off"):
        read_template(mesh, tmp_path / "off.txt")
    assert bare(skin).n_modes == 0 and not len(bare(skin).blendshapes)


def test_templates_are_checked(plain):
    mesh = plain.mesh
    for marks in (np.array([10**6]), np.zeros((3, 3)), (np.array([10**6]), np.eye(3)[:1])):
        with pytest.raises(MeshError, match="template landmarks"):
            prepare_template(mesh, marks)
    loose = Mesh(np.vstack([mesh.vertices, [[0, 0, 0]]]), mesh.faces)
    with pytest.raises(MeshError, match="1 in none"):
        prepare_template(loose, np.arange(68))
    with pytest.raises(MeshError, match="modes"):
        prepare_template(mesh, np.arange(68), np.zeros((2, 3, 3)))


@pytest.fixture(scope="module")
def person():
    """Two neutral faces and an expression of one person: truth, scan and landmarks of each."""
    rig, rng = embedded_model(), np.random.default_rng(11)
    face, made = rig.shape(rng.normal(0, 1, 20)), []
    used = np.unique(rig.faces[rig.parts <= 1])
    for weights in ({}, {}, {"jawOpen": 0.4, "mouthSmile": 0.6, "browInnerUp": 0.5}):
        v = face + rig.offsets(rig.weights(weights))
        made.append((v[used], *raw_scan(v, rig.faces, rig.landmarks(v), rng, COARSE)))
    return made


COARSE = ScanSettings(spacing=4.0)


@pytest.mark.parametrize(
    ("template", "gain"),
    [("known", 0.6), pytest.param("plain", 0.95, marks=pytest.mark.slow)],
)
def test_offsets_from_neutral_gain_by_knowing_the_subject(request, person, template, gain):
    template = request.getfixturevalue(template)
    apart = [register(template, None, scan, points) for _, scan, points in person]
    who = neutral_face(template, apart[:2])
    _, scan, points = person[2]
    together = register(template, None, scan, points, subject=who)
    assert together.accepted and abs(who.scale - apart[0].scale) < 0.05

    def off(neutral, moved):
        face = rigid(moved, neutral, template.area)(moved)
        return face - neutral

    true = off(person[0][0], person[2][0])
    neutral = who.face * who.scale
    errors = [
        np.linalg.norm(off(neutral, vertices) @ turn.T - true, axis=1).mean()
        for vertices in (together.vertices, apart[2].vertices)
        for turn in [rigid(neutral, person[0][0]).rotation]
    ]
    assert errors[0] < gain * errors[1]


def test_a_pose_of_the_subject_is_found_again(known):
    rig = embedded_model()
    pose = np.zeros(len(known.moves))
    pose[[rig.blendshape_names.index(name) for name in ("jawOpen", "mouthPucker")]] = 0.5, 0.4
    c, s = np.cos(0.1), np.sin(0.1)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    true = (known.mesh.vertices + np.tensordot(pose, known.moves, 1)) @ turn.T + [3, -2, 1]
    scan = prepare_scan(Mesh(true, known.mesh.faces), known.marks @ true)
    assert np.linalg.norm(posed(known, scan) - true, axis=1).mean() < 0.25


def test_bounds_hold_and_solve():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 12))
    left, right = a.T @ a, rng.normal(0, 30, 12)
    low, high = np.full(6, -0.2), np.full(6, 0.3)
    x = bounded(left, right, low, high)
    assert (x[6:] >= low - 1e-9).all() and (x[6:] <= high + 1e-9).all()
    gradient = left @ x - right
    assert np.allclose(gradient[:6], 0, atol=1e-6)
    assert (gradient[6:][x[6:] > low + 1e-6] < 1e-6).all()
    assert (gradient[6:][x[6:] < high - 1e-6] > -1e-6).all()


def test_a_neutral_face_is_the_mean_of_what_is_shown(plain):
    base = plain.mesh.vertices
    raised = np.array([0, 0, 2.0]) * (base[:, :1] > 50)

    def result(vertices, seen, scale=1.0, reason=""):
        return Registration(
            vertices, seen, 1.0, scale, 0.1, 0.2, 1.0, 1.0, 0.0, 0.0, "nicp", reason
        )  # fmt: skip

    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    seen = np.ones(len(base), bool)
    same = [result(base @ turn.T + k, seen) for k in range(3)]
    wrong = result(base + rigged(base), seen)
    refused = result(base * 5, seen, 5.0, "DISTANCE")
    who = neutral_face(plain, [*same, wrong, refused])
    assert who.scale == 1 and np.abs(who.face - base).max() < 0.05
    # Each side from the scan that shows it, placed by what both show.
    both = [result(base, base[:, 0] < 40), result(base + raised, base[:, 0] > -40)]
    mean = neutral_face(plain, both).face
    mean = rigid(mean, base, 1.0 * (np.abs(base[:, 0]) < 40))(mean)
    assert (mean - base)[base[:, 0] > 60, 2].mean() > 1.5
    assert neutral_face(plain, [refused]) is None


def rigged(points):
    """A displacement that no motion explains."""
    return 12 * np.sin(points[:, [1, 2, 0]] / 25)
