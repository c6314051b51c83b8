"""The z-buffer against a naive loop, an analytic plane, and pytorch3d where installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from synth.camera import project
from synth.errors import UsageError
from synth.render.raster import FAR, rasterise
from synth.testing import synthetic_camera


def naive(points, faces, box, scale=1):
    """Every pixel against every triangle, in plain numpy; ties go to the first triangle."""
    left, top, width, height = box
    x = left + (np.arange(width * scale) + 0.5) / scale - 0.5
    y = top + (np.arange(height * scale) + 0.5) / scale - 0.5
    gx, gy = np.meshgrid(x, y)
    ids = np.full(gx.shape, -1)
    depth = np.full(gx.shape, np.inf)
    for t, (a, b, c) in enumerate(points[faces]):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0:
            continue
        w1 = ((gx - a[0]) * (c[1] - a[1]) - (gy - a[1]) * (c[0] - a[0])) / area
        w2 = ((b[0] - a[0]) * (gy - a[1]) - (b[1] - a[1]) * (gx - a[0])) / area
        w0 = 1 - w1 - w2
        with np.errstate(divide="ignore", invalid="ignore"):
            z = 1 / (w0 / a[2] + w1 / b[2] + w2 / c[2])
        hit = (w0 >= 0) & (w1 >= 0) & (w2 >= 0) & (z < depth)
        ids[hit], depth[hit] = t, z[hit]
    return ids, depth


def soup(seed, n=60):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-5, 45, (n, 1, 2))
    xy = centre + rng.normal(0, 6, (n, 3, 2))
    points = np.concatenate((xy, rng.uniform(50, 80, (n, 3, 1))), 2).reshape(-1, 3)
    return points, np.arange(3 * n, dtype=np.int32).reshape(n, 3)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("box", [(0, 0, 40, 40), (7, 3, 21, 30)])
@pytest.mark.parametrize("seed", [0, 1])
def test_same_ids_as_the_naive_loop(seed, box, scale):
    points, faces = soup(seed)
    ids, _, depth = rasterise(points, faces, box, scale)
    expected, far = naive(points, faces, box, scale)
    assert (ids == expected).mean() == 1.0
    seen = ids >= 0
    np.testing.assert_allclose(depth[seen], far[seen], rtol=1e-5)
    assert (depth[~seen] == FAR).all()


def test_same_ids_on_the_face(model):
    points = project(model.mean, synthetic_camera(model, 15, 5, size=48))
    ids, _, depth = rasterise(points, model.faces, (0, 0, 48, 48))
    expected, far = naive(points, model.faces, (0, 0, 48, 48))
    differ = ids != expected
    # Edges through a pixel centre may go to either neighbour, at the same depth.
    assert differ.mean() < 0.002
    np.testing.assert_allclose(depth[differ & (ids >= 0)], far[differ & (ids >= 0)], rtol=1e-4)


def test_interpolation_is_perspective_correct():
    """A tilted plane: model coordinates interpolated in the picture equal the ray's hit."""
    focal, centre = 100.0, np.array([32, 32])
    corners = np.array([[-60, -50, 120], [70, -40, 260], [-20, 80, 180.0]])
    screen = np.column_stack((corners[:, :2] / corners[:, 2:] * focal + centre, corners[:, 2]))
    ids, bary, depth = rasterise(screen, np.array([[0, 1, 2]], np.int32), (0, 0, 64, 64))
    rows, cols = np.nonzero(ids == 0)
    assert len(rows) > 400
    weights = np.column_stack((1 - bary[ids == 0].sum(1), bary[ids == 0]))
    found = weights @ corners
    ray = np.column_stack(((cols - 32) / focal, (rows - 32) / focal, np.ones(len(rows))))
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    hit = ray * (normal @ corners[0] / (ray @ normal))[:, None]
    np.testing.assert_allclose(found, hit, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(depth[ids == 0], hit[:, 2], rtol=1e-5)
    # Linear interpolation in the picture would be off by several units.
    assert np.ptp(corners[:, 2]) > 100


def test_weights_of_the_picture_give_the_pixel_back():
    """However deep the corners lie, positions interpolate to the pixel's own."""
    points, faces = soup(3)
    points[:, 2] *= np.random.default_rng(3).uniform(1, 5, len(points))
    ids, bary, depth = rasterise(points, faces, (0, 0, 40, 40), perspective=False)
    same, other, far = rasterise(points, faces, (0, 0, 40, 40))
    np.testing.assert_array_equal(ids, same)
    np.testing.assert_array_equal(depth, far)
    rows, columns = np.nonzero(ids >= 0)
    w1, w2 = bary[rows, columns].T
    corners = points[faces[ids[rows, columns]], :2]
    weights = np.stack((1 - w1 - w2, w1, w2), 1)[..., None]
    np.testing.assert_allclose((weights * corners).sum(1), np.stack((columns, rows), 1), atol=1e-4)
    assert np.abs(bary - other).max() > 0.05  # and the two kinds do differ


def test_supersamples_sit_around_their_pixel():
    """A 2 x 2 coverage average is the exact area where edges run through sample midlines."""
    square = np.array([[3.0, 3, 10], [9, 3, 10], [9, 9, 10], [3, 9, 10]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    ids, _, _ = rasterise(square, faces, (0, 0, 13, 13), 2)
    coverage = (ids >= 0).reshape(13, 2, 13, 2).mean((1, 3))
    line = np.r_[np.zeros(3), 0.5, np.ones(5), 0.5, np.zeros(3)]
    np.testing.assert_array_equal(coverage, np.outer(line, line))
    single, _, _ = rasterise(square + (0.25, 0.25, 0), faces, (0, 0, 13, 13))
    np.testing.assert_array_equal(ids[1::2, 1::2] >= 0, rasterise(
        square - (0.25, 0.25, 0), faces, (0, 0, 13, 13))[0] >= 0)  # fmt: skip
    np.testing.assert_array_equal(ids[::2, ::2] >= 0, single >= 0)


def test_a_box_is_a_window(model):
    points = project(model.mean, synthetic_camera(model, size=96))
    whole = rasterise(points, model.faces, (0, 0, 96, 96))
    part = rasterise(points, model.faces, (20, 31, 40, 25))
    same = part[0] == whole[0][31:56, 20:60]
    assert same.mean() > 0.999


def test_outside_and_degenerate_triangles_draw_nothing():
    points = np.array([[1, 1, 5], [5, 5, 5], [9, 9, 5], [-9, -9, 5], [-5, -9, 5], [-9, -5, 5.0]])
    ids, _, _ = rasterise(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), (0, 0, 12, 12))
    assert (ids == -1).all()


def test_unknown_backend():
    with pytest.raises(UsageError, match="backend: expected one of numba, pytorch3d, got 'metal'"):
        rasterise(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), (0, 0, 4, 4), backend="metal")


@pytest.mark.skipif(
    importlib.util.find_spec("pytorch3d") is None, reason="pytorch3d is not installed"
)
@pytest.mark.parametrize("box", [(0, 0, 96, 96), (10, 4, 60, 88)])
def test_pytorch3d_sees_the_same_triangles(model, box):
    points = project(model.mean, synthetic_camera(model, 15, 5, size=96))
    ids, bary, depth = rasterise(points, model.faces, box)
    other, weights, far = rasterise(points, model.faces, box, backend="pytorch3d")
    same = ids == other
    assert same.mean() > 0.995  # float32 there: pixel centres on an edge may flip
    np.testing.assert_allclose(bary[same], weights[same], atol=0.02)
    np.testing.assert_allclose(depth[same], far[same], rtol=1e-3)
