"""Tables come back from CSV as they were; Markdown keeps its columns."""

from __future__ import annotations

import csv

from synth.tables import csv_bytes, markdown_table


def test_csv_comes_back():
    rows = [("a,b", 'say "x"', None), ("line\nfeed", 1.5, 2)]
    text = csv_bytes(("x", "y", "z"), rows).decode()
    assert list(csv.reader(text.splitlines(keepends=True))) == [
        ["x", "y", "z"],
        ["a,b", 'say "x"', ""],
        ["line\nfeed", "1.5", "2"],
    ]
    assert "\r" not in text


def test_a_bar_does_not_make_a_column():
    assert markdown_table(("k", "v"), [("a|b", 1)]) == [
        "| k | v |",
        "| --- | --- |",
        "| a\\|b | 1 |",
    ]
    assert markdown_table(("k", "v", "w"), [], numbers=True)[1] == "| --- | ---: | ---: |"
