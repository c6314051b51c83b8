"""The mouth: colours of known truth, the shape of the opening, one set of teeth per person."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from synth.camera import project
from synth.crops import face_crop
from synth.fitting import fit_face
from synth.images import load_image
from synth.landmarks import get_detector
from synth.render.deform import deform
from synth.render.face import render
from synth.render.light import LUMA, Light
from synth.render.mouth import mouth_colours
from synth.render.mouth_shape import mouth_shape, shape_mouth
from synth.render.raster import rasterise
from synth.render.rig import build_rig
from synth.render.settings import RenderSettings
from synth.render.teeth import tooth_colour, tooth_set
from synth.render.topology import CAVITY, LIPS, SKIN, TONGUE, UPPER_TEETH
from synth.types import Camera

CAMERA = Camera(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, 900.0]), 1000.0, np.zeros(2))


@pytest.fixture(scope="session")
def rig(samples, model):
    """Rig of sample portrait 1 at 256 px."""
    image = load_image(samples / "sample_1.jpg")
    image, landmarks, _ = face_crop(image, get_detector("dlib").detect(image)[0], 256)
    return build_rig(image, landmarks, fit_face(landmarks, (256, 256), model), model)


# ----------------------------------------------------------------------- colours
def colours(white, skin, lip=(150, 100, 100)):
    """`mouth_colours` of a flat face whose eyes are half white."""
    points = np.zeros((68, 2))
    ring = np.array([[-8, 0], [-3, -4], [3, -4], [8, 0], [3, 4], [-3, 4]])
    points[36:42], points[42:48] = ring + (30, 30), ring + (70, 30)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    points[48:60] = np.column_stack((50 + 15 * np.cos(angle), 80 + 6 * np.sin(angle)))
    photo = np.full((110, 100, 3), skin, np.uint8)
    photo[70:90, 30:70] = lip
    for x in (30, 70):
        photo[20:40, x - 10 : x + 1] = white
        photo[20:40, x + 1 : x + 10] = 40
    skin = np.asarray(skin, float)
    return mouth_colours(photo, points, Light(0.0, np.zeros(3), skin, 1.2 * float(skin @ LUMA)))


def test_teeth_are_as_bright_on_dark_skin_as_on_light_skin():
    light = colours((165, 158, 156), (165, 130, 115)).tooth @ LUMA
    dark = colours((165, 158, 156), (70, 50, 42)).tooth @ LUMA
    assert 0.95 * light < dark < 1.15 * light


def test_teeth_follow_the_exposure_and_its_tint():
    levels = [colours((w,) * 3, (0.7 * w,) * 3).tooth @ LUMA for w in (60, 90, 120, 150, 180)]
    assert (np.diff(levels) > 10).all()
    assert levels[0] > 60 * 1.08  # pulled towards an ordinary exposure
    cold, warm = (colours(w, (130, 110, 100)).tooth for w in ((150, 160, 190), (190, 160, 130)))
    assert warm[0] / warm[2] > cold[0] / cold[2]
    assert colours((255, 255, 255), (240, 220, 210)).tooth.max() <= 255


def test_teeth_are_the_brightest_thing_in_the_mouth():
    found = colours((165, 158, 156), (70, 50, 42), lip=(80, 60, 60))
    order = [found.tooth, found.gum, found.tongue, found.cavity]
    assert (np.diff([c @ LUMA for c in order]) < 0).all()
    assert found.tongue[0] > 1.15 * found.tongue[1]


# ------------------------------------------------------------------------- teeth
def test_a_person_always_has_the_same_teeth_and_nobody_else_has_them():
    first, again, other = tooth_set("a" * 64), tooth_set("a" * 64), tooth_set("b" * 64)
    assert np.array_equal(first.edges, again.edges)
    for field in ("edges", "crowns", "steps", "shades", "tint"):
        assert not np.array_equal(getattr(first, field), getattr(other, field))


def test_teeth_stay_teeth():
    for n in range(200):
        teeth = tooth_set(str(n))
        widths = np.diff(teeth.edges, axis=1, prepend=0.0)
        assert (widths > 4.4).all() and (widths < 12.5).all()
        assert (widths[0, 0] > widths[0, 1]) and (teeth.steps > 0).all()
        assert (np.abs(teeth.tint - 1) < 0.09).all()


def test_a_tooth_ends_at_its_edge_its_neighbour_and_the_gum():
    teeth, out = tooth_set(""), np.empty(3)
    white, pink, black = np.full(3, 200.0), np.array([180.0, 110.0, 110.0]), np.zeros(3)
    rows = (teeth.edges[0], teeth.crowns[0], teeth.steps[0], teeth.shades[0])

    def at(arc, height):
        tooth_colour(arc, height, *rows, UPPER_TEETH, white, pink, black, out)
        return out.copy()

    middle = teeth.edges[0, 0] / 2
    assert at(middle, 4.0)[1] > 180
    assert np.array_equal(at(middle, 4.0), at(-middle, 4.0))
    assert at(teeth.edges[0, 0], 4.0)[1] < 0.85 * at(middle, 4.0)[1]
    assert at(middle, -1.0) == pytest.approx(black)
    assert at(middle, 14.0)[0] > 1.4 * at(middle, 14.0)[1]


# ------------------------------------------------------------------------- shape
def opened(model, **weights):
    moved = model.mean + model.offsets(model.weights(weights))
    before = moved.copy()
    shape_mouth(mouth_shape(model), model.mean, moved, CAMERA)
    return before, moved


@pytest.mark.parametrize("action", ["cheekPuff", "browInnerUp", "mouthPress"])
def test_a_closed_mouth_is_left_alone(model, action):
    before, after = opened(model, **{action: 0.8})
    assert np.abs(after - before).max() < 0.05


def test_lips_that_part_a_little_change_little(model):
    before, after = opened(model, jawOpen=0.02)
    assert np.abs(after - before).max() < 0.3


def test_the_opening_rounds_out_and_keeps_its_corners(model):
    shape = mouth_shape(model)
    before, after = opened(model, jawOpen=0.6)
    ends = shape.upper[[0, -1]]
    assert np.allclose(before[ends], after[ends])

    def fullness(points):
        """Area of the opening as a share of its box; an ellipse has 0.785."""
        ring = np.concatenate((points[shape.upper], points[shape.lower][::-1]))[:, :2]
        width, height = np.ptp(ring, axis=0)
        return cv2.contourArea(ring.astype(np.float32)) / (width * height)

    assert fullness(before) < 0.66 and fullness(after) > 0.70
    skin = np.unique(model.faces[np.isin(model.parts, (SKIN, LIPS))])
    assert 1.0 < np.abs(after - before)[skin].max() < 5.0


def test_the_change_is_symmetric_and_smooth_in_the_weights(model):
    before, after = opened(model, jawOpen=0.6)
    change = (after - before)[:, 1]
    assert change[model.mirror] == pytest.approx(change, abs=0.6)
    steps = [opened(model, jawOpen=w)[1] for w in np.linspace(0, 1, 41)]
    speed = np.abs(np.diff(steps, axis=0)).max((1, 2))
    assert speed.max() < 2.2 * np.median(speed)


def test_the_tongue_lies_between_lower_teeth_and_lip(model):
    shape = mouth_shape(model)
    for jaw in (0.5, 1.0):
        _, after = opened(model, jawOpen=jaw)
        seen = project(after, CAMERA)[:, 1]
        teeth, lip = seen[shape.jaw], seen[shape.upper[len(shape.upper) // 2]]
        height = (teeth - seen[shape.tongue].min()) / (teeth - lip)
        assert 0.25 < height < 0.70


# ------------------------------------------------------------------------ picture
def test_nothing_of_the_inside_shows_outside_the_lips(rig, model):
    for weights in ({"jawOpen": 1.0}, {"mouthSmile": 0.75, "mouthLowerDown": 0.6, "jawOpen": 0.1}):
        state = deform(rig, model.weights(weights), rig.fit.camera)
        ids, _, _ = rasterise(state.points, rig.surface.faces, (0, 0, 256, 256))
        labels = rig.surface.labels[ids]
        rows, columns = np.nonzero((ids >= 0) & (labels >= CAVITY) & (labels <= TONGUE))
        lips = state.points[np.concatenate((rig.topology.lips.upper, rig.topology.lips.lower))]
        low, high = lips[:, :2].min(0) - 1.5, lips[:, :2].max(0) + 1.5
        assert len(rows) > 100
        assert (columns > low[0]).all() and (columns < high[0]).all()
        assert (rows > low[1]).all() and (rows < high[1]).all()


@pytest.mark.parametrize(
    "weights",
    [{"jawOpen": 1.0}, {"mouthLowerDown": 1.0}, {"mouthSmile": 0.8, "mouthUpperUp": 0.7}],
)
def test_nothing_pops_when_the_mouth_opens(rig, model, weights):
    """A fiftieth of the way changes no block of 5 x 5 pixels at once."""
    full = model.weights(weights)

    def blocks(share):
        return cv2.blur(render(rig, share * full).pixels.astype(np.float32), (5, 5))

    for share in np.linspace(0.02, 0.98, 9):
        fine = np.abs(blocks(share + 0.0025) - blocks(share)).max()
        assert fine < 10.0, f"at {share:.2f} of {weights}"


def test_the_picture_has_teeth_of_the_colour_read_from_the_photo(rig, model):
    drawn = render(rig, model.weights({"mouthSmile": 0.75, "mouthUpperUp": 0.7, "jawOpen": 0.05}))
    weights = model.weights({"mouthSmile": 0.75, "mouthUpperUp": 0.7, "jawOpen": 0.05})
    state = deform(rig, weights, rig.fit.camera)
    ids, _, _ = rasterise(state.points, rig.surface.faces, (0, 0, 256, 256))
    teeth = drawn.pixels[(ids >= 0) & (rig.surface.labels[ids] == UPPER_TEETH)] @ LUMA
    # The bright part of the teeth is what the measurement of real smiles speaks of.
    ratio = np.percentile(teeth, 85) / (rig.mouth.tooth @ LUMA)
    assert ratio == pytest.approx(0.92, abs=0.09)


def test_a_lamp_at_the_camera_lights_the_mouth_to_its_back(samples, model):
    """Near infrared: what lies deep has a floor, and nothing glares."""
    image = load_image(samples / "sample_1.jpg")
    image, landmarks, _ = face_crop(image, get_detector("dlib").detect(image)[0], 256)
    grey = np.repeat(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    fit = fit_face(landmarks, (256, 256), model)
    weights = model.weights({"jawOpen": 0.6})
    drawn = {
        nir: build_rig(
            dataclasses.replace(image, pixels=grey), landmarks, fit, model, RenderSettings(nir=nir)
        )
        for nir in (False, True)
    }
    skin = drawn[True].light.skin @ LUMA
    shown = {nir: render(r, weights) for nir, r in drawn.items()}
    mouth = np.zeros((256, 256), np.uint8)
    cv2.fillPoly(mouth, [np.round(shown[True].landmarks[60:68]).astype(np.int32)], 1)
    inside = cv2.erode(mouth, np.ones((5, 5), np.uint8)) > 0
    assert inside.sum() > 100
    dark = {nir: np.percentile(picture.pixels[inside, 1], 10) for nir, picture in shown.items()}
    assert dark[True] > 0.38 * skin > 2 * dark[False]
    assert np.percentile(shown[True].pixels[inside], 99) < 1.4 * skin
