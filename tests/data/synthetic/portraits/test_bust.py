"""The body under the clothes."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.synthetic.portraits.bust import make_bust
from data.synthetic.portraits.head import make_head
from util.ict_files import read_ict

COMPACT = Path(__file__).parents[5] / "shared" / "ict_facekit" / "ict_facekit_compact.npz"


@pytest.mark.skipif(not COMPACT.is_file(), reason=f"no {COMPACT}")
def test_every_place_has_a_normal():
    """Also above the skin's end at the back of a head that is tilted, as in other topologies' frames."""
    tilt = Rotation.from_euler("x", -12, degrees=True).as_matrix()
    table = make_bust(make_head(read_ict(COMPACT), tilt, np.array([0.0, 0.0, -0.03]))).table
    assert (np.ptp(table[:12, 0, :3], axis=0) == 0).all()  # the surface has ended there: what is to be tested
    # float32
    np.testing.assert_allclose(np.linalg.norm(table[..., 3:], axis=2), 1.0, atol=1e-6)
