"""Other people's sets, written tiny in their documented layouts, and read back."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from synth.affect import EXPRESSIONS
from synth.corpora import (
    CORPORA,
    CorpusImage,
    check_pairs,
    corpus_options,
    describe,
    pairs,
    read_corpus,
    split_by_subject,
)
from synth.corpora.oulu_casia import automatic_va, neutral_frames
from synth.errors import UsageError
from synth.images import encode_image


@pytest.fixture
def put(tmp_path):
    """Writes one-pixel photos, as many as names are given, below a folder."""
    data = {
        "bmp": encode_image(np.zeros((1, 1, 3), np.uint8), "png"),  # readers never look inside
        "jpg": encode_image(np.zeros((8, 8, 3), np.uint8), "jpg"),
    }

    def write(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data["jpg" if "j" in path.suffix else "bmp"])
        return tmp_path

    return write


def names(images: list[CorpusImage]) -> list[str]:
    return [image.name for image in images]


def refused(match: str, corpus: str, root: Path, **options: str) -> str:
    with pytest.raises(UsageError, match=match) as caught:
        read_corpus(corpus, root, **options)
    text = str(caught.value)
    assert "expected" in text and "got" in text
    return text


# ------------------------------------------------------------------- folders
def test_folders_pair_equal_stems(put):
    root = put(
        "VIS/anna/01.JPG", "VIS/anna/02.jpg", "VIS/bob.png", "nir/anna/01.bmp", "nir/bob.tif"
    )
    put("vis_old/x.jpg", "nir/.hidden.jpg", "nir/__MACOSX/y.jpg")
    (root / "nir" / "notes.txt").write_text("x")
    images = read_corpus("folders", root)
    assert names(images) == sorted(names(images))
    assert len(images) == 5
    assert [(v.name, n.name) for v, n in pairs(images)] == [
        ("VIS/anna/01.JPG", "nir/anna/01.bmp"),
        ("VIS/bob.png", "nir/bob.tif"),
    ]
    assert {i.subject for i in images} == {"anna", "bob"}
    lonely = next(i for i in images if i.name == "VIS/anna/02.jpg")
    assert lonely.pair == "" and lonely.valence is None
    assert all(image.path.is_file() for image in images)


def test_folders_labels(put):
    root = put("vis/a/1.jpg", "nir/a/1.png", "vis/b/1.jpg")
    (root / "labels.csv").write_text(
        "file_name,subject,Expression,valence,arousal,remark\n"
        "VIS/a/1.jpg,Anna,Happy,0.5,-0.25,x\n"
        "nir/a/1.png,Anna,,,,\n\n"
        "b/1,Bob,sadness,,,\n"
    )
    vis_a, vis_b, nir_a = (
        {i.name: i for i in read_corpus("folders", root)}[n]
        for n in ("vis/a/1.jpg", "vis/b/1.jpg", "nir/a/1.png")
    )
    assert (vis_a.subject, vis_a.expression) == ("Anna", "happiness")
    assert (vis_a.valence, vis_a.arousal) == (0.5, -0.25)
    assert (nir_a.subject, nir_a.expression, nir_a.valence) == ("Anna", "", None)
    assert (vis_b.subject, vis_b.expression) == ("Bob", "sadness")


@pytest.mark.parametrize(
    "how, expected",
    [
        ("parent", {"s1", "c-9"}),
        ("each", {"s1/a-1", "s1/a-2", "c-9"}),
        ("stem:^[a-z]", {"a", "c"}),
        (r"stem:-(\d)", {"1", "2", "9"}),
    ],
)
def test_folders_subjects(put, how, expected):
    root = put("vis/s1/a-1.jpg", "vis/s1/a-2.jpg", "vis/c-9.jpg")
    assert {i.subject for i in read_corpus("folders", root, subject=how)} == expected


@pytest.mark.parametrize(
    "labels, match",
    [
        ("subject\nx\n", "add file_name"),
        ("file_name,valence\nvis/1.jpg,0.1\n", "two numbers"),
        ("file_name,valence,arousal\nvis/1.jpg,2,0\n", "line 2.*valence"),
        ("file_name,valence,arousal\nvis/1.jpg,nan,0\n", "line 2.*valence"),
        ("file_name,expression\nvis/1.jpg,hapy\n", "line 2.*hapy"),
        ("file_name,subject\nvis/1.jpg,a\nvis/7.jpg,b\n", "vis/7.jpg.*1 of 2"),
        ("file_name,subject\nvis/1.jpg,a\nVIS/1.jpg,b\n", "once"),
        ("file_name,subject\nvis/1.jpg\n", "2 cells"),
        ("file_name,subject\n", "only a header"),
        ("", "empty file"),
        ('file_name,subject\nvis/1.jpg,"a\n', "CSV file"),
        ("\xff\xfe", "CSV file"),
    ],
)
def test_folders_bad_labels(put, labels, match):
    root = put("vis/1.jpg", "nir/1.jpg")
    (root / "labels.csv").write_bytes(labels.encode("latin-1"))
    refused(f"(?s){match}", "folders", root)


def test_folders_wrong(put, tmp_path):
    refused("an empty folder", "folders", tmp_path)
    put("photos/1.jpg")
    text = refused("vis/ and nir/", "folders", tmp_path)
    assert "photos/" in text
    put("vis/1.jpg", "vis/1.png")
    refused("one vis image for 1, got 2", "folders", tmp_path)
    (tmp_path / "vis/1.png").unlink()
    refused("parent, each", "folders", tmp_path, subject="who")
    refused("regular expression", "folders", tmp_path, subject="stem:(")
    refused("no such|No such", "folders", tmp_path, labels="other.csv")
    refused("in the stem of 1", "folders", tmp_path, subject="stem:x*")


def test_unpaired_folders_given_as_paired(put):
    root = put("vis/1.jpg", "vis/2.jpg", "nir/2.jpg", "nir/3.jpg", "nir/4.jpg")
    images = read_corpus("folders", root)
    with pytest.raises(UsageError, match=r"2 VIS and 3 NIR images, got 1 pairs .*nir/3.jpg"):
        check_pairs(images)
    with pytest.raises(UsageError, match="0 pairs"):
        check_pairs([])
    both = [i for i in images if i.pair]
    assert check_pairs(both) == pairs(images)
    (root / "labels.csv").write_text("file_name,subject\nvis/2.jpg,Anna\nnir/2.jpg,Bob\n")
    other = [i for i in read_corpus("folders", root) if i.pair]
    with pytest.raises(UsageError, match="one person"):
        check_pairs(other)


# ---------------------------------------------------------------- oulu-casia
def oulu(put, top: str = "", vis: int = 9, nir: int = 8, people=("P001", "P080")) -> Path:
    lights = ("Strong", "Weak", "Dark")
    for person in people:
        for light in lights:
            for word in ("Anger", "Surprise"):
                at = f"{light}/{person}/{word}"
                put(*(f"{top}VL/{at}/{i:03d}.jpeg" for i in range(vis)))
                root = put(*(f"{top}NI/{at}/{i:03d}.jpeg" for i in range(nir)))
    (root / f"{top}NI/Strong/P001/Anger/Thumbs.db").write_text("x")
    return root


def test_oulu_casia(put):
    images = read_corpus("oulu-casia", oulu(put, "B_OriginalImg/OriginalImg/"))
    assert Counter(i.spectrum for i in images) == {"vis": 2 * 2 * 9, "nir": 2 * 2 * 8}
    assert {i.subject for i in images} == {"P001", "P080"}
    assert {i.light for i in images} == {"strong"}
    found = pairs(images)
    assert len(found) == 2 * 2 * 8  # the ninth VIS frame has no partner
    assert all(
        (v.subject, v.sequence, v.frame) == (n.subject, n.sequence, n.frame) for v, n in found
    )
    anger = [i for i in images if i.sequence == "P001-anger-strong" and i.spectrum == "nir"]
    assert [i.frame for i in anger] == list(range(8))
    assert [i.expression for i in anger] == ["neutral"] * 2 + ["anger"] * 6
    assert all(i.valence is None for i in images)


def test_oulu_casia_lights(put):
    root = oulu(put)
    assert {i.light for i in read_corpus("oulu-casia", root, light="Dark")} == {"dark"}
    everything = read_corpus("oulu-casia", root, light="all")
    assert Counter(i.light for i in everything) == dict.fromkeys(("strong", "weak", "dark"), 68)
    assert len(pairs(everything)) == 3 * 32


def test_oulu_casia_labels_as_published():
    """Numbers of the thesis's own label table: P009, VIS sequences of 26, 22 and 23 frames."""
    anger = automatic_va("anger", 26)
    np.testing.assert_array_equal(anger[:6], 0)
    np.testing.assert_allclose(anger[6], [-0.2943023065476599, 0.5350951028139271], atol=1e-12)
    np.testing.assert_allclose(anger[15], [-0.4122378768428715, 0.7495234124415846], atol=1e-12)
    np.testing.assert_allclose(anger[25], [-0.4356, 0.792], atol=1e-12)
    disgust = automatic_va("disgust", 22)
    np.testing.assert_allclose(disgust[5], [-0.4262089610551523, 0.3329757508243377], atol=1e-12)
    fear = automatic_va("fear", 23)
    np.testing.assert_allclose(fear[11], [-0.09, 0.72], atol=1e-12)
    assert [neutral_frames(n) for n in (26, 22, 23, 8, 1)] == [7, 6, 6, 2, 1]


