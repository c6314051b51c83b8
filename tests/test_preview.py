"""Previews: every picture stands where its valence and arousal say, and nothing overlaps."""

from __future__ import annotations

import dataclasses
import itertools
from types import MappingProxyType

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.affect import EXPRESSIONS, va_grid
from synth.cli import cli
from synth.cli.params import PICTURE_OPTIONS, options_named
from synth.errors import ShapeError, UsageError
from synth.images import load_image, read_record
from synth.preview import (
    Preview,
    circumplex_sheet,
    draw_preview,
    gallery_layout,
    gallery_sheet,
    render_size,
    shaded_face,
    sheet_layout,
    shown_face,
)
from synth.preview.canvas import PAPER, Box, disc, fitting_text, paper, ring, text_size
from synth.preview.classes import class_map, colour_scale, draw_classes
from synth.preview.gallery import spread_classes
from synth.preview.rim import NAMES
from synth.types import VA

SMALL = ("--grid", 3, "--face-size", 40)


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # a traceback for the user
    return result


def flat(colour, side: int = 40):
    return np.full((side, side, 3), colour, np.uint8)


def apart(boxes: list[Box]) -> bool:
    return not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def within(box: Box, width: int, height: int) -> bool:
    return 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height


# ------------------------------------------------------------------------- the sheet
def test_each_face_stands_at_its_valence_and_arousal():
    rng = np.random.default_rng(5)
    faces = {va: flat(rng.integers(20, 200, 3)) for va in va_grid(5)}
    plan = sheet_layout(list(faces), [], 40, "t", "s")
    sheet = circumplex_sheet(faces, [], "t", "s")
    assert sheet.shape == (plan.height, plan.width, 3)
    for va, face in faces.items():
        x = plan.center[0] + plan.radius * va.valence
        y = plan.center[1] - plan.radius * va.arousal
        inside = sheet[round(y) - 17 : round(y) + 17, round(x) - 17 : round(x) + 17]
        assert (inside == face[0, 0]).all(), va


def test_arousal_is_up_and_valence_to_the_right():
    points = {VA(0, 0.5): flat((200, 0, 0)), VA(0.5, 0): flat((0, 0, 200))}
    sheet = circumplex_sheet(points).astype(int)
    red = np.argwhere((sheet == (200, 0, 0)).all(2)).mean(0)
    blue = np.argwhere((sheet == (0, 0, 200)).all(2)).mean(0)
    assert red[0] < blue[0] and red[1] < blue[1]


def test_strip_stands_below_in_its_order_with_its_names():
    strip = [(name, flat(10 * i)) for i, name in enumerate(EXPRESSIONS)]
    plan = sheet_layout([VA(0, 0)], list(EXPRESSIONS), 40)
    sheet = circumplex_sheet({VA(0, 0): flat(99)}, strip)
    assert [label.text for label in plan.strip_names] == list(EXPRESSIONS)
    for i, (box, label) in enumerate(zip(plan.strip, plan.strip_names, strict=True)):
        assert (sheet[box.top + 10, box.left + 10] == 10 * i).all()
        assert label.box.top >= box.bottom
        assert abs(label.box.left + label.box.right - box.left - box.right) <= 2
        drawn = sheet[label.box.top : label.box.bottom, label.box.left : label.box.right]
        assert drawn.min() < 100, "no text"


@pytest.mark.parametrize("grid, face", [(3, 32), (3, 300), (5, 64), (7, 160), (9, 100), (15, 48)])
def test_nothing_overlaps_or_leaves_the_sheet(grid, face):
    plan = sheet_layout(va_grid(grid), list(EXPRESSIONS), face, "a photo.jpg" * 30, "words " * 90)
    boxes = [*plan.faces, *plan.strip, *(label.box for label in plan.labels)]
    assert all(within(box, plan.width, plan.height) for box in boxes)
    assert apart([*plan.faces, *plan.strip])
    words = [*plan.titles, *plan.axes, *plan.names]
    assert apart([*plan.faces, *plan.strip, *(label.box for label in words)])
    assert apart([label.box for label in plan.captions])
    assert all(box.bottom <= plan.rule for box in plan.faces)


def test_the_well_known_states_find_room_at_their_angles():
    plan = sheet_layout(va_grid(7), [], 160)
    found = {label.text: label.box for label in plan.names}
    wanted = ("happy", "sad", "angry", "afraid", "surprised", "calm", "tired", "excited")
    assert set(wanted) <= set(found)
    for word, box in found.items():
        x = (box.left + box.right) / 2 - plan.center[0]
        y = plan.center[1] - (box.top + box.bottom) / 2
        turn = np.arctan2(y, x) - NAMES[word].angle
        assert abs(np.angle(np.exp(1j * turn))) < np.radians(3), word


