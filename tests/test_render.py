"""The renderer on the sample portraits: what must stay, what must move, and golden pictures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synth.camera import project
from synth.crops import face_crop
from synth.errors import ShapeError, UsageError
from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.landmarks.mirror import mirror_points
from synth.render.deform import deform
from synth.render.eyes import edge_rows
from synth.render.face import NECK, render
from synth.render.raster import rasterise
from synth.render.rig import build_rig
from synth.render.settings import RenderSettings
from synth.render.topology import OUTSIDE
from synth.testing import synthetic_face
from synth.types import FaceImage, Landmarks

GOLDEN = Path(__file__).parent / "golden"
EXPRESSIONS = {
    "smile": {"mouthSmile": 0.7, "cheekSquint": 0.6, "mouthUpperUp": 0.6, "mouthLowerDown": 0.4},
    "surprise": {"jawOpen": 0.45, "browInnerUp": 1, "browOuterUp": 1, "eyeWide": 0.9},
    "anger": {"browDown": 1, "noseSneer": 0.7, "mouthPress": 0.5, "eyeWide": 0.2},
    "sadness": {"browInnerUp": 1, "mouthFrown": 1, "mouthShrugLower": 0.6, "eyeBlink": 0.2},
    "fear": {"browInnerUp": 1, "eyeWide": 1, "mouthStretch": 0.8, "jawOpen": 0.18},
    "wink": {"eyeBlinkLeft": 1, "mouthLeft": 0.5, "mouthSmileLeft": 0.4},
}


@pytest.fixture(scope="session")
def rig(samples, model):
    """Rig of a sample portrait, cached: ``rig(number, size, composite, mirrored)``."""

    @cache
    def found(number):
        image = load_image(samples / f"sample_{number}.jpg")
        return image, get_detector("dlib").detect(image)[0]

    @cache
    def made(number=1, size=256, composite="warp", mirrored=False):
        image, landmarks, _ = face_crop(*found(number), size)
        if mirrored:
            pixels = np.ascontiguousarray(image.pixels[:, ::-1])
            image = FaceImage(pixels, image.name, image.sha256)
            points = mirror_points(landmarks.points, size)
            landmarks = Landmarks(points, landmarks.detector, landmarks.box)
        fit = fit_face(landmarks, (size, size), model)
        return build_rig(image, landmarks, fit, model, RenderSettings(composite=composite))

    return made


def both(test):
    return pytest.mark.parametrize("composite", ["warp", "poisson"])(test)


# -------------------------------------------------------------------- what must stay
@both
def test_no_expression_changes_nothing(rig, model, composite):
    r = rig(composite=composite)
    drawn = render(r, np.zeros(52))
    np.testing.assert_array_equal(drawn.pixels, r.image.pixels)
    assert not drawn.mask.any() and drawn.pixels is not r.image.pixels


@both
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_pixels_outside_the_mask_are_the_photo(rig, model, name, composite):
    r = rig(composite=composite)
    drawn = render(r, model.weights(EXPRESSIONS[name]))
    changed = (drawn.pixels != r.image.pixels).any(2)
    assert not (changed & ~drawn.mask).any()
    assert changed.sum() > 500


def test_the_background_stays(rig, model):
    """In a picture with room around the head, the mask ends with the reach of the skirt."""
    r, pad = rig(), 100
    pixels = cv2.copyMakeBorder(r.image.pixels, pad, pad, pad, pad, cv2.BORDER_REFLECT)
    image = FaceImage(pixels, "padded", "0")
    landmarks = Landmarks(r.landmarks.points + pad, "dlib", r.landmarks.box + pad)
    fit = fit_face(landmarks, pixels.shape[:2], model)
    wide = build_rig(image, landmarks, fit, model)
    drawn = render(wide, model.weights({"jawOpen": 0.8, "mouthSmile": 0.8}))
    rows, columns = np.nonzero(drawn.mask)
    low, high = landmarks.points.min(0), landmarks.points.max(0)
    margin = 1.0 * wide.inter_ocular
    assert columns.min() > low[0] - margin and columns.max() < high[0] + margin
    assert rows.min() > low[1] - margin and rows.max() < high[1] + margin


@both
def test_the_mask_is_no_larger_than_it_must_be(rig, model, composite):
    r = rig(composite=composite)
    sizes = [
        render(r, model.weights({k: s * v for k, v in EXPRESSIONS["surprise"].items()})).mask.sum()
        for s in (0.02, 0.1, 0.4, 1.0)
    ]
    assert sizes == sorted(sizes) and sizes[0] < 0.7 * sizes[-1]
    blink = render(r, model.weights({"eyeBlinkLeft": 0.3})).mask
    rows, columns = np.nonzero(blink)
    eye = r.landmarks.points[42:48].mean(0)
    assert np.hypot(columns - eye[0], rows - eye[1]).max() < 0.9 * r.inter_ocular
    assert columns.min() > r.landmarks.points[27, 0] - 0.1 * r.inter_ocular  # image right only


@both
def test_same_input_same_bytes(rig, model, composite):
    r = rig(composite=composite)
    weights = [model.weights(w) for w in EXPRESSIONS.values()]
    first = [render(r, w).pixels for w in weights]
    again = [render(r, w).pixels for w in reversed(weights)][::-1]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_new_rig_gives_the_same_bytes(rig, model):
    r = rig()
    fit = fit_face(r.landmarks, (256, 256), model)
    fresh = build_rig(r.image, r.landmarks, fit, model)
    weights = model.weights(EXPRESSIONS["smile"])
    np.testing.assert_array_equal(render(fresh, weights).pixels, render(r, weights).pixels)


def test_the_photo_is_not_written_to(rig, model):
    r = rig()
    before = r.image.pixels.copy()
    render(r, model.weights(EXPRESSIONS["fear"]))
    np.testing.assert_array_equal(r.image.pixels, before)


# -------------------------------------------------------------------- what must move
@pytest.mark.parametrize(
    "action, point, direction",
    [
        ({"jawOpen": 0.5}, 8, (0, 1)),
        ({"jawOpen": 0.5}, 66, (0, 1)),
        ({"mouthSmile": 0.7}, 48, (-1, -1)),
        ({"mouthSmile": 0.7}, 54, (1, -1)),
        ({"mouthFrown": 0.8}, 54, (0, 1)),
        ({"browInnerUp": 0.8}, 21, (0, -1)),
        ({"browDown": 0.8}, 22, (0, 1)),
        ({"eyeBlink": 0.8}, 37, (0, 1)),
        ({"eyeWide": 0.8}, 44, (0, -1)),
    ],
)
def test_actions_move_their_landmarks(rig, model, action, point, direction):
    r = rig()
    still, moved = (render(r, model.weights(a)).landmarks for a in ({}, action))
    assert np.linalg.norm(still - r.landmarks.points, axis=1)[27:].max() < 0.03 * r.inter_ocular
    move = (moved - still)[point] / r.inter_ocular
    for axis in (0, 1):
        if direction[axis]:
            assert move[axis] * direction[axis] > 0.01


def test_the_picture_moves_with_the_landmarks(rig, model):
    """The rim of the lower lip is found again where the renderer says that it went."""
    r = rig()
    drawn = render(r, model.weights({"jawOpen": 0.35}))
    still = render(r, np.zeros(52)).landmarks
    x, y = still[57].round().astype(int)
    patch = r.image.pixels[y - 5 : y + 9, x - 12 : x + 13]
    search = drawn.pixels[y - 25 : y + 29, x - 22 : x + 23]
    match = cv2.matchTemplate(search, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (dx, dy) = cv2.minMaxLoc(match)
    said = (drawn.landmarks - still)[57]
    assert best > 0.8 and said[1] > 4
    assert np.abs(said - (dx - 10, dy - 20)).max() < 2.5


def test_larger_is_further(rig, model):
    r = rig()
    chin = [render(r, model.weights({"jawOpen": s})).landmarks[8, 1] for s in (0, 0.2, 0.4, 0.6)]
    assert (np.diff(chin) > 1).all()


def skirt_in_the_mouth(rig, weights):
    """Samples between the lips that show the skirt instead of the mouth."""
    seen = project(rig.fit.vertices + rig.model.offsets(weights), rig.fit.camera)
    drawn = seen[rig.surface.outline, :2] - rig.neutral[rig.surface.outline, :2]
    skirt = rig.surface.skirt + rig.surface.follow @ drawn
    behind = np.full((len(skirt), 1), seen[:, 2].max() + 50)
    points = np.concatenate((seen, np.hstack((skirt, behind))))
    lips = rig.topology.lips
    loop = np.concatenate((lips.upper, lips.lower[::-1]))
    left, top = np.floor(seen[loop, :2].min(0)).astype(int)
    width, height = np.ceil(np.ptp(seen[loop, :2], axis=0)).astype(int) + 2
    ids, _, _ = rasterise(points, rig.surface.faces, (left, top, width, height))
    inside = np.zeros(ids.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(seen[loop, :2] - (left, top)).astype(np.int32)], 1)
    return ((rig.surface.labels[ids] == OUTSIDE) & (inside > 0)).sum() + (ids[inside > 0] < 0).sum()


def test_the_skirt_stays_behind_an_open_mouth(rig, model):
    weights = model.weights({"jawOpen": 0.5, "mouthStretch": 0.5})
    for number in range(1, 7):
        assert skirt_in_the_mouth(rig(number), weights) == 0


def test_the_skirt_stays_behind_an_open_mouth_of_real_faces(shared, model):
    """One face of this set has a skirt triangle from cheek to cheek."""
    weights = model.weights({"jawOpen": 0.5, "mouthStretch": 0.5})
    for path in sorted((shared / "data" / "canada").glob("*.jpg"))[::4] + [
        shared / "data" / "canada" / "048f.jpg"
    ]:
        image = load_image(path)
        image, landmarks, _ = face_crop(image, get_detector("dlib").detect(image)[0], 256)
        made = build_rig(image, landmarks, fit_face(landmarks, (256, 256), model), model)
        assert skirt_in_the_mouth(made, weights) == 0


def test_an_open_mouth_shows_its_inside(rig, model):
    r = rig(size=256)
    drawn = render(r, model.weights({"jawOpen": 0.6}))
    middle = (drawn.landmarks[62] + drawn.landmarks[66]) / 2
    column = drawn.pixels[:, round(middle[0])].astype(int).sum(1)
    inside = column[round(drawn.landmarks[62, 1]) + 1 : round(drawn.landmarks[66, 1])]
    assert len(inside) > 8
    assert inside.min() < 0.6 * column[round(drawn.landmarks[57, 1]) + 6]


# ---------------------------------------------------------------------------- pose
POSES = [(3, 0, 0), (0, -3, 0), (0, 0, 3), (-10, 0, 0), (0, 10, 0), (6, -5, 4)]


def seen_pose(pixels, model):
    """Head pose that detector and fit see in a picture, degrees."""
    found = get_detector("dlib").detect(FaceImage(pixels, "drawn", "0"))[0]
    return fit_face(found, pixels.shape[:2], model).pose


def test_a_head_that_faces_as_before_is_the_photo(rig):
    r = rig()
    drawn = render(r, np.zeros(52), (0, 0, 0))
    np.testing.assert_array_equal(drawn.pixels, r.image.pixels)


@pytest.mark.parametrize("pose", POSES)
def test_the_landmarks_are_those_of_the_turned_model(model, pose):
    """Against the rotation written out, on a synthetic face of known truth."""
    image, landmarks, truth = synthetic_face(model, 2, yaw=4, pitch=-3, roll=2, size=256)
    r = build_rig(image, landmarks, truth, model)
    drawn = render(r, np.zeros(52), pose)
    before = Rotation.from_quat(truth.camera.quaternion).as_matrix()
    yaw, pitch, roll = np.radians(np.array((4, -3, 2)) + pose)
    head = Rotation.from_euler("YXZ", (yaw, -pitch, -roll)).as_matrix()
    flip = np.diag([1.0, -1.0, -1.0])
    pivot = np.array(NECK)
    marks = model.landmarks(truth.vertices)
    camera = (marks - pivot) @ (flip @ head).T + pivot @ (before @ flip).T
    camera += truth.camera.translation
    expected = truth.camera.focal * camera[:, :2] / camera[:, 2:] + truth.camera.center
    np.testing.assert_allclose(drawn.landmarks, expected, atol=0.02)


@pytest.mark.parametrize("pose", POSES[:2] + POSES[3:])
def test_the_picture_shows_the_turn(rig, model, pose):
    """Detected again, the head has turned as it was told to; the fit is blind to a few degrees."""
    r = rig(1, 384)
    drawn = render(r, np.zeros(52), pose)
    turned = seen_pose(drawn.pixels, model) - seen_pose(r.image.pixels, model)
    assert np.abs(turned - pose).max() < 1.5 + 0.25 * np.abs(pose).max()


def test_eyes_travel_with_the_head(rig, model):
    """The iris stays between the corners of its eye, and is as dark as before."""
    r = rig(1, 384)
    for pose in ((8, 0, 0), (0, 8, 0), (-3, 2, 4)):
        drawn = render(r, np.zeros(52), pose)
        for eye, corners in ((0, (36, 39)), (1, (42, 45))):
            iris = r.eyes[eye].iris
            old, new = r.landmarks.points[list(corners)], drawn.landmarks[list(corners)]
            at = np.round(iris[:2] + new.mean(0) - old.mean(0)).astype(int)
            patch = drawn.pixels[at[1] - 4 : at[1] + 5, at[0] - 4 : at[0] + 5].astype(float)
            x, y = np.round(iris[:2]).astype(int)
            before = r.image.pixels[y - 4 : y + 5, x - 4 : x + 5].astype(float)
            assert abs(patch.mean() - before.mean()) < 0.2 * before.mean()


# --------------------------------------------------------------------- gaze and blink
def darkest(drawn, r, eye):
    """Centre of the dark disc between the lids of an eye, pixels."""
    points = drawn.landmarks[36 + 6 * eye : 42 + 6 * eye]
    inside = np.zeros(drawn.pixels.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1)
    grey = cv2.GaussianBlur(
        drawn.pixels.astype(np.float32).mean(2), (0, 0), r.eyes[eye].iris[2] / 2
    )
    grey[inside == 0] = np.inf
    return np.array(np.unravel_index(grey.argmin(), grey.shape))[::-1]


@pytest.mark.parametrize(
    "action, direction",
    [
        ({"eyeLookInLeft": 0.7, "eyeLookOutRight": 0.7}, (-1, 0)),
        ({"eyeLookOutLeft": 0.7, "eyeLookInRight": 0.7}, (1, 0)),
        ({"eyeLookUp": 0.8}, (0, -1)),
        ({"eyeLookDown": 0.8}, (0, 1)),
    ],
)
def test_gaze_moves_the_irises(rig, model, action, direction):
    r = rig(1, 384)
    still, moved = (render(r, model.weights(a)) for a in ({}, action))
    for eye in (0, 1):
        shift = (darkest(moved, r, eye) - darkest(still, r, eye)) / r.eyes[eye].iris[2]
        assert shift @ direction > 0.2  # what the lids leave of a disc moves less than the disc
        assert abs(shift @ direction[::-1]) < 0.35


@pytest.mark.parametrize(
    "base",
    [
        {},
        {"eyeWide": 1.0, "jawOpen": 0.4},
        {"mouthSmile": 0.7, "cheekSquint": 0.8},
        {"eyeSquint": 1.0},
    ],
)
@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_blink_leaves_its_share_of_the_opening(rig, model, number, base):
    """Of the opening that other actions leave, a blink of weight b leaves 1 - b, and never less."""
    r = rig(number)

    def opening(blink):
        state = deform(r, model.weights({**base, "eyeBlink": blink}), r.fit.camera)
        found = []
        for lids in r.lids:
            x = r.neutral[lids.upper.edge, 0]
            columns = np.linspace(x.min() + 0.2 * np.ptp(x), x.max() - 0.2 * np.ptp(x), 20)
            upper, lower = (edge_rows(state.points[k.edge, :2], columns) for k in lids.pair)
            found.append(lower - upper)
        return np.concatenate(found) / r.inter_ocular

    whole = opening(0.0)
    assert whole.max() > 0.05
    for blink in (0.25, 0.5, 0.75, 1.0):
        rest = opening(blink) - (1 - blink) * np.maximum(whole, 0)
        assert rest.max() < 0.008 and rest.min() > -0.012


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_shut_eye_shows_no_white(rig, model, number):
    """Nothing between the lids is brighter than the lids around it."""
    r = rig(number, 384)
    drawn = render(r, model.weights({"eyeBlink": 1}))
    for eye in (0, 1):
        points = drawn.landmarks[36 + 6 * eye : 42 + 6 * eye]
        low, high = np.floor(points.min(0)).astype(int) - 2, np.ceil(points.max(0)).astype(int) + 3
        line = drawn.pixels[low[1] : high[1], low[0] : high[0]].astype(float).mean(2)
        old = r.landmarks.points[36 + 6 * eye : 42 + 6 * eye].mean(0).astype(int)
        reach = round(0.09 * r.inter_ocular)
        lid = r.image.pixels[old[1] - 2 * reach : old[1] + 3 * reach, old[0]].astype(float).mean(1)
        assert np.percentile(line, 95) < np.percentile(lid, 90) + 12
        middle = line.shape[1] // 5
        assert line.min(0)[middle:-middle].max() < 0.75 * np.median(lid)  # a dark line all along


def test_a_wink_leaves_the_other_eye(rig, model):
    r = rig(1, 384)
    drawn = render(r, model.weights({"eyeBlinkRight": 1}))
    left = slice(int(r.landmarks.points[27, 0]) + 2, None)
    np.testing.assert_array_equal(drawn.pixels[:, left], r.image.pixels[:, left])


# ----------------------------------------------------------------------- continuity
RAMPS = {
    "smile": EXPRESSIONS["smile"],
    "surprise": EXPRESSIONS["surprise"],
    "anger": EXPRESSIONS["anger"],
    "blink": {"eyeBlink": 1.0},
    "gaze": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "down": {"eyeLookDown": 1.0},
}


def steps(frames):
    """Largest change of any 5 x 5 block's mean from frame to frame, grey levels."""
    found = [cv2.blur(f.astype(np.float32), (5, 5)) for f in frames]
    return np.array([np.abs(b - a).max() for a, b in zip(found, found[1:], strict=False)])


