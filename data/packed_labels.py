"""The labels of a split as step01 packs them while it checks: flat files of numbers in the order of the list.

<split>_landmarks.f32  (n, 68, 2)  pixels from the top left corner, y down
<split>_verts.f32      (n, N, 3)   canonical metres    } train and val only
<split>_R_t.f32        (n, 4, 4)   row-vector poses    }

Little-endian float32, the same values as in the data root's own files. An epoch then parses no text and unpacks no
archive, and memory holds no more of them than is in use.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from util.errors import InputError
from util.random_access import RandomAccessFile

LITTLE_FLOAT = np.dtype("<f4")


def label_shapes(num_vertices: int, labelled: bool) -> dict[str, tuple[int, int]]:
    """What is packed of a sample, and its shape."""
    shapes = {"landmarks": (68, 2)}
    return shapes | {"verts": (num_vertices, 3), "R_t": (4, 4)} if labelled else shapes


def label_path(directory: Path, split: str, name: str) -> Path:
    return directory / f"{split}_{name}.f32"


@contextmanager
def packing_labels(
    directory: Path, split: str, num_vertices: int, labelled: bool
) -> Iterator[Callable[[dict[str, np.ndarray]], None]]:
    """Packs the labels of one split: gives a function to call with each sample's arrays, landmarks and, where labelled,
    verts and R_t. The files are in place when the block ends, and as they were where it ends with an error."""
    shapes = label_shapes(num_vertices, labelled)
    parts = {name: label_path(directory, split, name).with_suffix(".part") for name in shapes}
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(open(path, "wb")) for name, path in parts.items()}

            def pack(arrays: dict[str, np.ndarray]) -> None:
                for name, shape in shapes.items():
                    assert arrays[name].shape == shape
                    files[name].write(arrays[name].astype(LITTLE_FLOAT).tobytes())

            yield pack
        for name, path in parts.items():
            os.replace(path, label_path(directory, split, name))
    except OSError as error:
        error.filename = error.filename or str(parts["landmarks"])  # of a full disk it is not said
        raise
    finally:
        for path in parts.values():
            path.unlink(missing_ok=True)


def unpack_labels(data: bytes, num_vertices: int, labelled: bool) -> dict[str, np.ndarray]:
    """A sample's arrays by name, native float32, to be changed at will, from their bytes one after the other."""
    numbers, arrays, start = np.frombuffer(data, LITTLE_FLOAT).astype(np.float32), {}, 0
    for name, shape in label_shapes(num_vertices, labelled).items():
        end = start + math.prod(shape)
        arrays[name], start = numbers[start:end].reshape(shape), end
    return arrays


class PackedLabels:
    """Reads what packing_labels wrote: landmarks (n, 68, 2) and, where labelled, verts (n, N, 3) and R_t (n, 4, 4).

    Raises FileNotFoundError, or InputError where a file does not hold `count` samples.
    """

    def __init__(self, directory: Path, split: str, count: int, num_vertices: int, labelled: bool):
        self.num_vertices, self.labelled = num_vertices, labelled
        self.files: list[tuple[RandomAccessFile, int]] = []
        for name, shape in label_shapes(num_vertices, labelled).items():
            path = label_path(directory, split, name)
            size, got = math.prod(shape) * LITTLE_FLOAT.itemsize, path.stat().st_size
            if got != (wanted := count * size):
                raise InputError(f"{path}: wanted {wanted} bytes for {count} samples, got {got}; run step01 again")
            self.files.append((RandomAccessFile(path), size))

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """One sample's arrays by name, native float32, to be changed at will."""
        return unpack_labels(self.read(index), self.num_vertices, self.labelled)

    def read(self, index: int) -> bytes:
        """The bytes of one sample's arrays, one after the other."""
        return b"".join(file.read(size, index * size) for file, size in self.files)
