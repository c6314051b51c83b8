"""The optical model against optics: Lambert, inverse squares, pigments, photons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.errors import ShapeError, UsageError
from synth.translation.optical import (
    OpticalSettings,
    coaxial_light,
    optical_nir,
    reflectance_850,
    skin_reflectance,
    turbid_reflectance,
)
from synth.translation.optical_tables import ABSORPTION, AT_850
from synth.translation.regions import face_frame, face_relief, find_regions

CLEAN = OpticalSettings(full_well=0, blur=0)


@pytest.fixture(scope="module")
def face(generator, samples):
    """A portrait cut out to 160 px with its points."""
    from synth.crops import face_crop

    image, found = generator.faces(samples / "sample_1.jpg")
    cut, landmarks, _ = face_crop(image, found[0], 160)
    return cut.pixels, landmarks.points


def _linear(pixels):
    v = pixels / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


# ------------------------------------------------------------------------ light
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0])
def test_a_tilted_plane_follows_lambert(slope):
    x = np.arange(40.0)
    far = OpticalSettings(distance=1e9)  # parallel light
    ramp = np.tile(slope * x, (30, 1))
    light = coaxial_light(ramp / 50, 50.0, far)
    np.testing.assert_allclose(light, np.cos(np.arctan(slope)), rtol=1e-5)
    flat = coaxial_light(ramp / 50, 50.0, replace(far, lambert=0.5))
    np.testing.assert_allclose(flat, np.cos(np.arctan(slope)) ** 0.5, rtol=1e-5)


def test_light_falls_with_the_square_of_the_distance():
    one, two = (coaxial_light(np.full((4, 4), h), 10.0, OpticalSettings(distance=6.0))
                for h in (0.0, 3.0))  # fmt: skip
    np.testing.assert_allclose(two / one, 4.0, rtol=1e-6)


def test_given_normals_replace_those_of_the_relief():
    normals = np.zeros((5, 7, 3))
    normals[..., 0], normals[..., 2] = 0.6, 0.8
    light = coaxial_light(np.zeros((5, 7)), 10.0, OpticalSettings(), normals)
    np.testing.assert_allclose(light, 0.8, rtol=1e-6)
    with pytest.raises(ShapeError, match=r"normals: expected \(5, 7, 3\)"):
        coaxial_light(np.zeros((5, 7)), 10.0, OpticalSettings(), normals[:3])


def test_the_nose_is_nearest_and_the_ears_are_turned_away(face):
    pixels, points = face
    frame = face_frame(points, pixels.shape[:2])
    light = coaxial_light(face_relief(frame), frame.unit)

    def at(k):
        x, y = np.round(points[k]).astype(int)
        return light[y, x]

    assert at(30) == pytest.approx(light.max(), rel=0.05)
    assert at(30) > at(3) * 1.3 and at(30) > at(13) * 1.3


# ------------------------------------------------------------------- reflectance
def test_dark_skin_gains_most_and_stays_darker():
    red = np.array([0.08, 0.15, 0.3, 0.5, 0.6])
    nir = skin_reflectance(red)
    assert (np.diff(nir) > 0).all() and (nir > red).all()
    assert (np.diff(nir / red) < 0).all()
    # Measured at 850 nm: dark .35 to .5, light .55 to .65.
    assert 0.35 < skin_reflectance(0.12) < 0.5 and 0.55 < skin_reflectance(0.45) < 0.66


def test_kubelka_munk_solves_its_own_equation():
    visible = np.linspace(0.02, 0.95, 20)
    for factor in (0.1, 0.33, 1.0):
        r = turbid_reflectance(visible, factor)
        remission = (1 - r) ** 2 / (2 * r)
        np.testing.assert_allclose(remission, factor * (1 - visible) ** 2 / (2 * visible))
    np.testing.assert_allclose(turbid_reflectance(visible, 1.0), visible)


def test_three_densities_are_told_apart_by_three_channels():
    parts = np.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(np.linalg.solve(ABSORPTION, ABSORPTION @ parts), parts)
    assert np.linalg.cond(ABSORPTION) < 20
    assert AT_850[1] < 0.1 < AT_850[0] < AT_850[2]


def test_parts_of_a_face_are_ordered_as_in_infrared_photos(face):
    pixels, points = face
    frame = face_frame(points, pixels.shape[:2])
    linear = _linear(pixels)
    regions = find_regions(linear, points, frame)
    nir = reflectance_850(linear, frame, regions)

    def mean(values, mask, over=0.7):
        return float(values[mask > over].mean())

    bare = regions.skin * (1 - regions.lips) * (1 - regions.eyes)
    skin, lips = mean(nir, bare), mean(nir, regions.lips * (1 - regions.mouth))
    sclera, iris = mean(nir, regions.eyes * (1 - regions.iris)), mean(nir, regions.iris)
    assert skin > sclera > iris
    grey = linear @ np.float32([0.2126, 0.7152, 0.0722])
    # Lips all but vanish; eyes lose contrast; skin is smoother than in the photo.
    assert 0.9 < lips / skin < 1.02 and mean(grey, regions.lips) / mean(grey, bare) < 0.8
    seen = mean(grey, regions.eyes * (1 - regions.iris)) / mean(grey, regions.iris, 0.5)
    assert sclera / iris < seen
    assert 0.5 < skin < 0.66
    for mask in (regions.skin, regions.lips, regions.eyes, regions.iris, regions.background):
        assert mask.min() >= 0 and mask.max() <= 1 + 1e-6


def test_darker_skin_comes_out_brighter_than_it_was_but_darker_than_light_skin(face):
    pixels, points = face
    tanned = np.round(255 * (pixels / 255.0) ** [1.8, 2.0, 2.3]).astype(np.uint8)
    cheek = tuple(np.round((points[2] + points[31]) / 2).astype(int)[::-1])
    light, dark = (optical_nir(p, points, 0, CLEAN)[cheek] for p in (pixels, tanned))
    assert light > dark > tanned[cheek].mean()


# ------------------------------------------------------------------------ camera
def test_noise_has_the_variance_of_photons_and_reading():
    points = _points(40.0)
    pixels = np.full((96, 128, 3), 90, np.uint8)
    settings = OpticalSettings(gamma=False, full_well=900.0, read_noise=9.0, glint=0.0)
    clean = optical_nir(pixels, points, 0, replace(settings, full_well=0)).astype(float)
    runs = np.stack([optical_nir(pixels, points, s, settings) for s in range(60)]).astype(float)
    away = np.zeros(clean.shape, bool)
    away[:8] = True  # even background
    level = clean[away].mean() / 255
    expected = (level * 900 + 81) / 900**2 * 255**2 + 1 / 12
    assert runs[:, away].var(0).mean() == pytest.approx(expected, rel=0.06)
    assert runs[:, away].mean() == pytest.approx(clean[away].mean(), abs=0.3)


def test_same_seed_same_bytes_another_seed_other_noise(face):
    pixels, points = face
    one, again, other = (optical_nir(pixels, points, s) for s in (3, 3, 4))
    assert one.dtype == np.uint8 and one.shape == pixels.shape[:2]
    assert (one == again).all() and (one != other).any()
    assert np.abs(one.astype(int) - other).mean() < 5


def test_a_brighter_lamp_never_darkens(face):
    pixels, points = face
    low, high = (optical_nir(pixels, points, 0, replace(CLEAN, gain=g)) for g in (0.5, 0.9))
    assert (high >= low).all() and high.mean() > low.mean() + 10


def test_bright_pupils_are_an_option(face):
    pixels, points = face
    dark, bright = (
        optical_nir(pixels, points, 0, replace(CLEAN, glint=0.0, bright_pupil=b)) for b in (0, 1)
    )
    rows, columns = np.nonzero(bright.astype(int) - dark > 40)
    centres = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    away = np.hypot(columns[:, None] - centres[:, 0], rows[:, None] - centres[:, 1]).min(1)
    assert len(rows) and away.max() < 0.12 * np.linalg.norm(points[45] - points[36])


def test_a_turned_face_gives_a_turned_picture(face):
    """Frames follow the eyes: a quarter turn of photo and points turns the result."""
    pixels, points = face
    side = pixels.shape[0]
    upright = optical_nir(pixels, points, 0, CLEAN)
    turned = np.column_stack([side - 1 - points[:, 1], points[:, 0]])
    result = np.rot90(optical_nir(np.rot90(pixels, -1).copy(), turned, 0, CLEAN), 1)
    inside = slice(side // 4, 3 * side // 4)
    assert np.abs(result.astype(int) - upright)[inside, inside].mean() < 1.5


@pytest.mark.parametrize("shape", [(33, 47), (31, 31), (95, 64)])
def test_odd_and_tiny_pictures_work(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert optical_nir(pixels, _points(9.0, centre=(20, 12))).shape == shape


def test_bad_input_is_named(face):
    pixels, points = face
    with pytest.raises(ShapeError, match=r"pixels: expected \(H, W, 3\)"):
        optical_nir(pixels[..., 0], points)
    with pytest.raises(ShapeError, match=r"points: expected \(68, 2\)"):
        optical_nir(pixels, points[:5])
    with pytest.raises(ShapeError, match="eyes at least 1 pixel apart"):
        optical_nir(pixels, np.zeros((68, 2)))
    with pytest.raises(UsageError, match="seed"):
        optical_nir(pixels, points, -1)
    with pytest.raises(UsageError, match="iris: expected 0 to 1"):
        OpticalSettings(iris=1.5)
    with pytest.raises(UsageError, match="distance"):
        OpticalSettings(distance=0.5)


def _points(unit, centre=(64, 40)):
    """68 points of a schematic face."""
    t = np.linspace(np.pi, 0, 17)
    shape = np.zeros((68, 2))
    shape[:17] = np.column_stack([0.75 * np.cos(t), 1.3 * np.sin(t)])
    for first, side in ((17, -1), (22, 1)):
        shape[first : first + 5] = np.column_stack(
            [side * 0.32 + np.linspace(-0.2, 0.2, 5), np.full(5, -0.2)]
        )
    shape[27:31] = np.column_stack([np.zeros(4), np.linspace(0, 0.4, 4)])
    shape[31:36] = np.column_stack([np.linspace(-0.15, 0.15, 5), np.full(5, 0.48)])
    for first, left in ((36, -0.5), (42, 0.2)):
        ring = np.array([[0, 0], [0.1, -0.06], [0.2, -0.06], [0.3, 0], [0.2, 0.06], [0.1, 0.06]])
        shape[first : first + 6] = ring + (left, 0)
    for first, n, w, h in ((48, 12, 0.3, 0.1), (60, 8, 0.2, 0.02)):
        a = np.linspace(np.pi, -np.pi, n, endpoint=False)
        shape[first : first + n] = np.column_stack([w * np.cos(a), 0.8 - h * np.sin(a)])
    return shape * unit + centre
