"""Bad input to `synth model` and `synth gallery`: one line, exit code 1 or 2, nothing left.

What each reader checks is tested beside it; here every command meets the mistakes that a first
user makes, through the command line.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from synth.archives import check_writable
from synth.cli import cli
from synth.errors import AssetError, MeshError, UsageError
from synth.expressions.face_classes import load_face_classes
from synth.meshes.collection import open_collection
from synth.meshes.points import read_points
from synth.morphable.known_natives import skin_model
from synth.morphable.model import load_model
from synth.morphable.native import save_model
from synth.morphable.splocs import load_components
from synth.morphable.texture import load_texture

N = 6
HEADER = "file_name,subject,valence,arousal,expression\n"
ROWS = [
    f"{i:06d},S{i % 3},{0.1 * i * (i > 2):.1f},{0.1 * (i > 2):.1f},{'neutral' if i < 3 else ''}\n"
    for i in range(N)
]


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def place(tmp_path_factory, model, layouts) -> Path:
    """Good files and bad ones, by the names that the cases use."""
    root = tmp_path_factory.mktemp("mine")
    skin = replace(skin_model(model).keep_modes(5), carrier=None)
    rng = np.random.default_rng(0)
    stack = np.stack([skin.shape(rng.normal(0, 1, 5)) for _ in range(N)]).astype(np.float32)
    write_stacks(root, stack, skin.faces)
    write_folders(root, stack, skin)
    write_archives(root, skin)
    (root / "flame").mkdir()
    path = layouts["flame"](root / "flame").path
    (root / "cut.pkl").write_bytes(path.read_bytes()[:5000])
    corners = skin.faces[skin.landmark_faces, 0]
    maps = {
        "ok": "".join(f"{k} {v}\n" for k, v in enumerate(corners)),
        "out": "".join(f"{k} 999999\n" for k in range(68)),
        "same": "".join(f"{k} 5\n" for k in range(68)),
        "twice": "0 1\n0 2\n",
        "words": "hello world\n",
        "none": "",
        "below": "0 -5\n",
        "long": "0 99999999999999999999\n",
    }
    for name, text in maps.items():
        (root / f"map_{name}.txt").write_text(text)
    last = f"{N - 1:06d},S2,"
    labels = {
        "ok": ROWS,
        "twice": [*ROWS, ROWS[0]],
        "short": ROWS[:-1],
        "more": [*ROWS, "ghost,S0,0.1,0.1,\n"],
        "no_neutral": [row.replace("neutral", "") for row in ROWS],
        "nan": [*ROWS[:-1], last + "nan,0.1,\n"],
        "far": [*ROWS[:-1], last + "5,0.1,\n"],
        "mood": [*ROWS[:-1], last + "0.5,0.1,bored\n"],
        "no_rows": [],
    }
    for name, rows in labels.items():
        (root / f"{name}.csv").write_text(HEADER + "".join(rows))
    (root / "columns.csv").write_text("file_name,subject\n000000,S0\n")
    (root / "bytes.csv").write_bytes(bytes(range(256)))
    for who in "ab":
        (root / "ann" / who).mkdir(parents=True)
        t = np.arange(30)
        lines = [f"{i},{np.sin(i / 5 + ord(who)):.3f},{np.cos(i / 4):.3f}\n" for i in t]
        (root / "ann" / who / "clip.csv").write_text("frame,valence,arousal\n" + "".join(lines))
    (root / "in_the_way").write_text("a file")
    (root / "folder.npz").mkdir()
    (root / "there.npz").write_bytes(b"keep me")
    (root / "loop.npz").symlink_to(root / "loop.npz")
    (root / "report_there.report").write_text("a file")
    return root


def write_stacks(root: Path, stack: np.ndarray, faces: np.ndarray) -> None:
    def write(name, array, triangles=faces):
        np.save(root / f"{name}.npy", array)
        if triangles is not None:
            np.save(root / f"{name}.faces.npy", triangles)

    write("ok", stack)
    for name, value in (("nan", np.nan), ("inf", np.inf), ("one_huge", 1e30)):
        bad = stack.copy()
        bad[2, 5] = value
        write(name, bad)
    write("huge", stack * 1e20)
    write("tiny", stack * 1e-20)
    write("equal", np.repeat(stack[:1], N, 0))
    write("flat", stack[..., :2])
    write("whole", stack.astype(np.int32))
    write("no_meshes", stack[:0])
    write("no_faces", stack, None)
    write("zero_faces", stack, faces[:0])
    write("other_faces", stack, faces + 5000)
    write("quads", stack, np.zeros((5, 4), int))
    np.save(root / "objects.npy", np.array([{1: 2}], object), allow_pickle=True)
    (root / "cut.npy").write_bytes((root / "ok.npy").read_bytes()[:5000])
    (root / "words.npy").write_text("hello")


def write_folders(root: Path, stack: np.ndarray, skin) -> None:
    faces = skin.faces[(skin.faces < 300).all(1)]

    def obj(path, vertices, triangles):
        path.parent.mkdir(exist_ok=True)
        lines = ["v {:.4f} {:.4f} {:.4f}".format(*v) for v in vertices]
        lines += ["f {} {} {}".format(*(t + 1)) for t in triangles]
        path.write_text("\n".join(lines) + "\n")

    for i in range(3):
        obj(root / "mixed" / f"{i}.obj", stack[i, :300], faces if i < 2 else faces[:-1])
        obj(root / "points" / f"{i}.obj", stack[i, :300], faces[:0])
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").write_text("x")
    (root / "damaged").mkdir()
    (root / "damaged" / "a.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\nelement")
    obj(root / "scans" / "a.obj", stack[0], skin.faces)
    np.savetxt(root / "scans" / "a.txt", skin.landmarks(stack[0]))


def write_archives(root: Path, skin) -> None:
    save_model(skin, root / "skin.npz")
    raw = (root / "skin.npz").read_bytes()
    (root / "cut.npz").write_bytes(raw[:3000])
    (root / "end.npz").write_bytes(raw[:-40])
    (root / "nothing.npz").write_bytes(b"")
    np.savez(root / "other.npz", a=np.zeros(3))
    np.savez(root / "code.npz", mean=np.array([Evil(root / "ran")], object))
    with np.load(root / "skin.npz") as archive:
        arrays = dict(archive)
    np.savez(root / "meta.npz", **arrays | {"meta": np.array("[1]")})
    np.savez(root / "carrier.npz", **arrays | {"carrier_face": np.zeros(3)})
    np.savez(root / "inverted.npz", **arrays | {"faces": arrays["faces"] + 99999})
    (root / "code.pkl").write_bytes(pickle.dumps({"v_template": Evil(root / "ran")}))
    (root / "words.h5").write_text("no archive")
    (root / "words.mat").write_text("no archive")
    (root / "words.bin").write_text("no archive")


# --------------------------------------------------------------------------------- commands
BUILD = "model build --meshes @ok.npy --landmarks @map_ok.txt -o @o.npz"
COMPONENTS = "model components --meshes @ok.npy --components 2 --compare none -o @o.npz"
GALLERY = "gallery build --meshes @ok.npy --labels @ok.csv --model @skin.npz --classes 2 -o @o.npz"
REGISTER = "model register --input @scans -o @o"
ANNOTATE = "gallery annotate-check @ann -o @o"
IMPORT = "model import flame @flame/generic_model.pkl -o @o.npz"
TEXTURE = "model texture --input @scans -o @o.npz"

STACKS = (
    "nan inf one_huge huge tiny equal flat whole no_meshes zero_faces other_faces quads objects "
    "cut words absent"
).split()
ARCHIVES = "cut end nothing other code meta carrier inverted absent loop folder".split()
LABELS = "twice short more no_neutral nan far mood no_rows columns bytes absent".split()
MAPS = "out same twice words none below long absent".split()

#: Mistakes of labels that concern ratings, which `synth model build` does not read.
UNREAD = {"short", "more", "nan", "far", "mood"}


def cases():
    for name in STACKS:
        for command in (BUILD, COMPONENTS, GALLERY):
            if (name, command) != ("equal", GALLERY):
                yield command.replace("@ok.npy", f"@{name}.npy")
    yield BUILD.replace("@ok.npy", "@no_faces.npy")
    for name in "mixed points empty texts damaged absent skin.npz".split():
        for command in (BUILD, COMPONENTS, GALLERY):
            yield command.replace("@ok.npy", f"@{name}")
    for name in "empty texts absent skin.npz".split():
        yield REGISTER.replace("@scans", f"@{name}")
        yield ANNOTATE.replace("@ann", f"@{name}")
        yield TEXTURE.replace("@scans", f"@{name}")
    for name in LABELS:
        yield COMPONENTS + f" --labels @{name}.csv"
        yield GALLERY.replace("@ok.csv", f"@{name}.csv")
        if name not in UNREAD:
            yield BUILD.replace("@ok.npy", "@ok.npy") + f" --labels @{name}.csv"
    for name in MAPS:
        yield BUILD.replace("map_ok", f"map_{name}")
        yield IMPORT + f" --landmarks @map_{name}.txt"
        yield REGISTER + f" --template @scans/a.obj --template-landmarks @map_{name}.txt"
    for name in ARCHIVES:
        yield f"model info @{name}.npz"
        yield BUILD.replace("--landmarks @map_ok.txt", f"--template @{name}.npz")
        yield REGISTER + f" --template @{name}.npz"
        yield GALLERY.replace("@skin.npz", f"@{name}.npz")
        yield f"model components --gallery @{name}.npz -o @o.npz"
        yield f"generate -i @photos --va 0.5,0.3 -o @o --model @{name}.npz"
        yield f"generate -i @photos --va 0.5,0.3 -o @o --gallery @{name}.npz"
        yield f"generate -i @photos --va 0.5,0.3 -o @o --fit dense --texture @{name}.npz"
    for format, suffix in (("lsfm", "mat"), ("bfm2009", "mat"), ("bfm2017", "h5"),
                           ("bfm2019", "h5"), ("flame", "pkl"), ("surrey", "bin"),
                           ("ict", "obj")):  # fmt: skip
        for name in (f"words.{suffix}", "empty", "ok.npy", "skin.npz", "absent", "loop.npz"):
            yield f"model import {format} @{name} -o @o.npz"
        yield f"model import {format} -o @o.npz"
    for name in "lsfm @code.pkl,flame @code.pkl,flame @code.npz,flame @cut.pkl".split(","):
        yield f"model import {name} -o @o.npz"
    for value in ("0", "-1", "nan", "inf", "1e30", "1e-30"):
        yield IMPORT + f" --unit {value}"
    for command, option, values in (
        (BUILD, "--variance", "nan 0 2"), (BUILD, "--modes", "0 99"), (BUILD, "--folds", "1 -5"),
        (BUILD, "--memory", "nan inf 0"), (BUILD, "--seed", "-1"),
        (COMPONENTS, "--lambda", "nan -1"), (COMPONENTS, "--components", "0 1000"),
        (COMPONENTS, "--compare", "x 0"), (COMPONENTS, "--support", "nan_5 5_1"),
        (COMPONENTS, "--gallery", "embedded"),
        (GALLERY, "--classes", "1 5000"), (GALLERY, "--components", "nan inf -1 1.5"),
        (GALLERY, "--bound", "nan inf 0"), (GALLERY, "--min-subjects", "99"),
        (REGISTER, "--max-distance", "nan inf 0 -1"), (REGISTER, "--landmarks", "@empty @absent"),
        (ANNOTATE, "--fps", "nan 0 inf"), (ANNOTATE, "--scale", "nan 0"),
        (ANNOTATE, "--rate", "nan -1 10"), (ANNOTATE, "--tolerance", "nan -1"),
        (ANNOTATE, "--max-lag", "nan -1"), (ANNOTATE, "--min-correlation", "nan 2"),
        (ANNOTATE + " --fps 1", "--rate", "1e12"),
        (ANNOTATE, "--subjects", "@bytes.csv @absent"), (ANNOTATE, "--meshes", "@ok.npy @empty"),
        (TEXTURE.replace("@scans", "@photos"), "--scale", "nan 0 1e9"),
        (TEXTURE.replace("@scans", "@photos"), "--held-out", "@bytes.csv @absent"),
        (TEXTURE.replace("@scans", "@photos"), "--subjects", "nobody @bytes.csv"),
        (TEXTURE.replace("@scans", "@photos"), "--spacing", "nan 0"),
    ):  # fmt: skip
        for value in values.split():
            yield f"{command} {option} {value.replace('_', ' ')}"


def outputs():
    """Places that cannot be written to, or that something would be lost at."""
    for command in (BUILD, COMPONENTS, GALLERY, IMPORT, TEXTURE.replace("@scans", "@photos")):
        for bad in ("@in_the_way/o.npz", "@in_the_way/a/o.npz", "/proc/o.npz", "/proc/a/o.npz",
                    "@o.txt", "@o", "@folder.npz", "@there.npz", "@there.npz/a/o.npz"):  # fmt: skip
            yield command.replace("@o.npz", bad)
    for command in (BUILD, COMPONENTS):
        yield command.replace("@o.npz", "@report_there.npz") + " --overwrite"
    for command in (REGISTER, ANNOTATE):
        for bad in ("@in_the_way", "@in_the_way/o", "/proc/o", "@there.npz/a/o", "@loop.npz"):
            yield command.replace("@o", bad)


def state(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        found[str(path.relative_to(root))] = (seen.st_size, seen.st_mtime_ns)
    return found


def run(root: Path, photos: Path, command: str):
    """What a command says; its folder has to stay as it is."""
    words = command.replace("@photos", str(photos)).replace("@", f"{root}/").split()
    before = state(root)
    result = CliRunner().invoke(cli, words, prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert state(root) == before
    assert not (root / "ran").exists()
    return result


def check(result) -> str:
    assert result.exit_code in (1, 2), result.output
    lines = [line for line in result.output.splitlines() if line.strip()]
    errors = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
    assert errors == [len(lines) - 1], result.output  # one, and the last
    return lines[-1]


@pytest.mark.parametrize("command", [*cases(), *outputs()])
def test_a_mistake_is_one_line_and_leaves_nothing(place, samples, command):
    check(run(place, samples, command))


# ------------------------------------------------------------------------------- in detail
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (BUILD.replace("@ok.npy", "@points"), "faces"),
        (COMPONENTS.replace("@ok.npy", "@mixed"), "expected the topology of 0.obj"),
        (GALLERY.replace("@ok.npy", "@mixed"), "topology"),
        (GALLERY.replace("@ok.csv", "@short.csv"), "expected a row for each of 6 meshes"),
        (ANNOTATE + " --meshes @ok.npy", "sequences"),
        ("model import flame @code.pkl -o @o.npz", "refused, nothing was run"),
        ("model import bfm2019 @words.h5 -o @o.npz", "words.h5"),
        (BUILD + " --labels @twice.csv", "again; remove it"),
        (BUILD.replace("map_ok", "map_out"), "map of another mesh"),
        (BUILD.replace("@o.npz", "@in_the_way/o.npz"), "a file in the way"),
        (BUILD.replace("@o.npz", "@there.npz"), "--overwrite"),
    ],
)
def test_what_it_says(place, samples, command, words):
    assert words in check(run(place, samples, command))


@pytest.mark.parametrize(
    ("command", "inside"),
    [
        (BUILD, "synth.building.model.measure_curves"),
        (BUILD, "synth.archives.write_atomic"),
        (COMPONENTS, "synth.building.components.sparse_components"),
        (GALLERY, "synth.building.gallery.read_neutrals"),
        (IMPORT, "synth.building.importing.with_carrier"),
        (IMPORT, "synth.image_files.os.replace"),
        (ANNOTATE, "synth.building.annotations.estimate_lags"),
        (TEXTURE.replace("@scans", "@photos"), "synth.building.texture_files.check_people"),
    ],
)
def test_an_interrupt_leaves_nothing(place, samples, monkeypatch, command, inside):
    def pressed(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(inside, pressed)
    result = run(place, samples, command)
    assert result.exit_code == 130, result.output
    assert result.output.splitlines()[-1] == "Error: interrupted"


def test_damaged_archives_never_escape_as_other_errors(place):
    """Bytes changed anywhere: what was stored, or AssetError."""
    rng = np.random.default_rng(1)
    raw = (place / "skin.npz").read_bytes()
    broken = place.with_name("broken.npz")
    directory = raw.rindex(b"PK\x01\x02") - 600
    for turn in range(80):
        changed = bytearray(raw)
        first = (0, directory)[turn % 2]
        for at in rng.integers(first, len(raw) if first else 4000, 2):
            changed[at] = rng.integers(0, 256)
        broken.write_bytes(bytes(changed))
        for load in (load_model, load_texture, load_face_classes, load_components):
            try:
                load(broken)
            except AssetError as error:
                assert "\n" not in str(error)
            else:
                assert load is load_model


@pytest.mark.parametrize(
    ("table", "good"),
    [
        (b"\xef\xbb\xbffile_name\na\nb\n", True),  # as spreadsheets write it
        (bytes(range(256)), False),
        (b"name\na\nb\n", False),
        (b"file_name\na\na\n", False),
        (b"file_name\na\n", False),
        (b"", False),
    ],
)
def test_names_of_a_stack(tmp_path, table, good):
    np.save(tmp_path / "stack.npy", np.zeros((2, 5, 3), np.float32))
    (tmp_path / "stack.csv").write_bytes(table)
    if good:
        assert open_collection(tmp_path / "stack.npy").names == ("a", "b")
    else:
        with pytest.raises(MeshError, match="stack.csv"):
            open_collection(tmp_path / "stack.npy")


def test_damaged_points_never_escape_as_other_errors(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(68, 3))
    text = "\n".join(" ".join(f"{x:.3f}" for x in row) for row in points)
    np.save(tmp_path / "p.npy", points)
    whole = {
        ".npy": (tmp_path / "p.npy").read_bytes(),
        ".txt": text.encode(),
        ".json": json.dumps(points.round(3).tolist()).encode(),
        ".pts": f"version: 1\nn_points: 68\n{{\n{text}\n}}\n".encode(),
    }
    for suffix, raw in whole.items():
        path = tmp_path / f"broken{suffix}"
        for turn in range(40):
            changed = bytearray(raw)
            if turn % 2:
                changed = changed[: rng.integers(0, 300)]
            else:
                for at in rng.integers(0, 300, 3):
                    changed[at] = rng.integers(0, 256)
            path.write_bytes(bytes(changed))
            try:
                assert read_points(path).shape[1] == 3
            except MeshError as error:
                assert path.name in str(error)


def test_headers_that_are_no_python(place, tmp_path):
    """The header of an .npy is read as Python, which has errors of its own."""
    raw = (place / "ok.npy").read_bytes()
    assert raw[10:11] == b"{"
    path = tmp_path / "stack.npy"
    for broken in (b"[", b"(", b"'"):
        path.write_bytes(raw[:10] + broken + raw[11:])
        with pytest.raises(MeshError):
            open_collection(path)
        with pytest.raises(MeshError):
            read_points(path)


def test_places_that_can_be_written_to(tmp_path):
    (tmp_path / "file").write_text("x")
    for good in (tmp_path, tmp_path / "new.npz", tmp_path / "a" / "b" / "c.npz", tmp_path / "file"):
        check_writable(good)
    with pytest.raises(UsageError, match="a file in the way"):
        check_writable(tmp_path / "file", folder=True)
    for bad in (tmp_path / "file" / "x", "/proc/x.npz"):
        with pytest.raises(UsageError, match="can be written to"):
            check_writable(bad)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    if os.geteuid():  # the administrator may write anywhere
        (tmp_path / "mine").mkdir(mode=0o500)
        with pytest.raises(UsageError, match="Permission denied"):
            check_writable(tmp_path / "mine" / "x.npz")
