"""Translation as part of the generator, and of photos into files."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from synth.batch import Output, Plan, generate_files
from synth.cli import cli
from synth.color import chroma, to_grey
from synth.errors import AssetError, UsageError
from synth.images import ImageSource, encode_image, find_images, load_image, read_record
from synth.pipeline import Generator
from synth.records import RunWriter, Skip
from synth.targets import Target
from synth.translation import get_translator
from synth.translation.photos import PhotoTranslator, TranslatedRecord, translate_faces
from synth.types import VA, Landmarks

TARGETS = (Target(VA(0.0, 0.0), 0), Target(VA(0.6, 0.3), 1))


@dataclass
class Negative:
    """A translator of known truth: the negative, a level brighter on the face's left."""

    to: str = "nir"
    method: str = "cyclegan"

    def __call__(self, pixels, points, seed=0):
        if self.to == "vis":
            return np.repeat(255 - pixels[..., None], 3, 2)
        out = 255 - to_grey(pixels)
        if points is not None:
            out[:, : int(points[:, 0].mean())] //= 2
        return out


def generator(**settings) -> Generator:
    made = Generator(crop="face", size=192, nir=True, **settings)
    made.__dict__["translator"] = Negative()
    made.__dict__["digests"] = {}
    return made


@pytest.fixture(scope="module")
def drawn(portrait):
    """Pictures of both orders and of visible light, by order."""
    found = {}
    for order in ("photo", "image", "vis"):
        made = Generator(crop="face", size=192) if order == "vis" else generator(nir_order=order)
        image, faces = made.faces(portrait)
        face = made.prepare(image, faces[0])
        found[order] = made, face, [made.draw(face, target) for target in TARGETS]
    return found


# ------------------------------------------------------------------ in the generator
def test_photo_first_is_drawn_on_the_translated_photo(drawn):
    made, face, samples = drawn["photo"]
    photo = drawn["vis"][1].rig.image.pixels
    expected = Negative()(photo, face.rig.landmarks.points)
    assert np.array_equal(face.rig.image.pixels, np.repeat(expected[..., None], 3, 2))
    assert np.array_equal(samples[0].image, expected)  # neutral changes nothing
    outside = ~samples[1].mask
    assert outside.any() and np.array_equal(samples[1].image[outside], expected[outside])
    assert (samples[1].image != expected).mean() > 0.02


def test_image_order_translates_what_was_drawn(drawn):
    made, face, samples = drawn["image"]
    for target, sample, vis in zip(TARGETS, samples, drawn["vis"][2], strict=True):
        landmarks = made.show(face, made.act(face, target)).landmarks
        assert np.array_equal(sample.image, Negative()(vis.image, landmarks))
        assert sample.mask.all()


@pytest.mark.parametrize("order", ["photo", "image"])
def test_nir_pictures_are_grey_and_say_so(drawn, order):
    _, _, samples = drawn[order]
    for sample in samples:
        assert sample.image.ndim == 2 and sample.image.dtype == np.uint8
        assert sample.record.spectrum == "nir"
        assert sample.record.translation == {"order": order, "weights": "embedded"}
    assert drawn["vis"][2][0].record.spectrum == "vis"
    assert samples[1].record.weights == drawn["vis"][2][1].record.weights


def test_settings_of_nir_are_checked(tmp_path):
    with pytest.raises(UsageError, match="nir-weights: expected --nir"):
        Generator(nir_weights=tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="nir_order: expected one of photo, image"):
        Generator(nir=True, nir_order="both")
    with pytest.raises(AssetError, match="weights: expected a file"):
        _ = Generator(nir=True, nir_weights=tmp_path / "none.safetensors").digests


# ------------------------------------------------------------------ photos into files
def maker(to: str = "nir", **settings) -> PhotoTranslator:
    made = PhotoTranslator(to, **settings)
    made.__dict__["translator"] = Negative(to)
    made.__dict__["digests"] = {"test": "0"}
    return made


