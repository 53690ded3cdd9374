"""Reading back what a run wrote down."""

import pytest

from util.errors import InputError
from util.run_log import RunLog, read_metrics


def test_metrics_come_back(tmp_path):
    assert read_metrics(tmp_path) == []
    with RunLog(tmp_path) as log:
        log.metrics({"epoch": 0, "val/score": 3.5}, 0)
        log.metrics({"epoch": 1, "val/score": float("inf")}, 1)
    lines = [{"step": 0, "epoch": 0, "val/score": 3.5}, {"step": 1, "epoch": 1, "val/score": float("inf")}]
    assert read_metrics(tmp_path) == lines
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "ep')
    assert read_metrics(tmp_path) == lines


@pytest.mark.parametrize("line", ["nonsense", "[1, 2]", "3"])
def test_other_lines_are_told(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n' + line + "\n")
    with pytest.raises(InputError, match=r"metrics.jsonl, line 2: wanted a JSON object, got b'"):
        read_metrics(tmp_path)
