"""Plans: shares, caps, evenness, flatness, files, refusals."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.errors import ShapeError, UsageError
from synth.image_files import ImageSource
from synth.plans import (
    Plan,
    PlanOptions,
    PlanRow,
    bin_areas,
    describe,
    estimate,
    existing_density,
    histogram_figure,
    kl_to_uniform,
    make_plan,
    plan_density,
    plan_points,
    read_plan,
    va_histogram,
    water_fill,
    write_plan,
)
from synth.plans.density import apportion, sample_bins, sample_disc
from synth.types import Track

#: Seven people with one to three photos each.
NAMES = [f"p{i}/{j}.jpg" for i in range(7) for j in range(1 + i % 3)]
SOURCES = [ImageSource(Path(name), name) for name in NAMES]
SUBJECTS = {name: name[:2] for name in NAMES}
SPLITS = {f"p{i}": "train" if i < 5 else ("val", "test")[i - 5] for i in range(7)}


def plan(kind, count=None, seed=0, **options):
    return make_plan(kind, SOURCES, SUBJECTS, SPLITS, count, seed, PlanOptions(**options))


def spread(counter):
    return max(counter.values()) - min(counter.values())


def skewed_table(path, total=5000):
    """A table of bins with most of a set near (0.5, 0.1), as whole numbers."""
    edges = np.linspace(-1, 1, 11)
    inside = bin_areas(edges)
    centre = (edges[:-1] + edges[1:]) / 2
    v, a = np.meshgrid(centre, centre, indexing="ij")
    density = inside * np.exp(-((v - 0.5) ** 2 + (a - 0.1) ** 2) / 0.1)
    counts = np.round(total * density / density.sum()).astype(int)
    lows = [f"{low:.1f}" for low in edges[:-1]]
    lines = [",".join(["v_lo\\a_lo", *lows])]
    lines += [",".join([low, *map(str, row)]) for low, row in zip(lows, counts, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return counts


# ---------------------------------------------------------------------- density
@pytest.mark.parametrize("bins", [1, 2, 9, 10, 31])
def test_areas_of_bins_are_those_of_the_disc(bins):
    inside = bin_areas(bins)
    assert inside.sum() == pytest.approx(1, abs=1e-12)
    assert np.allclose(inside, inside.T) and np.allclose(inside, inside[::-1])
    # Against a fine raster, within what that resolves.
    size = bins * (2000 // bins)
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    disc = np.hypot(*np.meshgrid(axis, axis)) <= 1
    index = np.arange(size) * bins // size
    raster = np.zeros((bins, bins))
    np.add.at(raster, (index[:, None], index[None, :]), disc)
    assert np.allclose(raster / disc.sum(), inside, atol=2e-5)


def test_areas_of_uneven_bins_add_up():
    fine, edges = bin_areas(20), np.linspace(-1, 1, 21)
    coarse = bin_areas(edges[[0, 3, 11, 20]])
    groups = [slice(0, 3), slice(3, 11), slice(11, 20)]
    assert np.allclose(coarse, [[fine[i, j].sum() for j in groups] for i in groups])


def test_histogram_counts_every_point_once_valence_first():
    counts, edges, inside = va_histogram([(0.9, 0.1), (0.9, -0.05), (-0.1, 0.95)], 9)
    assert counts.sum() == 3 and counts[8, 4] == 2 and counts[4, 8] == 1
    assert len(edges) == 10 and inside[0, 0] == 0
    turn = np.linspace(-np.pi, np.pi, 721)
    rim = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for bins in (9, 10):
        counts, _, inside = va_histogram(rim, bins)
        assert counts.sum() == 721 and (counts[inside == 0] == 0).all()
    assert va_histogram([(0.6, 0.8)], 10)[0].sum() == 1  # the corner of a bin outside


def test_divergence_of_known_densities():
    inside = bin_areas(10)
    assert kl_to_uniform(inside * 1000, inside) == pytest.approx(0, abs=1e-12)
    one = np.zeros((10, 10))
    one[5, 5] = 7
    assert kl_to_uniform(one, inside) == pytest.approx(math.log2(1 / inside[5, 5]))
    half = np.zeros((10, 10))
    half[5:] = inside[5:]
    assert kl_to_uniform(half, inside) == pytest.approx(1)  # half of the disc: one bit
    mask = np.ones((2, 2), bool)
    assert kl_to_uniform([[1, 1], [0, 0]], mask) == pytest.approx(1)
    for bad in (np.zeros((10, 10)), np.ones((10, 10)), -inside):
        with pytest.raises(ShapeError):
            kl_to_uniform(bad, inside)


def naive_fill(existing, inside, count, most):
    """One picture after the other into the emptiest bin."""
    added = np.zeros(existing.shape, int)
    room = np.where(inside > 0, inside, np.inf)
    for _ in range(count):
        level = np.where((inside > 0) & (added < most), (existing + added) / room, np.inf)
        added.flat[level.argmin()] += 1
    return added


@pytest.mark.parametrize("count", [1, 40, 500, 4000])
@pytest.mark.parametrize("most", [np.inf, 60])
def test_water_filling_is_what_a_naive_loop_fills(count, most):
    rng = np.random.default_rng(2)
    inside = bin_areas(9)
    existing = np.where(inside > 0, rng.integers(0, 80, (9, 9)), 0).astype(float)
    added = water_fill(existing, inside, count, most)
    assert added.sum() == pytest.approx(count)
    assert (added >= 0).all() and (added <= most).all() and (added[inside == 0] == 0).all()
    assert np.abs(added - naive_fill(existing, inside, count, most)).max() <= 1.001


def test_water_finds_one_level():
    inside = bin_areas(9)
    existing = np.where(inside > 0, np.arange(81.0).reshape(9, 9), 0)
    added, used = water_fill(existing, inside, 900), inside > 0
    level = ((existing + added)[used] / inside[used])[added[used] > 0]
    assert level.max() == pytest.approx(level.min())
    assert (existing[used] / inside[used])[added[used] == 0].min() >= level.max() - 1e-6
    flat = water_fill(existing, inside, 1e9)
    assert kl_to_uniform(existing + flat, inside) < 1e-9


def test_water_needs_room():
    inside = bin_areas(9)
    with pytest.raises(UsageError, match=r"max-per-bin: expected at least 2 for 100 pictures"):
        water_fill(np.zeros((9, 9)), inside, 100, 1)
    room = int((inside > 0).sum())
    full = water_fill(np.zeros((9, 9)), inside, 3 * room, 3)
    assert (full[inside > 0] == 3).all()


def test_apportioning_keeps_shares_and_sum():
    rng = np.random.default_rng(0)
    for count in (0, 1, 17, 1000):
        weights = rng.random(30) * (rng.random(30) > 0.2)
        whole = apportion(weights, count, rng)
        exact = weights / weights.sum() * count
        assert whole.sum() == count and np.abs(whole - exact).max() < 1
        assert (whole[weights == 0] == 0).all()
    assert apportion([1, 1, 2], 400, rng).tolist() == [100, 100, 200]
    assert apportion([0.29, 0.71], 100, rng).tolist() == [29, 71]  # 28.999.. in binary


def test_draws_in_bins_stay_in_them_and_fill_them():
    rng = np.random.default_rng(4)
    edges = np.linspace(-1, 1, 10)
    wanted = np.where(bin_areas(9) > 0, rng.integers(0, 30, (9, 9)), 0)
    points = sample_bins(wanted, edges, rng)
    assert (va_histogram(points, edges)[0] == wanted).all()
    assert (np.round(points, 6) == points).all() and (np.hypot(*points.T) <= 1).all()
    # One bin that the circle cuts: as many points as area in its halves.
    one = np.zeros((2, 2), int)
    one[1, 1] = 4000
    x = sample_bins(one, np.array([-1.0, 0, 1]), rng)[:, 0]
    share = (0.5 * math.sqrt(0.75) + math.asin(0.5)) / 2 / (math.pi / 4)
    assert (x < 0.5).mean() == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


def test_disc_draws_are_uniform_in_area():
    points = sample_disc(20_000, (0, 1), np.random.default_rng(1))
    counts, _, inside = va_histogram(points, 9)
    used = inside > 0
    expected = 20_000 * inside[used]
    chi2 = ((counts[used] - expected) ** 2 / expected).sum()
    assert chi2 < used.sum() + 5 * math.sqrt(2 * used.sum())
    radius = np.hypot(*sample_disc(5000, (0.5, 0.8), np.random.default_rng(1)).T)
    assert radius.min() > 0.499 and radius.max() <= 0.8


# ------------------------------------------------------------------------ kinds
def test_identities_are_used_evenly_and_photos_in_turn():
    made = plan("basic", 601)
    assert len(made) == 601 and spread(Counter(r.subject for r in made)) == 1
    for expression in BASIC_EXPRESSIONS:
        each = Counter(r.subject for r in made if r.expression == expression)
        assert len(each) == 7 and spread(each) <= 1
    photos = Counter(r.source for r in made)
    assert set(photos) == set(NAMES)
    for person in SPLITS:
        assert spread(Counter({n: c for n, c in photos.items() if n.startswith(person)})) <= 1


def test_rows_stand_photo_by_photo_and_keep_their_subjects_split():
    made = plan("uniform-disc", 200)
    assert [r.id for r in made] == list(range(200))
    assert [r.source for r in made] == sorted(r.source for r in made)
    assert all(r.subject == SUBJECTS[r.source] and r.split == SPLITS[r.subject] for r in made)


def test_plans_depend_on_seed_and_names_alone():
    made = plan("basic", 100, seed=5)
    again = make_plan("basic", SOURCES[::-1], SUBJECTS, SPLITS, 100, 5)
    moved = [ImageSource(Path("/else") / s.name, s.name) for s in SOURCES]
    assert again == made == make_plan("basic", moved, SUBJECTS, SPLITS, 100, 5)
    assert plan("basic", 100, seed=6) != made


def test_uniform_disc_is_flat():
    made = plan("uniform-disc", 20_000)
    density = plan_density(made)
    assert density.total == 20_000
    # The expected divergence of n draws in k bins is (k - 1) / (2 n ln 2) bits.
    expected = (density.inside > 0).sum() / (2 * 20_000 * math.log(2))
    assert kl_to_uniform(density.counts, density.inside) < 2 * expected
    assert all(r.style == 1 and not r.expression for r in made)


def test_grid_gives_every_photo_every_point():
    made = plan("grid:5")
    assert len(made) == 13 * len(NAMES)
    assert len(set((r.source, r.valence, r.arousal) for r in made)) == len(made)
    some = plan("grid:5", 260)
    assert set(Counter((r.valence, r.arousal) for r in some).values()) == {20}
    assert len(plan("grid", 29)) == 29
    assert len({(r.valence, r.arousal) for r in plan("grid", 29)}) == 29  # 7 x 7 in the disc


def test_basic_is_equal_and_its_intensities_are_sampled():
    made = plan("basic", 3000)
    counts = Counter(r.expression for r in made)
    assert set(counts) == set(BASIC_EXPRESSIONS) and set(counts.values()) == {500}
    for name in BASIC_EXPRESSIONS:
        full = EXPRESSIONS[name]
        own = np.array([(r.valence, r.arousal) for r in made if r.expression == name])
        strength = np.hypot(*own.T) / full.radius
        assert strength.min() > 0.399 and strength.max() <= 1
        # Uniform from 0.4 to 1: mean 0.7, sd 0.173 / sqrt(500) of the mean.
        assert strength.mean() == pytest.approx(0.7, abs=4 * 0.6 / math.sqrt(12 * 500))
        assert len(np.unique(np.round(strength, 4))) > 450
        assert np.allclose(own[:, 0] * full.arousal, own[:, 1] * full.valence, atol=2e-6)


def test_basic_with_counts():
    made = plan("basic:happy=100,anger=50")
    assert Counter(r.expression for r in made) == {"happiness": 100, "anger": 50}
    made = plan("basic:happiness=2,anger=1", 60, intensity=(0.9, 0.9), style=0)
    assert Counter(r.expression for r in made) == {"happiness": 40, "anger": 20}
    assert all(r.style == 0 for r in made)
    radius = [math.hypot(r.valence, r.arousal) / EXPRESSIONS[r.expression].radius for r in made]
    assert np.allclose(radius, 0.9, atol=1e-5)


def test_match_repeats_the_classes_of_another_set(tmp_path):
    labels = {"happiness": 48, "neutral": 26, "sadness": 16, "surprise": 7, "fear": 3}
    file = tmp_path / "labels.csv"
    words = [word for name, n in labels.items() for word in [name.upper()] * n]
    file.write_text("image,Label\n" + "".join(f"{i}.jpg,{w}\n" for i, w in enumerate(words)))
    made = plan(f"match:{file}", 1000)
    assert Counter(r.expression for r in made) == {n: 10 * c for n, c in labels.items()}
    assert all(r.valence == r.arousal == 0 for r in made if r.expression == "neutral")


def test_match_repeats_the_density_of_another_set(tmp_path):
    rng = np.random.default_rng(3)
    points = 0.35 * rng.standard_normal((800, 2)) + (0.2, 0.1)
    points = points[np.hypot(*points.T) < 1]
    file = tmp_path / "va.csv"
    file.write_text("valence,arousal,expression\n" + "".join(f"{v},{a},\n" for v, a in points))
    made = plan_points(plan(f"match:{file}", 4000))
    wanted = va_histogram(points)[0] / len(points)
    found = va_histogram(made)[0] / 4000
    assert np.abs(found - wanted).max() < 1 / 4000
    skewed_table(tmp_path / "bins.csv")
    assert len(plan(f"match:{tmp_path / 'bins.csv'}", 50)) == 50


@pytest.mark.parametrize("share", [0.1, 1, 3])
def test_balance_flattens_a_skewed_set(tmp_path, share):
    file = tmp_path / "hist.csv"
    existing = skewed_table(file)
    count = round(share * existing.sum())
    made = plan(f"balance:{file}", count)
    density = existing_density(f"balance:{file}", count)
    assert density.counts.tolist() == existing.tolist()
    after = plan_density(made, density)
    assert after.total == existing.sum() + count
    before = kl_to_uniform(density.counts, density.inside)
    flat = kl_to_uniform(after.counts, after.inside)
    # As flat as `count` additions allow, but for rounding to whole pictures.
    best = density.counts + water_fill(density.counts, density.inside, count)
    assert flat < before and flat == pytest.approx(kl_to_uniform(best, after.inside), abs=2e-3)
    assert flat < {0.1: 0.85, 1: 0.45, 3: 0.15}[share] * before
    assert spread(Counter(r.subject for r in made)) <= 1


def test_balance_on_the_histogram_of_affectnet(shared):
    file = shared / "facts" / "affectnet_va_hist.csv"
    if not file.exists():
        pytest.skip("needs the shared histogram")
    flat = []
    for share in (0.1, 1, 3):
        count = round(share * 6000)
        made = plan(f"balance:{file}:6000", count, max_per_subject=math.ceil(count / 7))
        density = existing_density(f"balance:{file}:6000", count)
        assert density.total == pytest.approx(6000)
        after = plan_density(made, density)
        flat.append(kl_to_uniform(after.counts, after.inside))
        assert max(Counter(r.subject for r in made).values()) <= math.ceil(count / 7)
    before = kl_to_uniform(density.counts, density.inside)
    assert before > 0.9 and flat == sorted(flat, reverse=True)
    assert flat[0] < 0.72 * before and flat[1] < 0.15 * before and flat[2] < 0.02 * before


def test_balance_by_labels_fills_what_is_missing(tmp_path):
    file = tmp_path / "right.csv"
    points = sample_disc(1000, (0, 1), np.random.default_rng(0))
    right = points[points[:, 0] > 0]
    file.write_text("valence,arousal\n" + "".join(f"{v},{a}\n" for v, a in right))
    made = plan_points(plan(f"balance:{file}", len(right), bins=8))
    # An empty half is filled first; bins of 8 do not cross the axis.
    assert (made[:, 0] < 0).mean() > 0.85


def test_caps_hold_or_are_refused(tmp_path):
    file = tmp_path / "hist.csv"
    skewed_table(file)
    made = plan(f"balance:{file}", 700, max_per_bin=9, max_per_subject=100)
    edges = existing_density(f"balance:{file}", 700).edges
    assert va_histogram(plan_points(made), edges)[0].max() == 9
    assert set(Counter(r.subject for r in made).values()) == {100}
    with pytest.raises(UsageError, match=r"max-per-subject: expected at least 101 .* to 700"):
        plan(f"balance:{file}", 701, max_per_subject=100)
    with pytest.raises(UsageError, match=r"max-per-bin: expected at least 8 .* got 7"):
        plan(f"balance:{file}", 700, max_per_bin=7)


def test_shares_need_a_size_or_take_the_counts(tmp_path):
    file = tmp_path / "hist.csv"
    file.write_text("v_lo\\a_lo,-1,0\n-1,0.5,10.25\n0,30,59.25\n")
    assert existing_density(f"balance:{file}", 200).total == pytest.approx(200)
    assert existing_density(f"balance:{file}:500", 200).total == pytest.approx(500)
    options = PlanOptions(existing=400)
    assert existing_density(f"balance:{file}", 200, options).counts[1, 0] == pytest.approx(120)
    assert existing_density("uniform-disc", 200) is None


def test_csv_rows_are_planned_as_written(tmp_path):
    file = tmp_path / "wishes.csv"
    file.write_text(
        "# what the study needs\nvalence,arousal,expression,actions,source,style,count\n"
        '0.5,0.25,,,,,3\n,,happy,,p3/0.jpg,0,\n,,,"12:0.8,L14:0.5",,,2\n-0.22,0.4,anger,,,,\n'
    )
    made = plan(f"csv:{file}")
    found = Counter((r.valence, r.arousal, r.expression, r.actions) for r in made)
    assert found == {
        (0.5, 0.25, "", ""): 3,
        (0.92, 0.15, "happiness", ""): 1,
        (0, 0, "", "12:0.8,L14:0.5"): 2,
        (-0.22, 0.4, "anger", ""): 1,
    }
    (happy,) = (r for r in made if r.expression == "happiness")
    assert happy.source == "p3/0.jpg" and happy.style == 0
    assert set(Counter(r.subject for r in made).values()) == {1}  # p3 is used already
    assert len(plan(f"csv:{file}", 70)) == 70


def test_paths_are_sequences_of_every_photo():
    made = plan("paths:happiness,line:0,0:-0.5,.25;circle:0.8", fps=10, seconds=3)
    frames = Counter(r.sequence for r in made)
    assert len(frames) == 3 * len(NAMES) and set(frames.values()) == {30}
    first = [r for r in made if r.sequence == made.rows[0].sequence]
    assert [r.frame for r in first] == list(range(30)) and {r.fps for r in first} == {10}
    assert [r.id for r in first] == list(range(30)) and len({r.source for r in first}) == 1
    assert {r.expression for r in made} == {"happiness", ""}
    ends = {(r.valence, r.arousal) for r in made if r.frame == 29}
    assert ends == {(0, 0), (-0.5, 0.25), (0.8, 0)}


def test_paths_with_a_count_are_whole_sequences_dealt_evenly():
    track = Track("t", 5.0, np.zeros((4, 2)))
    made = plan("paths:anything", 59, track=lambda path: track)
    frames = Counter(r.sequence for r in made)
    assert len(frames) == 14 and set(frames.values()) == {4}
    assert set(Counter(r.subject for r in made).values()) == {8}
    with pytest.raises(UsageError, match="count: expected at least the 4 frames"):
        plan("paths:anything", 3, track=lambda path: track)


# ------------------------------------------------------------------------ files
def every_sort():
    made = plan("paths:happiness", 60, fps=10, seconds=3).rows + plan("basic", 20).rows
    rows = [replace(row, id=i) for i, row in enumerate(made)]
    rows.append(PlanRow(900, "p1/1.jpg", "p1", "train", 1 / 3, -0.1))
    rows.append(PlanRow(901, "p1/1.jpg", "p1", "train", 0.0, 0.0, "", "12:0.8,L14:0.5", 0))
    rows.append(PlanRow(7000, ' a "b", c/ü.jpg', "ü", "test", -1e-7, 0.5, style=3))
    return Plan(tuple(rows))


@pytest.mark.parametrize("name", ["plan.csv", "plan.PARQUET"])
def test_files_give_the_same_plan_back(tmp_path, name):
    if name.endswith("PARQUET"):
        pytest.importorskip("pyarrow")
    made = every_sort()
    write_plan(made, tmp_path / name)
    assert read_plan(tmp_path / name) == made
    write_plan(read_plan(tmp_path / name), tmp_path / f"again_{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again_{name}").read_bytes()


def test_an_edited_plan_keeps_its_ids(tmp_path):
    file = tmp_path / "plan.csv"
    made = plan("basic", 30)
    write_plan(made, file)
    lines = file.read_text().splitlines()
    del lines[5]  # id 4
    lines.append("500,p0/0.jpg,p0,train,0.1,0.2,,,1,,,")
    file.write_text("\n".join([*lines[:9], "", "# mine", *lines[9:]]))
    edited = read_plan(file)
    assert {r.id for r in edited} == {*range(30)} - {4} | {500}
    assert [r for r in edited if r.id < 30] == [r for r in made if r.id != 4]


def test_columns_may_move_and_end_after_arousal(tmp_path):
    file = tmp_path / "plan.csv"
    file.write_text("Source,ID,arousal,valence,subject,split\na.jpg,3,0.1,0.2,a,train\n")
    assert read_plan(file).rows == (PlanRow(3, "a.jpg", "a", "train", 0.2, 0.1),)


HEAD = "id,source,subject,split,valence,arousal,expression,actions,style,sequence,frame,fps\n"


@pytest.mark.parametrize(
    "rows, message",
    [
        ("0,a.jpg,a,train,0.9,0.9,,,1,,,", r"line 2: column valence, arousal: .*unit disc"),
        ("0,a.jpg,a,train,nan,0,,,1,,,", r"line 2: expected a number as valence, got 'nan'"),
        ("0,a.jpg,a,train,,0,,,1,,,", r"line 2: expected a value as valence"),
        ("0,a.jpg,a,train,0,0,glee,,1,,,", r"line 2: column expression: .*got 'glee'"),
        ("0,a.jpg,a,train,0,0,happy,,1,,,", r"line 2: column expression: .*got 'happy'"),
        ("0,a.jpg,a,train,-.9,0,happiness,,1,,,", r"line 2: column expression: .*direction"),
        ("0,a.jpg,a,train,0,0,,12=1,1,,,", r"line 2: column actions: au: expected NAME:INT"),
        ("0,a.jpg,a,train,.5,0,,12:1,1,,,", r"line 2: column actions: .*read from the face"),
        ("0,a.jpg,a,../x,0,0,,,1,,,", r"line 2: column split: .*got '../x'"),
        ("0,a.jpg,a,train,0,0,,,1,a/b,0,30", r"line 2: column sequence: .*got 'a/b'"),
        ("0,a.jpg,a,train,0,0,,,-1,,,", r"line 2: column style: expected 0 or more"),
        ("-1,a.jpg,a,train,0,0,,,1,,,", r"line 2: column id: expected 0 or more, got -1"),
        ("1.5,a.jpg,a,train,0,0,,,1,,,", r"line 2: expected a whole number as id, got '1.5'"),
        ("0,a.jpg,a,train,0,0,,,1,s,0,0", r"line 2: column frame: .*fps above 0"),
        ("0,a.jpg,a,train,0,0,,,1,,3,", r"line 2: column frame: expected frame and fps empty"),
        ("0,a.jpg,a,train,0,0,,,1,s,1,30", r"line 2: column frame: expected frame 0 of s"),
        (
            "0,a.jpg,a,train,0,0,,,1,s,0,30\n1,b.jpg,a,train,0,0,,,1,s,1,30",
            r"line 3: column source: expected 'a.jpg' in every frame of s, got 'b.jpg'",
        ),
        (
            "4,a.jpg,a,train,0,0,,,1,,,\n\n4,a.jpg,a,train,0,0,,,1,,,",
            r"line 4: column id: expected each id once, got 4 as in .*line 2",
        ),
        (
            "0,a.jpg,a,train,0,0,,,1,,,\n1,b.jpg,a,test,0,0,,,1,,,",
            r"column split: expected one split for subject a, got train and test \(id 1\)",
        ),
        ("0,a.jpg,a,train,0,0", r"line 2: expected 12 cells, got 6"),
        ("", r"got only a header"),
    ],
)
def test_bad_rows_name_line_and_column(tmp_path, rows, message):
    file = tmp_path / "plan.csv"
    file.write_text(HEAD + rows)
    with pytest.raises(UsageError, match=message) as caught:
        read_plan(file)
    assert "\n" not in str(caught.value)


def test_bad_files(tmp_path):
    for name, content, message in [
        ("p.csv", b"id,source\n0,a\n", "add subject, split, valence, arousal to the header"),
        ("p.csv", HEAD.strip().encode() + b",mood\n", "got only a header"),
        ("p.csv", HEAD.strip().encode() + b",mood\n" + b"1," * 12 + b"1", "got mood; rename"),
        ("p.csv", b"\xff\xfe\x00", "expected a CSV file"),
        ("p.csv", b"", "empty file"),
        ("p.parquet", b"no parquet", "expected a Parquet file"),
        ("p.xlsx", b"", "NAME.csv or NAME.parquet"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=message) as caught:
            read_plan(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="No such file"):
        read_plan(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="can be written"):
        write_plan(every_sort(), tmp_path / "none" / "p.csv")
    with pytest.raises(UsageError, match="at least one row"):
        Plan(())


def test_bad_parquet_rows_name_row_and_column(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "plan.parquet"
    columns = {"id": [0, 1], "source": ["a", "a"], "subject": ["a", "a"], "split": ["t", "t"]}
    good = columns | {"valence": [0.0, 0.1], "arousal": [0.0, 0.1]}
    for wrong, message in [
        ({"valence": [0.0, 3.0]}, "row 2: column valence, arousal"),
        ({"valence": [0.0, None]}, "row 2: expected a value as valence"),
        ({"valence": [True, False]}, "row 1: expected a number as valence"),
        ({"id": [0.0, 0.5]}, "row 2: expected a whole number as id"),
        ({"source": [1, 2]}, "row 1: expected text as source"),
        ({"mood": [1, 2]}, "got mood"),
    ]:
        parquet.write_table(arrow.table(good | wrong), file)
        with pytest.raises(UsageError, match=message):
            read_plan(file)
    parquet.write_table(arrow.table(columns), file)
    with pytest.raises(UsageError, match="got no valence, arousal"):
        read_plan(file)
    parquet.write_table(arrow.table(good), file)
    assert len(read_plan(file)) == 2


# --------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    "kind, count, message",
    [
        ("gird", 5, r"expected one of uniform-disc, grid\[:N\], basic.*, got 'gird'"),
        ("uniform-disc:3", 5, "expected uniform-disc alone"),
        ("match", 5, "expected match:CSV, got 'match'"),
        ("uniform-disc", None, "count: expected how many pictures uniform-disc"),
        ("basic", None, "count: expected how many pictures basic"),
        ("basic", 0, "count: expected 1 or more, got 0"),
        ("basic", -3, "count: expected 1 or more, got -3"),
        ("basic:glee=3", 5, "expression: expected one of"),
        ("basic:anger", 5, "basic:NAME=COUNT"),
        ("basic:anger=0", None, "count above 0"),
        ("basic:anger=1,angry=2", None, "anger twice"),
        ("grid:x", 5, "grid:N such as grid:7"),
        ("grid:2", 5, "va-grid"),
        ("paths:nowhere", 5, "path: expected"),
        ("balance:none.csv", 5, "No such file"),
        ("balance:none.csv:0", 5, "N of 1 or more"),
    ],
)
def test_bad_kinds(kind, count, message):
    with pytest.raises(UsageError, match=message) as caught:
        plan(kind, count)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind, text, message",
    [
        ("match", "a,b\n1,2\n", "expression or label, or valence and arousal"),
        ("match", "label\nhappy\n7\n", "line 3: column label: .*got '7'; write names"),
        ("match", "label,x\nhappy,1\n,1\n", "line 3: expected a value as label"),
        ("balance", "a,b\n1,2\n", "expected the columns valence and arousal, or a table"),
        ("balance", "valence,arousal\n0,0\n-2,-2\n", "line 3: va: .*unit disc"),
        ("balance", "valence,arousal\n0,0\nx,0\n", "line 3: expected a number as valence"),
        ("balance", "valence,arousal\n", "only a header"),
        ("balance", "", "empty file"),
        ("balance", "v_lo\\a_lo,-1,0\n-1,0,0\n0,0,0\n", "got only zeros"),
        ("balance", "v_lo\\a_lo,-1,0\n-1,1,1\n", "same lower edges"),
        ("balance", "v_lo\\a_lo,-1,0\n-1,1,-1\n0,1,1\n", "line 2: expected 0 or more"),
        ("balance", "v_lo\\a_lo,-.5,0\n-.5,1,1\n0,1,1\n", "rising from -1"),
        ("csv", "a,b\n1,2\n", "got a, b; rename or remove"),
        ("csv", "valence,count\n1,2\n", "valence and arousal, expression or actions"),
        ("csv", "valence,arousal\n0,0\n1,1\n", "line 3: va: .*unit disc"),
        ("csv", "valence,arousal\n0,\n", "line 2: va: expected a number as arousal"),
        ("csv", "expression,count\nhappy,-1\n", "line 2: count: expected a whole number"),
        ("csv", "expression,count\nhappy,0\n", "count above 0"),
        ("csv", "expression,source\nhappy,x.jpg\n", "line 2: source: .*got 'x.jpg'"),
        ("csv", "expression,actions\nhappy,12:1\n", "line 2: actions: .*empty beside"),
        ("csv", "valence,arousal,expression\n-1,0,happy\n", "line 2: va: .*direction"),
    ],
)
def test_bad_tables(tmp_path, kind, text, message):
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        plan(f"{kind}:{file}", 10 if kind != "csv" else None)
    assert "\n" not in str(caught.value)


def test_missing_subjects_and_splits():
    with pytest.raises(UsageError, match=r"none for p0/0.jpg \(1 of"):
        some = {n: s for n, s in SUBJECTS.items() if n != "p0/0.jpg"}
        make_plan("basic", SOURCES, some, SPLITS, 6)
    with pytest.raises(UsageError, match=r"none for p1, p2 \(2 of 7\)"):
        some = {s: x for s, x in SPLITS.items() if s not in ("p1", "p2")}
        make_plan("basic", SOURCES, SUBJECTS, some, 6)
    with pytest.raises(UsageError, match="at least one photo"):
        make_plan("basic", [], {}, {}, 6)


@pytest.mark.parametrize(
    "options",
    [
        {"intensity": (0.5, 0.4)},
        {"intensity": (-0.1, 0.4)},
        {"intensity": (math.nan, 1)},
        {"intensity": (0.5, 1.1)},
        {"style": -1},
        {"max_per_subject": 0},
        {"max_per_bin": 0},
        {"existing": 0},
        {"bins": 0},
    ],
)
def test_bad_options(options):
    with pytest.raises(UsageError, match="expected"):
        PlanOptions(**options)


# ------------------------------------------------------------------------- show
def test_description_counts(tmp_path):
    text = describe(plan("basic", 601))
    assert "total       601         7" in text and "anger" in text
    assert "7 subjects: 85 to 86 pictures each" in text
    file = tmp_path / "hist.csv"
    skewed_table(file)
    made = plan(f"balance:{file}", 500)
    text = describe(made, existing_density(f"balance:{file}", 500))
    assert "500 are planned" in text and "bits before" in text
    actions = tmp_path / "a.csv"
    actions.write_text("actions\n12:1\n")
    assert "(actions)" in describe(plan(f"csv:{actions}", 7))


def test_estimates():
    made = plan("basic", 600)
    found = estimate(made, 100, 20_000, seconds_per_photo=0.5)
    assert found.pictures == 600 and found.photos == len(NAMES) and found.bytes == 12e6
    assert found.seconds == pytest.approx(6 + 0.5 * len(NAMES))
    assert "12.0 MB" in str(found) and "seconds" in str(found)
    with pytest.raises(UsageError, match="rate above 0"):
        estimate(made, 0, 1)


def test_figures_show_where_pictures_are():
    inside = bin_areas(9)
    left = np.where(np.arange(9)[:, None] < 4, inside * 1000, 0)
    one = histogram_figure(None, left)
    two = histogram_figure(inside * 1000, left)
    assert one.dtype == two.dtype == np.uint8 and one.shape[2] == 3
    assert two.shape[0] == one.shape[0] and two.shape[1] > 1.5 * one.shape[1]
    # Darker where pictures are: left of the middle, above and below the axis alike.
    row = one[one.shape[0] // 2 - 40].astype(int).sum(axis=1)
    middle = 40 + 150
    assert row[middle - 90] < row[middle + 90] - 30
