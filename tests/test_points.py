"""Points of files: every format gives back what was put in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synth.errors import MeshError
from synth.meshes.points import POINT_SUFFIXES, points_beside, read_points, write_points

POINTS = np.array([[1.5, -2, 3], [np.nan] * 3, [4, 5, 6.25]])
ROWS = [[1.5, -2, 3], None, [4, 5, 6.25]]


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.txt", "# x y z\n1.5 -2 3\nnan nan nan\n4 5 6.25 # chin\n"),
        ("a.csv", "name,x,y,z\nleft,1.5,-2,3\n\nabsent,nan,nan,nan\nchin,4,5,6.25\n"),
        ("b.csv", "1.5;-2;3\n4;nan;6\n4;5;6.25\n"),
        ("a.pts", "version: 1\nn_points: 3\n{\n1.5 -2 3\nnan nan nan\n4 5 6.25\n}\n"),
        ("a.json", json.dumps(ROWS)),
        ("b.json", json.dumps({"points": ROWS})),
        ("a.ljson", json.dumps({"version": 2, "landmarks": {"points": ROWS}})),
        ("b.ljson", json.dumps({"groups": [{"landmarks": [
            {"point": [1.5, -2, 3]}, {"point": [None] * 3}, {"point": [4, 5, 6.25]}]}]})),
        ("c.ljson", json.dumps({"version": 3, "groups": {"LJSON": {"landmarks": {
            "points": ROWS}}}})),
    ],
)  # fmt: skip
def test_formats(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert np.array_equal(read_points(tmp_path / name), POINTS, equal_nan=True)


def test_arrays_and_what_is_written(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    write_points(tmp_path / "a.txt", POINTS)
    for name in ("a.npy", "a.txt"):
        assert np.array_equal(read_points(tmp_path / name), POINTS, equal_nan=True)


def test_file_of_a_mesh(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1/0001.csv").write_text("1,2,3\n")
    assert points_beside(tmp_path, "s1/0001") == tmp_path / "s1/0001.csv"
    assert points_beside(tmp_path, "s1/0002") is None
    assert ".ljson" in POINT_SUFFIXES


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.txt", "1 2\n3 4\n"),
        ("a.txt", ""),
        ("a.txt", "1 2 3\nfour five six\n"),
        ("a.json", "{}"),
        ("a.json", "[[1, 2], [3, 4]]"),
        ("a.json", "{"),
        ("a.npy", "no array"),
        ("a.xyz", "1 2 3\n"),
    ],
)
def test_bad_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=name) as caught:
        read_points(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(MeshError, match="none"):
        read_points(tmp_path / "a.txt")
