"""Galleries with blendshapes of their own: read, looked up, and drawn by name and order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth import assets
from synth.archives import write_npz
from synth.errors import AssetError, ShapeError, UsageError
from synth.expressions.arkit import NAMES, index_of, mirror_order
from synth.expressions.gallery import CEILING
from synth.expressions.storage import load_gallery
from synth.morphable.native import topology_digest
from synth.motion import draw_motion, with_motion
from synth.parts import Parts, with_own
from synth.pipeline import Generator
from synth.targets import Target, as_target
from synth.types import VA

MOVED = ("mouthSmileLeft", "mouthSmileRight")


def arrays_with_own(model, **changes):
    """The embedded gallery, its smile told by two blendshapes of its own with the sign changed."""
    with np.load(assets.path("va_gallery")) as archive:
        data = {k: archive[k] for k in archive.files if "sample" not in k}
    names = [str(name) for name in data["names"]]
    columns = [names.index(name) for name in MOVED]
    for key in ("class_weights", "expression_weights", "components"):
        data[key] = np.concatenate((data[key], -data[key][:, columns]), axis=1)
        data[key][:, columns] = 0
    for key in ("class_sd", "expression_sd"):
        data[key] = np.concatenate((data[key], data[key][:, columns]), axis=1)
    for key in ("radial_exponent", "limit"):
        data[key] = np.concatenate((data[key], data[key][columns]))
    rows = [model.blendshape_names.index(name) for name in MOVED]
    data["names"] = np.array([*names, "own_1", "own_2"])
    data["own_blendshapes"] = -model.blendshapes[rows]
    data["own_topology"] = np.array(topology_digest(model.faces))
    return data | changes


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    file = tmp_path_factory.mktemp("own") / "own.npz"
    write_npz(file, arrays_with_own(model), level=1)
    return file


@pytest.fixture(scope="module")
def own(path):
    return load_gallery(path)


def test_the_own_names_follow_arkits(own, gallery, model):
    assert own.names == (*NAMES, "own_1", "own_2") and own.own_names == ("own_1", "own_2")
    assert own.own_blendshapes.shape == (2, model.n_vertices, 3)
    assert own.own_topology == topology_digest(model.faces)
    assert gallery.own_names == () and len(gallery.own_blendshapes) == 0


@pytest.mark.parametrize("va", [(0.8, 0.2), (-0.6, 0.5), (0.95, 0.1), (0.0, 0.0)])
@pytest.mark.parametrize("method", ["smooth", "class"])
def test_own_weights_are_signed_and_the_others_as_ever(own, gallery, va, method):
    there, here = own.lookup(VA(*va), method).weights, gallery.lookup(VA(*va), method).weights
    columns = [index_of(name) for name in MOVED]
    assert np.allclose(there[52:], -here[columns], atol=1e-6)
    assert (there[52:] <= 0).all() and not there[columns].any()
    rest = np.setdiff1d(np.arange(52), columns)
    assert np.array_equal(there[rest], here[rest])


def test_the_limit_holds_for_both_signs_and_there_is_no_ceiling(own):
    tight = replace(own, limit=np.r_[own.limit[:52], 0.1, 0.1])
    assert np.abs(tight.smooth_weights([0.9, 0.1])[52:]).max() <= 0.1
    large = replace(
        own, class_weights=own.class_weights * np.r_[np.ones(52), 5, 5], limit=own.limit + 10
    )
    found = large.smooth_weights([0.9, 0.1])
    assert np.abs(found[52:]).max() > 2 and found[:52].max() <= CEILING


def test_expressions_grow_along_their_ray(own, gallery):
    columns = [index_of(name) for name in MOVED]
    for intensity in (0.4, 1.0):
        there, here = (g.expression("happiness", intensity).weights for g in (own, gallery))
        assert np.allclose(there[52:], -here[columns], atol=1e-6)


def test_reading_compares_what_is_known(own, gallery):
    va = VA(0.6, 0.4)
    seen = own.read_va(own.lookup(va).weights)
    assert np.hypot(seen.valence - 0.6, seen.arousal - 0.4) < 0.03
    only = own.read_va(own.lookup(va).weights[:52])  # of the smile nothing is known
    assert np.hypot(only.valence - 0.6, only.arousal - 0.4) < 0.1
    assert own.read_va(np.zeros(52)) == VA(0, 0)
    with pytest.raises(ShapeError, match="weights: expected"):
        own.read_va(np.zeros(53))


def test_a_mirror_leaves_own_blendshapes_alone():
    order = mirror_order(54)
    assert np.array_equal(order[:52], mirror_order()) and np.array_equal(order[52:], [52, 53])


def test_no_styles_without_samples(own):
    with pytest.raises(UsageError, match="samples"):
        own.draw(3)


def test_blinks_leave_own_blendshapes_alone(own):
    faces = np.tile(own.lookup(VA(0.7, 0.2)).weights, (240, 1))
    moved = with_motion(faces, draw_motion(240, 30.0, 1, blinks=True))
    assert np.array_equal(moved[:, 52:], faces[:, 52:]) and not np.array_equal(moved, faces)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_the_same_pictures_by_other_blendshapes(path, generator, portrait, backend):
    """The smile is what it was, only told by other columns: not a byte of a picture changes."""
    made = Generator(gallery=path, crop="face", size=128, backend=backend)
    plain = replace(generator, backend=backend)
    image, found = generator.faces(portrait)
    theirs, ours = made.prepare(image, found[0]), plain.prepare(image, found[0])
    assert len(made.order) == 54 and made.order[-2:].tolist() == [52, 53]
    for target in (as_target("0.8,0.2"), Target(VA(0.0, 0.0), actions=(("12", 0.8),))):
        a, b = made.draw(theirs, target), plain.draw(ours, target)
        assert np.array_equal(a.image, b.image) and (a.image != image_of(theirs)).any()
    record = made.draw(theirs, as_target("0.8,0.2")).record
    assert record.weights["own_1"] < -0.1 and path.name in record.assets


def image_of(face):
    return face.rig.image.pixels


def test_own_blendshapes_join_the_model_in_the_gallerys_order(own, path, model):
    parts = Parts(gallery=path)
    assert parts.morphable.blendshape_names == (*model.blendshape_names, "own_1", "own_2")
    assert np.array_equal(parts.morphable.blendshapes[52:], own.own_blendshapes)
    assert Parts().morphable.blendshape_names == model.blendshape_names


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"own_blendshapes": np.zeros((2, 7, 2), np.float32)}, "own_blendshapes"),
        ({"own_blendshapes": np.zeros((3, 7, 3), np.float32)}, "own_blendshapes"),
        ({"own_blendshapes": np.full((2, 7, 3), np.nan, np.float32)}, "not finite"),
        ({"own_blendshapes": np.zeros((2, 7, 3), np.int32)}, "own_blendshapes"),
        ({"names": np.array([*NAMES, "own_1", "own_1"])}, "repeated"),
        ({"names": np.array([*NAMES[1:], "own_1", "own_2", "own_3"])}, "browDownLeft"),
        ({"limit": np.full(54, np.nan)}, "limit"),
        ({"limit": np.full(54, -1.0)}, "limit"),
        ({"sample_weights": np.zeros((4, 52), np.uint8)}, "sample_own"),
        ({"class_weights": np.full((551, 54), -1.0)}, "class_weights"),
        ({"own_topology": None}, "own_topology"),
    ],
)
def test_damaged_files_are_refused_in_one_line(model, tmp_path, changes, what):
    data = {k: v for k, v in arrays_with_own(model, **changes).items() if v is not None}
    write_npz(tmp_path / "bad.npz", data, level=1)
    with pytest.raises(AssetError, match=what) as error:
        load_gallery(tmp_path / "bad.npz")
    assert "\n" not in str(error.value)


def test_own_names_without_blendshapes_are_refused(model, tmp_path):
    data = arrays_with_own(model)
    del data["own_blendshapes"]
    write_npz(tmp_path / "bad.npz", data, level=1)
    with pytest.raises(AssetError, match="own_1, own_2"):
        load_gallery(tmp_path / "bad.npz")


def test_a_gallery_of_another_mesh_is_refused(own, model):
    with pytest.raises(AssetError, match="expected own blendshapes on the mesh"):
        with_own(model, replace(own, own_topology="0" * 64))
    with pytest.raises(AssetError, match="expected own blendshapes on the mesh"):
        with_own(model, replace(own, own_blendshapes=own.own_blendshapes[:, :-1]))


def test_rounding_of_the_zero_face_is_forgiven(model, tmp_path):
    data = arrays_with_own(model)
    data["class_weights"] = data["class_weights"].copy()
    data["class_weights"][0, -1] = 3e-16
    write_npz(tmp_path / "near.npz", data, level=1)
    assert not load_gallery(tmp_path / "near.npz").lookup(VA(0, 0)).weights.any()


def test_an_unlimited_own_blendshape(model, tmp_path):
    limit = np.r_[np.ones(52), np.inf, np.inf]
    write_npz(tmp_path / "free.npz", arrays_with_own(model, limit=limit), level=1)
    assert np.isinf(load_gallery(tmp_path / "free.npz").limit[52:]).all()
