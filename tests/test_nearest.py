"""Nearest points on a surface, against every triangle tried."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import MeshError
from synth.meshes.nearest import Surface


def every_triangle(points, vertices, faces):
    """Distances by brute force: the plane's foot if inside, else the nearest of three edges."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    best = np.full(len(points), np.inf)
    for n, p in enumerate(points):
        foot = p - np.sum((p - a) * normal, 1, keepdims=True) * normal / np.maximum(
            np.sum(normal**2, 1, keepdims=True), 1e-30
        )
        inside = np.linalg.norm(normal, axis=1) > 1e-12
        for s, e in ((a, b), (b, c), (c, a)):
            inside &= np.sum(np.cross(e - s, foot - s) * normal, 1) >= 0
            t = np.clip(
                np.sum((p - s) * (e - s), 1) / np.maximum(np.sum((e - s) ** 2, 1), 1e-30), 0, 1
            )
            best[n] = min(best[n], np.linalg.norm(p - s - t[:, None] * (e - s), axis=1).min())
        if inside.any():
            best[n] = min(best[n], np.linalg.norm(p - foot, axis=1)[inside].min())
    return best


@pytest.fixture(scope="module")
def soup():
    """Triangles of very different sizes, some degenerate."""
    rng = np.random.default_rng(3)
    centre = rng.normal(0, 30, (301, 1, 3))
    size = 10 ** rng.uniform(-2, 1.5, (301, 1, 1))
    vertices = (centre + size * rng.normal(size=(301, 3, 3))).reshape(-1, 3)
    faces = np.arange(903).reshape(-1, 3)
    faces[::50, 2] = faces[::50, 1]
    return vertices, faces


def test_distance_is_the_least_of_all_triangles(soup):
    points = np.random.default_rng(4).normal(0, 40, (300, 3))
    found = Surface(*soup).nearest(points)
    assert np.allclose(found.distance, every_triangle(points, *soup), atol=1e-9)
    assert np.allclose(np.linalg.norm(points - found.point, axis=1), found.distance)


def test_face_and_bary_say_the_same_as_the_point(soup):
    points = np.random.default_rng(5).normal(0, 40, (100, 3))
    surface = Surface(*soup)
    found = surface.nearest(points)
    assert np.allclose(surface.at(found.face, found.bary), found.point)
    assert found.bary.min() >= 0 and np.allclose(found.bary.sum(1), 1)


def test_a_point_of_the_surface_is_nearest_to_itself(soup):
    rng = np.random.default_rng(6)
    surface = Surface(*soup)
    points = surface.at(rng.integers(0, 301, 200), rng.dirichlet((1, 1, 1), 200))
    assert surface.nearest(points).distance.max() < 1e-9


def test_one_triangle_and_no_points():
    surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    assert np.allclose(surface.nearest([[0.2, 0.2, 5]]).point, [[0.2, 0.2, 0]])
    assert surface.nearest(np.zeros((0, 3))).point.shape == (0, 3)


def test_it_refuses_what_it_cannot_use():
    with pytest.raises(MeshError, match="faces"):
        Surface(np.zeros((3, 3)), np.zeros((0, 3), int))
    with pytest.raises(MeshError, match="finite"):
        Surface(np.full((3, 3), np.nan), [[0, 1, 2]])
    with pytest.raises(MeshError, match="points"):
        Surface(np.eye(3), [[0, 1, 2]]).nearest([[np.nan, 0, 0]])
