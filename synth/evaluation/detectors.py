"""How well face detectors find faces: overlap with true boxes, misses, time.

The benchmark of the thesis of Kalabis [1]_ (detectors compared by IOU), on your own photos,
visible and near-infrared apart. Detectors differ in what they call a face (brows to chin,
hair to chin), so that the overlap is told twice: as the boxes are, and after the shift and
scale that fit a detector's boxes best to the true ones, the same for all its boxes.

References
----------
.. [1] Kalabis, "Facial expression analysis from NIR image", CTU in Prague 2024.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import DependencyError, SkipPhoto, UsageError
from synth.evaluation.box_finders import FINDERS, Find, make_finder
from synth.evaluation.boxes import fit_convention, match_boxes, moved
from synth.evaluation.matching import list_pictures
from synth.images import load_image
from synth.metrics.intervals import intervals

__all__ = ["ENOUGH", "Seen", "box_scores", "evaluate_detectors", "look"]

Float = NDArray[np.float64]
#: IOU from which a face counts as found.
ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class Seen:
    """What a detector said of one photo.

    Attributes
    ----------
    name : str
    truth : (T, 4) float64 or None
        True boxes; None where they are not known.
    found : (K, 4) float64
    seconds : float
        That it took.
    """

    name: str
    truth: Float | None
    found: Float
    seconds: float


def look(
    photos: Mapping[str, Path], find: Find, truth: Mapping[str, Float] | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[list[Seen], list[tuple[str, str]]]:  # fmt: skip
    """What a detector finds in photos, and those that could not be read, with the reason.

    The first photo is looked at twice, so that loading the detector is not timed.
    """
    seen: list[Seen] = []
    unread: list[tuple[str, str]] = []
    for key, path in photos.items():
        try:
            image = load_image(path)
        except SkipPhoto as skip:
            unread.append((key, skip.reason))
            continue
        finally:
            if progress is not None:
                progress()
        if not seen:
            find(image)
        start = time.perf_counter()
        boxes = find(image)
        taken = time.perf_counter() - start
        seen.append(Seen(key, None if truth is None else truth.get(key), boxes, taken))
    return seen, unread


# ---------------------------------------------------------------------------------- scores
def box_scores(seen: Sequence[Seen], enough: float = ENOUGH) -> dict[str, Any]:
    """Counts and overlaps over photos.

    Parameters
    ----------
    seen : sequence of Seen
    enough : float
        IOU from which a face counts as found.

    Returns
    -------
    dict
        ``n`` photos, ``with_face`` and ``one_face`` among them, ``found`` boxes and
        ``milliseconds`` (median); of photos with true boxes: ``faces``, ``misses`` (true
        boxes that no box touches), and for the boxes ``as_found`` and ``fitted``:
        ``iou`` (mean, a miss counting 0), ``low`` and ``high`` of it (95 % over photos),
        ``recall`` and ``precision`` at the IOU `enough`.
        ``convention`` is the fit. NaN where undefined.
    """
    count = np.array([len(one.found) for one in seen])
    scores: dict[str, Any] = {
        "n": len(seen),
        "with_face": int((count > 0).sum()),
        "one_face": int((count == 1).sum()),
        "found": int(count.sum()),
        "milliseconds": 1000 * float(np.median([s.seconds for s in seen])) if seen else np.nan,
    }
    known = [one for one in seen if one.truth is not None]
    if not known:
        return scores
    pairs = [
        (one.truth[t], one.found[f])
        for one in known
        if one.truth is not None
        for t, f, _ in match_boxes(one.truth, one.found)
    ]
    faces = sum(len(one.truth) for one in known if one.truth is not None)
    scores |= {"faces": faces, "misses": faces - len(pairs), "enough": enough}
    scores["as_found"] = _overlap(known, None, enough)
    if pairs:
        first, second = zip(*pairs, strict=True)
        scores["convention"] = fit_convention(np.array(first), np.array(second))
        scores["fitted"] = _overlap(known, scores["convention"], enough)
    return scores


def _overlap(seen: Sequence[Seen], convention: Any, enough: float) -> dict[str, float]:
    values: list[float] = []
    photo: list[int] = []
    hits = boxes = 0
    for number, one in enumerate(seen):
        assert one.truth is not None
        found = one.found if convention is None else moved(one.found, convention)
        own = np.zeros(len(one.truth))
        for t, _, overlap in match_boxes(one.truth, found):
            own[t] = overlap
        values += own.tolist()
        photo += [number] * len(own)
        hits += int((own >= enough).sum())
        boxes += len(found)
    if not values:
        return dict.fromkeys(("iou", "low", "high", "recall", "precision"), float("nan"))
    mean = intervals(["mae"], np.zeros(len(values)), np.array(values), photo)["mae"]
    return {
        "iou": mean.value,
        "low": mean.low,
        "high": mean.high,
        "recall": hits / len(values),
        "precision": hits / boxes if boxes else float("nan"),
    }


# --------------------------------------------------------------------------------- command
def evaluate_detectors(
    sets: Mapping[str, tuple[Path, Mapping[str, Float] | None]],
    names: Sequence[str] = (),
    models: Mapping[str, Path] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Every detector on every set of photos.

    Parameters
    ----------
    sets : mapping of str to (folder, boxes)
        By spectrum; true boxes by name, or None.
    names : sequence of str
        Of `synth.evaluation.box_finders.FINDERS`; all that are installed by default.
    models : mapping of str to Path, optional
        Model files of detectors that need one.
    progress : callable
        Told how many photos of how many are done.

    Returns
    -------
    dict
        ``sets``: by spectrum ``n`` photos, ``unread`` and ``detectors`` with `box_scores`;
        ``left_out``: detectors that could not run, and why.
    list of dict
        A row for each box found and each photo without one.

    Raises
    ------
    UsageError
        If a folder or detector is unknown, or boxes are of none of the photos.
    DependencyError
        If a detector that was named cannot run.
    """
    finders, left_out = _finders(names, models or {})
    report: dict[str, Any] = {"sets": {}, "left_out": left_out}
    rows: list[dict[str, Any]] = []
    pictures = {spectrum: list_pictures(folder, spectrum) for spectrum, (folder, _) in sets.items()}
    total = sum(map(len, pictures.values())) * len(finders)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    for spectrum, photos in pictures.items():
        truth = sets[spectrum][1]
        if truth is not None and not set(truth) & set(photos):
            raise UsageError(
                f"boxes: expected some of the photos in {sets[spectrum][0].name}, got none in "
                "common; names must be the same but for the extension"
            )
        found: dict[str, Any] = {"n": len(photos), "unread": [], "detectors": {}}
        for name, find in finders.items():
            seen, found["unread"] = look(photos, find, truth, step)
            found["detectors"][name] = box_scores(seen)
            rows += [row for one in seen for row in _rows(spectrum, name, one)]
        report["sets"][spectrum] = found
    return report, rows


