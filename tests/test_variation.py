"""Person styles drawn from a gallery's samples."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from synth import assets
from synth.errors import TargetError, UsageError
from synth.expressions.arkit import NAMES, index_of, mirror_order
from synth.expressions.gallery import CEILING
from synth.expressions.prior import load_prior
from synth.expressions.storage import load_gallery
from synth.expressions.style import draw_style
from synth.expressions.variation import Quantiles, Variation, quantiles_of
from synth.types import VA

SMILE, FROWN = index_of("mouthSmileLeft"), index_of("mouthFrownLeft")


@pytest.fixture(scope="module")
def gallery():
    return load_gallery(assets.path("va_gallery"))


@pytest.fixture(scope="module")
def own_gallery(tmp_path_factory, root):
    """Somebody's own samples in a CSV file: every class has a single one."""
    prior = load_prior(root / "assets" / "facts")
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("own") / "own.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["valence", "arousal", *NAMES])
        for person in range(300):
            radius, angle = np.sqrt(rng.random()), rng.uniform(-np.pi, np.pi)
            va = np.array([radius * np.cos(angle), radius * np.sin(angle)])
            writer.writerow([*va, *np.minimum(draw_style(prior, person).weights(prior, va), 1)])
    return load_gallery(path)


def styles(gallery, count, va=None, **options):
    return [gallery.draw(seed, va, **options) for seed in range(count)]


# ------------------------------------------------------------------ quantiles


def test_quantiles_give_members_back_and_know_their_ranks():
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (50, 52)).astype(np.uint8)
    faces[:30, 7] = 0  # most do not use it
    tables = quantiles_of(faces, [np.arange(20), np.arange(20, 50)], both_sides=False)
    for row, group in ((3, 0), (19, 0), (20, 1), (44, 1)):
        ranks = tables.ranks_of(faces[row], group, rng.random(52))
        assert (ranks > 0).all() and (ranks < 1).all()
        np.testing.assert_allclose(tables.at(ranks, group) * 255, faces[row], atol=1e-9)
    uniform = (np.arange(20)[:, None] + 0.5) / 20 * np.ones(52)
    mean = np.mean([tables.at(ranks, 0) for ranks in uniform], axis=0)
    np.testing.assert_allclose(mean * 255, faces[:20].mean(0))
    both = tables.at(np.full((2, 52), 0.5), np.array([0, 1])) * 255
    np.testing.assert_allclose(both[0], np.median(faces[:20], axis=0))


def test_a_group_of_one_is_that_one():
    face = np.arange(52, dtype=np.uint8)[None]
    tables = quantiles_of(face, [np.array([0])], both_sides=False)
    for rank in (0.01, 0.5, 0.99):
        np.testing.assert_allclose(tables.at(np.full(52, rank), 0) * 255, face[0])
    assert isinstance(tables, Quantiles)


def test_ranks_between_directions_stay_uniform():
    rng = np.random.default_rng(0)
    found = [
        Variation(rng.random((8, 52)), angle, False, 0, 0).toward(
            [[np.cos(angle), np.sin(angle)], [0.3, 0.4]]
        )
        for angle in rng.uniform(-np.pi, np.pi, 200)
    ]
    ranks = np.array(found)
    for part in (ranks[:, 0], ranks[:, 1]):
        np.testing.assert_allclose(np.histogram(part, 10)[0] / part.size, 0.1, atol=0.012)
    one = Variation(rng.random((8, 52)), 0.3, False, 0, 0)
    np.testing.assert_allclose(one.toward([np.cos(0.3), np.sin(0.3)]), one.ranks[0])
    np.testing.assert_allclose(one.toward([-np.cos(0.3), -np.sin(0.3)]), one.ranks[4])


# ------------------------------------------------------------------ styles of the gallery


