"""Blending against an exact solve, a naive one, and what must hold whatever the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from synth.blending import (
    HarmonicExtension,
    Membrane,
    alpha_blend,
    feather,
    harmonic_extension,
    poisson_blend,
    poisson_blend_exact,
)
from synth.errors import ShapeError


def textured(size: int, seed: int) -> np.ndarray:
    """A photo-like picture: 1/f noise, shading and a hard edge, (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(size)[:, None, None], np.fft.fftfreq(size)[None, :, None]
    spectrum = np.fft.fft2(rng.standard_normal((size, size, 3)), axes=(0, 1))
    noise = np.fft.ifft2(spectrum / np.hypot(np.hypot(fx, fy), 1 / size), axes=(0, 1)).real
    y, x = np.mgrid[0:size, 0:size] / size
    tilt, edge = rng.uniform(-60, 60, 2), rng.uniform(-1, 1, 2) @ [[1, 0], [0, 1]]
    step = 40.0 * ((x - 0.5) * edge[0] + (y - 0.5) * edge[1] > 0)
    shade = 110 + tilt[0] * x + tilt[1] * y + step
    picture = shade[..., None] + 22 * noise / noise.std() + rng.uniform(-25, 25, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def blob(size: int, height: float, width: float, centre=(0.5, 0.5), lobes=True) -> np.ndarray:
    """A face-sized mask: an ellipse, with an irregular outline if `lobes`."""
    y, x = np.mgrid[0:size, 0:size]
    y, x = (y - centre[0] * size) / (height / 2), (x - centre[1] * size) / (width / 2)
    angle = np.arctan2(y, x)
    wobble = 0.08 * np.sin(5 * angle) + 0.05 * np.sin(13 * angle + 1) if lobes else 0.0
    return np.hypot(x, y) < 1 + wobble


MASKS = {
    "ellipse": blob(256, 180, 161, lobes=False),
    "irregular": blob(256, 180, 161),
    "at_the_border": blob(256, 180, 161, centre=(0.8, 0.2)),
    "two_parts_and_a_hole": blob(256, 100, 90, centre=(0.25, 0.3))
    | (blob(256, 110, 100, centre=(0.7, 0.7)) & ~blob(256, 9, 8, centre=(0.7, 0.7))),
    "thin": np.abs(np.mgrid[0:256, 0:256][0] - np.mgrid[0:256, 0:256][1]) < 3,
}


def naive(source: np.ndarray, destination: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Perez et al. eq. 7 written out pixel by pixel, dense; float64."""
    height, width = mask.shape
    pixels = [(y, x) for y in range(height) for x in range(width) if mask[y, x]]
    number = {p: i for i, p in enumerate(pixels)}
    a, b = np.zeros((len(pixels), len(pixels))), np.zeros((len(pixels), 3))
    g, f = source.astype(float), destination.astype(float)
    for (y, x), i in number.items():
        for q in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= q[0] < height and 0 <= q[1] < width):
                continue
            a[i, i] += 1
            b[i] += g[y, x] - g[q]
            if q in number:
                a[i, number[q]] -= 1
            else:
                b[i] += f[q]
    out = f.copy()
    for p, value in zip(pixels, np.linalg.solve(a, b), strict=True):
        out[p] = value
    return out


TINY = [
    np.pad(np.ones((6, 7), bool), 3),
    np.pad(np.ones((8, 6), bool), ((0, 3), (4, 0))),
    np.random.default_rng(5).random((14, 15)) < 0.6,
]


@pytest.mark.parametrize("mask", TINY, ids=["inside", "corner", "random"])
def test_exact_blend_is_the_paper_s_equation(mask):
    size = max(mask.shape)
    source = textured(size, 1)[: mask.shape[0], : mask.shape[1]] // 4 + 90
    destination = textured(size, 2)[: mask.shape[0], : mask.shape[1]] // 4 + 90
    expected = np.clip(naive(source, destination, mask), 0, 255)
    got = poisson_blend_exact(source, destination, mask)
    assert np.abs(got - expected).max() <= 0.5 + 1e-6
    assert np.abs(poisson_blend(source, destination, mask) - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("seed", range(3))
def test_membrane_stays_within_a_grey_level_and_a_half_of_the_exact_one(name, seed):
    mask = MASKS[name]
    source, destination = textured(256, 10 + seed), textured(256, 20 + seed)
    difference = destination.astype(float) - source
    exact = harmonic_extension(difference, ~mask)
    error = np.abs(Membrane(mask).extend(difference) - exact)[mask]
    assert error.max() < 1.5
    assert np.percentile(error, 99) < 0.75
    assert error.mean() < 0.15


@pytest.mark.parametrize("name", MASKS)
def test_fast_blend_is_the_exact_blend_within_two_bytes(name):
    mask = MASKS[name]
    source, destination = textured(256, 3), textured(256, 4)
    fast = Membrane(mask).blend(source, destination).astype(int)
    exact = poisson_blend_exact(source, destination, mask).astype(int)
    assert np.abs(fast - exact).max() <= 2  # 1.5 levels, then rounded
    assert np.abs(fast - exact).mean() < 0.15


@pytest.mark.parametrize("name", MASKS)
def test_membrane_on_noise_around_the_mask_stays_in_bounds(name):
    # Uncorrelated bytes on the ring: far rougher than any photo.
    difference = np.random.default_rng(0).uniform(-60, 60, (256, 256, 3))
    mask = MASKS[name]
    exact = harmonic_extension(difference, ~mask)
    assert np.abs(Membrane(mask).extend(difference) - exact)[mask].mean() < 0.3


@pytest.mark.parametrize("name", MASKS)
def test_outside_the_mask_nothing_changes(name):
    mask = MASKS[name]
    destination = textured(256, 6)
    assert np.array_equal(
        Membrane(mask).blend(textured(256, 5), destination)[~mask], destination[~mask]
    )


@pytest.mark.parametrize("name", MASKS)
def test_blending_a_picture_into_itself_changes_nothing(name):
    picture = textured(256, 7)
    before = picture.copy()
    assert np.array_equal(Membrane(MASKS[name]).blend(picture, picture), picture)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", MASKS)
def test_a_constant_colour_cast_is_removed(name):
    destination = textured(256, 8) // 2 + 60
    source = destination.astype(np.int16) + np.array([20, -13, 35])
    got = Membrane(MASKS[name]).blend(source.astype(np.uint8), destination)
    assert np.array_equal(got, destination)


def test_adding_a_harmonic_ramp_to_the_source_changes_nothing():
    # x and y are harmonic and bilinear, so the graded nodes carry them exactly.
    y, x = np.mgrid[0:256, 0:256]
    mask = MASKS["irregular"]
    destination = textured(256, 9) // 2 + 60
    ramp = (0.2 * x - 0.1 * y)[..., None] * np.array([1.0, -1.0, 0.5])
    membrane = Membrane(mask)
    assert np.abs(membrane.extend(ramp) - ramp)[mask].max() < 1e-3
    got = membrane.blend(destination + ramp, destination).astype(int)
    assert np.abs(got - destination).max() <= 1


def test_membrane_lies_between_its_border_values():
    difference = np.random.default_rng(1).uniform(-50, 50, (256, 256, 3))
    difference[MASKS["irregular"]] = 1e6  # must not be read
    got = Membrane(MASKS["irregular"]).extend(difference)
    assert np.abs(got).max() <= 51


def test_float_sources_are_not_rounded_before_the_blend():
    destination = textured(256, 11)
    source = textured(256, 12).astype(np.float64) + 0.4
    mask = MASKS["ellipse"]
    fast = Membrane(mask).blend(source, destination).astype(int)
    assert np.abs(fast - poisson_blend_exact(source, destination, mask)).max() <= 2


def test_one_membrane_for_many_targets_equals_one_each():
    mask, destination = MASKS["at_the_border"], textured(256, 13)
    shared = Membrane(mask)
    sources = [textured(256, s) for s in (14, 15, 16, 14)]
    many = [shared.blend(s, destination) for s in sources]
    assert all(
        np.array_equal(m, poisson_blend(s, destination, mask))
        for m, s in zip(many, sources, strict=True)
    )
    assert np.array_equal(many[0], many[3])


def test_mirrored_pictures_give_the_mirrored_blend():
    mask = MASKS["irregular"]
    source, destination = textured(256, 17), textured(256, 18)
    plain = poisson_blend(source, destination, mask).astype(int)
    mirrored = poisson_blend(source[:, ::-1], destination[:, ::-1], mask[:, ::-1])[:, ::-1]
    assert np.abs(plain - mirrored).max() <= 2


def test_without_a_border_the_source_is_copied():
    source, destination = textured(24, 19), textured(24, 20)
    everything = np.ones((24, 24), bool)
    assert np.array_equal(poisson_blend(source, destination, everything), source)
    assert np.array_equal(poisson_blend_exact(source, destination, everything), source)
    nothing = ~everything
    assert np.array_equal(poisson_blend(source, destination, nothing), destination)


def test_the_border_of_the_image_lets_nothing_through():
    # A mask over the lower half: known values come from above only, so the solution is
    # constant downwards wherever the row above it is constant.
    mask = np.zeros((64, 64), bool)
    mask[32:] = True
    difference = np.full((64, 64, 3), 17.0)
    assert np.allclose(Membrane(mask).extend(difference)[mask], 17, atol=1e-4)


def test_far_fewer_nodes_than_pixels():
    mask = MASKS["ellipse"]
    assert Membrane(mask).nodes < 0.25 * mask.sum()


# ----------------------------------------------------------------- harmonic
def test_harmonic_functions_come_back():
    y, x = np.mgrid[0:40, 0:50].astype(float)
    truth = np.stack([x, y, x * y, x * x - y * y], -1)  # discrete Laplacian 0
    known = np.zeros((40, 50), bool)
    known[[0, -1]] = known[:, [0, -1]] = True
    known[10:14, 20:23] = True
    got = harmonic_extension(np.where(known[..., None], truth, -999.0), known)
    assert np.abs(got - truth).max() < 1e-8


def test_unknown_values_are_the_mean_of_their_neighbours_within_the_domain():
    rng = np.random.default_rng(2)
    domain = rng.random((20, 20)) < 0.85
    known = domain & (rng.random((20, 20)) < 0.2)
    got = harmonic_extension(rng.uniform(0, 1, (20, 20)), known, domain)
    reached = np.zeros((20, 20), bool)
    reached.ravel()[HarmonicExtension(known, domain).pixels] = True
    for y, x in np.argwhere(reached):
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        near = [q for q in near if 0 <= q[0] < 20 and 0 <= q[1] < 20 and domain[q]]
        assert got[y, x] == pytest.approx(np.mean([got[q] for q in near]), abs=1e-9)


def test_walls_separate_and_unreached_pixels_keep_their_values():
    domain = np.ones((5, 9), bool)
    domain[:, 4] = False
    known = np.zeros((5, 9), bool)
    known[2, 0] = True
    values = np.full((5, 9), 7.0)
    values[2, 0] = 3.0
    got = harmonic_extension(values, known, domain)
    assert np.allclose(got[:, :4], 3.0)
    assert np.array_equal(got[:, 4:], values[:, 4:])


def test_channels_at_once_equal_one_by_one_and_repeat():
    known = np.random.default_rng(3).random((30, 30)) < 0.1
    values = np.random.default_rng(4).normal(size=(30, 30, 5))
    extension = HarmonicExtension(known)
    together = extension.extend(values)
    for c in range(5):
        assert np.allclose(together[..., c], extension.extend(values[..., c]), atol=1e-12)
    assert np.array_equal(together, extension.extend(values))


# -------------------------------------------------------------------- alpha
def test_alpha_of_zero_and_one_return_the_pictures():
    source, destination = textured(32, 21), textured(32, 22)
    assert np.array_equal(alpha_blend(source, destination, np.ones((32, 32))), source)
    assert np.array_equal(alpha_blend(source, destination, np.zeros((32, 32))), destination)
    half = alpha_blend(source, destination, np.full((32, 32), 0.5))
    assert np.abs(half - (source / 2 + destination / 2)).max() <= 0.5


def test_feather_rises_from_the_border_of_the_mask_only():
    mask = np.zeros((60, 60), bool)
    mask[20:, :] = True  # touches three sides of the image
    alpha = feather(mask, 10)
    assert not alpha[~mask].any()
    assert (alpha[30:] == 1).all() and (alpha[20:29] < 1).all()
    assert (np.diff(alpha[:, 30]) >= 0).all() and 0 < alpha[20, 0] < 0.1
    assert np.array_equal(feather(mask, 0), mask.astype(np.float32))
    assert feather(mask, 10).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: Membrane(np.ones((4, 4))), "mask"),
        (lambda: Membrane(np.ones((4, 4), bool)).blend(np.ones((4, 5, 3)), 0), "source"),
        (
            lambda: Membrane(np.ones((4, 4), bool)).blend(np.ones((4, 4, 3)), np.ones((4, 4, 3))),
            "destination",
        ),
        (lambda: alpha_blend(np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.full((2, 2), 2)), "alpha"),
        (lambda: feather(np.ones((4, 4), bool), -1), "radius"),
        (lambda: feather(np.ones((4, 4), bool), float("nan")), "radius"),
        (lambda: harmonic_extension(np.ones((3, 4)), np.ones((4, 4), bool)), "values"),
    ],
)
def test_wrong_arguments_are_named(call, argument):
    with pytest.raises(ShapeError, match=f"^{argument}: expected"):
        call()
