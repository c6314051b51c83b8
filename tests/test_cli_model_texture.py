"""synth model texture: photos in, a texture model and its report out, and how it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from synth.cli import cli
from synth.landmarks.files import write_pts
from synth.morphable.texture import load_texture
from synth.testing import synthetic_face

QUICK = ["--landmarks", "file", "--spacing", 0.09, "--scale", 48, "--modes", 4]


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, ["model", "texture", *map(str, args)], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


@pytest.fixture(scope="module")
def photos(model, samples, tmp_path_factory) -> Path:
    """Ten photos with their points: one painted face in ten colours and sizes, with noise."""
    folder = tmp_path_factory.mktemp("photos")
    image, landmarks, _ = synthetic_face(model, 1, size=180)
    rng = np.random.default_rng(0)
    for i in range(10):
        grain = rng.normal(0, 12, (23, 23, 3)).repeat(8, 0).repeat(8, 1)[:180, :180]
        pixels = np.clip(image.pixels * (1 - 0.04 * i) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i}.png")
        write_pts(folder / f"p{i}.pts", landmarks.points)
    return folder


def test_photos_to_texture_and_report(photos, tmp_path):
    (tmp_path / "held.txt").write_text("# apart\np3\np7.png\n")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    made = tmp_path / "mine.npz"
    result = call(
        "-i", photos, "-i", broken, "-o", made, "--held-out", tmp_path / "held.txt", *QUICK
    )
    assert result.exit_code == 3, result.output
    texture = load_texture(made)
    assert texture.meta["people"] == 8 and texture.meta["photos"] == 8
    assert texture.n_modes == 4 and texture.scale == 48 and texture.name == "mine"
    report = tmp_path / "mine.report"
    assert {p.name for p in report.iterdir()} == {
        "report.md", "errors.csv", "skipped.csv", "modes.png"
    }  # fmt: skip
    with open(report / "skipped.csv", newline="") as file:
        skipped = list(csv.DictReader(file))
    assert [(row["source"], row["reason"]) for row in skipped] == [("broken.png", "DECODE")]
    with open(report / "errors.csv", newline="") as file:
        errors = list(csv.DictReader(file))
    learned = [float(row["left_learned"]) for row in errors]
    assert learned[0] == 1 and learned == sorted(learned, reverse=True)
    assert all(0 < float(row["left_held_out"]) <= 1.001 for row in errors)
    picture = np.asarray(Image.open(report / "modes.png"))
    assert picture.shape[0] > 400 and picture.std() > 20


@pytest.mark.slow
def test_workers_give_the_same_bytes(photos, tmp_path):
    for workers in (1, 2):
        made = tmp_path / f"{workers}.npz"
        result = call("-i", photos, "-o", made, "--name", "same", *QUICK, "--workers", workers)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--subjects", "stem:^p"], "at least 8 people, got 1"),
        (["--held-out", "few.txt"], "at least 8 people, got 7"),
        (["--held-out", "nobody.txt"], "held-out: expected names among"),
        (["--held-out", "absent.txt"], "held-out: expected a text file"),
        (["--model", "few.txt"], "model: expected"),
        (["--model", "sheet.npz"], "expected"),
        (["--scale", "4"], "scale: expected 32 to 400"),
        (["--landmarks", "file:nowhere"], "at least 8 people, got 0"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    photos, tmp_path, monkeypatch, model, arguments, said
):
    from dataclasses import replace

    from synth.morphable.native import save_model

    monkeypatch.chdir(tmp_path)
    Path("few.txt").write_text("p1\np2\np3\n")
    Path("nobody.txt").write_text("somebody\n")
    Path("nowhere").mkdir()
    if "sheet.npz" in arguments:  # a mesh that the embedded one cannot be laid over
        flat = model.mean * (1, 1, 0)
        save_model(replace(model, mean=flat, faces=model.faces[::-1].copy()), "sheet.npz")
    before = {p.name for p in tmp_path.iterdir()}
    result = call("-i", photos, "-o", "mine.npz", *QUICK, *arguments)
    assert result.exit_code in (1, 2), result.output
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert {p.name for p in tmp_path.iterdir()} == before


def test_an_earlier_model_is_kept(photos, tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"earlier")
    result = call("-i", photos, "-o", tmp_path / "mine.npz", *QUICK)
    assert result.exit_code == 2 and "--overwrite" in result.output
    assert (tmp_path / "mine.npz").read_bytes() == b"earlier"
