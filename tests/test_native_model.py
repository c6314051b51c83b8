"""Models on a mesh of their own: axes, derived arrays, landmarks that a map leaves out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synth.errors import MeshError, ShapeError
from synth.meshes.rigid import similarity
from synth.morphable.landmark_map import as_places
from synth.morphable.model import load_model
from synth.morphable.native import (
    native_model,
    read_landmark_map,
    save_model,
    topology_digest,
)

TURN = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()


@pytest.fixture(scope="module")
def ids(model):
    """The vertex next to each landmark."""
    return model.faces[model.landmark_faces, model.landmark_bary.argmax(1)]


@pytest.fixture(scope="module")
def moved(model):
    """The embedded model turned, shifted, in metres, its triangles inside out."""
    return native_model(
        "moved",
        "1",
        (model.mean @ TURN.T + 5) / 1000,
        model.faces[:, ::-1],
        model.modes @ TURN.T / 1000,
        model.sigma / 1000,
        (model.landmark_faces, model.landmark_bary[:, ::-1]),
        blendshapes=model.blendshapes @ TURN.T / 1000,
        blendshape_names=model.blendshape_names,
        parts=model.parts,
        unit=1000,
        meta={"licence": "CC0-1.0"},
    )


def test_the_embedded_model_comes_back_from_other_axes(model, moved):
    for name, tolerance in (("mean", 1e-6), ("modes", 1e-5), ("sigma", 1e-9),
                            ("blendshapes", 1e-4), ("landmark_bary", 1e-7)):  # fmt: skip
        np.testing.assert_allclose(getattr(moved, name), getattr(model, name), atol=tolerance)
    np.testing.assert_array_equal(moved.faces, model.faces)
    np.testing.assert_array_equal(moved.landmark_faces, model.landmark_faces)
    assert (moved.mirror == model.mirror).mean() > 0.99
    front = model.mean[:, 2] > -60  # that the cylinder is the same, not its last digit
    assert np.abs(moved.uv - model.uv)[front].max() < 0.03
    assert "landmarks_found_by_geometry" not in moved.meta


def test_contours_follow_those_made_by_hand(model, moved):
    """Each vertex of a path lies near the path of the embedded model's own build."""
    for mine, theirs in zip(moved.contour, model.contour, strict=True):
        a, b = model.mean[theirs[:-1]], model.mean[theirs[1:]]
        t = np.linspace(0, 1, 20)[:, None, None]
        along = (a + t * (b - a)).reshape(-1, 3)
        off = np.linalg.norm(model.mean[mine][:, None] - along, axis=2).min(1)
        assert np.median(off) < 3.0 and off.max() < 16.0


def test_contours_turn_away_from_the_camera(moved):
    from synth.meshes.mesh import vertex_normals

    facing = vertex_normals(moved.mean, moved.faces[moved.parts <= 1])[:, 2]
    for k in (*range(2, 7), *range(10, 15)):
        first, last = facing[moved.contour[k][0]], facing[moved.contour[k][-1]]
        assert first > 0.2 > last


