"""Sets with affect labels, written tiny in their documented layouts, and read back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from synth.corpora import CorpusImage, describe, read_corpus
from synth.corpora.columns import column_cells, floats_of, whole_numbers_of
from synth.corpora.npy import scalar_of
from synth.errors import UsageError
from synth.images import encode_image

PHOTO = encode_image(np.zeros((8, 8, 3), np.uint8), "jpg")  # readers never look inside


@pytest.fixture
def put(tmp_path):
    """Writes photos, or files with a text, below a folder."""

    def write(*names: str, **texts: str) -> Path:
        for name, content in [*((n, PHOTO) for n in names), *texts.items()]:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def refused(match: str, corpus: str, root: Path, **options: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        read_corpus(corpus, root, **options)
    text = str(caught.value)
    assert "expected" in text and "got" in text


def by_name(images: list[CorpusImage]) -> dict[str, CorpusImage]:
    return {image.name: image for image in images}


# ------------------------------------------------------------------- tables
def test_columns_of_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('A , b,c\n1,"x,y",3\n\n2,z,4\n')
    cells, lines = column_cells(path, ("c", "a"))
    assert cells == {"c": ["3", "4"], "a": ["1", "2"]} and lines == [2, 4]
    headless, lines = column_cells(path, ("two",), names=("one", "two", "three"))
    assert headless["two"] == ["b", "x,y", "z"] and lines == [1, 2, 4]
    for text, match in (
        ("a,b\n", "only a header"),
        ("", "empty file"),
        ("a,b\n1\n", "line 2: expected 2 cells, got 1"),
        ("a,c\n1,2\n", "add b"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=match):
            column_cells(path, ("a", "b"))
    with pytest.raises(UsageError, match="No such file"):
        column_cells(tmp_path / "none.csv", ("a",))


def test_numbers_of_a_column():
    path, lines = Path("t.csv"), [2, 3, 4]
    values = floats_of(["0.5", " -2 ", ""], lines, path, "valence", (-1, 1), absent=-2)
    np.testing.assert_array_equal(values, [0.5, np.nan, np.nan])
    for cell in ("1.5", "-2", "x", "inf", "nan"):
        with pytest.raises(UsageError, match="line 3: expected valence from -1 to 1"):
            floats_of(["0", cell, "0"], lines, path, "valence", (-1, 1))
    assert whole_numbers_of(["3", "2.0"], lines, path, "code", (0, 3)).tolist() == [3, 2]
    for cell in ("1.5", "", "4", "-1"):
        with pytest.raises(UsageError, match="line 2"):
            whole_numbers_of([cell], lines, path, "code", (0, 3))


@pytest.mark.parametrize(
    "array",
    [np.array("0.25"), np.array(0.25), np.array([0.25], np.float32), np.array(["0.25"]),
     np.array([[0.25]]), np.array(b"0.25"), np.array(0.25, ">f8")],
)  # fmt: skip
def test_scalar_of_any_numpy_file(tmp_path, array):
    """The short way and numpy's own agree."""
    np.save(tmp_path / "a.npy", array)
    if array.dtype.kind == "S":
        with pytest.raises(UsageError, match="one number"):
            scalar_of(tmp_path / "a.npy", "valence", (-1, 1))
    else:
        assert scalar_of(tmp_path / "a.npy", "valence", (-1, 1)) == 0.25


def test_scalar_refuses(tmp_path):
    path = tmp_path / "a.npy"
    for value, match in (
        (np.array(["1", "2"]), "one number"),
        (np.array("x"), "one number"),
        (np.array(3.0), "from -1 to 1"),
        (np.array(np.nan), "from -1 to 1"),
        (np.array({"a": 1}, object), "one number"),
    ):
        np.save(path, value, allow_pickle=True)
        with pytest.raises(UsageError, match=match):
            scalar_of(path, "valence", (-1, 1))
    np.save(path, np.array("-2"))
    assert scalar_of(path, "valence", (-1, 1), absent=-2) is None
    np.save(path, np.array(1.5))
    with pytest.raises(UsageError, match="whole number"):
        scalar_of(path, "expression", (0, 10), whole=True)
    for damaged in (b"", b"\x93NUMPY", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="one number"):
            scalar_of(path, "valence", (-1, 1))
    with pytest.raises(UsageError, match="No such file"):
        scalar_of(tmp_path / "none.npy", "valence", (-1, 1))


