"""Readers as ONNX files: the same answers at any batch, and what the file says of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from synth.errors import AssetError, DependencyError, ShapeError, UsageError
from synth.models.fer import ARCHITECTURES, FERConfig, build, load_fer, save_fer
from synth.models.fer.onnx_reader import OnnxReaderNet
from synth.models.onnx_export import export_onnx_fer, main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SEVEN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
#: The others are slower to export than they differ.
FAST = {"small_cnn", "mobilenet_v1", "mobilenet_v3_small", "vgg_face", "vgg_face_gru"}


def given(config: FERConfig, n: int, frames: int = 3) -> list[torch.Tensor]:
    """What a network of `config` takes: pictures, and landmarks where it reads them."""
    random = torch.Generator().manual_seed(n)
    lead = (n, frames) if config.architecture.video else (n,)
    coarse = torch.rand((*lead, config.channels, 4, 4), generator=random) * 2 - 1
    images = coarse.repeat_interleave(config.size // 4, -1).repeat_interleave(config.size // 4, -2)
    points = torch.rand(n, 68, 2, generator=random) * (config.size - 1)
    return [images, points] if config.reads_points else [images]


def reader(arch: str, **settings: object) -> nn.Module:
    """A thin network whose norms are as if trained, so that answers differ."""
    config = FERConfig(arch, **{"classes": SEVEN, "size": 32, "width": 0.125, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build(config)
    for module in network.train().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network(*given(config, 16))
        for name, variance in network.named_buffers():
            if name.endswith("running_var"):
                variance.clamp_(min=0.02)  # norms magnify rounding no more than trained ones
        features = network.eval()(*given(config, 16)).features
        for layer in (network.head.va, network.head.logits):
            if layer is not None:  # answers of about 0.3
                scale = 0.3 / features.square().sum(-1).mean().sqrt()
                layer.weight.mul_(scale / layer.weight.std())
    return network


@pytest.mark.parametrize(
    "arch, landmarks",
    [
        *((arch, False) for arch in ARCHITECTURES if arch in FAST),
        ("small_cnn", True),
        *(
            pytest.param(arch, False, marks=pytest.mark.slow)
            for arch in ARCHITECTURES
            if arch not in FAST
        ),
        pytest.param("ddamfn", True, marks=pytest.mark.slow),
    ],
)
def test_onnx_runtime_answers_as_torch_at_any_batch(arch, landmarks, tmp_path):
    network = reader(arch, landmarks=landmarks, channels=1)
    export_onnx_fer(network, tmp_path / "reader.onnx")
    other = OnnxReaderNet(tmp_path / "reader.onnx")
    for n in (1, 2, 5):
        parts = given(network.config, n, frames=4)
        with torch.no_grad():
            answer = network(*parts)
        va, probabilities = other(*(part.numpy() for part in parts))
        np.testing.assert_allclose(va, answer.va, rtol=0, atol=1e-4)
        np.testing.assert_allclose(probabilities, answer.logits.softmax(-1), rtol=0, atol=1e-4)
    assert np.ptp(va.reshape(-1, 2), 0).min() > 1e-3  # it does tell pictures apart


def test_outputs_are_those_of_the_heads(tmp_path):
    import onnxruntime

    for heads, names in (
        ({"classes": ()}, ["valence_arousal"]),
        ({"va": False}, ["probabilities"]),
        ({}, ["valence_arousal", "probabilities"]),
    ):
        network = reader("small_cnn", **heads)
        export_onnx_fer(network, tmp_path / "reader.onnx")
        session = onnxruntime.InferenceSession(str(tmp_path / "reader.onnx"))
        assert [output.name for output in session.get_outputs()] == names
        assert session.get_inputs()[0].shape == ["n", 3, 32, 32]
        va, probabilities = OnnxReaderNet(tmp_path / "reader.onnx")(given(network.config, 2)[0])
        assert (va is None, probabilities is None) == (
            "valence_arousal" not in names,
            "probabilities" not in names,
        )
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert va.shape == (2, 2) and np.abs(va).max() <= 1


def test_files_say_what_is_in_them(tmp_path):
    network = reader("small_cnn", channels=1, landmarks=True).train()
    export_onnx_fer(network, tmp_path / "reader.onnx", "nir", data="a set")
    assert network.training and network.backbone.training
    other = OnnxReaderNet(tmp_path / "reader.onnx")
    assert other.config == network.config
    assert other.meta == {
        "kind": "fer", "config": network.config.dumps(), "task": "both",
        "classes": ",".join(SEVEN), "size": "32", "channels": "1", "spectrum": "nir",
        "normalisation": "pixels / 127.5 - 1", "data": "a set",
    }  # fmt: skip
    for wrong in ({"spectrum": "uv"}, {"size": "3"}, {"channels": "2"}):
        with pytest.raises(UsageError, match="expected"):
            export_onnx_fer(network, tmp_path / "wrong.onnx", **wrong)
    assert not (tmp_path / "wrong.onnx").exists()


def test_weights_files_are_exported_beside_themselves(tmp_path, capsys):
    network = reader("small_cnn")
    save_fer(tmp_path / "w.safetensors", network, "nir", data="a set")
    main([str(tmp_path / "w.safetensors")])
    assert capsys.readouterr().out == f"{tmp_path / 'w.onnx'}\n"
    kept = load_fer(tmp_path / "w.safetensors")[1]
    other = OnnxReaderNet(tmp_path / "w.onnx")
    assert other.meta == kept
    with torch.no_grad():
        expected = network(*given(network.config, 3)).va
    np.testing.assert_allclose(other(given(network.config, 3)[0])[0], expected, atol=1e-4)
    with pytest.raises(SystemExit, match="does not exist"):
        main([str(tmp_path / "none.safetensors")])


def test_landmarks_that_are_unknown_harm_nobody_else(tmp_path):
    network = reader("small_cnn", landmarks=True)
    export_onnx_fer(network, tmp_path / "reader.onnx")
    images, points = (part.numpy() for part in given(network.config, 3))
    other = OnnxReaderNet(tmp_path / "reader.onnx")
    known = other(images, points)[0]
    points[1] = np.nan
    partly = other(images, points)[0]
    np.testing.assert_allclose(partly[[0, 2]], known[[0, 2]], atol=1e-6)
    assert np.isfinite(partly).all()


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(AssetError, match="does not exist; make it with python -m"):
        OnnxReaderNet(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(AssetError, match="expected an ONNX network"):
        OnnxReaderNet(tmp_path / "text.onnx")
    _another(tmp_path / "other.onnx")
    with pytest.raises(AssetError, match="expected the kind fer, got none in other.onnx"):
        OnnxReaderNet(tmp_path / "other.onnx")
    network = reader("small_cnn", landmarks=True)
    export_onnx_fer(network, tmp_path / "reader.onnx")
    images, points = (part.numpy() for part in given(network.config, 3))
    other = OnnxReaderNet(tmp_path / "reader.onnx")
    with pytest.raises(ShapeError, match=r"images: expected \(N, 3, 32, 32\), got \(3, 1, 32, 32"):
        other(images[:, :1], points)
    for wrong in (None, points[:2]):
        with pytest.raises(ShapeError, match=r"points: expected \(3, 68, 2\), got"):
            other(images, wrong)


def _another(path) -> None:
    import onnx

    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    path.write_bytes(model.SerializeToString())


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    network = reader("small_cnn")
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"onnx: expected .*synth-affect\[onnx\]"):
        export_onnx_fer(network, tmp_path / "reader.onnx")
    with pytest.raises(DependencyError, match=r"onnxruntime: expected .*synth-affect\[onnx\]"):
        OnnxReaderNet(tmp_path / "reader.onnx")


def test_the_runtime_needs_no_torch():
    import subprocess

    code = "import sys, synth.models.fer.onnx_reader; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
