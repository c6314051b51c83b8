"""Action units: asked for, drawn, and read back."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from synth import assets
from synth.errors import ShapeError, TargetError
from synth.expressions.action_units import (
    ACTION_UNITS,
    CORE,
    action_weights,
    parse_actions,
    read_action_units,
)
from synth.expressions.arkit import NAMES, index_of, mirror_order
from synth.expressions.storage import load_gallery

SIDED = [code for code in CORE if code not in {"1", "8", "17", "18", "19", "22", "23", "24", "26",
                                               "28", "29", "30", "34"}]  # fmt: skip


@pytest.fixture(scope="module")
def table():
    with assets.path("facts_au_to_arkit").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def gallery():
    return load_gallery(assets.path("va_gallery"))


def close(read, truth, limit):
    """Whether no unit is off by `limit`; the jaw as one scale, 27 being two 26."""
    read, truth = dict(read), dict(truth)
    for units in (read, truth):
        if "27" in units:
            units["26"] = units.get("26", 0) + 2 * units.pop("27")
    return max(abs(read.get(u, 0) - truth.get(u, 0)) for u in {*read, *truth}) < limit


# ------------------------------------------------------------------ asking


def test_units_sides_and_blendshapes_are_read_as_written():
    text = "12:0.8, AU6:.5,L14:1,R2:0,30L:0.25,auR46:0.5,jawopen:0.3"
    assert parse_actions(text) == (
        ("12", 0.8), ("6", 0.5), ("L14", 1), ("R2", 0), ("L30", 0.25), ("R46", 0.5),
        ("jawOpen", 0.3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "NAME:INTENSITY"),
        ("12", "NAME:INTENSITY"),
        (":0.5", "NAME:INTENSITY"),
        ("12:0.5,", "NAME:INTENSITY"),
        ("12:much", "'12:much'"),
        ("12:1.01", "'12:1.01'"),
        ("12:-0.1", "'12:-0.1'"),
        ("12:nan", "'12:nan'"),
        ("12:inf", "'12:inf'"),
        ("99:0.5", "one of 1, 2, 4"),
        ("L12R:0.5", "'L12R'"),
        ("mouthSmile:0.5", "mouthSmileLeft"),
        ("L26:0.5", "26 without a side"),
        ("R24:0.5", "24 without a side"),
        ("30:0.5", "L30 or R30"),
        ("12:0.5,AU12:0.5", "12 twice"),
        ("12:0.5,L12:0.5", "12 or its sides"),
        ("R12:0.5,L12:0.5,12:0.1", "12 or its sides"),
        ("jawOpen:0.5,jawOpen:0.5", "jawOpen twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(text, message):
    with pytest.raises(TargetError, match=message) as caught:
        parse_actions(text)
    assert "\n" not in str(caught.value)


def test_names_are_those_of_the_table(table):
    named = {row["au"].rstrip("LR"): row["name"] for row in table}
    assert set(named) == set(ACTION_UNITS)
    for code, name in named.items():
        assert name.startswith(ACTION_UNITS[code])


# ------------------------------------------------------------------ drawing


def test_weights_against_a_naive_sum_over_the_table(table):
    expected = np.zeros(52)
    for row in table:
        if row["au"] in ("12", "25"):
            expected[index_of(row["blendshape"])] += 0.5 * float(row["weight"])
    expected[index_of("jawOpen")] += 0.2
    found = action_weights([("12", 0.5), ("25", 0.5), ("jawOpen", 0.2)])
    np.testing.assert_allclose(found, expected)


def test_sums_stop_at_one_and_nothing_asked_is_nothing():
    found = action_weights([("6", 1), ("7", 1), ("12", 1)])
    assert found.max() == 1 and found[index_of("eyeSquintLeft")] == 1
    assert (action_weights([]) == 0).all()
    with pytest.raises(TargetError, match="12"):
        action_weights([("12", 1.5)])
    with pytest.raises(TargetError, match="smile"):
        action_weights([("smile", 0.5)])


@pytest.mark.parametrize("code", SIDED)
def test_sides_mirror_each_other_and_add_up_to_the_unit(code):
    left, right = action_weights([(f"L{code}", 0.6)]), action_weights([(f"R{code}", 0.6)])
    if code not in ("61", "62"):  # eyes to one side: the mirror image is the other unit
        np.testing.assert_array_equal(left[mirror_order()], right)
    moved = [NAMES[i] for i in np.flatnonzero(left)]
    assert moved and not any(name.endswith("Right") for name in moved)
    np.testing.assert_allclose(left + right, action_weights([(code, 0.6)]))


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize("value", [0.3, 0.6, 1.0])
def test_every_unit_is_read_back(value):
    names = [c for c in CORE if c != "30"] + ["L30", "R30"]
    names += [side + code for code in SIDED for side in "LR"]
    for name in names:
        read = read_action_units(action_weights([(name, value)]))
        assert read == {name: pytest.approx(value, abs=0.002)}, name


def test_the_jaw_is_one_scale():
    assert read_action_units(action_weights([("27", 0.4)])) == {"26": pytest.approx(0.8)}
    assert read_action_units(action_weights([("27", 0.7)])) == {"27": pytest.approx(0.7)}


def test_combinations_are_read_back():
    rng = np.random.default_rng(0)
    good = 0
    codes = [c for c in CORE if c not in ("30", "28", "61", "62", "63", "64")]
    for _ in range(300):
        pick = rng.choice(codes, rng.integers(2, 5), replace=False)
        asked = {str(c): round(float(rng.uniform(0.1, 1)), 2) for c in pick}
        good += close(read_action_units(action_weights(asked.items())), asked, 0.05)
    assert good >= 0.97 * 300  # the rest: sums cut at 1


def test_asymmetry_is_kept_until_a_side_is_nearly_still():
    both = read_action_units(action_weights([("L12", 0.8), ("R12", 0.4)]))
    assert both == {"12": pytest.approx(0.6, abs=0.01)}
    assert "L12" in read_action_units(action_weights([("L12", 0.8), ("R12", 0.1)]))


def test_the_mean_faces_show_the_units_of_their_expression(gallery):
    shown = {
        name: read_action_units(gallery.expression(name).weights)
        for name in ("happiness", "surprise", "anger", "fear", "sadness", "disgust", "contempt")
    }
    for name, units in {
        "happiness": "6 12 25", "surprise": "1 2 5 26", "anger": "4 7 24", "fear": "1 5 20 25",
        "sadness": "1 15 17", "disgust": "9 10", "contempt": "14 L12",
    }.items():  # fmt: skip
        assert all(shown[name].get(unit, 0) > 0.2 for unit in units.split()), (name, shown[name])
    assert not {"15", "4", "20"} & set(shown["happiness"])
    assert not {"12", "15", "4"} & set(shown["surprise"])


def test_still_and_strong_faces():
    assert read_action_units(np.zeros(52)) == {}
    everything = read_action_units(np.full(52, 1.1))
    assert max(everything.values()) <= 1
    faint = read_action_units(action_weights([("12", 0.01)]))
    assert faint == {}
    with pytest.raises(ShapeError, match="weights"):
        read_action_units(np.zeros(51))
