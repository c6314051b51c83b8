"""Make one picture of a finished set again, from what the set says about itself.

The record names the photo by its digest and the row of the plan; ``run.toml`` holds the
settings, ``plan.parquet`` the rows. With the same assets and the same versions of
the packages the bytes are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.acceptance import Limits
from synth.assets import digest
from synth.augment.jobs import make_jobs
from synth.augment.make import Making, make_picture
from synth.augment.run import PLAN_FILE
from synth.dataset.finish import picture_bytes
from synth.dataset.manifest import read_manifests
from synth.dataset.provenance import read_provenance, read_rows
from synth.errors import SynthError, UsageError
from synth.images import ImageSource, find_images
from synth.nuisance import parse_ranges
from synth.pipeline import Generator
from synth.plans import Plan, PlanRow, read_plan
from synth.quality import Embedder, Gates
from synth.runfile import RUN_FILE, read_run_file
from synth.threads import one_thread
from synth.versions import installed

__all__ = ["Replay", "find_row", "replay", "settings_of"]

#: Settings of `Generator` that ``run.toml`` holds under their own names.
KEPT = ("model", "gallery", "landmarks", "fit", "texture", "neutralise", "face", "lookup",
        "composite", "backend", "crop", "size", "seed", "nir", "nir_order", "nir_weights", "route",
        "refine", "editor_weights", "without")  # fmt: skip


@dataclass(frozen=True)
class Replay:
    """A picture of a set and the same one made again.

    Attributes
    ----------
    name : str
        ``file_name`` of the picture.
    kept, made : bytes
        As it lies in the set, and as it came out now.
    differences : tuple of str
        Assets and packages that are not those of the record.
    """

    name: str
    kept: bytes
    made: bytes
    differences: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return self.kept == self.made


def replay(root: Path, picture: str, photos: Sequence[Path] = ()) -> Replay:
    """Make a picture of a set again and put it beside the one that is there.

    Parameters
    ----------
    root : Path
        Folder of the set.
    picture : str
        Its key, its ``file_name`` or the number of its row in the plan.
    photos : sequence of Path
        Photos or folders with the neutral photo; those of ``run.toml`` when empty.

    Raises
    ------
    UsageError
        If the set, the picture or its photo cannot be found.
    SynthError
        If the photo now cannot be used, or the gates refuse the picture.
    """
    root = Path(root)
    row = find_row(root, picture)
    record = json.loads(row["record"])
    tables = read_run_file(root / RUN_FILE)
    generator, making = settings_of(tables.get("settings", {}))
    source = _photo(record, photos or [Path(p) for p in _listed(tables, "input")])
    with one_thread():
        made = _make(generator, making, root, source, record)
    return Replay(row["file_name"], picture_bytes(root, row), made, _changed(record, generator))


def find_row(root: Path, picture: str) -> dict[str, Any]:
    """The provenance row of a picture, by key, file name or number of its row in the plan.

    Raises
    ------
    UsageError
        If there is none, or several.
    """
    found = []
    for manifest in read_manifests(root):
        names = ["key", "file_name", "plan_id"]
        table = read_provenance(root, manifest.split, manifest.number, names)
        for index, row in enumerate(table.to_pylist()):
            if picture in (row["key"], row["file_name"], str(row["plan_id"])):
                found.append((manifest, index))
    if len(found) != 1:
        raise UsageError(
            f"id: expected the key, file name or plan row of one picture in {root}, got "
            f"{picture!r}, which {len(found) or 'none'} of them has; see provenance/"
        )
    manifest, index = found[0]
    return list(read_rows(root, manifest.split, manifest.number))[index]


def settings_of(settings: Mapping[str, Any]) -> tuple[Generator, Making]:
    """Generator and making that the table ``[settings]`` of a set's run file describes.

    Raises
    ------
    UsageError
        If something is missing.
    """
    asked = [bool(settings.get(name)) for name in ("allow_non_neutral", "neutralise")]
    limits = Limits.asked(*asked)
    try:
        making = Making(
            parse_ranges(settings["nuisance"]),
            Gates.named(settings["gates"]),
            settings["redraw"],
            settings["image_format"],
            settings["quality"],
        )
    except KeyError as error:
        raise UsageError(
            f"set: expected {error} among the settings of {RUN_FILE}, got none; "
            "only sets made by synth augment can be replayed"
        ) from None
    kept = {name: settings[name] for name in KEPT if name in settings}
    return Generator(**kept, limits=limits), making


def _listed(tables: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    value = tables.get("run", {}).get(name, [])
    return [value] if isinstance(value, str) else list(value)


def _photo(record: Mapping[str, Any], photos: Sequence[Path]) -> ImageSource:
    """The photo with the record's digest; the one of its name is tried first."""
    sources = find_images([str(photo) for photo in photos], True) if photos else []
    sources.sort(key=lambda source: Path(source.name).name != Path(record["source"]).name)
    for source in sources:
        if digest(source.path) == record["source_sha256"]:
            return ImageSource(source.path, record["source"])
    raise UsageError(
        f"input: expected the photo {record['source']} with sha256 "
        f"{record['source_sha256'][:12]}, got {len(sources)} others; give its folder as --input"
    )


def _make(
    generator: Generator,
    making: Making,
    root: Path,
    source: ImageSource,
    record: Mapping[str, Any],
) -> bytes:
    rows = _rows(read_plan(root / PLAN_FILE), record)
    [job] = make_jobs(
        Plan(rows),
        {source.name: source.path},
        {source.name: record["source_sha256"]},
        "",
        len(rows),
    )
    [wanted] = [row for row in rows if row.id == record["plan_id"]]
    image, faces = generator.faces(source)
    face = generator.prepare(image, faces[0])
    embedder = Embedder() if making.gates.needs_embedding else None
    picture = make_picture(generator, face, wanted, dict(job.tracks), making, embedder)
    if picture.data is None:
        told = ", ".join(f"{reject.reason} {reject.value:.3g}" for reject in picture.rejects)
        raise SynthError(
            f"picture: expected it to pass the gates as it did, got {told}; compare the versions "
            "of the record with synth doctor"
        )
    return picture.data


def _rows(plan: Plan, record: Mapping[str, Any]) -> tuple[PlanRow, ...]:
    """The row of the record, with the other frames of its sequence."""
    own = [row for row in plan.rows if row.id == record["plan_id"]]
    if len(own) != 1 or own[0].source != record["source"]:
        raise UsageError(
            f"plan: expected row {record['plan_id']} for {record['source']} in {PLAN_FILE}, got "
            f"{own[0].source if own else 'none'}; the plan was changed after the set was made"
        )
    if not own[0].sequence:
        return tuple(own)
    key = (own[0].source, own[0].sequence)
    return tuple(row for row in plan.rows if (row.source, row.sequence) == key)


def _changed(record: Mapping[str, Any], generator: Generator) -> tuple[str, ...]:
    changed = []
    for what, then, now in (
        ("asset", record["assets"], generator.digests),
        ("version of", record["versions"], installed()),
    ):
        for name in sorted(then.keys() & now.keys()):
            if then[name] != now[name]:
                changed.append(f"{what} {name}: {then[name][:12]} then, {now[name][:12]} now")
    return tuple(changed)
