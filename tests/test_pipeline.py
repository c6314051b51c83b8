"""From photo and target to sample: identities, determinism, and faults that stay with one photo."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

from synth.errors import AssetError, SkipPhoto, TargetError, UsageError
from synth.images import load_image
from synth.pipeline import Generator
from synth.records import Skip, record_line
from synth.render.settings import STAGES
from synth.settings import Settings
from synth.targets import Target, make_targets
from synth.types import VA, Sample


@pytest.fixture(scope="module")
def face(generator, portrait):
    """The portrait, cropped and rigged once for this module."""
    image, found = generator.faces(portrait)
    return generator.prepare(image, found[0])


def test_zero_target_returns_the_photo_itself(portrait):
    sample = Generator().generate(portrait, "0,0")
    assert np.array_equal(sample.image, portrait.pixels)
    assert not sample.mask.any()
    assert not sample.record.changed and sample.record.mask_box == (0, 0, 0, 0)
    assert sample.record.weights == {}


@pytest.mark.parametrize("va", [(0.5, 0.3), (-0.5, 0.3), (0.9, 0.15), (0.2, 0.05)])
def test_nothing_outside_the_recorded_mask_changes(generator, face, va):
    sample = generator.draw(face, Target(VA(*va)))
    changed = (sample.image != face.rig.image.pixels).any(2)
    assert changed.any()
    assert not (changed & ~sample.mask).any()
    left, top, right, bottom = sample.record.mask_box
    inside = np.zeros_like(sample.mask)
    inside[top:bottom, left:right] = True
    assert not (sample.mask & ~inside).any()
    assert sample.record.mask_share == pytest.approx(sample.mask.mean(), abs=1e-6)


def test_generate_takes_every_way_to_write_photo_and_target(generator, portrait, samples):
    first = generator.generate(portrait, "0.5,-0.3")
    for photo in (samples / "sample_1.jpg", str(samples / "sample_1.jpg")):
        assert np.array_equal(generator.generate(photo, VA(0.5, -0.3)).image, first.image)
    again = generator.generate(portrait.pixels, (0.5, -0.3))
    assert np.array_equal(again.image, first.image)
    assert again.record.source_sha256 != first.record.source_sha256  # an array has no file


def test_one_by_one_equals_the_run(generator, portrait, samples):
    targets = make_targets([(VA(0.5, 0.3), ""), (VA(-0.6, -0.2), "")])
    paths = [samples / "sample_1.jpg", samples / "sample_2.jpg"]
    together = list(generator.run(paths, targets))
    assert [s.record.source for s in together] == ["sample_1.jpg"] * 2 + ["sample_2.jpg"] * 2
    alone = list(generator.run([portrait], [targets[1]]))[0]
    assert np.array_equal(alone.image, together[1].image)
    assert alone.record == together[1].record


def test_crop_matrix_takes_photo_points_to_output_points(generator, portrait, face):
    image, found = generator.faces(portrait)
    record = generator.draw(face, Target(VA(0.5, 0.3))).record
    matrix = np.array(record.crop_matrix)
    moved = found[0].points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(moved - np.array(record.landmarks)).max() < 0.01
    assert face.rig.image.pixels.shape == (128, 128, 3)


def test_record_says_what_was_asked_and_what_the_class_is(generator, face, gallery):
    record = generator.draw(face, Target(VA(0.52, 0.31), index=4)).record
    assert (record.valence, record.arousal, record.target_index) == (0.52, 0.31, 4)
    center = gallery.class_va[record.class_index]
    assert (record.class_valence, record.class_arousal) == pytest.approx(tuple(center), abs=1e-6)
    expected = gallery.lookup(VA(0.52, 0.31), "smooth").weights
    written = [record.weights.get(name, 0.0) for name in gallery.names]
    assert written == pytest.approx(list(expected), abs=1e-5)
    assert set(record.assets) == {"anny_face", "va_gallery", "fold_maps", "dlib_68"}
    assert json.loads(record_line(record))["seed"] == record.seed


def test_class_lookup_draws_the_mean_face_of_the_class(gallery, portrait):
    by_class = Generator(crop="face", size=96, lookup="class")
    record = by_class.generate(portrait, "0.52,0.31").record
    mean = gallery.class_weights[record.class_index]
    written = [record.weights.get(name, 0.0) for name in gallery.names]
    assert written == pytest.approx(list(np.clip(mean, 0, 1.1)), abs=1e-5)
    assert record.lookup == "class"


def test_named_expression_is_that_expression(generator, face, gallery):
    record = generator.draw(face, Target(VA(0.46, 0.075), expression="happiness")).record
    weights = gallery.expression("happiness", 0.5).weights
    written = [record.weights.get(name, 0.0) for name in gallery.names]
    assert written == pytest.approx(list(weights), abs=1e-3)
    assert (record.expression, record.intensity) == ("happiness", pytest.approx(0.5))


def test_blendshapes_are_matched_by_name_not_by_position(generator, portrait, model):
    """A model with its blendshapes in another order draws the same picture."""
    order = np.random.default_rng(0).permutation(len(model.blendshape_names))
    shuffled = dataclasses.replace(
        model,
        blendshapes=np.ascontiguousarray(model.blendshapes[order]),
        blendshape_names=tuple(model.blendshape_names[i] for i in order),
    )
    other = Generator(crop="face", size=128)
    other.__dict__["morphable"] = shuffled
    one, two = (g.generate(portrait, "0.6,0.4").image for g in (generator, other))
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 1  # sums in another order


def test_a_model_without_the_gallerys_blendshapes_is_refused(model):
    other = Generator()
    other.__dict__["morphable"] = dataclasses.replace(
        model,
        blendshapes=model.blendshapes[:-1],
        blendshape_names=model.blendshape_names[:-1],
    )
    with pytest.raises(UsageError, match="blendshapes"):
        other.preload()


# ------------------------------------------------------------------------ faults
def test_bad_photos_become_skips_and_the_run_goes_on(generator, samples, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    blank = np.full((64, 64, 3), 128, np.uint8)
    photos = [text, tmp_path / "absent.jpg", blank, samples / "sample_1.jpg"]
    results = list(generator.run(photos, [Target(VA(0.5, 0.3))]))
    assert [r.reason for r in results[:3]] == ["DECODE", "DECODE", "NO_FACE"]
    assert [r.source for r in results[:2]] == ["text.jpg", "absent.jpg"]
    assert isinstance(results[3], Sample)
    with pytest.raises(SkipPhoto):
        generator.generate(blank, "0.5,0.3")


def test_a_bug_costs_one_photo_and_says_its_type(generator, samples, monkeypatch):
    import synth.parts

    real = synth.parts.fit_photo
    calls = []

    def fails_once(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("made up")
        return real(*args, **options)

    monkeypatch.setattr(synth.parts, "fit_photo", fails_once)
    paths = [samples / "sample_1.jpg", samples / "sample_2.jpg"]
    first, second = generator.run(paths, [Target(VA(0.5, 0.3))])
    assert first == Skip("sample_1.jpg", "INTERNAL", None, "ZeroDivisionError: made up")
    assert isinstance(second, Sample)


def test_a_missing_asset_stops_the_run(samples):
    broken = Generator(gallery="/nowhere/gallery.npz")
    with pytest.raises(AssetError, match="gallery.npz"):
        list(broken.run([samples / "sample_1.jpg"], [Target(VA(0.5, 0.3))]))


def two_faces(portrait) -> np.ndarray:
    small = np.ascontiguousarray(portrait.pixels[::2, ::2])
    canvas = np.full((768, 1152, 3), 128, np.uint8)
    canvas[:, :768] = portrait.pixels
    canvas[200:584, 768:] = small
    return canvas


@pytest.mark.parametrize(
    "face, outcome",
    [("largest", 1), ("error", "MULTI_FACE"), ("all", 2), (1, 1), (5, "FACE_INDEX")],
)
def test_several_faces(portrait, face, outcome):
    generator = Generator(face=face)
    photo = load_image(two_faces(portrait), name="two.png")
    results = list(generator.run([photo], [Target(VA(0.5, 0.3))]))
    if isinstance(outcome, str):
        assert [r.reason for r in results] == [outcome]
        return
    assert len(results) == outcome
    assert all(r.record.faces_found == 2 and r.record.notes for r in results)
    if outcome == 2:
        assert not (results[0].mask & results[1].mask).any(), "each picture changes one face"
    if face == 1:
        assert results[0].record.mask_box[0] > 700


# ---------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"lookup": "nearest"}, "smooth, class"),
        ({"composite": "paste"}, "warp"),
        ({"backend": "opengl"}, "numba"),
        ({"crop": "head"}, "face"),
        ({"size": 256}, "--crop face"),
        ({"crop": "face", "size": 8}, "32"),
        ({"landmarks": "magic"}, "dlib"),
        ({"face": "smallest"}, "largest"),
        ({"seed": -1}, "0 or more"),
        ({"device": "tpu"}, "cpu"),
    ],
)
def test_wrong_settings_say_what_is_right(wrong, word):
    with pytest.raises(UsageError, match=word):
        Generator(**wrong)


def test_unknown_setting_is_an_error():
    with pytest.raises(TypeError):
        Generator(colour="red")


@pytest.mark.parametrize("target", ["2,0", "nan,0", "abc", "0.5", (0.9, 0.9)])
def test_wrong_targets_are_refused(generator, portrait, target):
    with pytest.raises(TargetError):
        generator.generate(portrait, target)


def test_a_generator_travels_to_a_worker_without_what_it_loaded(generator, portrait):
    generator.preload()
    data = pickle.dumps(generator)
    assert len(data) < 2000
    copy = pickle.loads(data)
    assert copy == generator
    one, two = (g.generate(portrait, "0.5,0.3") for g in (generator, copy))
    assert np.array_equal(one.image, two.image) and one.record == two.record


def test_alpha_is_kept(generator, portrait):
    alpha = np.full(portrait.pixels.shape[:2], 200, np.uint8)
    photo = dataclasses.replace(portrait, alpha=alpha)
    assert np.array_equal(Generator().generate(photo, "0.5,0.3").alpha, alpha)


def test_a_run_takes_points_as_a_single_picture_does(portrait):
    generator = Generator(crop="face", size=64)
    made = list(generator.run([portrait], ["0.5,0.3", (0.0, 0.0), VA(0.5, 0.3)]))
    assert [sample.record.target_index for sample in made] == [0, 1, 2]
    assert np.array_equal(made[0].image, made[2].image)
    assert np.array_equal(made[0].image, generator.generate(portrait, "0.5,0.3").image)


def test_stages_can_be_left_out(portrait):
    def drawn(**settings):
        return Generator(crop="face", size=128, **settings).generate(portrait, "0.7,0.5")

    whole = drawn()
    for stage in STAGES:
        bare = drawn(without=stage)
        assert np.abs(bare.image.astype(int) - whole.image.astype(int)).max() > 10
        assert bare.record.notes[-1] == f"without {stage}"
    assert Settings(without="mouth, relight").without == "relight,mouth"
    with pytest.raises(UsageError, match="without: expected some of relight, .*got 'teeth'"):
        Settings(without="mouth,teeth")
