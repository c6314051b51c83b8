"""Sets of faces made by others: one file per published layout.

Each reader is a function ``read(root, **options)`` that gives the photos of one set as
`CorpusImage`, sorted by name; options are text, so that a command line can hand them on.
``docs/corpora.md`` lists the layouts and how sure we are of each.

A further set is one more module with such a function and one more row of `CORPORA`.
"""

from __future__ import annotations

import inspect
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from synth.corpora.image import SPECTRA, SPLITS, CorpusImage
from synth.corpora.people import split_by_subject
from synth.corpora.report import check_pairs, describe, pairs
from synth.errors import UsageError

__all__ = [
    "CORPORA",
    "SPECTRA",
    "SPLITS",
    "CorpusImage",
    "check_pairs",
    "corpus_options",
    "describe",
    "pairs",
    "read_corpus",
    "split_by_subject",
]

#: Name of a layout -> the module that reads it, and what it is.
CORPORA: dict[str, tuple[str, str]] = {
    "folders": ("synth.corpora.folders", "your own photos in vis/ and nir/, paired or not"),
    "oulu-casia": ("synth.corpora.oulu_casia", "Oulu-CASIA NIR&VIS facial expressions (2011)"),
    "buaa-visnir": ("synth.corpora.buaa_visnir", "BUAA-VisNir face database (2012)"),
    "casia-nir-vis-2": ("synth.corpora.casia_nir_vis_2", "CASIA NIR-VIS 2.0 faces (2013)"),
    "lamp-hq": ("synth.corpora.lamp_hq", "LAMP-HQ, many poses in VIS and NIR (2021)"),
    "labels": ("synth.corpora.labels", "your own photos with labels.csv beside them"),
    "affectnet": ("synth.corpora.affectnet", "AffectNet, expressions and VA of web photos (2019)"),
    "raf-db": ("synth.corpora.raf_db", "RAF-DB, expressions of web photos (2017)"),
    "aff-wild": ("synth.corpora.aff_wild", "Aff-Wild, VA of videos frame by frame (2017)"),
    "aff-wild2": ("synth.corpora.aff_wild2", "Aff-Wild2, VA or expressions of videos (2018)"),
    "afew-va": ("synth.corpora.afew_va", "AFEW-VA, VA of film clips frame by frame (2017)"),
    "recola": ("synth.corpora.recola", "RECOLA, VA of video calls at 25 Hz (2013)"),
    "bu-3dfe": ("synth.corpora.bu_3dfe", "BU-3DFE, expressions in four levels (2006)"),
    "custom-nir": ("synth.corpora.custom_nir", "NIR photos with labels.csv, as CustomDB (2024)"),
}


def read_corpus(name: str, root: str | os.PathLike[str], **options: str) -> list[CorpusImage]:
    """The photos of a set.

    Parameters
    ----------
    name : str
        A key of `CORPORA`.
    root : path
        The set's folder.
    **options : str
        Of the layout: see `corpus_options` and the head of its module.

    Returns
    -------
    list of CorpusImage
        Sorted by name; at least one.

    Raises
    ------
    UsageError
        If the name or an option is unknown, or the folder is not laid out as expected.
    """
    reader = _reader(name)
    known = corpus_options(name)
    if unknown := [option for option in options if option not in known]:
        raise UsageError(
            f"{name}: expected options among {', '.join(known) or 'none'}, got "
            f"{', '.join(sorted(unknown))}"
        )
    for option, value in options.items():
        if not isinstance(value, str):
            raise UsageError(f"{option}: expected text, got {value!r}")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no such folder"
        raise UsageError(f"{name}: expected the folder of the set, got {root}: {got}")
    images: list[CorpusImage] = reader(folder, **options)
    return images


def corpus_options(name: str) -> dict[str, str]:
    """Options of a layout and their default.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    parameters = list(inspect.signature(_reader(name)).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters}


def _reader(name: str) -> Any:
    if name not in CORPORA:
        raise UsageError(f"corpus: expected one of {', '.join(CORPORA)}, got {name!r}")
    return import_module(CORPORA[name][0]).read
