"""The command line: ``synth generate``, ``sequence``, ``doctor`` and others.

Exit codes: 0 all done, 1 something is broken, 2 bad usage, 3 some inputs were
skipped, 130 interrupted.
"""

from __future__ import annotations

import errno
from typing import Any

import click

from synth import __version__
from synth.cli.lazy import TableGroup
from synth.errors import DependencyError, SynthError, UsageError

__all__ = ["cli", "main"]

#: Modules of this package, each with a command of its name.
COMMANDS = (
    "generate",
    "sequence",
    "augment",
    "edit",
    "morph",
    "translate",
    "infer",
    "train",
    "evaluate",
    "experiment",
    "model",
    "gallery",
    "dataset",
    "preview",
    "studio",
    "samples",
    "doctor",
    "assets",
)

#: What a disk may say to a write: full, quota, read-only, not allowed, failing.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def failure(message: str, exit_code: int) -> click.ClickException:
    """An error on its way to the terminal, without a traceback."""
    error = click.ClickException(message)
    error.exit_code = exit_code  # type: ignore[misc]
    return error


class CommandGroup(TableGroup):
    """Turns errors into exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (UsageError, DependencyError) as error:
            raise failure(str(error), 2) from None
        except SynthError as error:
            raise failure(str(error), 1) from None
        except OSError as error:
            if error.errno not in _DISK:
                raise  # not the user's: click knows closed pipes, others are bugs
            where = f" in {error.filename}" if error.filename else ""
            raise failure(
                f"disk: expected to write{where}, got {error.strerror}; free or name another", 1
            ) from None
        except KeyboardInterrupt:
            raise failure("interrupted", 130) from None


@click.group(
    cls=CommandGroup,
    table={name: f"{__name__}.{name}" for name in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="synth")
def cli() -> None:
    """Labelled facial-affect data from neutral photos."""


def main() -> None:
    """Entry point of the command ``synth``."""
    cli(prog_name="synth")
