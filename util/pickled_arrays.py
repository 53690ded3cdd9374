"""Pickles of other people that hold NumPy arrays, read without running what else may stand in them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar
from numpy._core.numeric import _frombuffer

from util.errors import InputError


def read_pickle(path: Path) -> Any:
    """What a pickle holds: numbers, text, lists, tuples, dicts and NumPy arrays, also one of Python 2.

    Anything else, classes and functions alike, is refused before it is looked up. Raises FileNotFoundError, or
    InputError that names the file and what it wanted to call, or why it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return ArrayUnpickler(file, encoding="latin1").load()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except Exception as error:  # a damaged pickle ends in whatever went wrong
            raise InputError(f"{path}: cannot read it ({type(error).__name__}: {error})") from None


def latin1_bytes(text: str, encoding: str) -> bytes:
    """What Python 3 pickles bytes by in the protocols of Python 2, with no other codec."""
    if encoding != "latin1":
        raise InputError(f"wanted a pickle of NumPy arrays, got one with bytes in {encoding}")
    return text.encode("latin1")


# The names by which arrays are pickled, by NumPy 1 and 2.
KNOWN = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): latin1_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class ArrayUnpickler(pickle.Unpickler):
    """Knows the names of KNOWN and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise InputError(f"wanted a pickle of NumPy arrays, got one that calls {module}.{name}")
        return KNOWN[module, name]