def pops(change):
    """By how much a step exceeds twice the largest of its neighbours: 0 in a smooth sequence."""
    padded = np.pad(change, 4, mode="edge")
    beside = [np.delete(padded[i : i + 9], 4).max() for i in range(len(change))]
    return np.maximum(change - 2 * np.array(beside), 0)


@pytest.mark.parametrize("name", RAMPS)
def test_small_steps_change_little(rig, model, name):
    r, weights = rig(1, 192), model.weights(RAMPS[name])
    frames = [render(r, s * weights).pixels for s in np.linspace(0, 1, 61)]
    change = steps(frames)
    assert change.max() < 3.5 * np.median(change) and pops(change).max() < 1.0
    # One block of one frame that is off would be found.
    frames[30] = frames[30].copy()
    x, y = r.landmarks.points[66].astype(int)
    frames[30][y - 2 : y + 3, x - 2 : x + 3] ^= 64
    spoiled = steps(frames)
    assert spoiled.max() > 3.5 * np.median(spoiled)


@pytest.mark.parametrize("axis", range(3))
def test_a_turning_head_moves_evenly(rig, axis):
    r = rig(1, 192)
    frames = [render(r, np.zeros(52), s * np.eye(3)[axis]).pixels for s in np.linspace(0, 3, 31)]
    change = steps(frames)
    assert change.max() < 2 * np.median(change)


