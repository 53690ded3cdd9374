"""What tests of portraits share."""

import numpy as np
import pytest

from data.synthetic.portraits.head import Head, make_head
from tests.portraits import FACEKIT
from util.ict_files import read_ict


@pytest.fixture(scope="session")
def head() -> Head:
    """The scan-based head, a little moved; skips the test where it is not at hand."""
    if not FACEKIT.is_dir():
        pytest.skip(f"no {FACEKIT}")
    return make_head(read_ict(FACEKIT), np.eye(3), np.array([0.0, 0.0, -0.03]))
