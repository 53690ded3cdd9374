"""Which runs are one method's, and what is said where a fold is missing."""

from pathlib import Path

import pytest

from models.folds import group_folds
from models.loading import TrainedRun
from tests.models.tiny import STATISTICS, TOPOLOGY
from util.camera import WCPA_PROJECTION


def run(name, fold, **options):
    whole = {"name": name, "memo": name, "model": "direct", "lr": 0.1, **options}
    return TrainedRun(Path(name) / "best.pt", whole, TOPOLOGY, STATISTICS, WCPA_PROJECTION, (96, 96), "", {}, fold)


def names(methods):
    return [[member.name for member in members] for members in methods]


def test_runs_that_differ_in_name_and_place_alone_are_one_method():
    a = [run(f"a{fold}", fold, cache_dir=f"cache_{fold}") for fold in (3, 0, 4, 1, 2)]
    b = [run(f"b{fold}", fold, lr=0.2) for fold in range(5)]
    mixed = [member for pair in zip(a, b, strict=True) for member in pair]
    wanted = [[f"a{fold}" for fold in range(5)], [f"b{fold}" for fold in range(5)]]
    assert names(group_folds(mixed, {"memo", "cache_dir"})) == wanted


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([run("a", fold) for fold in (0, 1, 2, 4)], r"got no fold 3 in a, a, a, a; a missing fold K is trained by"),
        ([*(run(f"a{fold}", fold) for fold in range(5)), run("x", 2)], r"got fold 2 by a2 and x in a0"),
        ([run("a", 0), run("b", 0)], r"fold 0 by a and b, no fold 1, no fold 2, no fold 3, no fold 4"),
        ([run(f"a{fold}", fold, lr=0.1 * fold) for fold in range(5)], r"got no fold 1, .* in a0; .*--config a0/opt"),
        ([run("a", None)], r"checkpoint a/best.pt: of a version that did not note the fold .*train it again"),
    ],
)
def test_missing_and_double_folds_are_told(runs, message):
    with pytest.raises(ValueError, match=message):
        group_folds(runs, {"memo"})