# ---------------------------------------------------------------- AffectNet
HEAD = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal\n"
)
ROWS = (
    "1/a.jpg,0,0,9,9,1.0;2.0;3.5,1,0.5,-0.25\n"
    "1/b.JPG,0,0,9,9,1.0;2.0,8,-0.1,0.1\n"
    "2/c.png,0,0,9,9,1.0;2.0,9,-2,-2\n"
    "2/d.jpg,NULL,NULL,NULL,NULL,,10,-2,-2\n"
)
LISTS = "Manually_Annotated_file_lists"
PHOTOS = "Manually_Annotated/Manually_Annotated_Images"


def affectnet(put, rows: str = ROWS) -> Path:
    lists = {f"{LISTS}/training.csv": HEAD + rows, f"{LISTS}/validation.csv": (
        "3/e.jpg,0,0,9,9,1.0;2.0,7,-0.6,0.6\n"  # this list has no header in some copies
    )}  # fmt: skip
    return put(*(f"{PHOTOS}/{n}" for n in ("1/a.jpg", "1/b.JPG", "3/e.jpg")), **lists)


def test_affectnet_whole_set(put):
    root = affectnet(put)
    images = by_name(read_corpus("affectnet", root))
    assert list(images) == [f"{PHOTOS}/{n}" for n in ("1/a.jpg", "1/b.JPG", "3/e.jpg")]
    a, b, e = images.values()
    assert (a.expression, a.valence, a.arousal, a.split) == ("happiness", 0.5, -0.25, "train")
    assert (b.expression, b.valence, b.split) == ("", -0.1, "train")
    assert (e.expression, e.valence, e.split) == ("contempt", -0.6, "val")
    assert len({i.subject for i in images.values()}) == 3 and a.path.is_file()
    assert {i.spectrum for i in images.values()} == {"vis"}
    assert len(read_corpus("affectnet", root, keep="eight")) == 2
    assert [i.valence for i in read_corpus("affectnet", root, keep="all")][2:4] == [None, None]
    assert [i.split for i in read_corpus("affectnet", root, split="val")] == ["val"]


def test_affectnet_missing_photos(put):
    root = affectnet(put)
    refused(
        "4 photos of training.csv, got 2; 2/c.png", "affectnet", root, keep="all", missing="refuse"
    )
    assert len(read_corpus("affectnet", root, keep="all", missing="leave-out")) == 3
    assert len(read_corpus("affectnet", root, missing="refuse")) == 3


@pytest.mark.parametrize(
    "row, match",
    [
        ("1/a.jpg,0,0,9,9,1.0,11,0,0\n", "line 2: expected expression from 0 to 10, got '11'"),
        ("1/a.jpg,0,0,9,9,1.0,,0,0\n", "line 2: expected whole expression"),
        ("1/a.jpg,0,0,9,9,1.0,1,0,1.5\n", "line 2: expected arousal"),
        ("1/a.jpg,0,0,9,9,1.0,1,x,0\n", "line 2: expected valence"),
        ("1/a.jpg,0,0,9\n", "line 2: expected 9 cells, got 4"),
        ("", "only a header"),
    ],
)
def test_affectnet_bad_rows(put, row, match):
    refused(match, "affectnet", affectnet(put, row))


def test_affectnet_lists_missing(put):
    root = affectnet(put)
    (root / LISTS / "validation.csv").unlink()
    refused("validation.csv in Manually", "affectnet", root)
    assert len(read_corpus("affectnet", root, split="train")) == 2
    refused("train_set", "affectnet", root, annotated="automatically")
    refused("train, val, all", "affectnet", root, split="test")
    refused("eight, faces, all", "affectnet", root, keep="7")


