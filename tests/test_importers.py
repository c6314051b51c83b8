"""Importers: known models written in each published layout come back; bad files are refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from click.testing import CliRunner

from synth.cli import cli
from synth.errors import AssetError, DependencyError, MeshError, UsageError
from synth.meshes.rigid import similarity
from synth.morphable.importers import FORMATS, import_model
from synth.morphable.importers.cereal import Archive
from synth.morphable.importers.flame import JAW_OPEN, jaw_open
from synth.morphable.importers.ict import _read_obj
from synth.morphable.importers.pickles import dense, loads
from synth.morphable.importers.raw import shipped_map
from synth.morphable.importers.surrey import _model
from synth.morphable.model import load_model


def _load_writers() -> Any:
    spec = importlib.util.spec_from_file_location(
        "model_files", Path(__file__).with_name("model_files.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_files"] = module
    spec.loader.exec_module(module)
    return module


files = _load_writers()
LARGE = ("lsfm", "bfm2009")  # as the others, but seconds

#: Written by eos 1.5.0 itself: four vertices, two modes, a blendshape "happy", a landmark.
BY_EOS = (
    "BAAAAAwAAAABAAAAAAAAAAAAwD8AAEBAAACQQAAAwEAAAPBAAAAQQQAAKEEAAEBBAABYQQAAcEEA"
    "AIRBDAAAAAIAAAAAAAAAAACAPgAAAD8AAEA/AACAPwAAoD8AAMA/AADgPwAAAEAAABBAAAAgQAAA"
    "MEAAAEBAAABQQAAAYEAAAHBAAACAQAAAiEAAAJBAAACYQAAAoEAAAKhAAACwQAAAuEACAAAAAQAA"
    "AAAAgEAAAIA/AgAAAAAAAAAAAAAAAQAAAAIAAAABAAAAAwAAAAIAAAAAAAAAAQAAAAAAAAAAAAAA"
    "AAAAAAEAAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAFAAAAAAAAAGhhcHB5DAAAAAEAAAAAAAAAAACA"
    "vwAAAMAAAEDAAACAwAAAoMAAAMDAAADgwAAAAMEAABDBAAAgwQAAMMEAAQAAAAAAAAACAAAAAAAA"
    "ADMxAwAAAAEAAAAAAAAAAAAAAAAA4D8AAAAAAADQPwEAAAAAAAAAAAAAAAEAAAACAAAA"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Layout -> its `Truth`, written once."""
    made: dict[str, Any] = {}

    def get(layout: str) -> Any:
        if layout not in made:
            made[layout] = files.WRITERS[layout](tmp_path_factory.mktemp(layout))
        return made[layout]

    return get


@pytest.fixture(scope="module")
def imported(written):
    """Layout -> the model made of it, imported once."""
    made: dict[str, Any] = {}

    def get(layout: str) -> Any:
        if layout not in made:
            made[layout] = import_model(written(layout).format, written(layout).path)
        return made[layout]

    return get


# ------------------------------------------------------------------ known truth


@pytest.mark.parametrize(
    "layout",
    [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in files.WRITERS],
)
def test_a_model_in_its_published_layout_comes_back(written, imported, layout):
    truth, model = written(layout), imported(layout)
    scale, rotation, shift = similarity(truth.mean, model.mean)

    def at(points):
        return scale * points @ rotation.T + shift

    assert scale == pytest.approx(1, abs=1e-5)
    assert np.abs(at(truth.mean) - model.mean).max() < 1e-4
    assert np.abs(truth.modes @ rotation.T - model.modes[: len(truth.modes)]).max() < 1e-4
    np.testing.assert_allclose(model.sigma[: len(truth.sigma)], truth.sigma, rtol=1e-5)
    points = model.landmarks(model.mean)
    assert np.abs(points - at(truth.landmarks))[truth.known].max() < 1e-4
    # the mean is the embedded one's, so those found by geometry are exact, too
    assert np.abs(points - at(truth.landmarks)).max() < 1e-3
    found = model.meta.get("landmarks_found_by_geometry", [])
    assert set(found) == set(np.flatnonzero(~truth.known).tolist())
    for name, offsets in truth.shapes.items():
        if name in model.blendshape_names and not (layout[:5] == "flame" and name == "jawOpen"):
            mine = model.blendshapes[model.blendshape_names.index(name)]
            # an eigenvector's sign is nobody's
            error = min(np.abs(offsets @ rotation.T - s * mine).max() for s in (1, -1))
            assert error < 1e-4, name
    assert model.meta["format"] == truth.format and model.meta["licence"]
    if truth.path.is_file():
        digest = hashlib.sha256(truth.path.read_bytes()).hexdigest()
        assert model.meta["files"][truth.path.name] == digest


