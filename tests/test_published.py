"""Published numbers: what is there was read, what is not says so."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import UsageError
from synth.experiments import published as module
from synth.experiments.published import UNKNOWN, PublishedTable, published, published_names


def test_sources_of_the_plan_are_there():
    assert set(published_names()) >= {
        "chen2022", "kalabis2024", "kollias2020", "luo2024", "vonikakis2021", "yildirim2024",
    }  # fmt: skip


@pytest.mark.parametrize("name", published_names())
def test_tables_say_where_and_how(name):
    table = published(name)
    assert table.title and table.source and table.protocol and table.note
    assert table.columns[-1] == "from" and len(set(table.columns)) == len(table.columns)
    for row in table.rows:
        assert isinstance(row[-1], str) and row[-1]
        assert ("not had" in row[-1]) == (row not in table.known())
    # a measure is a number or unknown, and within its range
    for i, column in enumerate(table.columns):
        if not column.startswith(("CCC", "RMSE", "MSE", "AUC", "accuracy", "F1", "pair", "n")):
            continue
        cells = [row[i] for row in table.rows if row[i] != UNKNOWN]
        if column == "n":
            assert all(isinstance(cell, int) for cell in cells)
        elif column != "network":
            assert all(isinstance(cell, float) and -1 <= cell <= 2 for cell in cells)


def test_the_number_quoted_in_the_plan():
    table = published("kalabis2024")
    place = {name: i for i, name in enumerate(table.columns)}
    row = next(r for r in table.rows if "(2.1)" in str(r[0]) and r[2] == "CustomDB + BUAA")
    assert row[place["n"]] == 919
    np.testing.assert_allclose(
        [row[place["CCC valence"]], row[place["CCC arousal"]]], [0.679, 0.389], atol=0.0011
    )


def test_rows_nobody_could_read_hold_no_number():
    assert published("kollias2020").known() == ()
    assert any("tables 10 and 11" in str(row[-1]) for row in published("kollias2020").rows)


def test_markdown_has_a_cell_a_column():
    table = published("kalabis2024")
    lines = table.markdown().splitlines()
    assert len(lines) == len(table.rows) + 2
    assert {line.count("|") for line in lines} == {len(table.columns) + 1}


def test_unknown_name():
    with pytest.raises(UsageError, match=r"published: expected one of .*kalabis2024.*got 'x'"):
        published("x")


@pytest.mark.parametrize("row", [("a",), ("a", 1.0, 2.0), ("a", True), ("a", [1.0])])
def test_refused_rows(row):
    with pytest.raises(UsageError, match="rows: expected"):
        PublishedTable("t", "s", ("p",), ("who", "CCC"), (row,))


@pytest.mark.parametrize(
    "content, match", [("title = 'a'\n", "expected source"), ("{all}extra = 1\n", "got extra")]
)
def test_refused_files(tmp_path, monkeypatch, content, match):
    whole = "title='t'\nsource='s'\nprotocol=['p']\ncolumns=['a']\nrows=[]\nnote=''\n"
    (tmp_path / "x.toml").write_text(content.replace("{all}", whole))
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match=match):
        published("x")