def _finders(names: Sequence[str], models: Mapping[str, Path]) -> tuple[dict[str, Find], list[Any]]:
    """Those that were named, or all that run here."""
    if unknown := sorted({*names, *models} - set(FINDERS)):
        raise UsageError(f"detector: expected one of {', '.join(FINDERS)}, got {unknown[0]}")
    finders: dict[str, Find] = {}
    left_out = []
    for name in names or FINDERS:
        try:
            finders[name] = make_finder(name, models.get(name))
        except (DependencyError, UsageError) as error:
            if names or name in models:
                raise
            left_out.append((name, str(error)))
    if not finders:
        raise UsageError("detector: expected at least one that is installed, got none")
    return finders, left_out


def _rows(spectrum: str, detector: str, one: Seen) -> list[dict[str, Any]]:
    head = {"spectrum": spectrum, "detector": detector, "file_name": one.name}
    head |= {"milliseconds": f"{1000 * one.seconds:.1f}"}
    best = {} if one.truth is None else {f: v for _, f, v in match_boxes(one.truth, one.found)}
    rows = []
    for place, box in enumerate(one.found):
        sides = dict(
            zip(("left", "top", "right", "bottom"), np.round(box, 1).tolist(), strict=True)
        )
        overlap = "" if one.truth is None else f"{best.get(place, 0.0):.4f}"
        rows.append(head | {"face": place} | sides | {"iou": overlap})
    return rows or [head | dict.fromkeys(("face", "left", "top", "right", "bottom", "iou"), "")]
