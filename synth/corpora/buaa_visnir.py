"""BUAA-VisNir face database.

Huang, Sun & Wang, "The BUAA-VisNir face database instructions", technical report IRIP-TR-12-
FR-001, Beihang University, 2012. 150 people, VIS and NIR taken at the same moment with one
multi-spectral camera, 287 x 287 px. On request from the authors, for research.

Layout, as the archive has it::

    ROOT/PERSON/1.bmp   2.bmp   3.bmp ...   40.bmp     folders 1 to 150

Odd numbers are VIS, the even number after it is the NIR image of the same moment: pair k
holds 2k - 1 and 2k. Pair 1 is frontal and neutral, 2 to 9 are turned heads, 11 to 14 the
expressions happiness, anger, sadness and surprise as asked for (judged by eye, many look
different); 10 is missing in the lists we saw. Numbers above 28 are other illuminations, without
partners, and not read.

Also read is the same, sorted: ``ROOT/VIS/PERSON/k.bmp`` and ``ROOT/NIR/PERSON/k.bmp`` with k
the number of the pair, and names such as ``k_NIR.jpg``.

Options: ``vis``: ``odd`` (default) or ``even``: which numbers are VIS. Two of three readers
published by others say odd, and the human-labelled NIR images of Kalabis (CTU Prague 2024)
are all even; one says even: look at a few of your images. ``expressions``: ``asked``
(default) or ``none``.
"""

from __future__ import annotations

import re
from pathlib import Path

from synth.corpora.image import SPECTRA, CorpusImage, in_order, word_of
from synth.corpora.tree import child, descend, folders, photos, wrong

__all__ = ["LAST_PAIR", "expression_asked", "read"]

LAYOUT = "PERSON/NUMBER.bmp, for example 1/1.bmp and 1/2.bmp, or VIS/1/1.bmp and NIR/1/1.bmp"

#: Pairs above this one are not of the same moment.
LAST_PAIR = 14
NUMBER = re.compile(r"(\d+)(?:[_-](?:vis|nir))?", re.IGNORECASE)
ASKED = {11: "happiness", 12: "anger", 13: "sadness", 14: "surprise"}


def expression_asked(pair: int) -> str:
    """What the person was asked for at a pair's number: neutral up to the tenth."""
    return ASKED.get(pair, "neutral" if 1 <= pair < 11 else "")


def read(root: Path, vis: str = "odd", expressions: str = "asked") -> list[CorpusImage]:
    """The photos of `root`, or of the one folder in it that has the layout.

    Raises
    ------
    UsageError
        If there is neither of the layouts.
    """
    word_of("vis", vis, ("odd", "even"))
    word_of("expressions", expressions, ("asked", "none"))
    found = descend(root, lambda folder: bool(_numbered(folder)), depth=2)
    images = []
    for path, person, spectrum, k in _numbered(found[0]) if len(found) == 1 else ():
        if spectrum is None:
            k, spectrum = (k + 1) // 2, "vis" if (k % 2 == 1) == (vis == "odd") else "nir"
        if 1 <= k <= LAST_PAIR:
            images.append(
                CorpusImage(
                    path,
                    path.relative_to(root).as_posix(),
                    subject=person,
                    spectrum=spectrum,
                    expression=expression_asked(k) if expressions == "asked" else "",
                    frame=k,
                    pair=f"{person}-{k:02d}",
                )
            )
    if not images:
        raise wrong("buaa-visnir", LAYOUT, root)
    return in_order(images)


def _numbered(folder: Path) -> list[tuple[Path, str, str | None, int]]:
    """Photo, person, spectrum (None where the number tells it) and number."""
    sides = [(spectrum, side) for spectrum in SPECTRA if (side := child(folder, spectrum))]
    places: list[tuple[str | None, Path]] = [*sides] or [(None, folder)]
    return [
        (path, person.name, spectrum, int(hit[1]))
        for spectrum, top in places
        for person in folders(top)
        if person.name.isdigit()
        for path in photos(person, recursive=False)
        if (hit := NUMBER.fullmatch(path.stem))
    ]
