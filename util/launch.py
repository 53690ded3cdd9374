"""Starts a step again as several processes on this machine, one a GPU, for those who do not want to call torchrun."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from torch.distributed import TCPStore

from util.device import check_gpus

# After one of the processes has failed, the others have so many seconds before they are killed.
GRACE = 30.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def start_team(gpu_ids: list[int]) -> None:
    """Where several GPUs are asked for and this process is not yet one of a team's: runs its command line once for
    each of them, as torchrun would, and exits with their status. Nothing otherwise.

    Without a GPU, as many processes compute on the CPU. Raises InputError for an unknown GPU.
    """
    if len(gpu_ids) > 1 and "RANK" not in os.environ:
        count = len(gpu_ids)
        check_gpus(gpu_ids, count)
        sys.exit(run_ranks([sys.executable, *sys.argv], count))


def run_ranks(command: list[str], count: int) -> int:
    """Runs a command as `count` ranks of a team (util.distributed) and returns the status of the first that failed,
    which ends the others, or 0. SIGINT and SIGTERM are passed on to all; SIGHUP, or the end of this process, is a
    SIGTERM to them.

    torchrun itself would end with a traceback and status 1 after a signal that all ranks have answered well.
    """
    # The ranks meet here and nowhere else, so that the port is free and the meeting outlives each of them.
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    shared = {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # rank 0 shall not open one of its own there
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count))),
    }
    ranks: list[subprocess.Popen] = []

    def pass_on(number: int, frame: object) -> None:
        for process in ranks:
            process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        heard.append(signal.SIGHUP)
    before = {name: signal.signal(name, pass_on) for name in heard}
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            # a session of its own, so that Ctrl-C in a terminal reaches it once, from here
            environment = {**os.environ, **shared, **own}
            ranks.append(subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=end_with_parent))
        return wait_for(ranks)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
        for name, handler in before.items():
            signal.signal(name, handler)


def end_with_parent() -> None:
    """Has Linux send SIGTERM to this process when the one that started it ends, also by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_for(ranks: list[subprocess.Popen]) -> int:
    """Waits until all processes have ended, or GRACE long after the first failure, at which the others are told to.

    Returns the status of the first that failed, or 0; says so where it was killed, as it cannot itself.
    """
    while True:
        statuses = [process.poll() for process in ranks]
        failed = [rank for rank, status in enumerate(statuses) if status]
        if failed or None not in statuses:
            break
        time.sleep(0.1)
    if not failed:
        return 0
    deadline = time.monotonic() + GRACE
    for process in ranks:
        process.send_signal(signal.SIGTERM)
    while None in [process.poll() for process in ranks] and time.monotonic() < deadline:
        time.sleep(0.1)
    status = statuses[failed[0]]
    if status < 0:
        sys.stderr.write(f"error: rank {failed[0]} was ended by {signal.Signals(-status).name}\n")
        return 128 - status
    return status
