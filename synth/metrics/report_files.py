"""The scores of `synth.metrics.report` as JSON, CSV and Markdown; every table says n."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["COLUMNS", "score_files", "score_rows", "scores_text"]

#: Columns of ``scores.csv``.
COLUMNS = (
    "grouping", "group", "part", "measure", "value", "low", "high", "n", "subjects",
    "without_target", "without_estimate",
)  # fmt: skip
CELLS = ("valence", "arousal", "n", "rmse_valence", "rmse_arousal", "rmse_both")
TITLES = {
    "va": "Valence and arousal",
    "minus_own": "Valence and arousal minus the person's own neutral",
    "smile": "Smiling against neutral, by valence",
    "expression": "Expressions",
}
#: Measures in the tables of groups: one of each kind.
SHOWN = {
    "va": ("valence_ccc", "arousal_ccc", "valence_rmse", "arousal_rmse"),
    "minus_own": ("valence_ccc", "arousal_ccc", "valence_rmse", "arousal_rmse"),
    "smile": ("auc", "pair_accuracy"),
    "expression": ("accuracy", "mean_diagonal", "macro_f1"),
}

Row = dict[str, Any]


def _tables(table: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Grouping, group and parts: first of all pictures, then of the groups."""
    yield "all", "all", table["parts"]
    for grouping, groups in table["groups"].items():
        for group, inner in groups.items():
            yield grouping, group, inner["parts"]


def score_rows(table: Mapping[str, Any]) -> list[Row]:
    """One row a measure, of all pictures and of each group, with the keys `COLUMNS`.

    A part without pictures has one row, with n = 0 and no measure, so that it is seen.
    """
    rows = []
    for grouping, group, parts in _tables(table):
        for name, part in parts.items():
            counts = {key: part[key] for key in ("n", "subjects", *COLUMNS[-2:])}
            head = {"grouping": grouping, "group": group, "part": name} | counts
            if not part["measures"]:
                rows.append(head | {"measure": "", "value": None, "low": None, "high": None})
            for measure, found in part["measures"].items():
                ends = {key: found[key] for key in ("value", "low", "high", "n")}
                rows.append(head | {"measure": measure} | ends)
            if drawn := part.get("down_sampled"):
                for measure, value in drawn["mean"].items():
                    ends = {"value": value, "low": None, "high": None}
                    taken = {"n": drawn["each"] * drawn["classes"]}
                    rows.append(head | taken | {"measure": f"down_sampled_{measure}"} | ends)
    return rows


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row[key] for key in columns]
        writer.writerow(["" if _undefined(v) else v for v in values])
    return stream.getvalue().encode()