def test_captions_tell_the_point():
    texts = [
        label.text for label in sheet_layout([VA(0, 0), VA(-0.5, 0.25), VA(1, 0)], [], 60).captions
    ]
    assert texts == ["photo", "-0.50  +0.25", "+1.00  0.00"]


def test_sheet_refuses_what_it_cannot_place():
    with pytest.raises(ShapeError, match="one size"):
        circumplex_sheet({VA(0, 0): flat(0, 40), VA(1, 0): flat(0, 41)})
    with pytest.raises(ShapeError, match="one size"):
        circumplex_sheet({})
    with pytest.raises(ShapeError, match="distinct"):
        sheet_layout([VA(0, 0), VA(0, 0)])
    with pytest.raises(ShapeError, match="24 pixels"):
        sheet_layout([VA(0, 0)], face=10)


# --------------------------------------------------------------------------- drawing
def test_disc_and_ring_cover_their_area():
    image = paper(101, 101)
    disc(image, 50.3, 49.8, 30, (0, 0, 0))
    assert (255 - image[..., 0].astype(float)).sum() / 255 == pytest.approx(np.pi * 30**2, rel=2e-3)
    image = paper(101, 101)
    ring(image, 50, 50, 30, 4, (0, 0, 0))
    assert (255 - image[..., 0].astype(float)).sum() / 255 == pytest.approx(
        2 * np.pi * 30 * 4, rel=5e-3
    )
    disc(image, -40, 200, 8, (0, 0, 0))  # off the sheet: nothing happens


def test_long_text_is_shortened_in_its_middle():
    text = "a_very_long_name_of_a_photo_from_some_camera_0001.jpg"
    short = fitting_text(text, 20, 200)
    assert text_size(short, 20)[0] <= 200
    assert short.startswith("a_very") and short.endswith(".jpg") and "..." in short
    assert fitting_text("x.jpg", 20, 200) == "x.jpg"


# --------------------------------------------------------------------------- gallery
def small_gallery(gallery, keep: int):
    """The first `keep` classes, and no expressions of its own."""
    cut = {name: getattr(gallery, name)[:keep] for name in
           ("class_va", "class_weights", "class_sd", "class_count", "component_sd")}  # fmt: skip
    return dataclasses.replace(gallery, **cut, expressions=MappingProxyType({}), samples=None)


def test_every_class_has_its_cell(gallery):
    cells = class_map(gallery.class_va, 520)
    inside = cells.index >= 0
    assert set(np.unique(cells.index[inside])) == set(range(len(gallery.class_va)))
    y, x = np.indices(cells.index.shape) - 520
    assert (inside == (np.hypot(x, y) < 520.5)).all()
    # against the plain definition, at random pixels
    rng = np.random.default_rng(1)
    for row, column in rng.integers(0, 1041, (200, 2)):
        if inside[row, column]:
            point = np.array([column - 520, 520 - row]) / 520
            away = np.hypot(*(gallery.class_va - point).T)
            assert away[cells.index[row, column]] == pytest.approx(away.min())


def test_drawn_classes_are_coloured_by_their_count():
    centres = np.array([[0, 0], [0.7, 0], [-0.7, 0], [0, 0.7]])
    counts = np.array([10, 20, 30, 40])
    image = paper(221, 221)
    assert draw_classes(image, (110.0, 110.0), 100, centres, counts) == 4
    scale = colour_scale(counts)
    for (v, a), count in zip(centres, counts, strict=True):
        pixel = image[round(110 - 100 * a) + 8, round(110 + 100 * v)]
        assert np.abs(pixel - scale(count)).max() < 1
    assert (image[3, 3] == PAPER).all()


@pytest.mark.parametrize("counts", [[5], [7, 7, 7], [1, 2, 3, 1000]])
def test_colour_scale_takes_any_counts(counts):
    scale = colour_scale(counts)
    colours = scale(counts)
    assert np.isfinite(colours).all() and colours.shape == (len(counts), 3)
    assert scale.beyond == (max(counts) > scale.high)


