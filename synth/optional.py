"""Optional packages: asked for late, with one message that names the remedy."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from synth.errors import DependencyError

__all__ = ["require"]


def require(package: str, extra: str | None = None, hint: str = "") -> ModuleType:
    """The imported `package`.

    Raises
    ------
    DependencyError
        If it is not installed; the message says how to get it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        if error.name and error.name.split(".")[0] != package.split(".")[0]:
            raise
        remedy = f'pip install "synth-affect[{extra}]"' if extra else f"pip install {package}"
        raise DependencyError(
            f"{package}: expected it to be installed, got none; {hint or remedy}"
        ) from None
