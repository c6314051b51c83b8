"""Planned sets: same bytes whatever happens on the way, and what stops a run."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from synth.cli import cli

SMALL = ["--crop", "face", "--size", "64", "--shard-size", "6"]


def call(*args: object) -> Result:
    result = CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tree(root: Path) -> dict[str, bytes]:
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name != "run.toml")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def same(one: Path, two: Path) -> bool:
    a, b = tree(one), tree(two)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name]] == []
    return True


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def people(samples, tmp_path_factory) -> Path:
    """Four portraits, as four people."""
    folder = tmp_path_factory.mktemp("people")
    for number in range(1, 5):
        name = f"sample_{number}.jpg"
        (folder / name).write_bytes((samples / name).read_bytes())
    return folder


def command(people: Path, out: Path, *more: object) -> list[object]:
    return ["augment", "-i", people, "-o", out, "--plan", "uniform-disc", "--count", "40",
            "--splits", "0.5,0.25,0.25", "--nuisance", "mild", "--redraw", "1", *SMALL,
            *more]  # fmt: skip


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory) -> Path:
    """A set made in one go."""
    out = tmp_path_factory.mktemp("whole") / "set"
    result = call(*command(people, out))
    assert result.exit_code == 0, result.output
    return out


# ------------------------------------------------------------------------- what is made
def test_rows_splits_and_people(whole):
    rows = {split: table(whole / split / "metadata.csv") for split in ("train", "val", "test")}
    made = sum(map(len, rows.values())) + len({r["id"] for r in table(whole / "rejected.csv")})
    assert made == 40
    people = {split: {r["subject"] for r in rows[split]} for split in rows}
    assert sorted(map(len, people.values())) == [1, 1, 2]
    assert not people["train"] & people["val"] and not people["val"] & people["test"]
    assert len({r["style"] for split in rows.values() for r in split}) > 35  # styles vary


def test_records_carry_nuisance_quality_and_plan(whole):
    import pyarrow.parquet as parquet

    found = parquet.read_table(whole / "provenance/train-000000.parquet").to_pylist()
    record = json.loads(found[0]["record"])
    assert record["plan_id"] is not None and record["split"] == "train" and record["subject"]
    assert record["nuisance"] and record["quality"]


def test_two_workers_write_the_same_bytes(people, whole, tmp_path):
    result = call(*command(people, tmp_path / "set", "--workers", "2"))
    assert result.exit_code == 0, result.output
    assert same(whole, tmp_path / "set")


def test_deleting_a_row_of_the_plan_leaves_the_other_pictures(people, whole, tmp_path):
    from synth.plans import Plan, read_plan, write_plan

    plan = read_plan(whole / "plan.parquet")
    kept = tuple(row for row in plan.rows if row.id % 3)
    write_plan(Plan(kept), tmp_path / "edited.csv")
    more = ["--nuisance", "mild", "--redraw", "1", *SMALL]
    result = call("augment", "-i", people, "-o", tmp_path / "set", "--plan",
                  tmp_path / "edited.csv", *more)  # fmt: skip
    assert result.exit_code == 0, result.output
    pictures = {p.name: p.read_bytes() for p in whole.rglob("*.jpg") if p.parent != whole}
    edited = {p.name: p for p in (tmp_path / "set").rglob("*.jpg") if p.parent.name != "set"}
    assert edited and all(pictures[name] == p.read_bytes() for name, p in edited.items())


def test_sequences_are_planned_as_whole_paths(people, tmp_path):
    result = call("augment", "-i", people / "sample_1.jpg", "-o", tmp_path / "set", "--plan",
                  "paths:happiness", "--fps", "5", "--seconds", "3", *SMALL)  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = table(tmp_path / "set/train/metadata.csv")
    assert [int(r["frame"]) for r in rows] == list(range(15))
    assert len({r["style"] for r in rows}) == len({r["sequence"] for r in rows}) == 1
    assert float(rows[0]["valence"]) == 0.0


# ---------------------------------------------------------------------- interruptions
def test_killed_five_times_and_resumed_is_the_same_set(people, whole, tmp_path):
    out = tmp_path / "set"
    line = [sys.executable, "-m", "synth.cli", *map(str, command(people, out, "--workers", "2"))]
    chance = random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL, start_new_session=True)
        before = len(list(out.glob("shards/*.json")))
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(out.glob("shards/*.json"))) > before:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = call(*command(people, out))
    assert result.exit_code == 0, result.output
    assert same(whole, out)


def test_a_damaged_shard_is_made_again(people, whole, tmp_path):
    out = tmp_path / "set"
    assert call(*command(people, out)).exit_code == 0
    victim = next(out.glob("train/*.jpg"))
    victim.write_bytes(b"rotten")
    (out / "shards/val-000000.json").write_text("{")
    assert call(*command(people, out)).exit_code == 0
    assert same(whole, out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_cleanly(number, people, whole, tmp_path):
    out = tmp_path / "set"
    line = [sys.executable, "-m", "synth.cli", *map(str, command(people, out, "--workers", "2"))]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("shards/*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (0, 130), stderr  # 0 when it was done already
    assert "Traceback" not in stderr
    assert not (out / ".parts").exists() or not list((out / ".parts").iterdir())
    assert call(*command(people, out)).exit_code == 0
    assert same(whole, out)


def _crew(people: Path, out: Path, monkeypatch):
    """The parts of a run, with two workers."""
    from synth.augment.run import SetRun
    from synth.cli import sets

    caught: list[SetRun] = []
    monkeypatch.setattr(sets, "_make", lambda run, options: caught.append(run) or 0)
    assert call(*command(people, out, "--workers", "2")).exit_code == 0
    return caught[0]


def test_a_killed_worker_is_replaced_and_nothing_changes(people, whole, tmp_path, monkeypatch):
    import multiprocessing

    run = _crew(people, tmp_path / "set", monkeypatch)
    _, left = run.begin()
    killed = False
    for event in run.run(left, lambda: False):
        if not killed and hasattr(event, "pictures"):
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            killed = True
    run.finish()
    assert killed and same(whole, tmp_path / "set")


#: In a file of its own, where the worker processes find it.
DEADLY = """
import os, signal
from synth.pipeline import Generator

