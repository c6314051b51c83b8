"""The batched torch renderer: the pictures of the CPU path, whatever the batch."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch

from synth.crops import face_crop
from synth.errors import ShapeError, UsageError
from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.render.face import render
from synth.render.raster import rasterise
from synth.render.rig import build_rig
from synth.render.settings import RenderSettings
from synth.render.torch.batch import render_batch
from synth.render.torch.move import torch_rig
from synth.render.torch.ops import edge_rows, interp, weighted
from synth.render.torch.raster import barycentric, decode, zbuffer
from synth.types import FaceImage, Landmarks

LEVELS = 2
#: Expression and turn of the head (yaw, pitch, roll in degrees).
TARGETS = {
    "smile": ({"mouthSmile": 0.7, "cheekSquint": 0.6, "mouthUpperUp": 0.6}, (0, 0, 0)),
    "surprise": ({"jawOpen": 0.5, "browInnerUp": 1, "eyeWide": 0.9}, (0, 0, 0)),
    "anger": ({"browDown": 1, "noseSneer": 0.7, "mouthPress": 0.5, "eyeWide": 0.2}, (0, 0, 0)),
    "sadness": ({"browInnerUp": 1, "mouthFrown": 1, "eyeBlink": 0.2}, (0, 0, 0)),
    "fear": ({"browInnerUp": 1, "eyeWide": 1, "mouthStretch": 0.8, "jawOpen": 0.2}, (4, 0, 0)),
    "wink": ({"eyeBlinkLeft": 1, "mouthLeft": 0.5, "mouthSmileLeft": 0.4}, (0, 0, 0)),
    "blink": ({"eyeBlink": 0.6, "mouthPucker": 0.6}, (0, 0, -6)),
    "gaze": ({"eyeLookOutLeft": 0.7, "eyeLookInRight": 0.7, "eyeLookUp": 0.3}, (0, 0, 0)),
    "glance": ({"eyeLookInLeft": 0.05, "eyeLookOutRight": 0.05}, (0, 0, 0)),
    "shout": ({"jawOpen": 1.0, "mouthUpperUp": 0.5, "mouthLowerDown": 0.5}, (0, 0, 0)),
    "ajar": ({"jawOpen": 0.04}, (0, 0, 0)),
    "turned": ({"jawOpen": 0.4, "mouthSmile": 0.5, "eyeLookOutLeft": 0.4}, (10, 6, 3)),
    "away": ({"eyeBlink": 0.9, "browDown": 0.5}, (-12, -8, 5)),
    "only turned": ({}, (6, 10, 0)),
}


@pytest.fixture(scope="module")
def rig(samples, model):
    """Rig of a sample portrait, cached: ``rig(number, size)``."""

    @cache
    def made(number=1, size=128, **settings):
        image = load_image(samples / f"sample_{number}.jpg")
        landmarks = get_detector("dlib").detect(image)[0]
        image, landmarks, _ = face_crop(image, landmarks, size)
        fit = fit_face(landmarks, (size, size), model)
        return build_rig(image, landmarks, fit, model, RenderSettings(**settings))

    return made


@pytest.fixture(scope="module")
def targets(model):
    """Weights (B, 52) and poses (B, 3) of `TARGETS`."""
    weights = np.stack([model.weights(actions) for actions, _ in TARGETS.values()])
    return weights, np.array([pose for _, pose in TARGETS.values()], float)


def difference(a, b):
    return np.abs(a.pixels.astype(int) - b.pixels).max(2)


# ------------------------------------------------------------- the pictures of the CPU path
@pytest.mark.parametrize("number, size", [(1, 128), (2, 128), (4, 128), (1, 256), (3, 256)])
def test_pictures_are_those_of_the_cpu_path(rig, targets, record_property, number, size):
    r, (weights, poses) = rig(number, size), targets
    drawn = render_batch(r, weights, poses)
    changed = beyond = 0
    for name, row, pose, got in zip(TARGETS, weights, poses, drawn, strict=True):
        want = render(r, row, pose)
        assert got.pixels.dtype == np.uint8 and got.mask.dtype == bool
        off = difference(got, want)
        assert off.max() <= LEVELS, f"{name}: {off.max()} levels at {np.argwhere(off > LEVELS)[0]}"
        np.testing.assert_allclose(got.landmarks, want.landmarks, atol=1e-4)
        # A pixel may be on the other side of a threshold, but then it is as it was.
        assert (got.mask != want.mask).mean() < 1e-4
        changed += want.mask.sum()
        beyond += (off > 1).sum()
    record_property("share of drawn pixels off by more than 1", beyond / changed)
    assert changed > 0.1 * len(weights) * size**2
    assert beyond < 1e-4 * changed


@pytest.mark.parametrize("off", ["relight", "folds", "mouth", "eyes"])
def test_switches_are_obeyed(rig, targets, off):
    r, (weights, poses) = rig(1, 128, **{off: False}), targets
    for row, pose, got in zip(weights, poses, render_batch(r, weights, poses), strict=True):
        assert difference(got, render(r, row, pose)).max() <= LEVELS


def test_near_infrared_mouths_are_lit_alike(rig, targets):
    r, (weights, poses) = rig(1, 128, nir=True), targets
    for row, pose, got in zip(weights, poses, render_batch(r, weights, poses), strict=True):
        assert difference(got, render(r, row, pose)).max() <= LEVELS


def test_a_face_at_the_border_of_the_photo(rig, targets, model):
    """Boxes are clipped, and the spline is mirrored at the border."""
    whole, (weights, poses) = rig(1, 256), targets
    cut = 96  # through the subject's right eye
    pixels = np.ascontiguousarray(whole.image.pixels[:, cut:])
    image = FaceImage(pixels, "cut", whole.image.sha256)
    found = whole.landmarks
    shift = np.array([cut, 0])
    landmarks = Landmarks(found.points - shift, found.detector, found.box)
    fit = fit_face(landmarks, pixels.shape[:2], model)
    r = build_rig(image, landmarks, fit, model)
    for row, pose, got in zip(weights, poses, render_batch(r, weights, poses), strict=True):
        assert difference(got, render(r, row, pose)).max() <= LEVELS


# --------------------------------------------------------------------- what must not matter
def test_a_picture_does_not_depend_on_its_batch(rig, targets):
    r, (weights, poses) = rig(), targets
    together = render_batch(r, weights, poses)
    chunked = render_batch(r, weights, poses, chunk=3)
    backwards = render_batch(r, weights[::-1], poses[::-1])[::-1]
    for i, one in enumerate(together):
        (single,) = render_batch(r, weights[i : i + 1], poses[i : i + 1])
        for other in (single, chunked[i], backwards[i]):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            np.testing.assert_array_equal(one.mask, other.mask)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_no_expression_is_the_photo(rig, model):
    r = rig()
    smile = model.weights({"mouthSmile": 0.5})
    first, second, third = render_batch(r, np.stack((0 * smile, smile, 0 * smile)))
    for still in (first, third):
        np.testing.assert_array_equal(still.pixels, r.image.pixels)
        assert not still.mask.any() and still.pixels is not r.image.pixels
    assert second.mask.sum() > 500
    np.testing.assert_array_equal(second.pixels[~second.mask], r.image.pixels[~second.mask])
    assert render_batch(r, np.zeros((0, 52))) == []


def test_pictures_are_the_callers_own(rig, targets):
    r, (weights, _) = rig(), targets
    photo = r.image.pixels.copy()
    for drawn in render_batch(r, weights[:2]):
        drawn.pixels[:] = 0
    np.testing.assert_array_equal(r.image.pixels, photo)
    assert render_batch(r, weights[:1])[0].pixels.any()


def test_the_rig_is_moved_once(rig):
    first, other = rig(1), rig(2)
    moved = torch_rig(first)
    assert torch_rig(other) is not moved
    assert torch_rig(first, "cpu") is moved


def test_every_tensor_is_on_the_device_asked_for(rig, targets):
    """What is made without a device would land on ``meta``, and fail, as it would on CUDA."""
    r, (weights, poses) = rig(), targets
    torch.set_default_device("meta")
    try:
        drawn = render_batch(r, weights, poses)
    finally:
        torch.set_default_device(None)
    assert len(drawn) == len(weights)


# ------------------------------------------------------------------------------- rasteriser
def test_zbuffer_is_that_of_numba_ties_included():
    """Random triangles, among them copies at the same depth and with shared edges."""
    rng = np.random.default_rng(0)
    size, count = (60, 84), 300
    middles = rng.uniform((-8, -8, 500), (92, 68, 600), (count, 1, 3))
    points = (middles + rng.uniform(-9, 9, (count, 3, 3))).reshape(-1, 3)
    points[: 3 * 100] = np.round(points[: 3 * 100])  # corners and edges on samples
    points[3 * 40 : 3 * 60, 2] = 550.0
    faces = np.arange(3 * count).reshape(-1, 3)
    faces = np.concatenate((faces, faces[:150], faces[20:80, ::-1])).astype(np.int32)
    ids, bary, depth = rasterise(points, faces, (0, 0, size[1], size[0]), perspective=False)
    at = torch.tensor(points)[None]
    index = torch.tensor(faces, dtype=torch.int64)
    limits = torch.tensor([[size[1], size[0]]])
    hits = decode(zbuffer(at, index, limits, size)[0, 0])
    np.testing.assert_array_equal(hits.ids.numpy(), ids)
    seen = ids >= 0
    assert 0.5 < seen.mean() < 1
    np.testing.assert_array_equal(1 / hits.near.numpy()[seen], depth[seen])
    y, x = torch.tensor(seen).nonzero(as_tuple=True)
    w1, w2 = barycentric(at, index, torch.zeros_like(y), hits.ids[y, x], x, y)
    np.testing.assert_allclose(np.stack((w1, w2), 1), bary[seen], atol=1e-6)


def test_zbuffer_of_boxes_of_different_sizes_and_layers():
    rng = np.random.default_rng(1)
    points = torch.tensor(rng.uniform((0, 0, 500), (30, 30, 600), (2, 60, 3)))
    faces = torch.arange(60).reshape(-1, 3)
    sizes = torch.tensor([[30, 20], [12, 25]])
    layer = torch.arange(20) % 3 == 0
    keys = zbuffer(points, faces, sizes, (25, 30), layer)
    assert not keys[0, :, 20:].any() and not keys[1, :, :, 12:].any()
    both = zbuffer(points, faces, sizes, (25, 30))[:, 0]
    assert torch.equal(keys.amax(1), both)
    ids = decode(keys).ids
    assert set(ids[:, 1].unique().tolist()) - {-1} <= set(np.flatnonzero(layer).tolist())
    alone = zbuffer(points[1:], faces, sizes[1:], (25, 12))[0, 0]
    assert torch.equal(both[1, :, :12], alone)


# ------------------------------------------------------------------------------ small parts
def test_interpolation_is_that_of_numpy():
    rng = np.random.default_rng(2)
    x = np.sort(rng.uniform(0, 10, (3, 7)), axis=1)
    x[1, 3] = x[1, 2]  # a step
    y, at = rng.normal(size=(3, 7)), rng.uniform(-2, 12, (3, 50))
    at[:, :7] = x
    got = interp(*(torch.tensor(v) for v in (at, x, y))).numpy()
    np.testing.assert_allclose(got, [np.interp(*rows) for rows in zip(at, x, y, strict=True)])
    shuffled = np.stack((x, y), 2)[:, rng.permutation(7)]
    rows = edge_rows(torch.tensor(shuffled), torch.tensor(at)).numpy()
    np.testing.assert_allclose(rows[[0, 2]], got[[0, 2]])


def test_weighted_is_a_matrix_product():
    rng = np.random.default_rng(3)
    matrix, x = rng.normal(size=(5, 4)), rng.normal(size=(2, 4, 3))
    got = weighted(torch.tensor(matrix), torch.tensor(x)).numpy()
    np.testing.assert_allclose(got, matrix @ x)
    flat = weighted(torch.tensor(matrix), torch.tensor(x[..., 0])).numpy()
    np.testing.assert_allclose(flat, (matrix @ x)[..., 0])


# ----------------------------------------------------------------------------------- errors
def test_wrong_arguments_are_refused(rig, model):
    r, weights = rig(), model.weights({"mouthSmile": 0.5})[None]
    for bad in (weights[0], weights[:, :5], np.full_like(weights, np.nan)):
        with pytest.raises(ShapeError, match="weights"):
            render_batch(r, bad)
    for bad in ([0, 0, 0], [[0, 0]], [[0, np.inf, 0]]):
        with pytest.raises(ShapeError, match="poses"):
            render_batch(r, weights, bad)
    with pytest.raises(UsageError, match="chunk"):
        render_batch(r, weights, chunk=0)
    for device in ("mps", "toaster", f"cuda:{torch.cuda.device_count()}"):
        with pytest.raises(UsageError, match="device"):
            render_batch(r, weights, device=device)


def test_poisson_rigs_are_refused(rig, model):
    r = rig(composite="poisson")
    with pytest.raises(UsageError, match="composite: expected 'warp'"):
        render_batch(r, model.weights({"mouthSmile": 0.5})[None])


def test_the_cpu_path_does_not_import_torch():
    code = "import sys, synth.render.face; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_pictures(rig, targets):
    r, (weights, poses) = rig(1, 256), targets
    for row, pose, got in zip(weights, poses, render_batch(r, weights, poses, "cuda"), strict=True):
        want = render(r, row, pose)
        assert difference(got, want).max() <= LEVELS
        np.testing.assert_allclose(got.landmarks, want.landmarks, atol=1e-2)
