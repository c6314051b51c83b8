"""Blinks, gaze and head motion: facts they must keep, zero at the start, no say in the rest."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import ShapeError, UsageError
from synth.expressions.arkit import index_of
from synth.motion import HEAD_RANGE, draw_motion, smoothness, with_motion

SHUT, OPEN = index_of("eyeBlinkLeft"), index_of("eyeWideLeft")


def starts(blink):
    """Frames in which a blink begins."""
    return np.flatnonzero((blink[1:] > 0) & (blink[:-1] == 0)) + 1


def test_seventeen_blinks_a_minute_over_people_and_people_differ():
    counts = [len(starts(draw_motion(60 * 60, 60, seed, blinks=True).blink)) for seed in range(400)]
    assert np.mean(counts) == pytest.approx(17, abs=1.0)
    assert 4 < np.std(counts) < 9
    assert min(counts) >= 3 and max(counts) < 60


def test_a_blink_is_short_shuts_the_eye_and_closes_faster_than_it_opens():
    for seed in range(30):
        blink = draw_motion(1000 * 20, 1000, seed, blinks=True).blink
        for start in starts(blink):
            end = start + np.argmax(np.append(blink[start:], 0) == 0)
            if end >= len(blink):
                continue
            peak = start + blink[start:end].argmax()
            assert 0.1 <= (end - start) / 1000 <= 0.4
            assert blink[peak] == 1
            shut = np.flatnonzero(blink[start:end] > 0.999)
            assert shut[0] < (end - start) - shut[-1]


def test_the_mean_rate_holds_in_short_sequences_too():
    # four seconds, so that the phase of the first blink matters; mean 17 / 15
    blinks = [draw_motion(240, 60, seed, blinks=True).blink for seed in range(2000)]
    counts = np.array([len(starts(blink)) for blink in blinks])
    assert counts.mean() == pytest.approx(17 * 4 / 60, abs=4 * counts.std() / np.sqrt(2000))
    assert 0.2 < (counts == 0).mean() < 0.5


def test_every_blink_is_seen_shut_at_30_frames_a_second():
    for seed in range(20):
        blink = draw_motion(1800, 30, seed, blinks=True).blink
        begun = [i for i in starts(blink) if i < 1780]
        assert all(blink[i : i + 8].max() > 0.999 for i in begun)


def test_frame_rates_and_layers_do_not_change_each_other():
    both = draw_motion(300, 60, 7, True, True)
    coarse = draw_motion(150, 30, 7, True, False)
    np.testing.assert_allclose(coarse.blink, both.blink[::2], atol=1e-12)
    np.testing.assert_allclose(coarse.gaze, both.gaze[::2], atol=1e-12)
    assert np.array_equal(both.head, draw_motion(300, 60, 7, False, True).head)
    assert np.array_equal(both.head, draw_motion(300, 60, 7, True, True).head)


def test_gaze_noise_is_small_and_holds_still_between_saccades():
    for seed in range(20):
        gaze = draw_motion(6000, 100, seed, blinks=True).gaze
        assert 0.01 < np.abs(gaze).max() <= 0.06 + 1e-12
        assert (np.diff(gaze, axis=0) == 0).all(1).mean() > 0.85


def test_head_motion_fades_in():
    heads = np.stack([draw_motion(61, 60, s, head_motion=True).head for s in range(50)])
    assert np.abs(heads[:, 1]).max() < 0.02  # a sixtieth of a second
    assert np.abs(heads[:, 30:]).max() > 0.5


@pytest.mark.parametrize("frames, fps", [(0, 30), (-1, 30), (5, 0), (5, float("nan"))])
def test_no_frames_or_no_rate_are_refused(frames, fps):
    with pytest.raises(UsageError, match="frames and fps above 0"):
        draw_motion(frames, fps, 0)


@pytest.mark.parametrize("seed", range(5))
def test_everything_starts_at_zero_and_a_longer_sequence_starts_alike(seed):
    short = draw_motion(90, 30, seed, True, True)
    long = draw_motion(900, 30, seed, True, True)
    for name in ("blink", "gaze", "head"):
        assert not getattr(long, name)[0].any()
        np.testing.assert_allclose(getattr(short, name), getattr(long, name)[:90], atol=1e-12)


def test_off_is_off_and_leaves_every_bit_of_the_weights():
    still = draw_motion(50, 30, 3)
    assert not (still.blink.any() or still.gaze.any() or still.head.any())
    weights = np.random.default_rng(0).random((50, 52))
    assert np.array_equal(with_motion(weights, still), weights)


def test_head_motion_is_small_slow_and_differs_between_seeds():
    swings = np.stack([draw_motion(1800, 60, s, head_motion=True).head for s in range(50)])
    assert (np.abs(swings).max((0, 1)) <= HEAD_RANGE).all()
    assert (np.abs(swings).max((0, 1)) > 0.7 * np.array(HEAD_RANGE)).all()
    assert np.abs(np.diff(swings, axis=1)).max() * 60 < 8  # degrees a second
    assert np.abs(swings[0] - swings[1]).max() > 0.5


def test_a_blink_overrides_what_the_lids_do_and_nothing_else():
    weights = np.full((3, 52), 0.4)
    motion = draw_motion(3, 30, 0)
    motion.blink[:] = 0, 0.5, 1
    out = with_motion(weights, motion)
    assert out[:, SHUT] == pytest.approx([0.4, 0.7, 1.0])
    assert out[:, OPEN] == pytest.approx([0.4, 0.2, 0.0])
    changed = {i for i in range(52) if not np.array_equal(out[:, i], weights[:, i])}
    names = {
        index_of(n + s) for n in ("eyeBlink", "eyeWide", "eyeSquint") for s in ("Left", "Right")
    }
    assert changed == names


def test_gaze_to_the_left_turns_both_eyes_to_the_left():
    motion = draw_motion(2, 30, 0)
    motion.gaze[1] = 0.3, -0.2
    out = with_motion(np.zeros((2, 52)), motion)[1]
    got = {n: out[index_of(n)] for n in ("eyeLookOutLeft", "eyeLookInRight", "eyeLookDownLeft",
                                         "eyeLookDownRight")}  # fmt: skip
    assert got == pytest.approx({"eyeLookOutLeft": 0.3, "eyeLookInRight": 0.3,
                                 "eyeLookDownLeft": 0.2, "eyeLookDownRight": 0.2})  # fmt: skip
    assert np.count_nonzero(out) == 4


def test_weights_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"\(4, 52\)"):
        with_motion(np.zeros((3, 52)), draw_motion(4, 30, 0))


def test_smoothness_of_known_motion():
    fps, iod = 25.0, 80.0
    t = np.arange(40) / fps
    points = np.zeros((40, 68, 2))
    points[:, 5, 0] = iod * 2.0 * t**3  # jerk 12, everywhere
    found = smoothness(points, iod, fps)
    assert found.jerk == pytest.approx(12.0, rel=1e-9)
    assert found.step == pytest.approx(2 * (t[-1] ** 3 - t[-2] ** 3), rel=1e-9)
    assert found.frame == 39
    assert smoothness(points[:1], iod, fps) == smoothness(points[:1] + 9, iod, fps)
    assert smoothness(points[:2] * 0, iod, fps).step == 0


def test_gaze_against_a_look_undoes_it_first_and_stays_in_range():
    motion = draw_motion(3, 30, 0)
    motion.gaze[:, 1] = 0.0, 0.1, 0.5
    weights = np.zeros((3, 52))
    weights[:, index_of("eyeLookDownLeft")] = 0.3
    weights[:, index_of("eyeLookUpRight")] = 0.95
    out = with_motion(weights, motion)
    assert out[:, index_of("eyeLookDownLeft")] == pytest.approx([0.3, 0.2, 0.0])
    assert out[:, index_of("eyeLookUpLeft")] == pytest.approx([0.0, 0.0, 0.2])
    assert out[:, index_of("eyeLookUpRight")] == pytest.approx([0.95, 1.0, 1.0])


def test_smoothness_refuses_nonsense():
    with pytest.raises(ShapeError, match=r"\(F, 68, 2\)"):
        smoothness(np.zeros((68, 2)), 80, 30)
    with pytest.raises(ShapeError, match="above 0"):
        smoothness(np.zeros((5, 68, 2)), 0, 30)