def test_classes_of_the_montage_are_spread_and_apart(gallery):
    chosen = spread_classes(gallery.class_va)
    assert 25 <= len(chosen) <= 40 and len(set(chosen)) == len(chosen)
    assert chosen[0] == 0
    for axis, sign in itertools.product((0, 1), (-1, 1)):
        assert (sign * gallery.class_va[chosen, axis]).max() > 0.8
    plan = gallery_layout(gallery, 100, "x" * 500)
    assert apart([*plan.faces, *plan.strip])
    boxes = [*plan.faces, *plan.strip, plan.bar, *(label.box for label in plan.labels)]
    assert all(within(box, plan.width, plan.height) for box in boxes)
    assert apart([plan.bar, *plan.strip, *(label.box for label in plan.labels)])
    for index, box in zip(plan.chosen, plan.faces, strict=True):
        x, y = plan.montage + gallery.class_va[index] * (plan.radius, -plan.radius)
        assert abs((box.left + box.right) / 2 - x) <= 1 and abs((box.top + box.bottom) / 2 - y) <= 1


@pytest.mark.parametrize("keep", [2, 9, 550])
def test_gallery_sheet_of_any_gallery(gallery, model, keep):
    own = gallery if keep == 550 else small_gallery(gallery, keep)
    sheet = gallery_sheet(own, model, "mine.npz", "synth", 40)
    plan = gallery_layout(own, 40, "mine.npz", "synth")
    assert sheet.shape == (plan.height, plan.width, 3)
    texts = [label.text for label in plan.labels]
    assert f"{keep} classes of {int(own.class_count.sum())} samples" in texts
    assert set(EXPRESSIONS) <= set(texts)
    assert texts.count("600 samples") == (8 if keep == 550 else 1)
    for box in [*plan.faces, *plan.strip]:  # something grey stands there
        middle = sheet[box.top + 10 : box.bottom - 10, box.left + 8 : box.right - 8]
        assert middle.mean() < 215


def test_mean_face_is_drawn_in_the_middle_and_moves(model):
    pixels, alpha = shaded_face(model, np.zeros(52), 80)
    assert pixels.shape == (80, 59, 3) and alpha.shape == (80, 59)
    assert alpha[40, 29] == 1 and alpha[0, 0] == 0
    assert 0 <= alpha.min() and alpha.max() <= 1
    columns = alpha.sum(0)
    assert abs((columns * np.arange(59)).sum() / columns.sum() - 29) < 0.5  # symmetric
    wide = shaded_face(model, model.weights({"jawOpen": 1.0}), 80)[0]
    assert np.abs(wide.astype(int) - pixels)[50:].max() > 60
    assert np.abs(wide.astype(int) - pixels)[:20].max() < 10


# ------------------------------------------------------------------------- of a photo
@pytest.fixture(scope="module")
def small_generator():
    """A generator for previews of faces of 48 pixels."""
    from synth.pipeline import Generator

    return Generator(crop="face", size=render_size(48))


def test_centre_and_neutral_are_the_photo(small_generator, portrait):
    generator, side = small_generator, 48
    sheet = draw_preview(generator, portrait, Preview(grid=3, face_size=side))
    image, faces = generator.faces(portrait)
    crop = shown_face(generator.prepare(image, faces[0]).rig.image.pixels, side)
    plan = sheet_layout(
        va_grid(3),
        list(EXPRESSIONS),
        side,
        portrait.name,
        Preview(grid=3).words(generator),
    )
    centre = plan.faces[va_grid(3).index(VA(0, 0))]
    for box in (centre, plan.strip[0]):
        shown = sheet.pixels[box.top : box.bottom, box.left : box.right]
        assert (shown[4:-4, 4:-4] == crop[4:-4, 4:-4]).all()
    others = [box for box in [*plan.faces, *plan.strip[1:]] if box != centre]
    for box in others:
        shown = sheet.pixels[box.top : box.bottom, box.left : box.right]
        assert np.abs(shown[4:-4, 4:-4].astype(int) - crop[4:-4, 4:-4]).max() > 20


def test_preview_wants_a_generator_of_its_size(generator, portrait):
    with pytest.raises(UsageError, match="crop='face', size=132"):
        draw_preview(generator, portrait, Preview(face_size=50))


@pytest.mark.parametrize(
    "values",
    [{"grid": 2}, {"grid": 4}, {"grid": 17}, {"face_size": 8}, {"intensity": 1.5},
     {"intensity": float("nan")}, {"style": -1}],
)  # fmt: skip
def test_settings_out_of_range(values):
    with pytest.raises(UsageError, match="expected"):
        Preview(**values)


