"""`synth generate --model MINE --gallery MINE`: pictures, records, and errors of one line."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from synth.affect import EXPRESSIONS
from synth.cli import cli
from synth.morphable.carrier import with_carrier
from synth.morphable.known_natives import closed_dense, skin_model, warped
from synth.morphable.native import save_model
from synth.parts import Parts
from synth.pipeline import Generator
from synth.targets import Target, as_target

FEAR = Target(EXPRESSIONS["fear"], expression="fear")


@pytest.fixture(scope="module")
def models(model, tmp_path_factory):
    """Files of native models, by name."""
    folder = tmp_path_factory.mktemp("models")
    for native in (skin_model(model), closed_dense(model), warped(model)):
        kept = with_carrier(native, model) if native.name == "closed_dense" else native
        save_model(kept, folder / f"{native.name}.npz")
    return folder


@pytest.fixture(scope="module")
def plain(generator, portrait):
    """What the embedded model makes of the portrait."""
    image, found = generator.faces(portrait)
    face = generator.prepare(image, found[0])
    return {t: generator.draw(face, t) for t in (as_target("0.8,0.2"), FEAR)}


@pytest.mark.parametrize(
    ("name", "inside", "shape"),
    [("skin_only", 0.2, 0.01), ("closed_dense", 0.3, 0.02), ("warped", 4.0, None)],
)
def test_pictures_of_another_model_of_the_same_people(
    models, plain, portrait, generator, name, inside, shape
):
    """Grey levels inside the face; identity coefficients mean the same in both."""
    made = Generator(model=models / f"{name}.npz", crop="face", size=128)
    image, found = made.faces(portrait)
    face = made.prepare(image, found[0])
    for target, theirs in plain.items():
        ours = made.draw(face, target)
        seen = np.abs(ours.image.astype(float) - theirs.image)[theirs.mask]
        assert seen.mean() < inside, (name, target)
        assert {f"{name}.npz", "anny_face"} <= set(ours.record.assets)
    if shape is not None:
        reference = generator.prepare(image, found[0]).rig.fit.shape
        assert np.abs(face.rig.fit.shape - reference).max() < shape


def test_a_kept_carrier_is_used(models):
    kept, fresh = (Parts(model=models / f"{n}.npz") for n in ("closed_dense", "warped"))
    for parts in (kept, fresh):
        assert len(parts.morphable.blendshape_names) == 52
        assert parts.order.shape == (52,)


def run(*args):
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_takes_the_users_model_and_gallery(models, samples, model, tmp_path):
    own = tmp_path / "own.npz"
    write_own_gallery(model, own)
    mine = "--model", models / "closed_dense.npz", "--gallery", own
    small = "--crop", "face", "--size", 128, "--limit", 1
    out = tmp_path / "out"
    args = "-i", samples, "--va", "0.8,0.2", "--va", "-0.6,0.5", "--expression", "fear"
    done = run("generate", *args, "-o", out, *mine, *small)
    assert done.exit_code == 0, done.output
    with open(out / "metadata.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    text = (out / "run.toml").read_text("utf-8")
    assert "closed_dense.npz" in text and "own.npz" in text
    again = run("generate", *args, "-o", out, *mine, *small)  # resumes: nothing to do
    assert again.exit_code == 0, again.output
    frames = tmp_path / "frames"
    done = run("sequence", "-i", samples, "--path", "line:0,0:0.7,0.2", "--fps", 4, "-o", frames,
               "--blinks", *mine, *small)  # fmt: skip
    assert done.exit_code == 0, done.output
    for command, *more in (
        ("generate", "--va", "0.8,0.2", "--samples", 2),
        ("augment", "--plan", "basic", "--count", 2),
    ):
        refused = run(command, *more, "-i", samples, "-o", tmp_path / "none", *mine, *small)
        assert refused.exit_code == 2 and "--mean-face" in refused.output, refused.output
        assert not (tmp_path / "none").exists()
    sheet = tmp_path / "sheet.png"
    done = run("preview", "--gallery", own, "--face-size", 32, "-o", sheet, *mine[:2])
    assert done.exit_code == 0 and sheet.is_file(), done.output


def test_a_users_mistake_is_one_line_and_leaves_nothing(models, samples, model, tmp_path):
    foreign, bare = tmp_path / "foreign.npz", tmp_path / "bare.npz"
    write_own_gallery(model, foreign, topology="0" * 64)
    native = skin_model(model)
    save_model(replace(native, landmark_faces=np.zeros(68, np.int32)), bare)
    broken = tmp_path / "broken.npz"
    broken.write_bytes((models / "warped.npz").read_bytes()[:5000])
    for option, file, words in (
        ("--gallery", foreign, "own blendshapes on the mesh"),
        ("--model", bare, "landmark map"),
        ("--model", broken, "archive of plain arrays"),
        ("--model", foreign, "mean"),
        ("--gallery", bare, "format"),
    ):
        out = tmp_path / "out"
        failed = run("generate", "-i", samples, "--va", "0.5,0.3", "-o", out, option, file)
        assert failed.exit_code not in (0, 3), failed.output
        lines = [line for line in failed.output.splitlines() if line.strip()]
        assert words in lines[-1], failed.output
        assert "Traceback" not in failed.output and not out.exists()


def write_own_gallery(model, file, topology=None):
    """The embedded gallery with one blendshape of its own that does a little of everything."""
    from synth import assets
    from synth.archives import write_npz
    from synth.morphable.native import topology_digest

    with np.load(assets.path("va_gallery")) as archive:
        data = {k: archive[k] for k in archive.files if "sample" not in k}
    for key in ("class_weights", "expression_weights", "components", "class_sd", "expression_sd"):
        data[key] = np.concatenate((data[key], 0.3 * data[key][:, :1]), axis=1)
    for key in ("radial_exponent", "limit"):
        data[key] = np.append(data[key], data[key][0])
    shape = model.blendshapes[model.blendshape_names.index("cheekPuff")]
    data |= {"own_blendshapes": shape[None], "names": np.append(data["names"], "own_1")}
    data["own_topology"] = np.array(topology or topology_digest(model.faces))
    write_npz(file, data, level=1)