def small(root: Path, part: str, number: int, **labels: object) -> None:
    folder = root / part
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{number}.jpg").write_bytes(PHOTO)
    for name, value in labels.items():
        np.save(folder / "annotations" / f"{number}_{name}.npy", np.array(value))


def test_affectnet_small_release(tmp_path):
    small(tmp_path, "train_set", 0, exp="0", val="0.1", aro="-0.2", lnd=[1.0, 2.0])
    small(tmp_path, "train_set", 10, exp="6", val="-2", aro="-2")
    small(tmp_path, "val_set", 0, exp=3, val=0.25, aro=0.75)
    images = read_corpus("affectnet", tmp_path)
    assert [(i.name, i.expression, i.valence, i.arousal, i.split) for i in images] == [
        ("train_set/images/0.jpg", "neutral", 0.1, -0.2, "train"),
        ("train_set/images/10.jpg", "anger", None, None, "train"),
        ("val_set/images/0.jpg", "surprise", 0.25, 0.75, "val"),
    ]
    assert len({i.subject for i in images}) == 3
    assert len(read_corpus("affectnet", tmp_path, split="val")) == 1
    (tmp_path / "val_set/annotations/0_aro.npy").unlink()
    refused("0_aro.npy.*No such file", "affectnet", tmp_path)
    small(tmp_path, "val_set", 0, exp=12, val=0.25, aro=0.75)
    refused("0_exp.npy: expected a whole number from 0 to 10", "affectnet", tmp_path)


# ------------------------------------------------------------------- RAF-DB
LIST = "basic/EmoLabel/list_patition_label.txt"


def raf(put, lines: str = "train_00001.jpg 5\ntest_0001.jpg 1\ntrain_00002.jpg 7\n") -> Path:
    names = ("train_00001", "train_00002", "test_0001")
    attributes = {
        f"basic/Annotation/manual/{names[0]}_manu_attri.txt": "1\t2\n" * 5 + "1\n2\n3\n",
        f"basic/Annotation/manual/{names[2]}_manu_attri.txt": "1\t2\n" * 5 + "2\n0\n4\n",
        LIST: lines,
    }
    return put(*(f"basic/Image/aligned/{n}_aligned.jpg" for n in names), **attributes)


def test_raf_db(put):
    images = by_name(read_corpus("raf-db", raf(put)))
    first = images["basic/Image/aligned/train_00001_aligned.jpg"]
    assert (first.expression, first.split, first.subject) == ("sadness", "train", "train_00001")
    assert first.groups == (("age", "40-69"), ("ethnicity", "Asian"), ("gender", "female"))
    test = images["basic/Image/aligned/test_0001_aligned.jpg"]
    assert (test.expression, test.split) == ("surprise", "test")
    assert test.groups == (("age", "70+"), ("ethnicity", "Caucasian"))  # gender unsure
    assert images["basic/Image/aligned/train_00002_aligned.jpg"].groups == ()
    assert first.valence is None and first.path.is_file()
    text = describe(list(images.values()))
    assert "| split: train" in text and "| gender: female" in text


def test_raf_db_original_and_parts(put):
    root = raf(put)
    refused("Image/original", "raf-db", root, images="original")
    put(*(f"basic/Image/original/{n}.jpg" for n in ("train_00001", "train_00002", "test_0001")))
    names = [i.name for i in read_corpus("raf-db", root, images="original", split="train")]
    assert names == [f"basic/Image/original/train_0000{k}.jpg" for k in (1, 2)]
    assert len(read_corpus("raf-db", root / "basic", split="test")) == 1
    put(
        "compound/Image/aligned/train_1.jpg", **{LIST.replace("basic", "compound"): "train_1.jpg 9"}
    )
    assert len(read_corpus("raf-db", root)) == 3
    refused("1 to 7, got 9", "raf-db", root / "compound")


