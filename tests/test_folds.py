"""Fold maps: what they hold, when they act, and that the builder recovers a known fold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.errors import AssetError, ShapeError
from synth.folds_build import Pair, face_mask, learn_smile
from synth.folds_build import main as build
from synth.render.folds import (
    BRIGHTEST,
    DRIVERS,
    LARGEST,
    LARGEST_SMILE,
    FoldMaps,
    fold_ratio,
    fold_strengths,
    load_fold_maps,
    smile_strength,
)
from synth.render.folds_drawn import SIZE, drawn_maps, left_half
from synth.render.texture import sample_texture, skin_weight


@pytest.fixture(scope="module")
def maps() -> FoldMaps:
    return load_fold_maps()


@pytest.fixture(scope="module")
def texture_points(model):
    """(68, 2) texture pixels of the landmarks."""
    corners = model.uv[model.faces[model.landmark_faces]]
    return np.einsum("lc,lcd->ld", model.landmark_bary, corners) * (SIZE - 1)


def strengths(model, maps, **weights: float) -> dict[str, tuple[float, float]]:
    w = model.weights(weights)
    before = model.landmarks(model.mean)
    after = model.landmarks(model.mean + model.offsets(w))
    out = fold_strengths(w, model.blendshape_names, maps, before, after)
    return {name: tuple(row) for name, row in zip(maps.names, out.tolist(), strict=True)}


def both(maps: FoldMaps, name: str):
    """Left and right of a map together."""
    one = maps.maps[maps.names.index(name)]
    return one + one[:, ::-1]


# ------------------------------------------------------------------------ asset
def test_the_asset_has_every_map_and_is_small(maps):
    assert set(maps.names) == set(DRIVERS) | {"smile"}
    assert maps.maps.shape == (len(maps.names), 256, 256)
    assert np.isfinite(maps.maps).all()
    assert (maps.maps.min((1, 2)) < -0.04).all() and np.abs(maps.maps).max() < 0.35
    # Weighted with luminance the channels give back the luminance ratio.
    assert maps.channels @ (0.299, 0.587, 0.114) == pytest.approx(1, abs=0.02)


def test_maps_are_of_the_left_side_and_fade_at_the_border(maps):
    for one in maps.maps:
        energy = np.abs(one).sum(0)
        assert energy[128:].sum() > 0.75 * energy.sum()
        assert not one[[0, -1]].any() and not one[:, [0, -1]].any()


def test_the_smile_map_holds_a_nasolabial_fold(maps, texture_points):
    """As deep as measured on people: log ratio 0.053 to 0.151 per unit of strength."""
    smile, q = both(maps, "smile"), texture_points / (SIZE - 1) * 255
    detail = cv2.GaussianBlur(smile, (0, 0), 0.4) - cv2.GaussianBlur(smile, (0, 0), 8)
    x, y = q[54, 0] - 6, (q[33, 1] + q[54, 1]) / 2
    fold = detail[int(y) - 12 : int(y) + 12, int(x) - 16 : int(x) + 16].min()
    assert -0.151 < fold < -0.035
    forehead = smile[40:75, 100:156]
    assert np.abs(forehead).max() < 0.02


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(AssetError, match="fold maps: expected"):
        load_fold_maps(tmp_path / "text.npz")
    for names, size in ((["smile"], 64), (["wink"], 64), (["smile"], 63)):
        np.savez(tmp_path / "a.npz", names=np.array(names), channels=np.ones(3),
                 maps=np.zeros((len(names), 64, size), np.float16))  # fmt: skip
        if names == ["smile"] and size == 64:
            assert load_fold_maps(tmp_path / "a.npz").names == ("smile",)
        else:
            with pytest.raises(AssetError, match="square maps"):
                load_fold_maps(tmp_path / "a.npz")


# -------------------------------------------------------------------- strengths
def test_no_weights_no_folds(model, maps):
    assert not np.array(list(strengths(model, maps).values())).any()
    assert (fold_ratio(maps, np.zeros((len(maps.names), 2), np.float32)) == 1).all()


def test_a_smile_is_measured_on_the_shape(model, maps):
    assert strengths(model, maps, mouthSmile=0.55)["smile"] == pytest.approx((1, 1), abs=0.15)
    left, right = strengths(model, maps, mouthSmileLeft=0.6)["smile"]
    assert left > 0.5 and right < 0.15


@pytest.mark.parametrize("name", ["jawOpen", "mouthStretch", "mouthFrown", "mouthPucker"])
def test_other_mouths_are_no_smiles(model, maps, name):
    assert max(strengths(model, maps, **{name: 1.0})["smile"]) < 0.05


def test_the_size_of_the_head_does_not_matter(model):
    before = model.landmarks(model.mean)
    after = model.landmarks(model.mean + model.offsets(model.weights({"mouthSmile": 0.6})))
    assert smile_strength(3 * before, 3 * after) == pytest.approx(smile_strength(before, after))


def test_strengths_grow_smoothly_and_are_capped(model, maps):
    steps = np.linspace(0, 2, 81)
    smile = np.array([strengths(model, maps, mouthSmile=s)["smile"][0] for s in steps])
    brow = np.array([strengths(model, maps, browDown=s)["glabella"][0] for s in steps])
    for values, largest in ((smile, LARGEST_SMILE), (brow, LARGEST)):
        assert (np.diff(values) > -1e-6).all() and values[-1] <= largest + 1e-6
        assert np.diff(values).max() < 0.15  # no jump
    assert brow[40] == pytest.approx(1, abs=0.1)


def test_left_and_right_swap_in_the_mirror(model, maps):
    w = model.weights({"browDownLeft": 0.8, "mouthSmileRight": 0.5, "noseSneerLeft": 0.4})
    points = model.landmarks(model.mean)

    def run(weights):
        moved = model.landmarks(model.mean + model.offsets(weights))
        return fold_strengths(weights, model.blendshape_names, maps, points, moved)

    a, b = run(w), run(model.mirror_weights(w))
    np.testing.assert_allclose(a, b[:, ::-1], atol=0.03)
    mirrored = fold_ratio(maps, a)[:, ::-1]
    np.testing.assert_allclose(mirrored, fold_ratio(maps, a[:, ::-1].copy()), atol=1e-6)


# ------------------------------------------------------------------------ ratio
def test_the_ratio_is_the_exponential_of_the_sum(maps):
    rng = np.random.default_rng(0)
    s = rng.uniform(0, 0.5, (len(maps.names), 2)).astype(np.float32)
    total = sum(
        a * m + b * m[:, ::-1] for m, (a, b) in zip(maps.maps, s, strict=True)
    )  # the naive way
    expected = np.exp(np.clip(0.8 * total, -0.45, BRIGHTEST)[..., None] * maps.channels)
    np.testing.assert_allclose(fold_ratio(maps, s, 0.8), expected, atol=2e-5)


def test_nothing_brightens_skin_beyond_the_limit(maps):
    ratio = fold_ratio(maps, np.full((len(maps.names), 2), LARGEST_SMILE, np.float32), gain=5)
    assert np.log(ratio.max()) <= BRIGHTEST * maps.channels.max() + 1e-4


def test_covered_skin_gets_no_folds(maps):
    s = np.ones((len(maps.names), 2), np.float32)
    weight = np.ones((256, 256), np.float32)
    weight[:100] = 0
    ratio = fold_ratio(maps.faded(weight), s)
    assert (ratio[:100] == 1).all()
    np.testing.assert_array_equal(ratio[100:], fold_ratio(maps, s)[100:])


def test_bad_shapes_are_refused(maps):
    with pytest.raises(ShapeError, match="strengths: expected"):
        fold_ratio(maps, np.zeros(3, np.float32))
    with pytest.raises(ShapeError, match="weight: expected"):
        maps.faded(np.ones((4, 4), np.float32))


# ---------------------------------------------------------------------- texture
def test_the_texture_is_sampled_where_the_mesh_lies(model):
    """A photo that holds its own coordinates gives them back at the landmarks."""
    row, column = np.mgrid[0:240, 0:240]
    photo = np.dstack((column, row, row * 0)).astype(np.uint8)
    position = 100 + model.mean[:, :2] * (0.9, -0.9)
    texture, covered = sample_texture(photo, position, model, 256)
    corners = model.faces[model.landmark_faces]
    uv = np.einsum("lc,lcd->ld", model.landmark_bary, model.uv[corners])
    at = np.round(uv * 255).astype(int)
    for point in (27, 30, 33, 8):
        x, y = at[point]
        assert covered[y, x]
        expected = (model.landmark_bary[point][:, None] * position[corners[point]]).sum(0)
        assert texture[y, x, :2] == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("skin", [(215, 170, 150), (150, 110, 90), (85, 58, 45)])
def test_skin_counts_and_hair_does_not(skin):
    texture = np.zeros((128, 128, 3), np.uint8)
    texture[:] = skin
    texture[:60] = np.array(skin) * 0.7  # shade
    texture[:30] = (22, 18, 16)  # hair
    weight = skin_weight(texture, np.array(skin, float), 256)
    assert weight.shape == (256, 256)
    assert weight[80:].min() > 0.95
    if skin[0] > 100:  # dark hair on dark skin is told by its colour only, in part
        assert weight[:50].max() < 0.2


# ---------------------------------------------------------------------- builder
def test_drawn_folds_are_soft_and_inside_the_face(texture_points):
    mask = face_mask(texture_points)
    smile = np.zeros((SIZE, SIZE))
    for name, drawn in drawn_maps(texture_points, smile).items():
        if name == "nasolabial":
            continue
        kept = drawn * mask
        assert np.abs(kept).sum() > 0.65 * np.abs(drawn).sum(), name
        assert np.abs(np.diff(drawn, axis=0)).max() < 0.09, name  # a pencil line is steeper


def test_the_halves_of_a_map_add_up():
    symmetric = np.random.default_rng(1).standard_normal((SIZE, SIZE))
    symmetric = symmetric + symmetric[:, ::-1]
    half = left_half(symmetric)
    np.testing.assert_allclose(half + half[:, ::-1], symmetric, atol=1e-9)


def test_the_builder_recovers_a_known_fold(texture_points):
    """People with the same fold, of other strength, displaced and with noise of their own."""
    rng = np.random.default_rng(3)
    mask = face_mask(texture_points)
    row, column = np.mgrid[20:500, 88:424]
    pairs = []
    for strength in rng.uniform(0.4, 1.6, 10):
        shift = rng.normal(0, 3)
        fold = sum(
            -0.12 * np.exp(-0.5 * ((column - x - s * shift) / 4.5) ** 2)
            * np.exp(-0.5 * ((row - 320) / 18.0) ** 2)
            for x, s in ((195, 1), (316, -1))
        )  # fmt: skip
        noise = cv2.GaussianBlur(rng.standard_normal((480, 336)), (0, 0), 2) * 0.03
        ratio = np.repeat((strength * fold + noise)[..., None], 3, 2).astype(np.float32)
        pairs.append(Pair(ratio, float(strength), 0.01))
    pairs.append(Pair(np.full_like(ratio, 0.9), 1.0, 0.2))  # a failed fit, to be left out
    smile, channels = learn_smile(pairs, mask, texture_points)
    assert channels == pytest.approx(1, abs=0.02)
    y, x = np.unravel_index(smile[:, 256:].argmin(), (SIZE, 256))
    assert abs(x + 256 - 316) < 5 and abs(y - 320) < 12
    assert smile.min() == pytest.approx(-0.12, abs=0.035)
    np.testing.assert_allclose(smile, smile[:, ::-1], atol=0.01)


def test_leaving_people_out_changes_the_map(shared, tmp_path):
    """Also that the builder runs from the command line, on few people."""
    photos = tmp_path / "photos"
    for folder in ("neutral", "smiling"):
        (photos / folder).mkdir(parents=True)
        for name in ("004", "009", "012", "025"):
            (photos / folder / f"{name}.jpg").symlink_to(
                (shared / "data" / folder / f"{name}.jpg").resolve()
            )
    for out, left_out in (("all", ""), ("some", "004")):
        options = ["--photos", str(photos), "--out", str(tmp_path / out)]
        assert build([*options, "--leave-out", left_out]) == 0
    every, some = (load_fold_maps(tmp_path / n) for n in ("all", "some"))
    smile = every.names.index("smile")
    assert not np.array_equal(every.maps[smile], some.maps[smile])
    chin = every.names.index("chin")
    np.testing.assert_array_equal(every.maps[chin], some.maps[chin])
