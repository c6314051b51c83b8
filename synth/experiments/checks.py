"""Whether the tables of an experiment go together; messages name the table and the key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from synth.errors import UsageError
from synth.experiments.measures import MEASURES
from synth.experiments.people import chosen

if TYPE_CHECKING:
    from synth.experiments.definition import Condition, Definition, SetSpec

__all__ = ["KINDS", "MAKES", "check_definition"]

#: How a set comes to be; a set is read instead where it names what it reads.
MAKES = ("augment", "edit", "morphs")
#: What a condition is: a reader trained on sets; one that always says the same; a reader
#: for each person of a test, trained on the others.
KINDS = ("train", "constant", "leave-one-out")
SPECTRA = ("", "vis", "nir")
_NAME = re.compile(r"[a-z0-9][a-z0-9_+.-]*")


def check_definition(definition: Definition) -> None:
    """Refuse an experiment whose tables do not go together.

    Raises
    ------
    UsageError
        Naming the table and the key.
    """
    name = definition.name
    for table in ("sets", "conditions", "tests"):
        entries = getattr(definition, table)
        if not entries:
            raise UsageError(f"{name}: expected at least one [{table}.NAME], got none")
        if bad := [key for key in entries if not _NAME.fullmatch(key)]:
            raise UsageError(
                f"{name}: expected names of small letters, digits and -_+., got {bad[0]!r}"
            )
    for number in ("count", "seeds", "size"):
        if getattr(definition, number) < 1:
            raise UsageError(f"{name}: {number}: expected 1 or more, got "
                             f"{getattr(definition, number)}")  # fmt: skip
    if unknown := sorted(set(definition.quick) - {"count", "seeds", "training"}):
        raise UsageError(f"{name}: [quick]: expected count, seeds, training, got {unknown[0]}")
    for key, spec in definition.sets.items():
        _check_set(f"{name}: [sets.{key}]", spec, definition)
    for key, condition in definition.conditions.items():
        _check_condition(f"{name}: [conditions.{key}]", key, condition, definition)
    for key, test in definition.tests.items():
        _known(f"{name}: [tests.{key}]: sets", test.sets, definition.sets)
        _known(f"{name}: [tests.{key}]: measures", test.measures, MEASURES)
    for word in ("reference", "watch"):
        if value := getattr(definition, word):
            _known(f"{name}: {word}", (value,), definition.conditions)
    _check_apart(definition)


def _known(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    words = list(known)
    given = list(names)
    if not given:
        raise UsageError(f"{where}: expected at least one of {', '.join(words)}, got none")
    if unknown := [n for n in given if n not in words]:
        raise UsageError(f"{where}: expected {', '.join(words)}, got {unknown[0]!r}")


def _check_set(where: str, spec: SetSpec, definition: Definition) -> None:
    _known(f"{where}: root", (spec.root,), definition.roots)
    if bool(spec.make) == bool(spec.read):
        raise UsageError(f"{where}: expected either make or read, got "
                         f"{'both' if spec.make else 'neither'}")  # fmt: skip
    if spec.translate not in SPECTRA or (spec.translate and spec.made):
        raise UsageError(
            f"{where}: translate: expected vis or nir, of a set that is read, got "
            f"{spec.translate!r}"
        )
    if spec.make:
        _known(f"{where}: make", (spec.make,), MAKES)
        from synth.plans import kind_of

        for kind in spec.plan:
            kind_of(kind)
        if not spec.plan or spec.count <= 0 or spec.draws < 1:
            raise UsageError(f"{where}: expected a plan, count above 0 and draws of 1 or more")
    else:
        from synth.corpora import CORPORA

        _known(f"{where}: read", (spec.read,), ("photos", "set", *CORPORA))
        if (spec.read == "photos") != bool(spec.folders):
            raise UsageError(f'{where}: expected folders with read = "photos", and only then')
    chosen([], spec.people)


def _check_condition(where: str, key: str, one: Condition, definition: Definition) -> None:
    _known(f"{where}: kind", (one.kind,), KINDS)
    if one.kind == "train":
        _known(f"{where}: train", one.train, definition.sets)
        _known(f"{where}: val", one.val, definition.sets)
    if one.kind == "leave-one-out":
        _known(f"{where}: test", (one.test,), definition.tests)
    if one.tests:
        _known(f"{where}: tests", one.tests, definition.tests)
    for name in one.amounts:
        _known(f"{where}: amounts", (name,), one.train)
    if any(share > 1 for share in one.amounts.values()):
        raise UsageError(f"{where}: amounts: expected shares of at most 1")
    if one.synthetic_share is not None and not 0 < one.synthetic_share < 1:
        raise UsageError(f"{where}: synthetic_share: expected more than 0 and less than 1, got "
                         f"{one.synthetic_share:g}")  # fmt: skip
    if one.start:
        _known(f"{where}: start", (one.start,), definition.conditions)
        before = definition.conditions[one.start]
        if before.kind != "train" or before.start or one.start == key:
            raise UsageError(f"{where}: start: expected a condition trained from nothing, got "
                             f"{one.start!r}")  # fmt: skip


def _check_apart(definition: Definition) -> None:
    """What is tested on must not be trained on."""
    for key, one in definition.conditions.items():
        tested = {n for test in definition.tests_of(key) for n in definition.tests[test].sets}
        if both := sorted(tested & {*one.train, *one.val}):
            raise UsageError(
                f"{definition.name}: [conditions.{key}]: expected sets that are no test, got "
                f"{both[0]}; give train and test sets different people"
            )
