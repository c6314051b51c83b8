"""``croissant.json``: the set described for machines [1]_.

References
----------
.. [1] Akhtar et al., "Croissant: a metadata format for ML-ready datasets", DEEM 2024;
   http://mlcommons.org/croissant/1.0 and its responsible-AI vocabulary RAI 1.0.
"""

from __future__ import annotations

import json
import re
from typing import Any

from synth.dataset.card import LICENCE, SetInfo, describe
from synth.dataset.provenance import COLUMNS
from synth.dataset.summary import Summary

__all__ = ["croissant"]

#: The context that the format prescribes.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

#: Files of the data, by format: pattern below each split, and their type.
FILES = {
    "folder": (("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")),
    "webdataset": (("tar", "application/x-tar"),),
    "parquet": (("parquet", "application/x-parquet"),),
}
TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}

MEANING = {
    "file_name": "Split and name of the picture.",
    "source": "Name of the neutral photo.",
    "valence": "Asked for; unpleasant -1 to pleasant +1.",
    "arousal": "Asked for; calm -1 to excited +1.",
    "expression": "Expression asked for by name; none where only a point was.",
    "intensity": "0 neutral to 1 full strength.",
    "action_units": "FACS units of what was rendered, unit:intensity.",
    "spectrum": "vis (visible light) or nir (near infrared).",
    "subject": "The person shown; in one split only.",
}


def croissant(info: SetInfo, summary: Summary, kinds: set[str] | None = None) -> str:
    """Content of ``croissant.json``.

    Parameters
    ----------
    info : SetInfo
    summary : Summary
    kinds : set of str, optional
        Extensions of the data files that are there, without dot.
    """
    found = [
        (split, end, mime)
        for split in summary.splits
        for end, mime in FILES.get(summary.fmt, ())
        if kinds is None or end in kinds
    ]
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", info.name).strip("-") or "set",
        "description": describe(info, summary),
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "license": info.licence or LICENCE,
        "version": "1.0.0",
        "keywords": ["synthetic", "facial expression", "valence", "arousal", "action units"],
        "isLiveDataset": False,
        "rai:dataCollection": "Rendered from neutral photos: a morphable face model is fitted "
        "to each photo, deformed and drawn back into it.",
        "rai:dataCollectionType": "Software Collection",
        "rai:dataAnnotationProtocol": "Labels are the affect asked for; no person rated them.",
        "rai:personalSensitiveInformation": "The pictures show the faces of real people.",
        "rai:dataUseCases": "Training and testing of estimators of facial affect.",
        "rai:dataLimitations": "Less varied than life; identities are those of the photos.",
        "distribution": [
            _files(f"{split}-{end}", f"{split}/*.{end}", mime) for split, end, mime in found
        ]
        + [_files("provenance", "provenance/*.parquet", "application/x-parquet")],
        "recordSet": [_records(summary)],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _files(name: str, pattern: str, mime: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": mime,
        "includes": pattern,
    }


def _records(summary: Summary) -> dict[str, Any]:
    """The table of labels, the same in all formats."""
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "description": "One row a picture; file, offset and bytes say where it lies.",
        "key": {"@id": "labels/file_name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"labels/{name}",
                "name": name,
                "description": MEANING.get(name, f"Column {name} of the provenance table."),
                "dataType": TYPES[kind],
                "source": {"fileSet": {"@id": "provenance"}, "extract": {"column": name}},
            }
            for name, kind in {**COLUMNS, "file": str, "offset": int, "bytes": int}.items()
        ],
    }
