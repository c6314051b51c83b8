"""The renderer on the sample portraits: what must stay, what must move, and golden pictures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.camera import project
from synth.crops import face_crop
from synth.errors import ShapeError, UsageError
from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.landmarks.mirror import mirror_points
from synth.render.face import render
from synth.render.raster import rasterise
from synth.render.rig import build_rig
from synth.render.settings import RenderSettings
from synth.render.topology import OUTSIDE
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
