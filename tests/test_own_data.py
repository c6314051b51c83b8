"""From raw scans to pictures by commands alone, reduced: the truth comes back."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from synth.cli import cli
from synth.evaluation.own_data import SCANS, commands
from synth.evaluation.scans_truth import SIZES
from synth.expressions.face_classes import load_face_classes
from synth.images import load_image
from synth.meshes.collection import open_collection


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "run"
    words = ["experiment", "run", "own-data", "--size", "tiny", "-o", str(root)]
    result = CliRunner().invoke(cli, words, prog_name="synth", catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return root, json.loads((root / "scores.json").read_text("utf-8")), result.output


def test_scans_are_raw(run):
    """Every scan has triangles of its own, and none of the truth's vertices."""
    root, _, _ = run
    scans = sorted((root / SCANS / "raw").rglob("*.ply"))
    plan = SIZES["tiny"]
    assert len(scans) == plan.subjects * (plan.neutral + plan.sequences * plan.frames)
    assert len({path.stat().st_size for path in scans[:4]}) > 1


def test_registration_finds_the_true_places(run):
    root, scores, _ = run
    found = scores["registration"]
    assert scores["rejected"] == 0
    assert found["below"] > 0.95  # of vertices within 2 % of the inter-ocular distance
    assert found["surface"][1] < 0.01
    assert len(open_collection(root / "registered/meshes")) == scores["frames"]


def test_labels_follow_the_truth(run):
    root, scores, _ = run
    assert min(scores["labels"]["ccc"]) > 0.6
    with open(root / "labels/labels.csv", newline="", encoding="utf-8") as file:
        shown = {row["expression"] for row in csv.DictReader(file)}
    assert {"neutral", "happiness"} <= shown


def test_model_and_gallery_come_back(run):
    root, scores, _ = run
    assert scores["model"]["mean_error"] < 0.5
    assert scores["gallery"]["same_labels"] < 0.7 * scores["gallery"]["size"]
    built = load_face_classes(root / "built/gallery_classes.npz")
    smile = built.expression("happiness")
    assert smile.shape == built.neutral.shape and np.linalg.norm(smile, axis=1).max() > 2


def test_pictures_are_made_with_them(run):
    root, scores, _ = run
    pictures = scores["pictures"]
    assert pictures["same_labels"] < pictures["expression"]
    made = sorted((root / "pictures/images").iterdir())
    assert len(made) == 6 * 3 and load_image(made[0]).pixels.shape == (384, 384, 3)
    assert load_image(root / "sheet.jpg").pixels.shape[1] == 4 * 3 * 160


def test_the_report_tells_every_command_and_stage(run):
    root, _, output = run
    page = (root / "report.md").read_text("utf-8")
    assert page in output
    for _, words in commands(root, SIZES["tiny"], 1):
        assert f"synth {words[0]} {words[1]}" in page
    for stage in ("registration", "annotation", "model", "gallery", "pictures"):
        assert f"| {stage} |" in page
