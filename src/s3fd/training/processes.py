"""Distributed training: several processes train one network, each with its share of every batch.

They are started by ``torchrun`` or any launcher that sets ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``,
``MASTER_ADDR`` and ``MASTER_PORT``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class Processes:
    """This process's place among those of a run; the default is a single process, without any overhead.

    Attributes:
        rank: number of this process in the run; 0 is the first one, which writes and prints.
        count: number of processes in the run.
        local_rank: number of this process on its machine, and of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum `value` over all processes, without gradient; all of them must call this."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total


ALONE = Processes()


def launched() -> Processes:
    """Determine from the environment which process of a run this is."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return Processes(rank, count, int(os.environ.get("LOCAL_RANK", rank))) if count > 1 else ALONE


@contextmanager
def together(processes: Processes, device: str) -> Iterator[torch.device]:
    """Connect the processes of a run, with NCCL on GPUs and Gloo elsewhere; yields this process's device.

    Raises:
        RuntimeError: the processes cannot reach each other.
    """
    if processes.count == 1:
        yield torch.device(device)
        return
    own = torch.device(device)
    if own.type == "cuda":
        own = torch.device("cuda", processes.local_rank)
        torch.cuda.set_device(own)
    # torchrun's store may outlive a restart, and with it the addresses of processes that no longer exist
    store, rank, count = next(rendezvous("env://"))
    store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    backend = "nccl" if own.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    yield own
    dist.destroy_process_group()  # not after an error: others may be waiting, and the launcher stops them
