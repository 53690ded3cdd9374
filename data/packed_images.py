"""The images of a split as step01 packs them: what training looks at of each, one after the other in one file.

<split>_images.json          what was packed, and how: see PackHeader; the other two belong to it by its `slot`
<split>_images.<slot>.jpegs  JPEG data, one image after the other
<split>_images.<slot>.index  one RECORD an image, in the order of the list

A new pack is written to the slot that the old one does not use, so that the old one stays whole until the new one is:
then its .part.json is renamed and the old files are removed. A pack that was interrupted goes on where it ended.
Reading takes any image at its offset, from any number of threads; only the index is mapped into memory.
"""

import json
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.augment import needed_margin
from data.jpeg import decode_rgb
from data.wcpa import SampleId
from data.windows import WINDOW_MARGINS, Picture
from util.checkpoint import write_whole
from util.errors import InputError
from util.random_access import RandomAccessFile

# left, top and scale are those of data.windows.Picture; the checksum is over them and the data.
RECORD = np.dtype(
    [("left", "<i4"), ("top", "<i4"), ("scale", "<f8"), ("offset", "<u8"), ("bytes", "<u4"), ("checksum", "<u4")]
)


class PackedImage(NamedTuple):
    """JPEG data of what is kept of an image, and where it lay: see data.windows.Picture."""

    data: bytes
    left: int
    top: int
    scale: float

    def checksum(self) -> int:
        return zlib.crc32(self.data, zlib.crc32(struct.pack("<iid", self.left, self.top, self.scale)))

    def picture(self, image_size: tuple[int, int], name: object) -> Picture:
        """What it shows of an image of that width and height. name: where it comes from, for the message."""
        pixels = decode_rgb(self.data, name)
        (width, height), (rows, columns) = image_size, pixels.shape[:2]
        if self.scale != 1.0:
            return Picture(pixels, width, height, False, self.left, self.top, self.scale)
        if (columns, rows) == (width, height):
            return Picture(pixels, width, height)
        # OpenCV rounds the places of pixels a hair differently in a picture with another corner: the part goes back to
        # where it was.
        image = np.zeros((height, width, 3), np.uint8)
        image[self.top : self.top + rows, self.left : self.left + columns] = pixels
        return Picture(image, width, height, complete=False)


@dataclass(frozen=True)
class PackHeader:
    """digest: of the samples (data.check.Finding.fingerprint) that were packed; mode: lossless or reencoded; margin:
    what is kept around the face box, in shares of its side; size: that a box's side is reduced to when reencoded;
    image_size: width and height of the whole images."""

    digest: str
    mode: str
    margin: float
    size: int
    image_size: tuple[int, int]
    slot: str = ""

    def command(self, more: str = "") -> str:
        """What makes such a pack. more: further options."""
        size = f" --pack_size {self.size}" if self.mode == "reencoded" else ""
        return f"step01_preparation.py --pack {self.mode} --pack_margin {self.margin:g}{size}{more}"

    def check_fits(
        self,
        path: object,
        split: str,
        digest: str,
        window_size: int,
        augmentation: Mapping[str, float],
        windows: Sequence[str],
        more: str = "",
    ) -> None:
        """Raises InputError, which says how to pack, where what `path` heads is of other samples than those of this
        digest, is too coarse for windows of that size, or has too little around the faces for them and for how training
        moves them.

        augmentation: as data.wcpa_dataset.WcpaDataset's; more: further options of the command that packs."""
        if self.digest != digest:
            raise InputError(
                f"{path} was packed from other {split} images than those of the cache; run {self.command(more)}"
            )
        margin = needed_margin(augmentation, windows)
        if margin > self.margin + 1e-9:  # the product is rounded
            enough = math.ceil(margin * 1e4 - 1e-5) / 1e4
            more_moves = {"scale": "--box_scale", "rotation": "--rotation"}
            told = "".join(
                f" {option} {augmentation[name]:g}" for name, option in more_moves.items() if augmentation.get(name)
            )
            told += "".join(f" of window {name}" for name in windows if name in WINDOW_MARGINS)
            raise InputError(
                f"--box_jitter {augmentation.get('box', 0):g}{told} wants a margin of {enough:g}, {path} was packed "
                f"with {self.margin:g}; run {replace(self, margin=enough).command(more)}"
            )
        if self.mode == "reencoded" and window_size > self.size:
            raise InputError(
                f"--img_size {window_size} wants faces of that size, {path} was packed with {self.size}; "
                f"run {replace(self, size=window_size).command(more)}"
            )


def header_path(directory: Path, split: str) -> Path:
    return directory / f"{split}_images.json"


def parse_header(content: dict[str, Any]) -> PackHeader:
    """A header as JSON has it. Raises KeyError or TypeError where it is none."""
    return PackHeader(**{**content, "image_size": tuple(content["image_size"])})


