"""Tables and run files: whole, ordered, resumable, and nothing foreign is lost."""

from __future__ import annotations

import csv
import hashlib
import json
import tomllib
from dataclasses import replace

import pytest

from synth.errors import TargetError, UsageError
from synth.records import RunWriter, Skip, check_output, record_line
from synth.runfile import differences, read_run_file, run_toml
from synth.targets import Target, make_targets, source_stems, target_tags
from synth.types import VA, Record

TABLES = {"settings": {"seed": 0, "face": "largest"}, "assets": {"a": "00"}, "run": {"workers": 1}}


def record(source="a.jpg", target=0, face=0, **changes):
    base = Record(
        file_name=f"images/{source[:-4]}_{target}_{face}.png",
        source=source,
        valence=0.5,
        arousal=0.25,
        class_valence=0.5,
        class_arousal=0.2,
        expression="",
        intensity=0.56,
        seed=7,
        source_sha256=hashlib.sha256(source.encode()).hexdigest(),
        target_index=target,
    )
    return replace(base, **changes)


@pytest.fixture
def photos(tmp_path):
    """Three photos, named by content so that their digests are known."""
    found = {}
    for name in ("b.jpg", "a.jpg", "c.jpg"):  # not alphabetical: the input's order counts
        (tmp_path / name).write_bytes(name.encode())
        found[name] = tmp_path / name
    return found


def put(writer, entry):
    (writer.root / entry.file_name).write_bytes(b"png")
    writer.add(entry)


def rows(root, table="metadata.csv"):
    with open(root / table, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------- tables
def test_rows_come_in_input_order_whatever_the_order_of_arrival(tmp_path, photos):
    entries = [record(s, t) for s in photos for t in range(3)]
    for name, order in (("one", entries), ("two", entries[::-1])):
        with RunWriter(tmp_path / name, TABLES, photos) as writer:
            for entry in order:
                put(writer, entry)
    for table in ("metadata.csv", "provenance.jsonl", "skipped.csv", "run.toml"):
        one, two = ((tmp_path / n / table).read_bytes() for n in ("one", "two"))
        assert one == two, table
    assert [r["file_name"] for r in rows(tmp_path / "one")] == [e.file_name for e in entries]


def test_columns_and_full_record(tmp_path, photos):
    entry = record(weights={"jawOpen": 0.5}, notes=("a, b", 'quote " here'))
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        put(writer, entry)
    assert tuple(rows(tmp_path / "out")[0]) == Record.COLUMNS
    line = (tmp_path / "out/provenance.jsonl").read_text("utf-8").splitlines()[0]
    assert json.loads(line) == json.loads(json.dumps(entry.as_dict()))
    assert line == record_line(entry)


def test_names_with_commas_quotes_and_newlines_survive(tmp_path):
    name = 'odd, "name"\nwith é.jpg'
    with RunWriter(tmp_path / "out", TABLES, {name: tmp_path / "x"}) as writer:
        put(writer, record(name, file_name="images/x.png"))
        writer.skip(Skip(name, "BLUR", 1.5, "line\nbreak, comma"))
    assert rows(tmp_path / "out")[0]["source"] == name
    assert rows(tmp_path / "out", "skipped.csv")[0] == {
        "source": name, "reason": "BLUR", "value": "1.5", "message": "line\nbreak, comma",
    }  # fmt: skip


def test_tables_are_usable_while_the_run_goes_on(tmp_path, photos):
    writer = RunWriter(tmp_path / "out", TABLES, photos)
    put(writer, record("a.jpg"))
    writer.skip(Skip("b.jpg", "NO_FACE", None, "none"))
    assert len(rows(tmp_path / "out")) == 1
    assert rows(tmp_path / "out", "skipped.csv")[0]["value"] == ""
    writer.close()


def test_a_skip_is_reported_once(tmp_path, photos):
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        for _ in range(3):
            writer.skip(Skip("a.jpg", "NO_FACE", None, "none"))
    assert len(rows(tmp_path / "out", "skipped.csv")) == 1


# ------------------------------------------------------------------- resume
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, photos):
    entries = [record(s, t) for s in photos for t in range(2)]
    with RunWriter(tmp_path / "whole", TABLES, photos) as writer:
        for entry in entries:
            put(writer, entry)
    with pytest.raises(KeyboardInterrupt), RunWriter(tmp_path / "cut", TABLES, photos) as writer:
        for entry in entries[3:]:
            put(writer, entry)
        raise KeyboardInterrupt
    assert len(rows(tmp_path / "cut")) == 3
    with RunWriter(tmp_path / "cut", TABLES, photos) as writer:
        assert len(writer) == 3
        for entry in entries:
            if not writer.is_done(entry.source, entry.target_index):
                put(writer, entry)
    for table in ("metadata.csv", "provenance.jsonl"):
        whole, cut = ((tmp_path / n / table).read_bytes() for n in ("whole", "cut"))
        assert whole == cut


