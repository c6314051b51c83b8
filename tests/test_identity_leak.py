"""Identity in mean faces: portraits are found, even mixtures are not."""

from __future__ import annotations

import numpy as np
import pytest

from synth.expressions.leak import identity_leak

SUBJECTS, CLASSES, EACH = 10, 8, 30


@pytest.fixture(scope="module")
def frames():
    """Faces that follow the rating, a habit of each subject, and noise; class 3 is one subject's,
    class 5 shows three."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(CLASSES), EACH)
    subject = np.tile(np.arange(SUBJECTS), CLASSES * EACH // SUBJECTS)
    subject[label == 3] = 7
    subject[label == 5] = np.arange(EACH) % 3
    centre = rng.uniform(-0.7, 0.7, (CLASSES, 2))
    va = centre[label] + rng.normal(0, 0.05, (len(label), 2))
    va[label == 0] = 0
    habit = rng.normal(0, 1, (SUBJECTS, 12))
    faces = va @ rng.normal(0, 3, (2, 12)) + habit[subject] + rng.normal(0, 0.4, (len(label), 12))
    sequence = np.arange(len(label)) // 5
    return faces.astype(np.float32), va, label, subject, sequence


def test_a_portrait_is_attributed_and_a_mixture_is_not(frames):
    leak = identity_leak(*frames, vertices=100)
    assert leak.chance == 1 / SUBJECTS
    assert leak.accuracy > 0.8 and leak.portrait > 0.5
    assert leak.attributed[3] == 7 == leak.top_subject[3]
    assert leak.attribution[3] == pytest.approx(leak.portrait, abs=0.25)
    even = [1, 2, 4, 6, 7]
    assert leak.attribution[even].max() < 0.3
    assert leak.control[1:].max() < 0.35
    assert leak.flagged.tolist() == [k in (3, 5) for k in range(CLASSES)]
    assert leak.subjects.tolist() == [10, 10, 10, 1, 10, 3, 10, 10]
    assert np.allclose(leak.effective[[2, 3, 5]], [10, 1, 3])
    assert leak.top_share[3] == 1 and np.isnan(leak.left_out[3])


def test_leaving_one_out_is_what_it_says(frames):
    faces, va, label, subject, sequence = frames
    leak = identity_leak(faces, va, label, subject, sequence, vertices=100)
    for k in (1, 5):
        own = faces[label == k].astype(np.float64)
        who = subject[label == k]
        moved = [np.linalg.norm(own[who != s].mean(0) - own.mean(0)) / 10 for s in np.unique(who)]
        assert leak.left_out[k] == pytest.approx(max(moved), rel=1e-5)


def test_without_habits_nobody_is_seen():
    rng = np.random.default_rng(1)
    label = np.repeat(np.arange(6), 200)
    subject = rng.integers(0, 10, len(label))
    va = rng.uniform(-0.6, 0.6, (6, 2))[label]
    faces = rng.normal(size=(len(label), 5))
    leak = identity_leak(faces, va, label, subject, np.arange(len(label)) // 4, vertices=10)
    assert leak.accuracy < 0.2 and leak.portrait < 0.15
    assert not leak.flagged.any()