def _undefined(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    """JSON knows no NaN: null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if _undefined(value) else value


# ------------------------------------------------------------------------------ Markdown
def _number(value: Any, digits: int = 3) -> str:
    return "-" if _undefined(value) else f"{value:.{digits}f}"


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _interval(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    text = _number(found["value"])
    if _undefined(found["low"]):
        return text
    return f"{text} [{_number(found['low'])}, {_number(found['high'])}]"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(v) for v in line) + " |" for line in lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _people(count: int | None) -> str:
    return "persons not given, pictures drawn" if count is None else _count(count, "person")


def _said(part: Mapping[str, Any]) -> str:
    """How many pictures, and how many were left out."""
    text = f"n = {part['n']} pictures; {_people(part['subjects'])}"
    for key, words in (("without_target", "a target"), ("without_estimate", "an estimate")):
        text += f"; {part[key]} more without {words}" if part[key] else ""
    if "references" in part:
        text += (
            f"; compared with {part['references']} neutral pictures, none with itself; as_read: "
            "the same pictures without the comparison"
        )
    if "pairs" in part:
        text += f"; {part['smiling']} smiling; {part['pairs']} persons with both kinds"
    return text + "."


def _confusion_text(found: Mapping[str, Any]) -> str:
    names = found["classes"]
    rows = [
        [name, *map(str, counts), str(sum(counts)), _number(tpr), _number(f1)]
        for name, counts, tpr, f1 in zip(
            names, found["counts"], found["tpr"], found["f1"], strict=True
        )
    ]
    sums = [sum(column) for column in zip(*found["counts"], strict=True)]
    rows.append(["n", *map(str, sums), str(found["n"]), "", ""])
    rows.append(["PPV", *map(_number, found["ppv"]), "", "", ""])
    said = f"Confusion, n = {found['n']}; rows the targets, columns the estimates."
    return said + "\n\n" + _markdown(["", *names, "n", "TPR", "F1"], rows)


def _part_text(name: str, part: Mapping[str, Any]) -> list[str]:
    blocks = [f"## {TITLES[name]}", _said(part)]
    if part["measures"]:
        rows = [
            [measure, _number(m["value"]), _number(m["low"]), _number(m["high"]), str(m["n"])]
            for measure, m in part["measures"].items()
        ]
        blocks.append(_markdown(["measure", "value", "low", "high", "n"], rows))
    if found := part.get("regions"):
        mean = found["mean"]
        blocks.append(
            f"Normalised RMSE, mean over {found['occupied']} of {found['side']} x {found['side']} "
            f"regions (n = {found['n']}): valence {_number(mean['valence'])}, arousal "
            f"{_number(mean['arousal'])}, both {_number(mean['both'])}."
        )
    if found := part.get("down_sampled"):
        means = (
            f"{key} {_number(value)} (s.d. {_number(found['deviation'][key])})"
            for key, value in found["mean"].items()
        )
        blocks.append(
            f"Down-sampled {found['folds']} times to {found['each']} of each of "
            f"{found['classes']} classes (n = {found['each'] * found['classes']}): "
            + ", ".join(means)
            + "."
        )
    if found := part.get("confusion"):
        blocks.append(_confusion_text(found))
    return blocks


def scores_text(table: Mapping[str, Any], title: str = "Scores") -> str:
    """The scores as Markdown.

    Parameters
    ----------
    table : dict
        Of `synth.metrics.report.score_table`; of ``notes``, where there are any, each
        is a paragraph.
    title : str
    """
    settings = table["settings"]
    blocks = [
        f"# {title}",
        f"n = {table['n']} pictures; {_people(table['subjects'])}. Intervals: "
        f"{100 * settings['level']:g} % of {settings['folds']} bootstrap draws, "
        f"seed {settings['seed']}.",
        *table.get("notes", ()),
    ]
    for name, part in table["parts"].items():
        blocks += _part_text(name, part)
    for grouping, groups in table["groups"].items():
        for name in table["parts"]:
            rows = []
            for group, inner in groups.items():
                part = inner["parts"][name]
                people = "-" if part["subjects"] is None else str(part["subjects"])
                found = [_interval(part["measures"].get(key)) for key in SHOWN[name]]
                rows.append([group, str(part["n"]), people, *found])
            blocks.append(f"## {TITLES[name]} by {grouping}")
            blocks.append(_markdown([grouping, "n", "persons", *SHOWN[name]], rows))
    return "\n\n".join(blocks) + "\n"


def score_files(table: Mapping[str, Any], title: str = "Scores") -> dict[str, bytes]:
    """Contents of ``scores.json``, ``.csv`` and ``.md``, and ``regions.csv``, by name.

    NaN is null in JSON, empty in CSV and ``-`` in Markdown. Without valence and arousal
    there is no ``regions.csv``; it holds the centres of the occupied regions.

    Parameters
    ----------
    table : dict
        Of `synth.metrics.report.score_table`.
    title : str
        Of the Markdown page.
    """
    files = {
        "scores.json": json.dumps(_plain(table), indent=1, allow_nan=False).encode() + b"\n",
        "scores.csv": _csv(COLUMNS, score_rows(table)),
        "scores.md": scores_text(table, title).encode(),
    }
    if found := table["parts"].get("va", {}).get("regions"):
        files["regions.csv"] = _csv(CELLS, found["cells"])
    return files