# --------------------------------------------------------------------------- mirror
@both
@pytest.mark.parametrize("number", [1, 3])
def test_a_mirrored_photo_gives_the_mirrored_picture(rig, model, number, composite):
    """Symmetric targets: within 2 grey levels for 99.9 % of the pixels, at 512 px."""
    a = rig(number, 512, composite)
    b = rig(number, 512, composite, True)
    for name, weights in EXPRESSIONS.items():
        w = model.weights(weights)
        plain = render(a, w).pixels.astype(int)
        mirrored = render(b, model.mirror_weights(w)).pixels[:, ::-1]
        assert (np.abs(plain - mirrored).max(2) <= 2).mean() >= 0.999, name


# --------------------------------------------------------------------- switches
@pytest.mark.parametrize("switch", ["relight", "folds", "mouth", "eyes"])
def test_every_switch_does_something(rig, model, switch):
    r = rig()
    settings = RenderSettings(**{switch: False})
    off = build_rig(r.image, r.landmarks, r.fit, model, settings)
    weights = model.weights({**EXPRESSIONS["surprise"], "mouthSmile": 0.4})
    a, b = (render(x, weights).pixels.astype(int) for x in (r, off))
    assert (np.abs(a - b).max(2) > 2).sum() > 20


def test_poisson_keeps_the_outline_of_the_photo(rig, model):
    """The paper's way moves nothing outside the mesh; the warp does."""
    weights = model.weights({"jawOpen": 0.4})
    warp, poisson = (render(rig(composite=c), weights) for c in ("warp", "poisson"))
    left, top, width, height = rig(composite="poisson").paper.box
    outside = np.ones((256, 256), bool)
    outside[top : top + height, left : left + width] = False
    assert not poisson.mask[outside].any() and warp.mask[outside].any()
    # Inside, both show the same face: colours differ by a smooth membrane.
    iod = rig().inter_ocular
    x, y = rig().landmarks.points[30].round().astype(int)
    k = round(0.2 * iod)
    window = np.s_[y - k : y + k, x - k : x + k]
    difference = warp.pixels[window].astype(float) - poisson.pixels[window]
    assert np.abs(difference).mean() < 6
    assert np.abs(difference - cv2.blur(difference, (9, 9))).mean() < 1