@pytest.mark.parametrize(
    "lines, match",
    [
        ("train_00001.jpg 8\n", "line 1: expected a label from 1 to 7, got 8; the compound"),
        ("train_00001.jpg 0\n", "from 1 to 7"),
        ("train_00001.jpg\n", "line 1: expected a line such as"),
        ("photo_1.jpg 1\n", "such as train_00001.jpg 5"),
        ("train_00001.jpg 1\ntrain_00009.jpg 1\n", "2 photos in .*got 1; train_00009_aligned"),
        ("", "list_patition_label.txt"),
    ],
)
def test_raf_db_bad_lists(put, lines, match):
    refused(match, "raf-db", raf(put, lines))


def test_raf_db_bad_attributes(put):
    root = raf(put)
    put(**{"basic/Annotation/manual/train_00001_manu_attri.txt": "1\t2\n" * 5 + "7\n0\n0\n"})
    refused("gender from 0 to 2, got '7'", "raf-db", root)


# ---------------------------------------------------------------- Aff-Wild2
def aff_wild2(put, expr: str = "0\n4\n-1\n7\n") -> Path:
    va = "annotations/VA_Estimation_Challenge"
    lists = {
        f"{va}/Train_Set/1-30.txt": "valence,arousal\n0.1,0.2\n-5,-5\n0.3,-5\n0.4,-0.6\n",
        f"{va}/Validation_Set/7_left.txt": "valence,arousal\n-1,1\n",
        "annotations/EXPR_Classification_Challenge/Train_Set/7_left.txt": "Neutral,Anger,Disgust,"
        "Fear,Happiness,Sadness,Surprise,Other\n" + expr,
    }
    frames = [f"cropped_aligned/1-30/{k:05d}.jpg" for k in (1, 2, 3, 4, 6)]  # 5: not detected
    return put(*frames, *(f"cropped_aligned/7_left/{k:05d}.jpg" for k in range(1, 5)), **lists)


def test_aff_wild2_valence_arousal(put):
    images = read_corpus("aff-wild2", aff_wild2(put))
    assert [(i.name, i.valence, i.arousal, i.split, i.frame) for i in images] == [
        ("cropped_aligned/1-30/00001.jpg", 0.1, 0.2, "train", 1),
        ("cropped_aligned/1-30/00004.jpg", 0.4, -0.6, "train", 4),
        ("cropped_aligned/7_left/00001.jpg", -1.0, 1.0, "val", 1),
    ]
    assert {i.subject for i in images} == {i.sequence for i in images} == {"1-30", "7_left"}
    assert {i.expression for i in images} == {""}


def test_aff_wild2_expressions(put):
    root = aff_wild2(put)
    images = read_corpus("aff-wild2", root, task="expr")
    assert [(i.frame, i.expression, i.split) for i in images] == [
        (1, "neutral", "train"),
        (2, "happiness", "train"),
    ]
    refused("labelled frames", "aff-wild2", root, task="expr", split="val")
    assert [i.frame for i in read_corpus("aff-wild2", root, every="3", split="train")] == [1, 4]


def test_aff_wild2_wrong(put):
    root = aff_wild2(put, "0\n8\n")
    refused("line 3: expected label from -1 to 7", "aff-wild2", root, task="expr")
    refused("every: expected a whole number above 0", "aff-wild2", root, every="0")
    refused("cropped_aligned", "aff-wild2", root, frames="faces")
    put("cropped_aligned/1-30/00012.jpg")
    refused("a line for each frame of 1-30, got 4 for 12.*length=any", "aff-wild2", root)
    assert len(read_corpus("aff-wild2", root, length="any")) == 3
    put("cropped_aligned/1-30/4.jpg")
    refused("one photo a number", "aff-wild2", root)
    va = root / "annotations/VA_Estimation_Challenge/Train_Set/1-30.txt"
    va.write_text("valence,arousal\n0.1,2\n")
    refused("line 2: expected arousal", "aff-wild2", root)
    va.write_text("Neutral,Anger\n0,1\n")
    refused("add valence, arousal", "aff-wild2", root)
    va.rename(va.with_name("9.txt"))
    refused("the frames of 9.txt .*no such folder", "aff-wild2", root)


