"""The reader that comes with the package, asked about faces that the generator drew."""

from __future__ import annotations

import numpy as np
import pytest

from synth import Generator, assets
from synth.models.fer.onnx_reader import OnnxReaderNet
from synth.models.fer.pictures import scale_points, to_input
from synth.recognition.infer import Inference, read_image
from synth.recognition.reader import FaceReader


@pytest.fixture(scope="module")
def drawn(samples) -> dict[str, np.ndarray]:
    """A portrait, as it is, pleased and angry."""
    wishes = {"neutral": (0.0, 0.0), "happiness": (0.85, 0.2), "anger": (-0.44, 0.8)}
    generator = Generator(crop="face", size=384)
    photo = samples / "sample_3.jpg"
    made = list(generator.run([photo], list(wishes.values())))
    return dict(zip(wishes, (sample.image for sample in made), strict=True))


@pytest.mark.parametrize("spectrum", ["vis", "nir"])
def test_a_smile_reads_more_pleasant_and_anger_less(drawn, spectrum):
    inference = Inference(spectrum=spectrum)
    grey = {name: p if spectrum == "vis" else np.repeat(p.mean(2, keepdims=True), 3, 2)
            for name, p in drawn.items()}  # fmt: skip
    found = {name: read_image(p.astype(np.uint8), inference)[0] for name, p in grey.items()}
    assert found["happiness"].valence > found["neutral"].valence + 0.3
    assert found["anger"].valence < found["neutral"].valence - 0.1
    assert found["anger"].arousal > found["neutral"].arousal
    assert found["happiness"].expression == "happiness"


def test_one_small_file_reads_both_spectra_and_onnx_says_the_same(samples):
    torch_file, onnx_file = assets.path("fer"), assets.path("fer_onnx")
    assert max(file.stat().st_size for file in (torch_file, onnx_file)) < 10e6
    reader = FaceReader(None, "nir")
    assert reader.path == torch_file and reader.spectra == ("vis", "nir")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 64, 64), np.uint8)
    points = rng.uniform(5, 60, (5, 68, 2))
    said = reader.read(pixels, points)
    images = to_input(list(pixels), reader.config).numpy()
    va, probabilities = OnnxReaderNet(onnx_file)(
        images, scale_points(points, 64, reader.config).numpy()
    )
    assert np.abs(va - said.va).max() < 1e-4
    assert np.abs(probabilities - said.probabilities).max() < 1e-4
