"""Files that are written whole or not at all, and the checkpoints of a run."""

import io
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from util.errors import InputError


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Writes to a temporary name beside `path` and renames: a reader never sees half a file, and a write that fails
    leaves the old one. Raises OSError that names the file, as for a full disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        told = f"cannot write it, what was there before is kept: {error.strerror}"
        raise OSError(error.errno, told, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """state: tensors, numbers, text, and lists and dicts of these, so that it loads with weights_only."""
    # By way of memory: on a full disk torch's own writer breaks off with an error that does not say so.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def keep_as(path: Path, name: str) -> None:
    """Keeps the file under another name beside it, without a second copy where the file system can.

    Safe because files are replaced here and never changed."""
    temporary = path.with_name(f".{name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        shutil.copyfile(path, temporary)
    try:
        os.replace(temporary, path.with_name(name))
    finally:
        temporary.unlink(missing_ok=True)  # it stays where both names are of one file already


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Loads a checkpoint onto the CPU. Raises FileNotFoundError, or InputError for a file that is none or is cut."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file; is --name right, and has step02_train.py run?")
    state = load_plain(path, "checkpoint")
    wanted = {"model", "options", "topology", "statistics"}
    if not isinstance(state, dict) or not wanted <= state.keys():
        raise InputError(f"checkpoint {path}: wanted one of this project's, with {', '.join(sorted(wanted))}")
    return state


def load_plain(path: Path, kind: str) -> Any:
    """Loads tensors and plain types that torch saved onto the CPU, whatever they are. Raises FileNotFoundError, or
    InputError for a file that is none or is cut; kind: what to call it then."""
    if not path.is_file():
        raise FileNotFoundError(f"{kind} {path}: no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{kind} {path}: wanted a whole {kind}, cannot read it ({reason})") from None


def load_weights(network: torch.nn.Module, path: Path, passed_over: tuple[str, ...] = ()) -> None:
    """Puts the weights of a file with a state dict into a network, but for names that begin with `passed_over`. Raises
    FileNotFoundError, or InputError where they are another network's."""
    weights = load_plain(path, "weights")
    try:
        network.load_state_dict({name: value for name, value in weights.items() if not name.startswith(passed_over)})
    except (RuntimeError, AttributeError, TypeError) as error:
        told = " ".join(str(error).split())[:300]
        raise InputError(f"weights {path}: wanted those of {type(network).__name__} ({told})") from None


def pack_arrays(holder: Any) -> dict[str, torch.Tensor]:
    """A dataclass of arrays as a dict of tensors, as a checkpoint keeps it."""
    return {name: torch.from_numpy(np.array(value)) for name, value in vars(holder).items()}


def unpack_arrays(kind: type, packed: dict[str, torch.Tensor]) -> Any:
    """The inverse of `pack_arrays`. Raises InputError where the arrays are not the dataclass's."""
    wanted = [field.name for field in fields(kind)]
    if sorted(wanted) != sorted(packed):
        raise InputError(f"{kind.__name__}: wanted arrays {', '.join(wanted)}, got {', '.join(packed)}")
    return kind(**{name: tensor.numpy() for name, tensor in packed.items()})
