"""synth model build: meshes in, a model and its report out, and how it refuses."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scipy.linalg import subspace_angles
from scipy.spatial.transform import Rotation

from synth import assets
from synth.cli import cli
from synth.errors import AssetError
from synth.meshes.mesh import Mesh, write_mesh
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import native_model, save_model

#: Grid points a side of the face below.
SIDE = 21


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, ["model", "build", *map(str, args)], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


@pytest.fixture(scope="module")
def truth(model) -> MorphableModel:
    """A bulging sheet with four modes and the landmarks of the embedded model pressed on it."""
    across, up = np.meshgrid(np.linspace(-80, 80, SIDE), np.linspace(-110, 80, SIDE))
    depth = 60 - across**2 / 110 - (up + 20) ** 2 / 260
    mean = np.stack([across, up, depth], -1).reshape(-1, 3)
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    faces = np.concatenate([
        np.stack([corner, corner + 1, corner + SIDE], 1),
        np.stack([corner + 1, corner + SIDE + 1, corner + SIDE], 1),
    ])  # fmt: skip
    marks = model.landmarks(model.mean)[:, :2]
    ids = ((mean[:, None, :2] - marks) ** 2).sum(2).argmin(0)
    rng = np.random.default_rng(0)
    free = np.column_stack([
        *(np.cross(axis, mean).ravel() for axis in np.eye(3)),
        *(np.tile(axis, (len(mean), 1)).ravel() for axis in np.eye(3)),
        *rng.normal(size=(4, mean.size)),
    ])  # fmt: skip
    basis = np.linalg.qr(free)[0][:, 6:].T.reshape(4, -1, 3)
    sigma = np.array([60.0, 40, 25, 15])
    return native_model("sheet", "1", mean, faces, basis * sigma[:, None, None], sigma, ids)


@pytest.fixture(scope="module")
def registered(truth, tmp_path_factory) -> Path:
    """What registration leaves: 30 neutral meshes of 15 subjects, smiles, and the template."""
    root = tmp_path_factory.mktemp("registered")
    rng = np.random.default_rng(1)
    turns = Rotation.random(40, random_state=1).as_matrix()
    rows = [("file_name", "subject", "expression")]
    for i in range(40):
        kind = "neutral" if i < 30 else "happiness"
        name = f"S{i % 15:02d}/{kind}/{i:04d}"
        vertices = truth.shape(rng.normal(size=4)) @ turns[i] + rng.normal(size=3) * 50
        if kind != "neutral":
            vertices = vertices * (1, 3, 1)
        path = root / "meshes" / f"{name}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mesh(path, Mesh(vertices, truth.faces))
        rows.append((f"{name}.ply", f"person {i % 15}", kind))
    rows.append(("S99/neutral/0000.ply", "person 99", "neutral"))
    with open(root / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    save_model(truth, root / "template.npz")
    return root


@pytest.fixture(scope="module")
def built(registered, tmp_path_factory) -> tuple[Path, Result]:
    output = tmp_path_factory.mktemp("built") / "mine.npz"
    result = call(
        "--meshes", registered / "meshes", "-o", output, "--labels", registered / "labels.csv",
        "--licence", "CC0", "--source", "made up",
    )  # fmt: skip
    return output, result


def test_model(built, truth):
    output, result = built
    assert result.exit_code == 0, result.output
    found = load_model(output)
    assert (found.name, found.version) == ("mine", "1")
    np.testing.assert_array_equal(found.faces, truth.faces)
    # All four modes are there; the meshes have no other.
    assert found.n_modes == 4 and found.blendshapes.shape == (0, found.n_vertices, 3)
    angles = subspace_angles(found.modes.reshape(4, -1).T, truth.modes.reshape(4, -1).T)
    # The mean of 30 faces is not quite the true one, nor are the landmarks that set its axes.
    assert np.degrees(angles).max() < 6
    distances = np.linalg.norm(found.mean - truth.mean, axis=1)
    assert distances.mean() < 0.35 * np.sqrt((truth.sigma**2).sum() / truth.n_vertices)
    np.testing.assert_allclose(found.sigma, truth.sigma, rtol=0.5)


def test_record(built):
    meta = load_model(built[0]).meta
    assert meta["licence"] == "CC0" and meta["source"] == "made up"
    assert meta["built_from"]["meshes"] == 30 and meta["built_from"]["subjects"] == 15
    assert "10 other expressions, 1 rows without mesh" in meta["built_from"]["sample"]
    assert len(meta["built_from"]["names_sha256"]) == 64
    assert meta["settings"]["variance"] == 0.995 and meta["variance_kept"] > 0.995


def test_report(built):
    folder = built[0].with_suffix(".report")
    assert sorted(p.name for p in folder.iterdir()) == [
        "curves.csv", "curves.png", "meshes.csv", "report.md",
    ]  # fmt: skip
    with open(folder / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["modes"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[-1]["compactness"]) > 0.999
    # Four modes of others describe everybody: there is nothing else.
    assert float(rows[-1]["generalisation_mm"]) < 0.2
    assert float(rows[0]["generalisation_low"]) < float(rows[0]["generalisation_mm"])
    with open(folder / "meshes.csv", newline="") as file:
        meshes = list(csv.DictReader(file))
    assert len(meshes) == 30 and meshes[0]["subject"] == "person 0"
    assert Image.open(folder / "curves.png").size[0] > 900
    assert "15 subjects" in (folder / "report.md").read_text()


def test_the_carrier_comes_with_the_model_of_a_face(model, tmp_path):
    from synth.morphable.carrier import dressed, with_carrier
    from synth.morphable.known_natives import skin_model

    skin = skin_model(model)
    save_model(skin, tmp_path / "template.npz")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "faces.npy", [skin.shape(rng.normal(0, 1, 9)) for _ in range(5)])
    np.save(tmp_path / "faces.faces.npy", skin.faces)
    result = call("--meshes", tmp_path / "faces.npy", "-o", tmp_path / "mine.npz")
    assert result.exit_code == 0 and "cannot be drawn" not in result.output, result.output
    kept = load_model(tmp_path / "mine.npz")
    fresh = with_carrier(replace(kept, carrier=None), model).carrier
    drawn = dressed(kept, model, kept.carrier)
    assert np.abs(drawn.mean - dressed(kept, model, fresh).mean).max() < 1e-3


def test_a_model_that_cannot_be_drawn_says_so(registered, tmp_path, monkeypatch):
    def none(*_):
        raise AssetError("model: expected a face, got a sheet")

    monkeypatch.setattr("synth.building.model.with_carrier", none)
    output = tmp_path / "mine.npz"
    result = call("--meshes", registered / "meshes", "-o", output)
    assert result.exit_code == 0, result.output
    said = [line for line in result.output.splitlines() if "cannot be drawn" in line]
    assert len(said) == 1 and "got a sheet" in said[0]
    assert load_model(output).carrier is None


def test_nothing_else_is_left(built):
    assert sorted(p.name for p in built[0].parent.iterdir()) == ["mine.npz", "mine.report"]


def test_same_again(built, registered, tmp_path):
    """Also from a stack, block by block, by another way to the components."""
    again = tmp_path / "mine.npz"
    labels = registered / "labels.csv"
    meshes = registered / "meshes"
    arguments = ["--labels", labels, "--licence", "CC0", "--source", "made up"]
    assert call("--meshes", meshes, "-o", again, *arguments).exit_code == 0
    assert again.read_bytes() == built[0].read_bytes()

    from synth.meshes.collection import open_collection

    whole = open_collection(meshes)
    np.save(tmp_path / "stack.npy", whole.read(slice(None)))
    with open(tmp_path / "stack.csv", "w", newline="") as file:
        csv.writer(file).writerows([["file_name"], *([name] for name in whole.names)])
    other = tmp_path / "other.npz"
    result = call(
        "--meshes", tmp_path / "stack.npy", "-o", other, "--template", built[0],
        "--memory", "0.05", *arguments,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    first, second = load_model(built[0]), load_model(other)
    np.testing.assert_allclose(first.mean, second.mean, atol=1e-4)
    np.testing.assert_allclose(first.modes, second.modes, atol=1e-4)


def test_landmark_map_instead_of_a_template(built, registered, truth, tmp_path):
    corner = truth.landmark_bary.argmax(1)
    ids = truth.faces[truth.landmark_faces, corner]
    text = "# of the sheet\n" + "".join(f"{i} {v}  # landmark\n" for i, v in enumerate(ids))
    (tmp_path / "map.txt").write_text(text)
    output = tmp_path / "new" / "mine.npz"
    result = call(
        "--meshes", registered / "meshes", "-o", output, "--modes", 2, "--labels",
        registered / "labels.csv", "--landmarks", tmp_path / "map.txt", "--name", "sheet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = load_model(output)
    assert found.name == "sheet" and found.n_modes == 2
    np.testing.assert_allclose(found.mean, load_model(built[0]).mean, atol=1e-6)


def test_without_labels_folders_are_subjects(registered, tmp_path):
    result = call("--meshes", registered / "meshes", "-o", tmp_path / "all.npz", "--scale")
    assert result.exit_code == 0, result.output
    assert "40 meshes of 15 subjects" in result.output
    # The ten stretched ones are what the report tells to look at.
    with open(tmp_path / "all.report" / "meshes.csv", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["score"]))
    assert {row["file_name"].split("/")[1] for row in rows[:10]} == {"happiness"}


# -------------------------------------------------------------------------------- refusals
def refused(tmp_path: Path, *args: object) -> str:
    """The one line of a refusal, after which there is nothing in the output folder."""
    output = tmp_path / "out" / "mine.npz"
    result = call("-o", output, *args)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(lines) == 1 and "expected" in lines[0]
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    return lines[0]


def test_mismatched_topology(registered, truth, tmp_path):
    folder = tmp_path / "meshes"
    for i, faces in enumerate([truth.faces, truth.faces, truth.faces, truth.faces[:-1]]):
        (folder / f"{i}").mkdir(parents=True)
        write_mesh(folder / f"{i}" / "m.ply", Mesh(truth.mean, faces))
    line = refused(tmp_path, "--meshes", folder, "--template", registered / "template.npz")
    assert "expected the topology of" in line and "3/m.ply" in line


def test_template_of_another_mesh(registered, tmp_path):
    other = assets.path("anny_face")
    line = refused(tmp_path, "--meshes", registered / "meshes", "--template", other)
    assert "topology" in line


def test_no_template(registered, tmp_path, truth):
    np.save(tmp_path / "s.npy", np.stack([truth.mean] * 4))
    assert "--template" in refused(tmp_path, "--meshes", tmp_path / "s.npy")
    (tmp_path / "map.txt").write_text("30 4\n")
    line = refused(tmp_path, "--meshes", tmp_path / "s.npy", "--landmarks", tmp_path / "map.txt")
    assert "s.faces.npy" in line


def test_landmarks_of_another_mesh(registered, truth, tmp_path):
    meshes = registered / "meshes"
    path = tmp_path / "map.txt"
    path.write_text("30 99999\n")
    assert "another mesh" in refused(tmp_path, "--meshes", meshes, "--landmarks", path)
    shuffled = np.random.default_rng(0).permutation(truth.n_vertices)[:68]
    path.write_text("".join(f"{i} {v}\n" for i, v in enumerate(shuffled)))
    line = refused(tmp_path, "--meshes", meshes, "--landmarks", path)
    assert "map" in line
    path.write_text("thirty 4\n")
    assert "line 1" in refused(tmp_path, "--meshes", meshes, "--landmarks", path)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few(registered, truth, tmp_path, count):
    np.save(tmp_path / "s.npy", np.stack([truth.mean] * count))
    line = refused(
        tmp_path, "--meshes", tmp_path / "s.npy", "--template", registered / "template.npz"
    )
    assert f"at least 3 meshes to build a model from, got {count}" in line


def test_numbers_that_are_none(registered, truth, tmp_path):
    broken = np.stack([truth.mean] * 5)
    broken[3, 7, 1] = np.nan
    np.save(tmp_path / "s.npy", broken)
    line = refused(
        tmp_path, "--meshes", tmp_path / "s.npy", "--template", registered / "template.npz"
    )
    assert "'000003'" in line


def test_labels_that_do_not_fit(registered, tmp_path):
    meshes, labels = registered / "meshes", tmp_path / "labels.csv"
    for text, said in (
        ("file_name\na\n", "without subject"),
        ("file_name,subject\nS00/neutral/0000,\n", "expected a subject"),
        ("file_name,subject\nS00/neutral/0000,1\nS00/neutral/0015,1\nS01/neutral/0001,2\n",
         "at least 3 subjects"),
        ("file_name,subject\nother/0000,1\n", "at least 3 meshes"),
    ):  # fmt: skip
        labels.write_text(text)
        assert said in refused(tmp_path, "--meshes", meshes, "--labels", labels)
    assert "readable CSV" in refused(tmp_path, "--meshes", meshes, "--labels", tmp_path / "no.csv")


@pytest.mark.parametrize(
    "wish", [("--variance", 1.5), ("--modes", 0), ("--modes", 40), ("--folds", 1)]
)
def test_impossible_settings(registered, tmp_path, wish):
    assert wish[0][2:] in refused(tmp_path, "--meshes", registered / "meshes", *wish)


def test_what_is_there_stays(built, registered):
    output, before = built[0], built[0].read_bytes()
    result = call("--meshes", registered / "meshes", "-o", output)
    assert result.exit_code == 2 and "--overwrite" in result.output
    assert output.read_bytes() == before
    result = call("--meshes", registered / "meshes", "-o", output.with_suffix(".txt"))
    assert result.exit_code == 2 and "NAME.npz" in result.output