# ----------------------------------------------------------------- Aff-Wild
def aff_wild(put, arousal: str = "0.1\n0.2\n0.3\n") -> Path:
    notes = {
        "annotations/train/valence/105.txt": "-0.5\n0\n1\n",
        "annotations/train/arousal/105.txt": arousal,
    }
    return put(*(f"frames/train/105/{k:05d}.jpg" for k in range(1, 4)), **notes)


def test_aff_wild(put):
    root = aff_wild(put)
    images = read_corpus("aff-wild", root)
    assert [(i.frame, i.valence, i.arousal) for i in images] == [
        (1, -0.5, 0.1),
        (2, 0.0, 0.2),
        (3, 1.0, 0.3),
    ]
    assert {(i.subject, i.split) for i in images} == {("105", "train")}
    assert [i.valence for i in read_corpus("aff-wild", root, first="0")] == [0.0, 1.0]
    assert [i.frame for i in read_corpus("aff-wild", root, every="2")] == [1, 3]


def test_aff_wild_wrong(put):
    refused("105, got 3 and 2", "aff-wild", aff_wild(put, "0\n0\n"))
    refused("line 1: expected arousal", "aff-wild", aff_wild(put, "2\n0\n0\n"))
    root = aff_wild(put)
    put("frames/train/105/00020.jpg")
    refused("got 3 for 20", "aff-wild", root)
    assert len(read_corpus("aff-wild", root, length="any")) == 3
    (root / "frames/train/105/00020.jpg").unlink()
    put(**{"annotations/train/valence/9.txt": "0\n", "annotations/train/arousal/9.txt": "0\n"})
    refused("the frames of video 9 .*take them out", "aff-wild", root)


# ------------------------------------------------------------------ AFEW-VA
def afew(put, name: str = "001", **other: object) -> Path:
    frames = {f"{k:05d}": {"landmarks": [[1, 2]], "valence": k, "arousal": -10} for k in range(3)}
    notes: dict[str, object] = {"video_id": name, "frames": frames} | other
    texts = {f"01/{name}/{name}.json": json.dumps(notes)}
    return put(*(f"01/{name}/{k:05d}.png" for k in range(3)), **texts)


def test_afew_va(put):
    root = afew(put)
    afew(put, "002", actor="Anna")
    images = read_corpus("afew-va", root)
    assert [(i.valence, i.arousal, i.frame) for i in images[:3]] == [
        (0.0, -1.0, 0),
        (0.1, -1.0, 1),
        (0.2, -1.0, 2),
    ]
    assert Counter(i.subject for i in images) == {"001": 3, "Anna": 3}
    assert {i.sequence for i in images} == {"001", "002"}
    assert {i.subject for i in read_corpus("afew-va", root, subject="clip")} == {"001", "002"}
    assert [i.frame for i in read_corpus("afew-va", root, every="2")] == [0, 2, 0, 2]


def test_afew_va_wrong(put):
    root = afew(put, frames={"00000": {"valence": 11, "arousal": 0}})
    refused("3 photos with other numbers", "afew-va", root)
    for frames, match in (
        ({f"{k:05d}": {"valence": 11, "arousal": 0} for k in range(3)}, "frame 0.*got 11"),
        ({f"{k:05d}": {"arousal": 0} for k in range(3)}, "valence.*got None"),
        ({f"{k:05d}": 7 for k in range(3)}, "got None"),
        ({"x": {}}, "ValueError"),
        ([], "AttributeError"),
    ):
        refused(match, "afew-va", afew(put, frames=frames))
    (root / "01/001/001.json").write_text("{")
    refused("frames.*in .*001.json", "afew-va", root)


