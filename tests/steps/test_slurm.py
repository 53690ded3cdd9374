"""The sbatch files with stand-ins for Slurm and for what trains: commands, signals, requeueing."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from options.train_options import parse_train_options

HOUSE = Path(__file__).parents[2]
SLURM = HOUSE / "docs" / "slurm"
# Each stand-in notes how it was called. What trains is asked to stop, as step02, or ends with the status FAKE_STATUS.
STAND_INS = {
    "scontrol": 'echo "scontrol $*" >> calls; [ "$1" = show ] && printf "first\\nsecond\\n"; exit 0',
    "srun": 'echo "srun $*" >> calls; while [ "$1" != torchrun ]; do shift; done; exec "$@"',
    "torchrun": 'exec python "$@"',
    "python": """
echo "python $*" >> calls
[ -z "${FAKE_STATUS:-}" ] || exit "$FAKE_STATUS"
trap 'echo saved >> calls; exit 1' TERM
echo begun >> calls
while :; do sleep 0.02; done
""",
}
ENVIRONMENT = {"SLURM_JOB_ID": "1234", "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "node[1-2]"}
ENVIRONMENT |= {"SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "8", "SLURM_ARRAY_TASK_ID": "7"}


@pytest.fixture
def start(tmp_path):
    """Starts an sbatch file as Slurm would, in a folder that looks like the repository; tells who calls whom."""
    (tmp_path / "docs").symlink_to(HOUSE / "docs")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text("PATH=$PWD/.venv/bin:$PATH\n")
    for name, script in STAND_INS.items():
        (tmp_path / ".venv/bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    (tmp_path / "calls").touch()

    def run(name, *arguments, **environment) -> subprocess.Popen:
        command = ["bash", f"docs/slurm/{name}.sbatch", *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **ENVIRONMENT, **environment})

    return run


def step02_options(calls: Path):
    """What the real step02 would have understood."""
    (line,) = [line for line in calls.read_text().splitlines() if line.startswith("python ")]
    return parse_train_options(line.split("step02_train.py ")[1].split())[0]


@pytest.mark.parametrize("path", sorted([*SLURM.glob("*.sh"), *SLURM.glob("*.sbatch")]), ids=lambda path: path.name)
def test_bash_can_read_it(path):
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "starter"),
    [
        ("one_gpu", "python"),
        ("one_node", "--standalone --nproc_per_node 4 --shutdown_timeout 240"),
        (
            "nodes",
            "--nnodes 2 --nproc_per_node 4 --rdzv_backend c10d --rdzv_endpoint first:21234 --rdzv_id 1234 "
            "--shutdown_timeout 240",
        ),
    ],
)
def test_step02_is_told_what_the_job_was_told(start, tmp_path, name, starter):
    told = ["run01", "--data_root", "D", "--batch_size", "64"]
    assert start(name, *told, FAKE_STATUS="0").wait(60) == 0
    assert f"{starter} step02_train.py " in (tmp_path / "calls").read_text()
    options = step02_options(tmp_path / "calls")
    assert (options.name, options.batch_size, options.resume) == ("run01", 64, False)
    assert (str(options.data_root), str(options.checkpoints_dir)) == ("D", "checkpoints")


def test_an_array_task_is_a_model_on_a_fold(start, tmp_path):
    assert start("array", "--data_root", "D", FAKE_STATUS="0").wait(60) == 0
    options = step02_options(tmp_path / "calls")
    assert (options.model, options.name, str(options.cache_dir)) == ("perspective", "perspective_f2", "cache_f2")
    assert start("array", "--data_root", "D", SLURM_ARRAY_TASK_ID="10", FAKE_STATUS="0").wait(60) == 1


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_warning_saves_and_requeues_and_an_end_only_saves(start, tmp_path, number, requeued):
    job = start("nodes", "run01", "--data_root", "D")
    deadline = time.monotonic() + 60
    while "begun" not in (tmp_path / "calls").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(number)
    # torchrun's status after a signal is 1, which is no failure of a job that goes on
    assert job.wait(60) == (0 if requeued else 1)
    ends = (tmp_path / "calls").read_text().split("begun\n")[1].splitlines()
    assert ends == ["saved", *(["scontrol requeue 1234"] if requeued else [])]


def test_a_failure_is_not_requeued(start, tmp_path):
    assert start("one_node", "run01", "--data_root", "D", FAKE_STATUS="3").wait(60) == 3
    assert "requeue" not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(("restarts", "begun", "resumes"), [("1", True, True), ("1", False, False), ("0", True, False)])
def test_a_requeued_job_goes_on_with_its_run(start, tmp_path, restarts, begun, resumes):
    if begun:
        (tmp_path / "runs/run01").mkdir(parents=True)
    environment = {"SLURM_RESTART_COUNT": restarts, "CHECKPOINTS_DIR": "runs", "FAKE_STATUS": "0"}
    assert start("one_gpu", "run01", "--data_root", "D", **environment).wait(60) == 0
    options = step02_options(tmp_path / "calls")
    assert (options.resume, str(options.checkpoints_dir)) == (resumes, "runs")
