"""FER metrics against scikit-learn, values worked by hand and naive loops."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as reference

from synth.errors import ShapeError
from synth.metrics import agreement, classes, figures, intervals, regions, report, report_files

NAMES = ["anger", "fear", "happiness", "neutral"]
NUMBERS = ["ccc", "ccc_sample", "pcc", "mse", "rmse", "mae", "sagr"]
NAMED = ["accuracy", "mean_diagonal", "macro_f1", "kappa"]


def some_classes(seed: int, n: int = 300) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    target = rng.choice(NAMES, n, p=[0.05, 0.15, 0.3, 0.5])
    wrong = rng.choice(NAMES, n)
    return target.tolist(), np.where(rng.random(n) < 0.6, target, wrong).tolist()


def some_va(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.uniform(-1, 1, (n, 2))
    return target, 0.6 * target + 0.1 + 0.3 * rng.normal(size=(n, 2))


# ---------------------------------------------------------------------------- references
@pytest.mark.parametrize("seed", range(4))
def test_numbers_agree_with_independent_references(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 400))
    t, e = rng.uniform(-1, 1, n), rng.normal(0.2, 0.7, n)
    found = {name: i.value for name, i in intervals.intervals(NUMBERS, t, e, folds=1).items()}
    # Lin's definition: one less the mean square over that of pairs drawn at random.
    by_chance = np.mean([(a - b) ** 2 for a in t for b in e])
    assert found["ccc"] == pytest.approx(1 - np.mean((t - e) ** 2) / by_chance, abs=1e-9)
    both = np.cov(t, e)  # divided by N - 1
    bias = (t.mean() - e.mean()) ** 2
    wanted = 2 * both[0, 1] / (both[0, 0] + both[1, 1] + bias)
    assert found["ccc_sample"] == pytest.approx(wanted, abs=1e-9)
    assert found["pcc"] == pytest.approx(scipy.stats.pearsonr(t, e).statistic, abs=1e-9)
    assert found["mse"] == pytest.approx(reference.mean_squared_error(t, e), abs=1e-9)
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(t, e), abs=1e-9)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(t, e), abs=1e-9)
    same = sum(a * b > 0 for a, b in zip(t, e, strict=True))
    assert found["sagr"] == pytest.approx(same / n, abs=1e-9)
    for name in ("ccc", "pcc", "rmse", "mae", "sagr"):
        assert getattr(agreement, name)(t, e) == pytest.approx(found[name], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_class_measures_agree_with_scikit_learn(seed):
    target, estimate = some_classes(seed, 150)
    found = {n: i.value for n, i in intervals.intervals(NAMED, target, estimate, folds=1).items()}
    for name, wanted in (
        ("accuracy", reference.accuracy_score(target, estimate)),
        ("mean_diagonal", reference.balanced_accuracy_score(target, estimate)),
        ("macro_f1", reference.f1_score(target, estimate, average="macro")),
        ("kappa", reference.cohen_kappa_score(target, estimate)),
    ):
        assert found[name] == pytest.approx(wanted, abs=1e-9)


def test_measures_agree_with_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics")
    import torch

    target, estimate = (torch.from_numpy(a[:, 0].copy()) for a in some_va(21, 500))
    functional = torchmetrics.functional
    # Its concordance is the sample form; its Pearson takes doubles as they are.
    wanted = functional.concordance_corrcoef(estimate, target)
    assert agreement.ccc(target, estimate, sample=True) == pytest.approx(float(wanted), abs=1e-9)
    wanted = functional.pearson_corrcoef(estimate, target)
    assert agreement.pcc(target, estimate) == pytest.approx(float(wanted), abs=1e-9)
    wanted = functional.mean_squared_error(estimate, target)
    assert agreement.rmse(target, estimate) ** 2 == pytest.approx(float(wanted), abs=1e-9)
    names, guess = some_classes(21)
    label, read = (torch.tensor([NAMES.index(name) for name in s]) for s in (names, guess))
    options = {"task": "multiclass", "num_classes": 4}
    for ours, theirs, more in (
        (agreement.accuracy, functional.accuracy, {"average": "micro"}),
        (agreement.macro_f1, functional.f1_score, {"average": "macro"}),
        (agreement.kappa, functional.cohen_kappa, {}),
    ):
        wanted = float(theirs(read, label, **options, **more))
        assert ours(names, guess) == pytest.approx(wanted, abs=1e-6)  # theirs are float32


def test_what_cannot_be_said_is_nan_as_documented():
    """One picture, constants and one class: the same in both ways of measuring."""
    for t, e, nan in (
        ([0.3], [0.1], {"ccc", "ccc_sample", "pcc"}),
        ([0.1, 0.5], [0.2, 0.2], {"pcc"}),
        ([0.2, 0.2], [0.2, 0.2], {"ccc", "ccc_sample", "pcc"}),
    ):
        found = intervals.intervals(NUMBERS, t, e, folds=1)
        assert {name for name in NUMBERS if math.isnan(found[name].value)} == nan
        for name in ("ccc", "pcc", "rmse", "mae", "sagr"):
            wanted = getattr(agreement, name)(t, e)
            assert found[name].value == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    one = intervals.intervals(NAMED, ["a", "a"], ["a", "a"], folds=1)
    assert math.isnan(one["kappa"].value) and one["accuracy"].value == 1
    for name in ("ccc", "rmse", "sagr"):
        with pytest.raises(ShapeError, match="finite"):
            getattr(agreement, name)([0.0, np.nan], [0.0, 0.0])


# ------------------------------------------------------------------------------- classes
@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(k)
    target, scores = rng.integers(0, 8, 500), rng.normal(size=(500, 8))
    wanted = reference.top_k_accuracy_score(target, scores, k=k, labels=range(8))
    assert classes.top_k_accuracy(target, scores, range(8), k) == pytest.approx(wanted, abs=1e-12)


def test_top_k_ties_go_to_the_class_listed_first():
    target, scores = ["a", "b", "c", "c"], np.zeros((4, 3))
    values = [classes.top_k_accuracy(target, scores, "abc", k) for k in (1, 2, 3)]
    assert values == [0.25, 0.5, 1.0]
    rng = np.random.default_rng(0)
    target, scores = rng.integers(0, 4, 200), rng.integers(0, 3, (200, 4))
    assert classes.top_k_accuracy(target, scores, range(4)) == (scores.argmax(1) == target).mean()


@pytest.mark.parametrize(
    ("target", "scores", "k", "words"),
    [
        ([0], np.zeros((2, 3)), 1, r"expected \(1, 3\)"),
        ([], np.zeros((0, 3)), 1, "N > 0"),
        ([0], [[0, np.nan, 1]], 1, "1 of 1 rows"),
        ([0], np.zeros((1, 3)), 4, "k: expected 1 to 3"),
        ([7], np.zeros((1, 3)), 1, "got 7"),
    ],
)
def test_top_k_refuses(target, scores, k, words):
    with pytest.raises(ShapeError, match=words):
        classes.top_k_accuracy(target, scores, range(3), k)


def test_margins_agree_with_scikit_learn():
    target, estimate = some_classes(1)
    found = classes.confusion_margins(target, estimate, NAMES)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        target, estimate, labels=NAMES
    )
    np.testing.assert_allclose(found.ppv, precision, atol=1e-12)
    np.testing.assert_allclose(found.tpr, recall, atol=1e-12)
    np.testing.assert_allclose(found.f1, f1, atol=1e-12)
    np.testing.assert_allclose(found.shares.sum(1), 1)
    assert found.n == 300
    wanted = reference.balanced_accuracy_score(target, estimate)
    assert classes.mean_diagonal(found.counts) == pytest.approx(wanted, abs=1e-12)


def test_margins_are_unknown_where_nothing_was_counted():
    found = classes.confusion_margins(["a", "a"], ["b", "a"], ["a", "b", "c"])
    np.testing.assert_array_equal(found.tpr, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(found.ppv, [1, 0, np.nan])
    np.testing.assert_array_equal(found.f1, [2 / 3, 0, np.nan])
    assert classes.mean_diagonal(found.counts) == 0.5
    assert math.isnan(classes.mean_diagonal(np.zeros((3, 3))))


@pytest.mark.parametrize("case", [some_classes(2), (["a"], ["a"]), (["a"], ["b"]), ("aab", "aaa")])
def test_measures_of_counts_are_those_of_names(case):
    target, estimate = map(list, case)
    counts, _ = agreement.confusion(target, estimate)
    for name in ("accuracy", "macro_f1", "kappa"):
        wanted = getattr(agreement, name)(target, estimate)
        got = classes.FROM_COUNTS[name](counts.astype(float))
        assert got == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_down_sampling_is_that_of_pictures():
    target, estimate = map(np.array, some_classes(3, 400))
    counts, known = agreement.confusion(target.tolist(), estimate.tolist())
    each, rng = min((target == name).sum() for name in known), np.random.default_rng(0)
    values = []
    for _ in range(400):
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(target == name), each, replace=False) for name in known]
        )
        part = target[chosen].tolist(), estimate[chosen].tolist()
        values.append([agreement.accuracy(*part), agreement.macro_f1(*part)])
    found = classes.down_sampled(counts, folds=4000)
    assert (found.each, found.classes, found.folds) == (each, 4, 4000)
    for name, (mean, deviation) in zip(
        ("accuracy", "macro_f1"), zip(np.mean(values, 0), np.std(values, 0), strict=True),
        strict=True,
    ):  # fmt: skip
        assert found.mean[name] == pytest.approx(mean, abs=5 * deviation / 20)
        assert found.deviation[name] == pytest.approx(deviation, rel=0.2)
    assert found.mean["accuracy"] == pytest.approx(classes.mean_diagonal(counts), abs=5e-3)


def test_down_sampling_of_a_balanced_set_changes_nothing():
    counts = np.array([[7, 3, 0], [0, 0, 0], [4, 0, 6]])
    found = classes.down_sampled(counts, folds=20)
    assert found.mean["accuracy"] == pytest.approx(0.65) and found.deviation["accuracy"] < 1e-12
    assert (found.each, found.classes) == (10, 2)
    skewed = [[7, 3], [1, 1]]
    assert classes.down_sampled(skewed).mean == classes.down_sampled(skewed).mean
    assert classes.down_sampled(skewed).mean != classes.down_sampled(skewed, seed=1).mean
    for bad in (np.zeros((2, 2)), np.ones((2, 3)), [[-1, 2], [0, 1]]):
        with pytest.raises(ShapeError, match="counts: expected"):
            classes.down_sampled(bad)


# ------------------------------------------------------------------------------- regions
@pytest.mark.parametrize("side", [1, 4, 71])
def test_regions_agree_with_a_naive_loop(side):
    target, estimate = some_va(4, 400)
    found = regions.region_rmse(target, estimate, side)
    cells: dict[tuple[int, int], list[np.ndarray]] = {}
    for t, e in zip(target, estimate, strict=True):
        column, row = (min(int((v + 1) / 2 * side), side - 1) for v in t)
        cells.setdefault((row, column), []).append((t - e) ** 2)
    assert found.occupied == len(cells) and found.n == 400
    for (row, column), squares in cells.items():
        valence, arousal = np.mean(squares, 0)
        assert found.count[row, column] == len(squares)
        assert found.valence[row, column] == pytest.approx(math.sqrt(valence) / 2, abs=1e-12)
        assert found.arousal[row, column] == pytest.approx(math.sqrt(arousal) / 2, abs=1e-12)
        both = math.sqrt((valence + arousal) / 2) / 2
        assert found.both[row, column] == pytest.approx(both, abs=1e-12)
    np.testing.assert_array_equal(np.isnan(found.both), found.count == 0)
    assert found.mean()["both"] == pytest.approx(np.nanmean(found.both), abs=1e-12)


def test_corners_and_neutral_have_their_regions():
    rows, columns = regions.region_index([[0, 0], [-1, -1], [1, -1], [1, 1], [-1, 1]])
    assert rows.tolist() == [35, 0, 0, 70, 70] and columns.tolist() == [35, 0, 70, 70, 0]
    rows, columns = regions.region_index([[-0.5, 0.5], [0, -0.51]], 4)  # edges belong above
    assert rows.tolist() == [3, 0] and columns.tolist() == [1, 2]
    found = regions.region_rmse([[1, 1]], [[-1, -1]])
    assert found.both[70, 70] == found.valence[70, 70] == 1 and found.occupied == 1
    assert found.centres[35] == 0 and found.centres[[0, -1]] == pytest.approx([-70 / 71, 70 / 71])


def test_no_pictures_have_a_map_of_nothing():
    found = regions.region_rmse(np.zeros((0, 2)), np.zeros((0, 2)))
    assert np.isnan(found.both).all() and found.n == 0 and math.isnan(found.mean()["both"])
    assert len(regions.region_weights(np.zeros((0, 2)))) == 0


def test_region_weights_make_regions_equal():
    target = np.array([[0, 0]] * 9 + [[0.5, 0.5]] * 3 + [[-1, 1]])
    weights = regions.region_weights(target)
    assert weights.mean() == pytest.approx(1)
    assert weights[:9].sum() == pytest.approx(weights[9:12].sum()) == pytest.approx(weights[12])
    assert regions.region_weights(target, power=0) == pytest.approx(np.ones(13))
    # The weighted mean square is that of regions, each counting the same.
    _, estimate = some_va(5, 13)
    square = (weights * ((target - estimate) ** 2).mean(1)).mean()
    found = regions.region_rmse(target, estimate)
    assert square == pytest.approx(np.nanmean((2 * found.both) ** 2), abs=1e-12)


@pytest.mark.parametrize(
    ("target", "estimate", "words"),
    [
        ([[0, 1.2]], [[0, 0]], r"in \[-1, 1\], got 1.2"),
        ([[0, np.nan]], [[0, 0]], "1 of 1 points"),
        ([[0, 0]], [[0, np.inf]], "1 of 1 points"),
        ([[0, 0]], [[0, 0], [0, 0]], "expected 1 points"),
        ([0, 0], [0, 0], r"expected \(N, 2\)"),
    ],
)
def test_regions_refuse(target, estimate, words):
    with pytest.raises(ShapeError, match=words):
        regions.region_rmse(target, estimate)


# ----------------------------------------------------------------------------- intervals
def naive(measure, target, estimate, subjects, folds, seed):
    """Values of the draws, one at a time."""
    people = list(dict.fromkeys(subjects))
    rng, values = np.random.default_rng(seed), []
    for _ in range(folds):
        chosen = [
            i
            for person in rng.integers(0, len(people), len(people))
            for i, name in enumerate(subjects)
            if name == people[person]
        ]
        values.append(measure([target[i] for i in chosen], [estimate[i] for i in chosen]))
    return np.array(values)


def mean_recall(target, estimate):
    return classes.mean_diagonal(agreement.confusion(target, estimate)[0])


MEASURES = {
    "ccc": agreement.ccc,
    "ccc_sample": lambda t, e: agreement.ccc(t, e, sample=True),
    "pcc": agreement.pcc,
    "mse": lambda t, e: agreement.rmse(t, e) ** 2,
    "rmse": agreement.rmse,
    "mae": agreement.mae,
    "sagr": agreement.sagr,
    "accuracy": agreement.accuracy,
    "macro_f1": agreement.macro_f1,
    "kappa": agreement.kappa,
    "mean_diagonal": mean_recall,
}


@pytest.mark.parametrize("name", intervals.MEASURES)
def test_intervals_agree_with_a_naive_bootstrap(name, monkeypatch):
    if name in classes.FROM_COUNTS:
        target, estimate = some_classes(6, 60)
    else:
        target, estimate = (a[:, 0].tolist() for a in some_va(6, 60))
    subjects = np.random.default_rng(6).choice(list("abcdefg"), 60).tolist()
    drawn = naive(MEASURES[name], target, estimate, subjects, 50, 3)
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.05, 0.95])
    value = MEASURES[name](target, estimate)
    wanted = intervals.Interval(
        pytest.approx(value, abs=1e-9), pytest.approx(low, abs=1e-9),
        pytest.approx(high, abs=1e-9), 60, 7, int(np.isnan(drawn).sum()),
    )  # fmt: skip
    given = (target, estimate, subjects, 50, 0.9, 3)
    assert intervals.intervals([name], *given)[name] == wanted
    monkeypatch.setattr(intervals, "HELD", 40)  # in parts
    own = MEASURES[name]
    found = intervals.intervals([own, name], *given)
    assert found[name] == wanted
    assert found[own] == wanted


def test_hand_worked_ccc():
    # means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2 (2/3) / (4/3 + 1) = 4/7
    found = intervals.intervals(["ccc", "ccc_sample"], [1, 2, 3], [2, 3, 4])
    assert found["ccc"].value == pytest.approx(4 / 7, abs=1e-12)
    assert found["ccc_sample"].value == pytest.approx(2 / 3, abs=1e-12)


def test_persons_with_many_pictures_widen_the_interval():
    rng = np.random.default_rng(8)
    subjects = np.repeat(np.arange(20), 50)
    target = np.zeros(1000)
    estimate = 1 + np.repeat(rng.normal(size=20), 50) * 0.2
    by_person = intervals.intervals(["mae"], target, estimate, subjects)["mae"]
    by_picture = intervals.intervals(["mae"], target, estimate)["mae"]
    width = by_person.high - by_person.low
    assert width > 5 * (by_picture.high - by_picture.low)
    # The standard error of the mean of 20 persons, 1.96 times to either side.
    spread = estimate[::50].std() / math.sqrt(20)
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert (by_person.subjects, by_picture.subjects) == (20, 1000)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, inside = np.random.default_rng(9), 0
    for seed in range(100):
        offsets = np.repeat(rng.normal(size=40), 3)
        found = intervals.intervals(
            ["mae"], np.zeros(120), 10 + offsets, np.repeat(np.arange(40), 3), 300, 0.9, seed
        )["mae"]
        inside += found.low <= 10 <= found.high
    assert 80 <= inside <= 97


def test_constants_and_single_persons_have_no_interval():
    numbers = ["ccc", "ccc_sample", "pcc", "rmse", "sagr"]
    one = intervals.intervals(numbers, [0.5], [0.25], folds=10)
    assert one["rmse"].value == 0.25 and math.isnan(one["rmse"].low)
    assert all(math.isnan(one[name].value) for name in ("ccc", "ccc_sample", "pcc"))
    stuck = intervals.intervals(numbers, [0.1, 0.5, 0.9], [0.3] * 3, folds=200)
    assert stuck["ccc"].value == 0 and math.isnan(stuck["pcc"].value)
    assert stuck["ccc"].undefined > 0  # draws of one picture three times
    both = intervals.intervals(numbers, [0.7] * 3, [0.3] * 3, folds=10)
    assert math.isnan(both["ccc"].value) and both["ccc"].undefined == 10
    assert both["rmse"].low == pytest.approx(0.4)
    person = intervals.intervals(["mae"], [0, 1], [1, 1], ["a", "a"])["mae"]
    assert person.value == 0.5 and math.isnan(person.high) and person.subjects == 1


def test_paired_difference_agrees_with_a_naive_bootstrap():
    target, first = (a[:, 0] for a in some_va(10, 60))
    second = (first + target) / 2
    subjects = np.random.default_rng(10).integers(0, 6, 60).tolist()
    a, b = (naive(agreement.ccc, target, e, subjects, 60, 1) for e in (first, second))
    found = intervals.paired_difference("ccc", target, first, second, subjects, 60, seed=1)
    value = agreement.ccc(target, second) - agreement.ccc(target, first)
    assert found.value == pytest.approx(value, abs=1e-9) and value > 0
    wanted = np.quantile(b - a, [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], wanted, atol=1e-9)
    assert found.p == pytest.approx(2 / 61) and (found.n, found.subjects) == (60, 6)
    back = intervals.paired_difference("ccc", target, second, first, subjects, 60, seed=1)
    assert back.value == pytest.approx(-value) and back.low == pytest.approx(-found.high)
    same = intervals.paired_difference("ccc", target, first, first, subjects, 60)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_pairing_narrows_the_difference():
    rng = np.random.default_rng(11)
    hard = np.repeat(rng.gamma(2, size=30), 4)
    first, second = hard, hard - 0.1 + 0.01 * rng.normal(size=120)
    subjects = np.repeat(np.arange(30), 4)
    found = intervals.paired_difference("mae", np.zeros(120), first, second, subjects)
    alone = intervals.intervals(["mae"], np.zeros(120), first, subjects)["mae"]
    assert found.high < 0 and found.high - found.low < 0.1 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([], []), "at least one picture"),
        (([0, np.nan], [0, 0]), "target: expected .N,. finite"),
        (([0, 0], [0, np.nan]), "estimate: expected .N,. finite"),
        (([0, 0], [0]), "estimate: expected 2"),
        (([0, 0], [0, 1], ["a"]), "subjects: expected 2"),
        (([0, 0], [0, 1], ["a", ""]), "none for some"),
        (([0, 0], [0, 1], None, 0), "folds: expected at least 1"),
        (([0, 0], [0, 1], None, 9, 95), "level: expected"),
    ],
)
def test_intervals_refuse(given, words):
    with pytest.raises(ShapeError, match=words):
        intervals.intervals(["mae"], *given)
    with pytest.raises(ShapeError, match="measure: expected one of ccc"):
        intervals.intervals(["auc"], [0, 1], [0, 1])


# -------------------------------------------------------------------------------- report
def some_table(n: int = 120) -> tuple[dict, dict, list[str]]:
    va, guess = some_va(12, n)
    names, _ = some_classes(12, n)
    scores = np.random.default_rng(12).normal(size=(n, 4))
    scores[np.arange(n), [NAMES.index(name) for name in names]] += 1
    target = {"valence": va[:, 0], "arousal": va[:, 1], "expression": names}
    estimate = {"valence": guess[:, 0], "arousal": guess[:, 1], "scores": scores}
    return target, estimate, [f"p{i % 9}" for i in range(n)]


def test_score_table_agrees_with_the_measures():
    target, estimate, subjects = some_table()
    table = report.score_table(target, estimate, subjects, classes=NAMES, folds=30)
    va, faces = table["parts"]["va"], table["parts"]["expression"]
    assert (table["n"], va["n"], va["subjects"]) == (120, 120, 9)
    for axis in ("valence", "arousal"):
        for name in ("ccc", "pcc", "rmse", "mae", "sagr"):
            wanted = getattr(agreement, name)(target[axis], estimate[axis])
            assert va["measures"][f"{axis}_{name}"]["value"] == pytest.approx(wanted, abs=1e-9)
    points = (np.stack([t["valence"], t["arousal"]], 1) for t in (target, estimate))
    wanted = agreement.mean_distance(*points)
    assert va["measures"]["mean_distance"]["value"] == pytest.approx(wanted, abs=1e-9)
    guess = [NAMES[i] for i in estimate["scores"].argmax(1)]
    found = faces["measures"]
    wanted = reference.f1_score(target["expression"], guess, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(wanted, abs=1e-9)
    assert found["top_1"] == found["accuracy"]
    for k in (1, 2, 3):
        wanted = classes.top_k_accuracy(target["expression"], estimate["scores"], NAMES, k)
        assert found[f"top_{k}"]["value"] == pytest.approx(wanted, abs=1e-12)
        assert found[f"top_{k}"]["low"] < wanted < found[f"top_{k}"]["high"]
    assert np.sum(faces["confusion"]["counts"]) == 120
    assert sum(cell["n"] for cell in va["regions"]["cells"]) == va["regions"]["n"] == 120


def test_groups_are_scored_as_tables_of_their_own():
    target, estimate, subjects = some_table()
    gender = ["f", "m", "", None] * 30
    table = report.score_table(
        target, estimate, subjects, {"gender": gender}, classes=NAMES, folds=20
    )
    groups = table["groups"]["gender"]
    assert {name: group["n"] for name, group in groups.items()} == {"f": 30, "m": 30, "unknown": 60}
    assert list(groups)[-1] == "unknown"
    ours = [{k: np.asarray(v)[::4] for k, v in side.items()} for side in (target, estimate)]
    alone = report.score_table(*ours, subjects[::4], classes=NAMES, folds=20)
    for part in ("va", "expression"):
        assert groups["f"]["parts"][part]["measures"] == alone["parts"][part]["measures"]


def test_pictures_without_a_number_are_counted_not_scored():
    target, estimate, _ = some_table(40)
    target["valence"][:3] = np.nan
    target["expression"][5] = ""
    estimate["arousal"][2:6] = np.nan
    estimate["scores"][5:8] = np.nan
    table = report.score_table(target, estimate, groups={"half": [1] * 6 + [2] * 34},
                               classes=NAMES, folds=5)  # fmt: skip
    va, faces = table["parts"]["va"], table["parts"]["expression"]
    assert [va[k] for k in ("n", "without_target", "without_estimate")] == [34, 3, 3]
    assert [faces[k] for k in ("n", "without_target", "without_estimate")] == [37, 1, 2]
    wanted = agreement.ccc(target["valence"][6:], estimate["valence"][6:])
    assert va["measures"]["valence_ccc"]["value"] == pytest.approx(wanted, abs=1e-9)
    empty = table["groups"]["half"]["1"]
    assert empty["n"] == 6 and empty["parts"]["va"]["n"] == 0
    assert empty["parts"]["va"]["measures"] == {}
    text = report_files.scores_text(table)
    assert "n = 34 pictures" in text and "3 more without a target" in text
    assert "| 1 | 0 | - | - |" in text


def test_files_say_the_same_and_every_table_says_n():
    target, estimate, subjects = some_table()
    group = {"age": ["10-19", "20-29"] * 60}
    table = report.score_table(target, estimate, subjects, group, classes=NAMES, folds=20)
    files = report_files.score_files(table, "Test")
    rows = list(csv.DictReader(files["scores.csv"].decode().splitlines()))
    kept = json.loads(files["scores.json"])
    assert tuple(rows[0]) == report_files.COLUMNS and all(int(row["n"]) > 0 for row in rows)
    first = next(r for r in rows if r["measure"] == "valence_ccc" and r["group"] == "20-29")
    wanted = kept["groups"]["age"]["20-29"]["parts"]["va"]["measures"]["valence_ccc"]
    assert [float(first[k]) for k in ("value", "low", "high")] == [
        wanted[k] for k in ("value", "low", "high")
    ]
    drawn = next(row for row in rows if row["measure"] == "down_sampled_accuracy")
    assert (drawn["low"], drawn["high"]) == ("", "") and int(drawn["n"]) % 4 == 0
    cells = list(csv.DictReader(files["regions.csv"].decode().splitlines()))
    assert sum(int(cell["n"]) for cell in cells) == 120
    blocks = files["scores.md"].decode().split("\n\n")
    heads = [block.splitlines()[0] for block in blocks if block.startswith("|")]
    assert len(heads) == 5 and all(" n |" in head for head in heads)
    widths = [{line.count("|") for line in block.splitlines()} for block in blocks if "|" in block]
    assert all(len(width) == 1 for width in widths)


def test_one_picture_and_no_picture_have_files_too():
    one = {"valence": [0.5], "arousal": [0.1], "expression": ["fear"]}
    files = report_files.score_files(report.score_table(one, one, ["a"], folds=5))
    assert b"NaN" not in files["scores.json"] and b"nan" not in files["scores.csv"]
    assert b"nan" not in files["scores.md"]
    none = {"valence": [], "arousal": []}
    table = report.score_table(none, none, groups={"age": []})
    assert table["parts"]["va"]["n"] == 0 and table["groups"] == {"age": {}}
    assert set(report_files.score_files(table)) == {"scores.json", "scores.csv", "scores.md"}


VALENCE = {"valence": [0.0, 1.0], "arousal": [0.0, 0.0]}


@pytest.mark.parametrize(
    ("target", "estimate", "more", "words"),
    [
        (VALENCE, {"expression": ["a", "b"]}, {}, "on both sides, got valence, arousal and exp"),
        ({}, {}, {}, "got nothing and nothing"),
        (VALENCE, {"valence": [0, 1]}, {}, "expected a column 'arousal'"),
        (VALENCE, {"valence": [0], "arousal": [0]}, {}, "expected one length"),
        (VALENCE, VALENCE | {"arousal": [0, np.inf]}, {}, "got infinity"),
        (VALENCE | {"valence": [0, 2]}, VALENCE, {}, "scale the annotations"),
        (VALENCE, VALENCE, {"subjects": ["a", None]}, "none for some"),
        (VALENCE, VALENCE, {"subjects": ["a"]}, "expected one length"),
        (VALENCE, VALENCE, {"groups": {"age": ["x"]}}, "expected 2 of age, got 1"),
        ({"expression": ["a"]}, {"scores": [[1, 2]]}, {}, "the C classes"),
        ({"expression": ["a"]}, {"expression": ["c"]}, {"classes": "ab"}, "got 'c'"),
    ],
)
def test_score_table_refuses(target, estimate, more, words):
    with pytest.raises(ShapeError, match=words):
        report.score_table(target, estimate, **more)


# ------------------------------------------------------------------------------- figures
def test_heat_map_shows_errors_where_they_are():
    target = [[0.5, 0.9], [-0.5, -0.9]]
    found = regions.region_rmse(target, [[0.5, 0.9], [0.5, 0.1]], 9)
    picture = figures.draw_regions(found.both, found.n)
    x0, y0, side = figures.map_place(9)
    step = side / 9
    colours = np.zeros((9, 9, 3), np.uint8)
    for row in range(9):
        for column in range(9):
            y, x = y0 + (8.5 - row) * step, x0 + (column + 0.5) * step  # arousal upwards
            colours[row, column] = picture[int(y), int(x)]
    empty = (colours == figures.EMPTY).all(2)
    np.testing.assert_array_equal(empty, found.count == 0)
    assert colours[8, 6].sum() > colours[0, 2].sum()  # the larger error is darker


def test_figures_of_nothing_and_of_long_names():
    assert figures.draw_regions(np.full((71, 71), np.nan), 0).dtype == np.uint8
    long = classes.confusion_margins(["a" * 40, "b"], ["b", "b"], ["a" * 40, "b", "never"])
    picture = figures.draw_confusion(long)
    assert picture.ndim == 3 and picture.shape[2] == 3
    with pytest.raises(ShapeError, match="values: expected"):
        figures.draw_regions(np.zeros((3, 4)), 1)
