"""One seed per sample, the same whatever the worker count or the order."""

from __future__ import annotations

import numpy as np

__all__ = ["sample_seed"]


def sample_seed(run_seed: int, source_sha256: str, target_index: int, attempt: int = 0) -> int:
    """A 63-bit seed for one target of one photo.

    Derived with ``numpy.random.SeedSequence([run_seed, input hash, target
    index])``, so that image 17 of a photo is the same in every run.

    Parameters
    ----------
    run_seed : int
        ``--seed``; any non-negative integer.
    source_sha256 : str
        Hex digest of the input file.
    target_index : int
        Position of the target in the run's list, from 0.
    attempt : int
        Counts the new draws where earlier ones were rejected.
    """
    words = [int(source_sha256[i : i + 8], 16) for i in range(0, 64, 8)]
    more = [attempt] if attempt else []
    state = np.random.SeedSequence([run_seed, *words, target_index, *more])
    return int(state.generate_state(1, np.uint64)[0] >> 1)
