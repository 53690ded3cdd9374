import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from data.cache import Chosen, split_digest, split_subjects
from data.check import Expected, StatisticsAccumulator, check_sample, check_samples, usual_image_size
from data.wcpa import SampleId, WcpaRoot
from util.landmarks import LANDMARK_PRECISION, landmark_numbers
from util.pose import pose_to_6dof

EXPECTED = Expected(num_vertices=99, image_size=(96, 96), labelled=True)


@pytest.mark.parametrize("count", [5, 7, 10, 33, 200])
def test_split_is_that_of_scikit_learn(count):
    names = [f"{number:03d}" for number in np.random.default_rng(0).permutation(count)]
    samples = [SampleId(name, action, "1") for action in ("a", "b") for name in names]
    folds = KFold(5, shuffle=True, random_state=0).split(names)
    for fold, (train_index, val_index) in enumerate(folds):
        train, val = split_subjects(samples, fold)
        assert {s.subject for s in train} == {names[i] for i in train_index}
        assert {s.subject for s in val} == {names[i] for i in val_index}
        assert len(train) + len(val) == 2 * count
        assert [s for s in samples if s in set(train)] == train  # the order of the list stays


def test_too_few_subjects_are_told():
    with pytest.raises(ValueError, match="at least 5 subjects for 5 folds, got 4"):
        split_subjects([SampleId(str(i), "a", "1") for i in range(4)], 0)


def test_digests_tell_splits_apart():
    a, b, c = (SampleId(name, "a", "1") for name in "abc")
    digests = [split_digest(*lists) for lists in (([a, b], [c]), ([a], [b, c]), ([b, a], [c]), ([a, b], [c]))]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_chosen_items_are_in_their_own_order():
    chosen = Chosen(["zero", "one", "two", "three"], [3, 1])
    assert [chosen[0], chosen[1], len(chosen)] == ["three", "one", 2]


def test_check_finds_what_is_wrong(data_root):
    root = WcpaRoot(data_root)
    samples = root.samples("train")
    root.image_path(samples[0]).unlink()
    root.landmarks_path(samples[1]).write_text("5 5\n" * 68)
    root.landmarks_path(samples[2]).write_text("".join(f"{-i - 5} {i}\n" for i in range(68)))
    root.image_path(samples[3]).write_bytes(b"")
    findings = list(check_samples(root, samples, EXPECTED, num_workers=2))
    assert [finding.sample for finding in findings] == samples
    reasons = [finding.reason for finding in findings]
    for reason, message in zip(reasons, ("No such file", "one line", "outside", "cannot decode"), strict=False):
        assert message in reason
    assert not any(reasons[4:])


def test_another_image_size_is_bad(wcpa_root):
    other = Expected(num_vertices=99, image_size=(800, 800), labelled=False)
    reason = check_sample(wcpa_root, other, wcpa_root.samples("test")[0]).reason
    assert "wanted 800x800 like the others, got 96x96" in reason
    assert usual_image_size(wcpa_root, wcpa_root.samples("train")) == (96, 96)


def test_statistics_are_those_of_numpy(wcpa_root):
    samples = wcpa_root.samples("train")
    accumulator = StatisticsAccumulator(len(samples))
    for finding in check_samples(wcpa_root, samples, EXPECTED, num_workers=0):
        accumulator.add(finding)
    labels = [wcpa_root.read_label(sample, 99) for sample in samples]
    sixes = pose_to_6dof(np.array([R_t for _, R_t in labels]))
    result = accumulator.result()
    np.testing.assert_allclose(result.six_mean, sixes.mean(axis=0), rtol=1e-5)  # float32
    np.testing.assert_allclose(result.six_std, sixes.std(axis=0), rtol=1e-5)
    verts = np.array([verts for verts, _ in labels], dtype=np.float64)
    np.testing.assert_allclose(result.verts_mean, verts.mean(axis=0), atol=1e-7)
    points = np.array([wcpa_root.read_landmarks(sample) for sample in samples], dtype=np.float64)
    numbers = landmark_numbers(torch.from_numpy(points * 2 / 96 - 1)).numpy()
    np.testing.assert_allclose(result.landmark_mean, numbers.mean(axis=0), atol=1e-6)  # float32
    covariance = np.cov(numbers.T, bias=True) + LANDMARK_PRECISION**2 * np.eye(139)
    whitened = result.landmark_whitening.T @ covariance @ result.landmark_whitening
    np.testing.assert_allclose(whitened, np.eye(139), atol=1e-3)  # float32, blown up a hundredfold
    # all that varies is in the components: their squares add up to the variances
    np.testing.assert_allclose((result.verts_basis**2).sum(axis=0), verts.var(axis=0), atol=1e-9)


def test_poses_that_do_not_vary_are_told(wcpa_root):
    accumulator = StatisticsAccumulator(1)
    accumulator.add(check_sample(wcpa_root, EXPECTED, wcpa_root.samples("train")[0]))
    with pytest.raises(ValueError, match="wanted poses that vary"):
        accumulator.result()
