"""Sets at an address such as ``s3://bucket/set``: shards go there, tables come back.

Data first, then provenance, the manifest last: as on a disk, a shard is done when its
manifest is there. Anything fsspec [1]_ knows is an address; credentials are those of
its configuration.

References
----------
.. [1] fsspec, filesystem interfaces for Python, https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from synth.assets import digest
from synth.augment.jobs import Job
from synth.dataset.layout import MANIFESTS, PROVENANCE, manifest_name
from synth.dataset.manifest import Manifest, parse_manifest
from synth.errors import DependencyError, SynthError, UsageError
from synth.optional import require

__all__ = [
    "clear_remote",
    "fetch",
    "fetch_part",
    "fetch_tables",
    "holds",
    "is_url",
    "left_at",
    "push",
    "remote_manifests",
]

T = TypeVar("T")
#: Tries of an upload, and seconds before the second; each later wait is twice as long.
TRIES, WAIT = 3, 1.0
#: Small files read in one go.
BATCH = 1000


def is_url(root: Path | str) -> bool:
    """Whether a set's place is an address and not a folder of this machine."""
    return "://" in str(root)


def push(local: Path, url: str, names: Iterable[str] | None = None) -> list[str]:
    """Upload files of a folder, manifests last; their names.

    Parameters
    ----------
    local : Path
    url : str
    names : iterable of str, optional
        Below `local`; by default all but hidden ones.

    Raises
    ------
    SynthError
        If an upload failed three times.
    """
    found = (p.relative_to(local).as_posix() for p in local.rglob("*") if p.is_file())
    chosen = [n for n in found if not n.startswith(".")] if names is None else list(names)
    stages: list[list[str]] = [[], [], []]
    for name in sorted(chosen):
        top = name.split("/")[0]
        stages[{PROVENANCE: 1, MANIFESTS: 2}.get(top, 0)].append(name)
    for stage in filter(None, stages):
        _try(url, lambda stage=stage: _put(local, url, stage))  # type: ignore[misc]
    return sorted(chosen)


def _put(local: Path, url: str, names: Sequence[str]) -> None:
    fs, root = _open(url)
    for folder in sorted({name.rpartition("/")[0] for name in names}):
        fs.makedirs(f"{root}/{folder}".rstrip("/"), exist_ok=True)
    fs.put([str(local / name) for name in names], [f"{root}/{name}" for name in names])


def remote_manifests(url: str) -> dict[str, Manifest]:
    """Manifests at an address by name (``train-000012``); damaged ones are left out.

    Raises
    ------
    UsageError
        If the address cannot be read.
    """
    found = {}
    for name, data in _read_all(url, MANIFESTS, ".json").items():
        try:
            found[name.removesuffix(".json")] = parse_manifest(data)
        except (ValueError, TypeError, KeyError):
            continue  # torn: the shard is made again
    return found


def left_at(url: str, jobs: Sequence[Job]) -> list[Job]:
    """The jobs that are not finished at an address.

    A shard counts when its manifest speaks of the same job and every file it names is
    there with its size. Digests are compared by ``synth dataset check`` on a copy.

    Raises
    ------
    UsageError
        If the address cannot be read.
    """
    manifests = remote_manifests(url)
    sizes = _sizes(url) if manifests else {}

    def done(job: Job) -> bool:
        manifest = manifests.get(job.name)
        return (
            manifest is not None
            and manifest.digest == job.digest
            and all(sizes.get(file.path) == file.bytes for file in manifest.files)
        )

    return [job for job in jobs if not done(job)]


def fetch_tables(url: str, local: Path) -> dict[str, Manifest]:
    """Copy manifests and provenance into a folder.

    Provenance tables that are there already, by their digest, are not copied again.

    Parameters
    ----------
    url : str
    local : Path

    Returns
    -------
    dict of str to Manifest
        What is at the address.

    Raises
    ------
    UsageError
        If the address cannot be read.
    """
    manifests = remote_manifests(url)
    wanted = [manifest_name(m.split, m.number) for m in manifests.values()]
    for manifest in manifests.values():
        for file in manifest.files:
            here = local / file.path
            if file.path.startswith(f"{PROVENANCE}/") and not (
                here.is_file() and digest(here) == file.sha256
            ):
                wanted.append(file.path)
    fetch(url, local, wanted)
    return manifests


