"""How good a translation to near infrared is: one report over a folder of pictures.

Of every photo and its translation: sharpness, identity, how far the landmarks moved,
whether the face is still found. Against real near-infrared pictures: how well a fresh
classifier tells them apart; where they show the same moments, PSNR, SSIM and LPIPS.
With the predictions of two recognisers, their concordance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.evaluation.concordance import concordance, read_predictions
from synth.evaluation.domain import told_apart
from synth.evaluation.matching import (
    Match,
    list_pictures,
    match_pictures,
    people_of,
    read_people,
)
from synth.evaluation.picture_scores import (
    PictureRow,
    RealFaces,
    measure_picture,
    real_faces,
    summaries,
)
from synth.evaluation.sheets import SheetRow
from synth.landmarks import get_detector
from synth.quality.embedder import Embedder

__all__ = ["TranslationTest", "evaluate_translation"]

UInt8 = NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TranslationTest:
    """What to compare.

    Attributes
    ----------
    vis, translated : Path
        Folders; what belongs together has the same name (`match_pictures`).
    nir : Path, optional
        Folder of real near-infrared pictures.
    paired : bool
        Those of equal name show the same moment as the photo.
    labels : Path, optional
        CSV ``file_name, person``. Without it every photo counts as a person, and
        every real picture too, which lets people stand on both sides of a fold.
    counted : tuple of str
        See `synth.evaluation.domain.told_apart_by`.
    lpips_weights : tuple of Path
        See `synth.models.lpips.load_lpips`.
    vis_predictions, translated_predictions : Path, optional
        See `synth.evaluation.concordance.read_predictions`.

    Raises
    ------
    UsageError
        If options contradict each other.
    """

    vis: Path
    translated: Path
    nir: Path | None = None
    paired: bool = False
    labels: Path | None = None
    counted: tuple[str, ...] = ()
    lpips_weights: tuple[Path, ...] = ()
    vis_predictions: Path | None = None
    translated_predictions: Path | None = None

    def __post_init__(self) -> None:
        if self.paired and self.nir is None:
            raise UsageError("paired: expected the real pictures too, got none; give --nir DIR")
        if self.lpips_weights and not self.paired:
            raise UsageError("lpips-weights: expected paired pictures, got others; give --paired")
        if (self.vis_predictions is None) != (self.translated_predictions is None):
            raise UsageError(
                "predictions: expected those of the photos and of the translations, got one of "
                "the two; give --vis-predictions and --translated-predictions"
            )
        if self.counted and (self.nir is None or self.labels is None):
            raise UsageError("count: expected --nir and --labels beside it, got one less")


def evaluate_translation(
    test: TranslationTest, progress: Progress | None = None
) -> tuple[dict[str, Any], list[PictureRow], list[SheetRow]]:
    """The report, its rows, and those of the contact sheet.

    Parameters
    ----------
    test : TranslationTest
    progress : callable, optional
        Called with how many pictures are done, and of how many.

    Returns
    -------
    report : dict
        JSON-ready; `synth.evaluation.translation_report` writes it out.
    rows : list of PictureRow
    sheet : list of SheetRow

    Raises
    ------
    UsageError
        If folders do not go together; see `TranslationTest` and `measure_picture`.
    """
    matches, without = match_pictures(test.vis, test.translated)
    listed = read_people(test.labels) if test.labels is not None else None
    nir = list_pictures(test.nir, "nir") if test.nir is not None else {}
    pairs = _pairs(matches, nir) if test.paired else {}
    nir_people = people_of(list(nir), listed, "nir", every=True)
    predicted = _concordance(test)
    lpips = _lpips(test.lpips_weights)
    detector, embedder = get_detector(), Embedder()
    people = people_of([match.key for match in matches], listed, "vis", every=False)
    rows, details = [], []
    for number, (match, person) in enumerate(zip(matches, people, strict=True)):
        row, of_photo = measure_picture(
            match, person, detector, embedder, pairs.get(match.key), lpips
        )
        rows.append(row)
        details.append(of_photo)
        if progress is not None:
            progress(number + 1, len(matches))
    report: dict[str, Any] = {"pictures": _counts(rows, without)}
    report["measures"] = summaries(rows)
    report["by_tone"] = {
        tone: {"n": len(group)} | summaries(group) for tone, group in _by_tone(rows).items()
    }
    real = real_faces(nir, nir_people, detector) if nir else None
    if real is not None:
        report["real"] = {
            "n": len(nir),
            "with_face": len(real.faces),
            "people": len(set(real.people)),
            "people_known": listed is not None,
            "detail_of_photos": _median(real.detail) / max(_median(details), 1e-6),
        }
        report |= _told_apart(test, rows, real)
    if predicted:
        report["concordance"] = predicted
    return report, rows, _sheet_rows(rows, real)


def _pairs(matches: Sequence[Match], nir: Mapping[str, Path]) -> dict[str, Path]:
    found = {match.key: nir[match.key] for match in matches if match.key in nir}
    if not found:
        raise UsageError(
            f"nir: expected names of the photos ({matches[0].key}, ...) since the pictures are "
            f"paired, got none of them ({', '.join(list(nir)[:3])}, ...); leave out --paired"
        )
    return found


def _lpips(files: Sequence[Path]) -> Any:
    if not files:
        return None
    from synth.models.lpips import load_lpips

    return load_lpips(files)


def _concordance(test: TranslationTest) -> dict[str, Any]:
    if test.vis_predictions is None or test.translated_predictions is None:
        return {}
    return concordance(
        read_predictions(test.vis_predictions), read_predictions(test.translated_predictions)
    )


def _counts(rows: Sequence[PictureRow], without: Sequence[str]) -> dict[str, Any]:
    seen = Counter(row.face for row in rows)
    return {
        "n": len(rows),
        "people": len({row.person for row in rows}),
        "photos_without_translation": len(without),
        "photos_without_face": seen["none"],
        "faces_lost": seen["lost"],
        "lost": [row.name for row in rows if row.face == "lost"],
    }


def _by_tone(rows: Sequence[PictureRow]) -> dict[str, list[PictureRow]]:
    found: dict[str, list[PictureRow]] = {}
    for row in sorted(rows, key=lambda row: -row.scores.get("ita", -91.0)):
        found.setdefault(row.tone, []).append(row)
    found.pop("", None)
    return found


def _told_apart(
    test: TranslationTest, rows: Sequence[PictureRow], real: RealFaces
) -> dict[str, Any]:
    shown = [row for row in rows if row.aligned is not None]
    people = [row.person for row in shown]
    if len(set(people)) < 2 or len(set(real.people)) < 2:
        return {"told_apart_left_out": "expected at least two people on either side"}
    faces = [row.aligned for row in shown if row.aligned is not None]
    counted = test.counted or None
    return {"told_apart": told_apart(faces, real.faces, people, real.people, counted=counted)}


def _sheet_rows(rows: Sequence[PictureRow], real: RealFaces | None) -> list[SheetRow]:
    """Rows with a face, light skin first; the real pictures change from person to person."""
    shown = sorted((row for row in rows if row.pictures), key=lambda row: -row.scores["ita"])
    beside: list[UInt8] = []
    if real is not None:
        turns = Counter[str]()
        order = []
        for at, person in enumerate(real.people):
            order.append((turns[person], at))
            turns[person] += 1
        beside = [real.pictures[at] for _, at in sorted(order)]
    return [
        SheetRow(
            tone=row.tone,
            vis=row.pictures[0],
            translated=row.pictures[1],
            real=_beside(row, beside, number),
            caption=f"{row.name[-24:]}  sharpness {row.scores['sharpness']:.2f}  "
            f"identity {row.scores['identity']:.2f}" + ("  FACE LOST" * (row.face == "lost")),
        )
        for number, row in enumerate(shown)
    ]


def _beside(row: PictureRow, others: Sequence[UInt8], number: int) -> UInt8 | None:
    """The same moment where the set is paired, otherwise another person."""
    if len(row.pictures) > 2:
        return row.pictures[2]
    return others[number % len(others)] if others else None


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")
