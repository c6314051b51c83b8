"""The gallery: prior, styles, Ward classes, lookups and files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.archives import npz_bytes, write_npz
from synth.errors import AssetError, ShapeError, TargetError
from synth.expressions.antagonists import antagonise
from synth.expressions.arkit import NAMES, OPPOSITES, index_of, mirror_order
from synth.expressions.build import _basic_expressions, build_gallery, draw_va
from synth.expressions.clusters import class_statistics, ward_classes, within_class_components
from synth.expressions.prior import load_prior, mean_field, shares
from synth.expressions.storage import load_gallery
from synth.expressions.style import TAU, draw_style
from synth.types import VA

ASSETS = Path(__file__).parents[1] / "assets"
GALLERY = ASSETS / "gallery" / "va_gallery.npz"


@pytest.fixture(scope="module")
def prior():
    return load_prior(ASSETS / "facts")


@pytest.fixture(scope="module")
def gallery():
    return load_gallery(GALLERY)


@pytest.fixture(scope="module")
def people(prior):
    return [draw_style(prior, person) for person in range(120)]


def both(weights, stem):
    """Mean of the left and right weight of a stem."""
    return (weights[..., index_of(stem + "Left")] + weights[..., index_of(stem + "Right")]) / 2


def polar(radius, degrees):
    angle = np.radians(degrees)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


# ------------------------------------------------------------------ names


def test_the_52_names_and_their_mirror():
    assert len(NAMES) == len(set(NAMES)) == 52
    mirror = mirror_order()
    assert (mirror[mirror] == np.arange(52)).all()
    assert NAMES[mirror[index_of("eyeLookInLeft")]] == "eyeLookInRight"
    assert mirror[index_of("jawOpen")] == index_of("jawOpen")


# ------------------------------------------------------------------ prior


def test_no_place_comes_from_the_non_commercial_norms():
    assert "NRC" not in (ASSETS / "facts" / "states.csv").read_text(encoding="utf-8")


def test_basics_lie_at_their_published_place(prior):
    for name in (*BASIC_EXPRESSIONS, "contempt"):
        va = EXPRESSIONS[name]
        assert tuple(prior.va[prior.states.index(name)]) == (va.valence, va.arousal)


def test_tables_with_a_fault_are_refused(tmp_path):
    for name in ("states", "anchors_au", "au_to_arkit", "coefficients"):
        (tmp_path / f"{name}.csv").write_text(
            (ASSETS / "facts" / f"{name}.csv").read_text(encoding="utf-8"), encoding="utf-8"
        )
    assert load_prior(tmp_path).states
    (tmp_path / "coefficients.csv").write_text("stem,radial_exponent,limit\njawOpen,1,1\n")
    with pytest.raises(AssetError, match="facts"):
        load_prior(tmp_path)
    with pytest.raises(AssetError, match="facts"):
        load_prior(tmp_path / "absent")


def test_shares_sum_to_one_and_each_basic_dominates_at_its_place(prior, people):
    for name in BASIC_EXPRESSIONS:
        state = prior.states.index(name)
        per_person = np.array(
            [shares(prior, prior.angle[state], s.preference, TAU) for s in people]
        )
        np.testing.assert_allclose(per_person.sum(1), 1)
        assert per_person[:, state].mean() >= 0.6, name


def test_field_is_zero_at_neutral_and_never_falls_along_a_ray(prior, people):
    grid = polar(np.linspace(0, 1, 41), np.arange(0, 360, 10)[:, None])
    for field in (mean_field(prior, grid), *(s.weights(prior, grid) for s in people[:20])):
        assert (field[:, 0] == 0).all()
        assert np.diff(field, axis=1).min() >= -1e-12
        assert (field <= prior.limit + 1e-9).all()


def test_antagonists_do_not_act_together():
    weights = np.zeros(52)
    smile, frown = index_of("mouthSmileLeft"), index_of("mouthFrownLeft")
    weights[[smile, frown]] = 0.8, 0.2
    out = antagonise(weights)
    assert out[smile] > 0.6 and out[frown] < 0.02
    assert antagonise(np.eye(52)).diagonal() == pytest.approx(1)


def test_facial_signs_of_valence_and_arousal(prior, people):
    va = draw_va(3000, np.random.default_rng(1))
    face = np.stack([people[i % len(people)].weights(prior, point) for i, point in enumerate(va)])
    expected = [
        ("mouthSmile", 0, 1), ("cheekSquint", 0, 1), ("browDown", 0, -1), ("mouthFrown", 0, -1),
        ("noseSneer", 0, -1), ("eyeWide", 1, 1), ("browOuterUp", 1, 1), ("mouthStretch", 1, 1),
        ("eyeBlink", 1, -1),
    ]  # fmt: skip
    for stem, axis, sign in expected:
        r = np.corrcoef(both(face, stem), va[:, axis])[0, 1]
        assert sign * r > 0.25, (stem, r)


def test_styles_replay_and_differ(prior):
    a, b = draw_style(prior, 3, 1), draw_style(prior, 3, 1)
    assert (a.actions == b.actions).all() and (a.preference == b.preference).all()
    same_person, other = draw_style(prior, 3, 2), draw_style(prior, 4, 1)
    assert np.abs(a.actions - same_person.actions).max() > 0.01
    people = [draw_style(prior, p, t).actions.ravel() for p in range(30) for t in range(2)]
    r = np.corrcoef(np.array(people) - np.mean(people, axis=0))
    within = np.mean([r[2 * p, 2 * p + 1] for p in range(30)])
    between = np.mean([r[2 * p, (2 * p + 2) % 60] for p in range(30)])
    assert within > between + 0.2
    assert other.gain != a.gain


# ------------------------------------------------------------------ classes


def test_ward_finds_separate_groups_on_subset_and_rest():
    rng = np.random.default_rng(0)
    centers = polar(np.full(12, 0.7), np.arange(12) * 30)
    truth = rng.integers(12, size=3000)
    va = centers[truth] + rng.normal(0, 0.02, (3000, 2))
    va[:5] = 0
    label = ward_classes(va, classes=13, subset=600)
    assert (label[:5] == 0).all() and set(label) == set(range(13))
    pairs = {(t, f) for t, f in zip(truth[5:], label[5:], strict=True)}
    assert len(pairs) == 12  # one label per group, one group per label


def test_ward_needs_an_expressive_sample():
    with pytest.raises(ShapeError, match="samples"):
        ward_classes(np.zeros((4, 2)))


def test_class_means_are_symmetric_and_neutral_is_zero():
    rng = np.random.default_rng(0)
    weights, label = rng.random((60, 52)), np.repeat([0, 1, 2], 20)
    va = rng.uniform(-0.5, 0.5, (60, 2))
    found = class_statistics(va, weights, label)
    assert (found.weights[0] == 0).all() and (found.va[0] == 0).all()
    np.testing.assert_allclose(found.va[1], va[20:40].mean(0))
    assert (found.weights == found.weights[:, mirror_order()]).all()
    open_jaw = index_of("jawOpen")
    np.testing.assert_allclose(found.weights[2, open_jaw], weights[40:, open_jaw].mean())
    np.testing.assert_allclose(found.sd[2, open_jaw], weights[40:, open_jaw].std())
    for a, b in OPPOSITES:
        assert (np.minimum(found.weights[:, a], found.weights[:, b]) == 0).all()


def test_components_recover_a_planted_direction():
    rng = np.random.default_rng(0)
    direction = np.zeros(52)
    direction[[3, 7]] = 0.6, 0.8
    label = rng.integers(5, size=500)
    score = rng.normal(0, 0.2, 500)
    weights = label[:, None] * 0.1 + score[:, None] * direction
    basis, sd, share = within_class_components(weights, label, 1)
    np.testing.assert_allclose(basis[0], direction, atol=1e-6)
    assert share == pytest.approx(1)
    spread = [np.std(score[label == k]) for k in range(5)]
    np.testing.assert_allclose(sd[:, 0], spread, rtol=1e-6)


# ------------------------------------------------------------------ the committed gallery


def test_committed_gallery_keeps_its_promises(gallery):
    assert len(gallery.samples) >= 20_000
    assert len(set(gallery.samples.style)) >= 500
    assert gallery.class_va.shape == (550, 2)
    sizes = np.bincount(gallery.samples.class_index, minlength=550)
    assert sizes.min() >= 1 and (sizes == gallery.class_count).all()
    assert np.hypot(*gallery.samples.va.T).max() <= 1
    for k in (1, 100, 549):
        member = gallery.samples.class_index == k
        np.testing.assert_allclose(
            gallery.samples.va[member].mean(0), gallery.class_va[k], atol=1e-3
        )
    assert (gallery.class_weights == gallery.class_weights[:, mirror_order()]).all()
    assert gallery.components.shape[0] >= 10
    assert GALLERY.stat().st_size < 2.5e6
    for name in (*BASIC_EXPRESSIONS, "contempt"):
        assert gallery.expressions[name].count >= 500


def test_committed_gallery_is_what_the_tables_give(gallery, prior):
    fresh = _basic_expressions(prior, 600, 0)
    for i, name in enumerate(str(n) for n in fresh["expression_names"]):
        np.testing.assert_allclose(
            fresh["expression_weights"][i], gallery.expressions[name].weights, atol=1e-4
        )
    np.testing.assert_allclose(gallery.exponent, prior.exponent, atol=1e-5)
    np.testing.assert_allclose(gallery.limit, prior.limit, atol=1e-5)


@pytest.mark.parametrize("method", ["smooth", "class"])
def test_neutral_changes_nothing(gallery, method):
    found = gallery.lookup(VA(0, 0), method)
    assert (found.weights == 0).all()
    assert found.class_va == VA(0, 0) and found.class_index == 0


def test_class_lookup_is_the_mean_face_of_the_nearest_class(gallery):
    rng = np.random.default_rng(0)
    for valence, arousal in polar(np.sqrt(rng.random(20)), rng.uniform(0, 360, 20)):
        found = gallery.lookup(VA(valence, arousal), "class")
        distance = [np.hypot(*(center - (valence, arousal))) for center in gallery.class_va]
        k = int(np.argmin(distance))
        assert found.class_index == k and min(distance) < 0.1
        np.testing.assert_array_equal(found.weights, gallery.class_weights[k])
        assert (found.class_va.valence, found.class_va.arousal) == tuple(gallery.class_va[k])


def test_smooth_lookup_against_a_naive_loop(gallery):
    va = VA(-0.3, 0.55)
    above, below = np.zeros(52), np.zeros(52)
    for center, face, size in zip(
        gallery.class_va[1:], gallery.class_weights[1:], gallery.class_count[1:], strict=True
    ):
        distance = np.hypot(*(center - (va.valence, va.arousal)))
        weight = size * np.exp(-(distance**2) / (2 * gallery.bandwidth**2))
        ray = np.hypot(*center) ** gallery.exponent
        above += weight * ray * face
        below += weight * ray**2
    expected = above / below * va.radius**gallery.exponent
    np.testing.assert_allclose(gallery.lookup(va).weights, expected, atol=1e-12)


def test_smooth_lookup_recovers_a_known_ray_field(gallery):
    """Class faces that follow c = t r^g exactly come back exactly, beyond the centres too."""
    import dataclasses

    slope = np.linspace(0, 0.9, 52)
    radius = np.hypot(*gallery.class_va.T)[:, None]
    planted = dataclasses.replace(
        gallery, class_weights=slope * radius**gallery.exponent, limit=np.ones(52)
    )
    for radius in (0.1, 0.5, 1.0):
        np.testing.assert_allclose(
            planted.lookup(VA(0, radius)).weights, slope * radius**gallery.exponent, atol=1e-9
        )


def test_smooth_lookup_is_continuous_and_grows_along_rays(gallery):
    rng = np.random.default_rng(0)
    start = polar(0.97 * np.sqrt(rng.random(2000)), rng.uniform(0, 360, 2000))
    slopes = []
    for step in (0.02, 0.002):
        end = start + polar(step, rng.uniform(0, 360, 2000))
        jump = np.linalg.norm(gallery.smooth_weights(end) - gallery.smooth_weights(start), axis=1)
        slopes.append(jump.max() / step)
    assert max(slopes) < 12 and slopes[1] < 1.3 * slopes[0]  # a jump would grow tenfold
    rays = gallery.smooth_weights(polar(np.linspace(0, 1, 51), np.arange(0, 360, 5)[:, None]))
    assert (np.maximum.accumulate(rays, axis=1) - rays).max() < 0.06
    assert np.diff(np.linalg.norm(rays, axis=-1), axis=1).min() > -1e-3
    assert rays.max() <= 1.1


def test_smooth_lookup_is_closer_to_the_population_than_the_class_rule(gallery, prior):
    rng = np.random.default_rng(5)
    va = polar(np.sqrt(rng.uniform(0.09, 0.9, 40)), rng.uniform(0, 360, 40))
    truth = np.mean([draw_style(prior, 9000 + p).weights(prior, va) for p in range(400)], axis=0)
    truth = (truth + truth[:, mirror_order()]) / 2
    smooth = gallery.smooth_weights(va)
    rule = np.stack([gallery.lookup(VA(*point), "class").weights for point in va])
    assert np.sqrt(((smooth - truth) ** 2).mean()) < 0.8 * np.sqrt(((rule - truth) ** 2).mean())


@pytest.mark.parametrize("name", BASIC_EXPRESSIONS)
def test_the_mean_face_at_a_basic_reads_as_that_basic(gallery, name):
    """Nearest own mean face, by cosine, whichever lookup is used."""
    own = {k: gallery.expressions[k].weights for k in BASIC_EXPRESSIONS}
    for method in ("smooth", "class"):
        face = gallery.lookup(EXPRESSIONS[name], method).weights
        cosine = {k: face @ w / np.linalg.norm(face) / np.linalg.norm(w) for k, w in own.items()}
        assert max(cosine, key=cosine.get) == name
        assert cosine[name] > 0.95


def test_strong_expressions_move_as_real_ones_do(gallery):
    face = {name: gallery.expression(name).weights for name in BASIC_EXPRESSIONS}
    assert both(face["happiness"], "mouthSmile") > 0.6
    assert both(face["happiness"], "mouthUpperUp") > 0.4  # toothy
    assert both(face["anger"], "mouthPress") < 0.3  # widens the mouth of the default model
    assert both(face["disgust"], "mouthUpperUp") > 0.55 and both(face["disgust"], "noseSneer") > 0.7
    assert face["fear"][index_of("browInnerUp")] > 0.7 and both(face["fear"], "eyeWide") > 0.7
    assert both(face["sadness"], "mouthFrown") > 0.6
    assert face["surprise"][index_of("jawOpen")] > 0.35


def test_mean_faces_move_the_default_model_as_posed_faces_move(gallery, model):
    """Shares of the distance between the eyes; posed faces: width .125, brow drop .046."""
    order = [gallery.names.index(n) for n in model.blendshape_names]
    rest = model.landmarks(model.mean)
    eyes = np.linalg.norm(rest[36:42].mean(0) - rest[42:48].mean(0))

    def moved(name):
        weights = gallery.lookup(EXPRESSIONS[name], "smooth").weights[order]
        return (model.landmarks(model.mean + model.offsets(weights)) - rest) / eyes

    happy, anger = moved("happiness"), moved("anger")
    disgust, sad, fear = moved("disgust"), moved("sadness"), moved("fear")
    assert 0.10 < happy[54, 0] - happy[48, 0] < 0.17
    assert 0.04 < -anger[[21, 22], 1].mean() < 0.09
    assert disgust[51, 1] - disgust[33, 1] > 0.03  # the lip rises towards the nose
    assert sad[[48, 54], 1].mean() < -0.03 and sad[[21, 22], 1].mean() > 0.02
    assert fear[[21, 22], 1].mean() > 0.02 and fear[57, 1] - fear[51, 1] < -0.06


def test_arousal_reads_everywhere_and_eyes_never_shut(gallery):
    top, bottom = (
        gallery.smooth_weights(polar(0.9, np.arange(*span, 5))) for span in ((45, 136), (225, 316))
    )
    assert both(top, "eyeWide").min() > 0.05 and both(top, "eyeWide").mean() > 0.4
    assert both(bottom, "eyeBlink").min() > 0.2
    everywhere = gallery.smooth_weights(polar(1.0, np.arange(0, 360, 2)))
    assert both(everywhere, "eyeBlink").max() <= 0.46
    assert everywhere[:, index_of("jawOpen")].max() <= 0.6


def test_expression_by_name(gallery):
    full = gallery.expression("happy")
    assert full.name == "happiness" and full.va == EXPRESSIONS["happiness"]
    np.testing.assert_array_equal(full.weights, gallery.expressions["happiness"].weights)
    half = gallery.expression("happiness", 0.5)
    assert half.va.radius == pytest.approx(full.va.radius / 2)
    np.testing.assert_allclose(half.weights, full.weights * 0.5**gallery.exponent)
    assert (gallery.expression("anger", 0).weights == 0).all()
    assert (gallery.expression("neutral").weights == 0).all()
    for bad in ("hungry",):
        with pytest.raises(TargetError, match="expression"):
            gallery.expression(bad)
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(TargetError, match="intensity"):
            gallery.expression("happiness", bad)
    with pytest.raises(TargetError, match="lookup"):
        gallery.lookup(VA(0, 0), "nearest")


def test_contempt_is_one_sided(gallery):
    face = gallery.expression("contempt").weights
    assert face[index_of("mouthDimpleLeft")] > 3 * face[index_of("mouthDimpleRight")]


# ------------------------------------------------------------------ reading a face


def test_mean_faces_are_read_where_they_were_taken(gallery):
    rng = np.random.default_rng(0)
    va = polar(np.sqrt(rng.uniform(0.09, 1, 60)), rng.uniform(0, 360, 60))
    read = [gallery.read_va(face) for face in gallery.smooth_weights(va)]
    miss = np.hypot(*(np.array([[r.valence, r.arousal] for r in read]) - va).T)
    assert np.median(miss) < 0.002 and np.percentile(miss, 90) < 0.03 and miss.max() < 0.07


def test_peoples_faces_are_read_near_their_label(gallery):
    rng = np.random.default_rng(0)
    rows = rng.choice(np.flatnonzero(gallery.samples.class_index > 0), 300, replace=False)
    read = [gallery.read_va(gallery.samples.weights[i] / 255) for i in rows]
    label = gallery.samples.va[rows]
    for axis, values in enumerate(np.array([[r.valence, r.arousal] for r in read]).T):
        truth = label[:, axis]
        gap = (values.mean() - truth.mean()) ** 2
        ccc = 2 * np.cov(values, truth)[0, 1] / (values.var() + truth.var() + gap)
        assert ccc > 0.93


def test_reading_ignores_left_and_right_and_refuses_other_shapes(gallery):
    assert gallery.read_va(np.zeros(52)) == VA(0, 0)
    face = gallery.expression("contempt").weights
    assert gallery.read_va(face) == gallery.read_va(face[mirror_order()])
    assert gallery.read_va(np.ones(52)).radius <= 1
    with pytest.raises(ShapeError, match="weights"):
        gallery.read_va(np.zeros(51))


# ------------------------------------------------------------------ files


def test_same_seed_same_bytes(prior):
    first, figures = build_gallery(prior, persons=6, takes=20, classes=30)
    second, _ = build_gallery(prior, persons=6, takes=20, classes=30)
    assert npz_bytes(first) == npz_bytes(second)
    other, _ = build_gallery(prior, persons=6, takes=20, classes=30, seed=1)
    assert npz_bytes(first) != npz_bytes(other)
    assert figures["classes"] == 30 and figures["smallest_class"] >= 1


def minimal():
    """A gallery file of one smile."""
    weights = np.zeros((2, 52))
    weights[1, [index_of("mouthSmileLeft"), index_of("mouthSmileRight")]] = 0.5
    return {
        "format": np.array("synth-gallery-1"),
        "names": np.array(NAMES),
        "class_va": np.array([[0, 0], [0.5, 0]]),
        "class_weights": weights,
        "class_count": np.array([1, 10]),
    }


def test_minimal_user_gallery_in_any_order(tmp_path):
    arrays, path = minimal(), tmp_path / "own.npz"
    order = np.random.default_rng(0).permutation(52)
    arrays["names"], arrays["class_weights"] = (
        arrays["names"][order],
        arrays["class_weights"][:, order],
    )
    write_npz(path, arrays)
    found = load_gallery(path)
    assert both(found.lookup(VA(0.5, 0)).weights, "mouthSmile") == pytest.approx(0.5)
    assert both(found.lookup(VA(1, 0)).weights, "mouthSmile") == pytest.approx(1)
    assert found.lookup(VA(0.5, 0)).weights.sum() == pytest.approx(1)
    assert found.expression("happiness").lookup == "expression"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", np.array("synth-gallery-9")),
        ("names", np.array([*NAMES[:51], "noseTwitch"])),
        ("names", np.array([*NAMES[:51], NAMES[0]])),
        ("class_va", np.array([[0, 0], [0.9, 0.9]])),
        ("class_va", np.array([[0, 0], [np.nan, 0]])),
        ("class_va", np.array([[0.1, 0], [0.5, 0]])),
        ("class_weights", np.full((2, 52), 0.5)),
        ("class_weights", np.zeros((2, 51))),
        ("class_weights", np.concatenate([np.zeros((1, 52)), np.full((1, 52), 3.0)])),
        ("class_count", np.array([1, 0])),
        ("class_count", None),
        ("bandwidth", np.array(0.0)),
        ("radial_exponent", np.full(52, 0.5)),
        ("sample_weights", np.zeros((3, 52))),
    ],
)
def test_damaged_galleries_are_refused(tmp_path, key, value):
    arrays, path = minimal(), tmp_path / "own.npz"
    if value is None:
        del arrays[key]
    else:
        arrays[key] = value
    write_npz(path, arrays)
    with pytest.raises(AssetError, match="gallery"):
        load_gallery(path)


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    for content in (b"", b"text", GALLERY.read_bytes()[:5000]):
        path.write_bytes(content)
        with pytest.raises(AssetError, match="gallery"):
            load_gallery(path)
    damaged = bytearray(GALLERY.read_bytes())
    damaged[len(damaged) // 2 :: 97] = bytes(len(damaged[len(damaged) // 2 :: 97]))
    path.write_bytes(bytes(damaged))
    with pytest.raises(AssetError, match="gallery"):
        load_gallery(path)
    with pytest.raises(AssetError, match="gallery"):
        load_gallery(tmp_path / "absent.npz")


def test_csv_of_samples_is_clustered(tmp_path, prior):
    rng = np.random.default_rng(0)
    va = draw_va(400, rng)
    face = mean_field(prior, va)
    path = tmp_path / "own.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "valence", "arousal", *NAMES[::-1]])
        for i in range(400):
            writer.writerow([i, *va[i], *face[i, ::-1]])
    found = load_gallery(path)
    assert len(found.class_va) == 401 and len(found.samples) == 400
    happy = EXPRESSIONS["happiness"]
    truth = mean_field(prior, [happy.valence, happy.arousal])
    np.testing.assert_allclose(found.lookup(happy).weights, truth, atol=0.1)
    assert (found.lookup(VA(0, 0)).weights == 0).all()


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (["valence", *NAMES], [0.1] * 53, "arousal"),
        (["valence", "arousal", *NAMES], [0.1] * 20, "line 2"),
        (["valence", "arousal", *NAMES], ["x"] * 54, "line 2"),
        (["valence", "arousal", *NAMES], [0.9, 0.9, *[0.0] * 52], "unit disc"),
        (["valence", "arousal", *NAMES], [0.1, 0.1, *[7.0] * 52], "weights"),
        (["valence", "arousal", *NAMES], [0.0, 0.0, *[0.0] * 52], "samples"),
    ],
)
def test_bad_csv_galleries_are_refused(tmp_path, header, row, message):
    path = tmp_path / "own.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, row])
    with pytest.raises(AssetError, match=message):
        load_gallery(path)