@pytest.mark.parametrize("how", ["thesis", "linear"])
@pytest.mark.parametrize("word", ["happiness", "sadness"])
def test_automatic_va_grows_along_the_ray(how, word):
    apex = np.array([EXPRESSIONS[word].valence, EXPRESSIONS[word].arousal])
    for length in (1, 2, 5, 20):
        va = automatic_va(word, length, how)
        assert va.shape == (length, 2)
        strength = va @ apex / (apex @ apex)
        np.testing.assert_allclose(va, strength[:, None] * apex, atol=1e-12)
        assert strength[0] == 0 and (np.diff(strength) >= 0).all() and strength[-1] <= 1 + 1e-9


def test_oulu_casia_va_of_frames(put):
    images = read_corpus("oulu-casia", oulu(put), va="thesis")
    last = next(i for i in images if i.sequence == "P080-surprise-strong" and i.frame == 7)
    assert last.spectrum == "nir"
    assert (last.valence, last.arousal) == pytest.approx((0.99 * 0.30, 0.99 * 0.85))
    linear = read_corpus("oulu-casia", oulu(put), va="linear")
    assert [i.name for i in linear] == names(images)
    assert max(i.arousal for i in linear) == pytest.approx(0.85)


def test_oulu_casia_wrong(put, tmp_path):
    put("faces/1.jpg")
    assert "faces/" in refused("NI/Strong/P001/Anger", "oulu-casia", tmp_path)
    put("B_OriginalImg/NI/Strong/P001/Anger/000.jpeg", "F_PreprocImg/NI/Strong/P001/Anger/000.jpeg")
    refused("B_OriginalImg, F_PreprocImg", "oulu-casia", tmp_path)
    refused("B_OriginalImg, F_PreprocImg", "oulu-casia", tmp_path, tree="C")
    assert len(read_corpus("oulu-casia", tmp_path, tree="f_preprocimg")) == 1
    refused("light: dark", "oulu-casia", tmp_path, tree="F_PreprocImg", light="dark")
    refused("strong, weak, dark, all", "oulu-casia", tmp_path, light="bright")
    refused("none, thesis", "oulu-casia", tmp_path, va="yes")
    put("B_OriginalImg/NI/Strong/P001/Awe/000.jpeg")
    refused("Awe", "oulu-casia", tmp_path, tree="B_OriginalImg")


