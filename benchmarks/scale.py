"""What 1, 10 and 100 million pictures need: rates measured here, then arithmetic.

    python benchmarks/scale.py [--photos FOLDER] [--rows 300] [--quick]
    python benchmarks/scale.py --rates rates.json --cores 64 --core-hour 0.04

Measures CPU time of one thread (``process_time``) making whole shards, bytes, and what the
head does per row; then prints the tables of ``docs/scale.md``. With ``--rates`` it only
computes. Prices are examples: give your own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rates:
    """Measured, for one size and one choice of gates and nuisance.

    Attributes
    ----------
    size : int
        Pixels a side.
    what : str
    picture_ms, photo_ms : float
        CPU of one picture, written into its shard, and of one photo in one shard.
    picture_bytes, table_bytes : float
        Of a JPEG, and of its share of tar padding, labels, provenance and manifest.
    plan_us, plan_bytes : float
        CPU and memory of a row of the plan at the head.
    finish_us : float
        CPU per picture of describing the finished set.
    """

    size: int
    what: str
    picture_ms: float
    photo_ms: float
    picture_bytes: float
    table_bytes: float
    plan_us: float
    plan_bytes: float
    finish_us: float


@dataclass(frozen=True)
class Choices:
    """What the user decides, and what it costs there."""

    photos: int
    shard: int
    cores: int
    efficiency: float
    core_hour: float
    tb_month: float
    thousand_puts: float


# ------------------------------------------------------------------------- measuring
def measure(photos: Path, size: int, rows: int, gates: str, nuisance: str) -> Rates:
    """Two shards: few photos with many pictures each, and many with few.

    What a photo and what a picture cost follows from both; the cost of a photo includes
    what its first picture alone has to work out.
    """
    from synth.augment.jobs import make_jobs
    from synth.augment.make import Making
    from synth.augment.shard import run_shard
    from synth.dataset.manifest import read_manifests
    from synth.dataset.summary import summarise
    from synth.nuisance import preset
    from synth.pipeline import Generator
    from synth.quality import Gates

    generator = Generator(crop="face", size=size)
    making = Making(preset(nuisance), Gates.named(gates))
    paths = usable(generator, photos)
    few = list(paths)[:3]

    def run(names: Sequence[str], count: int, root: Path) -> float:
        digests = dict.fromkeys(paths, "")
        job = make_jobs(spread(names, count), paths, digests, "", count)[0]
        start = time.process_time()
        run_shard(generator, making, job, root, "webdataset")
        return time.process_time() - start

    with tempfile.TemporaryDirectory() as folder:
        run(few[:1], 12, Path(folder) / "warm")
        root = Path(folder) / "set"
        long = run(few, rows, root)
        short = run(list(paths), 2 * len(paths), Path(folder) / "short")
        costs = np.linalg.solve([[len(few), rows], [len(paths), 2 * len(paths)]], [long, short])
        manifests = read_manifests(root)
        start = time.process_time()
        summary = summarise(root, manifests)
        finish = time.process_time() - start
        jpeg = sum(split.bytes for split in summary.splits.values())
        everything = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    photo, picture = 1e3 * costs
    made = summary.pictures
    what = (
        "bare" if gates == "off" and nuisance == "none" else f"gates {gates}, nuisance {nuisance}"
    )
    return Rates(
        size, what, picture, photo, jpeg / made, (everything - jpeg) / made, *head(),
        1e6 * finish / made,
    )  # fmt: skip


def usable(generator: Any, photos: Path, most: int = 30) -> dict[str, Path]:
    """The first photos of a folder that are not refused."""
    from synth.errors import SkipPhoto
    from synth.images import find_images

    found: dict[str, Path] = {}
    for source in find_images([str(photos)], False):
        try:
            image, faces = generator.faces(source)
            generator.prepare(image, faces[0])
        except SkipPhoto:
            continue
        found[source.name] = source.path
        if len(found) == most:
            break
    return found


def spread(names: Sequence[str], rows: int) -> Any:
    """A plan with targets all over the disc, evenly over the photos."""
    from synth.plans import Plan, PlanRow

    def row(i: int) -> PlanRow:
        radius, angle = 0.95 * math.sqrt((i + 0.5) / rows), 2.399963 * i
        name = names[i * len(names) // rows]
        return PlanRow(i, name, name, "train", radius * math.cos(angle), radius * math.sin(angle))

    return Plan(tuple(map(row, range(rows))))


def head(rows: int = 100_000) -> tuple[float, float]:
    """Microseconds and bytes of a row at the head: plan and jobs."""
    from synth.augment.jobs import make_jobs

    names = [f"person{i:05d}/photo.jpg" for i in range(rows // 100)]
    paths, digests = {n: Path(n) for n in names}, dict.fromkeys(names, "")
    before, start = resident(), time.process_time()
    plan = spread(names, rows)
    jobs = make_jobs(plan, paths, digests, "", 500)
    spent = time.process_time() - start
    used = resident() - before
    assert sum(job.rows for job in jobs) == rows
    return 1e6 * spent / rows, used / rows


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# ------------------------------------------------------------------------ arithmetic
def needs(rates: Rates, pictures: int, choice: Choices) -> dict[str, str]:
    """One column of the table."""
    shards = math.ceil(pictures / choice.shard)
    prepared = min(pictures, choice.photos + shards)
    core_s = (pictures * rates.picture_ms + prepared * rates.photo_ms) / 1e3
    wall_s = core_s / (choice.cores * choice.efficiency)
    size = pictures * (rates.picture_bytes + rates.table_bytes)
    puts = 3 * shards
    core_hours = core_s / choice.efficiency / 3600
    compute, storage = core_hours * choice.core_hour, size / 1e12 * choice.tb_month
    return {
        "core hours": f"{core_hours:,.1f}",
        f"hours on {choice.cores} cores": f"{wall_s / 3600:,.2f}",
        "share spent preparing photos": f"{prepared * rates.photo_ms / 10 / core_s:.1f} %",
        "data, GB": f"{size / 1e9:,.0f}",
        "shards": f"{shards:,}",
        "objects (tar)": f"{puts:,}",
        "objects (folder)": f"{pictures + 2 * shards:,}",
        "upload, MB/s": f"{size / 1e6 / wall_s:,.1f}",
        "uploads a second (tar)": f"{puts / wall_s:,.2f}",
        "uploads a second (folder)": f"{(pictures + 2 * shards) / wall_s:,.0f}",
        "head: plan and jobs, min": f"{pictures * rates.plan_us / 6e7:,.1f}",
        "head: memory, GB": f"{pictures * rates.plan_bytes / 1e9:,.1f}",
        "head: finish, min": f"{pictures * rates.finish_us / 6e7:,.1f}",
        "compute": f"{compute:,.2f}",
        "storage a month": f"{storage:,.2f}",
        "uploads": f"{puts / 1e3 * choice.thousand_puts:,.2f}",
    }


def show(rates: Rates, choice: Choices) -> None:
    columns = [needs(rates, count, choice) for count in (10**6, 10**7, 10**8)]
    rate = 1e3 / rates.picture_ms
    print(f"\n{rates.size} px, {rates.what}: {rates.picture_ms:.1f} ms a picture ({rate:.0f} a")
    print(f"second and core), {rates.photo_ms:.0f} ms a photo, {rates.picture_bytes / 1e3:.1f} kB")
    print(f"a JPEG and {rates.table_bytes / 1e3:.1f} kB of labels and provenance")
    print(f"{choice.photos:,} photos, shards of {choice.shard:,}, efficiency {choice.efficiency}")
    print("| | 1 million | 10 million | 100 million |\n|---|---:|---:|---:|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of neutral photos")
    parser.add_argument("--rows", type=int, default=300, help="pictures measured")
    parser.add_argument("--quick", action="store_true", help="bare pictures at 256 px only")
    parser.add_argument("--rates", type=Path, help="use these rates, measure nothing")
    parser.add_argument("--save", type=Path, help="write the rates as JSON")
    parser.add_argument("--photo-count", type=int, default=10_000)
    parser.add_argument("--shard", type=int, default=5_000)
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--efficiency", type=float, default=0.85)
    parser.add_argument("--core-hour", type=float, default=0.04)
    parser.add_argument("--tb-month", type=float, default=23.0)
    parser.add_argument("--thousand-puts", type=float, default=0.005)
    options = parser.parse_args()
    choice = Choices(
        options.photo_count, options.shard, options.cores, options.efficiency, options.core_hour,
        options.tb_month, options.thousand_puts,
    )  # fmt: skip
    if options.rates:
        found = [Rates(**rates) for rates in json.loads(options.rates.read_text())]
    else:
        found = measured(options)
    if options.save:
        options.save.write_text(json.dumps([asdict(rates) for rates in found], indent=1) + "\n")
    for rates in found:
        show(rates, choice)


def measured(options: argparse.Namespace) -> list[Rates]:
    import cv2
    from threadpoolctl import threadpool_limits

    cases = [(size, "off", "none") for size in (256, 512)]
    cases += [(size, "fast", "mild") for size in (256, 512)]
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        photos = options.photos
        if photos is None:
            from synth.samples import copy_samples

            photos = Path(folder)
            copy_samples(photos)
        cases = cases[:1] if options.quick else cases
        return [measure(photos, size, options.rows, *more) for size, *more in cases]


if __name__ == "__main__":
    main()
