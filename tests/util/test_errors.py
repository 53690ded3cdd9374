"""How a step ends when something is wrong."""

import pytest

from util.errors import InputError, run_step


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("--lr: wanted more than 0, got -1"), "error: --lr: wanted more than 0, got -1"),
        (FileNotFoundError("video a.mp4: no such file"), "error: video a.mp4: no such file"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "error: a.csv: No such file or directory"),
        (OSError(28, "No space left on device"), "error: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_mistakes_and_ctrl_c_end_in_one_line(error, message):
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        run_step(main)
    assert end.value.code == message


def test_our_own_mistakes_keep_their_traceback():
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_step(main)
