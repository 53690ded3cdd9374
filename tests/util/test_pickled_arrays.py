"""Pickles hold arrays or are refused."""

import os
import pickle

import numpy as np
import pytest

from util.errors import InputError
from util.pickled_arrays import read_pickle

CONTENT = {
    "mean": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar": np.float64(0.5),
    "names": ["a", ("b", 1)],
}


class Call:
    """Pickled as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back_from_every_protocol(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    got = read_pickle(path)
    assert got.keys() == CONTENT.keys()
    for name in ("mean", "columns", "scalar"):
        np.testing.assert_array_equal(got[name], CONTENT[name])
        assert got[name].dtype == CONTENT[name].dtype
    assert got["names"] == CONTENT["names"]


def test_names_of_numpy_1_and_text_of_python_2(tmp_path):
    """As Python 2 wrote it with NumPy 1: protocol 0, text that is bytes, other module names."""
    numbers = np.array([1.5, -2.5], "<f4")
    text = "".join(f"\\x{byte:02x}" for byte in numbers.tobytes())
    (tmp_path / "a.pkl").write_text(
        "(dp0\nS'mean'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
        "(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f4'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\n"
        f"bI00\nS'{text}'\np15\ntp16\nbs."
    )
    got = read_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(got["mean"], numbers)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"), [(os.mkdir, "mkdir"), (eval, "eval"), (np.load, "load"), (getattr, "getattr")]
)
def test_calls_are_refused_and_not_made(tmp_path, function, name, protocol):
    made = tmp_path / "made"
    arguments = {"mkdir": [str(made)], "eval": [f"__import__('os').mkdir({str(made)!r})"]}.get(name, [str(made), "x"])
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"mean": np.zeros(3), "then": Call(function, *arguments)}, protocol=protocol))
    with pytest.raises(InputError, match=rf"a\.pkl: wanted a pickle of NumPy arrays, got one that calls .*{name}"):
        read_pickle(path)
    assert not made.exists()
    pickle.loads(path.read_bytes()) if name in ("mkdir", "eval") else None
    assert made.exists() == (name in ("mkdir", "eval"))  # it would have


def test_bytes_in_another_codec_are_refused(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVutf-16\ntR.")
    with pytest.raises(InputError, match="got one with bytes in utf-16"):
        read_pickle(path)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(CONTENT)[:-40]])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pkl: cannot read it"):
        read_pickle(tmp_path / "a.pkl")
    with pytest.raises(FileNotFoundError):
        read_pickle(tmp_path / "b.pkl")
