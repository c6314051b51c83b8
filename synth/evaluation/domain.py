"""How well translated pictures pass for real ones: a fresh classifier tries to tell them apart.

For each family of features (`synth.evaluation.features`) a linear discriminant is
trained anew on some people and asked about others. It is right half of the time where
the translation is perfect, always where it is not; this is the classifier two-sample
test [1]_, made for few people: nobody stands on both sides of a fold, the covariance is
shrunk towards the unit matrix [2]_, and everyone counts the same.

The number also sees whatever else differs between the two sets: who was photographed,
which expression they show, how far the camera stood. It is a bound from above, to be
read beside that of other translations of the same photos, and beside `sharpness` and
the identity: a blur passes more easily.

References
----------
.. [1] Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
.. [2] Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance
   matrices", J. Multivariate Analysis 2004.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.evaluation.faces import AlignedFace
from synth.evaluation.features import FAMILIES, domain_features

__all__ = ["told_apart", "told_apart_by"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Faces = Sequence[AlignedFace]

#: People are dealt into this many folds (fewer where there are fewer people), again
#: and again; drawings of people behind the interval, and its ends.
FOLDS, REPEATS, DRAWS, INTERVAL = 8, 10, 1000, (2.5, 97.5)


def told_apart(
    translated: Faces | Mapping[str, Float],
    real: Faces | Mapping[str, Float],
    translated_people: Sequence[str],
    real_people: Sequence[str],
    *,
    families: Sequence[str] = tuple(FAMILIES),
    counted: Collection[str] | None = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> dict[str, Any]:
    """How often fresh classifiers tell translated faces from real ones.

    Parameters
    ----------
    translated, real : sequence of AlignedFace, or mapping of str to (N, D) float
        Faces, or what `domain_features` made of them, so that the real ones need be
        looked at only once.
    translated_people, real_people : sequence of str
        Whose face each is. A name on both sides means one person.
    families : sequence of str
        Keys of `synth.evaluation.features.FAMILIES`.
    counted : collection of str, optional
    folds, repeats, seed : int
        See `told_apart_by`.

    Returns
    -------
    dict
        ``families``: by family ``accuracy`` with ``low`` and ``high``; ``mean`` of the
        accuracies; ``n_translated``, ``n_real``, ``people_translated``, ``people_real``,
        and the names ``counted``.

    Raises
    ------
    UsageError
        If names and faces differ in number, a side has fewer than two people, or a
        family is unknown.
    """
    if unknown := [name for name in families if name not in FAMILIES]:
        raise UsageError(f"families: expected some of {', '.join(FAMILIES)}, got {unknown[0]!r}")
    sides = [
        values if isinstance(values, Mapping) else _features(values, families)
        for values in (translated, real)
    ]
    found = {
        name: told_apart_by(
            sides[0][name],
            sides[1][name],
            translated_people,
            real_people,
            counted=counted,
            folds=folds,
            repeats=repeats,
            seed=seed,
        )
        for name in families
    }
    return {
        "families": found,
        "mean": float(np.mean([row["accuracy"] for row in found.values()])),
        "n_translated": len(translated_people),
        "n_real": len(real_people),
        "people_translated": len(set(translated_people)),
        "people_real": len(set(real_people)),
        "counted": sorted(set(counted if counted is not None else real_people)),
    }


def _features(faces: Faces, families: Sequence[str]) -> dict[str, Float]:
    if not faces:
        raise UsageError("faces: expected at least two, got none")
    return domain_features(faces, families)


def told_apart_by(
    translated: Float,
    real: Float,
    translated_people: Sequence[str],
    real_people: Sequence[str],
    *,
    counted: Collection[str] | None = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> dict[str, float]:
    """Balanced accuracy of telling two sets of feature vectors apart, on people not trained on.

    Features are standardised, and unknown ones (NaN) replaced by the mean, as the
    training people have them. The discriminant has equal priors and its covariance
    shrunk as Ledoit and Wolf do; there is nothing else to choose. A person's accuracy
    is the share of their pictures that were told rightly, over all repeats; a side's is
    the mean over its people; the result is the mean of both sides. The interval draws
    people of both sides with replacement, without training again: with two people on a
    side it cannot say much.

    Parameters
    ----------
    translated, real : (N, D), (M, D) float
    translated_people, real_people : N and M names
    counted : collection of str, optional
        Only these real people's pictures are counted; the others are there to learn
        from, as where a translator has seen them. Everyone's when not given.
    folds : int
        At most; never more than the people of the smaller side.
    repeats : int
        New dealings of people into folds.
    seed : int

    Returns
    -------
    dict
        ``accuracy``, ``low``, ``high`` (95 %), all 0 to 1.

    Raises
    ------
    UsageError
        If names and rows differ in number, or a side has fewer than two people.
    """
    features = np.concatenate([translated, real]).astype(np.float64)
    is_real = np.repeat([0, 1], [len(translated), len(real)])
    people = np.array([*translated_people, *real_people], dtype=object)
    _check(len(translated), len(real), translated_people, real_people)
    if counted is not None and not set(counted) & set(real_people):
        raise UsageError(
            f"counted: expected some of {', '.join(sorted(set(real_people)))}, got "
            f"{', '.join(sorted(counted)) or 'none'}"
        )
    smaller = min(len(set(translated_people)), len(set(real_people)))
    folds = max(2, min(folds, smaller))
    rng = np.random.default_rng(seed)
    right = np.zeros(len(features))
    for _ in range(repeats):
        of = deal(translated_people, real_people, folds, rng)
        fold = np.array([of[name] for name in people])
        for held in range(folds):
            test = fold == held
            if test.any():
                told = _predict(features[~test], is_real[~test], features[test])
                right[test] += told == is_real[test]
    right /= repeats
    asked = np.array([not side or counted is None or name in counted for side, name in
                      zip(is_real, people, strict=True)])  # fmt: skip
    sides = [
        _by_person(right[asked & (is_real == side)], people[asked & (is_real == side)])
        for side in (0, 1)
    ]
    drawn = [np.mean([rng.choice(side, (DRAWS, len(side))).mean(1) for side in sides], axis=0)]
    low, high = np.percentile(drawn, INTERVAL)
    accuracy = float(np.mean([side.mean() for side in sides]))
    return {"accuracy": accuracy, "low": float(low), "high": float(high)}


def _check(n: int, m: int, translated_people: Sequence[str], real_people: Sequence[str]) -> None:
    for name, count, people in (
        ("translated", n, translated_people),
        ("real", m, real_people),
    ):
        if len(people) != count:
            raise UsageError(
                f"{name}_people: expected a name for each of {count} faces, got {len(people)}"
            )
        if len(set(people)) < 2:
            raise UsageError(
                f"{name}_people: expected at least two different people, got {len(set(people))}; "
                "nobody may stand on both sides of a fold"
            )


def deal(
    first: Sequence[str], second: Sequence[str], folds: int, rng: np.random.Generator
) -> dict[str, int]:
    """A fold for everyone, so that those of both sides are spread evenly.

    Shuffled and dealt out one after the other: first the people of both sides, then,
    each going on from there, those of the first side only and of the second only.
    """
    a, b = set(first), set(second)
    of: dict[str, int] = {}
    for group, start in ((a & b, 0), (a - b, len(a & b)), (b - a, len(a & b))):
        names = sorted(group)
        for place, index in enumerate(rng.permutation(len(names))):
            of[names[index]] = (start + place) % folds
    return of


def _predict(features: Float, is_real: Int, asked: Float) -> Int:
    """Sides that a discriminant trained on `features` gives to `asked`."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    known = np.isfinite(features)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, features, 0).sum(0) / count
    filled = np.where(known, features, mean)
    spread = filled.std(0)
    keep = spread > 1e-9
    scale = np.where(keep, spread, 1.0)
    train = ((filled - mean) / scale)[:, keep]
    test = ((np.where(np.isfinite(asked), asked, mean) - mean) / scale)[:, keep]
    if not keep.any():  # nothing differs at all: call everything the same
        return np.zeros(len(asked), np.int64)
    if min(np.bincount(is_real)) < 2:  # no spread to learn: the nearer mean
        means = [train[is_real == side].mean(0) for side in (0, 1)]
        far = [np.linalg.norm(test - mean, axis=1) for mean in means]
        return np.asarray(far[1] < far[0], np.int64)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    return np.asarray(model.fit(train, is_real).predict(test), np.int64)


def _by_person(right: Float, people: NDArray[Any]) -> Float:
    """(people,) mean of `right` over the pictures of each."""
    return np.array([right[people == name].mean() for name in sorted(set(people))])
