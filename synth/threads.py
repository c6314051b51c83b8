"""One thread in BLAS, OpenCV and torch.

Several would fight for the cores with the other workers, and a sum may differ in its
last bit with their number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread", "one_thread_for_good"]

#: Read by libraries that are loaded later, torch among them.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for what is done inside, and for libraries first loaded there."""
    import cv2
    from threadpoolctl import threadpool_limits

    before, variables = cv2.getNumThreads(), {name: os.environ.get(name) for name in VARIABLES}
    torch = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch else 1
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    cv2.setNumThreads(1)
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)
        if torch:
            torch.set_num_threads(torch_before)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def one_thread_for_good() -> None:
    """One thread for the life of the process: for workers."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    cv2.setNumThreads(1)
    threadpool_limits(1)  # as a context manager that nobody holds it would end at once
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
