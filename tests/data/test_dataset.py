import numpy as np
import pytest
import torch

from data import DATASETS, get_dataset_class
from data.augment import PIXEL_CHANGES
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset, epoch_batches

AUGMENTATION = {"mirror": 0.5, "light": 0.5, "box": 0.1, "scale": 0.1, "rotation": 20.0, "landmarks": 0.01}
AUGMENTATION |= {"shuffle": 0.5, **dict.fromkeys(PIXEL_CHANGES, 0.5)}


def make(root, labelled=True, augmentation=None, seed=0, split="train"):
    windows = ("local", "global", "whole")
    return WcpaDataset(root, root.samples(split), root.topology(), windows, 32, labelled, augmentation, seed)


def test_items_keep_the_contract(wcpa_root):
    item = make(wcpa_root)[3]
    for window in ("local", "global", "whole"):
        assert (item[window].shape, item[window].dtype) == ((3, 32, 32), torch.uint8)
        assert (item[f"{window}_affine"].shape, item[f"{window}_affine"].dtype) == ((2, 3), torch.float32)
    assert (item["landmarks68"].shape, item["landmarks68"].dtype) == ((68, 2), torch.float32)
    assert (item["verts"].shape, item["R_t"].shape) == ((99, 3), (4, 4))
    assert item["index"].item() == 3
    assert not {"verts", "R_t"} & make(wcpa_root, labelled=False, split="test")[0].keys()


def test_augmentation_depends_on_seed_epoch_and_index_alone(wcpa_root):
    def local(seed, epoch):
        dataset = make(wcpa_root, augmentation=AUGMENTATION, seed=seed)
        dataset.epoch = epoch
        return torch.stack([dataset[i]["local"] for i in range(8)])

    assert torch.equal(local(0, 0), local(0, 0))
    assert not torch.equal(local(0, 0), local(0, 1))
    assert not torch.equal(local(0, 0), local(1, 0))


def test_workers_change_nothing(wcpa_root):
    from torch.utils.data import DataLoader

    dataset = make(wcpa_root, augmentation=AUGMENTATION)
    here, there = (list(DataLoader(dataset, 5, num_workers=workers)) for workers in (0, 2))
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_broken_sample_is_an_error_not_another_sample(data_root):
    root = WcpaRoot(data_root)
    dataset = make(root)
    root.label_path(dataset.samples[2]).unlink()
    with pytest.raises(FileNotFoundError):
        dataset[2]


def test_unknown_names_are_told_with_the_known_ones(wcpa_root):
    with pytest.raises(ValueError, match="unknown face; known are aligned, local, global, square, five_points, whole"):
        WcpaDataset(wcpa_root, [], wcpa_root.topology(), ["face"], 32, True)
    with pytest.raises(ValueError, match=f"known are {', '.join(sorted(DATASETS))}"):
        get_dataset_class("imagenet")


def test_batches_of_an_epoch():
    batches = epoch_batches(11, 3, seed=1, epoch=2)
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len(set(np.concatenate(batches).tolist())) == 9
    assert batches == epoch_batches(11, 3, seed=1, epoch=2)
    assert batches != epoch_batches(11, 3, seed=1, epoch=3)
    with pytest.raises(ValueError, match="--batch_size: wanted at most the 2 training images, got 3"):
        epoch_batches(2, 3, 0, 0)
