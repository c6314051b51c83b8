"""The rig's mesh on other models: what is known comes back, what is no face is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.errors import AssetError, ShapeError
from synth.meshes.nearest import Surface
from synth.meshes.rigid import similarity
from synth.morphable.carrier import dressed, is_dressed, make_carrier, with_carrier
from synth.morphable.covering import RIGID, outer_skin, vertices_of
from synth.morphable.known_natives import closed_dense, face_crop, skin_model, warped
from synth.morphable.model import load_model
from synth.morphable.native import save_model
from synth.morphable.transfer import local_maps, moved_offsets


@pytest.fixture(scope="module")
def skin(model):
    """The embedded model's skin and lips, and nothing else."""
    return skin_model(model)


@pytest.fixture(scope="module")
def carrier(skin, model):
    return make_carrier(skin, model)


@pytest.fixture(scope="module")
def bent(model):
    """A face that is none of the model's people, its landmarks 1.5 mm off."""
    return warped(model)


@pytest.fixture(scope="module")
def bent_carrier(bent, model):
    return make_carrier(bent, model)


@pytest.fixture(scope="module")
def inner_face(model):
    """Visible skin within 15 mm of an inner landmark."""
    points = model.landmarks(model.mean)[17:]
    near = np.linalg.norm(model.mean[:, None] - points, axis=2).min(1) < 15
    return outer_skin(model) & near


def truth(native, model):
    """(V, 3) where the rig's skin lies on a native mesh that began as it; NaN elsewhere."""
    used = vertices_of(model, "skin", "lips")
    places = np.full((model.n_vertices, 3), np.nan)
    places[used] = native.mean[: len(used)]
    return places


def test_the_model_dressed_on_its_own_skin_comes_back(skin, carrier, model):
    back = dressed(skin, model, carrier)
    assert back.blendshape_names == model.blendshape_names
    assert np.array_equal(back.faces, model.faces)
    assert np.abs(back.mean - model.mean).max() < 1e-6
    assert np.abs(back.blendshapes - model.blendshapes).max() < 1e-4
    assert np.abs(back.modes - model.modes).max() < 0.05  # mm, teeth and tongue
    on = carrier.covered
    assert np.abs(back.modes[:, on] - model.modes[:, on]).max() < 1e-5


def test_offsets_are_linear_and_those_of_the_mesh_where_it_covers(skin, carrier, model):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, skin.n_vertices, 3))
    both = carrier.offsets(np.stack((a, b)))
    assert both.shape == (2, model.n_vertices, 3)
    assert np.allclose(carrier.offsets(2 * a - b), 2 * both[0] - both[1], atol=1e-9)
    corners = skin.faces[carrier.face[carrier.covered]]
    by_hand = np.einsum("vc,vcx->vx", carrier.bary[carrier.covered], a[corners])
    assert np.allclose(both[0][carrier.covered], by_hand, atol=1e-6)


def test_a_shift_of_the_skin_shifts_everything(skin, carrier):
    moved = carrier.offsets(np.broadcast_to((1.0, 2.0, 3.0), (skin.n_vertices, 3)))
    assert np.abs(moved - (1, 2, 3)).max() < 0.1


def test_other_axes_units_and_a_closed_mouth_do_not_matter(model, inner_face):
    native = closed_dense(model)
    placed = make_carrier(native, model)
    error = np.linalg.norm(placed.vertices - truth(native, model), axis=1)
    assert np.nanmax(error) < 0.05
    _, turn, _ = similarity(truth(native, model)[inner_face], model.mean[inner_face])
    back = placed.offsets(native.modes) @ turn.T
    assert np.abs(back[:, inner_face] - model.modes[:, inner_face]).max() < 0.05


def test_a_crop_keeps_the_face_and_guesses_the_rest(model, inner_face):
    native = face_crop(model)
    made = dressed(native, model)
    assert np.abs(made.mean - model.mean).max() < 0.05
    assert np.abs(made.modes - model.modes)[:, inner_face].max() < 1e-3
    # a standard deviation moves skull and neck by some millimetres; the rest is guessed well
    assert np.abs(made.modes - model.modes).max() < 2.5


def test_an_unknown_face_with_inexact_landmarks(bent, bent_carrier, model, inner_face):
    error = np.linalg.norm(bent_carrier.vertices - truth(bent, model), axis=1)[inner_face]
    eyes = bent.landmarks(bent.mean)[[36, 45]]
    assert np.percentile(error, 95) < 0.03 * np.linalg.norm(eyes[0] - eyes[1])
    found = Surface(bent.mean, bent.faces).nearest(bent_carrier.vertices[bent_carrier.covered])
    assert found.distance.max() < 1e-6
    assert bent_carrier.covered[outer_skin(model)].mean() > 0.95


def test_teeth_and_eyeballs_keep_their_shape(bent_carrier, model):
    for part in RIGID:
        own = vertices_of(model, part)
        scale, turn, shift = similarity(model.mean[own], bent_carrier.vertices[own])
        rest = scale * model.mean[own] @ turn.T + shift - bent_carrier.vertices[own]
        assert np.abs(rest).max() < 1e-6 and 0.85 < scale < 1.2, part