def test_the_bytes_of_eos_itself(tmp_path):
    model = _model(Archive(base64.b64decode(BY_EOS)))
    np.testing.assert_array_equal(model.shape.mean, 1.5 * np.arange(12))
    np.testing.assert_array_equal(model.shape.basis, 0.25 * np.arange(24).reshape(2, 12).T)
    assert model.shape.faces.tolist() == [[0, 1, 2], [1, 3, 2]]
    assert model.shape.variance.tolist() == [4, 1]
    np.testing.assert_array_equal(model.blendshapes["happy"], -np.arange(12))
    assert model.landmarks == {"31": 3}


@pytest.mark.parametrize("version, kind", [(1, None), (2, 1), (3, 0), (4, 1)])
def test_versions_of_eos(version, kind):
    truth = files.face(3448, np.full(68, -1), shapes=("jawOpen",))
    model = _model(Archive(files.eos_model(truth, version, kind)))
    np.testing.assert_allclose(model.shape.mean, truth.mean.ravel(), atol=1e-4)
    assert (model.expression is not None) == (kind == 0)
    assert list(model.blendshapes) == (["jawOpen"] if kind == 1 else [])


def test_menpo_gzipped_and_wrapped(written, tmp_path, monkeypatch):
    """As menpo exports it, and in the ShapeModel of menpo3d, which is not installed."""
    truth = written("menpo")
    path = tmp_path / "model.pkl.gz"
    path.write_bytes(gzip.compress(truth.path.read_bytes(), 1))
    model = import_model("lsfm", path)
    assert model.n_vertices == len(truth.mean)
    assert "ibug68" in model.meta["landmark_map"]

    class ShapeModel:
        pass

    home = "menpo3d.morphablemodel.shapemodel"
    ShapeModel.__module__, ShapeModel.__qualname__ = home, "ShapeModel"
    wrapped = ShapeModel()
    wrapped.model = pickle.loads(truth.path.read_bytes())
    for name in ("menpo3d", "menpo3d.morphablemodel", home):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[home].ShapeModel = ShapeModel
    path = tmp_path / "wrapped.pkl"
    path.write_bytes(pickle.dumps(wrapped))
    np.testing.assert_array_equal(import_model("lsfm", path).modes, model.modes)


def test_the_command_lists_the_formats():
    from synth.cli.model_import import FORMATS as listed

    assert tuple(FORMATS) == listed


def test_cropped_lsfm_finds_its_landmarks_through_the_table():
    from synth.morphable.importers.lsfm import _shipped

    full, _ = shipped_map("lsfm")
    table = np.full(53215, -1)
    table[full[17:]] = np.arange(51)
    ids, _ = _shipped(28431, table)
    assert (ids[:17] == -1).all() and ids[17:].tolist() == list(range(51))
    assert _shipped(1000, None) == (None, "")


def test_flame_opens_its_jaw_about_the_joint(written, imported):
    truth, model = written("flame"), imported("flame")
    arrays = files.flame_arrays(truth)
    arrays["J_regressor"] = arrays["J_regressor"].toarray()
    mean = arrays["v_template"]
    mine = jaw_open(arrays, mean)
    # naive: one vertex at a time, the whole rotation matrix
    c, s = np.cos(JAW_OPEN), np.sin(JAW_OPEN)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    joint = arrays["J_regressor"][2] @ mean
    for v in (0, 5, 700, 3531, 3416):
        feature = (turn - np.eye(3)).ravel()
        posed = mean[v] + arrays["posedirs"][v][:, 9:18] @ feature
        w = arrays["weights"][v, 2]
        expected = (1 - w) * posed + w * (turn @ (posed - joint) + joint) - mean[v]
        np.testing.assert_allclose(mine[v], expected, atol=1e-12)
    opened = model.landmarks(model.mean + model.offsets(model.weights({"jawOpen": 1})))
    closed = model.landmarks(model.mean)
    assert (closed - opened)[[8, 57], 1].min() > 10  # chin and lower lip go down,
    assert np.abs(closed - opened)[[27, 36, 45]].max() < 1  # the upper face does not
    assert {"left_eye", "right_eye"} <= {model.part_names[p] for p in np.unique(model.parts)}
    left = model.mean[model.faces[model.parts == model.part_names.index("left_eye")], 0]
    assert left.min() > 0


def test_flame_npz_with_an_object_in_it(written, tmp_path):
    truth = written("flame")
    arrays = files.flame_arrays(truth)
    path = tmp_path / "flame.npz"
    np.savez(path, **arrays)  # the sparse regressor becomes an array of one object
    model = import_model("flame", path)
    assert "jawOpen" in model.blendshape_names


def test_ict_names_and_polygons(imported, tmp_path):
    model = imported("ict")
    assert set(model.blendshape_names) == {"browInnerUp", "eyeBlinkLeft", "jawOpen"}
    assert len(model.meta["files"]) == 1 + files.MODES + 4
    path = tmp_path / "quad.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nf 1/1/1 2/1/1 3/1/1 4/1/1\n")
    assert _read_obj(path, True)[1].tolist() == [[0, 1, 2], [0, 2, 3]]