def test_the_same_seed_gives_the_same_style_in_any_process(gallery):
    va = VA(0.8, 0.2)
    fresh = load_gallery(assets.path("va_gallery"))
    for a, b in ((gallery.draw(3, va), fresh.draw(3, va)), (gallery.draw(3), fresh.draw(3))):
        np.testing.assert_array_equal(a.ranks, b.ranks)
        assert (a.angle, a.mirror, a.sample) == (b.angle, b.mirror, b.sample)
    others = [gallery.lookup(va, variation=v).weights for v in styles(gallery, 20, va)]
    gaps = [np.abs(a - b).max() for i, a in enumerate(others) for b in others[:i]]
    assert np.median(gaps) > 0.15


def test_mean_faces_stay_as_they_are(gallery):
    va = VA(-0.3, 0.5)
    fresh = load_gallery(assets.path("va_gallery"))
    gallery.draw(0, va)
    for method in ("smooth", "class"):
        np.testing.assert_array_equal(
            gallery.lookup(va, method).weights, fresh.lookup(va, method, None).weights
        )
    np.testing.assert_array_equal(
        gallery.expression("anger", 0.5).weights, fresh.expression("anger", 0.5, None).weights
    )


@pytest.mark.parametrize("point", [(0.8, 0.2), (-0.7, -0.3), (0.3, 0.8), (-0.5, 0.6), (0.3, -0.7)])
def test_many_styles_have_the_spread_and_correlations_of_the_class(gallery, point):
    k = gallery.class_of(VA(*point))
    va = VA(*gallery.class_va[k])
    members = gallery.samples.weights[gallery.samples.class_index == k] / 255
    members = np.concatenate([members, members[:, mirror_order()]])
    drawn = styles(gallery, 150, va)
    exact = np.array([gallery.lookup(va, "class", v).weights for v in drawn])
    smooth = np.array([gallery.lookup(va, "smooth", v).weights for v in drawn])
    error = members.std(0) / np.sqrt(150)
    # `class` knows this class alone; `smooth` is unbiased against the smooth mean face
    assert (np.abs(exact.mean(0) - members.mean(0)) < 4 * error + 0.02).all()
    two_sided = [
        n for n in range(52) if not NAMES[n].startswith(("jawL", "jawR", "mouthL", "mouthR"))
    ]
    bias = smooth.mean(0) - gallery.lookup(va).weights
    assert np.abs(bias[two_sided]).max() < 4 * error.max() + 0.02
    used = members.std(0) > 0.05
    assert 0.85 < (exact.std(0)[used] / members.std(0)[used]).mean() < 1.15
    assert 0.75 < (smooth.std(0)[used] / members.std(0)[used]).mean() < 1.15
    upper = np.triu_indices(used.sum(), 1)
    own = np.corrcoef(members[:, used].T)[upper]
    for faces in (exact, smooth):
        assert np.corrcoef(np.corrcoef(faces[:, used].T)[upper], own)[0, 1] > 0.75


def test_styles_carried_around_keep_the_correlations(gallery):
    """Also where the sample they were taken from says nothing about the acts in use."""
    point = np.array([0.8, 0.2])
    near = np.argsort(((gallery.samples.va - point) ** 2).sum(1))[:150]
    members = gallery.samples.weights[near] / 255
    members = np.concatenate([members, members[:, mirror_order()]])
    faces = np.array([gallery.smooth_weights(point, v) for v in styles(gallery, 150)])
    used = members.std(0) > 0.05
    upper = np.triu_indices(used.sum(), 1)
    alike = np.corrcoef(
        np.corrcoef(faces[:, used].T)[upper], np.corrcoef(members[:, used].T)[upper]
    )
    assert alike[0, 1] > 0.8
    sides = np.corrcoef(faces[:, SMILE], faces[:, mirror_order()[SMILE]])[0, 1]
    assert sides > 0.7


def test_weights_are_zero_at_neutral_and_never_beyond_their_limit(gallery):
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 21)] * 2), axis=-1).reshape(-1, 2)
    grid = grid[np.hypot(*grid.T) <= 1]
    for variation in styles(gallery, 15):
        faces = gallery.smooth_weights(grid, variation)
        assert (faces >= 0).all() and (faces <= np.minimum(gallery.limit, CEILING) + 1e-12).all()
        assert np.minimum(faces[:, SMILE], faces[:, FROWN]).max() < 0.1
        for method in ("smooth", "class"):
            assert (gallery.lookup(VA(0, 0), method, variation).weights == 0).all()
        assert (gallery.expression("neutral", 1, variation).weights == 0).all()


