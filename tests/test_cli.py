"""The command: what it writes, how it refuses, and what survives Ctrl-C."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.images import load_image, read_record

SMALL = ["--crop", "face", "--size", "96"]
COMMANDS = [
    "",
    "generate",
    "sequence",
    "augment",
    "edit",
    "morph",
    "translate",
    "infer",
    "train",
    "train cyclegan",
    "train sde",
    "train fer",
    "train ganmut",
    "evaluate",
    "evaluate fer",
    "evaluate detectors",
    "evaluate concordance",
    "evaluate translation",
    "experiment",
    "experiment report",
    "experiment run",
    "experiment run real-faces",
    "experiment run own-data",
    "model",
    "model components",
    "model import",
    "model info",
    "model register",
    "model build",
    "model texture",
    "gallery",
    "gallery annotate-check",
    "gallery build",
    "dataset",
    "dataset check",
    "dataset replay",
    "preview",
    "studio",
    "samples",
    "doctor",
    "assets",
    "assets list",
]


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


def rows(root: Path, table: str = "metadata.csv") -> list[dict[str, str]]:
    with open(root / table, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(root: Path) -> dict[str, bytes]:
    """Content of a run; run.toml left out, which names folders and workers."""
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name != "run.toml")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def two(samples, tmp_path_factory) -> Path:
    """A folder with two portraits."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("sample_1.jpg", "sample_2.jpg"):
        (folder / name).write_bytes((samples / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def done(two, tmp_path_factory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run") / "out"
    result = call("generate", "--va", "0.5,0.3", "--va", "-0.5,0.3", "-i", two, "-o", out, *SMALL)
    assert result.exit_code == 0, result.output
    return out


# -------------------------------------------------------------------- help screens
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c or "synth")
def test_help_screens_are_the_recorded_ones(command, root, update_golden, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    text = call(*command.split(), "--help").output
    file = root / "tests/help" / f"{('synth ' + command).strip().replace(' ', '-')}.txt"
    if update_golden:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text("utf-8"), "pytest --update-golden rewrites it"


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    monkeypatch.setattr("synth.samples.copy_samples", full)
    result = CliRunner().invoke(cli, ["samples", str(tmp_path)], prog_name="synth")
    assert result.exit_code == 1
    assert result.output == (
        "Error: disk: expected to write in somewhere, got No space left on device; "
        "free or name another\n"
    )


def test_version():
    import synth

    assert call("--version").output.strip().endswith(synth.__version__)


# ------------------------------------------------------------------- what is written
def test_pictures_labels_and_run_file(done):
    table = rows(done)
    assert [(r["source"], r["valence"], r["arousal"]) for r in table] == [
        (name, v, "0.3") for name in ("sample_1.jpg", "sample_2.jpg") for v in ("0.5", "-0.5")
    ]
    for row in table:
        assert load_image(done / row["file_name"]).pixels.shape == (96, 96, 3)
    assert {r["file_name"] for r in table} == {
        f"images/{p.name}" for p in (done / "images").iterdir()
    }
    assert rows(done, "skipped.csv") == []
    run = tomllib.loads((done / "run.toml").read_text("utf-8"))
    assert run["settings"]["va"] == ["0.5,0.3", "-0.5,0.3"]
    assert run["settings"]["size"] == 96
    assert run["assets"].keys() == {"anny_face", "va_gallery", "fold_maps", "dlib_68"}


def test_every_picture_carries_its_record_and_is_marked(done):
    lines = (done / "provenance.jsonl").read_text("utf-8").splitlines()
    for line in map(json.loads, lines):
        assert read_record(done / line["file_name"]) == line
        content = (done / line["file_name"]).read_bytes()
        assert b"compositeWithTrainedAlgorithmicMedia" in content
        assert b"DigitalSourceType" in content


def test_run_file_repeats_the_run(done, two, tmp_path):
    result = call("generate", "--config", done / "run.toml", "-o", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert tree(tmp_path / "again") == tree(done)


def test_two_workers_write_the_same_bytes(done, two, tmp_path):
    command = [sys.executable, "-m", "synth.cli", "generate", "--config", done / "run.toml"]
    subprocess.run(
        [*map(str, command), "-o", str(tmp_path / "out"), "--workers", "2"],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert tree(tmp_path / "out") == tree(done)


def test_negative_targets_grids_and_files_add_up(two, tmp_path):
    targets = tmp_path / "t.csv"
    targets.write_text("valence,arousal,expression\n0.1,0.2,\n,,happiness\n")
    result = call("generate", "--va", "-0.5,-0.3", "--va-grid", "3", "--va-file", targets,
                  "-i", two / "sample_1.jpg", "-o", tmp_path / "out", *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    table = rows(tmp_path / "out")
    got = [(float(r["valence"]), float(r["arousal"]), r["expression"]) for r in table]
    lattice = [(-1, 0, ""), (0, -1, ""), (0, 0, ""), (0, 1, ""), (1, 0, "")]
    assert got == [(-0.5, -0.3, ""), *lattice, (0.1, 0.2, ""), (0.92, 0.15, "happiness")]
    run = tomllib.loads((tmp_path / "out/run.toml").read_text("utf-8"))
    assert run["settings"]["va"][-1] == "0.92,0.15,happiness"
    assert call("generate", "--config", tmp_path / "out/run.toml").exit_code == 0


def test_jpeg_keeps_the_record(two, tmp_path):
    result = call("generate", "--va", "0.5,0.3", "-i", two / "sample_1.jpg",
                  "-o", tmp_path / "out", "--format", "jpeg", *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    (picture,) = (tmp_path / "out/images").iterdir()
    assert picture.suffix == ".jpg"
    assert read_record(picture)["source"] == "sample_1.jpg"


def test_a_skip_is_counted_written_and_exit_code_3(two, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_text("text")
    (folder / "b.jpg").write_bytes((two / "sample_1.jpg").read_bytes())
    result = call("generate", "--va", "0.5,0.3", "-i", folder, "-o", tmp_path / "out", *SMALL)
    assert result.exit_code == 3
    assert "DECODE 1" in result.stderr
    assert [(r["source"], r["reason"]) for r in rows(tmp_path / "out", "skipped.csv")] == [
        ("a.jpg", "DECODE")
    ]
    assert len(rows(tmp_path / "out")) == 1


def test_limit_then_more_goes_on(two, tmp_path):
    base = ["generate", "--va", "0.5,0.3", "-i", two, "-o", tmp_path / "out", *SMALL]
    assert call(*base, "--limit", "1").exit_code == 0
    assert len(rows(tmp_path / "out")) == 1
    result = call(*base)
    assert result.exit_code == 0 and "1 picture had been made before" in result.stderr
    assert [r["source"] for r in rows(tmp_path / "out")] == ["sample_1.jpg", "sample_2.jpg"]
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/images").iterdir()}
    assert call(*base).exit_code == 0
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "out/images").iterdir()}


def test_every_face_gets_its_own_file(two, tmp_path):
    from PIL import Image

    one = np.asarray(Image.open(two / "sample_1.jpg").convert("RGB"))
    Image.fromarray(np.hstack([one, one])).save(tmp_path / "both.png")
    result = call("generate", "--va", "0.5,0.3", "-i", tmp_path / "both.png",
                  "-o", tmp_path / "out", "--face", "all", *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert [r["file_name"] for r in rows(tmp_path / "out")] == [
        f"images/both_face{i}_v+0.50_a+0.30.png" for i in (0, 1)
    ]


def test_points_of_the_users_own_lie_beside_the_photo_or_in_a_folder(two, done, tmp_path):
    from synth.landmarks.files import write_pts
    from synth.pipeline import Generator

    photo = tmp_path / "in/sample_1.jpg"
    photo.parent.mkdir()
    photo.write_bytes((two / "sample_1.jpg").read_bytes())
    points = Generator().faces(photo)[1][0].points
    write_pts(photo.with_suffix(".pts"), points)
    base = ["generate", "--va", "0.5,0.3", "-i", photo, *SMALL]
    assert call(*base, "-o", tmp_path / "beside", "--landmarks", "file").exit_code == 0
    (tmp_path / "points").mkdir()
    photo.with_suffix(".pts").rename(tmp_path / "points/sample_1.pts")
    folder = f"file:{tmp_path / 'points'}"
    assert call(*base, "-o", tmp_path / "folder", "--landmarks", folder).exit_code == 0
    assert call(*base, "-o", tmp_path / "none", "--landmarks", "file").exit_code == 3
    for out in ("beside", "folder"):
        picture = load_image(tmp_path / out / rows(tmp_path / out)[0]["file_name"]).pixels
        like = load_image(done / rows(done)[0]["file_name"]).pixels
        assert np.abs(picture.astype(int) - like.astype(int)).max() <= 2  # points kept to 1e-6


def test_dry_run_writes_nothing(two, tmp_path):
    result = call("generate", "--va-grid", "3", "-i", two, "-o", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0
    assert "2 photos x 5 targets = 10 pictures" in result.output
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------ bad usage
OK = "--va 0.5,0.3 -i {two} -o {tmp}/out"
#: Command line -> what the message must contain.
BAD = {
    "missing folder": ("--va 0.5,0.3 -i {tmp}/no", "does not exist"),
    "folder without photos": ("--va 0.5,0.3 -i {tmp}/empty", "got none"),
    "no input": ("--va 0.5,0.3", "--input"),
    "no target": ("-i {two}", "--va-grid"),
    "va out of the disc": (OK + " --va 2,0", "unit disc"),
    "va nan": (OK + " --va nan,0", "finite"),
    "va word": (OK + " --va abc", "VALENCE,AROUSAL"),
    "va three numbers": (OK + " --va 0.1,0.2,0.3", "expression"),
    "va-grid 2": (OK + " --va-grid 2", "at least 3"),
    "va-file line": (OK + " --va-file {tmp}/targets.csv", "line 3"),
    "va-file missing": (OK + " --va-file {tmp}/no.csv", "no.csv"),
    "output is a file": (OK + " -o {tmp}/file", "expected a folder"),
    "output below a file": (OK + " -o {tmp}/file/out", "expected a folder"),
    "output is full": (OK + " -o {tmp}/full", "--overwrite"),
    "config key": ("--config {tmp}/key.toml -i {two}", "colour"),
    "config table": ("--config {tmp}/table.toml -i {two}", "colours"),
    "config missing": ("--config {tmp}/no.toml -i {two}", "no.toml"),
    "size without crop": (OK + " --size 128", "--crop face"),
    "landmarks": (OK + " --landmarks magic", "dlib"),
    "face": (OK + " --face smallest", "largest"),
    "negative seed": (OK + " --seed -3", "0 or more"),
    "quality": (OK + " --quality 0", "1<=x<=100"),
    "workers": (OK + " --workers 0", "x>=1"),
    "unknown option": (OK + " --colour red", "--colour"),
    "device nobody uses": (OK + " --device cuda", "face-alignment"),
}


@pytest.fixture
def faulty(tmp_path) -> Path:
    """A folder with the files that `BAD` names."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    (tmp_path / "key.toml").write_text('[settings]\nva = "0.5,0.3"\ncolour = "red"\n')
    (tmp_path / "table.toml").write_text("[colours]\nred = 1\n")
    (tmp_path / "targets.csv").write_text("valence,arousal\n0.5,0.3\n2,0\n")
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_bad_usage_is_a_message_and_exit_code_2(case, two, faulty, monkeypatch):
    monkeypatch.chdir(faulty)  # nothing may appear in a default output folder either
    before = {p for p in faulty.rglob("*")}
    line, word = BAD[case]
    result = call("generate", *line.format(two=two, tmp=faulty).split())
    assert result.exit_code == 2, result.output
    assert word in result.stderr and "Traceback" not in result.output
    assert {p for p in faulty.rglob("*")} == before


def test_other_settings_on_the_same_output_are_refused_then_overwritten(done, two, tmp_path):
    out = tmp_path / "out"
    base = ["generate", "-i", two / "sample_1.jpg", "-o", out, *SMALL]
    assert call(*base, "--va", "0.5,0.3").exit_code == 0
    result = call(*base, "--va", "0.1,0.1")
    assert result.exit_code == 2 and "va = ['0.1,0.1'] (was ['0.5,0.3'])" in result.stderr
    assert len(rows(out)) == 1
    assert call(*base, "--va", "0.1,0.1", "--overwrite").exit_code == 0
    assert [p.name for p in (out / "images").iterdir()] == ["sample_1_v+0.10_a+0.10.png"]


def test_a_picture_that_cannot_be_written_is_a_skip_row(two, tmp_path):
    out = tmp_path / "out"
    (out / "images/sample_1_v+0.50_a+0.30.png").mkdir(parents=True)  # a folder in its place
    result = call("generate", "--va", "0.5,0.3", "-i", two, "-o", out, "--overwrite", *SMALL)
    assert result.exit_code == 3
    assert [r["reason"] for r in rows(out, "skipped.csv")] == ["WRITE"]
    assert [r["source"] for r in rows(out)] == ["sample_2.jpg"]


# --------------------------------------------------------------------------- Ctrl-C
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_run_is_usable_and_the_next_one_finishes_it(workers, two, tmp_path):
    command = ["generate", "--va-grid", "13", "-i", two, *SMALL]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "-m", "synth.cli", *map(str, command), "-o", str(cut),
         "--workers", str(workers)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (cut / "images").is_dir() and len(list((cut / "images").glob("*.png"))) >= 5:
            break
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "run the same command again" in stderr

    # Whole files and a usable manifest ...
    table = rows(cut)
    assert table
    for row in table:
        assert load_image(cut / row["file_name"]).pixels.shape == (96, 96, 3)
    assert not list(cut.rglob("*.part"))
    # ... and the next run ends where an uninterrupted one does.
    assert call(*command, "-o", cut).exit_code == 0
    assert call(*command, "-o", whole).exit_code == 0
    assert tree(cut) == tree(whole)


# ------------------------------------------------------------------- other commands
def test_samples_then_a_second_time_then_a_changed_file(tmp_path):
    assert call("samples", tmp_path / "s").exit_code == 0
    assert (tmp_path / "s/LICENCES.txt").is_file()
    assert call("samples", tmp_path / "s").exit_code == 0
    (tmp_path / "s/sample_1.jpg").write_bytes(b"mine")
    assert call("samples", tmp_path / "s").exit_code == 2
    assert (tmp_path / "s/sample_1.jpg").read_bytes() == b"mine"


def test_doctor_finds_nothing_broken_and_names_what_is_optional():
    result = call("doctor")
    assert result.exit_code == 0, result.output
    for word in ("numpy", "dlib_68", "anny_face", "pytorch3d", "cpu"):
        assert word in result.output


def test_doctor_reports_a_damaged_asset(monkeypatch):
    from synth import assets
    from synth.errors import AssetError

    def damaged(name: str) -> Path:
        raise AssetError(f"{name}: expected sha256 1, got 2; reinstall")

    monkeypatch.setattr(assets, "path", damaged)
    result = call("doctor")
    assert result.exit_code == 1 and "BROKEN" in result.output and "reinstall" in result.output


def test_assets_list_has_licence_and_source_of_each():
    from synth.assets import registry

    text = call("assets", "list").output
    for asset in registry():
        assert asset.name in text and asset.licence in text and asset.source in text
