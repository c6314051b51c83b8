"""What ``synth translate`` does with its options."""

from __future__ import annotations

from typing import Any

from synth.cli.config import plain
from synth.cli.runner import Tables
from synth.targets import Target
from synth.translation import TranslatorOptions
from synth.translation.photos import PhotoTranslator, TranslatedRecord
from synth.types import VA

__all__ = ["dry", "run"]

#: Options that say where and how, not what.
RUN = ("input", "recursive", "output", "limit", "workers", "device")
#: One picture a photo: the label is what the photo's own record says.
TARGET = (Target(VA(0.0, 0.0)),)


def run(options: dict[str, Any], overwrite: bool) -> int:
    """Translate the photos, print the summary; the exit code."""
    from synth.cli import runner

    maker = _maker(options)
    return runner.run(
        options, _tables(options, maker), TARGET, maker, overwrite, (options["to"],),
        TranslatedRecord.COLUMNS,
    )  # fmt: skip


def dry(options: dict[str, Any], overwrite: bool) -> None:
    """Print what would be made."""
    from synth.cli import runner

    runner.dry(options, _tables(options, _maker(options)), TARGET, overwrite, (options["to"],))


def _maker(options: dict[str, Any]) -> PhotoTranslator:
    from synth.settings import torch_device

    how = TranslatorOptions(
        torch_device(options["device"]),
        options["runtime"],
        options["dtype"],
        options["tile"],
        options["steps"],
        options["variant"],
    )
    return PhotoTranslator(
        options["to"], options["method"], options["weights"], how, options["landmarks"],
        options["any_input"], options["seed"],
    )  # fmt: skip


def _tables(options: dict[str, Any], maker: PhotoTranslator) -> Tables:
    from synth.versions import installed

    return {
        "settings": {k: plain(v) for k, v in sorted(options.items()) if k not in RUN},
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in RUN},
        "assets": dict(maker.digests),
        "versions": installed(),
    }
