"""Files that are read a piece at a time, anywhere."""

import os
import weakref
from pathlib import Path


class RandomAccessFile:
    """A file that any number of threads may read from at once; nothing of it stays in this process's memory."""

    def __init__(self, path: Path):
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, count: int, offset: int) -> bytes:
        """`count` bytes from `offset` on, fewer where the file ends."""
        return os.pread(self.descriptor, count, offset)
