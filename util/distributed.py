"""Several processes at work on one job, as torchrun starts them: who they are, how they share, agree and collect."""

import gc
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from tqdm import tqdm

from util.errors import InputError

Item = TypeVar("Item")

# How long a process waits for the others before it takes them for lost. A process that ends is noticed at once.
PATIENCE = timedelta(minutes=30)
# What torchrun tells each process.
WANTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Team:
    """The place of a process among those that share a job; without arguments that of one which works alone, for which
    everything below costs nothing. What all have to do together raises ConnectionError, or RuntimeError from within
    torch, where another process is lost.

    rank: 0..size - 1 over all machines; local_rank: 0..local_size - 1 on this one
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and talks to people."""
        return self.rank == 0

    @property
    def bar(self) -> dict[str, bool]:
        """What to tell tqdm: bars are the first rank's. There nothing is said, as TQDM_DISABLE may have its say."""
        return {} if self.is_first else {"disable": True}

    def say(self, text: str) -> None:
        """Prints, on the first rank, around a progress bar."""
        if self.is_first:
            tqdm.write(text)

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This rank's share of the items, which are dealt in turn: shares differ in length by one at most."""
        return items[self.rank :: self.size]

    def collect(self, own: list[Item]) -> list[Item]:
        """The inverse of `share`: on the first rank what all made of their shares, in the order of the whole; nothing
        on the others."""
        if self.size == 1:
            return own
        shares = [None] * self.size if self.is_first else None
        dist.gather_object(own, shares)
        if shares is None:
            return []
        whole = [None] * sum(map(len, shares))
        for rank, items in enumerate(shares):
            whole[rank :: self.size] = items
        return whole

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return self.mean({"": float(flag)})[""] > 0

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean over the ranks of each value; all have the same names."""
        if self.size == 1:
            return dict(values)
        sums = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.all_reduce(sums)
        return dict(zip(values, (sums / self.size).tolist(), strict=True))

    def from_first(self, value: Item) -> Item:
        """The first rank's value, on every rank."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder)
        return holder[0]

    def copy_from_first(self, module: torch.nn.Module) -> None:
        """Makes a module's parameters and buffers those of the first rank."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Waits until all have come here."""
        if self.size > 1:
            dist.barrier()


ALONE = Team()


@contextmanager
def join_team(patience: timedelta = PATIENCE) -> Iterator[Team]:
    """Within the context, the team of processes that torchrun's environment tells of; one that works alone without it.

    What ends the context by InputError, OSError or an interruption on several ranks comes out of one of them alone;
    the others end with status 1, silently. A lost process comes out as ConnectionError.
    Raises InputError where the environment is not whole, ConnectionError where the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    missing = [name for name in WANTED if name not in os.environ]
    if missing:
        raise InputError(f"environment: wanted {', '.join(WANTED)}, as torchrun sets them, got no {', '.join(missing)}")
    team = Team(*(int(os.environ[name]) for name in WANTED[:4]))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=patience))
        dist.init_process_group(backend, timeout=patience, world_size=team.size, rank=team.rank, store=store)
    except RuntimeError as error:
        raise ConnectionError(f"rank {team.rank} cannot reach the others: {first_line(error)}") from None
    try:
        yield team
    except (InputError, OSError, KeyboardInterrupt):
        exit_unless_first_to_tell(store)
        raise
    except RuntimeError as error:
        # gloo has no type of its own for them
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        exit_unless_first_to_tell(store)
        raise ConnectionError(f"rank {team.rank} lost another: {first_line(error)}") from None
    # Not after an error: NCCL would wait for the others, who wait for this one. The end of the process tells them.
    # Before that all that still refers to the group, as DistributedDataParallel does in circles: what is left to the
    # end of the process may take gloo's threads down while they run, and the process with them.
    gc.collect()
    dist.destroy_process_group()


def exit_unless_first_to_tell(store: dist.Store) -> None:
    """Ends this process where another one of the team has told already what went wrong, or tells the same."""
    # It ends in any case, and whoever ends the others must not interrupt that.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    try:
        told = store.add("told", 1) > 1
    except RuntimeError:
        return  # the store went with a lost process, which may have told nothing
    if told:
        sys.exit(1)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().splitlines()[0]
