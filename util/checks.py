"""One place to check arrays that come from outside: messages say the name, what was wanted and what was got."""

import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from util.errors import InputError

# What NumPy raises on .npy and .npz files that are damaged in one way or another.
BROKEN_ARRAYS = (
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,
    KeyError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def check_array(name: str, array: Any, shape: Sequence[int | None], finite: bool = True) -> np.ndarray:
    """Returns `array` as an ndarray after checking that it is numeric, of `shape` and finite.

    shape: one entry an axis; None admits every length.
    Raises TypeError for a non-numeric array, InputError (a ValueError) for a wrong shape or a NaN or infinite value.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: wanted numbers, got dtype {array.dtype}")
    fits = array.ndim == len(shape) and all(
        want is None or got == want for got, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
        raise InputError(f"{name}: wanted shape {wanted}, got {array.shape}")
    if finite and not np.isfinite(array).all():
        raise InputError(f"{name}: wanted finite numbers, got {int((~np.isfinite(array)).sum())} NaN or infinite")
    return array


def check_numbers(name: str, array: Any, shape: Sequence[int | None]) -> np.ndarray:
    """`check_array` for the arrays of a user's file: what is no numbers is the user's mistake, too."""
    try:
        return check_array(name, array, shape)
    except TypeError as error:
        raise InputError(str(error)) from None


def check_indices(name: str, array: Any, shape: Sequence[int | None], count: int, first: int = 0) -> np.ndarray:
    """Indices of `shape` as int64, counted from 0, of such that are counted from `first`, with `count` things to point
    to. Raises InputError."""
    array = check_numbers(name, array, shape)
    if array.size and (array.min() < first or array.max() >= first + count or (array != np.rint(array)).any()):
        raise InputError(f"{name}: wanted indices {first}..{first + count - 1}, got {array.min()}..{array.max()}")
    return array.astype(np.int64) - first