# ------------------------------------------------------------------- RECOLA
def recola(put, name: str = "P16", shift: float = 0.0, count: int = 51) -> Path:
    times = np.arange(count) * 0.04
    tables = {}
    for axis, sign in (("valence", 1), ("arousal", -1)):
        lines = ["time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3"]
        for t in times:
            ratings = sign * (0.3 * np.sin(t) + np.linspace(-0.1, 0.1, 6))
            lines.append(";".join(f"{x:.6f}" for x in (t + shift * (sign < 0), *ratings)))
        folder = "RECOLA-Annotation/emotional_behaviour"
        tables[f"{folder}/{axis}/{name}.csv"] = "\n".join(lines) + "\n"
    return put(*(f"frames/{name}/{k:05d}.jpg" for k in range(1, 54)), **tables)


def test_recola_mean_of_raters(put):
    images = read_corpus("recola", recola(put))
    assert [i.frame for i in images] == list(range(1, 53))  # one step behind the last rating
    seconds = np.minimum((np.array([i.frame for i in images]) - 1) / 25, 2.0)
    np.testing.assert_allclose([i.valence for i in images], 0.3 * np.sin(seconds), atol=1e-6)
    np.testing.assert_allclose([i.arousal for i in images], -0.3 * np.sin(seconds), atol=1e-6)
    assert {(i.subject, i.split) for i in images} == {("P16", "")}


def test_recola_options(put):
    root = recola(put, "dev_1")
    one = read_corpus("recola", root, raters="fm1, FF3", every="10")
    assert [i.frame for i in one] == [1, 11, 21, 31, 41, 51] and one[0].split == "val"
    alone = read_corpus("recola", root, raters="FM1", every="10")
    np.testing.assert_allclose(
        [a.valence - o.valence for a, o in zip(alone, one, strict=True)], -0.1
    )
    # 12.5 frames a second: frame n is of twice the time
    slow = read_corpus("recola", root, fps="12.5")
    np.testing.assert_allclose(slow[10].valence, 0.3 * np.sin(0.8), atol=1e-6)
    # raters who are 0.4 s late: the face came before
    late = by_name(read_corpus("recola", root, delay="0.4"))
    np.testing.assert_allclose(late["frames/dev_1/00006.jpg"].valence, 0.3 * np.sin(0.6), atol=1e-6)


def test_recola_wrong(put):
    root = recola(put, shift=0.02)
    refused("equal times for valence and arousal of P16", "recola", root)
    refused("raters: expected all, or some", "recola", root, raters="F1")
    refused("fps: expected", "recola", root, fps="0")
    refused("delay: expected", "recola", root, delay="-1")
    refused("frames/P16", "recola", root, frames="pictures")
    root = recola(put)
    path = root / "RECOLA-Annotation/emotional_behaviour/arousal/P16.csv"
    text = path.read_text().splitlines()
    for line, match in (
        ("0.04;0;0;0;0;0;2", "line 3: expected arousal from -1 to 1"),
        ("0.04;0;0;0;0;0;", "line 3: expected arousal of each rater"),
        ("0.00;0;0;0;0;0;0", "rising times"),
        ("0.04;0;0", "expected 7 cells"),
    ):
        path.write_text("\n".join([*text[:2], line, *text[3:]]))
        refused(match, "recola", root)
    path.unlink()
    refused("P16.csv: No such file", "recola", root)


def test_recola_frames_missing(put):
    root = recola(put)
    recola(put, "P17")
    for path in (root / "frames/P17").iterdir():
        path.unlink()
    (root / "frames/P17").rmdir()
    refused("the frames of P17", "recola", root)


