"""Nuisance variation: what is drawn, that it replays, and that each effect does what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from synth.camera import project
from synth.crops import face_crop
from synth.errors import UsageError
from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.nuisance import (
    PRESETS,
    FaceMask,
    Glasses,
    Nuisance,
    Ranges,
    apply_nuisance,
    draw_nuisance,
    parse_ranges,
    preset,
)
from synth.nuisance.camera_effects import compress, defocus, move, noisy, tone_curve
from synth.nuisance.draw import FRAMES
from synth.nuisance.glasses import lens_outlines
from synth.nuisance.light import apply_gain, exposure, light_ratio
from synth.nuisance.matte import _matte, person_matte
from synth.nuisance.posed import pose_head, to_viewer
from synth.nuisance.ranges import CHANCES, LIMITS
from synth.render.face import render
from synth.render.light import LUMA, Light
from synth.render.rig import build_rig

SMILE = {"mouthSmile": 0.7, "cheekSquint": 0.6, "mouthUpperUp": 0.6, "mouthLowerDown": 0.4}
SURPRISE = {"jawOpen": 0.45, "browInnerUp": 1, "browOuterUp": 1, "eyeWide": 0.9}
POSES = [(0.0, 0.0, 0.0), (15.0, 0.0, 0.0), (-15.0, 6.0, 8.0), (4.0, -10.0, -15.0)]
WORN = FaceMask((150, 196, 220), 0.5, 0.5)
SEEDS = range(1500)


@pytest.fixture(scope="module")
def rig(samples, model):
    @cache
    def made(number=1, size=256):
        image = load_image(samples / f"sample_{number}.jpg")
        image, landmarks, _ = face_crop(image, get_detector("dlib").detect(image)[0], size)
        return build_rig(image, landmarks, fit_face(landmarks, (size, size), model), model)

    return made


def shown(rig, nuisance, weights):
    return apply_nuisance(nuisance, rig, render(rig, weights, nuisance.pose), weights)


def glasses(frame="square", **changes):
    return replace(Glasses(frame, (24, 23, 25), 1.0, 2.4, 0.0, 0.0, 0.0), **changes)


# ------------------------------------------------------------------------- identity
def test_nothing_is_drawn_by_default():
    for seed in range(50):
        assert draw_nuisance(seed, preset("none")) == Nuisance()
    assert Nuisance().as_dict() == {} and Nuisance.from_dict({}) == Nuisance()
    assert not Ranges().varies and not parse_ranges("share=0.5").varies


def test_identity_returns_the_very_arrays(rig, model):
    weights = model.weights(SMILE)
    for nuisance in (Nuisance(), Nuisance(pose=(5.0, 0.0, 0.0))):
        drawn = render(rig(), weights, nuisance.pose)
        pixels, mask = apply_nuisance(nuisance, rig(), drawn, weights)
        assert pixels is drawn.pixels and mask is drawn.mask


@pytest.mark.parametrize(
    "nuisance",
    [
        Nuisance(light=(0.3, 0.1, 0.1)),
        Nuisance(gain=0.8),
        Nuisance(glasses=glasses(glare=1.0)),
        Nuisance(mask=WORN),
        Nuisance(noise=4.0, shot=0.5, noise_seed=1),
    ],
    ids=lambda n: next(iter(n.as_dict())),
)
def test_every_effect_keeps_its_input_and_marks_what_it_changes(rig, model, nuisance):
    weights = model.weights(SMILE)
    drawn = render(rig(), weights)
    before, marked = drawn.pixels.copy(), drawn.mask.copy()
    pixels, mask = apply_nuisance(nuisance, rig(), drawn, weights)
    np.testing.assert_array_equal(drawn.pixels, before)
    np.testing.assert_array_equal(drawn.mask, marked)
    assert pixels.dtype == np.uint8 and pixels.shape == before.shape
    assert mask.dtype == bool and mask.shape == before.shape[:2]
    changed = (pixels != rig().image.pixels).any(2)
    assert changed.sum() > 300 and not (changed & ~mask).any()


# ----------------------------------------------------------------------------- draw
def test_draws_depend_on_the_seed_alone():
    ranges = preset("strong")
    assert draw_nuisance(7, ranges) == draw_nuisance(7, ranges)
    assert len({str(draw_nuisance(s, ranges)) for s in range(100)}) == 100


@pytest.mark.parametrize("name", ["mild", "strong"])
def test_draws_stay_in_their_ranges_and_fill_them(name):
    ranges = replace(preset(name), share=1.0)
    drawn = [draw_nuisance(seed, ranges) for seed in SEEDS]
    poses = np.array([n.pose for n in drawn])
    assert (np.abs(poses) <= ranges.pose).all()
    assert (np.linalg.norm(poses / ranges.pose, axis=1) <= 1.01).all()
    assert (np.abs(poses).max(0) > 0.9 * np.array(ranges.pose)).all()
    np.testing.assert_allclose(poses.mean(0), 0, atol=0.08 * max(ranges.pose))
    for key in LIMITS:
        low, high = getattr(ranges, key)
        values = np.array([np.linalg.norm(getattr(n, key)) if key == "light" else getattr(n, key)
                           for n in drawn])  # fmt: skip
        width = high - low
        assert low - 1e-3 <= values.min() < low + 0.03 * width, key
        assert high - 0.03 * width < values.max() <= high + 1e-3, key
        if key in ("gain", "gamma", "contrast"):
            low, high, values = np.log(low), np.log(high), np.log(values)
        # 1500 uniform draws: four standard errors of their mean.
        assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * 1500), key


def test_shares_and_chances_are_probabilities():
    ranges = parse_ranges("blur=0.5:1;light=0.1:0.3;share=0.3;glasses=0.2;mask=0.1")
    drawn = [draw_nuisance(seed, ranges) for seed in SEEDS]
    error = 4 * np.sqrt(0.25 / len(SEEDS))
    for wanted, found in (
        (0.3, [n.blur > 0 for n in drawn]),
        (0.3, [any(n.light) for n in drawn]),
        (0.2, [n.glasses is not None for n in drawn]),
        (0.1, [n.mask is not None for n in drawn]),
    ):
        assert abs(np.mean(found) - wanted) < error
    both = np.mean([n.blur > 0 and any(n.light) for n in drawn])
    assert abs(both - 0.09) < error  # each on its own
    assert {n.glasses.frame for n in drawn if n.glasses} == set(FRAMES)


def test_a_changed_range_leaves_the_other_draws():
    one, other = preset("strong"), replace(preset("strong"), jpeg=(10.0, 20.0), mask=0.0)
    for seed in range(40):
        a, b = draw_nuisance(seed, one), draw_nuisance(seed, other)
        assert replace(a, jpeg=0, mask=None) == replace(b, jpeg=0, mask=None)


def test_lights_come_from_the_sides_and_above():
    drawn = [draw_nuisance(s, parse_ranges("light=0.3:0.3")).light for s in range(400)]
    x, y, z = np.array(drawn).T
    assert (y > -0.16).all() and (z >= 0).all() and (z < 0.24).all()
    assert (x > 0.1).any() and (x < -0.1).any()
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 0.3, atol=2e-4)


# --------------------------------------------------------------------------- replay
def test_the_record_replays_bit_for_bit(rig, model):
    ranges = parse_ranges("strong;glasses=0.5;mask=0.5;share=0.8")
    weights = model.weights(SURPRISE)
    for seed in range(6):
        nuisance = draw_nuisance(seed, ranges)
        written = json.dumps(nuisance.as_dict())
        again = Nuisance.from_dict(json.loads(written))
        assert again == nuisance
        first, second = shown(rig(), nuisance, weights), shown(rig(), again, weights)
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])


def test_the_record_holds_only_what_was_drawn():
    drawn = draw_nuisance(3, parse_ranges("gamma=1.2:1.3;pose=5"))
    assert set(drawn.as_dict()) == {"gamma", "pose"}
    assert Nuisance(glasses=glasses()).as_dict()["glasses"]["colour"] == [24, 23, 25]


@pytest.mark.parametrize(
    "values",
    [{"fog": 1.0}, {"glasses": {"frame": "round"}}, {"mask": {"colour": [1, 2, 3], "x": 1}}],
)
def test_records_of_something_else_are_refused(values):
    with pytest.raises(UsageError, match="nuisance: expected"):
        Nuisance.from_dict(values)


# ---------------------------------------------------------------------------- light
def test_light_of_known_normals_is_known(rig):
    """A light with L = 100 + 20 n_x in a frontal photo, and one added from the right."""
    camera = replace(rig().fit.camera, quaternion=np.array([0.0, 0.0, 0.0, 1.0]))
    light = Light(100.0, np.array([20.0, 0.0, 0.0]), np.full(3, 100.0), 120.0)
    normals = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]], float)
    added = (0.3, 0.0, 0.1)
    old = 100 + 20 * normals[:, 0]
    new = old + 100 * (0.3 * normals[:, 0] + 0.1 * normals[:, 2] - 0.1)
    np.testing.assert_allclose(light_ratio(light, normals, camera, added), new / old)
    np.testing.assert_array_equal(light_ratio(light, normals, camera, (0, 0, 0)), 1.0)


def test_a_nod_turns_normals_with_the_head(rig, model):
    straight = pose_head(rig(), np.zeros(52), (0, 0, 0))
    turned = pose_head(rig(), np.zeros(52), (10, 0, 0))
    nose = np.argmax(model.mean[:, 2])
    swing = np.degrees(np.arctan2(turned.normals[:, 0], turned.normals[:, 2])) - np.degrees(
        np.arctan2(straight.normals[:, 0], straight.normals[:, 2])
    )
    assert abs(swing[nose] - 10) < 1.0  # the head itself may be tipped a little
    out = to_viewer(np.array([[0.0, 0.0, 1.0]]), turned.camera)
    np.testing.assert_allclose(np.linalg.norm(out), 1)


def test_the_lit_cheek_is_on_the_side_of_the_light(rig):
    r, weights = rig(), np.zeros(52)
    jaw = r.landmarks.points
    for sign in (1, -1):
        pixels, mask = shown(r, Nuisance(light=(0.3 * sign, 0.0, 0.0)), weights)
        ratio = (pixels @ LUMA + 1) / (r.image.pixels @ LUMA + 1)
        right, left = ((jaw[i] + jaw[31 + 4 * (i > 8)]) / 2 for i in (3, 13))
        lit, dark = (left, right) if sign > 0 else (right, left)
        at = [ratio[int(p[1]) - 3 : int(p[1]) + 4, int(p[0]) - 3 : int(p[0]) + 4].mean()
              for p in (lit, dark)]  # fmt: skip
        assert at[0] > 1.02 and at[1] < 0.98
        np.testing.assert_array_equal(pixels[~mask], r.image.pixels[~mask])


def test_light_leaves_the_background(rig):
    """The background of this portrait is plain: the corners are surely not the person."""
    r = rig()
    matte = person_matte(r)
    assert matte is person_matte(r)
    np.testing.assert_array_equal(matte, _matte(r))
    left, top, width, height = r.surface.box
    full = np.zeros(r.image.pixels.shape[:2])
    full[top : top + height, left : left + width] = matte
    assert full[:60, :20].max() < 0.05 and full[:60, -20:].max() < 0.05
    x, y = np.round(r.landmarks.points[17:]).astype(int).T
    assert full[y, x].min() > 0.95
    pixels, _ = shown(r, Nuisance(light=(0.4, 0.0, 0.0)), np.zeros(52))
    background = full < 0.01
    difference = np.abs(pixels.astype(int) - r.image.pixels)[background]
    assert difference.mean() < 0.05


def test_exposure_is_exact_and_warmth_keeps_grey_as_bright():
    np.testing.assert_allclose(exposure(0.8, 0.0), 0.8)
    factors = exposure(1.0, 0.2)
    np.testing.assert_allclose(factors @ LUMA, 1.0)
    np.testing.assert_allclose(np.log(factors[0] / factors[2]), 0.2)
    grey = np.full((4, 5, 3), 100, np.uint8)
    out, mask = np.empty_like(grey), np.zeros((4, 5), bool)
    apply_gain(grey, np.full((2, 2), 1.5, np.float32), 1, 1, exposure(0.8, 0.0), out, mask)
    assert mask.all() and (out[1:3, 1:3] == 120).all() and (out[0] == 80).all()
    apply_gain(grey, np.ones((0, 0), np.float32), 0, 0, np.ones(3), out, mask := mask & False)
    np.testing.assert_array_equal(out, grey)
    assert not mask.any()


def test_bright_skin_keeps_its_hue():
    skin = np.full((1, 1, 3), (230, 180, 150), np.uint8)
    out, mask = np.empty_like(skin), np.zeros((1, 1), bool)
    apply_gain(skin, np.ones((0, 0), np.float32), 0, 0, exposure(1.5, 0.0), out, mask)
    r, g, b = out[0, 0].astype(float)
    assert 230 < r < 256
    np.testing.assert_allclose([g / r, b / r], [180 / 230, 150 / 230], atol=0.005)


# --------------------------------------------------------------------------- camera
@pytest.mark.parametrize("shot", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("level", [60, 128, 200])
def test_noise_has_the_variance_that_was_drawn(level, shot):
    flat = np.full((256, 256, 3), level, np.uint8)
    noise = noisy(flat, 5.0, shot, 11).astype(float) - level
    wanted = 25 * (1 - shot + shot * level / 128) + 1 / 12  # rounding to grey levels
    # 196608 values: the variance is known to 0.3 %, less what four summed numbers lack in tails.
    np.testing.assert_allclose(noise.var(), wanted, rtol=0.02)
    assert abs(noise.mean()) < 0.06
    unit = noise / noise.std()
    assert abs((unit**3).mean()) < 0.03 and abs((unit**4).mean() - 2.7) < 0.1
    shifted = [(unit[:, :-1] * unit[:, 1:]).mean(), (unit[:-1] * unit[1:]).mean(),
               (unit[..., 0] * unit[..., 1]).mean()]  # fmt: skip
    assert np.abs(shifted).max() < 0.02


def split_mix(seed, i):
    """The i-th output of SplitMix64 (Steele et al., OOPSLA 2014), in whole numbers."""
    bits, golden = 2**64 - 1, 0x9E3779B97F4A7C15
    z = (seed * golden + (i + 1) * golden) & bits
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & bits
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & bits
    return z ^ (z >> 31)


def test_noise_is_the_sum_of_four_parts_of_splitmix():
    flat = np.full((5, 4, 3), 128, np.uint8)
    fast = noisy(flat, 5, 0.5, 77).reshape(-1)
    for i, value in enumerate(fast):
        total = sum((split_mix(77, i) >> (16 * k)) & 0xFFFF for k in range(4))
        wanted = 128 + 5 * (total - 2 * 65535) / np.sqrt((65536**2 - 1) / 3)
        assert abs(int(value) - wanted) < 0.501
    assert (noisy(flat, 5, 0.5, 78).reshape(-1) != fast).any()


def test_jpeg_is_opencvs_at_that_quality(rig):
    pixels = rig().image.pixels
    for quality in (30, 80):
        data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        np.testing.assert_array_equal(compress(pixels, quality), cv2.imdecode(data, 1)[..., ::-1])
        taken, mask = shown(rig(), Nuisance(jpeg=quality), np.zeros(52))
        np.testing.assert_array_equal(taken, compress(pixels, quality))
        assert mask.all()


def test_blur_has_the_spread_that_was_drawn():
    edge = np.zeros((9, 60, 3), np.uint8)
    edge[:, 30:] = 255
    slope = np.diff(defocus(edge, 2.0)[4, :, 0].astype(float)) / 255
    place = np.arange(59) - 29
    assert abs((slope * place**2).sum() - 4.0) < 0.3 and abs((slope * place).sum()) < 0.05
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    rows, columns = np.mgrid[-20:21, -20:21]
    streak = move(point, 9.0, 0.0)[..., 0].astype(float)
    weight = streak / streak.sum()
    assert abs((weight * columns**2).sum() - 9**2 / 12) < 0.5
    assert (weight * rows**2).sum() < 0.3 and abs((weight * columns).sum()) < 0.05
    slanted = move(point, 9.0, 45.0)[..., 0].astype(float)
    assert (slanted * rows * columns).sum() > 0  # clockwise in the picture: right and down


def test_tone_curve():
    np.testing.assert_array_equal(tone_curve(1, 1, 0), np.arange(256))
    np.testing.assert_array_equal(tone_curve(1, 1, 10)[:246], np.arange(10, 256))
    assert tone_curve(1, 1.5, 0)[[28, 128, 168]].tolist() == [0, 128, 188]
    assert tone_curve(2, 1, 0)[128] == round(255 * (128 / 255) ** 2)
    assert (np.diff(tone_curve(0.7, 1.2, -5).astype(int)) >= 0).all()


def test_the_camera_works_in_the_order_of_a_camera(rig):
    pixels = rig().image.pixels
    nuisance = Nuisance(
        blur=0.8, motion=3.0, motion_angle=20.0, noise=5.0, shot=0.5, noise_seed=9, jpeg=60,
        gamma=1.2, contrast=0.9, brightness=4.0,
    )  # fmt: skip
    wanted = noisy(move(defocus(pixels, 0.8), 3.0, 20.0), 5.0, 0.5, 9)
    wanted = compress(tone_curve(1.2, 0.9, 4.0)[wanted], 60)
    np.testing.assert_array_equal(shown(rig(), nuisance, np.zeros(52))[0], wanted)


# ------------------------------------------------------------------------ occluders
@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("frame", FRAMES)
def test_eyes_look_through_the_lenses(rig, model, frame, pose):
    weights = model.weights(SURPRISE)
    for number in (1, 2, 3):
        r = rig(number)
        marks = render(r, weights, pose).landmarks
        head = pose_head(r, weights, pose)
        np.testing.assert_allclose(
            project(head.landmarks, head.camera)[:, :2], marks, atol=0.02 * r.inter_ocular
        )
        for outline, eye in zip(lens_outlines(head, glasses(frame)), (36, 42), strict=True):
            seen = project(outline, head.camera)[:, :2].astype(np.float32)
            middle = marks[eye : eye + 6].mean(0)
            inside = cv2.pointPolygonTest(seen, tuple(map(float, middle)), True)
            assert inside > 0.1 * r.inter_ocular  # not at the rim
            corners = [cv2.pointPolygonTest(seen, tuple(map(float, p)), True)
                       for p in marks[eye : eye + 6]]  # fmt: skip
            assert min(corners) > -0.03 * r.inter_ocular


@pytest.mark.parametrize("pose", POSES)
def test_glasses_change_the_rims_and_not_the_mouth(rig, model, pose):
    weights = model.weights(SMILE)
    r = rig()
    bare = render(r, weights, pose)
    worn, mask = apply_nuisance(Nuisance(pose=pose, glasses=glasses()), r, bare, weights)
    changed = np.abs(worn.astype(int) - bare.pixels).max(2)
    for outline in lens_outlines(pose_head(r, weights, pose), glasses()):
        seen = project(outline, pose_head(r, weights, pose).camera)
        x, y = np.round(seen[:, :2]).astype(int).T
        assert np.median(worn[y, x].max(1)) < 90  # black acetate
    x, y = np.round(bare.landmarks[48:]).astype(int).T
    assert changed[y, x].max() == 0 and (changed > 0).mean() < 0.25
    assert not ((changed > 0) & ~mask).any()


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("expression", [{}, SMILE, SURPRISE], ids=["neutral", "smile", "surprise"])
def test_masks_cover_nose_mouth_and_chin_and_leave_the_eyes(rig, model, expression, pose):
    weights = model.weights(expression) if expression else np.zeros(52)
    for number in (1, 2, 3):
        r = rig(number)
        bare = render(r, weights, pose)
        marks = bare.landmarks
        pictures = [
            apply_nuisance(Nuisance(pose=pose, mask=replace(WORN, colour=c)), r, bare, weights)[0]
            for c in ((0, 0, 0), (255, 255, 255))
        ]
        # Where two colours of the same mask differ there is mask.
        cover = np.subtract(pictures[1], pictures[0], dtype=int).min(2) > 40
        x, y = np.round(marks).astype(int).T
        assert cover[y[48:], x[48:]].all() and cover[y[30:36], x[30:36]].all()
        assert cover[y[7:10] - 2, x[7:10]].all()
        assert not cover[y[36:48], x[36:48]].any() and not cover[y[17:28], x[17:28]].any()
        assert 0.1 < cover.mean() < 0.4


def test_a_mask_goes_with_the_chin(rig, model):
    r = rig()

    def lowest(weights):
        bare = render(r, weights)
        worn, _ = apply_nuisance(Nuisance(mask=WORN), r, bare, weights)
        return np.nonzero((np.abs(worn.astype(int) - bare.pixels).max(2) > 60).any(1))[0].max()

    drop = pose_head(r, model.weights({"jawOpen": 0.5}), (0, 0, 0)).scale
    assert lowest(model.weights({"jawOpen": 0.5})) - lowest(np.zeros(52)) > 5 * drop


def test_edges_are_soft(rig):
    """Between mask and skin lie pixels that are neither."""
    r = rig()
    black, white = (
        shown(r, Nuisance(mask=replace(WORN, colour=c)), np.zeros(52))[0].astype(float)
        for c in ((0, 0, 0), (255, 255, 255))
    )
    x = int(r.landmarks.points[33, 0]) + 20
    edge = (white - black)[:, x].mean(1)
    top = int(np.argmax(edge > 0))
    steps = edge[top : top + 12]
    assert ((steps > 0.1 * steps.max()) & (steps < 0.75 * steps.max())).any()


def test_glasses_are_worn_over_the_mask_and_both_replay(rig, model):
    weights = model.weights(SMILE)
    both = Nuisance(glasses=glasses(glare=0.8, tint=0.2), mask=replace(WORN, height=0.75))
    one, other = shown(rig(), both, weights), shown(rig(), both, weights)
    np.testing.assert_array_equal(one[0], other[0])
    only = shown(rig(), replace(both, mask=None), weights)[0]
    assert (only != one[0]).any()


def test_tinted_lenses_darken_and_glare_brightens(rig):
    r, weights = rig(), np.zeros(52)
    eye = np.round(r.landmarks.points[36:42].mean(0)).astype(int)

    def at(worn):
        pixels = shown(r, Nuisance(glasses=worn), weights)[0].astype(float)
        return pixels[eye[1] - 8 : eye[1] + 9, eye[0] - 8 : eye[0] + 9].mean()

    clear = at(glasses())
    assert at(glasses(tint=0.25)) < 0.85 * clear
    assert at(glasses(glare=1.0)) > 1.1 * clear


def test_a_face_at_the_border_wears_what_fits(rig, model):
    r = rig()
    pixels = np.ascontiguousarray(r.image.pixels[110:, 60:])
    image = replace(r.image, pixels=pixels)
    landmarks = replace(r.landmarks, points=r.landmarks.points - (60, 110))
    cut = build_rig(image, landmarks, fit_face(landmarks, pixels.shape[:2], model), model)
    nuisance = Nuisance(pose=(0.0, 10.0, 0.0), glasses=glasses(), mask=WORN, light=(0.2, 0.1, 0.1))
    out, mask = shown(cut, nuisance, np.zeros(52))
    assert out.shape == pixels.shape and mask.any()


def test_what_is_worn_goes_by_the_head_as_it_is_drawn(rig, model):
    """Of two frames drawn alike, one turned by the nuisance, one in part by head motion."""
    weights, pose = model.weights(SMILE), (9.0, 3.0, -4.0)
    worn = Nuisance(light=(0.2, 0.1, 0.1), glasses=glasses(), mask=WORN)
    drawn = render(rig(), weights, pose)
    one = apply_nuisance(replace(worn, pose=pose), rig(), drawn, weights)
    part = replace(worn, pose=(5.0, 0.0, 0.0))
    two = apply_nuisance(part, rig(), drawn, weights, pose)
    np.testing.assert_array_equal(one[0], two[0])
    assert (apply_nuisance(part, rig(), drawn, weights)[0] != one[0]).any()


# ---------------------------------------------------------------------------- texts
def test_the_text_of_the_issue():
    ranges = parse_ranges(
        "pose=15,10,5;light=0.3;blur=0:1.2;noise=0:6;jpeg=40:95;gamma=0.8:1.25;glasses=0.1;mask=0.05"
    )
    assert ranges == Ranges(
        pose=(15, 10, 5), light=(0, 0.3), blur=(0, 1.2), noise=(0, 6), jpeg=(40, 95),
        gamma=(0.8, 1.25), glasses=0.1, mask=0.05,
    )  # fmt: skip


def test_lone_numbers_presets_and_bases():
    mild = preset("mild")
    changed = parse_ranges(" blur = 2 ; warmth=0.1;gain=1.25;jpeg=50;pose=3;", mild)
    assert changed == replace(
        mild, blur=(0, 2), warmth=(-0.1, 0.1), gain=(0.8, 1.25), jpeg=(50, 50), pose=(3, 3, 3)
    )
    assert parse_ranges("gamma=0.5").gamma == (0.5, 2.0)
    assert parse_ranges("strong;glasses=0", mild) == replace(preset("strong"), glasses=0)
    assert parse_ranges("", mild) == mild and parse_ranges("none", mild) == Ranges()


@pytest.mark.parametrize("name", PRESETS)
def test_texts_of_ranges_read_back(name):
    ranges = preset(name)
    assert parse_ranges(ranges.as_text()) == ranges
    odd = replace(ranges, pose=(1 / 3, 2.5, 0.1), gain=(0.7, 1 / 0.7), share=1 / 7)
    assert parse_ranges(odd.as_text()) == odd


def test_presets_widen():
    mild, strong = preset("mild"), preset("strong")
    for key in LIMITS:
        (low, high), (lower, higher) = getattr(mild, key), getattr(strong, key)
        assert lower <= low <= high <= higher or (key == "jpeg" and lower < low and higher < high)
    assert all(getattr(strong, key) >= getattr(mild, key) for key in CHANCES)


@pytest.mark.parametrize(
    "text, words",
    [
        ("fog=1", "one of pose"),
        ("fog", "one of pose"),
        ("blur=", "blur: expected LOW:HIGH, got ''"),
        ("blur=much", "blur: expected LOW:HIGH, got 'much'"),
        ("blur=1:2:3", "blur: expected LOW:HIGH"),
        ("blur=2:1", "blur: expected LOW:HIGH within 0:8"),
        ("blur=-1", "blur"),
        ("blur=nan", "blur"),
        ("noise=inf", "noise"),
        ("light=2", "light: expected LOW:HIGH within 0:1"),
        ("jpeg=0:50", "jpeg: expected qualities from 1"),
        ("jpeg=101", "jpeg"),
        ("gain=0", "gain: expected a factor above 0"),
        ("gamma=9", "gamma"),
        ("pose=1,2", "pose: expected YAW,PITCH,ROLL"),
        ("pose=a,b,c", "pose"),
        ("pose=90,0,0", "pose: expected the largest yaw"),
        ("pose=-5", "pose"),
        ("glasses=2", "glasses: expected a probability"),
        ("mask=0.1,0.2", "mask: expected a probability"),
        ("share=no", "share: expected a probability"),
    ],
)
def test_bad_texts_are_one_line_errors(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse_ranges(text)
    assert "\n" not in str(caught.value)


def test_unknown_preset():
    with pytest.raises(UsageError, match="expected one of none, mild, strong, got 'wild'"):
        preset("wild")
