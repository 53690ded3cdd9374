"""What stands between a caller's arrays and the compiled kernel, which checks nothing itself.

Each helper returns the array as the kernel reads it (native byte order, aligned, C order), without a copy where it is
so already, or raises TypeError (kind of value) or ValueError (shape, range) that names the argument, what was wanted
and what was got. Nothing here writes into an argument.
"""

import operator

import numpy as np

from . import _rasterize

# The kernel's floats hold pixel indices exactly up to 2**24; this also keeps a mistyped size from filling the memory.
MAXIMUM_SIDE = 1 << 16
MAXIMUM_THREADS = 1024
MAXIMUM_INT = (1 << 31) - 1


def _as_array(name, value, kinds, wanted):
    try:
        array = np.asarray(value)
    except ValueError as error:  # a list of lists of different lengths
        raise ValueError(f"{name}: wanted {wanted}, got {error}") from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name}: wanted {wanted}, got {array.dtype} (a {type(value).__name__})")
    return array


def check_shape(name, array, wanted):
    """Raises ValueError unless array.shape fits `wanted`, a tuple of sizes and of letters that stand for any size."""
    fits = len(array.shape) == len(wanted)
    if fits:
        for want, got in zip(wanted, array.shape, strict=True):
            fits &= want.__class__ is str or want == got
    if not fits:
        letters = ", ".join(str(want) for want in wanted) + ("," if len(wanted) == 1 else "")
        raise ValueError(f"{name}: wanted shape ({letters}), got {array.shape}")


def _native(array, dtype):
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative:
        return array
    # A float64 beyond float32's range becomes infinite, which the kernel drops; that is no cause for a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.require(array, dtype=dtype, requirements=["C", "A"])


def check_floats(name, value, shape, kinds="fiu"):
    """`value` as float32 of the given shape; other floats and, with "iu" among `kinds`, whole numbers are converted."""
    wanted = "numbers" if "i" in kinds else "floating-point numbers"
    array = _as_array(name, value, kinds, wanted)
    check_shape(name, array, shape)
    return _native(array, np.float32)


def check_triangles(name, value, vertex_count):
    """`value` as (F, 3) int32, with every index in 0..vertex_count - 1."""
    array = np.asarray(value)
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int32)  # an empty list has no integer type of its own
    array = _as_array(name, array, "iu", "whole numbers")
    check_shape(name, array, ("F", 3))
    if len(array) > np.iinfo(np.int32).max:
        raise ValueError(f"{name}: wanted fewer than 2**31 triangles, got {len(array)}")
    if array.dtype == np.int32:
        array = _native(array, np.int32)
        fits = _rasterize.indices_fit(array, vertex_count)
    else:
        fits = array.size == 0 or (array.min() >= 0 and array.max() < min(vertex_count, 1 << 31))
    if not fits:
        raise ValueError(f"{name}: wanted indices of {vertex_count} vertices, got {array.min()}..{array.max()}")
    return _native(array, np.int32)


def check_number(name, value, highest, unit=""):
    """`value` as the int that it is, 1..highest; unit: of what, for the message."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: wanted a whole number{unit}, got {value!r}")
    if not 1 <= number <= highest:
        raise ValueError(f"{name}: wanted 1..{highest}, got {number}")
    return number


def check_side(name, value):
    """`value` as the int that it is, 1..MAXIMUM_SIDE pixels."""
    return check_number(name, value, MAXIMUM_SIDE, " of pixels")


def check_picture(name, value, channels="C"):
    """`value` as a (H, W, channels) array of uint8 or float32 with at least one pixel; not copied, whatever its order.

    A picture of shape (H, W) is taken for one of one channel, as a view of it.
    """
    array = np.asarray(value)
    if array.dtype not in (np.uint8, np.float32):
        raise TypeError(f"{name}: wanted uint8 or float32, got {array.dtype} (a {type(value).__name__})")
    if array.ndim == 2:
        array = array[..., None]
    check_shape(name, array, ("H", "W", channels))
    if not all(1 <= side <= MAXIMUM_SIDE for side in array.shape):
        raise ValueError(f"{name}: wanted 1..{MAXIMUM_SIDE} rows, columns and channels, got {array.shape}")
    return array


def check_out(name, out, shape, dtype, inputs):
    """Raises unless `out` can be written in place: exact type and shape, C order, writable, apart from all inputs."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name}: wanted a numpy array, got a {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"{name}: wanted {np.dtype(dtype)}, got {out.dtype}")
    check_shape(name, out, shape)
    if not (out.flags.c_contiguous and out.flags.aligned):
        raise ValueError(f"{name}: wanted an aligned array in C order, got strides {out.strides}")
    if not out.flags.writeable:
        raise ValueError(f"{name}: wanted a writable array, got a read-only one")
    for other, array in inputs.items():
        if array is not None and np.may_share_memory(out, array):
            raise ValueError(f"{name}: wanted memory of its own, got an array that overlaps {other}")
