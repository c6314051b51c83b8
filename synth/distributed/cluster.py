"""Find a Ray cluster, or start one on this machine, and leave it as it was."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from synth.errors import UsageError
from synth.optional import require

__all__ = ["check_cluster", "connected", "count_actors"]

#: Seconds a cluster has to answer.
PATIENCE = 5.0
ANSWER = 25.0
#: Bytes of the shared memory of a Ray of our own: jobs are small, pictures never pass it.
OBJECT_STORE = 100 * 2**20


@contextmanager
def connected(address: str | None, actors: int | None = None) -> Iterator[ModuleType]:
    """The package ``ray``, connected for as long as the context lasts.

    Parameters
    ----------
    address : str, optional
        ``HOST:PORT``, ``auto`` or ``ray://HOST:PORT``. By default that of the
        environment variable ``RAY_ADDRESS``, else a Ray of its own on this machine.
    actors : int, optional
        CPUs of a Ray of its own; all when not given.

    Raises
    ------
    DependencyError
        If Ray is not installed.
    UsageError
        If there is no cluster at the address; ask `check_cluster` first, since Ray itself
        tries some addresses for two minutes and then ends the process.
    """
    ray = require("ray", extra="ray")
    if ray.is_initialized():  # the caller's: use it, leave it
        yield ray
        return
    address = _chosen(address)
    options: dict[str, Any] = {
        "address": address, "log_to_driver": False, "logging_level": logging.ERROR,
    }  # fmt: skip
    if address == "local":
        options |= {"num_cpus": actors, "object_store_memory": OBJECT_STORE,
                    "include_dashboard": False}  # fmt: skip
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            # Ray puts the current folder before the packages of its workers: in a checkout
            # they would import its folders instead of what is installed.
            with contextlib.chdir(tempfile.gettempdir()):
                ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError, ImportError) as error:
            raise _unreachable(address, str(error)) from None
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():  # Ray takes SIGTERM for itself
                    signal.signal(number, handler)
        yield ray
    finally:
        ray.shutdown()


def _chosen(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or "local"


def check_cluster(address: str | None) -> None:
    """Refuse an address without a cluster, within seconds; connects to nothing.

    Parameters
    ----------
    address : str, optional
        As in `connected`.

    Raises
    ------
    DependencyError
        If Ray is not installed.
    UsageError
        If nothing there answers as Ray does.
    """
    ray = require("ray", extra="ray")
    if address is None and ray.is_initialized():
        return
    address = _chosen(address)
    if address == "local":
        return
    if address != "auto":
        _knock(address)
    if not address.startswith("ray://"):
        _ask(address)


def _knock(address: str) -> None:
    """Whether anything listens."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            f"ray-address: expected HOST:PORT, ray://HOST:PORT or auto, got {address!r}; "
            "`ray start --head` prints the cluster's"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from None


def _ask(address: str) -> None:
    """Whether what listens is Ray: asked in a process of its own, which can be ended."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "status"]
    command += [] if address == "auto" else ["--address", address]
    try:
        asked = subprocess.run(command, capture_output=True, timeout=ANSWER, check=False)
    except subprocess.TimeoutExpired:
        raise _unreachable(address, f"no answer in {ANSWER:g} s") from None
    if asked.returncode:
        last = asked.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _unreachable(address, last)


def _unreachable(address: str, got: str) -> UsageError:
    got = " ".join(got.split())
    remedy = "start one with `ray start --head`, or leave the address out to use this machine"
    if "Authentication" in got:  # the cluster asks for its token
        remedy = "set RAY_AUTH_MODE=token here and give this machine the cluster's token"
    got = got if len(got) <= 160 else got[:160] + "..."
    return UsageError(
        f"ray-address: expected a running Ray cluster at {address}, got: {got}; {remedy}"
    )


def count_actors(ray: ModuleType, wanted: int | None, gpus_per_actor: float, jobs: int) -> int:
    """How many actors to start: one per GPU share or CPU, no more than there are jobs.

    Raises
    ------
    UsageError
        If the cluster has no room for one.
    """
    if wanted is not None:
        return max(1, min(wanted, jobs))
    resources = ray.cluster_resources()
    room = int(resources.get("CPU", 0))
    if gpus_per_actor:
        room = min(room, int(resources.get("GPU", 0) / gpus_per_actor))
    if not room:
        raise UsageError(
            f"ray: expected room for an actor with 1 CPU and {gpus_per_actor:g} GPU, got "
            f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs in the "
            "cluster; add nodes, or ask for fewer GPUs"
        )
    return min(room, jobs)
