"""Colour spaces and colour transfer against scikit-image, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color as outside

from synth.color import (
    delta_e_2000,
    from_linear,
    from_uint8,
    lab_statistics,
    lab_to_srgb,
    lab_to_xyz,
    match_lab,
    srgb_to_lab,
    to_linear,
    to_uint8,
    transfer_lab,
    xyz_to_lab,
)
from synth.errors import ShapeError

rng = np.random.default_rng(3)
ANY = rng.integers(0, 256, (64, 48, 3), np.uint8)


def soft(low: int, high: int, seed: int, shape=(60, 50)) -> np.ndarray:
    """A picture of middling colours, so that nothing clips."""
    values = np.random.default_rng(seed).beta(4, 4, (*shape, 3))
    return (low + values * (high - low)).astype(np.uint8)


def test_lab_is_that_of_scikit_image():
    np.testing.assert_allclose(srgb_to_lab(ANY), outside.rgb2lab(ANY), atol=1e-10)
    np.testing.assert_allclose(srgb_to_lab(from_uint8(ANY)), outside.rgb2lab(ANY), atol=1e-10)
    np.testing.assert_allclose(srgb_to_lab(ANY, np.float32), outside.rgb2lab(ANY), atol=1e-3)
    xyz = outside.rgb2xyz(ANY)
    np.testing.assert_allclose(xyz_to_lab(xyz), outside.xyz2lab(xyz), atol=1e-10)
    assert srgb_to_lab(ANY, np.float32).dtype == np.float32


@pytest.mark.parametrize("dtype, error", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_every_step_has_its_inverse(dtype, error):
    values = np.linspace(-0.05, 1.2, 3001, dtype=dtype)
    np.testing.assert_allclose(from_linear(to_linear(values)), values, atol=error * 10)
    lab = srgb_to_lab(ANY, dtype)
    np.testing.assert_allclose(xyz_to_lab(lab_to_xyz(lab)), lab, atol=error * 1e3)
    np.testing.assert_allclose(lab_to_srgb(lab), ANY / 255, atol=error * 10)
    assert lab_to_srgb(lab).dtype == dtype
    assert np.array_equal(to_uint8(lab_to_srgb(lab)), ANY)


def test_known_colours():
    white, grey = (np.full((1, 3), level, np.uint8) for level in (255, 119))
    np.testing.assert_allclose(srgb_to_lab(white), [[100, 0, 0]], atol=0.01)
    np.testing.assert_allclose(srgb_to_lab(grey), [[50, 0, 0]], atol=0.1)
    red = srgb_to_lab(np.array([[255, 0, 0]], np.uint8))
    np.testing.assert_allclose(red, [[53.24, 80.09, 67.20]], atol=0.02)


def test_transfer_gives_the_reference_its_means_and_spreads():
    """Before rounding, measured by scikit-image, over masks of their own."""
    pixels, reference = soft(60, 170, 1), soft(90, 200, 2, (40, 70))
    mask, reference_mask = (rng.random(p.shape[:2]) < 0.4 for p in (pixels, reference))
    lab = srgb_to_lab(pixels)
    wanted = lab_statistics(srgb_to_lab(reference), reference_mask)
    made = lab_to_srgb(match_lab(lab, lab_statistics(lab, mask), wanted))
    assert 0 <= made.min() and made.max() <= 1, "the example clips"
    got, truth = outside.rgb2lab(made)[mask], outside.rgb2lab(reference)[reference_mask]
    np.testing.assert_allclose(got.mean(0), truth.mean(0), atol=1e-3)
    np.testing.assert_allclose(got.std(0), truth.std(0), atol=1e-3)
    # and what is written is that, rounded to levels
    written = transfer_lab(pixels, reference, mask, reference_mask)
    assert np.array_equal(written, to_uint8(made))
    np.testing.assert_allclose(outside.rgb2lab(written)[mask].mean(0), truth.mean(0), atol=0.05)


def test_transfer_is_that_of_a_naive_loop():
    pixels, reference = soft(60, 170, 4, (9, 8)), soft(80, 190, 5, (9, 8))
    own, other = outside.rgb2lab(pixels), outside.rgb2lab(reference)
    naive = np.empty_like(own)
    for channel in range(3):
        a, b = own[..., channel], other[..., channel]
        for row in range(9):
            for column in range(8):
                naive[row, column, channel] = (
                    (a[row, column] - a.mean()) / a.std() * b.std() + b.mean()
                )  # fmt: skip
    expected = np.rint(outside.lab2rgb(naive) * 255)
    assert np.abs(transfer_lab(pixels, reference).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_transfer_to_itself_changes_nothing(dtype):
    assert np.array_equal(transfer_lab(ANY, ANY, dtype=dtype), ANY)


def test_transfer_undoes_a_colour_cast():
    photo = soft(80, 160, 6)
    cast = to_uint8(lab_to_srgb(srgb_to_lab(photo) * [1.1, 0.8, 1.2] + [4, 6, -5]))
    assert delta_e_2000(photo, cast).mean() > 3
    assert delta_e_2000(photo, transfer_lab(cast, photo)).mean() < 0.5


def test_a_flat_region_is_shifted_and_not_blown_up():
    flat = np.full((8, 8, 3), 100, np.uint8)
    reference = soft(80, 160, 7)
    out = transfer_lab(flat, reference)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 1
    mean = lab_statistics(srgb_to_lab(reference)).mean
    np.testing.assert_allclose(srgb_to_lab(out)[0, 0], mean, atol=0.5)


def test_delta_e_is_that_of_scikit_image():
    other = rng.integers(0, 256, ANY.shape, np.uint8)
    expected = outside.deltaE_ciede2000(outside.rgb2lab(ANY), outside.rgb2lab(other))
    np.testing.assert_allclose(delta_e_2000(ANY, other), expected, atol=1e-8)
    assert delta_e_2000(ANY, ANY).max() == 0


def test_bad_arrays_are_refused():
    with pytest.raises(ShapeError, match="pixels: expected"):
        transfer_lab(ANY[..., 0], ANY)
    with pytest.raises(ShapeError, match="reference: expected .* got .* float64"):
        transfer_lab(ANY, ANY / 255)
    with pytest.raises(ShapeError, match="mask: expected .64, 48. bool"):
        transfer_lab(ANY, ANY, np.ones((3, 3), bool))
    with pytest.raises(ShapeError, match="at least one pixel"):
        transfer_lab(ANY, ANY, np.zeros(ANY.shape[:2], bool))
    with pytest.raises(ShapeError, match="second: expected"):
        delta_e_2000(ANY, ANY[:5])
