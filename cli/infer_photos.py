"""Photos of ``synth infer``: in this process or in several, the same rows either way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.cli.infer_run import Found
from synth.errors import AssetError, DependencyError, SkipPhoto, UsageError
from synth.image_files import write_atomic
from synth.images import ImageSource, encode_image, load_image
from synth.recognition.face_reading import FaceReading
from synth.recognition.infer import Inference
from synth.records import Skip
from synth.types import FaceImage, Landmarks
from synth.workers import results_of

__all__ = ["internal", "read_photos"]

#: Photos read together; fixed, so that the rows do not depend on the number of workers.
CHUNK = 16
EXTENSIONS = {"png": ".png", "jpeg": ".jpg"}


@dataclass(frozen=True)
class Pictures:
    """What is drawn of each photo.

    Attributes
    ----------
    root : Path
    overlay, dashboard : bool
    fmt : {"png", "jpeg"}
    stems : dict of str to str
        File name without extension by name of the photo.
    """

    root: Path
    overlay: bool
    dashboard: bool
    fmt: str
    stems: dict[str, str]


#: A picture, its faces and its spectrum.
Picture = tuple[FaceImage, list[Landmarks], str]
Result = tuple[list[FaceReading], list[Skip]]


def read_photos(
    inference: Inference,
    photos: Sequence[ImageSource],
    options: dict[str, Any],
    found: Found,
    stop: Callable[[], bool],
) -> None:
    """Read all photos into `found`, in their order; with a bar where stderr is a terminal."""
    from tqdm import tqdm

    from synth.targets import source_stems

    if not photos:
        return
    pictures = Pictures(
        options["output"],
        options["overlay"],
        options["dashboard"],
        options["pictures"],
        source_stems([photo.name for photo in photos]),
    )
    chunks = [tuple(photos[i : i + CHUNK]) for i in range(0, len(photos), CHUNK)]
    with tqdm(total=len(photos), unit=" photos", file=sys.stderr, disable=None, leave=False) as bar:
        make = partial(_same, inference, pictures)
        results = results_of(_in_worker, make, chunks, options["workers"])
        for chunk, (readings, skips) in zip(chunks, results, strict=False):
            found.readings += readings
            found.skips += skips
            found.photos += len(chunk)
            bar.update(len(chunk))
            if stop():
                results.close()
                return


def _same(inference: Inference, pictures: Pictures) -> tuple[Inference, Pictures]:
    return inference, pictures


def _in_worker(state: tuple[Inference, Pictures], chunk: tuple[ImageSource, ...]) -> Result:
    return _read(state[0], chunk, state[1])


def _read(inference: Inference, chunk: Sequence[ImageSource], pictures: Pictures) -> Result:
    """Some photos: found one by one, read together, drawn."""
    ready: list[Picture] = []
    skips: list[Skip] = []
    for photo in chunk:
        try:
            image = load_image(photo.path, name=photo.name)
            spectrum = inference.spectrum_of(image)
            ready.append((image, inference.detect(image, photo), spectrum))
        except SkipPhoto as skip:
            skips.append(Skip(photo.name, skip.reason, skip.value, str(skip)))
        except (AssetError, DependencyError, UsageError):
            raise  # every other photo would fail alike
        except Exception as error:
            skips.append(internal(photo.name, error))
    readings = []
    for (image, _, _), own in zip(ready, _together(inference, ready, skips), strict=True):
        readings += own
        try:
            if own:
                _draw(image, own, pictures)
        except OSError as error:
            skips.append(
                Skip(image.name, "WRITE", None, f"{image.name}: {error.strerror or error}")
            )
    return readings, skips


def _together(
    inference: Inference, ready: list[Picture], skips: list[Skip]
) -> list[list[FaceReading]]:
    """The readings of each photo; where they cannot be read together, one by one."""
    try:
        return inference.read(ready)
    except (AssetError, DependencyError):
        raise
    except Exception:
        found = []
        for picture in ready:
            try:
                found += inference.read([picture])
            except Exception as error:
                skips.append(internal(picture[0].name, error))
                found.append([])
        return found


def internal(name: str, error: Exception) -> Skip:
    """The row of something that nobody expected."""
    return Skip(name, "INTERNAL", None, f"{name}: {type(error).__name__}: {error}")


def _draw(image: FaceImage, readings: list[FaceReading], pictures: Pictures) -> None:
    """The overlay of a photo, and the dashboard of its largest face."""
    stem = f"{pictures.stems[image.name]}{EXTENSIONS[pictures.fmt]}"
    if pictures.overlay:
        from synth.preview.overlay import draw_overlay

        _save(pictures, "overlays", stem, draw_overlay(image.pixels, readings))
    if pictures.dashboard:
        from synth.preview.dashboard import draw_dashboard

        sheet = draw_dashboard(image.pixels, readings[0], (), image.name)
        _save(pictures, "dashboards", stem, sheet)


def _save(pictures: Pictures, folder: str, name: str, pixels: NDArray[np.uint8]) -> None:
    (pictures.root / folder).mkdir(exist_ok=True)
    write_atomic(pictures.root / folder / name, encode_image(pixels, pictures.fmt))