def test_shipped_maps_name_each_vertex_once():
    counts = {
        "lsfm": (68, 53215), "flame": (68, 5023), "ict": (68, 11248), "bfm2009": (18, 53490),
        "bfm2017": (26, 53149), "surrey": (50, 3448),
    }  # fmt: skip
    for name, (known, vertices) in counts.items():
        ids, source = shipped_map(name)
        used = ids[ids >= 0]
        assert len(used) == len(set(used.tolist())) == known and used.max() < vertices
        assert {36, 39, 42, 45, 48, 54} <= set(np.flatnonzero(ids >= 0).tolist())
        assert name in source


def test_anny_needs_its_package_and_runs_the_build(monkeypatch, model):
    from synth.morphable import build
    from synth.morphable.importers import anny

    if importlib.util.find_spec("anny") is None:
        with pytest.raises(DependencyError, match="anny"):
            import_model("anny", None)
    names = ("mean modes sigma blendshapes faces parts uv landmark_faces landmark_bary mirror "
             "contour").split()  # fmt: skip
    arrays = {n: np.asarray(getattr(model, n)) for n in names} | {
        "blendshape_names": np.array(model.blendshape_names),
        "part_names": np.array(model.part_names),
        "meta": np.array('{"name": "anny_face", "version": "1", "licence": "CC0-1.0"}'),
    }
    monkeypatch.setattr(anny, "require", lambda *a, **k: None)
    monkeypatch.setattr(build, "build", lambda settings, cache=None: arrays)
    made = import_model("anny", None, name="mine")
    assert made.name == "mine" and made.meta["format"] == "anny"
    np.testing.assert_array_equal(made.faces, model.faces)


# ------------------------------------------------------------------ pickles that want code


