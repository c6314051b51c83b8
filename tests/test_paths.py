"""Paths: what files and names mean, curves that stay inside, speeds that faces keep to."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.errors import TargetError
from synth.paths import (
    FRAME_LIMIT,
    VA_SPEED,
    WEIGHT_SPEED,
    Curve,
    parse_path,
    sample_path,
    waypoint_curve,
    waypoints_csv,
)

NAMED = ["onset-apex-offset:-0.5,0.3", "circle:0.8", "circle:1", "line:-1,0:0,1", "happy:0.7"]


def radius(va):
    return np.hypot(va[:, 0], va[:, 1])


def waypoints(seed, rim=False):
    """Random waypoints, some of them dwells, at random times."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    times = np.cumsum(10 ** rng.uniform(-2, 0.5, n))
    angle = rng.uniform(-np.pi, np.pi, n)
    size = np.ones(n) if rim else np.sqrt(rng.random(n))
    points = size[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    stay = rng.random(n) < 0.3
    for i in range(1, n):
        if stay[i]:
            points[i] = points[i - 1]
    return times, points


def speed(track, faces=None):
    """Largest speed in the disc, or of a weight, per second."""
    values = track.va if faces is None else faces(track.va)
    steps = np.diff(values, axis=0)
    size = radius(steps) if faces is None else np.abs(steps).max(1)
    return size.max() * track.fps


# --- curves through waypoints


@pytest.mark.parametrize("rim", [False, True])
def test_random_curves_hit_their_waypoints_and_stay_inside(rim):
    for seed in range(150):
        times, points = waypoints(seed, rim)
        curve = waypoint_curve(times, points)
        assert curve.duration == times[-1] - times[0]
        assert np.abs(curve.at(times - times[0]) - points).max() < 1e-15
        fine = curve.at(np.linspace(0, curve.duration, 4001))
        assert radius(fine).max() <= 1 + 1e-9


def test_each_coordinate_is_monotone_between_neighbours_and_dwells_stay():
    for seed in range(150):
        times, points = waypoints(seed)
        curve = waypoint_curve(times, points)
        for i, (start, end) in enumerate(zip(times[:-1], times[1:], strict=True)):
            inner = curve.at(np.linspace(start, end, 200)[1:-1] - times[0])
            piece = np.vstack([points[i], inner, points[i + 1]])
            turn = np.diff(piece, axis=0) * np.sign(points[i + 1] - points[i])
            assert turn.min() > -1e-12
            if (points[i] == points[i + 1]).all():
                assert (inner == points[i]).all()


def test_the_velocity_is_continuous_and_zero_at_the_ends():
    for seed in range(50):
        times, points = waypoints(seed)
        curve = waypoint_curve(times, points)
        knots = times - times[0]
        e = 1e-7
        here = curve.at(knots)
        before = (here - curve.at(np.maximum(knots - e, 0))) / e
        after = (curve.at(np.minimum(knots + e, knots[-1])) - here) / e
        scale = np.abs(np.diff(points, axis=0) / np.diff(times)[:, None]).max() + 1
        assert np.abs(before - after).max() < 1e-3 * scale
        assert np.abs(after[0]).max() < 1e-3 * scale


def test_a_circle_drawn_on_the_rim_goes_round_without_stopping():
    angle = np.linspace(0, 2 * np.pi, 25)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points /= np.maximum(radius(points), 1)[:, None]
    curve = waypoint_curve(np.linspace(0, 6, 25), points)
    va = curve.at(np.linspace(0.5, 5.5, 1001))
    assert radius(va).min() > 0.99
    pace = radius(np.diff(va, axis=0)) / 0.005
    assert pace.min() > 0.6 * 2 * np.pi / 6
    assert pace.max() < 1.4 * 2 * np.pi / 6


def test_two_waypoints_are_a_straight_line_with_a_rest_at_both_ends():
    curve = waypoint_curve([3, 5], [[-0.5, 0.5], [0.5, -0.5]])
    va = curve.at(np.linspace(0, 2, 101))
    np.testing.assert_allclose(va[:, 0], -va[:, 1], atol=1e-15)
    u = np.linspace(0, 1, 101)
    np.testing.assert_allclose(va[:, 0], -0.5 + 3 * u**2 - 2 * u**3, atol=1e-12)


# --- files


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.csv", "t,valence,arousal\n0,0,0\n1,0.5,0.25\n2.5,-0.5,0.1\n"),
        (
            "b.csv",
            "\ufeff# drawn\nArousal, T ,VALENCE,note\n\n0,0,0,\n0.25,1,0.5,x\n0.1,2.5,-.5,\n",
        ),
        ("c.json", "[[0,0,0],[1,0.5,0.25],[2.5,-0.5,0.1]]"),
        (
            "d.json",
            json.dumps(
                {
                    "waypoints": [
                        {"t": 0, "Valence": 0, "arousal": 0},
                        {"t": 1, "Valence": 0.5, "arousal": 0.25},
                        [2.5, -0.5, 0.1],
                    ]
                }
            ),
        ),
        ("e.txt", " [[0,0,0],[1,0.5,0.25],[2.5,-0.5,0.1]]"),
    ],
)
def test_every_form_of_file_gives_the_same_curve(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    curve = parse_path(str(tmp_path / name))
    assert (curve.name, curve.duration, curve.expression) == (name[0], 2.5, "")
    assert curve.at([0, 1, 2.5]).tolist() == [[0, 0], [0.5, 0.25], [-0.5, 0.1]]


def test_what_is_written_is_read_back_to_the_last_bit(tmp_path):
    for seed in range(20):
        times, points = waypoints(seed)
        (tmp_path / "my path!.csv").write_text(waypoints_csv(times, points))
        back = parse_path(str(tmp_path / "my path!.csv"))
        fine = np.linspace(0, back.duration, 300)
        assert np.array_equal(back.at(fine), waypoint_curve(times, points).at(fine))
        assert back.name == "my_path"


HEAD = "t,valence,arousal\n"


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.csv", "", "empty file"),
        ("a.csv", "# nothing\n", "only comments"),
        ("a.csv", HEAD, "at least 2 waypoints.* got 0"),
        ("a.csv", HEAD + "0,0,0\n", "at least 2 waypoints.* got 1"),
        ("a.csv", "t,valence\n0,0\n1,0\n", "arousal is missing"),
        ("a.csv", "0,0,0\n1,0,0\n", "t, valence, arousal is missing"),
        ("a.csv", HEAD + "0,0,0\n1,0.9,0.9\n", r"line 3: va: .* \(0.9, 0.9\)"),
        ("a.csv", HEAD + "0,0,0\n\n1,nan,0\n", "line 4: valence: .* got nan"),
        ("a.csv", HEAD + "0,0,0\ninf,0,0\n", "line 3: expected a finite time t, got inf"),
        ("a.csv", HEAD + "0,0,0\n1,0,0\n1,.1,0\n", "line 4: expected t above 1, got 1"),
        ("a.csv", HEAD + "0,0,0\n-1,0,0\n", "line 3: expected t above 0, got -1"),
        ("a.csv", HEAD + "0,0,0\n1,x,0\n", "line 3: expected a number as valence, got 'x'"),
        ("a.csv", HEAD + "0,0,0\n1,0\n", "line 3: expected 3 values, got '1,0'"),
        ("a.json", "[[0,0,0],", "line 1 column"),
        ("a.json", "", "empty file"),
        ("a.json", "[]", "got 0"),
        ("a.json", '"x"', "JSON list of waypoints"),
        ("a.json", '{"points": []}', "JSON list of waypoints"),
        ("a.json", "[[0,0,0],[1,0]]", r"waypoint 2: expected \[t, valence, arousal\]"),
        ("a.json", '[[0,0,0],[1,"0",0]]', "waypoint 2: expected numbers, got '0'"),
        ("a.json", "[[0,0,0],[1,true,0]]", "waypoint 2: expected numbers, got True"),
        ("a.json", "[[0,0,0],[1,NaN,0]]", "waypoint 2: valence: .* got nan"),
        ("a.json", "[[0,0,0],[1,1" + "0" * 400 + ",0]]", "waypoint 2: expected a number"),
        ("a.json", '[[0,0,0],{"t":1,"valence":0}]', "waypoint 2: .*arousal is missing"),
        ("a.json", "[" * 100_000, "path: expected"),
    ],
)
def test_bad_files_are_one_line_that_names_the_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(TargetError, match=message) as caught:
        parse_path(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with (tmp_path / "film.csv").open("wb") as film:
        film.truncate(20 * 2**20)
    for path, message in [
        (tmp_path / "absent.csv", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "picture.csv", "not UTF-8"),
        (tmp_path / "film.csv", "20 MiB"),
    ]:
        with pytest.raises(TargetError, match=message):
            parse_path(str(path))


@pytest.mark.parametrize(
    "times, points, message",
    [
        ([0], [[0, 0]], "2 to 20000 waypoints, got 1"),
        ([0, 1], [[0, 0]], r"\(n, 2\) points"),
        ([0, 1], [[0, 0], [0, 2]], "waypoint 2: va"),
        ([0, 1, 0.5], [[0, 0]] * 3, "waypoint 3: expected t above 1, got 0.5"),
        (["a", "b"], [[0, 0]] * 2, "expected numbers"),
        (np.arange(20_001), np.zeros((20_001, 2)), "20001; leave some out"),
        ([-1e308, 1e308], [[0, 0]] * 2, "times in seconds"),
    ],
)
def test_bad_waypoints_in_memory(times, points, message):
    with pytest.raises(TargetError, match=message), np.errstate(all="ignore"):
        waypoint_curve(times, points)


# --- names


def test_onset_apex_offset_lasts_what_faces_do():
    curve = parse_path("onset-apex-offset:0.8,-0.3")
    times = np.linspace(0, 4, 4001)
    share = curve.at(times) @ np.array([0.8, -0.3]) / 0.73
    moving = np.flatnonzero(np.abs(np.diff(share)) > 1e-9)
    apex = times[np.flatnonzero(share > 1 - 1e-9)]
    assert curve.duration == 4.0
    assert 0.5 <= apex[0] <= 0.76
    assert 0.5 <= apex[-1] - apex[0] <= 4
    assert 1 <= times[moving[-1] + 1] - apex[-1] <= 2
    assert curve.at([0, 2, 4]).tolist() == [[0, 0], [0.8, -0.3], [0, 0]]


def test_circle_runs_at_constant_speed_and_closes():
    curve = parse_path("circle:0.8")
    va = curve.at(np.linspace(0, curve.duration, 361))
    np.testing.assert_allclose(radius(va), 0.8, atol=1e-15)
    np.testing.assert_allclose(radius(np.diff(va, axis=0)), 1.6 * np.sin(np.pi / 360), rtol=1e-9)
    assert va[0].tolist() == va[-1].tolist() == [0.8, 0]
    assert va[90] == pytest.approx((0, 0.8))  # counter-clockwise


def test_line_eases_from_end_to_end():
    va = parse_path("line:-1,0:0.6,0.8").at([0, 1, 2, 4])
    assert va[[0, 3]].tolist() == [[-1, 0], [0.6, 0.8]]
    assert va[2] == pytest.approx((-0.2, 0.4))
    assert va[1, 0] == pytest.approx(-1 + 1.6 * (1 - np.sqrt(0.5)) / 2)


@pytest.mark.parametrize("name", [*BASIC_EXPRESSIONS, "contempt"])
def test_expressions_run_along_their_ray(name):
    track = sample_path(parse_path(name))
    full = EXPRESSIONS[name]
    assert (track.name, track.expression, track.slowed) == (name, name, 1.0)
    across = track.va @ np.array([-full.arousal, full.valence])
    assert np.abs(across).max() < 1e-15
    assert track.va[len(track) // 2].tolist() == [full.valence, full.arousal]


def test_adjectives_intensities_and_neutral():
    curve = parse_path(" Happy:0.7 ")
    assert (curve.name, curve.expression) == ("happiness_0.70", "happiness")
    assert curve.at([2])[0] == pytest.approx((0.7 * 0.92, 0.7 * 0.15))
    assert not parse_path("neutral").at(np.linspace(0, 4, 50)).any()


@pytest.mark.parametrize(
    "text, name",
    [
        ("circle:0.8", "circle_0.80"),
        ("onset-apex-offset:0.5,-.3", "onset-apex-offset_v+0.50_a-0.30"),
        ("line:0,0:-.001,-.9", "line_v+0.00_a+0.00_v+0.00_a-0.90"),
        ("SURPRISE", "surprise"),
    ],
)
def test_names_are_safe_in_files(text, name):
    assert parse_path(text).name == name


@pytest.mark.parametrize(
    "text, message",
    [
        ("joyous", "onset-apex-offset:V,A.*circle:R.*anger.*got 'joyous'"),
        ("spiral:0.5", "got 'spiral:0.5'"),
        ("", "got ''"),
        ("x\0y", "got"),
        ("x" * 5000, "got"),
        ("circle", "radius, got ''"),
        ("circle:0", "above 0, got 0"),
        ("circle:1.2", "radius of 0 to 1, got 1.2"),
        ("circle:nan", "got nan"),
        ("line:0,0", "line:V0,A0:V1,A1, got 'line:0,0'"),
        ("line:0,0:1,1", r"unit disc, got \(1, 1\)"),
        ("onset-apex-offset:0.9,0.9", r"\(0.9, 0.9\)"),
        ("onset-apex-offset:1", "got '1'"),
        ("anger:2", "intensity of 0 to 1, got 2"),
        ("anger:", "intensity, got ''"),
    ],
)
def test_unknown_names_and_bad_values(text, message):
    with pytest.raises(TargetError, match=message):
        parse_path(text)


# --- frames


@pytest.mark.parametrize("text", NAMED)
@pytest.mark.parametrize("fps, seconds", [(30, None), (25, 3.0), (60, 6.4), (29.97, 10)])
def test_named_paths_have_the_length_asked_for_and_exact_ends(text, fps, seconds):
    curve = parse_path(text)
    track = sample_path(curve, fps, seconds)
    assert len(track) == round((seconds or 4) * fps)
    assert (track.fps, track.slowed, track.name) == (fps, 1.0, curve.name)
    ends = curve.at([0, curve.duration])
    assert track.va[[0, -1]].tolist() == ends.tolist()
    if "line" not in text and "circle" not in text:
        assert track.va[[0, -1]].tolist() == [[0, 0], [0, 0]]
        assert not np.signbit(track.va[[0, -1]]).any()


def test_waypoints_fall_on_frames():
    curve = waypoint_curve([0, 1, 2.5, 4], [[0, 0], [0.5, 0.2], [0.5, 0.2], [0, 0]])
    track = sample_path(curve, 30)
    assert len(track) == 121
    assert track.va[[0, 120]].tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(track.va[30:76], [[0.5, 0.2]] * 46, atol=1e-15)
    assert len(sample_path(curve, 30, seconds=4)) == 120


@pytest.mark.parametrize(
    "fps, seconds, message",
    [
        (0, None, "fps: .* got 0"),
        (-5, None, "fps: .* got -5"),
        (float("nan"), None, "fps: .* got nan"),
        (float("inf"), None, "fps: .* got inf"),
        (241, None, "fps: .* got 241"),
        (30, 0, "seconds: .* got 0"),
        (30, -1, "seconds: .* got -1"),
        (30, float("nan"), "seconds: .* got nan"),
        (30, float("inf"), "seconds: .* got inf"),
        (30, 0.01, "at least 2 frames"),
        (30, 1e300, "at most 20000 frames"),
        (30, FRAME_LIMIT / 30 + 1, "at most 20000 frames"),
    ],
)
def test_bad_rates_and_lengths(fps, seconds, message):
    with pytest.raises(TargetError, match=message):
        sample_path(parse_path("happiness"), fps, seconds)


# --- speed


def test_the_limits_are_those_of_a_cosine_onset_of_half_a_second():
    times = np.linspace(0, 0.5, 10_001)
    onset = (1 - np.cos(2 * np.pi * times)) / 2
    assert np.diff(onset).max() / times[1] == pytest.approx(VA_SPEED, rel=1e-6)
    assert pytest.approx(0.08 * 60) == WEIGHT_SPEED


def test_slow_paths_are_not_touched(gallery):
    for text in ("happiness", "onset-apex-offset:-0.44,0.8"):
        with_faces = sample_path(parse_path(text), 30, None, gallery.smooth_weights)
        assert with_faces.slowed == 1.0
        assert np.array_equal(with_faces.va, sample_path(parse_path(text), 30).va)


@pytest.mark.parametrize("seconds", [4.0, 1.0, 0.2])
@pytest.mark.parametrize("text", ["circle:0.8", "circle:1", "surprise", "line:-1,0:1,0"])
@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_no_weight_and_no_point_is_too_fast(gallery, text, seconds, fps):
    curve, faces = parse_path(text), gallery.smooth_weights
    track = sample_path(curve, fps, seconds, faces)
    assert speed(track) <= VA_SPEED * (1 + 1e-6)
    assert speed(track, faces) <= WEIGHT_SPEED * (1 + 1e-6)
    assert track.va[[0, -1]].tolist() == curve.at([0, curve.duration]).tolist()
    asked = round(seconds * fps)
    assert track.slowed == pytest.approx((len(track) - 1) / (asked - 1))
    assert (track.slowed > 1) == (len(track) > asked)
    # no slower than it has to be: something runs at four fifths of its limit
    if track.slowed > 1:
        assert max(speed(track) / VA_SPEED, speed(track, faces) / WEIGHT_SPEED) > 0.8


def test_random_fast_paths_keep_the_limits(gallery):
    for seed in range(12):
        times, points = waypoints(seed)
        curve = waypoint_curve(times / 10, points)
        track = sample_path(curve, 30, None, gallery.smooth_weights)
        assert speed(track) <= VA_SPEED * (1 + 1e-6)
        assert speed(track, gallery.smooth_weights) <= WEIGHT_SPEED * (1 + 1e-6)
        assert radius(track.va).max() <= 1 + 1e-9
        assert track.va[[0, -1]].tolist() == curve.at([0, curve.duration]).tolist()


def test_slowing_follows_the_same_curve_forwards():
    track = sample_path(parse_path("circle:1"), 30, 0.5)
    angle = np.unwrap(np.arctan2(track.va[:, 1], track.va[:, 0]))
    assert (np.diff(angle) > 0).all()
    np.testing.assert_allclose(radius(track.va), 1, atol=1e-12)
    # the pace is even, so it is slowed evenly: 2 pi at pi per second
    np.testing.assert_allclose(np.diff(angle), 2 * np.pi / (len(track) - 1), rtol=1e-6)
    assert len(track) - 1 == pytest.approx(2 * 30, abs=2)


def test_a_jump_becomes_an_onset_and_its_dwells_grow_little():
    times, points = [0, 1, 1.01, 2.01], [[0, 0], [0, 0], [0.9, 0.1], [0.9, 0.1]]
    track = sample_path(waypoint_curve(times, points), 60)
    moving = radius(np.diff(track.va, axis=0)) > 1e-6
    onset = np.flatnonzero(moving)
    assert 0.35 <= (onset[-1] - onset[0] + 1) / 60 <= 0.6
    rest = len(track) / 60 - moving.sum() / 60
    assert 2.0 <= rest <= 3.5
    step = np.abs(np.diff(track.va[:, 0], n=2)).max() * 60**2
    assert step < 60  # a cosine onset has 20, a ramp between two stops at least 170


def test_where_it_is_slowed_there_is_no_kink():
    # three times too fast in its middle only: acceleration stays near that of the ramps
    times, points = [0, 1.5, 1.8, 3.3], [[-0.9, 0], [-0.7, 0], [0.8, 0], [0.9, 0]]
    track = sample_path(waypoint_curve(times, points), 120)
    assert track.slowed > 1
    pace = np.diff(track.va[:, 0]) * 120
    assert np.abs(np.diff(pace)).max() * 120 < 40
    assert pace.min() >= 0


def test_a_face_that_jumps_cannot_be_slowed():
    def faces(va):
        return np.repeat((va[:, :1] > 0.5).astype(float), 52, axis=1)

    with pytest.raises(TargetError, match="at most 20000 frames.* slowed down"):
        sample_path(parse_path("happiness"), 30, None, faces)


def test_the_same_path_gives_the_same_bytes_and_travels_between_processes(gallery):
    curve = parse_path("circle:0.8")
    other = pickle.loads(pickle.dumps(curve))
    assert isinstance(other, Curve)
    first = sample_path(curve, 30, 2, gallery.smooth_weights)
    again = sample_path(other, 30, 2, gallery.smooth_weights)
    assert first.va.tobytes() == again.va.tobytes()


def test_many_frames_and_many_waypoints(gallery):
    n = 3000
    angle = np.linspace(0, 40, n)
    points = 0.6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    track = sample_path(
        waypoint_curve(np.arange(n) / 100, points), 30, None, gallery.smooth_weights
    )
    assert speed(track, gallery.smooth_weights) <= WEIGHT_SPEED * (1 + 1e-6)
    assert len(sample_path(parse_path("circle:0.5"), 100, FRAME_LIMIT / 100)) == FRAME_LIMIT