def test_torn_line_missing_image_and_changed_photo_are_made_again(tmp_path, photos):
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        for source in photos:
            put(writer, record(source))
    (tmp_path / "out" / record("a.jpg").file_name).unlink()
    photos["b.jpg"].write_bytes(b"another photo")
    with open(tmp_path / "out/provenance.jsonl", "a", encoding="utf-8") as file:
        file.write('{"file_name":"images/torn')
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        done = {s for s in photos if writer.is_done(s, 0)}
    assert done == {"c.jpg"}
    assert [r["source"] for r in rows(tmp_path / "out")] == ["c.jpg"]


def test_every_face_counts_when_all_are_wanted(tmp_path, photos):
    tables = {**TABLES, "settings": {"face": "all"}}
    with RunWriter(tmp_path / "out", tables, photos) as writer:
        put(writer, record("a.jpg", face=0, faces_found=2))
        assert not writer.is_done("a.jpg", 0)
        put(writer, record("a.jpg", face=1, faces_found=2))
        assert writer.is_done("a.jpg", 0)


def test_photo_that_was_skipped_is_tried_again_and_its_row_replaced(tmp_path, photos):
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        writer.skip(Skip("a.jpg", "BLUR", 1.0, "blurred"))
        writer.skip(Skip("b.jpg", "BLUR", 2.0, "blurred"))
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        assert not writer.is_done("a.jpg", 0)
        put(writer, record("a.jpg"))
    assert [r["source"] for r in rows(tmp_path / "out", "skipped.csv")] == ["b.jpg"]


# ------------------------------------------------------------ output folder
def test_other_settings_are_refused_by_name_and_workers_are_not(tmp_path, photos):
    RunWriter(tmp_path / "out", TABLES, photos).close()
    other = {**TABLES, "settings": {"seed": 1, "face": "largest"}}
    with pytest.raises(UsageError, match=r"seed = 1 \(was 0\).*--overwrite"):
        RunWriter(tmp_path / "out", other, photos)
    assert check_output(tmp_path / "out", {**TABLES, "run": {"workers": 8}})
    with pytest.raises(UsageError, match="a = 11"):
        check_output(tmp_path / "out", {**TABLES, "assets": {"a": "11"}})


def test_foreign_files_are_neither_used_nor_removed(tmp_path, photos):
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "thesis.txt").write_text("mine")
    (out / "images/mine.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="thesis.txt"):
        RunWriter(out, TABLES, photos)
    RunWriter(out, TABLES, photos, overwrite=True).close()
    assert (out / "thesis.txt").read_text() == "mine"
    assert (out / "images/mine.png").read_bytes() == b"mine"


def test_overwriting_removes_the_earlier_pictures_and_only_those(tmp_path, photos):
    with RunWriter(tmp_path / "out", TABLES, photos) as writer:
        put(writer, record("a.jpg"))
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"mine")
    with open(tmp_path / "out/provenance.jsonl", "a", encoding="utf-8") as file:
        file.write(record_line(record("b.jpg", file_name="../outside.png")) + "\n")
    RunWriter(tmp_path / "out", {**TABLES, "settings": {"seed": 9}}, photos, overwrite=True).close()
    assert outside.exists()
    assert not list((tmp_path / "out/images").iterdir())
    assert rows(tmp_path / "out") == []


