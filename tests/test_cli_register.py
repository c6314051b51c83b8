"""``synth model register``: a folder of scans, good and bad."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from synth.building import register_work
from synth.building.scans import ScanSettings, raw_scan
from synth.cli import cli
from synth.meshes.mesh import Mesh, read_mesh, write_mesh
from synth.meshes.points import write_points
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import load_model


def run(*arguments):
    return CliRunner().invoke(cli, ["model", "register", *map(str, arguments)])


def table(folder):
    with open(folder / "report.csv", newline="", encoding="utf-8") as file:
        return {row["file_name"]: row for row in csv.DictReader(file)}


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three good scans and some bad files."""
    folder, rig = tmp_path_factory.mktemp("raw"), embedded_model()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        v = rig.shape(rng.normal(0, 1, 20))
        mesh, points = raw_scan(v, rig.faces, rig.landmarks(v), rng, ScanSettings(spacing=4.0))
        (folder / f"S{seed}").mkdir()
        write_mesh(folder / f"S{seed}/0001.ply", mesh)
        write_points(folder / f"S{seed}/0001.txt", points)
    write_mesh(folder / "S0/unmarked.ply", mesh)
    write_mesh(folder / "S0/metres.ply", Mesh(mesh.vertices / 1000, mesh.faces))
    write_points(folder / "S0/metres.txt", points)
    (folder / "S0/points.obj").write_text("v 0 0 0\nv 1 0 0\n")
    (folder / "S0/damaged.ply").write_bytes(b"ply\nformat ascii")
    return folder


@pytest.fixture(scope="module")
def registered(raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("registered") / "out"
    result = run("--input", raw, "-o", output)
    assert result.exit_code == 0, result.output
    return output, result.output


def test_good_ones_are_written_and_bad_ones_have_reasons(registered):
    output, text = registered
    assert "3 of 7 scans accepted" in text
    rows = table(output)
    assert {name: row["reason"] for name, row in rows.items()} == {
        "S0/0001": "", "S1/0001": "", "S2/0001": "",
        "S0/unmarked": "NO_LANDMARKS", "S0/metres": "LANDMARKS_OFF",
        "S0/points": "MESH", "S0/damaged": "MESH",
    }  # fmt: skip
    assert all(float(row["distance"]) < 0.5 for row in rows.values() if not row["reason"])
    assert all("\n" not in row["message"] for row in rows.values())
    template = load_model(output / "template.npz")
    mesh = read_mesh(output / "meshes/S1/0001.ply")
    assert np.array_equal(mesh.faces, template.faces) and template.n_modes == 0
    assert "NO_LANDMARKS" in (output / "report.md").read_text()


def test_what_is_done_is_not_done_again(raw, registered, monkeypatch):
    output, _ = registered
    before = files(output)

    def never(*_):
        raise AssertionError("registered again")

    monkeypatch.setattr("synth.building.register_work._register", never)
    assert run("--input", raw, "-o", output).exit_code == 0
    assert files(output) == before


def test_an_interrupted_run_is_finished(raw, registered, tmp_path):
    output, _ = registered
    log = (output / "done.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/done.jsonl").write_text("".join(log[:3]) + log[3][:20])
    assert run("--input", raw, "-o", tmp_path / "out").exit_code == 0
    assert files(tmp_path / "out") == files(output)


@pytest.mark.slow
def test_workers_change_no_byte(raw, registered, tmp_path):
    assert run("--input", raw, "-o", tmp_path / "out", "--workers", 2).exit_code == 0
    assert files(tmp_path / "out") == files(registered[0])


def test_other_settings_need_another_folder(raw, registered):
    result = run("--input", raw, "-o", registered[0], "--no-prior")
    assert result.exit_code == 2 and "another" in result.output


def test_no_landmarks_at_all(raw, tmp_path):
    (tmp_path / "in").mkdir()
    write_mesh(tmp_path / "in/a.ply", read_mesh(raw / "S0/0001.ply"))
    result = run("--input", tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "--landmarks" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--input", "nowhere"],
        ["--template", "nowhere.npz"],
        ["--template", "head.obj"],
        ["--landmarks", "nowhere"],
        ["--max-distance", "-1"],
    ],
)
def test_mistakes_leave_nothing(raw, tmp_path, arguments):
    result = run("--input", raw, "-o", tmp_path / "out", *arguments)
    assert result.exit_code != 0 and result.output.count("\n") <= 4
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """One subject with two neutral scans, one of them useless, and one without."""
    folder, rig = tmp_path_factory.mktemp("people"), embedded_model()
    rng = np.random.default_rng(5)
    face = rig.shape(rng.normal(0, 1, 20))
    smile = face + rig.offsets(rig.weights({"mouthSmile": 0.8}))
    for name, v in {"A/neutral/1": face, "A/smile/1": smile, "B/smile/1": smile}.items():
        mesh, points = raw_scan(v, rig.faces, rig.landmarks(v), rng, ScanSettings(spacing=4.0))
        (folder / name).parent.mkdir(parents=True)
        write_mesh(folder / f"{name}.ply", mesh)
        write_points(folder / f"{name}.txt", points)
    (folder / "A/neutral/2.ply").write_bytes(b"ply\nformat ascii")
    return folder


