"""What ``synth infer`` does with its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli.config import plain
from synth.cli.runner import Tables
from synth.errors import UsageError
from synth.image_files import write_atomic
from synth.records import Skip, check_output
from synth.runfile import RUN_FILE, run_toml

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.recognition.infer import FaceReading, Inference
    from synth.recognition.inputs import Inputs

__all__ = ["Found", "NirToVis", "run"]

#: Options that say where and how, not what.
RUN = ("input", "recursive", "output", "limit", "workers", "device", "camera", "seconds")
TABLE, SKIPPED = "predictions", "skipped.csv"


@dataclass
class Found:
    """What a run has so far."""

    readings: list[FaceReading] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    photos: int = 0
    films: int = 0
    frames: int = 0
    interrupted: bool = False


class NirToVis:
    """Approach 1's translation, loaded when first used, so that it travels to workers."""

    def __init__(self, weights: Path | None, device: str) -> None:
        self.weights, self.device = weights, device
        self._translator: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"weights": self.weights, "device": self.device, "_translator": None}

    def load(self) -> Any:
        """The translator."""
        from synth.settings import torch_device
        from synth.translation import TranslatorOptions, get_translator

        if self._translator is None:
            how = TranslatorOptions(torch_device(self.device))
            self._translator = get_translator("vis", None, self.weights, how)
        return self._translator

    def __call__(self, pixels: NDArray[Any], faces: Sequence[Any], seed: int) -> NDArray[Any]:
        from synth.translation.photos import translate_faces

        return translate_faces(self.load(), pixels, faces, seed)


def run(options: dict[str, Any], overwrite: bool) -> int:
    """Read everything, write the tables, print the summary; the exit code."""
    from synth.cli.infer_films import read_camera, read_films
    from synth.cli.infer_photos import read_photos
    from synth.cli.progress import interruptible
    from synth.recognition.camera import open_camera
    from synth.recognition.follow import FilmSettings, check_film

    inputs = _inputs(options)
    inference = _inference(options)
    if inputs.films or options["camera"] is not None:
        check_film(inference, FilmSettings(options["detect_every"]))
    inference.preload()
    tables = _tables(options, inference)
    root: Path = options["output"]
    check_output(root, tables, overwrite)
    camera = None if options["camera"] is None else open_camera(options["camera"])
    _begin(root, tables)
    found = Found()
    with interruptible("writing what was read") as stop:
        if camera is not None:
            read_camera(inference, camera, options, found, stop)
        else:
            read_photos(inference, inputs.photos, options, found, stop)
            read_films(inference, inputs.films, options, found, stop)
            found.interrupted = stop()
    _write(root, options, found)
    _say(root, options, found)
    return 130 if found.interrupted else 3 if found.skips else 0


def _begin(root: Path, tables: Tables) -> None:
    """Make the folder, with its run file."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        write_atomic(root / RUN_FILE, run_toml(tables).encode())
    except OSError as error:
        raise UsageError(
            f"output: expected a folder that can be written, got {root} "
            f"({error.strerror or error}); choose another --output"
        ) from None


def _inputs(options: dict[str, Any]) -> Inputs:
    from synth.recognition.inputs import Inputs, find_inputs

    if options["camera"] is not None:
        if options["input"]:
            raise UsageError("camera: expected no --input beside it; give one of the two")
        return Inputs((), ())
    if options["seconds"] is not None:
        raise UsageError("seconds: expected --camera with it; videos are read to their end")
    if not options["input"]:
        raise UsageError(
            "input: expected a photo, video or folder, got none; give --input PATH or --camera 0"
        )
    return find_inputs(options["input"], options["recursive"], options["limit"])


def _inference(options: dict[str, Any]) -> Inference:
    from synth.recognition.infer import Inference

    translate = None
    if options["approach"] == "1":
        if options["spectrum"] == "vis":
            raise UsageError(
                "approach: expected near infrared with approach 1, got --spectrum vis; "
                "give --spectrum nir"
            )
        translate = NirToVis(options["translator"], options["device"])
        translate.load()
    elif options["translator"]:
        raise UsageError("translator: expected --approach 1 with it; leave it out")
    names = ("weights", "spectrum", "landmarks", "face", "device", "batch")
    return Inference(translate=translate, **{name: options[name] for name in names})


def _tables(options: dict[str, Any], inference: Inference) -> Tables:
    from synth.translation import weights_digests
    from synth.versions import installed

    digests = dict(inference.digests)
    if inference.translate is not None:
        digests |= weights_digests("vis", None, options["translator"])
    return {
        "settings": {k: plain(v) for k, v in sorted(options.items()) if k not in RUN},
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in RUN},
        "assets": digests,
        "versions": installed(),
    }


def _write(root: Path, options: dict[str, Any], found: Found) -> None:
    from synth.recognition.table import FORMATS, csv_bytes, table_bytes

    for extension in FORMATS.values():  # of an earlier run in another format
        (root / f"{TABLE}{extension}").unlink(missing_ok=True)
    smoothed = options["smooth"] > 0
    data = table_bytes(found.readings, options["format"], smoothed)
    write_atomic(root / f"{TABLE}{FORMATS[options['format']]}", data)
    head = [f.name for f in fields(Skip)]
    write_atomic(root / SKIPPED, csv_bytes(head, [vars(skip) for skip in found.skips]))


def _say(root: Path, options: dict[str, Any], found: Found) -> None:
    """The closing lines, on stderr."""
    from synth.recognition.table import FORMATS

    read = [_count(found.photos, "photo")] if found.photos or not found.films else []
    if found.films:
        read.append(f"{_count(found.frames, 'frame')} of {_count(found.films, 'video')}")
    lines = [f"{_count(len(found.readings), 'face')} in {' and '.join(read)}"]
    for skip in found.skips[:5]:
        lines.append(f"skipped {skip.source}: {skip.reason}: {skip.message}")
    if len(found.skips) > 5:
        lines.append(f"{len(found.skips)} skipped in all; see {root / SKIPPED}")
    lines.append(f"predictions in {root / TABLE}{FORMATS[options['format']]}")
    if found.interrupted:
        lines.append("interrupted: what was read is there; run the command again for the rest")
    click.echo("\n".join(lines), file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
