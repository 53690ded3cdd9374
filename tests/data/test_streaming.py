"""Shards give the items that the files give, each once an epoch, in an order that depends on seed and epoch alone."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from webdataset import tariterators

import data.streaming
from data.image_packing import pack_images
from data.packed_images import PackedImages, PackHeader, packing_images
from data.packed_labels import PackedLabels, packing_labels
from data.streaming import StreamedDataset, shard_name, write_shards
from data.wcpa_dataset import WcpaDataset
from util.errors import InputError

AUGMENTATION = {"mirror": 0.5, "light": 0.5, "box": 0.1, "landmarks": 0.02}
LOOK = ("local", "global"), 32
HEADER = PackHeader("digest", "lossless", 0.15, 256, (96, 96))


@pytest.fixture
def shards(tmp_path, wcpa_root, monkeypatch):
    """The tiny root's 20 training samples in 6 shards of 3 or 4; a buffer that is much smaller."""
    monkeypatch.setattr(data.streaming, "SHUFFLE_BUFFER", 5)
    samples, cache = wcpa_root.samples("train"), tmp_path / "cache"
    cache.mkdir()
    with packing_labels(cache, "train", 99, labelled=True) as pack:
        for sample in samples:
            pack(wcpa_root.read_arrays(sample, 99, labelled=True))
    with packing_images(cache, "train", HEADER) as (_, pack):
        for image in pack_images(wcpa_root, HEADER, samples, 0):
            pack(image)
    labels = PackedLabels(cache, "train", len(samples), 99, labelled=True)
    write_shards(tmp_path / "shards", PackedImages(cache, "train", samples, "digest", 32), labels, 6)
    return tmp_path / "shards"


def streamed(shards, root, digest="digest", augmentation=AUGMENTATION, epoch=0, rank=0, num_ranks=1):
    look = root.topology(), *LOOK
    dataset = StreamedDataset(str(shards), root.samples("train"), digest, *look, augmentation, 0)
    dataset.epoch, dataset.rank, dataset.num_ranks = epoch, rank, num_ranks
    return dataset


def indices(dataset, batch_size=1, skip=0):
    return [[sample.index for sample in batch] for batch in dataset.batches(batch_size, skip)]


def test_items_are_those_of_the_files(shards, wcpa_root):
    files = WcpaDataset(wcpa_root, wcpa_root.samples("train"), wcpa_root.topology(), *LOOK, True, AUGMENTATION)
    dataset = streamed(shards, wcpa_root, epoch=3)
    files.epoch = 3
    for samples in dataset.batches(4):
        batch = dataset.read_batch(samples)
        wanted = files.read_batch(batch["index"].tolist())
        assert batch.keys() == wanted.keys()
        assert all(torch.equal(batch[name], tensor) for name, tensor in wanted.items())


def test_every_sample_once_an_epoch_in_another_order(shards, wcpa_root):
    first, again, second = (np.ravel(indices(streamed(shards, wcpa_root, epoch=epoch))) for epoch in (0, 0, 1))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first.tolist() == again.tolist() != second.tolist()


def test_going_on_in_the_middle_gives_the_same_batches(shards, wcpa_root):
    whole = indices(streamed(shards, wcpa_root), batch_size=3)
    assert len(whole) == streamed(shards, wcpa_root).num_batches(3) == 6
    for skip in (1, 5, 6):
        assert indices(streamed(shards, wcpa_root), 3, skip) == whole[skip:]


def test_processes_share_the_shards(shards, wcpa_root):
    for epoch in range(3):
        ranks = [streamed(shards, wcpa_root, epoch=epoch, rank=rank, num_ranks=3) for rank in range(3)]
        assert {dataset.num_batches(6) for dataset in ranks} == {3}
        shares = [np.ravel(indices(dataset, batch_size=6)).tolist() for dataset in ranks]
        assert [len(share) for share in shares] == [6, 6, 6]
        assert len(set(np.ravel(shares))) == 18  # the other two are short of a batch for everyone
    with pytest.raises(InputError, match="wanted a shard for each of 7 processes, got 6"):
        streamed(shards, wcpa_root, num_ranks=7).num_batches(7)
    with pytest.raises(InputError, match="--batch_size: wanted at most 6 images a process, got 21"):
        ranks[0].num_batches(21)


def test_what_does_not_fit_is_refused(shards, wcpa_root):
    with pytest.raises(InputError, match=r"shards\.json was packed from other train images"):
        streamed(shards, wcpa_root, digest="other")
    with pytest.raises(InputError, match=r"--box_jitter 0\.2 wants a margin of 0\.3, .* --pack_margin 0\.3 --shards 6"):
        streamed(shards, wcpa_root, augmentation={"box": 0.2})
    with pytest.raises(InputError, match=r"cannot read .*nowhere/shards\.json .*; run step01_preparation\.py --pack"):
        streamed(shards / "nowhere", wcpa_root)


@pytest.mark.parametrize("keep", [0, 300, 0.5, 0.9])
def test_a_shard_that_is_cut_is_told(shards, wcpa_root, keep):
    path = shards / shard_name(2)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else keep])
    with pytest.raises(InputError, match=rf"shard .*{path.name}: "):
        indices(streamed(shards, wcpa_root))


def test_a_shard_that_is_damaged_or_missing_is_told(shards, wcpa_root):
    path = shards / shard_name(2)
    whole = bytearray(path.read_bytes())
    whole[whole.find(b"\xff\xd8\xff") + 400] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match=rf"shard .*{path.name}: cannot read sample 1 .*is not as it was written"):
        indices(streamed(shards, wcpa_root))
    path.unlink()
    with pytest.raises(InputError, match=rf"shard .*{path.name}: cannot read sample 1 of"):
        indices(streamed(shards, wcpa_root))


def test_shards_are_the_same_bytes_again(shards, wcpa_root, tmp_path):
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    samples = wcpa_root.samples("train")
    labels = PackedLabels(tmp_path / "cache", "train", 20, 99, labelled=True)
    images = PackedImages(tmp_path / "cache", "train", samples, "digest", 32)
    write_shards(shards, images, labels, 6)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb")) for path in shards.glob("*.tar")]
        shown = tariterators.tar_file_expander({"url": file.name, "stream": file} for file in files)
        keys = [sample["__key__"] for sample in tariterators.group_by_keys(shown)]
    assert sorted(map(int, keys)) == list(range(20))
    with pytest.raises(InputError, match="--shards: wanted at most the 20 training images, got 21"):
        write_shards(shards, images, labels, 21)