# --------------------------------------------------------------------- others
def test_buaa_numbered(put):
    numbers = [n for n in range(1, 41) if n not in (19, 20)]
    put(*(f"BUAAVISNIR/{p}/{n}.bmp" for p in (1, 2, 150) for n in numbers))
    root = put("BUAAVISNIR/readme/1.bmp")
    images = read_corpus("buaa-visnir", root)
    assert len(images) == 3 * 26 and len(check_pairs(images)) == 3 * 13
    assert {i.subject for i in images} == {"1", "2", "150"}
    assert all(int(v.path.stem) % 2 == 1 for v, _ in pairs(images))
    word = {int(i.path.stem): i.expression for i in images if i.spectrum == "nir"}
    assert [word[n] for n in (2, 18, 22, 24, 26, 28)] == [
        "neutral", "neutral", "happiness", "anger", "sadness", "surprise"
    ]  # fmt: skip
    swapped = read_corpus("buaa-visnir", root, vis="even", expressions="none")
    assert all(int(v.path.stem) % 2 == 0 for v, _ in pairs(swapped))
    assert {i.expression for i in swapped} == {""}


def test_buaa_sorted(put):
    root = put("VIS/1/1.bmp", "VIS/1/11_VIS.jpg", "NIR/1/1.bmp", "NIR/1/11_NIR.jpg", "NIR/2/3.bmp")
    images = read_corpus("buaa-visnir", root)
    assert [(v.name, n.name) for v, n in pairs(images)] == [
        ("VIS/1/1.bmp", "NIR/1/1.bmp"),
        ("VIS/1/11_VIS.jpg", "NIR/1/11_NIR.jpg"),
    ]
    assert Counter(i.expression for i in images) == {"neutral": 3, "happiness": 2}
    refused("odd, even", "buaa-visnir", root, vis="left")


