"""Edits with stub editors of known truth: nothing here needs a network."""

from __future__ import annotations

import csv
import json
import pickle
import tomllib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from click.testing import CliRunner

from synth.affect import EXPRESSIONS
from synth.batch import Output, Plan, generate_files
from synth.cli.config import load_defaults
from synth.cli.edit import edit as command
from synth.editing import EditSettings, edit_face, get_editor
from synth.editing.paste import (
    alpha_ramp,
    cut_square,
    face_region,
    inside,
    paste,
    square_crop,
)
from synth.editing.photos import COLUMNS, PhotoEditor, edit_picture, edit_sample
from synth.editing.ranges import (
    RANGES,
    EditTarget,
    code_of,
    code_tags,
    make_edit_targets,
    parse_rho,
)
from synth.errors import AssetError, ShapeError, TargetError, UsageError
from synth.images import encode_image, find_images, load_image, read_record
from synth.records import RunWriter, Skip
from synth.seeds import sample_seed
from synth.targets import Target
from synth.types import VA, Landmarks, Record, Sample

PLAIN = EditSettings(color_transfer=False, alpha=False)


class Circle:
    """A space whose angles are those of the circumplex, and whose radius is its radius."""

    def of_expression(self, name, rho):
        return float(np.degrees(EXPRESSIONS[name].angle)) % 360, 0.0 if name == "neutral" else rho

    def of_va(self, va):
        return float(np.degrees(va.angle)) % 360, va.radius

    def to_va(self, theta, rho):
        return VA(rho * np.cos(np.radians(theta)), rho * np.sin(np.radians(theta)))

    def expression_at(self, theta):
        turn = {n: abs((np.degrees(va.angle) - theta + 180) % 360 - 180)
                for n, va in EXPRESSIONS.items() if n != "neutral"}  # fmt: skip
        return min(turn, key=turn.get)


def identity(crop, theta, rho):
    return crop.copy()


def brighter(crop, theta, rho):
    """Brighter by 40 rho levels."""
    return np.clip(crop + np.round(40 * rho), 0, 255).astype(np.uint8)


