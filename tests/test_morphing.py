"""MorphSet: the template, the mesh, the warp, and people to files."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.cli.morph import morph as command
from synth.errors import ShapeError, SkipPhoto, UsageError
from synth.expressions.arkit import NAMES
from synth.images import encode_image, load_image, read_record
from synth.morphing.align import MorphLimits, align, check_folds, neutral_face
from synth.morphing.layers import make_layer
from synth.morphing.mesh import least_area, make_mesh, untangled
from synth.morphing.mouth import mouth_openness
from synth.morphing.people import read_people
from synth.morphing.photos import Morpher
from synth.morphing.record import MorphOptions
from synth.morphing.refine import refined
from synth.morphing.template import ORDER, Template, make_template, parse_angles
from synth.morphing.warp import face_share, mix, morph, triangle_numbers, warp_map
from synth.testing import synthetic_face
from synth.types import FaceImage, Landmarks, inter_ocular

ALL = dict.fromkeys(BASIC_EXPRESSIONS, 1.0)
#: A smile with open lips and a dropped jaw, as blendshape weights.
FACES = {
    "neutral": {},
    "happiness": {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "jawOpen": 0.15,
                  "cheekSquintLeft": 0.6, "cheekSquintRight": 0.6},
    "surprise": {"jawOpen": 0.6, "browInnerUp": 0.9, "eyeWideLeft": 0.7, "eyeWideRight": 0.7},
}  # fmt: skip
SIZE = 224


def weights(values: dict[str, float]) -> np.ndarray:
    found = np.zeros(len(NAMES))
    for name, value in values.items():
        found[NAMES.index(name)] = value
    return found


@pytest.fixture(scope="module")
def faces(model):
    """Photos and exact landmarks of one synthetic person, by expression."""
    return {
        name: synthetic_face(model, 3, size=SIZE, expression=weights(values))[:2]
        for name, values in FACES.items()
    }


@pytest.fixture
def folder(faces, tmp_path) -> Path:
    """The same as files, landmarks beside them, with their table."""
    return write_folder(faces, tmp_path / "photos")


def write_folder(faces, root: Path, subject: str = "anna") -> Path:
    root.mkdir(exist_ok=True)
    rows = ["file_name,subject,expression"]
    for name, (image, landmarks) in faces.items():
        (root / f"{subject}_{name}.png").write_bytes(encode_image(image.pixels))
        points = "\n".join(f"{x + 1} {y + 1}" for x, y in landmarks.points)
        (root / f"{subject}_{name}.pts").write_text(
            f"version: 1\nn_points: 68\n{{\n{points}\n}}\n", "utf-8"
        )
        rows.append(f"{subject}_{name}.png,{subject},{name}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return root


def morpher(root: Path, **options) -> Morpher:
    how = MorphOptions(landmarks=f"file:{root}", **options)
    template = make_template("10,40,70", 0.5)
    return Morpher(tuple(read_people(root / "labels.csv", root)), template, how)


# ------------------------------------------------------------------ template
def test_134_faces_of_a_person_with_all_six():
    template = make_template()
    assert len(template.angles) == 14 and template.angles[0] == 10 and template.angles[-1] == 205
    assert len(template.cells) == 1 + 14 * 10
    # Six of the 140 are the apexes themselves: every place snaps to an angle of its own.
    assert set(template.places.values()) <= set(template.angles)
    assert len(set(template.places.values())) == 6
    assert len(template.possible(ALL)) == 14 * 10 - 6 == 134
    assert len(template.possible(ALL, originals=True)) == 134 + 6 + 1


def test_places_are_near_the_expressions_own_angles():
    places = make_template().places
    for name, place in places.items():
        assert abs(place - math.degrees(EXPRESSIONS[name].angle) % 360) < 4
    assert list(places) == list(ORDER)
    assert ORDER == ("happiness", "surprise", "fear", "anger", "disgust", "sadness")


@pytest.mark.parametrize(
    "apexes, angles",
    [
        (["happiness"], [10]),
        (["happiness", "surprise"], [10, 25, 40, 55, 70]),
        (["happiness", "fear"], [10, 100]),  # surprise lies between them
        (["disgust", "sadness"], [145, 160, 175, 190, 205]),
        ([], []),
    ],
)
def test_only_what_lies_between_neighbours_is_made(apexes, angles):
    found = make_template().possible(dict.fromkeys(apexes, 1.0))
    assert sorted({cell.angle for cell in found}) == angles
    assert len(found) == 10 * len(angles) - len(apexes)


def test_labels_lie_on_the_plane_where_the_template_says():
    template = make_template()
    for cell in template.cells[1:]:
        assert math.degrees(cell.va.angle) % 360 == pytest.approx(cell.angle, abs=1e-3)
        radius = cell.intensity * template.radius(cell.angle)
        assert cell.va.radius == pytest.approx(radius, abs=1e-6)
    for name, place in template.places.items():
        assert template.radius(place) == pytest.approx(EXPRESSIONS[name].radius)
    assert template.cells[0].va.radius == 0
    tags = [cell.tag for cell in template.cells]
    assert "a070_i05" in tags and "a205_i10" in tags and len(set(tags)) == len(tags)


def test_shares_sum_to_one_and_give_the_point_back():
    template = make_template()
    for cell in template.possible(ALL, originals=True):
        shares = template.recipe(cell, ALL)
        assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) > 0
        if cell.intensity:
            strength = 1 - shares.get("neutral", 0.0)
            angle = sum(w * template.places[n] for n, w in shares.items() if n != "neutral")
            assert strength == pytest.approx(cell.intensity)
            assert angle / strength == pytest.approx(cell.angle)


def test_a_weak_apex_reaches_its_own_intensity_only():
    template = make_template()
    found = template.possible({"happiness": 0.6})
    assert [cell.intensity for cell in found] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert template.recipe(found[2], {"happiness": 0.6}) == pytest.approx(
        {"neutral": 0.5, "happiness": 0.5}
    )


@pytest.mark.parametrize(
    "text, found",
    [("10:205:65", (10, 75, 140, 205)), ("70,10", (10, 70)), ("100", (100,))],
)
def test_angles_are_read(text, found):
    assert parse_angles(text) == found


@pytest.mark.parametrize("text", ["", "a:b:c", "10:205", "205:10:15", "10:205:0", "5,10", "206"])
def test_bad_angles_are_refused(text):
    with pytest.raises(UsageError, match="angles: expected"):
        parse_angles(text)


@pytest.mark.parametrize("step", [0, -0.1, 0.3, 2, float("nan")])
def test_bad_intensity_steps_are_refused(step):
    with pytest.raises(UsageError, match="intensity-step: expected"):
        make_template(intensity_step=step)


# ------------------------------------------------------------------ mesh
def test_lips_and_lids_are_untangled(faces):
    points = faces["neutral"][1].points.copy()
    points[66] = points[62] + (6.0, -1.0)  # above the upper lip, and aside
    straight = untangled(points)
    gap = straight[66] - straight[62]
    assert gap[1] > 0.004 * inter_ocular(points) and abs(gap[0]) < 0.5
    assert np.allclose(straight.mean(0), points.mean(0), atol=0.05)
    opened = faces["surprise"][1].points
    assert np.array_equal(untangled(opened)[60:68], opened[60:68])


def test_triangles_cover_the_picture_and_never_flip(faces):
    shapes = [untangled(landmarks.points) for _, landmarks in faces.values()]
    mesh = make_mesh(shapes, (SIZE, SIZE))
    assert mesh.areas(np.mean(shapes, 0)).sum() / 2 == pytest.approx((SIZE - 1) ** 2)
    rng = np.random.default_rng(0)
    for shares in rng.dirichlet(np.ones(len(shapes)), 200):
        areas = mesh.areas(np.einsum("k,kij->ij", shares, shapes))
        assert areas.min() > 0
        assert areas.sum() / 2 == pytest.approx((SIZE - 1) ** 2)


def test_least_area_is_that_of_many_steps():
    rng = np.random.default_rng(1)
    base = rng.uniform(20, 180, (68, 2))
    base[36], base[45] = (60, 80), (140, 80)
    mesh = make_mesh([base], (200, 200))
    for spread in (1.0, 30.0):
        other = base + rng.normal(0, spread, base.shape)
        steps = [mesh.areas((1 - t) * base + t * other).min() for t in np.linspace(0, 1, 2001)]
        least = least_area(mesh, base, other)
        assert least <= min(steps) + 1e-9 and least == pytest.approx(min(steps), abs=0.5)


def test_folded_landmarks_are_rejected(faces):
    neutral = neutral_face(*faces["neutral"])
    image, landmarks = faces["happiness"]
    points = landmarks.points.copy()
    points[50], points[33] = landmarks.points[33], landmarks.points[50]  # lip and nose swapped
    limits = MorphLimits(residual=None)
    bad = align(neutral, image, replace(landmarks, points=points), limits)
    with pytest.raises(SkipPhoto, match="without a fold") as caught:
        check_folds(neutral, bad, limits)
    assert caught.value.reason == "FOLDED"
    check_folds(neutral, align(neutral, image, landmarks, limits), limits)


# ------------------------------------------------------------------ warp
@pytest.mark.parametrize("grey", [False, True])
def test_the_ends_are_the_photos(faces, grey):
    (a, a_points), (b, b_points) = faces["neutral"], faces["surprise"]
    pixels = [p.pixels[..., 0] if grey else p.pixels for p in (a, b)]
    for t, expected in ((0.0, pixels[0]), (1.0, pixels[1])):
        assert np.array_equal(morph(*pixels, a_points.points, b_points.points, t), expected)
    assert morph(*pixels, a_points.points, b_points.points, 0.5).shape == pixels[0].shape


def test_a_morph_is_the_same_from_either_end(faces):
    (a, a_points), (b, b_points) = faces["happiness"], faces["surprise"]
    for t in (0.25, 0.5):
        there = morph(a.pixels, b.pixels, a_points.points, b_points.points, t)
        back = morph(b.pixels, a.pixels, b_points.points, a_points.points, 1 - t)
        assert np.array_equal(there, back)


def test_the_map_is_affine_in_every_triangle(faces):
    shapes = [untangled(faces[name][1].points) for name in ("neutral", "surprise")]
    mesh = make_mesh(shapes, (SIZE, SIZE))
    nodes, source = mesh.nodes(np.mean(shapes, 0)), mesh.nodes(shapes[1])
    numbers = triangle_numbers(nodes, mesh, (SIZE, SIZE))
    x, y = warp_map(nodes, source, mesh, numbers)
    rng = np.random.default_rng(2)
    for row, column in rng.integers(0, SIZE, (200, 2)):
        triangle = mesh.triangles[numbers[row, column]]
        corners = np.vstack([nodes[triangle].T, np.ones(3)])
        naive = source[triangle].T @ np.linalg.solve(corners, [column, row, 1])
        assert (x[row, column], y[row, column]) == pytest.approx(tuple(naive), abs=1e-2)


def test_landmarks_go_half_way(faces):
    """A dot painted on each photo's landmark lands on the weighted mean of their places."""
    points = [untangled(faces[name][1].points) for name in ("neutral", "surprise")]
    mesh = make_mesh(points, (SIZE, SIZE))
    for number in (8, 19, 30, 48):
        layers = []
        for shape in points:
            y, x = np.mgrid[:SIZE, :SIZE]
            off = (x - shape[number, 0]) ** 2 + (y - shape[number, 1]) ** 2
            layers.append(make_layer(np.rint(255 * np.exp(-off / 8)).astype(np.uint8), shape))
        seen = mix(layers, (0.5, 0.5), mesh, (SIZE, SIZE)).astype(float)
        y, x = np.mgrid[:SIZE, :SIZE]
        found = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
        assert np.linalg.norm(found - np.mean(points, 0)[number]) < 0.01 * inter_ocular(points[0])


