"""What the tests of util.distributed run as the ranks of a team: team_script.py SCENE FILE."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from util.distributed import Team, join_team
from util.errors import InputError, run_step
from util.interrupt import StopRequest


def collectives(team: Team, path: Path) -> None:
    """Everything that needs no failure, as JSON to the file."""
    items = list(range(7))
    net = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(float(team.rank))
    team.copy_from_first(net)
    found = {
        "rank": team.rank,
        "share": team.share(items),
        "collected": team.collect([item * 10 for item in team.share(items)]),
        "one_each": team.collect([f"rank {team.rank}"]),
        "any": [team.any(False), team.any(team.rank == 1), team.any(True)],
        "mean": team.mean({"a": team.rank, "b": 4.0}),
        "from_first": team.from_first({"rank": team.rank}),
        "copied": float(sum(parameter.detach().abs().sum() for parameter in net.parameters())),
        "gradient": gradient(team),
    }
    team.barrier()
    path.with_suffix(f".{team.rank}").write_text(json.dumps(found))


def gradient(team: Team) -> list[float]:
    """The gradient of a mean over ten rows, of which each rank sees its share."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    called = DistributedDataParallel(net) if team.size > 1 else net
    rows = torch.arange(30.0).reshape(10, 3).sin()
    called(team.share(rows)).abs().mean().backward()
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).tolist()


def one_raises(team: Team, path: Path) -> None:
    if team.rank == 1:
        raise InputError("image 7 is broken")
    team.barrier()


def all_raise(team: Team, path: Path) -> None:
    raise InputError("there is no such run")


def one_is_killed(team: Team, path: Path) -> None:
    if team.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    team.barrier()


def one_has_a_bug(team: Team, path: Path) -> None:
    if team.rank == 1:
        raise ZeroDivisionError("a bug")
    team.barrier()


def count_until_asked(team: Team, path: Path) -> None:
    """Each rank counts until one is asked to stop, and leaves its count in a file."""
    with StopRequest() as stop:
        path.with_suffix(f".{team.rank}.begun").touch()
        count = 0
        while not team.any(stop.asked):
            count += 1
            time.sleep(0.01)
    path.with_suffix(f".{team.rank}").write_text(str(count))


SCENES = (collectives, one_raises, all_raise, one_is_killed, one_has_a_bug, count_until_asked)


def main() -> None:
    scene = next(scene for scene in SCENES if scene.__name__ == sys.argv[1])
    with join_team() as team:
        scene(team, Path(sys.argv[2]))


if __name__ == "__main__":
    run_step(main)