# ------------------------------------------------------------------------- the command
@pytest.fixture(scope="module")
def one(samples, tmp_path_factory):
    """A preview of one portrait: photo and picture."""
    file = tmp_path_factory.mktemp("preview") / "new" / "sheet.png"
    result = call("preview", "-i", samples / "sample_1.jpg", "-o", file, *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(file)
    return samples / "sample_1.jpg", file


def test_picture_and_its_record(one):
    photo, file = one
    record = read_record(file)
    assert (record["source"], record["grid"], record["style"]) == ("sample_1.jpg", 3, None)
    assert record["source_sha256"] == load_image(photo).sha256
    assert b"compositeWithTrainedAlgorithmicMedia" in file.read_bytes()
    assert sorted(p.name for p in file.parent.iterdir()) == ["sheet.png"]


def test_repeats_bit_for_bit_and_only_replaces_when_told(one, tmp_path):
    photo, file = one
    again = tmp_path / "again.png"
    assert call("preview", "-i", photo, "-o", again, *SMALL).exit_code == 0
    assert again.read_bytes() == file.read_bytes()
    refused = call("preview", "-i", photo, "-o", again, *SMALL, "--intensity", 0.5)
    assert refused.exit_code == 2 and "--overwrite" in refused.output
    assert again.read_bytes() == file.read_bytes()
    call("preview", "-i", photo, "-o", again, *SMALL, "--intensity", 0.5, "--overwrite")
    assert again.read_bytes() != file.read_bytes()


def test_folder_gets_a_sheet_each_and_bad_photos_are_named(samples, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.jpg").write_bytes((samples / "sample_2.jpg").read_bytes())
    (folder / "text.jpg").write_text("not a picture")
    result = call("preview", "-i", folder, "-o", tmp_path / "out", *SMALL)
    assert result.exit_code == 3
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.png"]
    assert result.stdout.strip() == str(tmp_path / "out" / "good.png")
    assert result.stderr.startswith("skipped text.jpg: DECODE: text.jpg: expected a whole JPEG")
    assert result.stderr.count("\n") == 1


def test_not_an_image_is_skipped_without_a_file(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    result = call("preview", "-i", tmp_path / "text.jpg", "-o", tmp_path / "out.png")
    assert result.exit_code == 3 and "DECODE" in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_jpeg_by_extension(samples, tmp_path):
    file = tmp_path / "sheet.JPG"
    assert call("preview", "-i", samples / "sample_3.jpg", "-o", file, *SMALL).exit_code == 0
    assert file.read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "args, message",
    [
        ((), "input: expected a photo or a folder, got none"),
        (("-i", "{photo}", "--grid", 2), "grid: expected an odd number from 3 to 15, got 2"),
        (("-i", "{photo}", "--intensity", "nan"), "intensity: expected 0 to 1, got nan"),
        (("-i", "{photo}", "--face-size", 0), "face-size: expected 32 to 512 pixels, got 0"),
        (("-i", "{photo}", "--face", "all"), "face: expected largest, error or an index, got all"),
        (("-i", "{photo}", "--gallery"), "gallery: expected a file beside --input"),
        (("-i", "{photo}", "-o", "{tmp}/a.gif"), "output: expected a file name ending in .png"),
        (("-i", "{photo}", "-o", "{tmp}"), "output: expected a file such as"),
        (
            (
                "-i",
                "{tmp}/none.jpg",
            ),
            "which does not exist",
        ),
        (("-i", "{photos}", "-o", "{tmp}/a.png"), "output: expected a folder for several photos"),
        (("--gallery", "{tmp}/none.npz"), "gallery: expected a file"),
        (("--gallery", "--face-size", 4), "face-size: expected 32 to 512 pixels, got 4"),
        (("--gallery", "-o", "{tmp}/a.txt"), "output: expected a file name ending in .png"),
    ],
)
def test_bad_usage_is_one_line_and_writes_nothing(args, message, samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"photo": samples / "sample_1.jpg", "photos": samples, "tmp": tmp_path}
    result = call("preview", *(str(a).format(**places) for a in args))
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_gallery_command(tmp_path):
    file = tmp_path / "gallery.png"
    assert call("preview", "--gallery", "-o", file, "--face-size", 40).exit_code == 0
    first = file.read_bytes()
    assert call("preview", "--gallery", "-o", file, "--face-size", 40).exit_code == 2
    assert call("preview", "--gallery", "-o", file, "--face-size", 40, "--overwrite").exit_code == 0
    assert file.read_bytes() == first


def test_options_are_found_by_name():
    assert len(options_named(PICTURE_OPTIONS, "face", "model")) == 2
    with pytest.raises(KeyError):
        options_named(PICTURE_OPTIONS, "nose")


def test_every_target_carries_the_style_and_intensity():
    shown = Preview(grid=3, style=7, intensity=0.5)
    targets = [*shown.points(), *shown.strip()]
    assert {t.style for t in targets} == {7}
    assert [t.index for t in targets] == list(range(len(targets)))
    for target in shown.strip():
        assert target.intensity == pytest.approx(0.5 if target.expression != "neutral" else 0)
    assert [t.expression for t in shown.strip()] == list(EXPRESSIONS)
