"""Which device a run uses."""

import torch

from util.errors import InputError


def choose_device(gpu_ids: list[int]) -> tuple[torch.device, str]:
    """The device for --gpu_ids, and a line that says which it is.

    An empty list asks for the CPU. Where there is no GPU the CPU takes its place, and the line says so.
    Raises InputError where there are GPUs, but not that one.
    """
    if not gpu_ids:
        return torch.device("cpu"), f"device: CPU, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return torch.device("cpu"), f"device: no GPU found, running on the CPU with {torch.get_num_threads()} threads"
    if gpu_ids[0] >= torch.cuda.device_count():
        raise InputError(f"--gpu_ids: wanted 0..{torch.cuda.device_count() - 1}, got {gpu_ids[0]}")
    device = torch.device("cuda", gpu_ids[0])
    return device, f"device: GPU {gpu_ids[0]}, {torch.cuda.get_device_name(device)}"
