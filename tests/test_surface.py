"""The drawn surface: no holes, a skirt that follows smoothly and ends at rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes
from scipy.spatial import Delaunay

from synth.camera import project, view_directions
from synth.errors import SkipPhoto
from synth.meshes.mesh import vertex_normals
from synth.render.raster import rasterise
from synth.render.surface import GRAZING, SPACING, _lattice, build_surface
from synth.render.topology import LIPS, OUTSIDE, SKIN
from synth.testing import synthetic_face

SIZE, REACH = 320, 0.75


def made(model, seed=1, yaw=0.0):
    _, landmarks, truth = synthetic_face(model, seed, yaw, size=SIZE)
    position = project(truth.vertices, truth.camera)
    normals = vertex_normals(truth.vertices, model.faces)
    facing = (normals * view_directions(truth.vertices, truth.camera)).sum(1)
    nose = int(model.faces[model.landmark_faces[30], 0])
    args = (model.faces, model.parts, position[:, :2], facing, landmarks, (SIZE, SIZE), nose, REACH)
    return build_surface(*args), position, facing, landmarks, args


@pytest.fixture(scope="module")
def frontal(model):
    return made(model)


def moved_points(surface, position, motion):
    """Mesh and skirt in pixels, the skirt behind the mesh."""
    new = position.copy()
    new[:, :2] += motion
    skirt = surface.skirt + surface.follow @ motion[surface.outline]
    depth = np.full((len(skirt), 1), position[:, 2].max() + 50)
    return np.concatenate((new, np.hstack((skirt, depth))))


@pytest.mark.parametrize("yaw", [0, 20])
@pytest.mark.parametrize("motion", [(0, 0), (0, 14), (6, -4)])
def test_no_holes(model, yaw, motion):
    """Nothing in the middle of the picture is left undrawn, however the lower face moves."""
    surface, position, _, landmarks, _ = made(model, yaw=yaw)
    low = np.clip((position[:, 1] - landmarks.points[33, 1]) / landmarks.inter_ocular, 0, 1)
    points = moved_points(surface, position, low[:, None] * np.array(motion))
    drawn = rasterise(points, surface.faces, (0, 0, SIZE, SIZE))[0] >= 0
    assert drawn.mean() > 0.5
    assert not (binary_fill_holes(drawn) & ~drawn).any()


def test_weights_are_harmonic(frontal):
    """Between 0 and 1, at most 1 in sum, 0 at the rim: motion fades, and never overshoots."""
    surface = frontal[0]
    assert surface.follow.min() > -1e-9
    total = surface.follow.sum(1)
    assert total.max() < 1 + 1e-9
    assert (total == 0).sum() > 50


def test_motion_fades_with_distance(frontal):
    surface, position, _, landmarks, _ = frontal
    iod = landmarks.inter_ocular
    outline = position[surface.outline, :2]
    distance = np.linalg.norm(surface.skirt[:, None] - outline, axis=2).min(1) / iod
    share = surface.follow.sum(1)
    assert share[distance > REACH + 2 * SPACING].max(initial=0) == 0
    near, far = share[distance < 0.15].mean(), share[(distance > 0.5) & (distance < 0.7)].mean()
    assert near > 0.6 and far < 0.25


def test_a_shift_of_the_outline_folds_no_skirt(frontal):
    surface, position, *_ = frontal
    skirt = surface.faces[surface.labels == OUTSIDE]
    shift = np.tile((0.0, 0.06 * frontal[3].inter_ocular), (len(position), 1))
    before = _area(moved_points(surface, position, 0 * shift), skirt)
    after = _area(moved_points(surface, position, shift), skirt)
    whole = np.abs(before) > 1
    assert (np.sign(before) == np.sign(after))[whole].all()


def _area(points, faces):
    a, b, c = (points[faces[:, k], :2] for k in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def test_only_seen_skin_and_all_of_the_inside(model, frontal):
    surface, position, facing, landmarks, _ = frontal
    skin = np.unique(surface.faces[np.isin(surface.labels, (SKIN, LIPS))])
    # Between brows and lips all skin is kept: nostrils turn away, and are seen.
    core = Delaunay(landmarks.points[17:]).find_simplex(position[skin, :2]) >= 0
    middle = landmarks.points[17:].mean(0)
    wider = middle + 1.15 * (landmarks.points[17:] - middle)
    away = Delaunay(wider).find_simplex(position[skin, :2]) < 0
    assert core.sum() > 500 and away.sum() > 100
    assert (facing[skin[away]] > GRAZING).all()
    inside = ~np.isin(model.parts, (SKIN, LIPS))
    assert np.isin(surface.labels, np.unique(model.parts[inside])).sum() == inside.sum()


def test_the_box_holds_everything_that_moves(frontal):
    surface, position, *_ = frontal
    left, top, width, height = surface.box
    assert 0 <= left < left + width <= SIZE and 0 <= top < top + height <= SIZE
    moving = surface.skirt[surface.follow.sum(1) > 0]
    inside = (moving >= 0).all(1) & (moving < SIZE).all(1)
    assert (moving[inside] >= (left, top)).all()
    assert (moving[inside] < (left + width, top + height)).all()


@pytest.mark.parametrize("middle", [(50.0, 40.0), (12.5, 77.25)])
def test_lattice_is_symmetric_and_its_triangles_unique(middle):
    middle = np.array(middle)
    points = _lattice(middle - 30, middle + 30, middle, 4.0)
    mirrored = points * (-1, 1) + (2 * middle[0], 0)
    assert {tuple(p) for p in points.round(6)} == {tuple(p) for p in mirrored.round(6)}
    inner = np.linalg.norm(points - middle, axis=1) < 20
    tri = Delaunay(points).simplices
    tri = tri[inner[tri].all(1)]
    sides = np.linalg.norm(points[tri] - points[np.roll(tri, 1, axis=1)], axis=2)
    np.testing.assert_allclose(sides, 4.0, rtol=1e-6)


def test_a_face_that_cannot_be_seen_is_refused(model, frontal):
    args = list(frontal[4])
    args[3] = np.full_like(args[3], -1.0)
    with pytest.raises(SkipPhoto, match="expected a visible face"):
        build_surface(*args)