def read_header(path: Path) -> PackHeader | None:
    """What a .json file says of a pack; None where there is none, or not a whole one."""
    try:
        return parse_header(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def slot_paths(directory: Path, split: str, slot: str) -> tuple[Path, Path]:
    """The files of the data and of the index."""
    return directory / f"{split}_images.{slot}.jpegs", directory / f"{split}_images.{slot}.index"


def whole_records(data_path: Path, index_path: Path) -> np.ndarray:
    """The records of an interrupted pack up to the last one that is whole, index and data."""
    if not (data_path.exists() and index_path.exists()):
        return np.empty(0, RECORD)
    index = index_path.read_bytes()
    records = np.frombuffer(index, RECORD, len(index) // RECORD.itemsize)
    records = records[: int((records["offset"] + records["bytes"] <= data_path.stat().st_size).sum())]
    file = RandomAccessFile(data_path)
    while len(records) and not read_record(file, records[-1])[1]:
        records = records[:-1]
    return records


def read_record(file: RandomAccessFile, record: np.void) -> tuple[PackedImage, bool]:
    """An image of a pack, and whether it is what was packed."""
    left, top, scale, offset, count, checksum = record.item()
    image = PackedImage(file.read(count, offset), left, top, scale)
    return image, image.checksum() == checksum


def intact_records(data_path: Path, index_path: Path) -> int:
    """How many records a finished pack has, if all are as they were packed; none if not."""
    if not (data_path.exists() and index_path.exists()):
        return 0
    file, records = RandomAccessFile(data_path), np.fromfile(index_path, RECORD)
    return len(records) if all(read_record(file, record)[1] for record in records) else 0


def refuse_more(image: PackedImage) -> None:
    raise AssertionError("a finished pack has no room for more")


@contextmanager
def packing_images(
    directory: Path, split: str, header: PackHeader
) -> Iterator[tuple[int, Callable[[PackedImage], None]]]:
    """Packs the images of one split: gives how many an interrupted pack of the same header has left, and a function to
    call with each of the others in order. The pack is in place when the block ends; an earlier one stays in place
    where it ends with an error.

    Raises OSError, with the file's name, where there is no room or no right to write.
    """
    final = header_path(directory, split)
    part, before = final.with_suffix(".part.json"), read_header(final)
    if before and replace(header, slot=before.slot) == before:
        done = intact_records(*slot_paths(directory, split, before.slot))
        if done:
            # all that there is to pack, since its header has its final name
            yield done, refuse_more
            return
    header = replace(header, slot="b" if before and before.slot == "a" else "a")
    data_path, index_path = paths = slot_paths(directory, split, header.slot)
    records = whole_records(data_path, index_path) if read_header(part) == header else np.empty(0, RECORD)
    end = int(records[-1]["offset"] + records[-1]["bytes"]) if len(records) else 0
    try:
        if not len(records):
            for path in paths:
                path.unlink(missing_ok=True)
            write_whole(part, lambda file: file.write(json.dumps(asdict(header)).encode()))
        with open(data_path, "ab") as data_file, open(index_path, "ab") as index_file:
            data_file.truncate(end)
            index_file.truncate(records.nbytes)

            def pack(image: PackedImage) -> None:
                nonlocal end
                record = (image.left, image.top, image.scale, end, len(image.data), image.checksum())
                data_file.write(image.data)
                index_file.write(np.array(record, RECORD).tobytes())
                end += len(image.data)

            yield len(records), pack
            for file in (data_file, index_file):
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, final)
    except OSError as error:
        error.filename = error.filename or str(data_path)
        raise
    if before:
        for path in slot_paths(directory, split, before.slot):
            path.unlink(missing_ok=True)


class PackedImages:
    """Reads what packing_images wrote: the picture of any sample of a cache's list.

    digest: the cache's, of these samples; windows: names of those that will be looked at; window_size: theirs in
    pixels; augmentation: as data.wcpa_dataset.WcpaDataset's, for how far they are moved.
    Raises InputError that says how to pack where there is no pack, one of other images, one that is too coarse or has
    too little around the faces; reading raises it where data is damaged.
    """

    def __init__(
        self,
        directory: Path,
        split: str,
        samples: list[SampleId],
        digest: str,
        window_size: int,
        augmentation: Mapping[str, float] | None = None,
        windows: Sequence[str] = (),
    ):
        path = header_path(directory, split)
        header = read_header(path)
        if header is None:
            raise InputError(
                f"--data packed: wanted packed {split} images, no {path}; run step01_preparation.py --pack lossless"
            )
        header.check_fits(path, split, digest, window_size, augmentation or {}, windows)
        self.header, self.samples = header, samples
        self.path, index_path = slot_paths(directory, split, header.slot)
        if not self.path.exists() or index_path.stat().st_size != len(samples) * RECORD.itemsize:
            raise InputError(
                f"--data packed: wanted {index_path} and its data for {len(samples)} images; run {header.command()}"
            )
        self.records = np.memmap(index_path, RECORD, "r")
        self.file = RandomAccessFile(self.path)

    def read(self, index: int) -> PackedImage:
        """The data of any sample's image, as it was packed."""
        packed, whole = read_record(self.file, self.records[index])
        if not whole:
            raise InputError(
                f"sample {self.samples[index]}: its data in {self.path} is damaged; run {self.header.command()}"
            )
        return packed

    def __getitem__(self, index: int) -> Picture:
        return self.read(index).picture(self.header.image_size, self.path)