def test_a_file_in_place_of_the_folder_or_its_parent_is_bad_usage(tmp_path, photos):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(UsageError, match="output: expected a folder"):
            RunWriter(path, TABLES, photos)


# ----------------------------------------------------------------- run file
def test_run_file_reads_back_what_was_written(tmp_path):
    tables = {
        "settings": {"va": ["0.5,0.3", "-1e-05,0.0"], "seed": 3, "q": 0.25, "flag": True},
        "odd": {"a key": 'quote " back\\slash \n tab\t del\x7f é', "empty": []},
    }
    path = tmp_path / "run.toml"
    path.write_text(run_toml({**tables, "none": {"size": None}}), encoding="utf-8")
    assert read_run_file(path) == {**tables, "none": {}}
    assert tomllib.loads(path.read_text("utf-8")) == {**tables, "none": {}}


@pytest.mark.parametrize("text", ["va = 1\n", "[settings\n", "\x00"])
def test_bad_run_files_are_bad_usage(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="config: expected"):
        read_run_file(path)


def test_none_and_absent_are_the_same_setting():
    assert differences({"settings": {}}, {"settings": {"size": None}}) == []
    assert differences({"settings": {"size": 3}}, {"settings": {"size": None}}) != []


# ------------------------------------------------------------- file names
def test_tags_say_the_target_and_are_unique():
    vas = [VA(0.5, 0.3), VA(-0.5, 0.3), VA(0.501, 0.3), VA(-0.0001, -0.004), VA(0.92, 0.15)]
    targets = make_targets([(va, "") for va in vas] + [(VA(0.92, 0.15), "happiness")])
    assert target_tags(targets) == [
        "v+0.50_a+0.30_t000", "v-0.50_a+0.30", "v+0.50_a+0.30_t002", "v+0.00_a+0.00",
        "v+0.92_a+0.15", "v+0.92_a+0.15_happiness",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        ["001.jpg", "001.png", "002.jpg"],
        ["a/001.jpg", "b/001.jpg", "a_001.jpg"],
        ["IMG.JPG", "img.jpeg", "Img.png"],
        ["...jpg", "..", "?.png", "*.png"],
        ["é" * 300 + "1.jpg", "é" * 300 + "2.jpg", "x/" + "é" * 300 + "2.jpg"],
        ["a.jpg.png", "a.jpg", "a.png"],
    ],
)
def test_stems_are_unique_safe_and_short_on_any_file_system(names):
    stems = source_stems(names)
    assert list(stems) == names
    folded = [stem.casefold() for stem in stems.values()]
    assert len(set(folded)) == len(folded)
    for stem in stems.values():
        assert not set(stem) & set('/\\:*?"<>|\0') and not stem.startswith(".")
        assert len(stem.encode()) < 200
    assert source_stems(names) == stems


def test_plain_names_stay_as_they_are():
    assert source_stems(["001.jpg", "sub/002.png"]) == {"001.jpg": "001", "sub/002.png": "sub_002"}


# ---------------------------------------------------------------- targets
def test_named_expression_must_lie_on_its_ray():
    assert Target(VA(0.46, 0.075), expression="happiness").intensity == pytest.approx(0.5)
    assert Target(VA(0, 0), expression="neutral").intensity == 0
    with pytest.raises(TargetError, match="direction of happiness"):
        Target(VA(-0.5, 0.3), expression="happiness")
    with pytest.raises(TargetError, match="expected one of"):
        Target(VA(0, 0), expression="hungry")