def test_eyeballs_lie_behind_the_lids(bent_carrier, model):
    for part, points in (("left_eye", slice(42, 48)), ("right_eye", slice(36, 42))):
        own = bent_carrier.vertices[vertices_of(model, part)]
        centre = (own.min(0) + own.max(0)) / 2
        radius = np.ptp(own, axis=0).max() / 2
        lids = model.landmarks(bent_carrier.vertices)[points]
        away = np.linalg.norm(lids - centre, axis=1) / radius
        assert (away > 0.9).all() and (away < 1.3).all()


def test_what_touches_stays_together_under_blendshapes(bent, bent_carrier, model):
    made = dressed(bent, model, bent_carrier)
    for weights in ({"eyeBlink": 1.0}, {"mouthPucker": 0.6}):
        offsets = made.offsets(made.weights(weights)), model.offsets(model.weights(weights))
        points = made.mean + offsets[0], model.mean + offsets[1]
        marks = [model.landmarks(p) for p in points]
        pairs = ((37, 41), (38, 40), (43, 47), (44, 46)) if "eyeBlink" in weights else ((62, 66),)
        for a, b in pairs:
            gap = [m[a, 1] - m[b, 1] for m in marks]
            assert gap[0] == pytest.approx(gap[1], abs=1.5), (weights, a)


def test_maps_of_an_affine_step_are_that_step(model):
    step = np.array([[1.1, 0.05, 0], [-0.03, 0.9, 0.02], [0, 0.04, 1.05]])
    maps = local_maps(model, model.mean @ step.T)
    skin = vertices_of(model, "skin", "lips")
    assert np.abs(maps[skin] - step).max() < 0.12  # held to a similarity a little
    moved = moved_offsets(maps, model.blendshapes[:1])
    assert np.abs(moved - model.blendshapes[:1] @ step.T)[:, skin].max() < 0.5


def test_a_model_on_the_rigs_mesh_needs_no_search(model):
    native = replace(
        model,
        mean=model.mean * 1.1,
        blendshapes=np.zeros((0, model.n_vertices, 3), np.float32),
        blendshape_names=(),
    )
    assert not is_dressed(native, model) and is_dressed(model, model)
    made = dressed(native, model)
    assert np.abs(made.mean - native.mean).max() < 0.05
    assert np.abs(made.modes - native.modes).max() < 0.06
    assert np.abs(made.blendshapes - 1.1 * model.blendshapes).max() < 0.01


def test_native_blendshapes_are_taken_when_there_are_most(skin, carrier, model):
    used = vertices_of(model, "skin", "lips")
    shapes = model.blendshapes[:, used] + np.float32(0.5)  # half a millimetre along each axis
    many = replace(skin, blendshapes=shapes, blendshape_names=model.blendshape_names)
    made = dressed(many, model, carrier)
    on = carrier.covered
    assert np.allclose(made.blendshapes[:, on], model.blendshapes[:, on] + 0.5, atol=1e-4)
    teeth = vertices_of(model, *RIGID)  # which no native skin tells anything about
    assert np.allclose(made.blendshapes[:, teeth], model.blendshapes[:, teeth], atol=1e-4)
    assert np.abs(made.blendshapes - model.blendshapes).max() < 0.6
    few = replace(many, blendshapes=shapes[:20], blendshape_names=model.blendshape_names[:20])
    made = dressed(few, model, carrier)
    assert np.allclose(made.blendshapes[:, on], model.blendshapes[:, on], atol=1e-4)


def test_a_carrier_is_kept_with_its_model(skin, model, tmp_path):
    path = tmp_path / "skin.npz"
    held = with_carrier(skin, model)
    save_model(held, path)
    found = load_model(path)
    assert found.carrier is not None and skin.carrier is None
    for name, value in vars(held.carrier).items():
        assert np.array_equal(getattr(found.carrier, name), value), name
    a, b = dressed(held, model, held.carrier), dressed(found, model, found.carrier)
    assert np.allclose(a.mean, b.mean) and np.allclose(a.modes, b.modes, atol=1e-5)


def test_refusals(skin, carrier, model, tmp_path):
    with pytest.raises(ShapeError, match="native_offsets: expected"):
        carrier.offsets(np.zeros((5, 3)))
    with pytest.raises(AssetError, match="carrier of the model's own mesh"):
        dressed(replace(skin, faces=skin.faces[::-1]), model, carrier)
    scrambled = replace(skin, landmark_faces=np.random.default_rng(0).permutation(
        np.arange(68, dtype=np.int32) * 80))  # fmt: skip
    with pytest.raises(AssetError, match="lie as those of a face"):
        make_carrier(scrambled, model)
    with pytest.raises(AssetError, match="lie as those of a face"):
        make_carrier(replace(skin, landmark_faces=np.zeros(68, np.int32)), model)
    with pytest.raises(AssetError, match="finds its place"):
        make_carrier(replace(skin, faces=skin.faces[:, ::-1]), model)
    path = tmp_path / "damaged.npz"
    broken = replace(carrier, data=carrier.data[:-1])
    save_model(replace(skin, carrier=broken), path)
    with pytest.raises(AssetError, match="carrier arrays"):
        load_model(path)