def test_wrong_arguments(rig, model):
    with pytest.raises(ShapeError, match="weights: expected"):
        render(rig(), np.zeros(51))
    with pytest.raises(ShapeError, match="weights: expected"):
        render(rig(), np.full(52, np.nan))
    with pytest.raises(ShapeError, match="pose: expected three finite degrees"):
        render(rig(), np.zeros(52), (1.0, 2.0))
    with pytest.raises(ShapeError, match="pose: expected three finite degrees"):
        render(rig(), np.zeros(52), (np.nan, 0.0, 0.0))
    with pytest.raises(UsageError, match="composite: expected one of warp, poisson, got 'alpha'"):
        RenderSettings(composite="alpha")


# ---------------------------------------------------------------------- golden pictures
@pytest.mark.parametrize(
    "number, name, composite",
    [(1, "smile", "warp"), (4, "surprise", "warp"), (5, "anger", "warp"), (6, "fear", "poisson")],
)
def test_golden(rig, model, number, name, composite, update_golden):
    """Small pictures that a person has looked at; rewrite with ``--update-golden``, and look."""
    file = GOLDEN / f"{name}_{composite}.png"
    drawn = render(rig(number, 160, composite), model.weights(EXPRESSIONS[name])).pixels
    if update_golden:
        GOLDEN.mkdir(exist_ok=True)
        cv2.imwrite(str(file), drawn[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    golden = cv2.imread(str(file))
    assert golden is not None, f"{file.name} is missing: run pytest --update-golden and look at it"
    difference = np.abs(golden[:, :, ::-1].astype(int) - drawn)
    assert difference.mean() < 0.2 and np.percentile(difference, 99.9) <= 2