@pytest.fixture(scope="module")
def two(samples, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for name in ("sample_1.jpg", "sample_2.jpg"):
        (folder / name).write_bytes((samples / name).read_bytes())
    return folder


def run(made: PhotoTranslator, folder: Path, out: Path) -> list:
    sources = tuple(find_images([str(folder)]))
    plan = Plan(sources, (Target(VA(0.0, 0.0)),), tags=(made.to,))
    known = {source.name: source.path for source in sources}
    with RunWriter(out, {}, known, columns=TranslatedRecord.COLUMNS) as writer:
        return list(generate_files(made, plan, Output(out), writer))


def test_photos_become_files_with_records(two, tmp_path):
    run(maker(), two, tmp_path / "out")
    with open(tmp_path / "out/metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == [
        "images/sample_1_nir.png",
        "images/sample_2_nir.png",
    ]
    photo = load_image(two / "sample_1.jpg")
    file = tmp_path / "out" / rows[0]["file_name"]
    record = read_record(file)
    assert record["spectrum"] == "nir" and record["faces_found"] == 1
    points = np.array(record["landmarks"][0])
    made = load_image(file).pixels[..., 0]
    truth = Negative()(photo.pixels, points)
    columns = np.abs(np.arange(made.shape[1]) - points[:, 0].mean()) > 1  # records are rounded
    assert np.array_equal(made[:, columns], truth[:, columns])
    assert rows[0]["valence"] == "" and rows[0]["spectrum"] == "nir"


def test_repeating_a_run_goes_on_and_changes_nothing(two, tmp_path):
    out = tmp_path / "out"
    run(maker(), two, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (out / "images/sample_2_nir.png").unlink()
    run(maker(), two, out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_labels_of_generated_pictures_pass_on(drawn, tmp_path):
    sample = drawn["vis"][2][1]
    record = replace(sample.record, file_name="a.png", subject="anna")
    data = encode_image(sample.image, record_json=json.dumps(vars(record)))
    (tmp_path / "a.png").write_bytes(data)
    done = maker().translate(ImageSource(tmp_path / "a.png", "a.png"))
    assert (done.record.valence, done.record.arousal) == (0.6, 0.3)
    assert done.record.subject == "anna"
    assert done.record.of["source"] == record.source


@pytest.mark.parametrize("to", ["nir", "vis"])
def test_pictures_of_the_other_spectrum_are_skipped(portrait, tmp_path, to):
    pixels = portrait.pixels if to == "vis" else to_grey(portrait.pixels)
    (tmp_path / "a.png").write_bytes(encode_image(pixels))
    source = ImageSource(tmp_path / "a.png", "a.png")
    (skip,) = maker(to).run([source])
    assert isinstance(skip, Skip) and skip.reason == "SPECTRUM"
    assert "--any-input" in skip.message and f"--to {to}" in skip.message
    (taken,) = maker(to, any_input=True).run([source])
    assert taken.image.shape[:2] == portrait.pixels.shape[:2]
    assert taken.image.ndim == (2 if to == "nir" else 3)


def test_pictures_without_a_face_and_broken_ones_are_skipped(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (65, 47, 3), np.uint8)
    (tmp_path / "noise.png").write_bytes(encode_image(colours))
    (tmp_path / "broken.png").write_bytes(encode_image(colours)[:200])
    sources = find_images([str(tmp_path)])
    broken, faceless = maker().run(sources)
    assert (broken.reason, faceless.reason) == ("DECODE", "NO_FACE")
    _, taken = maker(any_input=True).run(sources)
    assert np.array_equal(taken.image, 255 - to_grey(colours))


def test_chroma_tells_grey_jpegs_from_pale_colours(portrait):
    pixels = to_grey(portrait.pixels)
    jpeg = load_image(encode_image(np.repeat(pixels[..., None], 3, 2), "jpeg", 60)).pixels
    assert chroma(jpeg) < 0.5
    pale = cv2.addWeighted(portrait.pixels, 0.4, np.repeat(pixels[..., None], 3, 2), 0.6, 0)
    assert chroma(pale) > 2.0


def test_every_face_of_a_picture_is_translated(portrait, drawn):
    """Two faces side by side: each half is as its own face's translation has it."""
    face = drawn["vis"][0].faces(portrait)[1][0]
    width = portrait.width
    other = Landmarks(face.points + (width, 0), "test", face.box)
    both = np.concatenate([portrait.pixels, portrait.pixels], 1)

    def shades(pixels, points, seed=0):
        return np.full(pixels.shape[:2], 50 if points[:, 0].mean() < width else 200, np.uint8)

    out = translate_faces(shades, both, [face, other], 0)
    inside = np.round(other.points[27:36]).astype(int)  # the nose
    assert (out[inside[:, 1], inside[:, 0]] == 200).all()
    assert (out[:, : width - 1][np.round(face.points[27:36]).astype(int)[:, 1]] == 50).all()
    assert 50 < out.max() <= 200 and len(np.unique(out)) > 20  # and no edge between


# ------------------------------------------------------------------ bad usage
def test_weights_are_checked(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(AssetError, match="weights: expected a .safetensors"):
        get_translator("nir", None, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="to: expected one of nir, vis"):
        get_translator("thermal")
    with pytest.raises(UsageError, match="weights: expected a file for --method sde"):
        get_translator("nir", "sde")


def test_weights_of_the_other_direction_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    from synth.models.weights import save_weights

    save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, "cyclegan", to="vis")
    with pytest.raises(AssetError, match="expected a translator to nir, got one to vis"):
        get_translator("nir", None, tmp_path / "w.safetensors")
    with pytest.raises(AssetError, match="expected some for sde, got cyclegan"):
        get_translator("vis", "sde", tmp_path / "w.safetensors")
    arguments = ["translate", "--to", "nir", "-i", str(tmp_path), "-o", str(tmp_path / "out"),
                 "--weights", str(tmp_path / "w.safetensors")]  # fmt: skip
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1 and "give --to vis or other weights" in result.output
    assert not (tmp_path / "out").exists()
