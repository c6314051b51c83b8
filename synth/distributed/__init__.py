"""A planned set on a Ray cluster: the same jobs, shards and bytes as on one machine.

``ray_engine`` (`synth.distributed.engine`) runs jobs on actors, ``connected``
(`synth.distributed.cluster`) finds the cluster, `synth.distributed.remote` moves shards
to an address such as ``s3://bucket/set`` and reads back what is there, and ``begin_at``
and ``finish_at`` (`synth.distributed.remote_set`) are the two ends of a run that lies there.

Own actors and not Ray Data's ``map_batches``: there a batch is a value that may be made
again at any time, and an actor that dies takes its batch to another one without telling
which photo was in work. Here the output is files, a shard is done when its manifest is
there, and a photo that kills two actors must be named and left out.

Nothing is imported here before it is asked for: the board's process loads this package
and little else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.distributed.engine import RayEngine, ray_engine
    from synth.distributed.remote import is_url
    from synth.distributed.remote_set import begin_at, finish_at

__all__ = ["RayEngine", "begin_at", "finish_at", "is_url", "ray_engine"]

_PLACES = {
    "RayEngine": "engine",
    "begin_at": "remote_set",
    "finish_at": "remote_set",
    "is_url": "remote",
    "ray_engine": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
