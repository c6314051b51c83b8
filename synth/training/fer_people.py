"""Who is in which set: refusing leaks, holding people out, taking a share of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.recognition.faces import FaceSet

__all__ = ["hold_people_out", "refuse_leaks", "stratified"]


def refuse_leaks(sets: Mapping[str, FaceSet | None]) -> None:
    """Raise if one person is in two of the sets.

    Faces whose person is unknown cannot be checked and are passed over.

    Parameters
    ----------
    sets : mapping of str to FaceSet or None
        By what messages call them.

    Raises
    ------
    UsageError
        Naming the people.
    """
    people = {name: set(faces.subjects) - {""} for name, faces in sets.items() if faces is not None}
    for one, two in combinations(people, 2):
        if both := sorted(people[one] & people[two]):
            shown = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
            raise UsageError(
                f"{two}: expected other people than in {one}, got {len(both)} in both: {shown}; "
                "leave them out of one, or name different people differently (column subject)"
            )


def hold_people_out(faces: FaceSet, share: float, seed: int = 0) -> tuple[FaceSet, FaceSet]:
    """The faces of most people, and those of a share of the people held out.

    Who is held out depends on the seed and the names alone; at least one is, and one is not.

    Raises
    ------
    UsageError
        If the share is not between 0 and 1, a face has no subject, or there is only one
        person.
    """
    if not 0 < share < 1:
        raise UsageError(f"val-people: expected a share between 0 and 1, got {share:g}; try 0.15")
    if unknown := sum(not who for who in faces.subjects):
        raise UsageError(
            f"val-people: expected a subject for each of {len(faces)} faces, got none for "
            f"{unknown}; add a column subject, or give a set of its own with --val"
        )
    people = sorted(set(faces.subjects), key=lambda who: _dealt(who, seed))
    if len(people) < 2:
        raise UsageError(
            f"val-people: expected at least 2 people, got {len(people)}; give a set of others "
            "with --val"
        )
    count = min(max(1, round(share * len(people))), len(people) - 1)
    out = np.isin(np.array(faces.subjects), people[:count])
    return faces.take(~out), faces.take(out)


def _dealt(who: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{who}".encode()).digest()


def stratified(faces: FaceSet, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Positions of `count` faces, as evenly as can be of all people, in order.

    Everybody's faces are shuffled, and people take turns, so that a smaller subset is part
    of a larger one. Each face without a subject is taken for a person of its own.

    Raises
    ------
    UsageError
        If there are not so many.
    """
    if not 1 <= count <= len(faces):
        raise UsageError(f"sweep: expected 1 to {len(faces)} pictures, got {count}")
    rng = np.random.default_rng([seed, 2])
    who = np.array([name or f"\0{i}" for i, name in enumerate(faces.subjects)])
    order = rng.permutation(len(faces))
    turn = np.empty(len(faces), np.int64)
    for person in np.unique(who):
        own = order[who[order] == person]
        turn[own] = np.arange(len(own))
    place = np.empty(len(faces), np.int64)
    place[order] = np.arange(len(faces))
    return np.sort(np.lexsort((place, turn))[:count])