def casia(put) -> Path:
    put(*(f"s1/VIS/00001/{n:03d}.jpg" for n in range(1, 4)))
    put(*(f"s1/NIR/00001/{n:03d}.bmp" for n in range(1, 6)))
    return put("s4/VIS/30752/001.jpg", "s4/NIR/30752/01-B.bmp", "example.jpg")


def test_casia_nir_vis_2(put):
    root = casia(put)
    images = read_corpus("casia-nir-vis-2", root)
    assert Counter(i.spectrum for i in images) == {"vis": 4, "nir": 6}
    assert {(i.subject, i.sequence) for i in images} == {("00001", "s1"), ("30752", "s4")}
    assert pairs(images) == [] and {i.expression for i in images} == {""}


def test_casia_crops(put):
    root = casia(put)
    put("s1/VIS_128x128/00001/001.bmp", "s1/NIR_128x128/00001/001.bmp")
    refused("128x128, none", "casia-nir-vis-2", root)
    assert len(read_corpus("casia-nir-vis-2", root, crop="none")) == 10
    assert names(read_corpus("casia-nir-vis-2", root, crop="128x128")) == [
        "s1/NIR_128x128/00001/001.bmp",
        "s1/VIS_128x128/00001/001.bmp",
    ]
    refused("128x128, none", "casia-nir-vis-2", root, crop="64x64")
    shutil.rmtree(root / "s1")
    shutil.rmtree(root / "s4")
    put("NIR_128x128/s1_NIR_00001_001.bmp", "VIS_128x128/s1_VIS_00001_01-B.bmp")
    flat = read_corpus("casia-nir-vis-2", root)
    assert [(i.subject, i.spectrum, i.sequence) for i in flat] == [
        ("00001", "nir", "s1"),
        ("00001", "vis", "s1"),
    ]


def test_casia_folds(put):
    root = casia(put)
    refused("nir_train_dev.txt", "casia-nir-vis-2", root, fold="dev")
    (root / "protocols").mkdir()
    lines = {
        "vis_train_dev": "s1\\VIS\\00001\\001.jpg\r\ns1\\VIS\\00001\\002.jpg\r\n",
        "nir_train_dev": "s1\\NIR\\00001\\005.bmp\r\n",
        "vis_gallery_dev": "s4\\VIS\\30752\\001.jpg\n",
        "nir_probe_dev": "s4\\NIR\\30752\\01-B.bmp\n",
    }
    for name, text in lines.items():
        (root / "protocols" / f"{name}.txt").write_bytes(text.encode())
    train = read_corpus("casia-nir-vis-2", root, fold="dev", part="train")
    assert names(train) == ["s1/NIR/00001/005.bmp", "s1/VIS/00001/001.jpg", "s1/VIS/00001/002.jpg"]
    assert {i.subject for i in read_corpus("casia-nir-vis-2", root, fold="dev", part="test")} == {
        "30752"
    }
    assert len(read_corpus("casia-nir-vis-2", root, fold="dev")) == 5
    refused("give fold", "casia-nir-vis-2", root, part="train")
    refused("fold", "casia-nir-vis-2", root, fold="11")
    refused("nir_probe_3", "casia-nir-vis-2", root, fold="3", part="test")
    (root / "protocols/nir_train_dev.txt").write_text("s2/NIR/1/001.bmp\n")
    refused("3 images of fold dev, got 2; s2/nir/1/001", "casia-nir-vis-2", root, fold="dev",
            part="train")  # fmt: skip
    (root / "protocols/nir_train_dev.txt").write_text("17\n")
    refused("line 1", "casia-nir-vis-2", root, fold="dev")
    put("s1/VIS/00001/001.png")
    refused("one image of s1/vis/00001/001", "casia-nir-vis-2", root)


def test_lamp_hq(put):
    put("data/VIS/0001/0001_front.jpg", "data/NIR/0001/0001_front.jpg")
    root = put("NIR_cam2/0002_left.jpg", "figures/teaser.jpg")
    images = read_corpus("lamp-hq", root)
    assert [(i.subject, i.spectrum) for i in images] == [
        ("0002", "nir"),
        ("0001", "nir"),
        ("0001", "vis"),
    ]
    assert pairs(images) == []
    assert len(pairs(read_corpus("lamp-hq", root, pairs="stem"))) == 1