class Deadly(Generator):
    def faces(self, photo):
        if photo.name == "sample_2.jpg":
            os.kill(os.getpid(), signal.SIGKILL)  # as a fault in native code does
        return super().faces(photo)
"""


def test_a_photo_that_kills_two_workers_is_left_out_and_reported(people, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    from deadly import Deadly

    run = _crew(people, tmp_path / "set", monkeypatch)
    run.generator = Deadly(crop="face", size=64)
    _, left = run.begin()
    list(run.run(left, lambda: False))
    run.finish()
    skipped = table(tmp_path / "set/skipped.csv")
    assert {(r["source"], r["reason"]) for r in skipped} == {("sample_2.jpg", "CRASHED")}
    assert len(skipped) == 10 and run.made + run.rejected == 30


def test_a_full_disk_stops_clearly_and_loses_nothing(people, whole, tmp_path, monkeypatch):
    from synth.augment import shard
    from synth.augment.shard import DiskFull, run_shard

    run = _crew(people, tmp_path / "set", monkeypatch)
    _, left = run.begin()
    arguments = (run.root, run.fmt)
    run_shard(run.generator, run.making, left[0], *arguments)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shard, "write_manifest", full)
        with pytest.raises(DiskFull, match="same command"):
            run_shard(run.generator, run.making, left[1], *arguments)
    _, still = run.look()
    assert [job.name for job in still] == [job.name for job in left[1:]]
    monkeypatch.undo()
    assert call(*command(people, tmp_path / "set")).exit_code == 0
    assert same(whole, tmp_path / "set")


def test_too_many_rejects_stop_the_run(people, tmp_path, monkeypatch):
    from synth.augment import run as module

    monkeypatch.setattr(module, "ENOUGH_JUDGED", 5)
    monkeypatch.setattr(
        "synth.quality.Gates.named", classmethod(lambda cls, name: cls(sharpness=9.0))
    )
    result = call(*command(people, tmp_path / "set", "--max-reject", "5%"))
    assert result.exit_code == 1 and "max-reject" in result.stderr
    assert "Traceback" not in result.output


# --------------------------------------------------------------------------- bad usage
OK = "-i {people} -o {tmp}/out --plan uniform-disc --count 4"
BAD = {
    "no plan": ("-i {people} -o {tmp}/out", "--plan"),
    "unknown plan": ("-i {people} -o {tmp}/out --plan sphere --count 4", "sphere"),
    "csv without columns": ("-i {people} -o {tmp}/out --plan csv:{tmp}/colours.csv", "valence"),
    "balance without columns": (
        "-i {people} -o {tmp}/out --plan balance:{tmp}/colours.csv --count 4", "valence"),
    "subjects missing": (OK + " --subjects {tmp}/subjects.csv", "sample_2.jpg"),
    "splits": (OK + " --splits 0.8,0.1", "0.9"),
    "kfold": (OK + " --kfold 7/5", "7/5"),
    "kfold and splits": (OK + " --kfold 1/2 --splits 0.5,0.5", "kfold"),
    "intensity": (OK + " --intensity 1:0.4", "LOW"),
    "nuisance": (OK + " --nuisance wind=3", "wind"),
    "max-reject": (OK + " --max-reject lots", "lots"),
    "another plan's output": ("-i {people} -o {other} --plan basic --count 4", "other settings"),
    "foreign files": (OK.replace("{tmp}/out", "{tmp}/full"), "--overwrite"),
    "ray address without ray": (OK + " --ray-address localhost:1", "--engine ray"),
    "no photos": ("-i {tmp}/full -o {tmp}/out --plan basic --count 4", "full"),
    "count": ("-i {people} -o {tmp}/out --plan basic --count 0", "x>=1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_usage_is_one_line_and_exit_code_2(case, people, whole, tmp_path, monkeypatch):
    (tmp_path / "colours.csv").write_text("colour\nred\n")
    (tmp_path / "subjects.csv").write_text("file_name,subject\nsample_1.jpg,a\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before, made = set(tmp_path.rglob("*")), tree(whole)
    line, word = BAD[case]
    words = line.format(people=people, tmp=tmp_path, other=whole).split()
    result = call("augment", *words, *SMALL)
    assert result.exit_code == 2, result.output
    message = [row for row in result.stderr.splitlines() if row.startswith("Error")]
    assert len(message) == 1, result.stderr
    if word != "other settings":
        assert word in message[0]
    assert set(tmp_path.rglob("*")) == before and tree(whole) == made


def test_audit_finds_one_person_under_two_names(people, tmp_path):
    import cv2

    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("sample_1.jpg", "sample_2.jpg"):
        (folder / name).write_bytes((people / name).read_bytes())
    brighter = cv2.convertScaleAbs(cv2.imread(str(folder / "sample_1.jpg"))[20:, 15:], alpha=1.1)
    cv2.imwrite(str(folder / "other.jpg"), brighter)
    line = ["augment", "-i", folder, "-o", tmp_path / "set", "--plan", "basic", "--count", "12",
            "--splits", "0.34,0.33,0.33", "--audit", *SMALL]  # fmt: skip
    result = call(*line)
    assert result.exit_code == 2 and not (tmp_path / "set").exists()
    assert "other.jpg" in result.stderr and "sample_1.jpg" in result.stderr
    assert "sample_2.jpg" not in result.stderr


def test_run_file_repeats_the_run(people, whole, tmp_path):
    result = call("augment", "--config", whole / "run.toml", "-o", tmp_path / "set")
    assert result.exit_code == 0, result.output
    assert same(whole, tmp_path / "set")
