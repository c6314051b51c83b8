"""Sets on disk: the same pictures and labels whatever the format and the reader."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.dataset import (
    FORMATS,
    SetInfo,
    finish,
    read_manifests,
    shard_done,
    shard_writer,
    write_manifest,
)
from synth.dataset.check import check_set
from synth.dataset.finish import picture_bytes
from synth.dataset.provenance import COLUMNS, label_row, read_provenance, read_rows, text_cell
from synth.errors import SynthError, UsageError
from synth.images import encode_image
from synth.types import Record

#: Split -> pictures of each of its shards.
SHARDS = {"train": (7, 6), "val": (5,)}
INFO = SetInfo("made-up", "synth augment --plan x", "x", {"settings": {"seed": 0}}, {"planned": 20})


def make_record(number: int, split: str) -> Record:
    """Labels of all kinds: with and without expression, action units and weights."""
    rng = np.random.default_rng(number)
    valence, arousal = (float(x) for x in rng.uniform(-0.7, 0.7, 2))
    named = split == "train" and number % 2 == 0
    return Record(
        file_name="", source=f"photo {number % 3}.jpg", valence=valence, arousal=arousal,
        class_valence=0.25, class_arousal=0.0, expression="happiness" if named else "",
        intensity=0.5, seed=int(rng.integers(2**62)), source_sha256=f"{number:064x}",
        lookup="smooth", style="mean_face",
        action_units={"12": 0.5, "L1": 0.25} if number % 3 else {},
        weights={"jawOpen": 0.1} if number % 2 else {"mouthSmileLeft": 0.3},
        subject=f"{split[0]}{number % 2}", plan_id=number,
    )  # fmt: skip


def make_picture(number: int, fmt: str = "jpeg") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return encode_image(np.kron(pixels, np.ones((4, 4, 1), np.uint8)), fmt)


def fill(root: Path, fmt: str, backwards: bool = False) -> None:
    """Write a whole set."""
    number = 0
    for split, sizes in SHARDS.items():
        for shard, size in enumerate(sizes):
            numbers = list(range(number, number + size))
            number += size
            writer = shard_writer(fmt, root, split, shard)
            for i in reversed(numbers) if backwards else numbers:
                writer.add(f"p_{i:04d}", make_picture(i), ".jpg", make_record(i, split))
            skipped = [{"id": 90 + shard, "source": "a.jpg", "reason": "NO_FACE", "value": None,
                        "message": "none, found"}]  # fmt: skip
            rejected = [{"id": 80 + shard, "source": "b.jpg", "reason": "LIPS", "value": 0.5}]
            counts = {"made": size, "skipped": 1, "rejected": 1}
            write_manifest(root, split, shard, "job", writer.close(), counts, skipped, rejected)
    finish(root, INFO)


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """The same pictures as a finished set of each format."""
    root = tmp_path_factory.mktemp("sets")
    for fmt in FORMATS:
        fill(root / fmt, fmt)
    return {fmt: root / fmt for fmt in FORMATS}


@pytest.fixture
def own(sets, tmp_path):
    """A copy of a set that may be damaged."""

    def copy(fmt: str) -> Path:
        shutil.copytree(sets[fmt], tmp_path / fmt)
        return tmp_path / fmt

    return copy


def tree(root: Path) -> dict[str, bytes]:
    files = (p for p in sorted(root.rglob("*")) if p.is_file())
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def expected(split: str) -> list[tuple[bytes, dict]]:
    """Bytes and labels of a split, in order."""
    start = 0 if split == "train" else sum(SHARDS["train"])
    return [
        (make_picture(i), label_row({**make_record(i, split).as_dict(),
                                     "file_name": f"{split}/p_{i:04d}.jpg"}))
        for i in range(start, start + sum(SHARDS[split]))
    ]  # fmt: skip


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# -------------------------------------------------------------------------- writing
@pytest.mark.parametrize("fmt", FORMATS)
def test_bytes_do_not_depend_on_the_order_or_the_time(fmt, sets, tmp_path):
    fill(tmp_path / fmt, fmt, backwards=True)
    assert tree(tmp_path / fmt) == tree(sets[fmt])


@pytest.mark.parametrize("fmt", FORMATS)
def test_provenance_says_where_every_picture_lies(fmt, sets):
    for split in SHARDS:
        rows = [row for m in read_manifests(sets[fmt]) if m.split == split
                for row in read_rows(sets[fmt], split, m.number)]  # fmt: skip
        assert len(rows) == sum(SHARDS[split])
        for row, (data, labels) in zip(rows, expected(split), strict=True):
            assert picture_bytes(sets[fmt], row) == data
            assert row["sha256"] == hashlib.sha256(data).hexdigest()
            assert {name: row[name] for name in COLUMNS} == labels
            record = json.loads(row["record"])
            assert record["weights"] and record["split"] == split
            assert record["file_name"] == row["file_name"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_nothing_counts_before_close_and_nothing_stays_after_abort(fmt, tmp_path):
    writer = shard_writer(fmt, tmp_path, "train", 3)
    writer.add("a", make_picture(0), "jpg", make_record(0, "train"))
    assert len(writer) == 1
    assert [p for p in tree(tmp_path) if not p.startswith(".parts/")] == []
    writer.abort()
    assert not tree(tmp_path) and not list(tmp_path.glob(".parts/*"))
    with pytest.raises(ZeroDivisionError), shard_writer(fmt, tmp_path, "train", 3) as writer:
        writer.add("a", make_picture(0), ".jpg", make_record(0, "train"))
        raise ZeroDivisionError
    assert not tree(tmp_path) and not list(tmp_path.glob(".parts/*"))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_killed_shard_is_made_anew(fmt, tmp_path):
    killed = shard_writer(fmt, tmp_path / "a", "train", 0)
    killed.add("b", make_picture(1), ".jpg", make_record(1, "train"))
    del killed  # neither closed nor aborted
    for root in (tmp_path / "a", tmp_path / "b"):
        with shard_writer(fmt, root, "train", 0) as writer:
            writer.add("a", make_picture(0), ".jpg", make_record(0, "train"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_shard_without_pictures_is_a_table_without_rows(fmt, tmp_path):
    files = shard_writer(fmt, tmp_path, "train", 0).close()
    assert files == ["provenance/train-000000.parquet"]
    assert len(read_provenance(tmp_path, "train", 0)) == 0
    write_manifest(tmp_path, "train", 0, "job", files, {"made": 0})
    assert finish(tmp_path, INFO).pictures == 0
    assert check_set(tmp_path).ok


def test_what_cannot_be_a_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match="folder, webdataset, parquet"):
        shard_writer("zip", tmp_path, "train", 0)
    for split in ("", "a/b", "shards", "part-1"):
        with pytest.raises(UsageError, match="split"):
            shard_writer("folder", tmp_path, split, 0)
    writer = shard_writer("folder", tmp_path, "train", 0)
    record = make_record(0, "train")
    for key in ("", "a.b", "../x", "a b", "x" * 81):
        with pytest.raises(UsageError, match="key"):
            writer.add(key, b"", ".jpg", record)
    with pytest.raises(UsageError, match="extension"):
        writer.add("a", b"", ".exe", record)
    writer.add("a", b"", ".jpg", record)
    with pytest.raises(UsageError, match="twice"):
        writer.add("a", b"", ".jpg", record)
    with pytest.raises(UsageError, match="split: expected train"):
        writer.add("b", b"", ".jpg", Record(**{**record.as_dict(), "split": "val"}))
    with pytest.raises(UsageError, match="file_name: expected train/b.jpg"):
        writer.add("b", b"", ".jpg", Record(**{**record.as_dict(), "file_name": "train/c.jpg"}))
    writer.abort()


@pytest.mark.parametrize(
    "text, cell",
    [("", "none"), ("none", "none"), ("0012", "id_0012"), ("1e5", "id_1e5"), ("NaN", "id_NaN"),
     ("NA", "id_NA"), ("None", "id_None"), ("True", "id_True"), ("inf", "id_inf"),
     ("anna", "anna"), ("p1", "p1"), ("12:0.5", "12:0.5")],
)  # fmt: skip
def test_text_cells_come_back_from_pandas_as_they_are(text, cell):
    assert text_cell(text) == cell
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    assert pandas.read_csv(io.StringIO(f"x\n{cell}\n"))["x"].tolist() == [cell]


# ------------------------------------------------------------------------ manifests
def test_a_shard_is_done_when_its_job_and_all_its_bytes_are_there(own):
    root = own("webdataset")
    tar = root / "train/shard-000001.tar"
    assert shard_done(root, "train", 1, "job")
    assert not shard_done(root, "train", 1, "another job")
    assert not shard_done(root, "train", 2, "job")
    content = tar.read_bytes()
    tar.write_bytes(content[:600] + bytes([content[600] ^ 1]) + content[601:])  # same size
    assert not shard_done(root, "train", 1, "job")
    tar.write_bytes(content[:-1])
    assert not shard_done(root, "train", 1, "job")
    tar.unlink()
    assert not shard_done(root, "train", 1, "job")
    tar.write_bytes(content)
    assert shard_done(root, "train", 1, "job")
    (root / "shards/train-000001.json").write_text("{")
    assert not shard_done(root, "train", 1, "job")
    with pytest.raises(SynthError, match="train-000001.json"):
        read_manifests(root)


def test_manifests_come_in_order_and_keep_what_they_were_told(sets):
    found = read_manifests(sets["folder"])
    assert [(m.split, m.number) for m in found] == [("train", 0), ("train", 1), ("val", 0)]
    assert found[0].counts == {"made": 7, "skipped": 1, "rejected": 1}
    assert found[1].skipped[0]["reason"] == "NO_FACE"
    assert found[0].files[-1].path == "provenance/train-000000.parquet"
    assert len(found[0].files) == 8


# --------------------------------------------------------------------- descriptions
def test_tables_of_what_is_missing(sets):
    with open(sets["folder"] / "skipped.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["90", "91", "90"]
    assert rows[0]["message"] == "none, found" and rows[0]["value"] == ""
    with open(sets["folder"] / "rejected.csv", newline="") as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["LIPS"] * 3


@pytest.mark.parametrize("fmt", FORMATS)
def test_card_has_a_head_that_is_valid(fmt, sets):
    yaml = pytest.importorskip("yaml", reason="needs pyyaml")
    _, head, text = (sets[fmt] / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["license"] == "other" and told["annotations_creators"] == ["machine-generated"]
    assert told["size_categories"] == ["n<1K"] and "synthetic" in told["tags"]
    splits = [entry["split"] for entry in told["configs"][0]["data_files"]]
    assert splits == ["train", "val"]
    assert "| train | 13 | 2 | 3 |" in text and "consent" in text and "NO_FACE | 3" in text


@pytest.mark.parametrize("fmt", FORMATS)
def test_croissant_is_valid_and_reads_the_labels(fmt, sets):
    mlc = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    described = mlc.Dataset(jsonld=str(sets[fmt] / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    rows = list(described.records("labels"))
    labels = [label for split in SHARDS for _, label in expected(split)]
    assert [row["labels/valence"] for row in rows] == [label["valence"] for label in labels]
    assert [row["labels/file_name"].decode() for row in rows] == [x["file_name"] for x in labels]


def test_pictures_of_the_set_show_its_labels(sets):
    plot = pixels_of((sets["folder"] / "va_histogram.png").read_bytes())
    assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 10
    sheet = pixels_of((sets["folder"] / "contact_sheet.jpg").read_bytes())
    assert sheet.shape[1] > 1000 and sheet.std() > 20
    assert (sets["folder"] / "contact_sheet.jpg").read_bytes() == (
        sets["parquet"] / "contact_sheet.jpg"
    ).read_bytes()


# -------------------------------------------------------------------------- readers
@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Hugging Face's ``datasets``, offline and with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    datasets.disable_progress_bars()
    cache = str(tmp_path / "cache")
    return lambda *args, **kwargs: datasets.load_dataset(*args, cache_dir=cache, **kwargs)


def compare(found: list[tuple[np.ndarray, dict]], split: str, exact: bool = True) -> None:
    wanted = expected(split)
    assert len(found) == len(wanted)
    for (pixels, labels), (data, right) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(pixels, pixels_of(data))
        shown = {name: right[name] for name in labels}
        assert len(labels) >= len(COLUMNS) - 4
        if exact:
            assert labels == shown
        else:  # pandas reads a decimal to the last bit but one
            assert {k: v for k, v in labels.items() if not isinstance(v, float)} == {
                k: v for k, v in shown.items() if not isinstance(v, float)
            }
            for name, value in labels.items():
                if isinstance(value, float):
                    assert value == pytest.approx(shown[name], abs=1e-14)


def labels_of(row: dict) -> dict:
    return {name: row[name] for name in COLUMNS if name in row}


@pytest.mark.parametrize("split, loaded", [("train", "train"), ("val", "validation")])
def test_image_folder_loads_as_it_is(split, loaded, sets, hub):
    rows = hub("imagefolder", data_dir=str(sets["folder"]))[loaded]
    assert "file_name" not in rows.column_names and "sequence" not in rows.column_names
    found = [(np.asarray(row["image"].convert("RGB")), labels_of(row)) for row in rows]
    compare(found, split, exact=False)


@pytest.mark.parametrize("split, loaded", [("train", "train"), ("val", "validation")])
def test_parquet_loads_as_it_is(split, loaded, sets, hub):
    rows = hub("parquet", data_dir=str(sets["parquet"]))[loaded]
    found = [(np.asarray(row["image"].convert("RGB")), labels_of(row)) for row in rows]
    compare(found, split)
    assert json.loads(rows[0]["record"])["file_name"].startswith(split)


@pytest.mark.parametrize("split, loaded", [("train", "train"), ("val", "validation")])
def test_tar_shards_load_as_they_are(split, loaded, sets, hub):
    rows = hub("webdataset", data_dir=str(sets["webdataset"]))[loaded]
    found = [(np.asarray(row["jpg"].convert("RGB")), labels_of(row["json"])) for row in rows]
    compare(found, split)


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_card_is_enough_to_load_a_set(fmt, sets, hub):
    loaded = hub(str(sets[fmt]))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 13, "val": 5}


def test_a_column_that_only_one_split_fills_loads_too(tmp_path, hub):
    """No expressions, no units, and subjects that look like numbers in one split of two."""
    for split, subject, expression in (("train", "0012", ""), ("val", "anna", "happiness")):
        record = make_record(3, split).as_dict() | {
            "subject": subject, "expression": expression, "action_units": {}, "valence": 0.0,
        }  # fmt: skip
        with shard_writer("folder", tmp_path / "set", split, 0) as writer:
            writer.add("a", make_picture(3), ".jpg", Record(**record))
        files = [f"{split}/a.jpg", f"provenance/{split}-000000.parquet"]
        write_manifest(tmp_path / "set", split, 0, "job", files)
    finish(tmp_path / "set", INFO)
    loaded = hub("imagefolder", data_dir=str(tmp_path / "set"))
    assert loaded["train"][0]["subject"] == "id_0012"
    assert loaded["train"][0]["expression"] == "none"
    assert loaded["validation"][0]["valence"] == 0.0


def test_webdataset_reads_the_shards(sets):
    webdataset = pytest.importorskip("webdataset", reason="needs webdataset")
    shards = str(sets["webdataset"] / "train/shard-{000000..000001}.tar")
    rows = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    compare([(row["jpg"], labels_of(row["json"])) for row in rows], "train")
    assert [row["__key__"] for row in rows] == [f"p_{i:04d}" for i in range(13)]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("split", SHARDS)
def test_affect_dataset_reads_every_format(fmt, split, sets):
    from synth.dataset import AffectDataset

    rows, wanted = AffectDataset(sets[fmt], split), expected(split)
    assert len(rows) == len(wanted)
    for i in np.random.default_rng(0).permutation(len(rows)):
        item, (data, labels) = rows[i], wanted[i]
        assert rows.read(i) == data
        pixels = item["image"].numpy()
        assert pixels.dtype == np.float32 and pixels.shape == (3, 32, 40)
        np.testing.assert_array_equal(np.rint(pixels.transpose(1, 2, 0) * 255), pixels_of(data))
        assert item["valence"].item() == np.float32(labels["valence"])
        assert item["arousal"].item() == np.float32(labels["arousal"])
        assert item["expression"].item() == (1 if labels["expression"] == "happiness" else -100)
        assert item["subject"] == labels["subject"]
        assert labels["file_name"] == f"{split}/{item['id']}.jpg"
        units = dict(zip(rows.units, item["action_units"].tolist(), strict=True))
        assert units["12"] == (0.5 if labels["action_units"] != "none" else 0)
        assert units["1"] == (0.25 if labels["action_units"] != "none" else 0)
    with pytest.raises(IndexError):
        rows[len(rows)]
    assert rows[-1]["id"] == rows[len(rows) - 1]["id"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_affect_dataset_in_workers_gives_the_same(fmt, sets):
    from torch.utils.data import DataLoader

    from synth.dataset import AffectDataset

    rows = AffectDataset(sets[fmt])
    assert pickle.loads(pickle.dumps(rows))[4]["id"] == rows[4]["id"]
    alone = list(DataLoader(rows, batch_size=4))
    shared = list(DataLoader(rows, batch_size=4, num_workers=1))
    assert [batch["id"] for batch in shared] == [batch["id"] for batch in alone]
    assert all((a["image"] == b["image"]).all() for a, b in zip(alone, shared, strict=True))
    assert alone[0]["image"].shape == (4, 3, 32, 40)


def test_affect_dataset_gives_what_is_asked_for(sets):
    from synth.dataset import AffectDataset

    both = AffectDataset(sets["parquet"], transform=lambda image: image.size)[0]
    assert both["image"] == (40, 32)
    va = AffectDataset(sets["parquet"], target="va")[0]
    assert "valence" in va and "expression" not in va
    named = AffectDataset(sets["parquet"], target="expression")[0]
    assert "valence" not in named and named["expression"] == 1
    with pytest.raises(UsageError, match="train, val, got 'test'"):
        AffectDataset(sets["parquet"], "test")
    with pytest.raises(UsageError, match="both, va, expression"):
        AffectDataset(sets["parquet"], target="all")
    with pytest.raises(UsageError, match="synth augment"):
        AffectDataset(sets["parquet"] / "train")


# ---------------------------------------------------------------------------- check
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_good_set_is_all_well(fmt, sets):
    report = check_set(sets[fmt])
    assert report.ok and report.fmt == fmt
    assert dict(report.pictures) == {"train": 13, "val": 5} and report.subjects["train"] == 2
    assert report.histogram.sum() == 18
    assert list(report.lines())[-1] == f"18 pictures, {fmt} format: all well"


def kinds(root: Path) -> set[str]:
    return {problem.kind for problem in check_set(root).problems}


DATA = {"folder": "train/p_0008.jpg", "webdataset": "train/shard-000001.tar",
        "parquet": "train/shard-000001.parquet"}  # fmt: skip


@pytest.mark.parametrize("fmt", FORMATS)
def test_check_finds_a_changed_byte_and_a_file_that_is_gone(fmt, own):
    root = own(fmt)
    file = root / DATA[fmt]
    content = file.read_bytes()
    at = content.find(b"\xff\xd8\xff") + 1500
    file.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    assert "checksum" in kinds(root)
    file.unlink()
    assert {"missing", "decode"} <= kinds(root)


def test_check_finds_what_is_extra_missing_and_not_decodable(own):
    root = own("folder")
    (root / "train/mine.jpg").write_bytes(b"")
    (root / "README.md").unlink()
    (root / "train/p_0003.jpg").write_bytes(b"text")
    found = {(p.kind, p.where) for p in check_set(root).problems}
    assert ("extra", "train/mine.jpg") in found and ("missing", "README.md") in found
    assert ("decode", "train/p_0003.jpg") in found and ("checksum", "train/p_0003.jpg") in found


def test_check_finds_labels_that_were_edited(own):
    root = own("folder")
    table = root / "train/metadata.csv"
    table.write_text(table.read_text().replace(",happiness,", ",sadness,", 1))
    [problem] = check_set(root).problems
    assert problem.kind == "mismatch" and "expression" in problem.message
    assert problem.where == "train/p_0000.jpg"


def write_one(root: Path, split: str, number: int, record: Record, picture: bytes) -> None:
    writer = shard_writer("parquet", root, split, number)
    writer.add(f"k_{number}", picture, ".jpg", record)
    write_manifest(root, split, number, "job", writer.close())


@pytest.mark.parametrize(
    "change, word",
    [({"valence": 0.9, "arousal": 0.9}, "unit disc"), ({"intensity": 1.5}, "0 to 1"),
     ({"expression": "boredom"}, "happiness"), ({"action_units": {"12": 7.0}}, "12:7.0")],
)  # fmt: skip
def test_check_finds_labels_out_of_range(change, word, tmp_path):
    record = Record(**{**make_record(0, "train").as_dict(), **change})
    write_one(tmp_path, "train", 0, record, make_picture(0))
    finish(tmp_path, INFO)
    [problem] = check_set(tmp_path).problems
    assert problem.kind == "label" and word in problem.message


def test_check_finds_people_and_pictures_in_two_splits(tmp_path):
    record = make_record(0, "train")
    twin = encode_image(pixels_of(make_picture(5)), "png")
    write_one(tmp_path, "train", 0, record, make_picture(0))
    write_one(tmp_path, "train", 1, record, make_picture(0))
    write_one(tmp_path, "train", 2, record, make_picture(5))
    writer = shard_writer("parquet", tmp_path, "val", 0)
    writer.add("v", twin, ".png", record)
    write_manifest(tmp_path, "val", 0, "job", writer.close())
    finish(tmp_path, INFO)
    told = [(p.kind, p.where, p.message) for p in check_set(tmp_path).problems]
    assert ("subject", "t0", "is in train and val") in told
    assert ("duplicate", "train/k_1.jpg", "the same file as train/k_0") in told
    assert ("duplicate", "val/v.png", "the same pixels as train/k_2") in told
    assert len(told) == 3


def test_neutral_faces_that_are_alike_are_only_noted(tmp_path):
    pixels = pixels_of(make_picture(5))
    for number in range(2):  # other records inside, the same pixels
        data = encode_image(pixels, "png", record_json=f'{{"plan_id":{number}}}')
        assert data != encode_image(pixels, "png")
        writer = shard_writer("folder", tmp_path, "train", number)
        writer.add(f"k_{number}", data, ".png", make_record(number, "train"))
        write_manifest(tmp_path, "train", number, "job", writer.close())
    finish(tmp_path, INFO)
    report = check_set(tmp_path)
    assert report.notes == ["pictures with the pixels of another one of their split: 1"]
    assert {p.kind for p in report.problems} == {"mismatch"}  # the record inside is another one


def test_what_is_no_set_is_said_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="made by synth augment"):
        check_set(tmp_path)


# ------------------------------------------------------------ the command, and replay
def call(*args: object):
    from click.testing import CliRunner

    from synth.cli import cli

    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="synth")


def test_command_exits_with_1_where_something_is_wrong(own):
    root = own("parquet")
    result = call("dataset", "check", root)
    assert result.exit_code == 0 and "all well" in result.output
    (root / "train/shard-000000.parquet").unlink()
    result = call("dataset", "check", root)
    assert result.exit_code == 1 and "missing: train/shard-000000.parquet" in result.output
    assert call("dataset", "check", root / "train").exit_code == 2


@pytest.fixture(scope="module")
def made(samples, tmp_path_factory) -> Path:
    """A set that `synth augment` made, with nuisance variation and redraws."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    shutil.copy(samples / "sample_1.jpg", folder / "in")
    result = call(
        "augment", "-i", folder / "in", "-o", folder / "set", "--plan", "uniform-disc",
        "--count", 4, "--crop", "rafdb100", "--nuisance", "strong", "--redraw", 1,
        "--shard-size", 2, "--format", "webdataset",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def test_every_picture_can_be_made_again(made):
    from synth.augment.replay import replay

    report = check_set(made / "set")
    assert report.ok, list(report.lines())
    rows = [row for m in read_manifests(made / "set")
            for row in read_rows(made / "set", m.split, m.number)]  # fmt: skip
    assert rows
    for row in rows:
        again = replay(made / "set", row["key"])
        assert again.same and again.kept == picture_bytes(made / "set", row)
        assert again.differences == ()


def test_replay_command_finds_the_photo_by_its_content(made, tmp_path):
    (tmp_path / "photos").mkdir()
    row = next(read_rows(made / "set", "train", 0))
    shutil.copy(made / "in/sample_1.jpg", tmp_path / "photos/renamed.jpg")
    base = ["dataset", "replay", made / "set", "--id", row["plan_id"]]
    result = call(*base, "-i", tmp_path / "photos", "-o", tmp_path / "again.jpg")
    assert result.exit_code == 0 and "the same" in result.output
    assert (tmp_path / "again.jpg").read_bytes() == picture_bytes(made / "set", row)
    (tmp_path / "photos/renamed.jpg").write_bytes(make_picture(0))
    result = call(*base, "-i", tmp_path / "photos")
    assert result.exit_code == 2 and "give its folder as --input" in result.output
    result = call("dataset", "replay", made / "set", "--id", "12345")
    assert result.exit_code == 2 and "see provenance/" in result.output


def test_replay_tells_when_the_picture_is_another_one(made, tmp_path):
    shutil.copytree(made / "set", tmp_path / "set")
    row = next(read_rows(made / "set", "train", 0))
    tar = tmp_path / "set/train/shard-000000.tar"
    content = bytearray(tar.read_bytes())
    content[row["offset"] + row["bytes"] - 20] ^= 1
    tar.write_bytes(content)
    result = call("dataset", "replay", tmp_path / "set", "--id", row["key"])
    assert result.exit_code == 1 and "got other ones" in result.output
    assert "those of the record" in result.output