def test_saved_and_read(moved, tmp_path):
    save_model(moved, tmp_path / "own.npz")
    again = load_model(tmp_path / "own.npz")
    for name, value in vars(moved).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(again, name), value, atol=1e-6)
    assert again.meta["licence"] == "CC0-1.0" and again.name == "moved"
    save_model(again, tmp_path / "twice.npz")
    assert (tmp_path / "own.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()


def test_no_modes_and_no_blendshapes(model, ids, tmp_path):
    bare = native_model("bare", "1", model.mean, model.faces, [], [], ids, parts=model.parts)
    assert (bare.n_modes, bare.blendshape_names) == (0, ())
    save_model(bare, tmp_path / "bare.npz")
    assert load_model(tmp_path / "bare.npz").modes.shape == (0, model.n_vertices, 3)


DROPPED = {
    "Surrey": [*range(8), *range(9, 17), 60, 64],
    "jaw": list(range(17)),
    "every second": list(range(0, 68, 2)),
    "BFM 2017": [*range(8), *range(9, 30), *range(31, 36), 37, 38, 40, 41, 43, 44, 46, 47],
}


@pytest.mark.parametrize("gone", DROPPED)
def test_landmarks_left_out_are_found_on_other_people(model, gone):
    """People of the embedded model, bent as no person of it is."""
    rng = np.random.default_rng(3)
    missing = DROPPED[gone]
    known = model.landmark_faces.copy()
    known[missing] = -1
    errors = []
    for _ in range(4):
        person = model.shape(rng.normal(size=20))
        person = person + 3 * np.sin(person @ rng.normal(size=(3, 3)) / 60 + rng.normal(size=3))
        places = (known, model.landmark_bary)
        made = native_model("p", "1", person, model.faces, [], [], places, parts=model.parts)
        off = made.landmarks(made.mean) - model.landmarks(made.mean)
        errors.append(np.linalg.norm(off, axis=1)[missing])
        assert made.meta["landmarks_found_by_geometry"] == sorted(missing)
    assert np.mean(errors) < 3.5 and np.quantile(errors, 0.95) < 9 and np.max(errors) < 16


def test_a_landmark_on_the_teeth_is_put_on_the_skin(model, ids):
    wrong = ids.copy()
    teeth = model.faces[model.parts == model.part_names.index("upper_teeth")]
    wrong[62] = teeth[0, 0]
    made = native_model("t", "1", model.mean, model.faces, [], [], wrong, parts=model.parts)
    assert made.meta["landmarks_found_by_geometry"] == [62]
    assert made.parts[made.landmark_faces[62]] <= 1


def test_a_mesh_of_the_front_alone(model, ids):
    """No neck, no ears, open borders: paths and coordinates stay in their bounds."""
    front = (model.mean[model.faces][..., 2] > -62).all(1) & (model.parts <= 1)
    used, faces = np.unique(model.faces[front], return_inverse=True)
    new = np.full(model.n_vertices, -1)
    new[used] = np.arange(len(used))
    made = native_model("f", "1", model.mean[used], faces.reshape(-1, 3), [], [], new[ids])
    assert (new[ids] >= 0).all()
    assert made.uv.min() >= 0 and made.uv.max() <= 1
    np.testing.assert_array_equal(made.mirror[made.mirror], np.arange(len(used)))
    points = made.landmarks(made.mean)
    for k in range(17):
        assert np.linalg.norm(made.mean[made.contour[k]] - points[k], axis=1).min() < 5


def test_a_lopsided_mesh_mirrors_into_itself(model, ids):
    rng = np.random.default_rng(0)
    bent = model.mean + rng.normal(size=model.mean.shape) * 8.0
    made = native_model("b", "1", bent, model.faces, [], [], ids, parts=model.parts)
    np.testing.assert_array_equal(made.mirror[made.mirror], np.arange(model.n_vertices))
    assert (made.mirror == np.arange(model.n_vertices)).mean() > 0.2


def test_similarity_gives_back_what_was_done():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(9, 3))
    scale, rotation, shift = similarity(a, 2.5 * a @ TURN.T + (1, 2, 3))
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(rotation, TURN, atol=1e-12)
    np.testing.assert_allclose(shift, (1, 2, 3), atol=1e-12)
    flipped = a * (-1, 1, 1)  # a mirror image is not a rotation
    assert np.linalg.det(similarity(a, flipped)[1]) == pytest.approx(1)


def test_landmark_maps():
    found = read_landmark_map("# a map\n30 7 # nose\n\n8 0\n")
    assert (found[30], found[8], (found >= 0).sum()) == (7, 0, 2)
    for line in ("68 1", "3", "3 -1", "3 x", "3 1 2"):
        with pytest.raises(MeshError, match="line 2: expected a landmark 0 to 67"):
            read_landmark_map(f"1 2\n{line}\n")
    with pytest.raises(MeshError, match="line 2"):
        read_landmark_map("1 2\n1 3\n")


def test_places_of_vertices(model, ids):
    faces, bary = as_places(ids, model.faces)
    np.testing.assert_array_equal(np.einsum("lc,lc->l", bary, model.faces[faces]), ids)
    with pytest.raises(MeshError, match="got 999999 for landmark 5"):
        as_places(np.where(np.arange(68) == 5, 999999, ids), model.faces)


def test_topology_digest_is_that_of_the_integers(model):
    expected = hashlib.sha256(model.faces.astype("<i4").tobytes()).hexdigest()
    assert topology_digest(model.faces.astype(np.uint16)) == expected
    assert topology_digest(model.faces[::-1]) != expected


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mean": lambda m: m / 1000}, "outer eye corners 60 to 120 mm apart"),
        ({"mean": lambda m: m * np.nan}, "finite vertices"),
        (
            {"mean": lambda m: np.where(np.arange(len(m))[:, None] == 9, 1e200, m)},
            "10 m of the eyes",
        ),
        ({"faces": lambda f: f[:0]}, "expected triangles, got none"),
        ({"faces": lambda f: f + 5}, "the file is damaged"),
        ({"modes": lambda m: m[:, :-1]}, "modes: expected"),
        ({"sigma": lambda s: s[:-1]}, "modes: expected"),
        ({"sigma": lambda s: -s}, "standard deviations >= 0"),
        ({"landmarks": lambda i: i[:67]}, "expected 68 vertices"),
        ({"landmarks": lambda i: np.where(np.arange(68) < 64, -1, i)}, "at least 6"),
        ({"parts": lambda p: p[:-1]}, "parts: expected"),
    ],
)
def test_impossible_input_is_named(model, ids, change, message):
    given = {"mean": model.mean, "faces": model.faces, "modes": model.modes[:2],
             "sigma": model.sigma[:2], "landmarks": ids, "parts": model.parts}  # fmt: skip
    for name, how in change.items():
        given[name] = how(np.array(given[name]))
    parts = given.pop("parts")
    with pytest.raises((MeshError, ShapeError), match=message):
        native_model("x", "1", *given.values(), parts=parts)


def test_a_model_is_not_changed_by_being_made(model, ids):
    mean = model.mean.copy()
    made = native_model("x", "1", mean, model.faces, [], [], ids, parts=model.parts)
    mean += 1  # writable still, and nobody else's
    assert np.abs(made.mean - model.mean).max() < 1.0
    assert replace(made, name="y").name == "y"
