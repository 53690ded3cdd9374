"""Packed training samples in shards, for object storage and many nodes: read one after the other, not at random.

shards.json          what was packed and how (data.packed_images.PackHeader), and the number of samples of each shard
train-000000.tar ... tar files of the webdataset kind: of each sample <index>.jpg, its data; <index>.f32, landmarks,
                     verts and R_t (data.packed_labels); <index>.json, where the data lay, and checksums

Samples lie in the shards in random order. An epoch reads all shards in a random order, and the samples through a
shuffled buffer; both depend on seed and epoch alone.
"""

import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import webdataset
from tqdm import tqdm
from webdataset.tariterators import group_by_keys, tar_file_expander

from data.packed_images import PackedImage, PackedImages, parse_header
from data.packed_labels import PackedLabels, unpack_labels
from data.wcpa import SampleId
from data.wcpa_dataset import WcpaDataset
from data.windows import Picture
from util.checkpoint import write_whole
from util.errors import InputError
from util.loader import read_ahead
from util.mesh import Topology

# Samples that wait to be drawn from: some 50 kB each.
SHUFFLE_BUFFER = 4096


class StreamedSample(NamedTuple):
    """A sample as it comes from a shard: its index in the cache's list, its image, and its labels' bytes."""

    index: int
    image: PackedImage
    labels: bytes


def write_shards(folder: Path, images: PackedImages, labels: PackedLabels, num_shards: int) -> None:
    """Writes the packed training samples in shards of the same size, but for one sample more in some.

    Raises InputError where there are more shards than samples; shards.json is written last.
    """
    count = len(images.samples)
    if num_shards > count:
        raise InputError(f"--shards: wanted at most the {count} training images, got {num_shards}")
    folder.mkdir(exist_ok=True)
    (folder / "shards.json").unlink(missing_ok=True)
    parts = np.array_split(np.random.default_rng(0).permutation(count), num_shards)
    with tqdm(total=count, desc="shards", unit="image") as bar:
        for number, part in enumerate(parts):
            with webdataset.TarWriter(str(folder / shard_name(number)), encoder=False, mtime=0) as writer:
                for index in part.tolist():
                    writer.write(encode_sample(index, images.read(index), labels.read(index)))
                    bar.update()
    content = {"header": asdict(images.header), "counts": [len(part) for part in parts]}
    write_whole(folder / "shards.json", lambda file: file.write(json.dumps(content).encode()))


def shard_name(number: int) -> str:
    return f"train-{number:06d}.tar"


def encode_sample(index: int, image: PackedImage, labels: bytes) -> dict[str, Any]:
    place = {"left": image.left, "top": image.top, "scale": image.scale}
    checks = {"image_checksum": image.checksum(), "labels_checksum": zlib.crc32(labels)}
    return {"__key__": f"{index:09d}", "jpg": image.data, "f32": labels, "json": json.dumps(place | checks).encode()}


def decode_sample(sample: dict[str, Any]) -> StreamedSample:
    """Raises ValueError or KeyError where a sample is not as it was written."""
    about, labels = json.loads(sample["json"]), sample["f32"]
    image = PackedImage(sample["jpg"], about["left"], about["top"], about["scale"])
    if image.checksum() != about["image_checksum"] or zlib.crc32(labels) != about["labels_checksum"]:
        raise ValueError(f"sample {sample['__key__']} is not as it was written")
    return StreamedSample(int(sample["__key__"]), image, labels)


def read_shard(url: str, count: int) -> Iterator[StreamedSample]:
    """The samples of a shard. Raises InputError where they are not `count` whole ones."""
    found = 0
    try:
        with webdataset.gopen(url) as stream:
            for sample in group_by_keys(tar_file_expander([{"url": url, "stream": stream}])):
                yield decode_sample(sample)
                found += 1
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        raise InputError(f"shard {url}: cannot read sample {found + 1} of {count} ({error})") from None
    if found != count:
        raise InputError(f"shard {url}: wanted {count} samples, got {found}")


class StreamedDataset(WcpaDataset):
    """The training samples of the shards at a place, a folder or the URL of one: see WcpaDataset for the items.

    samples: the cache's training list, which the indices in the shards count; digest: its digest; rank, num_ranks: each
    of so many processes reads its share of the shards. Raises InputError where the shards do not fit what is asked for.
    """

    def __init__(
        self,
        place: str,
        samples: Sequence[SampleId],
        digest: str,
        topology: Topology,
        windows: Sequence[str],
        size: int,
        augmentation: dict[str, float],
        seed: int,
    ):
        super().__init__(None, samples, topology, windows, size, True, augmentation, seed)
        self.place = place.rstrip("/")
        url = f"{self.place}/shards.json"
        try:
            with webdataset.gopen(url) as stream:
                content = json.load(stream)
            self.header, self.counts = parse_header(content["header"]), content["counts"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"--stream: cannot read {url} ({error}); run step01_preparation.py --pack lossless --shards N"
            ) from None
        shards = f" --shards {len(self.counts)}"
        self.header.check_fits(url, "train", digest, size, self.augmentation, windows, shards)

    def num_batches(self, batch_size: int) -> int:
        """How many batches an epoch has, for every process the same: as many as the fewest and smallest shards that one
        may get have whole. Raises InputError where that is none."""
        if len(self.counts) < self.num_ranks:
            raise InputError(f"--stream: wanted a shard for each of {self.num_ranks} processes, got {len(self.counts)}")
        fewest = sum(sorted(self.counts)[: len(self.counts) // self.num_ranks])
        if fewest * self.num_ranks < batch_size:
            raise InputError(f"--batch_size: wanted at most {fewest} images a process, got {batch_size}")
        return fewest * self.num_ranks // batch_size

    def batches(self, batch_size: int, skip: int = 0) -> Iterator[list[StreamedSample]]:
        """This process's shares of the batches of the present epoch from the `skip`th on; the skipped are read past."""
        count, samples, share = self.num_batches(batch_size), self.stream(), batch_size // self.num_ranks

        def read(number: int) -> list[StreamedSample]:
            return list(islice(samples, share))

        return islice(read_ahead(read, range(count), num_workers=1), skip, None)

    def stream(self) -> Iterator[StreamedSample]:
        """This process's samples of the present epoch, in their order."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.counts))
        shards = order[self.rank :: self.num_ranks].tolist()
        in_turn = (
            sample for shard in shards for sample in read_shard(f"{self.place}/{shard_name(shard)}", self.counts[shard])
        )
        seed = int(np.random.default_rng([self.seed, self.epoch, self.rank]).integers(2**32))
        return webdataset.detshuffle(SHUFFLE_BUFFER, SHUFFLE_BUFFER, seed).run(in_turn)

    def read(self, sample: StreamedSample) -> tuple[int, Picture, dict[str, np.ndarray]]:
        name = f"sample {self.samples[sample.index]}"
        picture = sample.image.picture(self.header.image_size, name)
        return sample.index, picture, unpack_labels(sample.labels, self.topology.num_vertices, self.labelled)
