"""Which device a run uses, and in what precision it computes fastest there."""

import math
import time

import torch
from torch.nn import functional

from util.distributed import ALONE, Team
from util.errors import InputError

TRIALS = 40
# The first compute capability with matrix units for float16.
TENSOR_CORES = (7, 0)


def choose_device(gpu_ids: list[int], team: Team = ALONE) -> tuple[torch.device, str]:
    """The device for --gpu_ids, and a line that says which it is.

    An empty list asks for the CPU. Where there is no GPU the CPU takes its place, and the line says so. In a team of
    several, each process on a machine has one of the GPUs; [0], the default, stands for as many as are needed.
    Raises InputError where there are GPUs, but not those, or where they are not as many as the processes.
    """
    shared = f", the first of {team.size} processes" if team.size > 1 else ""
    threads = f"{torch.get_num_threads()} threads{shared}"
    gpus = check_gpus(gpu_ids, team.local_size)
    if not gpus:
        known = "device: no GPU found, running on the CPU with" if gpu_ids else "device: CPU,"
        return torch.device("cpu"), f"{known} {threads}"
    device = torch.device("cuda", gpus[team.local_rank])
    torch.cuda.set_device(device)  # which NCCL uses where nothing else tells
    return device, f"device: GPU {device.index}, {torch.cuda.get_device_name(device)}{shared}"


def check_gpus(gpu_ids: list[int], processes: int) -> list[int]:
    """The GPUs for so many processes of this machine; none where they compute on the CPU. See choose_device."""
    if not gpu_ids or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    if max(gpu_ids) >= count:
        raise InputError(f"--gpu_ids: wanted 0..{count - 1}, got {max(gpu_ids)}")
    known = list(range(count)) if gpu_ids == [0] else gpu_ids
    if len(known) < processes or 1 < len(gpu_ids) != processes:
        raise InputError(f"--gpu_ids: wanted a GPU for each process of this machine, {processes}, got {known}")
    return known


def fastest_precision(device: torch.device) -> str:
    """The precision, "fp32", "bf16" or "fp16", in which convolutions are computed fastest: by trial on a CPU, where it
    depends on the instruction set and may be many times slower; by capability on a GPU."""
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return "fp16" if torch.cuda.get_device_capability(device) >= TENSOR_CORES else "fp32"
    seconds = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    # In turn and the best of many, so that what else the machine does meanwhile hits both alike.
    for _ in range(TRIALS):
        for kind in seconds:
            image, weight = torch.ones(8, 64, 28, 28, dtype=kind), torch.ones(64, 64, 3, 3, dtype=kind)
            start = time.perf_counter()
            functional.conv2d(image, weight, padding=1)
            seconds[kind] = min(seconds[kind], time.perf_counter() - start)
    return "bf16" if seconds[torch.bfloat16] < seconds[torch.float32] else "fp32"


def out_of_memory(error: RuntimeError) -> bool:
    """Whether that is what torch says by it: on a GPU with a class of its own, on a CPU with a sentence."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
