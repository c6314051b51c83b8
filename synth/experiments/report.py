"""``report.md`` and its figures, from the tables of a run alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from synth.errors import UsageError
from synth.experiments.figures import Dot, draw_dots, draw_lines
from synth.experiments.measures import BETTER
from synth.experiments.published import published
from synth.experiments.scoring import ALL_SEEDS
from synth.experiments.tables import (
    ABOUT,
    CONDITIONS,
    CURVES,
    DIFFERENCES,
    RESULTS,
    SETS,
    TESTS,
    read_table,
)
from synth.images import encode_image, write_atomic

__all__ = ["FIGURES", "REPORT", "write_report"]

REPORT, FIGURES = "report.md", "figures"
Row = Mapping[str, str]
Rows = Sequence[Row]


def write_report(output: Path) -> Path:
    """The page of a run, which it also returns the path of.

    Raises
    ------
    UsageError
        If the folder holds no tables, or one is not as `synth.experiments.results` has it.
    """
    tables = {name: read_table(output / name) for name in (ABOUT, CONDITIONS, CURVES, DIFFERENCES,
                                                           RESULTS, SETS, TESTS)}  # fmt: skip
    if not tables[RESULTS] or not tables[TESTS]:
        raise UsageError(
            f"output: expected the tables of a finished run, got no {RESULTS} in {output}; "
            "run the experiment first"
        )
    try:
        text = "\n".join(_page(output, tables)) + "\n"
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"results: expected the tables of synth experiment in {output}, got others ({error})"
        ) from None
    write_atomic(output / REPORT, text.encode())
    return output / REPORT


def _page(output: Path, tables: Mapping[str, Rows]) -> Iterable[str]:
    about = {row["key"]: row["value"] for row in tables[ABOUT]}
    yield from (f"# {about.get('title', 'Experiment')}", "", about.get("question", ""), "")
    yield from _conditions(tables[CONDITIONS])
    means = [row for row in tables[RESULTS] if row["seed"] == ALL_SEEDS]
    for test in tables[TESTS]:
        yield from _test(output, test, means, tables, about.get("reference", ""))
    yield from _curves(output, tables[CURVES])
    yield from _published(_of(tables[ABOUT], "published"))
    yield from _protocol(_of(tables[ABOUT], "protocol"))
    yield from _sets(tables[SETS])


def _of(about: Rows, key: str) -> list[str]:
    return [row["value"] for row in about if row["key"] == key]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [*lines, ""]


def _conditions(conditions: Rows) -> list[str]:
    rows = [
        (f"`{c['condition']}`", c["what"], c["train"], c["train_synthetic"], c["train_nir"],
         c["train_people"], c["seeds"])
        for c in conditions
    ]  # fmt: skip
    head = ("condition", "what", "faces to learn from", "generated", "near infrared", "people",
            "seeds")  # fmt: skip
    return _table(head, rows)


# ---------------------------------------------------------------------------------- tests
def _test(
    output: Path, test: Row, means: Rows, tables: Mapping[str, Rows], reference: str
) -> Iterable[str]:
    name = test["test"]
    own = [row for row in means if row["test"] == name]
    if not own:
        return
    measures = [m for m in test["measures"].split() if any(r["measure"] == m for r in own)]
    yield from (f"## {name}: {test['what']}".rstrip(": "), "")
    yield (
        f"{test['faces']} faces of {test['people']} people. The mean over seeds, the 95 % interval "
        "of a bootstrap over people, and +- the standard deviation over seeds; n is the number "
        "of faces a measure counts."
    )
    yield ""
    counts = {m: next(r["n"] for r in own if r["measure"] == m) for m in measures}
    head = ["condition", *(f"{_words(m)} (n = {counts[m]})" for m in measures)]
    conditions = list(dict.fromkeys(row["condition"] for row in own))
    found = {(row["condition"], row["measure"]): row for row in own}
    best = {m: _best([r for r in own if r["measure"] == m], m) for m in measures}
    yield from _table(
        head,
        ([f"`{c}`", *(_cell(found.get((c, m)), best[m]) for m in measures)] for c in conditions),
    )
    yield from _differences(name, measures, tables[DIFFERENCES], reference)
    for measure in measures:
        yield from _figure(output, name, measure, own, tables[RESULTS], reference)


def _words(measure: str) -> str:
    return measure.replace("_", " ").replace("ccc", "CCC").replace("auc", "AUC")


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _best(rows: Rows, measure: str) -> str:
    """The condition with the best value."""
    known = [r for r in rows if r["value"]]
    sign = 1 if BETTER.get(measure, True) else -1
    top = max(known, key=lambda r: sign * _number(r["value"]), default=None)
    return top["condition"] if top else ""


def _cell(row: Row | None, best: str) -> str:
    if row is None or not row["value"]:
        return "-"
    value = f"{_number(row['value']):.3f}"
    value = f"**{value}**" if row["condition"] == best else value
    ends = f" ({_number(row['low']):.3f} to {_number(row['high']):.3f})" if row["low"] else ""
    spread = f" +- {_number(row['deviation']):.3f}" if row["deviation"] else ""
    return value + ends + spread


def _differences(test: str, measures: Sequence[str], rows: Rows, reference: str) -> Iterable[str]:
    own = [row for row in rows if row["test"] == test and row["reference"] == reference]
    if not own:
        return
    yield from (
        f"Each condition less `{reference}`, on the same draws of people, with the two-sided p of "
        "the draws; not corrected for the number of comparisons:",
        "",
    )
    found = {(row["condition"], row["measure"]): row for row in own}
    shown = [m for m in measures if any(r["measure"] == m for r in own)]
    conditions = dict.fromkeys(row["condition"] for row in own)
    yield from _table(
        ["condition", *map(_words, shown)],
        ([f"`{c}`", *(_difference(found.get((c, m))) for m in shown)] for c in conditions),
    )


def _difference(row: Row | None) -> str:
    if row is None or not row["value"]:
        return "-"
    ends = f" ({_number(row['low']):+.3f} to {_number(row['high']):+.3f}, p {row['p'][:5]})"
    return f"{_number(row['value']):+.3f}" + (ends if row["low"] else "")


# -------------------------------------------------------------------------------- figures
def _figure(
    output: Path, test: str, measure: str, means: Rows, results: Rows, reference: str
) -> Iterable[str]:
    dots = []
    for row in (r for r in means if r["measure"] == measure):
        same = [r for r in results if (r["condition"], r["test"], r["measure"])
                == (row["condition"], test, measure) and r["seed"] != ALL_SEEDS]  # fmt: skip
        value, low, high = (_number(row[key]) for key in ("value", "low", "high"))
        seeds = tuple(_number(r["value"]) for r in same)
        dots.append(Dot(row["condition"], value, low, high, seeds))
    path = f"{FIGURES}/{test}_{measure}.png"
    _write(output / path, draw_dots(f"{test}: {_words(measure)}", dots, reference))
    yield from (f"![{_words(measure)} on {test}]({path})", "")


def _write(path: Path, pixels: object) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, encode_image(pixels, "png"))  # type: ignore[arg-type]


def _curves(output: Path, rows: Rows) -> Iterable[str]:
    if not rows:
        return
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if row["value"]:
            line = panels.setdefault(_words(row["measure"]), {})
            points = line.setdefault(f"seed {row['seed']}", [])
            points.append((_number(row["step"]), _number(row["value"])))
    path = f"{FIGURES}/curves.png"
    _write(output / path, draw_lines(panels))
    yield from (
        "## While training", "",
        f"Scores of `{rows[0]['condition']}` while it learns; nothing is chosen by those on "
        "real faces. Falling scores on real faces with rising ones on generated people mean that "
        "the generator's artefacts are learned.", "", f"![scores by step]({path})", "",
    )  # fmt: skip


# --------------------------------------------------------------------------------- others
def _published(names: Sequence[str]) -> Iterable[str]:
    """What others published, with what differs; unknown numbers are said to be so."""
    if not names:
        return
    yield from ("## Published beside", "")
    for name in names:
        table = published(name)
        yield from (f"### {table.title}", "", table.source, "", table.markdown(), "")
        if table.note:
            yield from (table.note, "")
        yield from (*(f"- {line}" for line in table.protocol), "")


def _protocol(lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return ["## Protocol", "", *(f"- {line}" for line in lines), ""]


def _sets(rows: Rows) -> list[str]:
    if not rows:
        return []
    head = ("set", "made", "from", "people_chosen", "people", "planned", "faces", "unread",
            "with_va", "with_class")  # fmt: skip
    return ["## Sets", "", *_table([h.replace("_", " ") for h in head],
                                   ([row.get(h, "") for h in head] for row in rows))]  # fmt: skip
