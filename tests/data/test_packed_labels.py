"""What step01 packs is what the data root says, and what does not fit is told."""

import numpy as np
import pytest

from data.packed_labels import PackedLabels, label_path, packing_labels
from data.wcpa_dataset import WcpaDataset
from util.errors import InputError


def pack(directory, root, split="train", labelled=True, broken=None):
    samples = root.samples(split)
    with packing_labels(directory, split, 99, labelled) as pack_sample:
        for number, sample in enumerate(samples):
            if number == broken:
                raise KeyboardInterrupt
            pack_sample(vars(root.read(sample, 99, labelled)))
    return samples


def test_comes_back_to_the_bit(tmp_path, wcpa_root):
    samples = pack(tmp_path, wcpa_root)
    labels = PackedLabels(tmp_path, "train", len(samples), 99, labelled=True)
    for index, sample in enumerate(samples):
        verts, R_t = wcpa_root.read_label(sample, 99)
        got = labels[index]
        np.testing.assert_array_equal(got["verts"], verts)
        np.testing.assert_array_equal(got["R_t"], R_t)
        np.testing.assert_array_equal(got["landmarks"], wcpa_root.read_landmarks(sample))
        assert all(array.dtype == np.float32 and array.flags.writeable for array in got.values())


def test_items_are_the_same_with_packed_labels(tmp_path, wcpa_root):
    samples = pack(tmp_path, wcpa_root)
    labels = PackedLabels(tmp_path, "train", len(samples), 99, labelled=True)
    settings = (wcpa_root, samples, wcpa_root.topology(), ("local", "global"), 32, True, {"mirror": 0.5, "box": 0.1})
    packed, plain = WcpaDataset(*settings, labels=labels), WcpaDataset(*settings)
    for index in range(len(samples)):
        ours, wanted = packed[index], plain[index]
        assert ours.keys() == wanted.keys()
        assert all(ours[name].equal(tensor) for name, tensor in wanted.items())


def test_an_item_that_is_changed_leaves_the_file_alone(tmp_path, wcpa_root):
    count = len(pack(tmp_path, wcpa_root))
    labels = PackedLabels(tmp_path, "train", count, 99, labelled=True)
    labels[0]["landmarks"][:] = 0
    assert labels[0]["landmarks"].any()


def test_a_test_split_has_landmarks_alone(tmp_path, wcpa_root):
    count = len(pack(tmp_path, wcpa_root, "test", labelled=False))
    assert PackedLabels(tmp_path, "test", count, 99, labelled=False)[0].keys() == {"landmarks"}
    assert not label_path(tmp_path, "test", "verts").exists()


@pytest.mark.parametrize(("count", "vertices"), [(19, 99), (21, 99), (20, 98)])
def test_another_number_of_samples_or_vertices_is_told(tmp_path, wcpa_root, count, vertices):
    assert len(pack(tmp_path, wcpa_root)) == 20
    with pytest.raises(InputError, match=rf"wanted \d+ bytes for {count} samples, got \d+; run step01 again"):
        PackedLabels(tmp_path, "train", count, vertices, labelled=True)


def test_an_error_leaves_the_files_as_they_were(tmp_path, wcpa_root):
    pack(tmp_path, wcpa_root)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        pack(tmp_path, wcpa_root, broken=3)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
