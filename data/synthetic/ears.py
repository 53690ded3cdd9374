"""The ears of the mean head: a curved plate that is grown out of the ear's patch of the chart.

Left ear; the right one is its mirror image. From the patch's rim inwards the patch is: skin of the head up to the
ear's root, the back of the ear, the edge of the helix, and the front of the ear down to the bottom of the concha.
"""

import numpy as np
from scipy.interpolate import CubicSpline

from data.synthetic import chart
from data.synthetic.sculpture import HEAD_CENTRE, cast_rays, smooth_max

# Bounds of the zones in the patch's radius
_ROOT_RADIUS, _EDGE_RADIUS = 0.77, 0.68
# The plate: how far it is turned out and leaned back (radians)
_ROOT = np.array([[0.0700, 0.0040, -0.0235]])  # the front edge meets the head below or above this point
_FLARE, _LEAN = 0.40, 0.12
_CLEARANCE = 0.0006  # metres that the front of the ear at least stands off the head
_CONCHA = np.array([11.0, -3.0])  # middle of the concha in the plate, millimetres backwards and upwards
# Outline in the plate: angle in the patch (degrees, 0 forwards, 90 up), millimetres backwards and upwards
_OUTLINE = (
    (-180, 32.0, 4.0),
    (-152, 28.5, -9.0),
    (-125, 22.5, -19.5),
    (-104, 16.5, -27.5),
    (-80, 9.0, -30.0),
    (-55, 2.0, -24.0),
    (-25, 0.0, -12.0),
    (0, -0.5, -2.0),
    (25, 0.0, 7.0),
    (50, 2.0, 18.0),
    (72, 8.0, 27.5),
    (95, 17.5, 31.0),
    (122, 26.5, 26.0),
    (150, 31.3, 16.0),
    (180, 32.0, 4.0),
)


def _bump(value: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((value - middle) / width) ** 2)


def _span(turn: np.ndarray, start: float, end: float, soft: float = 18.0) -> np.ndarray:
    """1 where an angle (degrees) lies between two, going down over `soft` degrees outside."""
    middle, half = (start + end) / 2, (end - start) / 2
    away = np.abs((turn - middle + 180.0) % 360.0 - 180.0)
    return 1.0 / (1.0 + np.exp((away - half) / (soft / 4)))


def _relief(reach: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Height (N,) millimetres of the front over the plate; reach 0 concha .. 1 edge, turn in degrees."""
    back = _span(turn, 75, 250, 40)
    lobe = _span(turn, -115, -70, 30)
    helix = _span(turn, 30, 245, 40)
    height = 2.2 * _bump(reach, 0.93, 0.055) * helix
    height -= 1.8 * _bump(reach, 0.79, 0.07) * _span(turn, 70, 235, 40)
    height += 2.6 * _bump(reach, 0.62, 0.09) * back
    height += 2.0 * _bump(reach, 0.66, 0.10) * _span(turn, 262, 290, 25)  # antitragus
    height += 2.6 * _bump(reach, 0.80, 0.14) * _span(turn, -28, 10, 25)  # tragus
    height -= 6.5 * np.exp(-((reach / 0.46) ** 4))
    height += 1.5 * _bump(reach, 0.75, 0.16) * lobe
    height += 1.0 * _bump(reach, 0.52, 0.12) * _span(turn, 15, 50, 40)  # crus of the helix
    return height


def ear_points(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(N, 3) metres: the left ear's skin at polar coordinates (N,) of its patch; angle in radians."""
    turn = np.degrees(angle)
    knots = np.array(_OUTLINE, dtype=float)
    outline = CubicSpline(knots[:, 0], knots[:, 1:], bc_type="periodic")(turn)
    backwards = np.array([np.sin(_FLARE), 0.0, -np.cos(_FLARE)])
    upwards = np.array([-0.04, np.cos(_LEAN), -np.sin(_LEAN)])
    outwards = np.cross(upwards, backwards)
    outwards *= np.sign(outwards[0]) / np.linalg.norm(outwards)

    def on_head(points: np.ndarray) -> np.ndarray:
        return cast_rays(*chart.rays(chart.directions_of(points)), steps=30)

    origin = on_head(_ROOT)[0]

    def plate(flat: np.ndarray, height: np.ndarray) -> np.ndarray:
        flat, height = flat / 1000, height[:, None] / 1000
        return origin + flat[:, :1] * backwards + flat[:, 1:] * upwards + height * outwards

    def settle(points: np.ndarray, attached: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Draws points (N, 3) onto the head as far as they are attached, and lifts what lies under its skin."""
        head = on_head(points)
        points = points + attached[:, None] * (head - points)
        away, skin = points - HEAD_CENTRE, np.linalg.norm(head - HEAD_CENTRE, axis=1)
        size = np.linalg.norm(away, axis=1)
        wanted = smooth_max(size, skin + _CLEARANCE + 0.7e-3 * np.maximum(height, 0.0), 0.003)
        return HEAD_CENTRE + away * (wanted / size)[:, None]

    reach = np.clip(radius / _EDGE_RADIUS, 0.0, 1.0)
    rooted = _span(turn, -64, 16, 44)
    relief = _relief(reach, turn)
    attached = rooted * np.clip((reach - 0.62) / 0.38, 0.0, 1.0) ** 1.5
    front = settle(plate(_CONCHA + reach[:, None] * (outline - _CONCHA), relief), attached, relief)
    front += (2.4e-3 * _bump(reach, 0.80, 0.13) * _span(turn, -30, 8, 25) * attached)[:, None] * outwards

    relief = _relief(np.ones_like(reach), turn)
    edge = settle(plate(outline, relief), rooted, relief)
    edge_attached = rooted[:, None]
    hub = np.array([4.0, -1.0])
    root = on_head(plate(hub + 0.74 * (outline - hub), np.zeros_like(reach)))
    root += edge_attached * (on_head(edge) - root)
    under = plate(hub + 0.88 * (outline - hub), np.full_like(reach, -5.5))
    under += edge_attached * ((edge + root) / 2 - under)
    step = np.clip((radius - _EDGE_RADIUS) / (_ROOT_RADIUS - _EDGE_RADIUS), 0.0, 1.0)[:, None]
    behind = (1 - step) ** 2 * edge + 2 * step * (1 - step) * under + step**2 * root

    rim = chart.ear_directions(np.ones_like(radius), angle)
    step = np.clip((radius - _ROOT_RADIUS) / (1.0 - _ROOT_RADIUS), 0.0, 1.0)[:, None]
    skin = (1 - step) * chart.directions_of(root) + step * rim
    skin = cast_rays(*chart.rays(skin / np.linalg.norm(skin, axis=1, keepdims=True)), steps=30)
    zone = radius[:, None]
    return np.where(zone < _EDGE_RADIUS, front, np.where(zone < _ROOT_RADIUS, behind, skin))
