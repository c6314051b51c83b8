"""Who is who, and who is in which split: partitions, evenness, leaks, refusals."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from synth.errors import UsageError
from synth.image_files import ImageSource, find_images
from synth.plans import (
    Plan,
    PlanRow,
    assign_splits,
    check_leaks,
    duplicate_sources,
    kfold,
    subject_of,
)

PEOPLE = [f"p{i:03d}" for i in range(50)]


def folder(tmp_path, *names):
    for i, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo %d" % i)
    return find_images(tmp_path, recursive=True)


# --------------------------------------------------------------------- subjects
def test_parent_folders_are_subjects(tmp_path):
    sources = folder(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/later/1.jpg")
    assert subject_of(sources, "parent") == {
        "a/1.jpg": "a",
        "a/2.jpg": "a",
        "b/1.jpg": "b",
        "b/later/1.jpg": "b/later",
    }


def test_photos_without_a_folder_in_their_name_take_that_of_the_file(tmp_path):
    folder(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg")
    sources = find_images([tmp_path / "a", tmp_path / "b"])
    assert set(subject_of(sources).values()) == {"a", "b"}


def test_two_folders_of_one_name_are_a_question(tmp_path):
    folder(tmp_path, "x/a/1.jpg", "y/a/2.jpg")
    sources = find_images([tmp_path / "x/a", tmp_path / "y/a"])
    with pytest.raises(UsageError, match=r"one folder a, got .*x/a and .*y/a"):
        subject_of(sources)


def test_each_photo_is_a_subject(tmp_path):
    sources = folder(tmp_path, "1.jpg", "1.png", "2.jpg")
    found = subject_of(sources, "each")
    assert list(found) == ["1.jpg", "1.png", "2.jpg"]
    assert len(set(found.values())) == 3


def test_stems_are_read_by_a_regular_expression(tmp_path):
    sources = folder(tmp_path, "S1_a.jpg", "S1_b.jpg", "S20_a.jpg")
    assert list(subject_of(sources, r"stem:^(S\d+)_").values()) == ["S1", "S1", "S20"]
    assert list(subject_of(sources, r"stem:S\d").values()) == ["S1", "S1", "S2"]
    with pytest.raises(UsageError, match="none for S1_a.jpg, S1_b.jpg; "):
        subject_of(sources, r"stem:(S\d\d)")
    with pytest.raises(UsageError, match="regular expression"):
        subject_of(sources, "stem:(")


def test_a_table_names_subjects_by_name_or_last_part(tmp_path):
    sources = folder(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg")
    table = tmp_path / "who.csv"
    table.write_text("Subject,file_name\nanna,a/1.jpg\nben,b/1.jpg\nben,2.jpg\n")
    assert list(subject_of(sources, str(table)).values()) == ["anna", "ben", "ben"]
    table.write_text("file_name,subject\n1.jpg,anna\n2.jpg,ben\n")  # which 1.jpg?
    with pytest.raises(UsageError, match=r"of 3 photos .* none for a/1.jpg, b/1.jpg;"):
        subject_of(sources, str(table))


@pytest.mark.parametrize(
    "text, message",
    [
        ("file_name,person\n1.jpg,a\n", "expected the columns file_name, subject"),
        ("file_name,subject\n1.jpg,\n", r"line 2: .*got '1.jpg' and ''"),
        ("file_name,subject\n1.jpg,a\n\n1.jpg,b\n", r"line 4: expected one subject for 1.jpg"),
        ("file_name,subject\n", "got only a header"),
        ("", "got an empty file"),
        ("file_name,subject\n1.jpg,a,b\n", "line 2: expected 2 cells, got 3"),
    ],
)
def test_bad_tables_of_subjects(tmp_path, text, message):
    sources = folder(tmp_path, "1.jpg")
    table = tmp_path / "who.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        subject_of(sources, str(table))


def test_missing_subjects_are_counted_and_named(tmp_path):
    sources = folder(tmp_path, *(f"{i}.jpg" for i in range(6)))
    table = tmp_path / "who.csv"
    table.write_text("file_name,subject\n5.jpg,a\n")
    with pytest.raises(UsageError, match=r"none for 0.jpg, 1.jpg, 2.jpg and 2 more"):
        subject_of(sources, str(table))
    with pytest.raises(UsageError, match="expected parent, each, stem:REGEX or a CSV"):
        subject_of(sources, "folder")
    with pytest.raises(UsageError, match="No such file"):
        subject_of(sources, str(tmp_path / "none.csv"))


# ----------------------------------------------------------------------- splits
def test_every_subject_gets_one_split_in_the_ratios():
    found = assign_splits(PEOPLE, "0.8,0.1,0.1", seed=3)
    assert sorted(found) == PEOPLE
    assert Counter(found.values()) == {"train": 40, "val": 5, "test": 5}


def test_splits_depend_on_names_and_seed_alone():
    found = assign_splits(PEOPLE, seed=3)
    assert assign_splits(reversed(PEOPLE), seed=3) == found
    assert assign_splits({f"{p}/{i}.jpg": p for p in PEOPLE for i in "12"}, seed=3) == found
    assert assign_splits(PEOPLE, seed=4) != found


def test_a_new_subject_moves_few_others():
    found = assign_splits(PEOPLE, seed=3)
    more = assign_splits([*PEOPLE, "new"], seed=3)
    assert sum(found[p] != more[p] for p in PEOPLE) <= 3


def test_which_subjects_are_tested_is_uniform():
    # 300 seeds, 10 of 50: each is tested 60 times on average, sd 7.
    times = Counter(
        p
        for seed in range(300)
        for p, s in assign_splits(PEOPLE, "0.8,0,0.2", seed).items()
        if s == "test"
    )
    assert sum(times.values()) == 3000
    assert all(60 - 32 < times[p] < 60 + 32 for p in PEOPLE)


@pytest.mark.parametrize(
    "ratios, expected",
    [
        ("1", {"train": 50}),
        ("0.9,0.1", {"train": 45, "val": 5}),
        ("0.7,0,0.3", {"train": 35, "test": 15}),
        ("test=0.3,train=0.7", {"train": 35, "test": 15}),
        ("0.999,0.0005,0.0005", {"train": 48, "val": 1, "test": 1}),
        ("0.5,0.25,0.25", {"train": 25, "val": 12, "test": 13}),
    ],
)
def test_ratios(ratios, expected):
    found = Counter(assign_splits(PEOPLE, ratios).values())
    if ratios == "0.5,0.25,0.25":  # 12.5 each: either way round
        assert found["train"] == 25 and {found["val"], found["test"]} == {12, 13}
    else:
        assert found == expected


@pytest.mark.parametrize(
    "ratios, message",
    [
        ("0.8,0.1,0.2", "sum 1, got 0.8,0.1,0.2 with the sum 1.1"),
        ("0.5", "sum 0.5"),
        ("1.5,-0.5", "0 to 1"),
        ("a,b", "train, val, test"),
        ("0.2,0.2,0.2,0.4", "up to three"),
        ("train=0.5,dev=0.5", "train, val, test"),
        ("train=0.5,train=0.5", "train, val, test"),
        ("nan,1", "0 to 1"),
        ("", "train, val, test"),
    ],
)
def test_bad_ratios(ratios, message):
    with pytest.raises(UsageError, match=message):
        assign_splits(PEOPLE, ratios)


def test_too_few_subjects_for_the_splits():
    with pytest.raises(UsageError, match=r"at least 3 subjects for train, val, test, got 2 \("):
        assign_splits(["a", "b"])
    assert Counter(assign_splits(["a", "b", "c"]).values()) == {"train": 1, "val": 1, "test": 1}
    with pytest.raises(UsageError, match="at least one"):
        assign_splits([])


@pytest.mark.parametrize("k", [2, 5, 7, 50])
def test_kfold_partitions(k):
    folds = kfold(PEOPLE, k, seed=1)
    assert len(folds) == k
    tested = [{p for p, s in fold.items() if s == "test"} for fold in folds]
    assert sorted(p for t in tested for p in t) == PEOPLE  # each exactly once
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for fold in folds:
        assert sorted(fold) == PEOPLE and set(fold.values()) == {"train", "test"}
    assert kfold(reversed(PEOPLE), k, seed=1) == folds


@pytest.mark.parametrize("k", [1, 51])
def test_kfold_refuses(k):
    with pytest.raises(UsageError, match=r"expected 2 to 50 for 50 subjects, got"):
        kfold(PEOPLE, k)


# ------------------------------------------------------------------------ leaks
def row(number, source, subject, split):
    return PlanRow(number, source, subject, split, 0.1, 0.2)


def test_a_subject_in_two_splits_is_refused():
    good = [row(0, "1.jpg", "a", "train"), row(1, "2.jpg", "b", "test")]
    check_leaks(Plan(tuple(good)))
    with pytest.raises(UsageError, match=r"subject a, got train and val \(id 7\)"):
        check_leaks(Plan((*good, row(7, "3.jpg", "a", "val"))))
    with pytest.raises(UsageError, match=r"photo 1.jpg, got a and c \(id 8\)"):
        check_leaks(Plan((*good, row(8, "1.jpg", "c", "train"))))


def test_the_same_photo_under_two_names_is_a_leak(tmp_path):
    folder(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    shutil.copy(tmp_path / "1.jpg", tmp_path / "copy.jpg")
    gone = ImageSource(tmp_path / "gone.jpg", "gone.jpg")
    found = duplicate_sources([*find_images(tmp_path), gone])
    assert found == [("1.jpg", "copy.jpg")]  # 2 and 3 have the same size, not the same bytes
    same = [row(0, "1.jpg", "a", "train"), row(1, "copy.jpg", "b", "train")]
    check_leaks(Plan(tuple(same)), found)
    leak = [row(0, "1.jpg", "a", "train"), row(1, "copy.jpg", "b", "test")]
    with pytest.raises(UsageError, match=r"same file as copy.jpg in test and 1.jpg in train"):
        check_leaks(Plan(tuple(leak)), found)
