"""The pages about real faces say what the tables say."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from synth.experiments.report import REPORT, write_report

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "docs/results/real-faces"

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="needs the checkout's docs/results")


def test_the_readme_has_the_tables_numbers():
    script = runpy.run_path(str(ROOT / "benchmarks/readme_results.py"))
    inside = (ROOT / "README.md").read_text("utf-8").split(script["BEGIN"])[1].split(script["END"])
    assert inside[0].strip() == script["table"]().strip()
    assert inside[0].count("\n| ") > 15


def test_the_report_is_made_of_the_tables_alone(tmp_path):
    for file in TABLES.glob("*.csv"):
        shutil.copy(file, tmp_path)
    page = write_report(tmp_path)
    assert page.read_text("utf-8") == (TABLES / REPORT).read_text("utf-8")
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    assert made == {path.name for path in (TABLES / "figures").iterdir()}
