"""The table at the head of the README's results, from the tables of `synth experiment`.

    synth experiment run real-faces --root data=DIR --output real-faces/
    cp real-faces/*.csv docs/results/real-faces/
    synth experiment report docs/results/real-faces
    python benchmarks/readme_results.py

Writes between the two markers of README.md; `tests/test_results_page.py` compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synth.experiments.scoring import ALL_SEEDS
from synth.experiments.tables import CONDITIONS, RESULTS, read_table

ROOT = Path(__file__).parents[1]
README, TABLES = ROOT / "README.md", ROOT / "docs/results/real-faces"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
#: Test and measure -> head of its column.
COLUMNS = {
    ("vis", "smile_auc"): "AUC",
    ("vis", "pair_accuracy"): "pairs",
    ("nir", "valence_ccc"): "valence CCC",
    ("nir", "arousal_ccc"): "arousal CCC",
    ("nir", "accuracy"): "8 classes",
}


def table(folder: Path = TABLES) -> str:
    """The Markdown table of a run's folder."""
    return "\n".join(_lines(folder)) + "\n"


def _lines(folder: Path) -> Iterator[str]:
    found = {
        (row["condition"], row["test"], row["measure"]): row
        for row in read_table(folder / RESULTS)
        if row["seed"] == ALL_SEEDS
    }
    yield "| learned from | " + " | ".join(COLUMNS.values()) + " |"
    yield "|---|" + "---|" * len(COLUMNS)
    for condition in read_table(folder / CONDITIONS):
        name = condition["condition"]
        cells = [found.get((name, *column)) for column in COLUMNS]
        shown = " | ".join("-" if cell is None else _cell(cell) for cell in cells)
        yield f"| {condition['what']} | {shown} |"


def _cell(row: dict[str, str]) -> str:
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    text = README.read_text("utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table()}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
