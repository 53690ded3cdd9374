"""Runs step02_train.py until it kills itself, as kill -9 does, right before a certain call:

python tests/steps/killed.py MODULE:FUNCTION:NUMBER [options of step02]

FUNCTION is killed before its call NUMBER, counted from one. MODULE may be "limit": the run then goes on in a world in
which files can have NUMBER bytes at most and no more, as on a disk that is full.
"""

import importlib
import os
import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def kill_before(module_name: str, name: str, number: int) -> None:
    holder = importlib.import_module(module_name)
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part)
    function, calls = getattr(holder, last), []

    def count(*arguments, **named):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    setattr(holder, last, count)


if __name__ == "__main__":
    module, function, count = sys.argv.pop(1).split(":")
    import step02_train
    from tests.small_networks import use_small_networks
    from util.errors import run_step

    use_small_networks()
    if module == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(count), int(count)))
    else:
        kill_before(module, function, int(count))
    run_step(step02_train.main)
