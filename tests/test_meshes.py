"""Meshes come back from files as they were; what is no mesh is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import MeshError
from synth.meshes.mesh import Mesh, list_meshes, read_mesh, vertex_normals, write_mesh

RNG = np.random.default_rng(3)
# a square twice folded, with a vertex that is used by no face and one that is there twice
VERTICES = np.vstack([RNG.normal(size=(6, 3)), RNG.normal(size=(1, 3)).repeat(2, axis=0)])
FACES = np.array([[0, 1, 2], [2, 3, 4], [5, 7, 0]], np.int32)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".off"])
def test_vertices_keep_their_order(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write_mesh(path, Mesh(VERTICES, FACES))
    found = read_mesh(path)
    assert found.name == "scan"
    np.testing.assert_allclose(found.vertices, VERTICES, atol=2e-6)
    np.testing.assert_array_equal(found.faces, FACES)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_colours_come_back(tmp_path):
    colors = RNG.integers(0, 256, (len(VERTICES), 3)).astype(np.uint8)
    write_mesh(tmp_path / "a.ply", Mesh(VERTICES, FACES, colors))
    np.testing.assert_array_equal(read_mesh(tmp_path / "a.ply").colors, colors)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("cloud.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "triangles"),
        ("far.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "expected"),
        ("nan.ply", None, "finite"),
        ("torn.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 9\n", "readable"),
        ("photo.jpg", b"x", "expected a mesh"),
    ],
)
def test_what_is_no_mesh_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    if content is None:
        head = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        head += "property float z\nelement face 1\nproperty list uchar int vertex_indices\n"
        content = (head + "end_header\nnan 0 0\n1 0 0\n0 1 0\n3 0 1 2\n").encode()
    path.write_bytes(content)
    with pytest.raises(MeshError, match=words) as caught:
        read_mesh(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(MeshError, match="expected a mesh file"):
        read_mesh(tmp_path / "no.obj")
    with pytest.raises(MeshError, match="expected a folder"):
        list_meshes(tmp_path / "no")
    with pytest.raises(MeshError, match="expected meshes"):
        list_meshes(tmp_path)


def test_meshes_are_listed_in_order(tmp_path):
    for name in ("b/2.obj", "b/1.ply", "a.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_mesh(tmp_path / name, Mesh(VERTICES, FACES))
    (tmp_path / "notes.txt").write_text("x")
    names = [p.relative_to(tmp_path).as_posix() for p in list_meshes(tmp_path)]
    assert names == ["a.obj", "b/1.ply", "b/2.obj"]


def test_normals_of_a_sphere_point_outwards():
    import trimesh

    ball = trimesh.creation.icosphere(3)
    normals = vertex_normals(np.asarray(ball.vertices), np.asarray(ball.faces))
    assert (normals * ball.vertices).sum(1).min() > 0.999
