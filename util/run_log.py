"""What a run writes down while it goes: log.txt, metrics.jsonl and TensorBoard events."""

import json
from pathlib import Path
from types import TracebackType

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from util.checkpoint import write_whole
from util.errors import InputError


def clean_up(folder: Path, epoch: int) -> None:
    """Takes out of a run's folder what a run that was killed left there: half-written files, and lines of
    metrics.jsonl that are cut short or of later epochs than its checkpoint, which will be written anew."""
    for path in folder.glob(".*.part"):
        path.unlink()
    path = folder / "metrics.jsonl"
    if path.exists():
        whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        kept = [line for line in whole if json.loads(line)["step"] <= epoch]
        write_whole(path, lambda file: file.writelines(kept))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl, none where there is no such file. A last line without an end, which a run
    may be writing, is left out. Raises InputError for lines that are no JSON objects."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise InputError(f"{path}, line {number}: wanted a JSON object, got {line[:60]!r}") from None
    return lines


class RunLog:
    """Appends to the files in `folder`, or where `silent` to nothing; use as a context manager."""

    def __init__(self, folder: Path, silent: bool = False):
        self.folder, self.silent = folder, silent
        self.board = None if silent else SummaryWriter(folder)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.board:
            self.board.close()

    def say(self, text: str) -> None:
        """To the screen, around a progress bar, and to log.txt."""
        if self.silent:
            return
        tqdm.write(text)
        with open(self.folder / "log.txt", "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def metrics(self, line: dict[str, float], step: int) -> None:
        """One JSON object a line to metrics.jsonl, and its numbers to TensorBoard."""
        if self.silent:
            return
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **line}) + "\n")
        self.scalars(line, step)

    def scalars(self, line: dict[str, float], step: int) -> None:
        """Numbers to TensorBoard alone."""
        for name, value in line.items() if self.board else ():
            self.board.add_scalar(name, value, step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """An (h, w, 3) uint8 RGB picture to TensorBoard."""
        if self.board:
            self.board.add_image(name, image, step, dataformats="HWC")
            self.board.flush()