def test_three_photos_are_one_mixture(faces):
    shapes = [untangled(landmarks.points) for _, landmarks in faces.values()]
    mesh = make_mesh(shapes, (SIZE, SIZE))
    flat = [make_layer(np.full((SIZE, SIZE, 3), v, np.uint8), s)
            for v, s in zip((40, 120, 200), shapes, strict=True)]  # fmt: skip
    seen = mix(flat, (0.5, 0.3, 0.2), mesh, (SIZE, SIZE))
    inner = np.rint(np.einsum("k,kij->ij", (0.5, 0.3, 0.2), shapes)[60:]).astype(int)
    lips = cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), [inner], 1)
    outside = cv2.dilate(lips, np.ones((9, 9))) == 0
    assert np.ptp(seen[outside]) == 0 and seen[0, 0, 0] == 96
    # Between the lips the widest mouth is seen, not the shut one.
    y, x = np.nonzero(cv2.erode(lips, np.ones((3, 3))))
    assert mouth_openness(shapes[2]) > mouth_openness(shapes[1]) > mouth_openness(shapes[0])
    assert len(y) and seen[y, x].min() > 96


def test_the_background_stays_that_of_the_neutral_photo(faces):
    shapes = [untangled(faces[name][1].points) for name in ("neutral", "happiness")]
    mesh = make_mesh(shapes, (SIZE, SIZE))
    layers = [make_layer(np.full((SIZE, SIZE), v, np.uint8), s)
              for v, s in zip((50, 150), shapes, strict=True)]  # fmt: skip
    seen = mix(layers, (0.0, 1.0), mesh, (SIZE, SIZE), 0)
    face = face_share(shapes[1], (SIZE, SIZE))
    assert (seen[face == 0] == 50).all() and (seen[face == 1] == 150).all()
    assert face[0, 0] == 0 and face.max() == 1


