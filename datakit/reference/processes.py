"""Real processes that read an epoch together."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch.distributed as dist
import torch.multiprocessing
from torch.multiprocessing.spawn import start_processes

Reader = Callable[[int], Iterable[dict[str, Any]]]


def read_together(reader: Reader, world_size: int, seed: int) -> list[list[int]]:
    """The indices of the records that each process of torch.distributed read, in its order.

    The processes are forked from a server that has imported torch once: eight of them start in a second.

    Args:
        reader: called in each process with `seed`, after it has joined the others; gives batches with `index` (B,). A
            function of a module, or a method of a class of one.
        world_size: number of processes.
        seed: of the order.

    Raises:
        torch.multiprocessing.ProcessRaisedException: for an error in one of them.
    """
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload([__name__, "datakit.vision"])
    with tempfile.TemporaryDirectory() as folder:
        arguments = (reader, world_size, seed, folder)
        start_processes(_read, arguments, world_size, start_method="forkserver")
        shares: list[list[int]] = json.loads(Path(folder, "shares.json").read_text())
    return shares


def _read(rank: int, reader: Reader, world_size: int, seed: int, folder: str) -> None:
    """One of the processes; the first one writes down what all have read."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are on one machine, whose name need not be known
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    share = [index for batch in reader(seed) for index in batch["index"].tolist()]
    shares: list[Any] = [None] * world_size
    dist.all_gather_object(shares, share)
    if rank == 0:
        Path(folder, "shares.json").write_text(json.dumps(shares))
    dist.destroy_process_group()
