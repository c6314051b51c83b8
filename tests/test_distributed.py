"""Ray: the same shards as from processes, whatever dies; sets at an fsspec address."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from synth.augment.jobs import make_jobs, photo_digests
from synth.augment.make import Making
from synth.augment.pool import Crew, Finished, run_in_processes
from synth.augment.run import SetRun
from synth.augment.shard import ShardResult
from synth.dataset.manifest import read_manifests, write_manifest
from synth.distributed import begin_at, cluster, finish_at, is_url, ray_engine
from synth.distributed.board import Board
from synth.distributed.maker import Kit, Maker
from synth.distributed.remote import (
    clear_remote,
    fetch_part,
    fetch_tables,
    holds,
    left_at,
    push,
    remote_manifests,
)
from synth.errors import DependencyError, SynthError, UsageError
from synth.images import find_images
from synth.pipeline import Generator
from synth.plans import Plan, PlanRow

PHOTOS, ROWS, SHARD = 3, 6, 3
MAKING = Making(quality=90)


def never() -> bool:
    return False


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def generator():
    return Generator(crop="face", size=64)


@pytest.fixture(scope="module")
def sources(samples):
    return find_images([samples])[:PHOTOS]


@pytest.fixture(scope="module")
def plan(sources):
    rows = [
        PlanRow(10 * k + i, source.name, f"p{k}", "val" if k == 2 else "train", 0.6 - 0.2 * i, 0.3)
        for k, source in enumerate(sources)
        for i in range(ROWS)
    ]
    return Plan(tuple(rows))


@pytest.fixture(scope="module")
def jobs(plan, sources):
    return make_jobs(plan, {s.name: s.path for s in sources}, photo_digests(sources), "x", SHARD)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory, generator, jobs):
    """The set as the process pool makes it, in tar shards."""
    root = tmp_path_factory.mktemp("pool")
    list(run_in_processes(Crew(generator, MAKING, root, "webdataset"), jobs, 1, never))
    assert len(read_manifests(root)) == len(jobs) == PHOTOS * ROWS // SHARD
    return files(root)


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray")
    # Its workers would find the folders of the checkout before the installed package.
    with contextlib.chdir(tempfile.gettempdir()):
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    yield ray
    ray.shutdown()


# ----------------------------------------------------------------------------- on Ray
def test_two_actors_make_the_set_of_the_processes_though_one_is_killed(
    ray, tmp_path, generator, jobs, wanted
):
    engine = ray_engine(generator, MAKING, tmp_path, "webdataset", actors=2)
    killed, pictures, finished = None, 0, []
    for event in engine(jobs, never):
        if isinstance(event, Finished):
            finished.append(event.job.name)
            assert event.result == ShardResult(made=SHARD)
            busy = [member for member in engine.team if member.job]
            if killed is None and busy:
                killed = busy[0].number
                ray.kill(busy[0].actor)
        else:
            pictures += event.pictures
    assert killed is not None and killed not in [member.number for member in engine.team]
    assert sorted(finished) == sorted(job.name for job in jobs)
    assert pictures >= PHOTOS * ROWS
    assert files(tmp_path) == wanted


def test_stopped_at_an_address_and_resumed_from_its_manifests(
    ray, tmp_path, generator, jobs, wanted
):
    url = f"file://{tmp_path}/set"
    asked = []

    def stop() -> bool:
        return bool(asked)

    for event in ray_engine(generator, MAKING, url, "webdataset", actors=1)(jobs, stop):
        if isinstance(event, Finished):
            asked.append(event)
    left = left_at(url, jobs)
    assert 0 < len(left) < len(jobs)
    assert len(jobs) - len(left) == len(asked)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "set").rglob("*.tar")}
    events = list(ray_engine(generator, MAKING, url, "webdataset", actors=1)(left, never))
    assert [e.job.name for e in events if isinstance(e, Finished)] != []
    assert left_at(url, jobs) == []
    assert files(tmp_path / "set") == wanted
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_photo_that_kills_two_actors_is_left_out_and_named(ray, tmp_path, generator, jobs):
    class Deadly(Generator):
        def prepare(self, image, landmarks):
            if image.name == deadly:
                os._exit(9)
            return super().prepare(image, landmarks)

    deadly = jobs[2].groups[0][0].name
    engine = ray_engine(Deadly(**generator.__getstate__()), MAKING, tmp_path, "folder", actors=1)
    finished = [e for e in engine(list(jobs[:4]), never) if isinstance(e, Finished)]
    results = {event.job.name: event.result for event in finished}
    own = {job.name for job in jobs[:4] if job.groups[0][0].name == deadly}
    assert own and own != set(results)
    for name, result in results.items():
        if name in own:
            assert result.reasons == {"CRASHED": SHARD} and result.made == 0
        else:
            assert result.made == SHARD
    skipped = [row for m in read_manifests(tmp_path) for row in m.skipped]
    assert {row["source"] for row in skipped} == {deadly}
    assert {row["reason"] for row in skipped} == {"CRASHED"}


def test_photos_that_a_node_does_not_have_are_sent(
    ray, tmp_path, monkeypatch, generator, jobs, wanted
):
    from synth.distributed import engine as module

    # The actor finds another photo at that place than the head has.
    monkeypatch.setattr(module, "_digest", lambda path: "0" * 64)
    engine = ray_engine(generator, MAKING, tmp_path, "webdataset", actors=1)
    events = list(engine(list(jobs[:1]), never))
    assert [e.result.made for e in events if isinstance(e, Finished)] == [SHARD]
    assert engine.team[0].sees_photos is False
    made = files(tmp_path)
    assert len(made) == 3 and made.items() <= wanted.items()


def test_an_actor_that_cannot_start_is_one_line(ray, tmp_path, generator, jobs):
    class Stillborn(Generator):
        def preload(self):
            os._exit(9)

    engine = ray_engine(Stillborn(**generator.__getstate__()), MAKING, tmp_path, "folder", actors=1)
    with pytest.raises(SynthError, match="two deaths in a row before the first photo"):
        list(engine(list(jobs[:1]), never))


def test_another_version_on_a_node_is_refused(ray, tmp_path, monkeypatch, generator, jobs):
    from synth.distributed import engine as module

    mine = module.facts(generator) | {"numpy": "1.0"}
    monkeypatch.setattr(module, "facts", lambda generator: mine)
    engine = ray_engine(generator, MAKING, tmp_path, "folder", actors=1)
    with pytest.raises(SynthError, match="expected numpy 1.0 on every node"):
        list(engine(list(jobs[:1]), never))
    assert files(tmp_path) == {}


# ------------------------------------------------------------- the actor, without Ray
class FakeBoard:
    """A board in this process that can ask to stop."""

    def __init__(self) -> None:
        self.board = Board()
        self.note = SimpleNamespace(remote=self.board.note)


def make(kit: Kit, job, *more):
    maker = Maker.__new__(Maker)
    maker.ray, maker.kit, maker.board = SimpleNamespace(get=lambda ref: ref), kit, FakeBoard()
    maker.member, maker.photo, maker.made, maker.noted, maker.stopping = 7, "", 0, 0.0, False
    return maker, lambda *rest: maker.make(job, *rest)


def test_an_actor_asks_for_photos_it_lacks_and_takes_them(tmp_path, generator, jobs, wanted):
    job = jobs[0]
    source, _ = job.groups[0]
    digests = photo_digests([source])
    _, run = make(Kit(generator, MAKING, str(tmp_path), "webdataset"), job)
    assert run({source.name: "0" * 64}, frozenset()).kind == "photos"
    assert files(tmp_path) == {}
    answer = run(digests, frozenset(), {source.name: source.path.read_bytes()})
    assert answer.kind == "done" and answer.result == ShardResult(made=SHARD)
    assert files(tmp_path).items() <= wanted.items()


def test_an_actor_that_is_told_to_stop_leaves_nothing(tmp_path, generator, jobs):
    maker, run = make(Kit(generator, MAKING, str(tmp_path), "folder"), jobs[0])
    maker.board.board.stop()
    assert run({}, frozenset()).kind == "stopped"
    assert files(tmp_path) == {}


def test_an_actor_uploads_its_shard_to_an_address(generator, jobs, wanted):
    url = "memory://actor"
    _, run = make(Kit(generator, MAKING, url, "webdataset"), jobs[0])
    assert run({}, frozenset()).kind == "done"
    manifest = remote_manifests(url)[jobs[0].name]
    assert manifest.digest == jobs[0].digest
    assert left_at(url, jobs) == list(jobs[1:])


def test_a_bug_in_an_actor_comes_back_as_one_line(tmp_path, generator, jobs):
    _, run = make(Kit(generator, MAKING, str(tmp_path), "nonsense"), jobs[0])
    answer = run({}, frozenset())
    assert answer.kind == "error" and isinstance(answer.error, SynthError)
    assert "nonsense" in str(answer.error)


def test_the_board_remembers_who_was_at_what():
    board = Board()
    assert board.note(1, "a.jpg", 3) is False
    assert board.note(2, "b.jpg", 2) is False
    assert (board.read(), board.read()) == (5, 0)
    board.stop()
    assert board.note(1, "c.jpg", 0) is True
    assert [board.last_photo(n) for n in (1, 1, 2, 9)] == ["c.jpg", "", "b.jpg", ""]


# --------------------------------------------------------------------- addresses of Ray
@pytest.mark.parametrize("address", ["hello", "host:", ":6379", "host:99999", "host:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match="ray-address: expected HOST:PORT") as caught:
        cluster.check_cluster(address)
    assert "\n" not in str(caught.value)


def test_an_address_where_nothing_listens_is_refused(tmp_path, generator):
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        for scheme in ("", "ray://"):
            address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(UsageError, match="expected a running Ray cluster at") as caught:
                ray_engine(generator, MAKING, tmp_path, "folder", address)
            assert "\n" not in str(caught.value)


def test_something_else_than_ray_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 3.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match="no answer in 3 s"):
            cluster.check_cluster(f"127.0.0.1:{other.getsockname()[1]}")


def test_a_cluster_that_asks_for_a_token_says_so(monkeypatch):
    answer = SimpleNamespace(returncode=1, stderr=b"Traceback\nAuthenticationError: no token")
    monkeypatch.setattr(cluster.subprocess, "run", lambda *a, **k: answer)
    with pytest.raises(UsageError, match="RAY_AUTH_MODE=token"):
        cluster.check_cluster("auto")


def test_without_ray_the_remedy_is_named(tmp_path, monkeypatch, generator):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(DependencyError, match=r'pip install "synth-affect\[ray\]"'):
        ray_engine(generator, MAKING, tmp_path, "folder")


@pytest.mark.parametrize(
    "wanted, gpus, jobs, expected",
    [(None, 0, 9, 4), (None, 0, 3, 3), (2, 0, 9, 2), (None, 1, 9, 2), (None, 0.5, 9, 4)],
)
def test_as_many_actors_as_there_is_room_and_work_for(wanted, gpus, jobs, expected):
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 4.0, "GPU": 2.0})
    assert cluster.count_actors(ray, wanted, gpus, jobs) == expected


def test_no_room_for_an_actor_is_refused():
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 4.0})
    with pytest.raises(UsageError, match="1 CPU and 1 GPU, got 4 CPUs and 0 GPUs"):
        cluster.count_actors(ray, None, 1, 9)


# ------------------------------------------------------------------- sets at an address
@pytest.fixture
def url():
    """An empty place in memory."""
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    return "memory://bucket/set"


def shard(root: Path, number: int, digest: str = "d", split: str = "train") -> SimpleNamespace:
    """A made-up finished shard, and its job."""
    names = [f"{split}/shard-{number:06d}.tar", f"provenance/{split}-{number:06d}.parquet"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * (number + 1))
    write_manifest(root, split, number, digest, names)
    return SimpleNamespace(name=f"{split}-{number:06d}", digest=digest)


def test_what_is_an_address():
    assert is_url("s3://bucket/set") and is_url("memory://x")
    assert not is_url(Path("/tmp/set")) and not is_url("set")


def test_the_manifest_is_uploaded_last(tmp_path, url, monkeypatch):
    import fsspec

    fs, order = fsspec.filesystem("memory"), []
    put_file = type(fs).put_file
    monkeypatch.setattr(
        type(fs), "put_file", lambda self, here, there, **k: (order.append(there),
                                                              put_file(self, here, there, **k))
    )  # fmt: skip
    shard(tmp_path, 0)
    (tmp_path / ".hidden").write_text("")
    push(tmp_path, url)
    assert [name.split("/")[-2] for name in order] == ["train", "provenance", "shards"]


def test_only_whole_shards_of_the_same_job_count(tmp_path, url):
    import fsspec

    done = [shard(tmp_path, number) for number in range(5)]
    push(tmp_path, url)
    assert left_at(url, done) == []
    fs = fsspec.filesystem("memory")
    fs.rm_file("/bucket/set/train/shard-000001.tar")
    fs.pipe_file("/bucket/set/train/shard-000002.tar", b"short")
    fs.pipe_file("/bucket/set/shards/train-000003.json", b'{"split": "train", "num')
    done[4].digest = "of other settings"
    missing = SimpleNamespace(name="val-000000", digest="d")
    assert left_at(url, [*done, missing]) == [*done[1:], missing]
    assert left_at("memory://nothing/here", done) == done


def test_tables_come_back_without_pictures(tmp_path, url):
    here, there = tmp_path / "here", tmp_path / "there"
    for number in range(3):
        shard(here, number)
    push(here, url)
    assert sorted(fetch_tables(url, there)) == [f"train-{n:06d}" for n in range(3)]
    expected = {n: d for n, d in files(here).items() if not n.startswith("train/")}
    assert files(there) == expected
    (there / "provenance/train-000001.parquet").write_bytes(b"damaged")
    fetch_tables(url, there)
    assert files(there) == expected


def test_parts_of_files_lie_where_they_lay(tmp_path, url):
    import fsspec

    data = bytes(range(200))
    fsspec.filesystem("memory").pipe_file("/bucket/set/train/a.tar", data)
    fetch_part(url, tmp_path, "train/a.tar", 150, 20)
    fetch_part(url, tmp_path, "train/a.tar", 30, 10)
    assert (tmp_path / "train/a.tar").read_bytes() == (
        bytes(30) + data[30:40] + bytes(110) + data[150:170]
    )


def test_foreign_files_at_an_address_are_refused_and_never_removed(tmp_path, url):
    import fsspec

    assert holds(url, "run.toml") is False
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/bucket/set/thesis.docx", b"years")
    with pytest.raises(UsageError, match=r"1 files and folders \(thesis.docx\)"):
        holds(url, "run.toml")
    shard(tmp_path, 0)
    push(tmp_path, url)
    fs.pipe_file("/bucket/set/run.toml", b"")
    assert holds(url, "run.toml") is True
    clear_remote(url)
    left = sorted(name for name in fs.find("/bucket/set"))
    assert left == ["/bucket/set/run.toml", "/bucket/set/thesis.docx"]


def test_an_unknown_or_unreachable_place_is_one_line(tmp_path, monkeypatch):
    import synth.distributed.remote as remote

    with pytest.raises(UsageError, match="got nonsense://x") as caught:
        left_at("nonsense://x", [])
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(remote, "WAIT", 0.0)
    (tmp_path / "file").write_text("")
    shard(tmp_path / "set", 0)
    with pytest.raises(SynthError, match="3 times; finished shards are kept"):
        push(tmp_path / "set", f"file://{tmp_path}/file/set")


def set_run(root: Path, generator, plan, sources, seed: int = 0) -> SetRun:
    tables = {"settings": {"seed": seed}, "run": {}, "assets": {}, "versions": {}}
    return SetRun(root, generator, MAKING, plan, tuple(sources), tables, "webdataset", SHARD)


def test_a_run_at_an_address_ends_with_the_set_of_a_run_here(
    tmp_path, url, generator, plan, sources
):
    local = set_run(tmp_path / "set", generator, plan, sources)
    _, left = local.begin()
    list(local.run(left, never))
    local.finish()
    run = set_run(tmp_path / "staging" / "set", generator, plan, sources)
    jobs, left = begin_at(run, url)
    assert left == jobs
    shards = tmp_path / "shards"
    for name, data in files(tmp_path / "set").items():  # as if actors had made them
        if name.split("/")[0] in ("train", "val", "shards", "provenance"):
            (shards / name).parent.mkdir(parents=True, exist_ok=True)
            (shards / name).write_bytes(data)
    push(shards, url)
    again = set_run(tmp_path / "again" / "set", generator, plan, sources)
    assert begin_at(again, url)[1] == []
    finish_at(again, url)
    import fsspec

    fs = fsspec.filesystem("memory")
    made = {name.removeprefix("/bucket/set/"): fs.cat_file(name) for name in fs.find("/bucket/set")}
    assert made == files(tmp_path / "set")
    other = set_run(tmp_path / "other" / "set", generator, plan, sources, seed=1)
    with pytest.raises(UsageError, match="expected the settings of the run"):
        begin_at(other, url)
    assert len(begin_at(set_run(tmp_path / "o" / "set", generator, plan, sources, 1), url, True)[1])
    assert remote_manifests(url) == {}