def test_lamp_hq_pattern_and_lists(put):
    root = put("VIS/17-dim-a.jpg", "NIR/17-dim-a.jpg", "NIR/17-lit-happy.jpg")
    rule = r"(?P<subject>\d+)-(?P<light>\w+)-(?:a|(?P<expression>\w+))\."
    images = read_corpus("lamp-hq", root, pattern=rule)
    assert [(i.light, i.expression) for i in images] == [
        ("dim", ""),
        ("lit", "happiness"),
        ("dim", ""),
    ]
    refused("group", "lamp-hq", root, pattern=r"\d+")
    refused("groups among", "lamp-hq", root, pattern=r"(?P<who>\d+)")
    refused("a person in", "lamp-hq", root, pattern=r"(?P<subject>x)")
    (root / "Protocol/test").mkdir(parents=True)
    (root / "Protocol/test/gallery_vis1.txt").write_text("VIS/17-dim-a.jpg 5\n")
    (root / "Protocol/test/probe_nir1.txt").write_text("NIR\\17-lit-happy.jpg 5\n")
    listed = read_corpus("lamp-hq", root, lists="Protocol/test/*1.txt")
    assert [(i.name, i.subject) for i in listed] == [
        ("NIR/17-lit-happy.jpg", "5"),
        ("VIS/17-dim-a.jpg", "5"),
    ]
    refused("text files", "lamp-hq", root, lists="Protocol/*7.txt")
    refused("text files", "lamp-hq", root, lists="/etc/*")
    (root / "Protocol/test/probe_nir1.txt").write_text("NIR/9.jpg 5\n")
    refused("line 1", "lamp-hq", root, lists="Protocol/test/*1.txt")


def test_custom_nir(put):
    root = put("1-5-anger.jpg", "2-1-happy.JPG", "2-9-none.jpg")
    head = "file_name,person,gender,expression_code,valence,arousal\n"
    table = root / "labels.csv"
    rows = "1-5-anger.jpg,1,male,6.0,-0.4,0.7\n2-1-happy.JPG,2,female,1,0.9,0.1\n"
    table.write_text(head + rows + "2-9-none.jpg,2,female,8,,\n")
    images = read_corpus("custom-nir", root)
    assert [(i.subject, i.expression, i.valence) for i in images] == [
        ("1", "anger", -0.4),
        ("2", "happiness", 0.9),
        ("2", "", None),
    ]
    assert {i.spectrum for i in images} == {"nir"}
    assert {i.spectrum for i in read_corpus("custom-nir", root, spectrum="vis")} == {"vis"}
    table.write_text(head + rows)
    refused("2-9-none.jpg first", "custom-nir", root)
    table.write_text(head + rows + rows)
    refused("line 4", "custom-nir", root)
    for code in ("9", "1.5", "-1", "joy", "nan"):
        table.write_text(f"{head}1-5-anger.jpg,1,male,{code},0,0\n")
        refused("line 2: expected an expression_code", "custom-nir", root)
    table.unlink()
    refused("labels.csv", "custom-nir", root)


def test_custom_nir_shared(shared):
    images = read_corpus("custom-nir", shared / "data" / "nir")
    assert len(images) == 81
    assert Counter(i.subject for i in images) == {
        "2": 12, "3": 13, "5": 10, "8": 11, "11": 8, "12": 11, "14": 8, "16": 8
    }  # fmt: skip
    assert {i.spectrum for i in images} == {"nir"}
    assert all(i.expression and i.valence is not None for i in images)
    happy = [i.valence for i in images if i.expression == "happiness"]
    sad = [i.valence for i in images if i.expression == "sadness"]
    assert min(happy) > max(sad)


# -------------------------------------------------------------------- common
def test_errors_show_layout_and_content(put, tmp_path):
    """Every reader, on a folder of another kind."""
    root = put("holiday/beach.jpg")
    for name in CORPORA:
        assert "holiday/" in refused(r"(?s)expected .*\sin ", name, root)
        refused("no such folder", name, tmp_path / "nowhere")
        refused("a file", name, root / "holiday/beach.jpg")
        assert "ligth" in refused("expected options among", name, root, ligth="all")
        for option in corpus_options(name):
            assert "None" in refused(f"{option}: expected text", name, root, **{option: None})
    refused("one of folders", "cohn-kanade", root)
    assert corpus_options("oulu-casia") == {"light": "strong", "va": "none", "tree": ""}


