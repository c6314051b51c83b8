"""The dataset card: ``README.md`` with the YAML head that Hugging Face reads [1]_.

References
----------
.. [1] https://huggingface.co/docs/hub/datasets-cards; the sections follow Gebru et al.,
   "Datasheets for datasets", Communications of the ACM 2021.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from synth.dataset.summary import Summary

__all__ = ["LICENCE", "SetInfo", "dataset_card", "describe"]

#: Used where the maker of the set says nothing.
LICENCE = (
    "Pictures of this set are derived from photos of real people. What may be done with them "
    "is decided by the licence of those photos and by the consent of the people shown; the "
    "maker of this set has not stated it. Ask before passing the set on."
)
#: Upper limits of Hugging Face's size categories, with their names.
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
         (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip
#: Files of a split, by format: for the card's ``configs``.
PATTERNS = {"folder": "{}/**", "webdataset": "{}/*.tar", "parquet": "{}/*.parquet"}

HOW_TO_LOAD = {
    "folder": 'datasets.load_dataset("imagefolder", data_dir="{name}")',
    "webdataset": 'webdataset.WebDataset("{name}/train/shard-{{000000..{last:06d}}}.tar")',
    "parquet": 'datasets.load_dataset("parquet", data_dir="{name}")',
}

COLUMN_HELP = """\
| column | meaning |
|---|---|
| `valence`, `arousal` | what was asked for, inside the unit disc: unpleasant -1 to pleasant +1, calm -1 to excited +1 |
| `expression` | the expression asked for by name, `none` where only a point was |
| `intensity` | 0 neutral to 1 full strength |
| `action_units` | FACS units of what was rendered, `unit:intensity`, 0 to 1; L and R for one side |
| `spectrum` | `vis` or `nir`, visible light or near infrared |
| `class_valence`, `class_arousal`, `lookup`, `style` | which mean face, and which person style, the picture shows |
| `subject` | the person; no person is in two splits |
| `source`, `plan_id`, `seed` | the photo, the row of the plan, the seed of the picture |
"""  # noqa: E501

USE = """\
## Intended use

Training and augmenting models that estimate facial affect (valence and arousal,
expressions, action units), and measuring how they behave on faces whose affect is
known by construction.

## Limits

- Labels say what was *asked for*, not what observers see or what a person feels. They
  were not rated by people.
- Expressions come from a model of mean faces and person styles: they are less varied
  than life, and their timing in sequences is smooth.
- The set shows as many identities as there were photos. Skin tones, ages and poses are
  those of the photos; it repairs no imbalance of identities.
- A model's score on synthetic faces does not tell its score on real ones: test on a real set.

## People and consent

Every picture shows a real person with an expression that this person has not made.
Keep within what the people shown have agreed to, remove a person's pictures when asked
(column `subject`), do not use the set to identify people, to judge individuals
(employment, schooling, policing, health) or to mislead anyone about what somebody did.
Every picture carries the IPTC mark of synthetic media
(`compositeWithTrainedAlgorithmicMedia`) in its metadata: leave it there.
"""


@dataclass(frozen=True)
class SetInfo:
    """What the maker of a set knows about it; holds no time stamp.

    Attributes
    ----------
    name : str
        Of the set.
    command : str
        The command line that made it.
    plan : str
        Description of the plan, one line.
    settings : mapping of str to mapping
        Tables of settings, as in ``run.toml``.
    counts : mapping of str to int
        What else was counted, e.g. ``planned``.
    licence : str
        Text; `LICENCE` when empty.
    sources : str
        Where the photos are from, one paragraph.
    version : str
        Of synth.
    """

    name: str
    command: str = ""
    plan: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    licence: str = ""
    sources: str = ""
    version: str = ""


def describe(info: SetInfo, summary: Summary) -> str:
    """The set in one sentence."""
    people = len(set().union(*(split.subjects for split in summary.splits.values())))
    return (
        f"{summary.pictures} synthetic face images of {people} people with valence, arousal, "
        "expression and action unit labels, made from neutral photos with synth"
        f"{f' {info.version}' if info.version else ''}."
    )


def dataset_card(info: SetInfo, summary: Summary) -> str:
    """Content of ``README.md``."""
    last = max(summary.shards.get("train", 0) - 1, 0)
    load = HOW_TO_LOAD.get(summary.fmt, "").format(name=info.name, last=last)
    parts = [
        _head(info, summary),
        f"# {info.name}\n\n{describe(info, summary)}\n",
        "![labels on the circumplex](va_histogram.png)\n\n![some pictures](contact_sheet.jpg)\n",
        f"## Loading\n\n```python\n{load}\nsynth.dataset.AffectDataset"
        f'("{info.name}", split="train")  # any format\n```\n',
        f"## What is in it\n\n{_counts(summary)}",
        _reasons(summary),
        f"## Columns\n\n{COLUMN_HELP}\n`provenance/` holds these for every picture in any format, "
        "and the full record that reproduces it (`synth dataset replay`).\n",
        _made(info),
        USE,
        f"## Licence\n\n{info.licence or LICENCE}\n",
    ]
    return "\n".join(part for part in parts if part)


def _head(info: SetInfo, summary: Summary) -> str:
    size = next((name for limit, name in SIZES if summary.pictures < limit), "1B<n<10B")
    lines = [
        "---",
        f"pretty_name: {_yaml(info.name)}",
        "license: other",
        "license_name: see-licence-section",
        "annotations_creators:",
        "- machine-generated",
        "task_categories:",
        "- image-classification",
        "size_categories:",
        f"- {size}",
        "tags:",
        *(f"- {tag}" for tag in ("synthetic", "facial-expression", "valence-arousal",
                                 "action-units", "affective-computing")),
    ]  # fmt: skip
    if summary.splits:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in summary.splits:
            pattern = PATTERNS.get(summary.fmt, "{}/**").format(split)
            lines += [f"  - split: {split}", f"    path: {_yaml(pattern)}"]
    return "\n".join([*lines, "---", ""])


def _yaml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    header = list(header)
    lines: list[Iterable[object]] = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _counts(summary: Summary) -> str:
    names = sorted(summary.expressions, key=lambda name: (name == "none", name))
    rows = [
        [name, split.pictures, len(split.subjects), len(split.sources), f"{split.bytes / 1e6:.1f}"]
        + [split.expressions[expression] for expression in names]
        for name, split in summary.splits.items()
    ]
    shown = ["no expression named" if name == "none" else name for name in names]
    return _table(["split", "pictures", "people", "photos", "MB", *shown], rows)


def _reasons(summary: Summary) -> str:
    rows = [["rejected by a quality gate", *item] for item in summary.rejected.items()]
    rows += [["photo skipped", *item] for item in summary.skipped.items()]
    if not rows:
        return ""
    return "## What is not in it\n\n" + _table(["", "reason", "rows"], rows)


def _made(info: SetInfo) -> str:
    lines = ["## How it was made\n"]
    if info.sources:
        lines.append(f"{info.sources}\n")
    if info.plan:
        lines.append(f"Plan: {info.plan}\n")
    if info.counts:
        lines.append(_table(["count", "rows"], info.counts.items()))
    if info.command:
        lines.append(f"```sh\n{info.command}\n```\n")
    for name, table in info.settings.items():
        rows = [[key, f"`{value}`"] for key, value in table.items() if value is not None]
        lines.append(f"### {name}\n\n{_table(['setting', 'value'], rows)}")
    return "\n".join(lines)
