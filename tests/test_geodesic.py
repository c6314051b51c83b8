"""Distances along surfaces against what geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import MeshError
from synth.meshes.geodesic import Geodesics, cotangent_laplacian


def plane(side: int, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A square grid, diagonals alternating."""
    axis = np.linspace(0, size, side)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(side * side)], 1)
    faces = []
    for i in range(side - 1):
        for j in range(side - 1):
            a, b, c, d = (
                i * side + j,
                (i + 1) * side + j,
                (i + 1) * side + j + 1,
                i * side + j + 1,
            )
            faces += [(a, b, c), (a, c, d)] if (i + j) % 2 else [(a, b, d), (b, c, d)]
    return vertices, np.array(faces)


def sphere(subdivisions: int = 4, radius: float = 50.0) -> tuple[np.ndarray, np.ndarray]:
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def test_plane_is_straight_lines():
    vertices, faces = plane(41)
    sources = [20 * 41 + 20, 5 * 41 + 30, 0]
    found = Geodesics(vertices, faces).distances(sources)
    true = np.linalg.norm(vertices[sources][:, None] - vertices[None], axis=2)
    assert np.abs(found - true)[:2].mean() < 0.012 and np.abs(found - true)[:2].max() < 0.05
    assert found[[0, 1, 2], sources].tolist() == [0, 0, 0]


def test_sphere_is_great_circles():
    radius = 50.0
    vertices, faces = sphere(4, radius)
    found = Geodesics(vertices, faces).distances([0, 777])
    cosine = np.clip(vertices @ vertices[[0, 777]].T / radius**2, -1, 1)
    true = radius * np.arccos(cosine.T)
    near = true < 0.9 * np.pi * radius
    assert np.abs(found - true)[near].max() < 0.02 * np.pi * radius
    # well beyond straight lines through the ball
    chord = np.linalg.norm(vertices - vertices[0], axis=1)
    assert found[0].max() > 1.4 * chord.max()


def test_distances_scale_and_do_not_move():
    vertices, faces = sphere(2)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    first = Geodesics(vertices, faces).distances([3])
    second = Geodesics(7 * vertices @ turn.T + [5, -2, 9], faces).distances([3])
    np.testing.assert_allclose(second, 7 * first, rtol=1e-5, atol=1e-6)


def test_many_sources_are_the_single_ones():
    vertices, faces = sphere(2)
    geodesics = Geodesics(vertices, faces)
    many = geodesics.distances(np.arange(40))
    for i in (0, 17, 39):
        np.testing.assert_allclose(many[i], geodesics.distances([i])[0], atol=1e-9)


def test_separate_pieces_and_lone_vertices_are_infinitely_far():
    vertices, faces = plane(6)
    both = np.concatenate([vertices, vertices + [0, 0, 1], [[9.0, 9, 9]]])
    found = Geodesics(both, np.concatenate([faces, faces + 36])).distances([0, 40])
    alone = Geodesics(vertices, faces).distances([0, 4])
    np.testing.assert_allclose(found[0, :36], alone[0], atol=1e-6)
    np.testing.assert_allclose(found[1, 36:72], alone[1], atol=1e-6)
    assert np.isinf(found[0, 36:]).all() and np.isinf(found[1, :36]).all()


def test_laplacian_knows_linear_functions_and_the_area():
    vertices, faces = plane(9, 3.0)
    laplacian, areas = cotangent_laplacian(vertices, faces)
    assert areas.sum() == pytest.approx(9.0)
    inside = ((vertices[:, :2] > 1e-9) & (vertices[:, :2] < 3 - 1e-9)).all(1)
    np.testing.assert_allclose((laplacian @ vertices)[inside], 0, atol=1e-12)
    np.testing.assert_allclose(laplacian @ np.ones(81), 0, atol=1e-12)


def test_a_mesh_without_faces_is_refused():
    with pytest.raises(MeshError, match="expected triangles"):
        Geodesics(np.zeros((4, 3)), np.zeros((0, 3), int))
