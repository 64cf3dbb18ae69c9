"""Several processes that train one network together: each sees its share of every batch.

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
    """This process among those of a run; by default it is alone, and nothing here costs anything.

    Attributes:
        rank: number of this process in the run; that of the first, which writes and prints, is 0.
        count: how many there are.
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
        """Add up what all processes have here, without gradient; all of them must call it."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total


ALONE = Processes()


def launched() -> Processes:
    """Tell from the environment which process of a run this is."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return Processes(rank, count, int(os.environ.get("LOCAL_RANK", rank))) if count > 1 else ALONE


@contextmanager
def together(processes: Processes, device: str) -> Iterator[torch.device]:
    """Connect the processes of a run, by NCCL on GPUs and by Gloo elsewhere; gives each its device.

    Raises:
        RuntimeError: they cannot reach each other.
    """
    if processes.count == 1:
        yield torch.device(device)
        return
    own = torch.device(device)
    if own.type == "cuda":
        own = torch.device("cuda", processes.local_rank)
        torch.cuda.set_device(own)
    # torchrun's store may outlive a restart, and with it the addresses of processes that are no more
    store, rank, count = next(rendezvous("env://"))
    store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    backend = "nccl" if own.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    yield own
    dist.destroy_process_group()  # not after an error: the others may be waiting, and the launcher ends them
