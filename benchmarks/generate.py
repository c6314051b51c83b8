"""Times of `synth generate`: stages, photos, pictures a second, memory. Prints tables.

``python benchmarks/generate.py [PHOTO ...] [--quick]``; without photos the bundled
samples. CPU seconds of one thread (``process_time``) except where wall clock is
said. Absolute times differ from machine to machine; compare rows of one run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from synth.affect import va_grid
from synth.batch import Done, Output, Plan, generate_files
from synth.crops import face_crop
from synth.fitting import fit_face
from synth.images import ImageSource, encode_image, find_images, load_image
from synth.pipeline import Generator
from synth.provenance import make_record
from synth.records import RunWriter, record_line
from synth.render.face import render
from synth.render.rig import build_rig
from synth.targets import make_targets

SIZES = (256, 512)


def median_ms(repeats: int, function: Callable[..., Any], *args: Any) -> float:
    """Median CPU milliseconds of a call, after one to warm up."""
    function(*args)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function(*args)
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times))


def rss_mb() -> float:
    """Resident memory of this process in MB, as the kernel counts it now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def row(name: str, *cells: float, digits: int = 2) -> None:
    print(f"  {name:32}" + "".join(f"{cell:>12.{digits}f}" for cell in cells))


def head(title: str, *columns: str) -> None:
    print(f"\n{title:34}" + "".join(f"{column:>12}" for column in columns))


def per_photo(source: ImageSource, repeats: int) -> None:
    """Everything that is done once per face."""
    head("once per photo, ms", *(f"{size} px" for size in SIZES))
    generators = [Generator(crop="face", size=size) for size in SIZES]
    first = generators[0]
    image = load_image(source.path)
    found = first.detector().detect(image)[0]
    total = np.zeros(len(SIZES))
    for name, function, argument in (
        (f"decode {image.width} x {image.height}", load_image, source.path),
        ("detect and 68 points", first.detector().detect, image),
    ):
        ms = median_ms(repeats, function, argument)
        total += ms
        row(name, *[ms] * len(SIZES))
    stages: dict[str, list[float]] = {"crop": [], "fit": [], "rig": []}
    for generator, size in zip(generators, SIZES, strict=True):
        crop, points, _ = face_crop(image, found, size)
        model, settings = generator.morphable, generator.render_settings
        shape = (crop.height, crop.width)
        fit = fit_face(points, shape, model)
        stages["crop"].append(median_ms(repeats, face_crop, image, found, size))
        stages["fit"].append(median_ms(repeats, fit_face, points, shape, model))
        stages["rig"].append(median_ms(repeats, build_rig, crop, points, fit, model, settings))
    for name, cells in stages.items():
        row(name, *cells)
        total += cells
    row("all of it", *total)


def per_target(source: ImageSource, repeats: int) -> None:
    """Everything that is done once per picture, averaged over targets all over the disc."""
    targets = make_targets((va, "") for va in va_grid(5) if va.radius > 0)
    head("per target, ms", *(f"{size} px" for size in SIZES))
    columns: list[dict[str, float]] = []
    for size in SIZES:
        generator = Generator(crop="face", size=size)
        image, faces = generator.faces(source)
        face = generator.prepare(image, faces[0])
        weights = [generator.act(face, t).weights[generator.order] for t in targets]
        for w in weights:
            render(face.rig, w)  # compile, fill caches
        profile: dict[str, float] = {}
        start = time.process_time()
        for _ in range(repeats):
            for w in weights:
                render(face.rig, w, profile=profile)
        spent = time.process_time() - start
        count = repeats * len(targets)
        # The stages are timed by wall clock: their shares of it, of the CPU time.
        wall = sum(profile.values())
        column = {f"render: {k}": 1e3 * spent * v / wall / count for k, v in profile.items()}
        middle = targets[len(targets) // 2]
        found = generator.act(face, middle)
        drawn = render(face.rig, found.weights[generator.order])
        record = make_record(generator, face.rig, face.matrix, middle, found, drawn, 0)
        line = record_line(record)
        column["lookup"] = median_ms(20, generator.act, face, middle)
        column["record"] = median_ms(
            20, make_record, generator, face.rig, face.matrix, middle, found, drawn, 0
        ) + median_ms(20, record_line, record)
        for fmt in ("jpeg", "png"):
            args = (drawn.pixels, fmt, 95, None, line, record.digital_source_type)
            column[f"encode {fmt}"] = median_ms(20, encode_image, *args)
        column["render"] = 1e3 * spent / count
        columns.append(column)
    for name in columns[0]:
        row(name, *(column.get(name, 0.0) for column in columns))
    head("pictures a second and core", *(f"{size} px" for size in SIZES))
    row("render", *(1e3 / c["render"] for c in columns), digits=0)
    whole = ("render", "lookup", "record", "encode jpeg")
    row(
        "with lookup, record and jpeg", *(1e3 / sum(c[k] for k in whole) for c in columns), digits=0
    )


def throughput(sources: list[ImageSource], pictures: int, size: int) -> None:
    """Wall-clock rate of whole runs, photos and files included."""
    head(f"whole runs, {size} px jpeg", "pictures", "start, s", "then, s", "a second")
    per_source = max(1, pictures // len(sources))
    grid = [va for va in va_grid(41) if va.radius > 0][:per_source]
    plan = Plan(tuple(sources), tuple(make_targets((va, "") for va in grid)))
    for workers in (1, 2):
        generator = Generator(crop="face", size=size)
        generator.preload()
        with tempfile.TemporaryDirectory() as folder:
            output = Output(Path(folder), "jpeg")
            paths = {source.name: source.path for source in sources}
            # Until the first job is done: workers import and load, photo 1 is prepared.
            start = first = time.perf_counter()
            before = 0
            with RunWriter(output.root, {}, paths) as writer:
                for event in generate_files(generator, plan, output, writer, workers):
                    if isinstance(event, Done) and not before:
                        first, before = time.perf_counter(), len(writer)
                count = len(writer)
            rest = time.perf_counter() - first
        rate = (count - before) / rest
        row(f"{workers} worker{'s' * (workers > 1)}", count, first - start, rest, rate, digits=1)


def memory(sources: list[ImageSource], pictures: int, size: int) -> None:
    """Resident memory as a run goes on."""
    head(f"memory, {size} px", "pictures", "MB")
    generator = Generator(crop="face", size=size)
    targets = make_targets((va, "") for va in va_grid(15))
    marks = (pictures // 10, pictures // 2, pictures)
    made = 0
    while made < pictures:
        for result in generator.run(sources, targets):
            made += 1
            if made in marks:
                row("after", made, rss_mb(), digits=0)
            del result
            if made >= pictures:
                break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", help="photos or folders")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        if options.photos:
            sources = find_images(options.photos)
        else:
            from synth.samples import copy_samples

            copy_samples(folder)
            sources = find_images(folder)
        share = 10 if options.quick else 1
        per_photo(sources[0], 20 // share + 1)
        per_target(sources[0], 20 // share)
        for size in SIZES:
            throughput(sources, 1200 // share, size)
        memory(sources, 2000 // share, 256)


if __name__ == "__main__":
    main()
