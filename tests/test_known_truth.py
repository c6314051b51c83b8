"""The known-truth experiment: the pairs, the baselines, a tiny run that is stopped and goes on."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from synth.corpora import check_pairs, read_corpus
from synth.errors import UsageError
from synth.evaluation.known_truth import METHODS, measure, run_known_truth
from synth.evaluation.known_truth_methods import SDE_VARIANTS, grey, histogram_match, ridge
from synth.evaluation.known_truth_report import Row, interval, summary
from synth.evaluation.known_truth_set import EXPRESSIONS, Pairs, people_of, read_set
from synth.image_files import ImageSource, find_images


@pytest.fixture(scope="module")
def photos(samples):
    """Two of the bundled portraits."""
    return [p for p in find_images([samples]) if p.path.stem in ("sample_1", "sample_2")]


@pytest.fixture(scope="module")
def done(photos, tmp_path_factory):
    """Folder of a tiny run, which was interrupted twice."""
    out = tmp_path_factory.mktemp("experiment") / "run"
    for allowed in (2, 9, 10**6):
        asked = iter(range(10**7))
        stop = lambda asked=asked, allowed=allowed: next(asked) >= allowed  # noqa: E731
        finished = run_known_truth(photos, out, "tiny", held_out=2, stop=stop)
        assert finished == (allowed == 10**6)
    return out


# ---------------------------------------------------------------------- the pairs
def test_every_so_many_th_photo_of_a_folder_is_held_out(tmp_path):
    def found(*names):
        return [ImageSource(tmp_path / n, n) for n in names]

    photos = found("a/3.jpg", "a/1.jpg", "a/2.jpg", "b/7.jpg", "a/4.jpg", "b/8.jpg")
    train, test = people_of(photos, 3)
    assert [p.name for p in test] == ["a/1.jpg", "a/4.jpg", "b/7.jpg"]
    assert [p.name for p in train] == ["a/2.jpg", "a/3.jpg", "b/8.jpg"]
    with pytest.raises(UsageError, match="people to train and to test on, got 0 and 1"):
        people_of(found("a/1.jpg"), 4)


def test_the_set_is_a_corpus_of_pairs_of_other_people(done):
    people = {}
    for part in ("train", "test"):
        images = read_corpus("folders", done / "set" / part)
        assert len(check_pairs(images)) == len(EXPRESSIONS)
        people[part] = {image.subject for image in images}
        pairs = read_set(done / "set", part)
        assert set(pairs.people) == people[part] and pairs.expressions == tuple(EXPRESSIONS)
        assert pairs.vis.shape == (6, 32, 32, 3) and pairs.nir.shape == (6, 32, 32)
        # Points lie on the face and move with the expression: the jaw falls in surprise.
        assert (pairs.points > -6).all() and (pairs.points < 38).all()
        neutral, surprise = (pairs.points[pairs.expressions.index(e)]
                             for e in ("neutral", "surprise"))  # fmt: skip
        assert surprise[8, 1] > neutral[8, 1] + 0.3
    assert not people["train"] & people["test"]


# -------------------------------------------------------------------- the methods
def _pairs(vis, nir):
    n = len(vis)
    return Pairs(vis, nir, np.zeros((n, 68, 2)), ("p",) * n, ("neutral",) * n)


def test_ridge_recovers_a_linear_mixture_of_the_channels():
    rng = np.random.default_rng(0)
    vis = rng.integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)
    nir = np.round(vis @ [0.6, 0.3, 0.05] + 10).astype(np.uint8)
    made = ridge(_pairs(vis[:4], nir[:4]), _pairs(vis[4:], nir[4:]))
    assert np.abs(made.astype(int) - nir[4:]).mean() < 1


def test_histogram_matching_inverts_a_curve():
    rng = np.random.default_rng(1)
    vis = np.repeat(rng.integers(20, 200, (4, 48, 48, 1), dtype=np.uint8), 3, 3)
    nir = np.round(255 * (grey(vis) / 255.0) ** 0.5).astype(np.uint8)
    made = histogram_match(_pairs(vis[:2], nir[:2]), _pairs(vis[2:], nir[2:]))
    assert np.abs(made.astype(int) - nir[2:]).mean() < 1


def test_the_table_knows_better_methods_and_the_spread_of_people():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (6, 16, 16), dtype=np.uint8)
    test = Pairs(np.repeat(truth[..., None], 3, 3), truth, np.zeros((6, 68, 2)),
                 ("a", "a", "b", "b", "c", "c"), ("neutral", "anger") * 3)  # fmt: skip
    near = np.clip(truth.astype(int) + 3, 0, 255).astype(np.uint8)
    rows = measure(test, {"sde cond": near, "grey": 255 - truth})
    assert len(rows) == 12 and rows[0].psnr > rows[-1].psnr and rows[0].ssim > 0.9
    table = summary(rows).splitlines()
    assert table[2].startswith("| sde cond |") and table[3].split("|")[4].strip().startswith("-")


def test_intervals_are_over_people_and_cover_about_what_they_say():
    assert interval([2.0] * 7) == interval([2.0] * 7, seed=5)
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = interval(rng.normal(5, 1, 25))
        hits += found.low <= 5 <= found.high
    assert 175 <= hits <= 199
    # Ten pictures of each person do not make it narrower.
    one = [Row("m", p, str(i), v, 0.5) for p, v in (("a", 1.0), ("b", 9.0)) for i in range(10)]
    assert "(1.00 to 9.00)" in summary(one)


# ------------------------------------------------------------------------ the run
def test_an_interrupted_run_goes_on_and_reports_every_method(done):
    page = (done / "report.md").read_text("utf-8")
    wanted = ["grey", "histogram", "ridge", "cyclegan unpaired", "cyclegan paired", *SDE_VARIANTS]
    assert [line.split("|")[1].strip() for line in page.splitlines()[7:] if line[:1] == "|"][
        -len(wanted) :
    ] == wanted
    with (done / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(wanted) * len(EXPRESSIONS)
    assert {row["person"] for row in rows} == {"sample_1"}
    from synth.images import load_image

    sheet = load_image(done / "sheet.jpg").pixels
    assert sheet.shape[1] == 128 * (2 + len(wanted))


def test_the_same_folder_refuses_other_settings_and_foreign_files(done, photos, tmp_path):
    with pytest.raises(UsageError, match=r"seed = 1 \(was 0\)"):
        run_known_truth(photos, done, "tiny", held_out=2, seed=1)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="expected an empty folder"):
        run_known_truth(photos, tmp_path, "tiny")
    with pytest.raises(UsageError, match="size: expected one of tiny, small, full"):
        run_known_truth(photos, tmp_path / "new", "huge")
    with pytest.raises(UsageError, match="methods: expected cyclegan, sde, got 'gan'"):
        run_known_truth(photos, tmp_path / "new", "tiny", methods=["gan"])
    assert METHODS == ("cyclegan", "sde")


def test_the_command_lists_experiments_without_loading_them():
    from synth.cli.experiment import EXPERIMENTS, experiment

    listed = CliRunner().invoke(experiment, ["list"])
    assert listed.exit_code == 0 and "nir-known-truth" in listed.output
    for name in EXPERIMENTS:
        shown = CliRunner().invoke(experiment, ["run", name, "--help"])
        assert shown.exit_code == 0 and "--output" in shown.output
