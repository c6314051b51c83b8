"""The circumplex: grids, square ratings, words and target files."""

from __future__ import annotations

import math

import numpy as np
import pytest

from synth.affect import (
    BASIC_EXPRESSIONS,
    EXPRESSIONS,
    STATES,
    disc_to_square,
    expression_name,
    name_of,
    read_va_file,
    square_to_disc,
    va_grid,
)
from synth.errors import TargetError
from synth.types import VA


def test_the_basics_sit_where_published():
    published = {
        "anger": (-0.44, 0.80),
        "disgust": (-0.64, 0.50),
        "fear": (-0.10, 0.80),
        "happiness": (0.92, 0.15),
        "sadness": (-0.84, -0.40),
        "surprise": (0.30, 0.85),
    }
    assert set(BASIC_EXPRESSIONS) == set(published)
    for name, (valence, arousal) in published.items():
        assert EXPRESSIONS[name] == VA(valence, arousal)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 7, 10])
def test_grid_is_the_lattice_inside_the_disc(n):
    grid = va_grid(n)
    axis = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    expected = sum(math.hypot(v, a) <= 1 + 1e-9 for v in axis for a in axis)
    assert len(grid) == len(set(grid)) == expected
    assert grid == sorted(grid)
    assert (VA(0, 0) in grid) == (n % 2 == 1)
    assert all(math.copysign(1, x) == 1 for p in grid for x in (p.valence, p.arousal) if x == 0)


def test_grid_of_five_has_thirteen_points():
    assert len(va_grid(5)) == 13


@pytest.mark.parametrize("n", [0, 2, -3, True, 2.5])
def test_grid_refuses_empty_lattices(n):
    with pytest.raises(TargetError, match="va-grid"):
        va_grid(n)


def test_square_and_disc_are_inverse():
    rng = np.random.default_rng(0)
    square = np.concatenate([rng.uniform(-1, 1, (2000, 2)), [[1, 1], [-1, 1], [1, -1], [-1, -1]]])
    disc = square_to_disc(square)
    assert np.hypot(*disc.T).max() <= 1 + 1e-12
    np.testing.assert_allclose(disc_to_square(disc), square, atol=1e-12)
    angle, radius = rng.uniform(-np.pi, np.pi, 2000), np.sqrt(rng.random(2000))
    inside = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    np.testing.assert_allclose(square_to_disc(disc_to_square(inside)), inside, atol=1e-12)


def test_square_and_disc_are_exact_at_neutral_and_on_the_axes():
    points = np.array([[0, 0], *([s, 0] for s in (-1, -0.3, 0.1, 1)), *([0, s] for s in (-1, 0.7))])
    for mapping in (square_to_disc, disc_to_square):
        assert (mapping(points) == points).all()


def test_the_square_becomes_the_disc():
    edge = np.linspace(-1, 1, 101)
    border = np.stack([edge, np.ones(101)], axis=1)
    np.testing.assert_allclose(np.hypot(*square_to_disc(border).T), 1, atol=1e-12)
    diagonal = square_to_disc([0.5, 0.5])
    assert math.hypot(*diagonal) == pytest.approx(0.5)
    assert diagonal[0] == pytest.approx(diagonal[1])


@pytest.mark.parametrize("mapping", [square_to_disc, disc_to_square])
@pytest.mark.parametrize("bad", [[math.nan, 0], [1.2, 0], [0.1, 0.2, 0.3], 0.5])
def test_mappings_refuse_what_is_no_rating(mapping, bad):
    with pytest.raises(TargetError):
        mapping(bad)


def test_disc_to_square_refuses_corners_of_the_square():
    with pytest.raises(TargetError, match="unit disc"):
        disc_to_square([0.9, 0.9])


def test_every_word_names_its_own_place():
    for word, va in STATES.items():
        assert name_of(va) == word
    assert name_of(VA(0.02, -0.03)) == "neutral"


def test_expression_names_and_adjectives():
    assert expression_name(" Happy ") == "happiness"
    assert expression_name("FEAR") == "fear"
    with pytest.raises(TargetError, match="anger"):
        expression_name("hungry")


def test_target_file(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text(
        "\ufeffArousal, Valence ,expression,remark\n# a comment\n\n0.3,0.5,,x\n"
        "0.15,0.92,happy\n,,Sadness\n0,0\n",
        encoding="utf-8",
    )
    assert read_va_file(path) == [
        (VA(0.5, 0.3), ""),
        (VA(0.92, 0.15), "happiness"),
        (EXPRESSIONS["sadness"], "sadness"),
        (VA(0, 0), ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("valence,arousal\n", "only a header"),
        ("v,a\n0,0\n", "line 1"),
        ("valence,arousal\n0,0\n2,0\n", "line 3.*unit disc"),
        ("valence,arousal\n\nnan,0\n", "line 3.*finite"),
        ("valence,arousal\nabc,0\n", "line 2"),
        ("valence,arousal\n0.5\n", "line 2"),
        ("valence,arousal,expression\n0.5,0,tall\n", "line 2.*expression"),
        ("valence,arousal,expression\n0.5,,happy\n", "line 2"),
    ],
)
def test_bad_target_files_name_the_line(tmp_path, text, message):
    path = tmp_path / "targets.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError, match=f"(?s)va-file.*{message}"):
        read_va_file(path)


def test_unreadable_target_files(tmp_path):
    with pytest.raises(TargetError, match="va-file"):
        read_va_file(tmp_path / "absent.csv")
    binary = tmp_path / "image.csv"
    binary.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(TargetError, match="va-file"):
        read_va_file(binary)
