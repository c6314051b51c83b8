"""Collections of meshes: folders and stacks."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from synth.errors import MeshError
from synth.meshes.collection import open_collection
from synth.meshes.mesh import Mesh, write_mesh

FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


@pytest.fixture
def meshes() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, meshes):
    for i, vertices in enumerate(meshes):
        path = tmp_path / "in" / f"S{i % 2}" / "happy_1" / f"{i:04d}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mesh(path, Mesh(vertices, FACES))
    return tmp_path / "in"


@pytest.fixture
def stack(tmp_path, meshes):
    np.save(tmp_path / "stack.npy", meshes)
    return tmp_path / "stack.npy"


def test_folder(folder, meshes):
    found = open_collection(folder)
    order = [0, 2, 4, 1, 3, 5]  # by name, subject first
    assert found.names[:2] == ("S0/happy_1/0000", "S0/happy_1/0002")
    assert len(found) == 6 and found.n_vertices == 4
    np.testing.assert_array_equal(found.faces, FACES)
    np.testing.assert_array_equal(found.read(slice(None)), meshes[order])


@pytest.mark.parametrize("kind", ["folder", "stack"])
def test_take_and_read(kind, request):
    found = open_collection(request.getfixturevalue(kind))
    whole = found.read(slice(None))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(found.read(np.array([4, 5, 1, 2, 0])), whole[[4, 5, 1, 2, 0]])
    np.testing.assert_array_equal(found.read(2), whole[2:3])
    part = found.take([5, 1, 2])
    assert part.names == tuple(found.names[i] for i in (5, 1, 2))
    np.testing.assert_array_equal(part.read(slice(1, 3)), whole[[1, 2]])
    np.testing.assert_array_equal(part.take([2]).read([0]), whole[[2]])
    assert found.read([]).shape == (0, 4, 3)
    blocks = list(found.blocks(4))
    assert [b.stop - b.start for b, _ in blocks] == [4, 2]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), whole)


def test_columns_and_stacked(folder, stack, tmp_path):
    meshes = open_collection(stack).take([4, 0, 5])
    whole = meshes.read(slice(None))
    np.testing.assert_array_equal(meshes.columns(slice(1, 3)), whole[:, 1:3])
    np.testing.assert_array_equal(meshes.columns(slice(3, 9)), whole[:, 3:])
    files = open_collection(folder)
    with pytest.raises(MeshError, match="expected a stack"):
        files.columns(slice(0, 1))
    made = files.take([3, 1]).stacked(tmp_path / "made.npy")
    assert made.names == (files.names[3], files.names[1])
    np.testing.assert_array_equal(made.read(slice(None)), files.read([3, 1]))
    np.testing.assert_array_equal(made.columns(slice(0, 2)), files.read([3, 1])[:, :2])
    assert meshes.stacked(tmp_path / "other.npy") is meshes


def test_stack_with_table_and_faces(stack, meshes):
    assert open_collection(stack).names[1] == "000001" and open_collection(stack).faces is None
    with open(stack.with_suffix(".csv"), "w", newline="") as file:
        csv.writer(file).writerows([["file_name"], *([f"S1/a/{i}"] for i in range(6))])
    np.save(stack.with_suffix(".faces.npy"), FACES)
    found = open_collection(stack)
    assert found.names[5] == "S1/a/5"
    np.testing.assert_array_equal(found.faces, FACES)


def test_stack_of_float64(tmp_path, meshes):
    np.save(tmp_path / "s.npy", meshes.astype(np.float64))
    np.testing.assert_array_equal(open_collection(tmp_path / "s.npy").read([3]), meshes[[3]])


def test_other_topology_is_named(folder, meshes):
    write_mesh(folder / "S1" / "odd.ply", Mesh(meshes[0], FACES[::-1]))
    with pytest.raises(MeshError, match=r"odd\.ply: expected the topology"):
        open_collection(folder).read(slice(None))


def test_one_name_twice(folder, meshes):
    write_mesh(folder / "S0" / "happy_1" / "0000.obj", Mesh(meshes[0], FACES))
    with pytest.raises(MeshError, match="two of 'S0/happy_1/0000'"):
        open_collection(folder)


def test_nan_is_named(stack, meshes):
    broken = meshes.copy()
    broken[3, 1, 0] = np.nan
    np.save(stack, broken)
    with pytest.raises(MeshError, match="NaN or infinity in '000003'"):
        open_collection(stack).read(slice(None))


def test_damaged_stacks(tmp_path, stack, meshes):
    with pytest.raises(MeshError, match="expected a folder"):
        open_collection(tmp_path / "none")
    np.save(tmp_path / "flat.npy", meshes.reshape(6, -1))
    with pytest.raises(MeshError, match=r"expected meshes \(N, V, 3\)"):
        open_collection(tmp_path / "flat.npy")
    np.save(tmp_path / "column.npy", np.asfortranarray(meshes))
    with pytest.raises(MeshError, match="column order"):
        open_collection(tmp_path / "column.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(MeshError, match=r"expected an \.npy"):
        open_collection(tmp_path / "text.npy")
    (tmp_path / "cut.npy").write_bytes(stack.read_bytes()[:-4])
    with pytest.raises(MeshError, match="cut"):
        open_collection(tmp_path / "cut.npy")
    np.save(stack.with_suffix(".faces.npy"), FACES + 1)
    with pytest.raises(MeshError, match="another stack"):
        open_collection(stack)
    np.save(stack.with_suffix(".faces.npy"), FACES)
    stack.with_suffix(".csv").write_text("file_name\na\nb\n")
    with pytest.raises(MeshError, match="expected 6 names"):
        open_collection(stack)