def test_detail_is_brought_together_and_the_ends_stay(faces):
    """Texture shifted by two pixels is found, and a mixture of the two is as sharp as they."""
    image, landmarks = faces["neutral"]
    points = untangled(landmarks.points)
    rng = np.random.default_rng(4)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (SIZE, SIZE)).astype(np.float32), (0, 0), 1.0)
    first = np.clip(128 + 2 * texture, 0, 255).astype(np.uint8)
    second = np.roll(first, 2, axis=1)
    mesh = make_mesh([points, points], (SIZE, SIZE))
    layers = [make_layer(first, points), make_layer(second, points)]
    fine = refined(layers, mesh, (SIZE, SIZE))
    cheek = np.s_[110:140, 60:80]
    corner = fine[1].residual.corner
    moves = fine[1].residual.moves[
        110 - corner[1] : 140 - corner[1], 60 - corner[0] : 80 - corner[0]
    ]
    assert np.abs(moves[..., 0] - 2).mean() < 0.5 and np.abs(moves[..., 1]).mean() < 0.3
    plain, better = (mix(m, (0.5, 0.5), mesh, (SIZE, SIZE))[cheek].std() for m in (layers, fine))
    assert plain < 0.85 * first[cheek].std() < better
    for t, photo in ((0, first), (1, second)):
        assert np.array_equal(mix(fine, (1 - t, t), mesh, (SIZE, SIZE)), photo)


