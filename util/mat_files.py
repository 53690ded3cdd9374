"""Arrays of Matlab's files, and what is said where an array is missing or a file is broken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from util.errors import InputError


def read_mat(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of a Matlab file. Raises FileNotFoundError, or InputError where one is missing."""
    with open(path, "rb") as file:
        try:
            content = loadmat(file, variable_names=names)
        except Exception as error:  # of a damaged file: SciPy has no error of its own for all that may go wrong
            raise unreadable(path, error) from None
    arrays = {name: array for name, array in content.items() if not name.startswith("__")}
    return {name: array_of(arrays, path, name) for name in names}


def array_of(content: Mapping[str, Any], path: str | Path, name: str) -> np.ndarray:
    """An array of a file by its name."""
    if name not in content:
        raise InputError(f"{path}: wanted an array {name}, got {', '.join(sorted(map(str, content))) or 'none'}")
    return np.asarray(content[name])


def unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: cannot read it ({type(error).__name__}: {error})")
