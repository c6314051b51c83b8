"""The polar space of expressions and its map to valence and arousal."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from synth.affect import EXPRESSIONS
from synth.errors import TargetError
from synth.models.polar import PolarSpace
from synth.types import VA

#: In the order of the circumplex, reversed, rotated, and in an order of its own.
ORDERED = {
    "happiness": 15.0,
    "surprise": 65.0,
    "fear": 100.0,
    "anger": 135.0,
    "contempt": 165.0,
    "disgust": 195.0,
    "sadness": 240.0,
}
REVERSED = {name: (-theta) % 360 for name, theta in ORDERED.items()}
TURNED = {name: (theta + 170) % 360 for name, theta in ORDERED.items()}
MIXED = {"happiness": 0.0, "surprise": 60.0, "sadness": 120.0, "fear": 180.0, "anger": 240.0}
SPACES = [ORDERED, REVERSED, TURNED, MIXED, {"happiness": 30.0}, {"anger": 300.0, "fear": 20.0}]


def apart(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("directions", SPACES)
def test_anchors_are_met_exactly(directions):
    space = PolarSpace(directions)
    for name in space.anchors:
        theta, rho = space.of_va(EXPRESSIONS[name])
        assert apart(theta, directions[name]) < 1e-9 and rho == pytest.approx(1)
        va = space.to_va(directions[name], 1.0)
        assert (va.valence, va.arousal) == pytest.approx(
            (EXPRESSIONS[name].valence, EXPRESSIONS[name].arousal)
        )


@pytest.mark.parametrize("directions", SPACES)
def test_both_ways_undo_each_other(directions):
    space = PolarSpace(directions)
    rng = np.random.default_rng(1)
    for theta, rho in zip(rng.uniform(0, 360, 60), rng.uniform(0.01, 1, 60), strict=True):
        back = space.of_va(space.to_va(theta, rho))
        assert apart(back[0], theta) < 1e-6 and back[1] == pytest.approx(rho)


@pytest.mark.parametrize("directions", SPACES)
def test_map_is_continuous_and_monotone_all_around(directions):
    space = PolarSpace(directions)
    angles = np.arange(0, 360.5, 0.5)
    places = [VA(0.5 * math.cos(math.radians(a)), 0.5 * math.sin(math.radians(a))) for a in angles]
    thetas = np.array([space.of_va(va)[0] for va in places])
    steps = (np.diff(thetas) + 180) % 360 - 180
    assert (steps > 0).all() or (steps < 0).all()
    assert abs(steps.sum()) == pytest.approx(360)
    rhos = np.array([space.of_va(va)[1] for va in places])
    assert np.abs(np.diff(rhos)).max() < 0.02


def test_between_anchors_it_is_a_line():
    space = PolarSpace(ORDERED)
    a, b = (math.degrees(EXPRESSIONS[name].angle) for name in ("happiness", "surprise"))
    middle = math.radians((a + b) / 2)
    theta, _ = space.of_va(VA(0.5 * math.cos(middle), 0.5 * math.sin(middle)))
    assert theta == pytest.approx((15 + 65) / 2)


def test_classes_in_another_order_keep_their_directions():
    space = PolarSpace(MIXED)
    assert set(space.anchors) == {"happiness", "surprise", "fear", "anger"}
    assert space.of_expression("sadness", 0.5) == (120.0, 0.5)
    assert set(PolarSpace(REVERSED).anchors) == set(REVERSED)


def test_rho_is_a_share_of_full_strength():
    space = PolarSpace(ORDERED)
    full = EXPRESSIONS["disgust"]
    half = VA(full.valence / 2, full.arousal / 2)
    assert space.of_va(half)[1] == pytest.approx(0.5)
    further = VA(full.valence * 1.2, full.arousal * 1.2)
    assert space.of_va(further) == pytest.approx((195.0, 1.0))


def test_neutral_is_the_origin():
    space = PolarSpace(ORDERED)
    assert space.of_va(VA(0, 0)) == (0.0, 0.0) == space.of_expression("neutral", 0.7)
    assert space.to_va(123.0, 0.0) == VA(0, 0)
    assert space.code(77.0, 0.0) == pytest.approx([0, 0])


def test_codes_are_polar_coordinates():
    space = PolarSpace(ORDERED)
    assert space.code(0, 0.5) == pytest.approx([0.5, 0])
    assert space.code(90, 1.0) == pytest.approx([0, 1])
    assert space.code(225, 1.0) == pytest.approx([-math.sqrt(0.5)] * 2)


def test_names_of_angles():
    space = PolarSpace(ORDERED)
    assert space.expression_at(14) == "happiness" == space.expression_at(359)
    assert space.expression_at(151) == "contempt"
    assert space.of_expression("happy", 0.4) == (15.0, 0.4)


def test_spaces_travel_to_workers():
    space = PolarSpace(ORDERED)
    assert pickle.loads(pickle.dumps(space)) == space
    assert PolarSpace({"fear": -10.0}).directions["fear"] == 350.0


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({}, "expected an expression"),
        ({"neutral": 0.0}, "got 'neutral'"),
        ({"mirth": 0.0}, "got 'mirth'"),
        ({"fear": math.nan}, "degrees for fear"),
    ],
)
def test_directions_that_make_no_space(directions, message):
    with pytest.raises(TargetError, match=message):
        PolarSpace(directions)


def test_expressions_a_space_does_not_know():
    with pytest.raises(TargetError, match=r"got 'disgust'.*valence and arousal"):
        PolarSpace(MIXED).of_expression("disgust", 1.0)
