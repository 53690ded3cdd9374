"""Two processes share, agree and collect; one that fails ends the other, and one message says why."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.util import team_script
from util.device import choose_device
from util.distributed import ALONE, Team, join_team
from util.errors import InputError
from util.launch import start_team

SCRIPT = Path(team_script.__file__)
HOUSE = SCRIPT.parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
# As a step script does it with --gpu_ids 0,1.
OURS = [sys.executable, "-c", "import sys; from util.launch import run_ranks as r; sys.exit(r(sys.argv[1:], 2))"]
OURS += [sys.executable]
STARTERS = {"torchrun": TORCHRUN, "ours": OURS}


def start(starter: str, scene: str, path: Path) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP")}
    return subprocess.Popen(
        [*STARTERS[starter], str(SCRIPT), scene, str(path)],
        cwd=HOUSE,
        env={**environment, "PYTHONPATH": str(HOUSE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(starter: str, scene: str, path: Path) -> tuple[int, str]:
    """The exit status and all that was printed."""
    return finish(start(starter, scene, path))


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """The exit status and all that was printed; two minutes mean that it hangs."""
    try:
        text, _ = process.communicate(timeout=120)
    finally:
        process.terminate()  # a kill would leave the ranks behind
        process.wait()
    return process.returncode, text


@pytest.mark.parametrize("starter", STARTERS)
def test_two_share_agree_and_collect(tmp_path, starter):
    status, text = run(starter, "collectives", tmp_path / "found")
    assert status == 0, text
    first, second = (json.loads((tmp_path / f"found.{rank}").read_text()) for rank in (0, 1))
    assert (first["rank"], second["rank"]) == (0, 1)
    assert (first["share"], second["share"]) == ([0, 2, 4, 6], [1, 3, 5])
    assert (first["collected"], second["collected"]) == ([0, 10, 20, 30, 40, 50, 60], [])
    assert (first["one_each"], second["one_each"]) == (["rank 0", "rank 1"], [])
    for found in (first, second):
        assert found["any"] == [False, True, True]
        assert found["mean"] == {"a": 0.5, "b": 4.0}
        assert found["from_first"] == {"rank": 0}
        assert found["copied"] == 0.0
    assert first["gradient"] == second["gradient"]
    # float32: sums of ten terms below 1 in another order
    np.testing.assert_allclose(first["gradient"], team_script.gradient(ALONE), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("scene", "message"),
    [("one_raises", "error: image 7 is broken"), ("all_raise", "error: there is no such run")],
)
def test_a_mistake_is_told_once(tmp_path, scene, message):
    status, text = run("ours", scene, tmp_path)
    assert status == 1
    assert text.splitlines() == [message]


@pytest.mark.parametrize(("starter", "wanted"), [("torchrun", 1), ("ours", 128 + signal.SIGKILL)])
def test_a_killed_rank_ends_the_job(tmp_path, starter, wanted):
    status, text = run(starter, "one_is_killed", tmp_path)
    assert status in (1, wanted)  # that of the first to end, which may be the one that lost it
    if starter == "ours":  # torchrun may end the other one before it has seen anything
        assert "rank 0 lost another: " in text
        assert "Traceback" not in text


def test_a_bug_keeps_its_traceback(tmp_path):
    status, text = run("ours", "one_has_a_bug", tmp_path)
    assert status == 1
    assert "ZeroDivisionError: a bug" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_stop_at_the_same_step(tmp_path, number):
    process = start("ours", "count_until_asked", tmp_path / "count")
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.begun"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(number)
    assert finish(process) == (0, "")
    first, second = (int((tmp_path / f"count.{rank}").read_text()) for rank in (0, 1))
    assert first == second


def test_alone_everything_is_at_hand(capsys):
    with join_team() as team:
        assert team is ALONE
        assert team.is_first
        assert team.share([3, 1, 2]) == team.collect([3, 1, 2]) == [3, 1, 2]
        assert team.from_first("x") == "x"
        assert team.mean({"a": 2.0}) == {"a": 2.0}
        assert (team.any(False), team.any(True)) == (False, True)
        team.barrier()
        team.copy_from_first(torch.nn.Linear(1, 1))
        team.say("hello")
    assert capsys.readouterr().out == "hello\n"


def test_a_broken_environment_is_told(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match=r"environment: wanted RANK, .* got no LOCAL_RANK, .*MASTER_ADDR"), join_team():
        pass


def test_each_process_has_its_gpu(monkeypatch):
    taken = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Pretend")
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    third = Team(rank=6, size=8, local_rank=2, local_size=4)
    second = Team(rank=1, size=2, local_rank=1, local_size=2)
    assert choose_device([0], third)[0] == torch.device("cuda", 2)
    assert choose_device([3, 1, 0, 2], third)[0] == torch.device("cuda", 0)
    assert choose_device([3, 1], second)[0] == torch.device("cuda", 1)
    assert choose_device([3])[0] == torch.device("cuda", 3)
    assert taken == [torch.device("cuda", number) for number in (2, 0, 1, 3)]
    for ids, team in (([3], second), ([0, 1, 2], second), ([0], Team(local_size=5))):
        with pytest.raises(InputError, match=r"--gpu_ids: wanted a GPU for each process of this machine, [25], got"):
            choose_device(ids, team)
    with pytest.raises(InputError, match=r"--gpu_ids: wanted 0..3, got 9"):
        start_team([0, 9])
