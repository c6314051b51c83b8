"""Ways of making a picture: shares, the network's route, the network on top."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from synth.editing.paste import inside, square_crop
from synth.errors import UsageError
from synth.pipeline import Generator
from synth.settings import parse_route
from synth.targets import Target
from synth.types import VA

POINT = Target(VA(0.6, 0.3), 3)
SPACE = SimpleNamespace(of_va=lambda va: (30.0, va.radius))


@dataclass
class Brighter:
    """An editor of known truth: rho times a hundred grey levels brighter."""

    method: str = "distilled"
    size: int = 64
    space: SimpleNamespace = field(default_factory=lambda: SPACE)
    margin: float = 1.25
    digests: dict[str, str] = field(default_factory=lambda: {"test": "0"})

    def __call__(self, crop, theta, rho):
        assert theta == 30.0
        return np.clip(crop + 100.0 * rho, 0, 255).astype(np.uint8)


def generator(method: str = "distilled", **settings) -> Generator:
    made = Generator(crop="face", size=192, **settings)
    made.__dict__["editor"] = Brighter(method)
    made.__dict__["digests"] = {}
    return made


def drawn(made: Generator, portrait, target: Target = POINT):
    image, faces = made.faces(portrait)
    face = made.prepare(image, faces[0])
    return face, made.draw(face, target)


# ------------------------------------------------------------------ shares
@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("3dmm", {"3dmm": 1.0}),
        ("ganmut:1", {"ganmut": 1.0}),
        ("3dmm:0.7,ganmut:0.3", {"3dmm": 0.7, "ganmut": 0.3}),
        ("3dmm:1, ganmut:0", {"3dmm": 1.0}),
    ],
)
def test_routes_are_read(text, shares):
    assert parse_route(text) == shares


@pytest.mark.parametrize(
    "text", ["", "gan", "3dmm:a", "3dmm:-1", "3dmm:nan", "3dmm,3dmm", "3dmm:0"]
)
def test_other_routes_are_refused(text):
    with pytest.raises(UsageError, match="route: expected .* got"):
        Generator(route=text)


def test_pictures_are_shared_out_as_asked():
    made = Generator(route="3dmm:3,ganmut:1")
    names = [made.route_of(seed) for seed in range(2000)]
    assert abs(names.count("ganmut") / 2000 - 0.25) < 0.03
    assert names == [made.route_of(seed) for seed in range(2000)]
    assert {Generator().route_of(seed) for seed in range(10)} == {"3dmm"}


# ------------------------------------------------------------------ pictures
def test_the_networks_route_edits_the_neutral_face(portrait):
    face, sample = drawn(generator(route="ganmut"), portrait)
    record = sample.record
    assert (record.lookup, record.style) == ("ganmut", "mean_face")
    assert (record.theta, record.rho) == (30.0, round(POINT.va.radius, 6))
    assert record.weights == {} and record.editing["method"] == "distilled"
    x0, y0, x1, y1 = inside(square_crop(face.rig.landmarks.points, 1.25), sample.image.shape)
    changed = (sample.image != face.rig.image.pixels).any(2)
    assert changed.any()
    changed[y0:y1, x0:x1] = False
    assert not changed.any() and (sample.record.valence, sample.record.arousal) == (0.6, 0.3)


@pytest.mark.parametrize(("method", "share"), [("distilled", 0.3), ("ganmut", 1.0)])
def test_refining_goes_over_what_the_model_drew(portrait, method, share):
    _, plain = drawn(generator(), portrait)
    _, sample = drawn(generator(method, refine="ganmut"), portrait)
    assert sample.record.lookup == "smooth+ganmut"
    assert sample.record.weights == plain.record.weights
    assert sample.record.rho == round(share * round(POINT.va.radius, 6), 6)
    assert sample.mask.sum() > plain.mask.sum()
    assert plain.record.theta is None and plain.record.editing == {}


def test_settings_of_edits_are_checked(tmp_path):
    with pytest.raises(UsageError, match="refine: expected one of"):
        Generator(refine="stargan")
    with pytest.raises(UsageError, match="editor-weights: expected --route ganmut or --refine"):
        Generator(editor_weights=tmp_path / "a.safetensors")