def fetch(url: str, local: Path, names: Iterable[str]) -> None:
    """Copy files of a set into a folder.

    Raises
    ------
    UsageError
        If one cannot be read.
    """
    fs, root = _open(url)
    names = list(names)
    for folder in {(local / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    if names:
        _ask(url, lambda: fs.get([f"{root}/{n}" for n in names], [str(local / n) for n in names]))


def holds(url: str, mark: str) -> bool:
    """Whether a set with the file `mark` is there, or nothing at all.

    Raises
    ------
    UsageError
        If the address cannot be listed, or holds other files.
    DependencyError
        If the package for this kind of address is not installed.
    """
    fs, root = _open(url)
    _ask(url, fs.invalidate_cache)
    if not _ask(url, lambda: fs.exists(root)):
        return False
    if _ask(url, lambda: fs.exists(f"{root}/{mark}")):
        return True
    found = _ask(url, lambda: fs.ls(root, detail=False))
    if found := sorted(name.rstrip("/").rpartition("/")[2] for name in found):
        raise UsageError(
            f"output: expected an empty place or an earlier run, got {url} with {len(found)} "
            f"files and folders ({', '.join(found[:3])}); choose another --output"
        )
    return False


def clear_remote(url: str) -> None:
    """Remove the files of an earlier set, as its manifests name them; nothing foreign.

    Raises
    ------
    UsageError
        If they cannot be removed.
    """
    fs, root = _open(url)
    there = _sizes(url)
    files = [f.path for m in remote_manifests(url).values() for f in m.files]
    tables = [name for name in there if name.split("/")[0] in (MANIFESTS, PROVENANCE)]
    # Manifests first: what is left of a removal that was interrupted does not count.
    tables.sort(key=lambda name: not name.startswith(f"{MANIFESTS}/"))
    for name in dict.fromkeys((*tables, *files)):
        if name in there:
            _ask(url, lambda n=name: fs.rm_file(f"{root}/{n}"))  # type: ignore[misc]


def fetch_part(url: str, local: Path, name: str, start: int, size: int) -> None:
    """Copy some bytes of a file to the same place of a file with holes.

    Raises
    ------
    UsageError
        If they cannot be read.
    """
    fs, root = _open(url)
    data = _ask(url, lambda: fs.cat_file(f"{root}/{name}", start=start, end=start + size))
    path = local / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "r+b" if path.exists() else "w+b") as file:
        file.seek(start)
        file.write(data)


# ------------------------------------------------------------------------ the address
def _open(url: str) -> tuple[Any, str]:
    fsspec = require("fsspec", extra="ray")
    try:
        fs, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DependencyError(
            f"output: expected the package for {url}, got none ({error}); install it with pip"
        ) from None
    except Exception as error:
        raise _unreadable(url, error) from None
    return fs, root.rstrip("/")


def _ask(url: str, question: Callable[[], T]) -> T:
    try:
        return question()
    except SynthError:
        raise
    except Exception as error:  # every store has errors of its own
        raise _unreadable(url, error) from None


def _unreadable(url: str, error: Exception) -> UsageError:
    return UsageError(
        f"output: expected a place that can be read and written, got {url} "
        f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); check the address and "
        "the credentials"
    )


def _try(url: str, action: Callable[[], None]) -> None:
    """Do it again where a network failed for a moment."""
    for attempt in range(1, TRIES + 1):
        try:
            return action()
        except SynthError:
            raise
        except Exception as error:
            if attempt == TRIES:
                raise SynthError(
                    f"output: expected room and leave to write at {url}, got "
                    f"{type(error).__name__} ({' '.join(str(error).split())[:200]}), {TRIES} "
                    "times; finished shards are kept: give the same command again"
                ) from None
            time.sleep(WAIT * 2 ** (attempt - 1))


def _sizes(url: str) -> dict[str, int]:
    """Bytes of every file, by its name below the set."""
    fs, root = _open(url)
    found = _ask(url, lambda: fs.find(root, detail=True))
    return {name[len(root) + 1 :]: int(info.get("size") or 0) for name, info in found.items()}


def _read_all(url: str, folder: str, end: str) -> dict[str, bytes]:
    fs, root = _open(url)
    place = f"{root}/{folder}"
    _ask(url, fs.invalidate_cache)  # listings are cached: other processes write here
    if not _ask(url, lambda: fs.exists(place)):
        return {}
    files = [f for f in _ask(url, lambda: fs.find(place)) if f.endswith(end)]
    found: dict[str, bytes] = {}
    for start in range(0, len(files), BATCH):
        chunk = files[start : start + BATCH]
        contents = _ask(url, lambda c=chunk: fs.cat(c))  # type: ignore[misc]
        if isinstance(contents, bytes):  # of a single file
            contents = {chunk[0]: contents}
        found |= {name.rpartition("/")[2]: data for name, data in contents.items()}
    return found