def test_one_style_moves_steadily_around_a_circle(gallery):
    angle = np.linspace(0, 2 * np.pi, 381)
    circle = 0.8 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for variation in styles(gallery, 10):
        assert np.abs(np.diff(gallery.smooth_weights(circle, variation), axis=0)).max() < 0.15
    finer = 0.8 * np.stack([np.cos(angle / 38), np.sin(angle / 38)], axis=1)
    assert np.abs(np.diff(gallery.smooth_weights(finer, variation), axis=0)).max() < 0.01


def test_paths_and_single_points_agree(gallery):
    variation, points = gallery.draw(1), [[0.5, 0.3], [-0.2, 0.1]]
    many = gallery.smooth_weights(points, variation)
    for point, face in zip(points, many, strict=True):
        np.testing.assert_allclose(
            gallery.lookup(VA(*point), variation=variation).weights, face, atol=1e-12
        )


# ------------------------------------------------------------------ expressions


@pytest.mark.parametrize("name", ["happiness", "anger", "contempt"])
def test_a_style_of_an_expression_is_one_of_its_samples(gallery, name):
    turned = set()
    for variation in styles(gallery, 12, expression=name):
        assert variation.expression == name
        own = gallery.expressions[name].samples[variation.sample] / 255
        own = own[mirror_order()] if variation.mirror else own
        full = gallery.expression(name, 1, variation).weights
        np.testing.assert_allclose(full, own, atol=0.03)
        half = gallery.expression(name, 0.5, variation).weights
        np.testing.assert_allclose(half, full * 0.5**gallery.exponent)
        turned.add(variation.mirror)
    assert turned == {True, False}


def test_expressions_without_own_samples_use_the_plane(gallery):
    bare = dataclasses.replace(gallery, expressions={})
    variation = bare.draw(0, expression="happy")
    assert variation.expression == ""
    face = bare.expression("happiness", 1, variation)
    np.testing.assert_allclose(face.weights, bare.smooth_weights([0.92, 0.15], variation))
    drawn = [bare.draw(seed, expression="happy").angle for seed in range(10)]
    assert np.abs(drawn).max() < 0.5  # taken from around its place
    mean_only = {"anger": dataclasses.replace(gallery.expressions["anger"], samples=None)}
    angry = dataclasses.replace(gallery, expressions=mean_only).expression("anger", 1, variation)
    np.testing.assert_allclose(angry.weights, bare.smooth_weights([-0.44, 0.8], variation))
    with pytest.raises(TargetError, match="expression"):
        gallery.draw(0, expression="hungry")


# ------------------------------------------------------------------ other galleries


def test_a_gallery_of_single_samples_has_styles_too(own_gallery):
    assert (own_gallery.class_count[1:] == 1).all()
    va = VA(0.8, 0.2)
    faces = np.array([own_gallery.lookup(va, variation=v).weights for v in styles(own_gallery, 60)])
    assert faces[:, SMILE].std() > 0.05
    assert abs(faces[:, SMILE].mean() - own_gallery.lookup(va).weights[SMILE]) < 0.12
    at_class = own_gallery.lookup(va, "class", own_gallery.draw(0, va)).weights
    assert (at_class >= 0).all() and at_class[SMILE] > 0.1


def test_a_gallery_of_mean_faces_only_says_so(gallery):
    bare = dataclasses.replace(gallery, samples=None)
    for call in (
        lambda: bare.draw(0),
        lambda: bare.lookup(VA(0.5, 0), variation=gallery.draw(0)),
        lambda: bare.smooth_weights([0.5, 0], gallery.draw(0)),
    ):
        with pytest.raises(UsageError, match="stores samples"):
            call()
    assert bare.lookup(VA(0.5, 0)).weights.any()