class _Runs:
    """A pickle that calls something when it is loaded."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


def _in_an_object_array(thing: Any) -> Any:
    holder = np.empty(1, object)
    holder[0] = thing
    return holder


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"v_template": x}, _in_an_object_array])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("format", ["flame", "lsfm"])
def test_a_pickle_with_code_does_not_run_it(tmp_path, format, protocol, wrap):
    witness = tmp_path / "ran"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(wrap(_Runs(os.system, f"touch {witness}")), protocol=protocol))
    with pytest.raises(AssetError, match="system.*refused, nothing was run"):
        import_model(format, path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "call, arguments",
    [
        (eval, ("1+1",)),
        (getattr, (1, "real")),
        (np.load, ("x.npy",)),
        (np.fromfile, ("x",)),
        (open, ("x",)),
        (importlib.import_module, ("os",)),
    ],
)
def test_other_functions_are_refused_by_name(call, arguments):
    with pytest.raises(AssetError, match=call.__name__):
        loads(pickle.dumps(_Runs(call, *arguments)), "model.pkl")


def test_code_in_the_object_of_an_npz(tmp_path):
    witness = tmp_path / "ran"
    path = tmp_path / "flame.npz"
    np.savez(path, v_template=_in_an_object_array(_Runs(os.system, f"touch {witness}")))
    with pytest.raises(AssetError, match="refused"):
        import_model("flame", path)
    assert not witness.exists()


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix"])
def test_sparse_matrices_without_scipys_code(kind):
    dense_ = np.arange(12.0).reshape(3, 4) * (np.arange(4) % 2)
    data = pickle.dumps(getattr(scipy.sparse, kind)(dense_), protocol=2)
    value = loads(data, "x")
    assert not isinstance(value, scipy.sparse.spmatrix)
    np.testing.assert_array_equal(dense(value), dense_)


# ------------------------------------------------------------------ files that are something else


def _call(*arguments: object):
    return CliRunner().invoke(cli, ["model", *map(str, arguments)], prog_name="synth")


def _refused(folder: Path, *arguments: object) -> str:
    """The one line that the command says; no traceback, nothing written."""
    out = folder / "out.npz"
    before = sorted(folder.iterdir())
    result = _call("import", *arguments, "-o", out)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 0
    assert sorted(folder.iterdir()) == before
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_the_command_writes_a_model_and_says_what_it_is(written, tmp_path):
    truth = written("surrey")
    out = tmp_path / "sfm.npz"
    result = _call("import", "surrey", truth.path, "-o", out, "--name", "mine", "--licence", "ours")
    assert result.exit_code == 0, result.output
    made = load_model(out)
    assert (made.name, made.meta["licence"]) == ("mine", "ours")
    assert made.carrier is not None
    assert [p.name for p in tmp_path.iterdir()] == ["sfm.npz"]
    told = _call("info", out).output
    for part in ("mine eos", "ours", made.sha256, "3448 vertices", "6 modes", "0-7, 9-16, 60, 64"):
        assert part in told


@pytest.mark.parametrize("layout", ["menpo", "bfm2019", "flame", "flame_npz", "surrey"])
def test_a_file_cut_short_is_one_line(written, tmp_path, layout):
    truth = written(layout)
    path = tmp_path / truth.path.name
    data = truth.path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert str(path.name) in _refused(tmp_path, truth.format, path)


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "anny"])
def test_a_file_of_another_kind_is_one_line(tmp_path, format):
    path = tmp_path / "model.mat"
    path.write_bytes(b"this is not a model at all")
    assert "expected" in _refused(tmp_path, format, path)
    assert "expected a file to import" in _refused(tmp_path, format, tmp_path / "absent")


def test_formats_given_each_others_files(written, tmp_path):
    pairs = {"bfm2017": "surrey", "surrey": "flame", "flame": "menpo", "lsfm": "flame",
             "bfm2009": "bfm2019", "ict": "surrey"}  # fmt: skip
    for format, layout in pairs.items():
        assert "expected" in _refused(tmp_path, format, written(layout).path)
    assert "anny" in _refused(tmp_path, "anny", written("surrey").path)


def test_an_h5_of_another_model(written, tmp_path):
    import h5py

    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["model_weights/dense/kernel"] = np.zeros((3, 3))
    line = _refused(tmp_path, "bfm2017", path)
    assert "shape/model" in line
    line = _refused(tmp_path, "bfm2017", written("bfm2019").path)
    assert "expected the Basel Face Model 2017, got the model 2019" in line


def test_a_format_without_a_name_here(tmp_path):
    with pytest.raises(UsageError, match="format: expected one of lsfm"):
        import_model("obj", tmp_path)
    assert "Invalid value for 'FORMAT'" in _call("import", "obj", "x", "-o", "y.npz").stderr


def test_a_mesh_without_faces(written, tmp_path):
    arrays = files.flame_arrays(written("flame"))
    arrays["f"] = np.zeros((0, 3), np.uint32)
    arrays["J_regressor"] = arrays["J_regressor"].toarray()
    path = tmp_path / "flame.npz"
    np.savez(path, **arrays)
    assert "expected triangles, got none" in _refused(tmp_path, "flame", path)


def test_arrays_that_do_not_fit(tmp_path):
    path = tmp_path / "model.mat"
    arrays = {"mean": np.zeros(10), "components": np.zeros(3), "eigenvalues": np.ones(2),
              "trilist": np.zeros((4, 3))}  # fmt: skip
    scipy.io.savemat(path, arrays)
    assert "arrays that do not fit" in _refused(tmp_path, "lsfm", path)


def test_a_face_of_impossible_size_and_a_map_of_another_mesh(written, tmp_path):
    truth = written("flame")
    assert "outer eye corners 60 to 120 mm apart" in _refused(
        tmp_path, "flame", truth.path, "--unit", "1"
    )
    other = tmp_path / "map.txt"
    other.write_text("".join(f"{k} {90000 + k}\n" for k in range(68)))
    assert "belongs to this topology" in _refused(
        tmp_path, "flame", truth.path, "--landmarks", other
    )
    other.write_text("36 nothing\n")
    assert "map.txt, line 1" in _refused(tmp_path, "flame", truth.path, "--landmarks", other)
    other.write_text("36 1\n45 2\n")
    assert "at least 6" in _refused(tmp_path, "flame", truth.path, "--landmarks", other)


def test_no_map_for_another_topology(tmp_path):
    truth = files.write_menpo(tmp_path, 4000)
    with open(truth.path, "rb") as file:
        model = pickle.load(file)
    del model.template_instance.landmarks["ibug68"]
    truth.path.write_bytes(pickle.dumps(model))
    with pytest.raises(MeshError, match="4000 vertices, got none for this topology"):
        import_model("lsfm", truth.path)


def test_ict_folders_that_are_not_whole(written, tmp_path):
    source = written("ict").path
    folder = tmp_path / "ICT-FaceKit/FaceXModel"
    folder.mkdir(parents=True)
    neutral = folder / "generic_neutral_mesh.obj"
    neutral.write_bytes((source / neutral.name).read_bytes())
    with pytest.raises(UsageError, match="FaceXModel: expected identity000"):
        import_model("ict", folder.parent)
    (folder / "identity000.obj").write_text("v 0 0 0\n")
    with pytest.raises(UsageError, match="26719 vertices"):
        import_model("ict", folder)


def test_bytes_behind_the_end_are_noticed():
    with pytest.raises(ValueError, match="3 bytes behind"):
        _model(Archive(base64.b64decode(BY_EOS) + b"abc"))
    assert Archive(io.BytesIO(b"").getvalue()).left == 0
