"""The command of sparse components: meshes, stacks, labels, galleries, refusals."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from synth.assets import path
from synth.building.components import (
    Deformations,
    compare_components,
    gallery_deformations,
    mesh_deformations,
)
from synth.cli import cli
from synth.errors import AssetError, MeshError
from synth.images import load_image
from synth.meshes.mesh import Mesh, write_mesh
from synth.morphable.splocs import SplocsSettings, load_components
from synth.preview.components import components_sheet

SIDE = 11


def patch() -> tuple[np.ndarray, np.ndarray]:
    """A curved sheet, 100 mm wide, facing z."""
    axis = np.linspace(-50, 50, SIDE)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), 20 - (x.ravel() / 15) ** 2], 1)
    i, j = np.meshgrid(np.arange(SIDE - 1), np.arange(SIDE - 1), indexing="ij")
    a = (i * SIDE + j).ravel()
    return vertices, np.concatenate(
        [np.stack([a, a + SIDE, a + SIDE + 1], 1), np.stack([a, a + SIDE + 1, a + 1], 1)]
    )


def frames(count: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vertices, _ = patch()
    bumps = np.zeros((3, len(vertices), 3))
    for bump, (x, y) in zip(bumps, ((-30, -30), (30, 30), (-30, 30)), strict=True):
        away = np.hypot(vertices[:, 0] - x, vertices[:, 1] - y)
        bump[:, 2] = 6 * np.exp(-((away / 14) ** 2))
    return vertices + np.einsum("fk,kvd->fvd", rng.uniform(0, 1, (count, 3)), bumps)


def call(*args: object):
    result = CliRunner().invoke(cli, ["model", "components", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def stack(tmp_path):
    np.save(tmp_path / "s.npy", frames().astype(np.float32))
    np.save(tmp_path / "s.faces.npy", patch()[1].astype(np.int32))
    return tmp_path / "s.npy"


def test_command_writes_components_table_and_picture(stack, tmp_path):
    out = tmp_path / "out/c.npz"
    result = call(
        "--meshes", stack, "-o", out, "--components", "3", "--compare", "1,2,99",
        "--support", "20", "60",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = load_components(out)
    assert found.components.shape == (3, SIDE * SIDE, 3) and found.support.tolist() == [20, 60]
    with open(tmp_path / "out/c.report/components.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["components"] for r in rows] == ["1", "2", "3"]
    for row in rows:
        assert float(row["error_mm"]) >= float(row["pca_error_mm"])
    assert float(rows[0]["error_mm"]) > float(rows[-1]["error_mm"])
    picture = load_image(tmp_path / "out/c.report/components.png").pixels
    assert np.ptp(picture.reshape(-1, 3).astype(int), axis=1).max() > 100  # there is colour
    again = call("--meshes", stack, "-o", out)
    assert again.exit_code == 2 and "--overwrite" in again.output


def test_folder_and_stack_give_the_same(stack, tmp_path):
    _, faces = patch()
    for i, vertices in enumerate(frames()):
        (tmp_path / "m").mkdir(exist_ok=True)
        write_mesh(tmp_path / f"m/{i:03d}.ply", Mesh(vertices, faces))
    first, second = mesh_deformations(stack), mesh_deformations(tmp_path / "m")
    np.testing.assert_allclose(first.offsets, second.offsets, atol=1e-4)
    np.testing.assert_allclose(first.offsets.mean(0), 0, atol=1e-5)
    few = mesh_deformations(stack, most=5)
    assert len(few.offsets) == 5 and "5 of 24 meshes" in few.note


def test_labels_take_each_subjects_neutral_away(tmp_path):
    rest, faces = patch()
    moves = frames(10)[1:] - rest
    people = rest + np.array([0, 0, 5.0]) * (rest[:, :1] > 0), rest * [1, 1, 1.5]
    np.save(tmp_path / "s.npy", np.concatenate([np.stack([p, *(p + moves)]) for p in people]))
    np.save(tmp_path / "s.faces.npy", faces.astype(np.int32))
    names = [f"S{s}/x/{i}" for s in range(2) for i in range(10)]
    (tmp_path / "s.csv").write_text("file_name\n" + "\n".join(names) + "\n")
    rows = [f"{n},{n[:2]},0,0,{'neutral' if n.endswith('/0') else ''}" for n in names]
    table = tmp_path / "labels.csv"
    table.write_text("file_name,subject,valence,arousal,expression\n" + "\n".join(rows) + "\n")
    found = mesh_deformations(tmp_path / "s.npy", table)
    assert len(found.offsets) == 18 and "2 subjects" in found.note
    # the same moves of both, but for what the alignment of frames takes for the head's motion
    np.testing.assert_allclose(found.offsets[:9], found.offsets[9:], atol=0.6)
    away = np.linalg.norm(found.offsets[:9] - moves, axis=2)
    assert away.mean() < 0.4 * np.linalg.norm(moves, axis=2).mean()


def test_class_faces_of_the_gallery_are_those_of_its_weights():
    from synth.expressions.storage import load_gallery
    from synth.morphable.landmark_map import embedded_model

    found = gallery_deformations(path("va_gallery"))
    model, gallery = embedded_model(), load_gallery(path("va_gallery"))
    weights = dict(zip(gallery.names, gallery.class_weights[7], strict=True))
    whole = model.offsets([weights[name] for name in model.blendshape_names])
    place = [
        int(np.flatnonzero((model.mean == v.astype(model.mean.dtype)).all(1))[0])
        for v in found.shape[::500]
    ]
    np.testing.assert_allclose(found.offsets[6][::500], whole[place], atol=1e-5)
    assert found.faces.max() == len(found.shape) - 1


def test_equal_counts_and_bound():
    rest, faces = patch()
    given = Deformations(frames() - rest, rest, faces.astype(np.int32), "Planted.")
    found, rows = compare_components(given, 3, SplocsSettings(sparsity=0.5), (2,))
    assert [r.count for r in rows] == [2, 3] and len(found) == 3
    assert rows[1].principal < 1e-6 < rows[1].error < 0.1  # three bumps: of rank three
    assert rows[1].explained > 0.999 and rows[1].still > rows[1].principal_still
    sheet = components_sheet(found, columns=3, height=80)
    assert sheet.shape[1] > 2 * sheet.shape[0]


def test_refusals_are_one_line_and_write_nothing(stack, tmp_path):
    for args, message in (
        (("--meshes", stack, "--gallery", "embedded"), "got both or neither"),
        ((), "got both or neither"),
        (("--meshes", stack, "--components", "25"), "expected 1 to 24 for 24 frames"),
        (("--meshes", stack, "--compare", "a"), "compare: expected"),
        (("--meshes", stack, "--support", "9", "3"), "support: expected"),
        (("--meshes", tmp_path / "none"), "expected a folder of meshes"),
        (("--gallery", stack), "gallery: expected a file"),
    ):
        result = call(*args, "-o", tmp_path / "new/c.npz")
        assert result.exit_code in (1, 2) and message in result.output, result.output
        lines = result.output.strip().splitlines()
        assert [line.startswith("Error:") for line in lines].count(True) == 1 and message in lines[
            -1
        ]
        assert not (tmp_path / "new").exists()
    (tmp_path / "s.faces.npy").unlink()
    with pytest.raises(MeshError, match="expected triangles"):
        mesh_deformations(stack)
    with pytest.raises(AssetError, match="gallery: expected a file"):
        gallery_deformations(tmp_path / "none.npz")