@pytest.fixture(scope="module")
def together(people, tmp_path_factory):
    output = tmp_path_factory.mktemp("together") / "out"
    result = run("--input", people, "-o", output)
    assert result.exit_code == 0, result.output
    return output, result.output


def test_a_subject_starts_from_the_neutral_face(people, together):
    output, text = together
    assert "3 scans started from the neutral face of their subject, 1 subject; 1 registered" in text
    rows = table(output)
    assert {name: (row["reason"], row["subject"]) for name, row in rows.items()} == {
        "A/neutral/1": ("", "A"), "A/neutral/2": ("MESH", "A"), "A/smile/1": ("", "A"),
        "B/smile/1": ("", ""),
    }  # fmt: skip
    assert "`B`" in (output / "report.md").read_text()
    assert [path.name for path in (output / "neutrals").iterdir()] == ["A.npz"]


def test_what_fails_from_the_neutral_face_is_tried_for_itself(people, tmp_path, monkeypatch):
    """A neutral face that is somebody else's must not cost the subject's other scans."""
    register = register_work.register

    def spoilt(*args, subject=None, **more):
        made = register(*args, subject=subject, **more)
        return made if subject is None else replace(made, reason="DISTANCE")

    monkeypatch.setattr(register_work, "register", spoilt)
    output = tmp_path / "out"
    assert run("--input", people, "-o", output).exit_code == 0
    rows = table(output)
    assert (rows["A/smile/1"]["reason"], rows["A/smile/1"]["subject"]) == ("", "")


def test_names_without_a_neutral_sequence_are_registered_apart(registered):
    output, text = registered
    assert "registered for itself" in text and not (output / "neutrals").exists()
    assert {row["subject"] for row in table(output).values()} == {""}


def test_another_neutral_scan_does_its_subject_again(people, together, tmp_path, monkeypatch):
    shutil.copytree(people, tmp_path / "in")
    shutil.copytree(together[0], tmp_path / "out")
    again, real = [], register_work._register

    def watched(work, job, subject):
        again.append(job.name)
        return real(work, job, subject)

    monkeypatch.setattr(register_work, "_register", watched)
    assert run("--input", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert again == []
    (tmp_path / "in/A/neutral/2.ply").write_bytes(b"ply")
    assert run("--input", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert again == ["A/neutral/1", "A/neutral/2", "A/smile/1"]
    assert files(tmp_path / "out/meshes") == files(together[0] / "meshes")


def test_apart_and_together_need_folders_of_their_own(people, together):
    result = run("--input", people, "-o", together[0], "--apart")
    assert result.exit_code == 2 and "another" in result.output


@pytest.mark.slow
def test_workers_change_no_byte_of_subjects(people, together, tmp_path):
    assert run("--input", people, "-o", tmp_path / "out", "--workers", 2).exit_code == 0
    assert files(tmp_path / "out") == files(together[0])