def test_bad_calls_are_refused(faces):
    (a, points), (b, _) = faces["neutral"], faces["surprise"]
    with pytest.raises(ShapeError, match="photos: expected one shape"):
        morph(a.pixels, b.pixels[1:], points.points, points.points, 0.5)
    with pytest.raises(ShapeError, match="t: expected 0 to 1"):
        morph(a.pixels, b.pixels, points.points, points.points, 1.5)


# ------------------------------------------------------------------ alignment
def moved(face, scale=1.0, turn=0.0, shift=(0.0, 0.0)) -> tuple[FaceImage, Landmarks]:
    """A photo and its landmarks after a similarity about the picture's middle."""
    image, landmarks = face
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn, scale)
    matrix[:, 2] += shift
    pixels = cv2.warpAffine(image.pixels, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
    points = landmarks.points @ matrix[:, :2].T + matrix[:, 2]
    return replace(image, pixels=pixels), replace(landmarks, points=points)


def test_a_moved_photo_is_laid_back(faces):
    neutral = neutral_face(*faces["neutral"])
    there = align(neutral, *moved(faces["neutral"], 0.9, 8, (5, -3)), MorphLimits())
    assert there.residual < 1e-9 and np.allclose(there.points, neutral.points, atol=1e-9)
    assert math.hypot(*there.matrix[:, 0]) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scale": 0.45}, "size of the face"),
        ({"turn": 40}, "turn in the picture"),
    ],
)
def test_photos_taken_otherwise_are_rejected(faces, change, words):
    neutral = neutral_face(*faces["neutral"])
    with pytest.raises(SkipPhoto, match=words) as caught:
        align(neutral, *moved(faces["happiness"], **change), MorphLimits())
    assert caught.value.reason == "MISALIGNED"