# ------------------------------------------------------------------ BU-3DFE
def test_bu_3dfe(put):
    root = put(
        "F0001/F0001_AN01WH_F2D.bmp", "F0001/F0001_AN04WH_F2D.bmp", "F0001/F0001_NE00WH_F2D.bmp",
        "F0001/F0001_AN04WH_F3D.bmp", "disc/M0044/M0044_SU03AE_F2D.bmp",
    )  # fmt: skip
    images = read_corpus("bu-3dfe", root)
    assert [(i.subject, i.expression, i.frame) for i in images] == [
        ("F0001", "anger", 1),
        ("F0001", "anger", 4),
        ("F0001", "neutral", 0),
        ("M0044", "surprise", 3),
    ]
    assert images[0].groups == (("ethnicity", "white"), ("gender", "female"))
    assert images[3].groups == (("ethnicity", "East-Asian"), ("gender", "male"))
    assert [i.frame for i in read_corpus("bu-3dfe", root, levels="3, 4")] == [4, 0, 3]
    put("F0002/F0002_HA02ZZ_F2D.bmp")
    assert read_corpus("bu-3dfe", root)[3].groups[0] == ("ethnicity", "ZZ")
    refused("levels: expected all", "bu-3dfe", root, levels="5")
    for name in ("F0001_XX01WH", "F0001_AN05WH", "F0001_NE01WH", "F0001_AN00WH"):
        put(f"bad/{name}_F2D.bmp")
        refused(f"got {name}", "bu-3dfe", root)
        (root / f"bad/{name}_F2D.bmp").unlink()


# ------------------------------------------------------------------- labels
def test_labels(put):
    table = (
        "file_name,subject,Valence,arousal,expression,age,gender,ethnicity,split,remark\n"
        "anna/1.jpg,Anna,0.5,-0.5,happy,30,female,,train,x\n"
        "b.png,,,,,,,,Validation,\n"
    )
    root = put("anna/1.jpg", "b.png", "not-listed.jpg", **{"labels.csv": table})
    first, second = read_corpus("labels", root)
    assert (first.subject, first.valence, first.expression) == ("Anna", 0.5, "happiness")
    assert first.groups == (("age", "30"), ("gender", "female")) and first.split == "train"
    assert (second.subject, second.split, second.groups) == ("b.png", "val", ())
    assert {i.spectrum for i in read_corpus("labels", root, spectrum="nir")} == {"nir"}
    put(**{"other.csv": "file_name,spectrum\nb.png,NIR\n"})
    assert [i.spectrum for i in read_corpus("labels", root, labels="other.csv")] == ["nir"]


@pytest.mark.parametrize(
    "table, match",
    [
        ("file_name\nz.jpg\n", "line 2: expected a photo .*'z.jpg'"),
        ("file_name\na.jpg\na.jpg\n", "line 3"),
        ("file_name,split\na.jpg,dev\n", "line 2: expected a split among train, val, test"),
        ("file_name,valence,arousal\na.jpg,0,2\n", "line 2: expected a arousal"),
        ("file_name,valence\na.jpg,0.5\n", "two numbers"),
        ("file_name,expression\na.jpg,joyous\n", "joyous"),
        ("file_name,spectrum\na.jpg,red\n", "vis, nir"),
        ("name\na.jpg\n", "add file_name"),
        ("file_name\n", "only a header"),
    ],
)
def test_labels_refused(put, table, match):
    refused(match, "labels", put("a.jpg", **{"labels.csv": table}))


# ------------------------------------------------------------------- common
def test_split_and_groups_of_an_image():
    base = {"path": Path("a"), "name": "a", "subject": "p", "spectrum": "vis"}
    assert (CorpusImage(**base).split, CorpusImage(**base).groups) == ("", ())
    with pytest.raises(UsageError, match="split: expected one of train, val, test"):
        CorpusImage(**base, split="dev")


def test_custom_nir_tells_gender(put):
    table = "file_name,person,gender,expression_code,valence,arousal\n1-a.jpg,1,male,0,0,0\n"
    (image,) = read_corpus("custom-nir", put("1-a.jpg", **{"labels.csv": table}))
    assert image.groups == (("gender", "male"),)


def test_reading_many_rows_opens_no_photo(put, monkeypatch):
    """The whole AffectNet is read from its lists: no file is asked for unless wanted."""
    root = affectnet(put, "".join(f"{k % 9}/{k}.jpg,0,0,9,9,1.0;2.0,1,0.5,0\n" for k in range(500)))

    def asked(*_):
        raise AssertionError("a file was asked for")

    pictures = root / PHOTOS
    before = Path.is_file
    monkeypatch.setattr(
        Path, "is_file", lambda self: asked() if pictures in self.parents else before(self)
    )
    assert len(read_corpus("affectnet", root)) == 501
