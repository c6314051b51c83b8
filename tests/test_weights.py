"""Weights come back as they were, and damaged or foreign files are refused."""

from __future__ import annotations

import pickle

import pytest
import torch

from synth.errors import AssetError
from synth.models.weights import load_weights, save_weights


def test_tensors_and_metadata_come_back(tmp_path):
    tied = torch.arange(6.0).reshape(2, 3)
    tensors = {"a.weight": tied, "b": tied.T, "half": torch.ones(2, dtype=torch.bfloat16)}
    save_weights(tmp_path / "w.safetensors", tensors, "cyclegan", to="nir", config='{"ngf": 4}')
    back, meta = load_weights(tmp_path / "w.safetensors", "cyclegan")
    assert meta == {"kind": "cyclegan", "to": "nir", "config": '{"ngf": 4}'}
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_same_weights_are_the_same_bytes(tmp_path):
    meta = {name: name * 3 for name in "abcdefgh"}
    for i, order in enumerate((sorted(meta), sorted(meta, reverse=True))):
        ordered = {name: meta[name] for name in order} | {"\u00fc": '\u00e4 "quoted"'}
        save_weights(tmp_path / f"{i}", {"w": torch.arange(5)}, "light", **ordered)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    tensors, back = load_weights(tmp_path / "0")
    assert back == {"kind": "light", **ordered} and tensors["w"].tolist() == [0, 1, 2, 3, 4]


def test_kinds(tmp_path):
    save_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, "light")
    assert load_weights(tmp_path / "w.safetensors")[1]["kind"] == "light"
    assert load_weights(tmp_path / "w.safetensors", ("cyclegan", "light"))[1]["kind"] == "light"
    with pytest.raises(AssetError, match="expected the kind score, got 'light'"):
        load_weights(tmp_path / "w.safetensors", "score")


def test_missing_truncated_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(AssetError, match="does not exist"):
        load_weights(path)
    save_weights(path, {"a": torch.ones(100)}, "light")
    whole = path.read_bytes()
    for content in (whole[:-8], whole[:5], b"", b"not weights at all", pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(AssetError, match="expected a whole safetensors file"):
            load_weights(path)