def test_turned_heads_and_other_cameras_are_rejected(faces, model):
    neutral = neutral_face(*faces["neutral"])
    image, landmarks, _ = synthetic_face(model, 3, yaw=25, size=SIZE)
    with pytest.raises(SkipPhoto, match="turn of the head"):
        align(neutral, image, landmarks, MorphLimits())
    with pytest.raises(SkipPhoto, match="place of eyes and nose"):
        align(neutral, image, landmarks, MorphLimits(yaw=None, pitch=None))
    image, landmarks = faces["happiness"]
    grey = replace(image, pixels=np.repeat(image.pixels[..., :1], 3, 2))
    with pytest.raises(SkipPhoto, match="expected a colour photo"):
        align(neutral, grey, landmarks, MorphLimits())


# ------------------------------------------------------------------ people to files
def run(root: Path, out: Path, *more: str):
    done = CliRunner().invoke(
        command,
        ["--input", str(root), "--labels", str(root / "labels.csv"), "--output", str(out),
         "--landmarks", f"file:{root}", "--angles", "10,40,70", "--intensity-step", "0.5", *more],
    )  # fmt: skip
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def rows_of(out: Path, name: str = "metadata.csv") -> list[dict[str, str]]:
    with open(out / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_person_becomes_files_with_labels(folder, faces, tmp_path):
    out = tmp_path / "out"
    assert run(folder, out).exit_code == 0
    rows = rows_of(out)
    assert [row["file_name"] for row in rows] == [
        f"images/anna_{tag}.png" for tag in ("a010_i05", "a040_i05", "a040_i10", "a070_i05")
    ]
    assert {row["subject"] for row in rows} == {"anna"}
    assert rows[1]["expression"] == "happiness+surprise"
    assert rows[1]["weights"] == "neutral:0.5,happiness:0.25,surprise:0.25"
    record = read_record(out / rows[1]["file_name"])
    assert [photo["file_name"] for photo in record["sources"]] == [
        f"anna_{name}.png" for name in ("neutral", "happiness", "surprise")
    ]
    for photo in record["sources"]:
        assert photo["sha256"] == load_image(folder / photo["file_name"]).sha256
    assert np.allclose(record["sources"][1]["landmarks"], faces["happiness"][1].points, atol=2e-3)
    assert load_image(out / rows[0]["file_name"]).pixels.shape == (SIZE, SIZE, 3)


def test_originals_are_the_photos(folder, faces):
    made = morpher(folder, originals=True, background="morph")
    ready, skips = made.prepare(made.people[0])
    assert not skips
    cells = {cell.tag: cell for cell in made.cells(made.people[0])}
    neutral = made.make(ready, cells["neutral"]).image
    assert np.array_equal(neutral, faces["neutral"][0].pixels)
    for tag, name in (("a010_i10", "happiness"), ("a070_i10", "surprise")):
        # Laid on the neutral photo's pixels, and nothing else.
        laid = cv2.warpAffine(
            faces[name][0].pixels, ready.faces[name].matrix, (SIZE, SIZE),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        off = np.abs(made.make(ready, cells[tag]).image.astype(int) - laid)
        assert off.max() <= 12 and off.mean() < 0.2  # maps are rounded to 1/32 pixel


def test_crops_and_grey_photos(folder, faces, tmp_path):
    grey = {
        name: (replace(image, pixels=np.repeat(image.pixels[..., 1:2], 3, 2)), landmarks)
        for name, (image, landmarks) in faces.items()
    }
    root = write_folder(grey, tmp_path / "nir", "nina")
    made = morpher(root, crop="face", size=96)
    results = list(made.run([made.people[0].key], targets(made)))
    assert len(results) == 4
    for result in results:
        assert result.image.shape == (96, 96) and result.record.grey
        assert len(result.record.crop_matrix) == 2
    assert len({result.image.tobytes() for result in results}) == 4


def targets(made: Morpher):
    from synth.morphing.photos import targets_of

    return targets_of(made.cells(made.people[0]))


def test_repeating_a_run_goes_on_and_changes_nothing(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (out / "images/anna_a040_i05.png").unlink()
    assert run(folder, out).exit_code == 0
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    with pytest.raises(UsageError, match="output: expected the settings"):
        run(folder, out, "--no-refine")


def test_what_was_made_of_a_changed_photo_is_made_again(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    before = {p.name: p.read_bytes() for p in (out / "images").iterdir()}
    photo = folder / "anna_surprise.png"
    photo.write_bytes(encode_image(load_image(photo).pixels // 2))
    assert "3 pictures of 1 photo" in run(folder, out).output
    after = {p.name: p.read_bytes() for p in (out / "images").iterdir()}
    assert before.keys() == after.keys()
    assert [n for n in sorted(after) if before[n] != after[n]] == [
        "anna_a040_i05.png", "anna_a040_i10.png", "anna_a070_i05.png"
    ]  # fmt: skip
    lines = (out / "provenance.jsonl").read_text("utf-8").splitlines()
    assert len({json.loads(line)["file_name"] for line in lines}) == len(lines) == 4


def test_what_cannot_be_used_is_a_row(folder, tmp_path):
    table = folder / "labels.csv"
    table.write_text(
        table.read_text("utf-8")
        + "gone.png,anna,fear\nanna_contempt.png,anna,contempt\nben.png,ben,happy\n"
        + "cleo.png,cleo,neutral\ndora.png,dora,neutral\n",
        "utf-8",
    )
    for end in ("png", "pts"):
        (folder / f"dora.{end}").write_bytes((folder / f"anna_neutral.{end}").read_bytes())
    out = tmp_path / "out"
    assert run(folder, out).exit_code == 3
    rows = rows_of(out, "skipped.csv")
    found = [(row["source"], row["reason"], row["message"].split(":")[0]) for row in rows]
    assert found == [
        ("anna_neutral.png", "NO_PLACE", "anna_contempt.png"),
        ("anna_neutral.png", "DECODE", "gone.png"),
        ("ben.png", "NO_NEUTRAL", "ben"),
        ("cleo.png", "DECODE", "cleo.png"),
        ("dora.png", "NO_APEX", "dora"),
    ]
    assert len(rows_of(out)) == 4


def test_a_rejected_apex_costs_what_needs_it_only(folder, faces, tmp_path):
    tilted = moved(faces["surprise"], turn=40)
    write_folder({**faces, "surprise": tilted}, folder)
    out = tmp_path / "out"
    assert run(folder, out).exit_code == 3
    assert [row["reason"] for row in rows_of(out, "skipped.csv")] == ["MISALIGNED"]
    assert [row["file_name"] for row in rows_of(out)] == ["images/anna_a010_i05.png"]


def test_with_every_apex_rejected_nothing_is_made(folder, faces, tmp_path):
    write_folder({"neutral": faces["neutral"], "fear": moved(faces["surprise"], turn=40)}, folder)
    assert run(folder, tmp_path / "out", "--angles", "100").exit_code == 3
    rows = rows_of(tmp_path / "out", "skipped.csv")
    assert [row["reason"] for row in rows] == ["MISALIGNED"]
    assert rows_of(tmp_path / "out") == []


def test_other_people_are_rejected_by_their_embedding(folder):
    class Brightness:
        """Tells people apart by the corner pixel."""

        def embed(self, pixels, landmarks):
            return np.array([float(pixels[0, 0, 0])])

    photo = folder / "anna_surprise.png"
    pixels = load_image(photo).pixels.copy()
    pixels[0, 0] ^= 64
    photo.write_bytes(encode_image(pixels))
    gated = replace(morpher(folder).options, identity_gate=0.6)
    made = replace(morpher(folder), options=gated, embedder=Brightness())
    ready, skips = made.prepare(made.people[0])
    assert list(ready.faces) == ["neutral", "happiness"]
    assert [skip.reason for skip in skips] == ["OTHER_PERSON"]
    assert skips[0].value == 64
    with pytest.raises(UsageError, match="identity_gate: expected an embedder"):
        morpher(folder, identity_gate=0.6)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "got an empty file"),
        ("file_name,subject,expression\n", "got only a header"),
        ("file_name,person\na.png,a\n", "add subject and expression"),
        ("file_name,subject,expression\na.png,a,smug\n", "line 2: expression: expected one of"),
        ("file_name,subject,expression\na.png,,fear\n", "line 2: expected a subject"),
        ("file_name,subject,expression\na.png,a,fear\na.png,a,happy\n", "line 3: expected each"),
        ("file_name,subject,expression,intensity\na.png,a,fear,2\n", "an intensity above 0"),
        ("file_name,subject,expression,intensity\na.png,a,fear,x\n", "an intensity above 0"),
    ],
)
def test_bad_tables_name_the_line(tmp_path, text, words):
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words):
        read_people(tmp_path / "labels.csv", tmp_path)


def test_tables_may_be_written_freely(tmp_path):
    (tmp_path / "t.csv").write_text(
        "# mine\nSubject,Expression,File_Name,Intensity\n\nb,Happy,1.png,0.5\n"
        "a,neutral,2.png,\nb,joy,3.png,0.8\nb,neutral,4.png,\n",
        "utf-8-sig",
    )
    b, a = read_people(tmp_path / "t.csv", tmp_path)
    assert (b.subject, a.subject) == ("b", "a")
    assert b.apexes["happiness"].source.name == "3.png" and b.apexes["happiness"].intensity == 0.8
    assert b.key.name == "4.png" and a.key.name == "2.png" and not a.apexes


def test_bad_options_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="labels: expected a readable CSV"):
        run(folder, tmp_path / "o", "--labels", str(tmp_path / "none.csv"))
    with pytest.raises(UsageError, match="input: expected the folder"):
        run(tmp_path / "none", tmp_path / "o")
    with pytest.raises(UsageError, match="face: expected one face"):
        run(folder, tmp_path / "o", "--face", "all")
    with pytest.raises(UsageError, match="crop: expected one of"):
        run(folder, tmp_path / "o", "--crop", "square")
    with pytest.raises(UsageError, match="size: expected a crop with it"):
        run(folder, tmp_path / "o", "--size", "64")
    with pytest.raises(UsageError, match="size: expected at least 32"):
        run(folder, tmp_path / "o", "--crop", "face", "--size", "8")
    assert not (tmp_path / "o").exists()


def test_dry_runs_write_nothing(folder, tmp_path):
    done = run(folder, tmp_path / "out", "--dry-run")
    assert "1 people, 4 pictures" in done.output and not (tmp_path / "out").exists()


def test_templates_are_values():
    assert make_template() == make_template() and isinstance(make_template(), Template)


# ------------------------------------------------------------------ photos of people
def test_real_smiles_half_way(shared):
    """Bent to the mean of real landmarks no triangle folds, and hardly a pair is rejected."""
    from synth.landmarks import get_detector

    detector = get_detector("dlib")
    names = sorted(p.name for p in (shared / "data/neutral").glob("*.jpg"))[:3]
    for name in names:
        found = []
        for part in ("neutral", "smiling"):
            image = load_image(shared / "data" / part / name)
            found.append((image, detector.detect(image)[0]))
        neutral = neutral_face(*found[0])
        smile = align(neutral, *found[1], MorphLimits())
        check_folds(neutral, smile, MorphLimits())
        assert smile.residual < 0.03