def test_same_list_however_files_were_written(tmp_path):
    places = [f"{s}/p{i}/{k}.jpg" for s in ("vis", "nir") for i in range(4) for k in range(3)]
    lists = []
    for seed in (1, 2):
        random.Random(seed).shuffle(places)
        root = tmp_path / str(seed)
        for place in places:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_bytes(b"x")
        lists.append(names(read_corpus("folders", root)))
    assert lists[0] == lists[1] == sorted(places)


def images_of(people: dict[str, int]) -> list[CorpusImage]:
    return [
        CorpusImage(Path(f"{who}-{i}.jpg"), f"{s}/{who}-{i}.jpg", who, s)
        for who, count in people.items()
        for i in range(count)
        for s in ("vis", "nir")
    ]


def test_split_by_subject_keeps_people_apart():
    images = images_of({f"p{i}": 1 + i % 5 for i in range(40)})
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    parts = split_by_subject(images, shares, seed=3)
    people = {part: {i.subject for i in found} for part, found in parts.items()}
    assert [len(people[part]) for part in shares] == [32, 4, 4]
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 40
    assert sum(map(len, parts.values())) == len(images)
    shuffled = random.Random(0).sample(images, len(images))
    again = split_by_subject(shuffled, shares, seed=3)
    assert {p: {i.name for i in f} for p, f in again.items()} == {
        p: {i.name for i in f} for p, f in parts.items()
    }
    other = split_by_subject(images, shares, seed=4)
    assert {i.subject for i in other["test"]} != people["test"]


def test_split_by_subject_agrees_with_plans():
    from synth.plans.subjects import assign_splits

    for count, ratios in ((10, "0.8,0.1,0.1"), (23, "0.7,0.2,0.1"), (3, "0.9,0.05,0.05")):
        images = images_of({f"p{i}": 2 for i in range(count)})
        shares = dict(zip(("train", "val", "test"), map(float, ratios.split(",")), strict=True))
        parts = split_by_subject(images, shares, seed=7)
        planned = assign_splits([f"p{i}" for i in range(count)], ratios, 7)
        assert {i.subject: part for part, found in parts.items() for i in found} == planned


@pytest.mark.parametrize(
    "shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": 1.0, "b": 0.0}, {"a": float("nan")}]
)
def test_split_by_subject_bad_shares(shares):
    with pytest.raises(UsageError, match="sum 1"):
        split_by_subject(images_of({"p": 2, "q": 2}), shares)


def test_split_by_subject_too_few_people():
    with pytest.raises(UsageError, match="at least 2 people"):
        split_by_subject(images_of({"p": 9}), {"train": 0.5, "val": 0.5})


def test_describe(put):
    text = describe(read_corpus("oulu-casia", oulu(put), va="thesis"))
    rows = dict(
        (cells[1].strip(), (cells[2].strip(), cells[3].strip()))
        for line in text.splitlines()
        if len(cells := line.split("|")) == 5
    )
    assert rows["images"] == ("36", "32")
    assert rows["people in both"] == ("2", "2")
    assert rows["paired images"] == ("32", "32")
    assert rows["sequences"] == ("4", "4")
    assert rows["with VA"] == ("36", "32")
    assert rows["neutral"] == ("12", "8") and rows["anger"] == ("12", "12")
    assert rows["light: strong"] == ("36", "32")
    assert "no expression" not in rows
    assert len({len(line) for line in text.splitlines()}) == 1


@pytest.mark.parametrize(
    "change, match",
    [
        ({"spectrum": "ir"}, "vis or nir"),
        ({"subject": ""}, "subject"),
        ({"valence": 0.5}, "two numbers"),
        ({"valence": 0.5, "arousal": 1.5}, "two numbers"),
        ({"valence": float("nan"), "arousal": 0.0}, "two numbers"),
    ],
)
def test_corpus_image_refuses(change, match):
    good = {"path": Path("a"), "name": "a", "subject": "p", "spectrum": "vis"}
    assert CorpusImage(**good).pair == ""
    with pytest.raises(UsageError, match=match):
        CorpusImage(**(good | change))


def test_reading_needs_no_heavy_package():
    import subprocess
    import sys

    code = (
        "import sys, synth.corpora as c; [c.corpus_options(n) for n in c.CORPORA];"
        "print([m for m in ('torch', 'cv2', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