def shifted(crop, theta, rho):
    """Moved to the right by a tenth of the side."""
    return np.roll(crop, len(crop) // 10, axis=1)


@dataclass
class Stub:
    """An editor that does `act`, and remembers what it was asked."""

    act: object = identity
    size: int = 128
    method: str = "stub"
    space: Circle = field(default_factory=Circle)
    digests: dict = field(default_factory=lambda: {"stub": "0"})
    asked: list = field(default_factory=list)

    def __call__(self, crop, theta, rho):
        self.asked.append((crop.shape, theta, rho))
        return self.act(crop, theta, rho)


@pytest.fixture(scope="module")
def face(portrait) -> Landmarks:
    from synth.landmarks import get_detector

    return get_detector("dlib").detect(portrait)[0]


@pytest.fixture
def points() -> np.ndarray:
    """68 points whose bounding box spans (20, 30) to (119, 129)."""
    found = np.random.default_rng(1).uniform((20, 30), (119, 129), (68, 2))
    found[0], found[1] = (20, 30), (119, 129)
    return found


# --------------------------------------------------------------------- the square
def test_square_has_its_margin_and_lies_a_little_above(points):
    left, top, right, bottom = square_crop(points, 2.0)
    assert right - left == bottom - top == 198
    assert (left + right - 1) / 2 == pytest.approx(69.5, abs=0.5)
    assert (top + bottom - 1) / 2 == pytest.approx(79.5 - 0.09 * 198, abs=0.5)


def test_square_moves_and_grows_with_the_face(points):
    box = np.array(square_crop(points))
    assert np.array_equal(square_crop(points + (7, -50)), box + (7, -50, 7, -50))
    twice = np.array(square_crop(points * 2))
    assert abs((twice[2] - twice[0]) - 2 * (box[2] - box[0])) <= 1


def test_cut_is_numpys_reflection_padding():
    photo = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    box = (-13, -4, 16, 25)
    padded = np.pad(photo, ((4, 13), (13, 7), (0, 0)), "reflect")
    assert np.array_equal(cut_square(photo, box), padded)
    assert np.array_equal(cut_square(photo, (2, 3, 7, 8)), photo[3:8, 2:7])
    assert (cut_square(photo[:1, :1], (-1, -1, 2, 2)) == photo[0, 0]).all()


@pytest.mark.parametrize("size, border", [(101, 0.1), (64, 0.25), (65, 0.5), (8, 0.12)])
def test_alpha_at_centre_border_and_corner(size, border):
    alpha = alpha_ramp(size, border)
    last, middle = size - 1, size // 2
    assert alpha.shape == (size, size)
    assert alpha[middle, middle] == 1
    assert not any(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
    for row, column in ((0, 0), (0, last), (last, 0), (last, last)):
        assert alpha[row, column] == 0
    assert np.array_equal(alpha, alpha.T) and np.array_equal(alpha, alpha[::-1])
    for at in range(middle):  # naive
        assert alpha[at, middle] == pytest.approx(min(1, at / (border * last)))
        assert alpha[at, at] == alpha[at, middle]


def test_alpha_is_half_where_half_of_the_border_is_crossed():
    alpha = alpha_ramp(201, 0.2)  # 40 pixels
    assert alpha[20, 100] == alpha[20, 20] == alpha[180, 100] == 0.5
    assert alpha[40, 100] == 1 and alpha[39, 100] < 1


def test_paste_leaves_everything_else_alone():
    rng = np.random.default_rng(5)
    photo = rng.integers(0, 256, (40, 50, 3), np.uint8)
    crop = rng.integers(0, 256, (30, 30, 3), np.uint8)
    for box in ((5, 6, 35, 36), (-10, -12, 20, 18), (40, 30, 70, 60)):
        x0, y0, x1, y1 = inside(box, photo.shape)
        outside = np.ones(photo.shape[:2], bool)
        outside[y0:y1, x0:x1] = False
        for alpha in (None, alpha_ramp(30), np.zeros((30, 30)), np.ones((30, 30))):
            before = photo.copy()
            out = paste(photo, crop, box, alpha)
            assert np.array_equal(photo, before)
            assert np.array_equal(out[outside], photo[outside])
        part = crop[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
        assert np.array_equal(out[y0:y1, x0:x1], part)  # alpha 1
        assert np.array_equal(paste(photo, crop, box), out)
        assert np.array_equal(paste(photo, crop, box, np.zeros((30, 30))), photo)
    half = paste(photo, crop, (5, 6, 35, 36), np.full((30, 30), 0.5))
    mean = (photo[6:36, 5:35].astype(float) + crop) / 2
    assert np.abs(half[6:36, 5:35] - mean).max() <= 0.5
    assert np.array_equal(paste(photo, crop, (60, 60, 90, 90), alpha_ramp(30)), photo)


def test_bad_geometry_is_refused(points):
    photo, crop = np.zeros((9, 9, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(UsageError, match="margin: expected 1 or more, got 0.5"):
        square_crop(points, 0.5)
    with pytest.raises(ShapeError, match="some pixels wide, got 0"):
        square_crop(np.ones((68, 2)))
    with pytest.raises(ShapeError, match="points: expected finite"):
        square_crop(np.full((68, 2), np.nan))
    with pytest.raises(UsageError, match="border: expected more than 0 and at most 0.5"):
        alpha_ramp(10, 0)
    with pytest.raises(ShapeError, match="crop: expected .5, 5, 3. as the box"):
        paste(photo, crop, (0, 0, 5, 5))
    with pytest.raises(ShapeError, match="alpha: expected"):
        paste(photo, crop, (0, 0, 4, 4), np.ones((5, 5)))
    with pytest.raises(UsageError, match="border"):
        EditSettings(border=0.7)
    with pytest.raises(UsageError, match="margin"):
        EditSettings(margin=float("nan"))


def test_region_is_the_face_without_its_mouth(portrait, face):
    box = square_crop(face.points)
    region = face_region(face.points, box)
    at = np.round(face.points - box[:2]).astype(int)
    nose, mouth, chin = at[30], at[[62, 66]].mean(0).astype(int), at[57] + (0, 8)
    assert region[nose[1], nose[0]]
    assert not region[mouth[1], mouth[0]] and not region[chin[1], chin[0]]
    assert not region[0].any() and 0.2 < region.mean() < 0.7


# --------------------------------------------------------------------- one face
def test_identity_gives_the_photo_back(portrait, face):
    for settings in (PLAIN, EditSettings(color_transfer=False), EditSettings(alpha=False)):
        out, _ = edit_face(Stub(), portrait.pixels, face.points, 30, 0.8, settings)
        assert np.array_equal(out, portrait.pixels) or settings.color_transfer
        assert np.abs(out.astype(int) - portrait.pixels).max() <= 1
    out, _ = edit_face(Stub(), portrait.pixels, face.points, 30, 0.8)
    assert np.abs(out.astype(int) - portrait.pixels).max() <= 1


@pytest.mark.parametrize("act", [brighter, shifted])
def test_pixels_outside_the_square_are_untouched(portrait, face, act):
    for settings in (PLAIN, EditSettings()):
        out, (x0, y0, x1, y1) = edit_face(Stub(act), portrait.pixels, face.points, 30, 1, settings)
        outside = np.ones(out.shape[:2], bool)
        outside[y0:y1, x0:x1] = False
        assert outside.any() and np.array_equal(out[outside], portrait.pixels[outside])
        assert settings.color_transfer or (out != portrait.pixels).any()
        rim = np.zeros_like(outside)
        rim[y0:y1, x0:x1] = True
        rim[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = False
        assert np.array_equal(out[rim], portrait.pixels[rim]) == settings.alpha


def test_without_transfer_and_alpha_the_edit_itself_is_pasted(portrait, face):
    stub = Stub(brighter)
    out, box = edit_face(stub, portrait.pixels, face.points, 200, 0.5, PLAIN)
    x0, y0, x1, y1 = box
    crop = portrait.pixels[y0:y1, x0:x1]
    assert np.array_equal(out[y0:y1, x0:x1], brighter(crop, 200, 0.5))
    assert stub.asked == [(crop.shape, 200, 0.5)]


def test_transfer_takes_a_cast_away_and_keeps_what_moved(portrait, face):
    cast, _ = edit_face(Stub(brighter), portrait.pixels, face.points, 0, 1, PLAIN)
    even, box = edit_face(
        Stub(brighter), portrait.pixels, face.points, 0, 1, EditSettings(alpha=False)
    )
    region = face_region(face.points, box)
    part = np.s_[box[1] : box[3], box[0] : box[2]]

    def off(out):
        return np.abs(out[part][region].mean(0) - portrait.pixels[part][region].mean(0)).max()

    assert off(cast) > 30 and off(even) < 1.5
    moved, _ = edit_face(Stub(shifted), portrait.pixels, face.points, 0, 1)
    assert np.abs(moved.astype(int) - portrait.pixels).mean() > 1


def test_margin_is_the_editors_own_unless_given(portrait, face):
    stub = Stub()
    stub.margin = 2.0
    sides = [edit_face(stub, portrait.pixels, face.points, 0, 0, s)[1] for s in
             (EditSettings(), EditSettings(margin=1.25))]  # fmt: skip
    assert sides[0] == square_crop(face.points, 2.0) and sides[1] == square_crop(face.points, 1.25)
    assert edit_face(Stub(), portrait.pixels, face.points, 0, 0)[1] == sides[1]


def test_a_face_at_the_edge_of_the_photo(portrait, face):
    x0, y0 = square_crop(face.points)[:2]
    pixels = np.ascontiguousarray(portrait.pixels[y0 + 30 :, x0 + 40 :])
    points = face.points - (x0 + 40, y0 + 30)
    out, box = edit_face(Stub(), pixels, points, 0, 1, PLAIN)
    assert box[0] == -40 and box[1] == -30 and np.array_equal(out, pixels)
    out, cut = edit_picture(Stub(brighter), pixels, points, 0, 1, PLAIN)
    assert cut[:2] == (0, 0) and (out != pixels).any(2).mean() > 0.1


def test_grey_pictures_stay_grey(portrait, face):
    grey = portrait.pixels[..., 1].copy()
    out, (x0, y0, x1, y1) = edit_picture(Stub(brighter), grey, face.points, 0, 1, PLAIN)
    assert out.ndim == 2 and np.array_equal(out[y0:y1, x0:x1], brighter(grey[y0:y1, x0:x1], 0, 1))
    same, _ = edit_picture(Stub(), grey, face.points, 0, 1)
    assert np.abs(same.astype(int) - grey).max() <= 1


@pytest.mark.parametrize("theta, rho, message", [
    (360, 0.5, "theta: expected degrees from 0 to below 360, got 360; did you mean 0?"),
    (-30, 0.5, "did you mean 330"), (float("nan"), 0.5, "theta: expected"),
    (30, 1.2, "rho: expected 0 .neutral. to 1"), (30, -0.1, "rho"), (30, float("nan"), "rho"),
])  # fmt: skip
def test_codes_out_of_range_are_refused(portrait, face, theta, rho, message):
    with pytest.raises(TargetError, match=message.replace("?", r"\?")):
        edit_face(Stub(), portrait.pixels, face.points, theta, rho)


def test_an_editor_that_returns_another_size_is_named(portrait, face):
    small = Stub(lambda crop, theta, rho: crop[:128, :128])
    with pytest.raises(ShapeError, match="editor: expected .* as it was given, got .128, 128, 3."):
        edit_face(small, portrait.pixels, face.points, 0, 0)


# --------------------------------------------------------------------- targets
def test_strengths_are_read_and_checked():
    assert parse_rho("0.8") == (0.8, 0.8) and parse_rho("0.4:0.9") == (0.4, 0.9)
    for text in ("high", "0.2:0.4:0.6", "1.5", "-0.1", "nan", "0.9:0.4", "0.2:2"):
        with pytest.raises(TargetError, match="rho: expected"):
            parse_rho(text)


def test_every_expression_has_a_range():
    assert set(RANGES) == set(EXPRESSIONS)
    assert all(0 <= low <= high <= 1 for low, high in RANGES.values())
    assert RANGES["neutral"] == (0, 0)


def test_ranges_are_drawn_from_the_pictures_own_seed():
    target = EditTarget(expression="happiness", rho=(0.4, 0.9))
    seeds = [sample_seed(0, "ab" * 32, index) for index in range(400)]
    codes = [code_of(target, Circle(), seed) for seed in seeds]
    assert codes[:3] == [code_of(target, Circle(), seed) for seed in seeds[:3]]
    drawn = np.array([code.rho for code in codes])
    assert drawn.min() < 0.42 and drawn.max() > 0.88 and ((0.4 <= drawn) & (drawn <= 0.9)).all()
    assert abs(drawn.mean() - 0.65) < 0.03  # 4 standard errors
    assert len({code.theta for code in codes}) == 1
    for code in codes[:9]:
        assert code.va.radius == pytest.approx(code.rho, abs=1e-6)


def test_codes_of_every_way_of_asking():
    def code(**given):
        return code_of(EditTarget(**given), Circle(), 1)

    by_angle = code(theta=30.0, rho=(0.8, 0.8))
    assert (by_angle.theta, by_angle.rho, by_angle.expression) == (30, 0.8, "happiness")
    assert code(theta=30.0, rho=(0, 0)).expression == "neutral"
    by_name = code(expression="fear", rho=(0.5, 0.5))
    assert by_name.theta == pytest.approx(97.125, abs=1e-3) and by_name.expression == "fear"
    by_va = code(va=VA(0.3, 0.4), by_va=True)
    assert by_va.rho == pytest.approx(0.5) and by_va.va == VA(0.3, 0.4) and by_va.expression == ""
    plain = code_of(Target(VA(0.3, 0.4)), Circle(), 1)
    assert plain == by_va
    assert code(expression="neutral").rho == 0
    assert RANGES["anger"][0] <= code(expression="anger").rho <= RANGES["anger"][1]


def test_targets_are_numbered_and_named():
    made = make_edit_targets([30.0], ["happiness", "neutral"], [(VA(-0.5, 0.3), "")],
                             [(0.4, 0.9), (0.8, 0.8)], samples=2)  # fmt: skip
    assert [target.index for target in made] == list(range(len(made)))
    assert code_tags(made) == (
        "theta030.0_r0.40-0.90_s01", "theta030.0_r0.40-0.90_s02",
        "happiness_r0.40-0.90_s01", "happiness_r0.40-0.90_s02", "neutral",
        "theta030.0_r0.80", "happiness_r0.80", "v-0.50_a+0.30",
    )  # fmt: skip
    assert code_tags(make_edit_targets([30.001, 30.002])) == (
        "theta030.0_t000", "theta030.0_t001",
    )  # fmt: skip


@pytest.mark.parametrize("arguments, message", [
    ({}, "theta: expected at least one target"),
    ({"points": [(VA(0.1, 0), "")], "rhos": [(0.5, 0.5)]}, "rho: expected --theta"),
    ({"expressions": ["fear"], "rhos": [(0.5, 0.5)], "samples": 3}, "samples: expected a range"),
    ({"thetas": [400.0]}, "theta: expected degrees"),
])  # fmt: skip
def test_targets_that_make_no_sense(arguments, message):
    with pytest.raises(UsageError, match=message):
        make_edit_targets(**arguments)
    with pytest.raises(TargetError, match="expected one of theta, expression and va"):
        EditTarget(theta=30.0, expression="fear")


# --------------------------------------------------------------------- photos into files
def maker(act=brighter, **given) -> PhotoEditor:
    made = PhotoEditor(**given)
    made.__dict__["editor"] = Stub(act)
    made.__dict__["digests"] = {"stub": "0"}
    return made


TARGETS = make_edit_targets([30.0], ["sadness"], [(VA(-0.5, 0.3), "")], samples=2)


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory):
    """Two portraits, one picture without a face and one broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("sample_1.jpg", "sample_2.jpg"):
        (folder / name).write_bytes((samples / name).read_bytes())
    noise = np.random.default_rng(0).integers(0, 255, (65, 47, 3), np.uint8)
    (folder / "noise.png").write_bytes(encode_image(noise))
    (folder / "broken.png").write_bytes(encode_image(noise)[:200])
    return folder


def write(made: PhotoEditor, folder, out, targets=TARGETS) -> list:
    sources = tuple(find_images([str(folder)]))
    plan = Plan(sources, targets, tags=code_tags(targets))
    known = {source.name: source.path for source in sources}
    tables = {"settings": {"face": made.face}}
    with RunWriter(out, tables, known, columns=COLUMNS) as writer:
        return list(generate_files(made, plan, Output(out), writer))


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    write(maker(), folder, out)
    return out


def rows_of(file) -> list[dict]:
    with open(file, encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def test_photos_become_files_with_labels(folder, written):
    rows = rows_of(written / "metadata.csv")
    assert len(rows) == 10 and rows[0]["file_name"] == "images/sample_1_theta030.0_s01.png"
    lines = [json.loads(line) for line in open(written / "provenance.jsonl", encoding="utf-8")]
    for row, line in zip(rows, lines, strict=True):
        theta, rho = float(row["theta"]), float(row["rho"])
        va = VA(float(row["valence"]), float(row["arousal"]))
        assert va.radius == pytest.approx(rho, abs=2e-6)
        assert np.degrees(va.angle) % 360 == pytest.approx(theta, abs=1e-3)
        assert line["editing"]["method"] == "stub" and line["lookup"] == row["lookup"] == "ganmut"
        assert read_record(written / row["file_name"])["theta"] == theta
        # and the picture is what the record says
        photo = load_image(folder / row["source"])
        points = np.array(line["landmarks"])
        again, box = edit_picture(Stub(brighter), photo.pixels, points, theta, rho)
        assert list(box) == line["mask_box"]
        made = load_image(written / row["file_name"]).pixels
        assert np.abs(made.astype(int) - again).max() <= 1  # landmarks are rounded
    assert {row["expression"] for row in rows} == {"happiness", "sadness", ""}
    strengths = {row["rho"] for row in rows if row["expression"] == "sadness"}
    assert len(strengths) == 4  # two photos, two samples


def test_photos_without_a_face_are_skipped(written):
    reasons = {row["source"]: row["reason"] for row in rows_of(written / "skipped.csv")}
    assert reasons == {"noise.png": "NO_FACE", "broken.png": "DECODE"}


def test_a_batch_is_the_same_however_it_is_cut(folder, written, tmp_path):
    """Resumed after losing a picture, or photo by photo in another order: the same bytes."""
    files = {p.relative_to(written): p.read_bytes() for p in written.rglob("*.png")}
    out = tmp_path / "out"
    write(maker(), folder, out, TARGETS)
    lost = out / "images/sample_2_sadness_s02.png"
    lost.unlink()
    write(maker(), folder, out, TARGETS)
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*.png")} == files
    for name in ("metadata.csv", "provenance.jsonl", "skipped.csv"):
        assert (out / name).read_bytes() == (written / name).read_bytes()
    backwards = list(maker().run(find_images([str(folder / "sample_2.jpg")]), TARGETS[::-1]))
    made = load_image(written / "images/sample_2_sadness_s02.png").pixels
    found = {sample.record.target_index: sample.image for sample in backwards}
    assert np.array_equal(found[3], made)
    other = list(maker(seed=1).run(find_images([str(folder / "sample_2.jpg")]), TARGETS[3:4]))
    assert other[0].record.rho != backwards[1].record.rho


def test_pictures_that_synth_made_keep_their_person_and_spectrum(portrait, tmp_path):
    record = {"subject": "anna", "spectrum": "nir"}
    data = encode_image(portrait.pixels[..., 1].copy(), record_json=json.dumps(record))
    (tmp_path / "nir.png").write_bytes(data)
    (sample,) = maker().run(find_images([str(tmp_path / "nir.png")]), TARGETS[:1])
    assert sample.image.ndim == 2 and sample.record.spectrum == "nir"
    assert sample.record.subject == "anna"


def test_every_face_gives_its_own_picture(portrait, face, tmp_path):
    both = np.concatenate([portrait.pixels, portrait.pixels], 1)
    (tmp_path / "two.png").write_bytes(encode_image(both))
    other = Landmarks(face.points + (portrait.width, 0), "test", face.box)

    class Two:
        name = "test"

        def detect(self, image):
            return [face, other]

    made = maker(face="all")
    made.__dict__["_detector"] = Two()
    write(made, tmp_path, tmp_path / "out", TARGETS[:1])
    names = [row["file_name"] for row in rows_of(tmp_path / "out/metadata.csv")]
    assert names == [f"images/two_face{i}_theta030.0_s01.png" for i in (0, 1)]
    left, right = (load_image(tmp_path / "out" / name).pixels for name in names)
    width = portrait.width
    assert np.array_equal(left[:, width:], portrait.pixels) and (left != both).any()
    assert np.array_equal(right[:, :width], portrait.pixels) and (right != both).any()
    for policy, reason in (("5", "FACE_INDEX"), ("error", "MULTI_FACE")):
        made = maker(face=policy)
        made.__dict__["_detector"] = Two()
        (skip,) = made.run(find_images([str(tmp_path / "two.png")]), TARGETS)
        assert isinstance(skip, Skip) and skip.reason == reason


def test_a_bug_costs_one_photo_and_a_missing_asset_the_run(folder):
    def broken(crop, theta, rho):
        raise ZeroDivisionError("oops")

    found = list(maker(broken).run(find_images([str(folder / "sample_1.jpg")]), TARGETS))
    assert [skip.reason for skip in found] == ["INTERNAL"] and "oops" in found[0].message

    def missing(crop, theta, rho):
        raise AssetError("weights: gone")

    with pytest.raises(AssetError):
        list(maker(missing).run(find_images([str(folder / "sample_1.jpg")]), TARGETS))


def test_makers_travel_to_workers_without_their_network():
    made = pickle.loads(pickle.dumps(maker(seed=3)))
    assert made == PhotoEditor(seed=3) and "editor" not in made.__dict__


def test_pictures_of_other_routes_are_edited_further(portrait, face):
    record = Record("", "a.jpg", 0.3, 0.4, 0.3, 0.4, "", 0.5, 7, lookup="smooth",
                    landmarks=tuple(map(tuple, face.points)), subject="anna")  # fmt: skip
    mask = np.zeros(portrait.pixels.shape[:2], bool)
    mask[:5, :5] = True
    sample = Sample(portrait.pixels, VA(0.3, 0.4), record, mask)
    stub = Stub(brighter)
    out = edit_sample(stub, sample, PLAIN)
    assert out.record.rho == 0.5 and out.record.theta == pytest.approx(53.130102)
    assert out.record.theta is not None and out.record.lookup == "smooth+ganmut"
    assert out.record.subject == "anna" and out.record.assets == {"stub": "0"}
    assert out.target == sample.target and not sample.mask[300, 300]
    changed = (out.image != sample.image).any(2)
    assert changed.any() and out.mask[changed].all() and out.mask[:5, :5].all()
    assert out.record.mask_box[:2] == (0, 0)
    grey = replace(sample, image=portrait.pixels[..., 0].copy())
    assert edit_sample(stub, grey, PLAIN, code=(10.0, 0.2)).image.ndim == 2
    assert stub.asked[-1][1:] == (10.0, 0.2)


# --------------------------------------------------------------------- weights, command line
def test_weights_are_checked(tmp_path):
    with pytest.raises(AssetError, match="weights: expected a file"):
        get_editor(tmp_path / "none.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(AssetError, match="weights: expected a whole .safetensors"):
        get_editor(tmp_path / "a.safetensors")
    import safetensors.numpy

    safetensors.numpy.save_file(
        {"a": np.zeros(1, np.float32)}, tmp_path / "b.safetensors", {"kind": "light"}
    )
    with pytest.raises(AssetError, match="expected an editor .ganmut or editor., got the kind"):
        get_editor(tmp_path / "b.safetensors")


@pytest.fixture
def stubbed(monkeypatch):
    """The command with a stub instead of a network."""
    import synth.editing.photos as photos

    monkeypatch.setattr(photos, "get_editor", lambda weights, device: Stub(brighter))
    monkeypatch.setattr(photos, "editor_digests", lambda weights: {"stub": "0"})


def invoke(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def test_command_writes_a_run_that_repeats(stubbed, folder, tmp_path):
    out = tmp_path / "out"
    result = invoke("-i", folder, "-o", out, "--expression", "happy", "--rho", "0.4:0.9",
                    "--va", "-0.5,0.3", "--no-alpha")  # fmt: skip
    assert result.exit_code == 3, result.output  # two photos skipped
    assert len(rows_of(out / "metadata.csv")) == 4
    settings = tomllib.loads((out / "run.toml").read_text("utf-8"))["settings"]
    assert settings["expression"] == ["happiness"] and settings["va"] == ["-0.5,0.3"]
    assert settings["no_alpha"] is True and settings["rho"] == ["0.4:0.9"]
    again = invoke("--config", out / "run.toml", "-i", folder, "-o", tmp_path / "again")
    assert again.exit_code == 3, again.output
    for name in ("metadata.csv", "provenance.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    # one way on the command line replaces those of the file
    line = invoke("--config", out / "run.toml", "-i", folder, "-o", tmp_path / "x",
                  "--theta", "30", "--dry-run")  # fmt: skip
    assert "4 photos x 1 targets" in line.output and not (tmp_path / "x").exists()
    point = invoke("--config", out / "run.toml", "-i", folder, "-o", tmp_path / "x",
                   "--va", "0.1,0.2", "--dry-run")  # fmt: skip
    assert "4 photos x 1 targets" in point.output


def test_colour_transfer_and_alpha_can_be_switched_off(stubbed, folder, tmp_path):
    made = {}
    for name, flags in {"v": (), "f": ("--no-color-transfer", "--no-alpha")}.items():
        out = tmp_path / name
        invoke("-i", folder / "sample_1.jpg", "-o", out, "--theta", 30, "--rho", 0.8, *flags)
        made[name] = load_image(out / "images/sample_1_theta030.0_r0.80.png").pixels.astype(int)
    photo = load_image(folder / "sample_1.jpg").pixels
    assert np.abs(made["f"] - photo).max() == 32 and np.abs(made["v"] - photo).mean() < 1


@pytest.mark.parametrize("arguments, message", [
    (("--theta", 360), "theta: expected degrees from 0 to below 360"),
    (("--theta", 30, "--rho", 1.5), "rho: expected 0"),
    (("--va", "0.9,0.9"), "unit disc"),
    (("--expression", "glee"), "expression: expected one of"),
    (("--theta", 30, "--border", 0.9), "border: expected"),
    ((), "theta: expected at least one target"),
])  # fmt: skip
def test_bad_usage_is_named(stubbed, folder, tmp_path, arguments, message):
    result = invoke("-i", folder, "-o", tmp_path / "out", *arguments)
    assert result.exit_code != 0 and not (tmp_path / "out").exists()
    assert message in result.output or message in str(result.exception)


@pytest.mark.parametrize("name", ["synface_f", "synface_v"])
def test_examples_are_runs_of_edit(stubbed, root, folder, tmp_path, name):
    config = root / "examples" / f"{name}.toml"
    values = load_defaults(command, config)
    fixed = name == "synface_f"
    assert values.get("no_color_transfer", False) == values.get("no_alpha", False) == fixed
    out = tmp_path / "out"
    result = invoke("--config", config, "-i", folder / "sample_1.jpg", "-o", out)
    assert result.exit_code == 0, result.output
    rows = rows_of(out / "metadata.csv")
    assert sorted(row["expression"] for row in rows) == sorted(
        ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
    )
    strengths = {row["rho"] for row in rows if row["expression"] != "neutral"}
    assert len(strengths) == (1 if fixed else 6)


def test_example_of_a_hybrid_set(root):
    from synth.cli.augment import augment

    known = {parameter.name for parameter in augment.params}
    tables = tomllib.loads((root / "examples/hybrid.toml").read_text("utf-8"))
    given = set(tables["settings"]) | set(tables["run"])
    assert given - known <= {"route"}
    if "route" not in known:
        pytest.skip("synth augment has no --route")
    assert load_defaults(augment, root / "examples/hybrid.toml")["route"]


def test_help_names_every_step():
    text = invoke("--help").output
    for word in ("--theta", "--rho", "--no-color-transfer", "--no-alpha", "--samples", "--va"):
        assert word in text
