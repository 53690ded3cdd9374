"""Whole data sets, predicted and scored: whichever order they come in, results are in that of the data set."""

import numpy as np
import pytest
import torch

from data.wcpa_dataset import WcpaDataset
from models.base_model import BaseModel
from models.known import KnownPredictions
from util.evaluation import evaluation_of, score_share
from util.evidence import ShapeEvidence
from util.face_space import FaceSpace
from util.loader import in_order
from util.predictions import Predictions, predict_all

CPU = torch.device("cpu")


class Shuffled(WcpaDataset):
    """A data set that is looked at in another order than its own."""

    def in_order(self, batch_size):
        return in_order(np.random.default_rng(0).permutation(len(self)).tolist(), batch_size)


class Counting(BaseModel):
    """Is off by a centimetre times the item's index, and trusts itself the more the larger that is."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def forward(self, batch):
        return {"index": batch["index"]}

    def losses(self, outputs, batch):
        return {"index": outputs["index"].float().mean()}

    def reconstruct(self, outputs, batch):
        return batch["verts"] + 0.01 * outputs["index"][:, None, None], batch["R_t"]

    def confidence(self, outputs, batch):
        return 1.0 + outputs["index"]


class Telling(Counting):
    """Has evidence: all numbers of an item are its index, but of float64."""

    space = FaceSpace(*(torch.arange(4.0) for _ in FaceSpace._fields))

    def shape_evidence(self, outputs, batch):
        index = outputs["index"].double()
        parts = index[:, None, None].expand(-1, 4, 4), *[index[:, None].expand(-1, 4)] * 2
        return ShapeEvidence(*parts, index, index[:, None].expand(-1, 4))


def make(root, dataset_class=WcpaDataset):
    return dataset_class(root, root.samples("train"), root.topology(), (), 32, labelled=True)


@pytest.mark.parametrize("dataset_class", [WcpaDataset, Shuffled])
def test_predictions_are_in_the_order_of_the_data_set(wcpa_root, dataset_class):
    dataset = make(wcpa_root, dataset_class)
    found = predict_all(Counting(), dataset, CPU, 3, 0)
    for index in range(len(dataset)):
        label = dataset.label(index)
        np.testing.assert_array_equal(found.verts[index], label["verts"] + np.float32(0.01) * np.float32(index))
        np.testing.assert_array_equal(found.R_t[index], label["R_t"])
    np.testing.assert_array_equal(found.confidence, 1 + np.arange(len(dataset)))
    assert found.evidence is None
    assert {array.dtype for array in (found.verts, found.R_t, found.confidence)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dataset_class", [WcpaDataset, Shuffled])
def test_evidence_is_in_the_order_of_the_data_set(wcpa_root, dataset_class):
    dataset = make(wcpa_root, dataset_class)
    assert predict_all(Telling(), dataset, CPU, 3, 0).evidence is None  # nobody asked
    found = predict_all(Telling(), dataset, CPU, 3, 0, with_evidence=True)
    assert all(map(torch.equal, found.space, Telling.space))
    count = len(dataset)
    for array, shape in zip(found.evidence, ((4, 4), (4,), (4,), (), (4,)), strict=True):
        wanted = np.arange(count, dtype=np.float32).reshape(count, *[1] * len(shape))
        np.testing.assert_array_equal(array, np.broadcast_to(wanted, (count, *shape)), strict=True)
    np.testing.assert_array_equal(found.confidence, 1 + np.arange(count))


@pytest.mark.parametrize("dataset_class", [WcpaDataset, Shuffled])
def test_figures_are_in_the_order_of_the_data_set(wcpa_root, dataset_class):
    dataset, topology = make(wcpa_root, dataset_class), wcpa_root.topology()
    world = topology.keypoints, wcpa_root.projection(), (96, 96)
    evaluation = evaluation_of(score_share(Counting(), dataset, CPU, 3, 0, *world))
    # all vertices are off by 10 mm * index along all three axes; to float32 of 0.3 m
    wanted = 10 * np.sqrt(3) * np.arange(len(dataset))
    np.testing.assert_allclose(evaluation.metrics["vertex_error_mm"], wanted, atol=1e-4)
    np.testing.assert_allclose(evaluation.vertex_errors, wanted.mean(), rtol=1e-6)
    assert evaluation.losses["index"] == pytest.approx((len(dataset) - 1) / 2)


def test_known_predictions_stand_where_a_model_stands(wcpa_root):
    dataset = make(wcpa_root, Shuffled)
    random = np.random.default_rng(0)
    shapes = (99, 3), (4, 4), ()
    told = Predictions(*(random.normal(0, 1, (len(dataset), *shape)).astype(np.float32) for shape in shapes))
    model = KnownPredictions(told)
    batch = dataset.read_batch([4, 0])
    assert model.losses(model(batch), batch) == {}
    for found, wanted in zip(model.reconstruct(model(batch), batch), (told.verts, told.R_t), strict=True):
        np.testing.assert_array_equal(found, wanted[[4, 0]])


def test_no_image_is_read_where_nobody_looks(data_root, wcpa_root):
    from data.wcpa import WcpaRoot

    root = WcpaRoot(data_root)
    dataset = WcpaDataset(root, root.samples("train"), root.topology(), ("whole",), 32, labelled=True)
    for path in data_root.glob("image/*/*/*.jpg"):
        path.unlink()
    without = dataset.without_windows()
    assert without[3].keys() == {"index", "landmarks68", "verts", "R_t"}
    assert dataset.windows == ("whole",)
    with pytest.raises(FileNotFoundError):
        dataset[3]
