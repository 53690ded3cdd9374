"""The mean head as a sculpture: smoothly joined primitives, given as a signed distance to the skin.

Metres; origin inside the head, +x the face's left, +y up, +z out of the face. Every number below is a place or a
size on an average adult head, put down by eye and by textbook proportions. The sculpture is symmetric: it is
evaluated at |x|, and paired primitives are given on the left side (+x) only.
"""

from itertools import pairwise

import numpy as np

# The rays of the chart leave from here; the head without its ears is star-shaped about it.
HEAD_CENTRE = np.array([0.0, 0.0, -0.035])
# Eyeball of the left eye: centre and radius; the lids lie LID_THICKNESS outside it.
EYE_CENTRE = np.array([0.0315, 0.0210, 0.0310])
EYE_RADIUS = 0.0130
LID_THICKNESS = 0.0014

# Neck and features are worked out only where they can reach: below a height, and before a depth within a band
_NECK_TOP, _FEATURES_BACK, _FEATURES_HEIGHT, _FEATURES_REACH = 0.035, 0.005, -0.005, 0.085
_CAST_ERROR = 1e-6  # metres at which a ray has arrived
_MIDLINE_ROUNDING = 0.0030  # |x| is rounded off within this distance of the midline, which leaves no crease there


def smooth_min(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The smaller of two distances, rounded where they differ by less than `width` metres."""
    overlap = np.maximum(width - np.abs(a - b), 0.0) / width
    return np.minimum(a, b) - overlap * overlap * (width / 4)


def smooth_max(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The larger of two distances, rounded where they differ by less than `width` metres."""
    return -smooth_min(-a, -b, width)


def ellipsoid(points: np.ndarray, centre, radii, pitch: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """Signed distance (first order) to an ellipsoid, turned by pitch about x, then yaw about y (radians)."""
    local = points - np.asarray(centre)
    if yaw:
        c, s = np.cos(yaw), np.sin(yaw)
        local = np.stack([c * local[:, 0] - s * local[:, 2], local[:, 1], s * local[:, 0] + c * local[:, 2]], 1)
    if pitch:
        c, s = np.cos(pitch), np.sin(pitch)
        local = np.stack([local[:, 0], c * local[:, 1] + s * local[:, 2], -s * local[:, 1] + c * local[:, 2]], 1)
    scaled = local / np.asarray(radii)
    size = np.sqrt(np.einsum("ij,ij->i", scaled, scaled)) + 1e-9
    scaled /= np.asarray(radii)
    return size * (size - 1.0) / (np.sqrt(np.einsum("ij,ij->i", scaled, scaled)) + 1e-9)


def capsule(points: np.ndarray, start, end, radius_start: float, radius_end: float) -> np.ndarray:
    """Signed distance (first order) to a capsule whose radius goes linearly from start to end."""
    start, axis = np.asarray(start), np.asarray(end) - np.asarray(start)
    local = points - start
    along = np.clip(local @ axis / (axis @ axis), 0.0, 1.0)
    gap = local - along[:, None] * axis
    return np.sqrt(np.einsum("ij,ij->i", gap, gap)) - (radius_start + (radius_end - radius_start) * along)


def tube(points: np.ndarray, path: np.ndarray, joint: float) -> np.ndarray:
    """Signed distance to a chain of capsules; path (P, 4) of x, y, z, radius; `joint` rounds where two meet."""
    distance = None
    for a, b in pairwise(path):
        piece = capsule(points, a[:3], b[:3], a[3], b[3])
        distance = piece if distance is None else smooth_min(distance, piece, joint)
    return distance


# Skull, jaw and flesh: (centre, radii, pitch, yaw, width of the join)
_MASSES = (
    # cranium: long and egg-shaped, widest behind the ears
    ((0.0, 0.047, -0.041), (0.0690, 0.0920, 0.0890), 0.0, 0.0, 0.0),
    ((0.0, 0.058, -0.060), (0.0720, 0.0660, 0.0620), 0.0, 0.0, 0.030),
    # forehead
    ((0.0, 0.056, 0.001), (0.0590, 0.060, 0.0540), -0.12, 0.0, 0.030),
    # upper jaw with the muzzle in front of it
    ((0.0, -0.020, 0.003), (0.0530, 0.056, 0.0475), 0.0, 0.0, 0.036),
    ((0.0, -0.036, 0.022), (0.0340, 0.030, 0.0355), 0.0, 0.0, 0.026),
    # cheekbone and its arch towards the ear
    ((0.0420, 0.0000, 0.0205), (0.0190, 0.0130, 0.0160), 0.0, 0.75, 0.028),
    # cheek
    ((0.0295, -0.0300, 0.0140), (0.0215, 0.0270, 0.0240), 0.0, 0.60, 0.028),
    # floor of the mouth
    ((0.0, -0.0650, 0.0030), (0.0300, 0.0190, 0.0350), 0.12, 0.0, 0.022),
)
_BONES = (
    # (start, end, radii, width of the join)
    ((0.0535, 0.006, -0.002), (0.0580, 0.004, -0.034), (0.0085, 0.0090), 0.030),  # zygomatic arch
    ((0.0450, -0.006, -0.027), (0.0310, -0.053, -0.015), (0.0145, 0.0115), 0.026),  # ramus of the jaw
    ((0.0310, -0.053, -0.015), (0.0215, -0.0675, 0.0100), (0.0115, 0.0112), 0.022),  # body of the jaw
    ((0.0240, -0.0675, 0.0100), (0.0110, -0.0750, 0.0285), (0.0115, 0.0110), 0.020),
    ((0.0110, -0.0750, 0.0285), (0.0, -0.0755, 0.0350), (0.0110, 0.0120), 0.018),  # chin
    ((0.0, -0.0720, 0.0390), (0.0, -0.0755, 0.0385), (0.0120, 0.0120), 0.014),
    ((0.0080, 0.0385, 0.0460), (0.0300, 0.0430, 0.0405), (0.0065, 0.0065), 0.018),  # brow ridge
    ((0.0300, 0.0430, 0.0405), (0.0470, 0.0355, 0.0260), (0.0065, 0.0060), 0.018),
)


def _head(points: np.ndarray) -> np.ndarray:
    distance = None
    for centre, radii, pitch, yaw, join in _MASSES:
        mass = ellipsoid(points, centre, radii, pitch, yaw)
        distance = mass if distance is None else smooth_min(distance, mass, join)
    for start, end, (radius_start, radius_end), join in _BONES:
        distance = smooth_min(distance, capsule(points, start, end, radius_start, radius_end), join)
    return distance


def _neck(points: np.ndarray) -> np.ndarray:
    distance = capsule(points, (0.0, -0.030, -0.050), (0.0, -0.230, -0.060), 0.0480, 0.0520)
    for start, end, radii, join in (
        ((0.050, -0.030, -0.060), (0.014, -0.168, -0.008), (0.0095, 0.0080), 0.018),  # sternomastoid
        ((0.020, -0.030, -0.084), (0.045, -0.225, -0.082), (0.0230, 0.0430), 0.035),  # trapezius
        ((0.0, -0.105, -0.012), (0.0, -0.155, -0.018), (0.0110, 0.0110), 0.014),  # larynx
    ):
        distance = smooth_min(distance, capsule(points, start, end, *radii), join)
    return distance


def _nose(points: np.ndarray, distance: np.ndarray) -> np.ndarray:
    # side walls, then bridge, ball of the tip, wings, columella; last the nostrils are taken out
    side = capsule(points, (0.0, 0.0240, 0.0370), (0.0040, -0.0090, 0.0475), 0.0085, 0.0115)
    distance = smooth_min(distance, side, 0.012)
    bridge = capsule(points, (0.0, 0.0300, 0.0440), (0.0, 0.0060, 0.0580), 0.0070, 0.0062)
    bridge = smooth_min(bridge, capsule(points, (0.0, 0.0060, 0.0580), (0.0, -0.0080, 0.0670), 0.0062, 0.0072), 0.010)
    distance = smooth_min(distance, bridge, 0.009)
    tip = ellipsoid(points, (0.0, -0.0110, 0.0690), (0.0082, 0.0074, 0.0084))
    distance = smooth_min(distance, tip, 0.009)
    shoulder = ellipsoid(points, (0.0065, -0.0105, 0.0605), (0.0060, 0.0075, 0.0090))
    distance = smooth_min(distance, shoulder, 0.007)
    wing = ellipsoid(points, (0.0112, -0.0140, 0.0565), (0.0058, 0.0068, 0.0105), 0.15, 0.35)
    distance = smooth_min(distance, wing, 0.0045)
    foot = capsule(points, (0.0126, -0.0155, 0.0560), (0.0088, -0.0205, 0.0550), 0.0042, 0.0030)
    distance = smooth_min(distance, foot, 0.0045)
    columella = capsule(points, (0.0, -0.0150, 0.0705), (0.0, -0.0175, 0.0575), 0.0034, 0.0040)
    distance = smooth_min(distance, columella, 0.005)
    nostril = ellipsoid(points, (0.0054, -0.0182, 0.0650), (0.0022, 0.0046, 0.0044), 0.15, -0.22)
    return smooth_max(distance, -nostril, 0.0025)


def _mouth(points: np.ndarray, distance: np.ndarray) -> np.ndarray:
    philtrum = capsule(points, (0.0, -0.0265, 0.0600), (0.0, -0.0345, 0.0635), 0.0022, 0.0030)
    distance = smooth_max(distance, -philtrum, 0.006)
    upper = tube(points, UPPER_LIP, 0.004)
    lower = tube(points, LOWER_LIP, 0.004)
    distance = smooth_min(distance, upper, 0.0060)
    distance = smooth_min(distance, lower, 0.0080)
    fold = capsule(points, (0.0, -0.0590, 0.0690), (0.0140, -0.0575, 0.0640), 0.0090, 0.0075)
    return smooth_max(distance, -fold, 0.014)


# Lip rolls from the midline to the corner: x, y, z, radius
UPPER_LIP = np.array(
    [
        (0.0, -0.0412, 0.0582, 0.0041),
        (0.0065, -0.0404, 0.0576, 0.0041),
        (0.0150, -0.0418, 0.0540, 0.0035),
        (0.0235, -0.0442, 0.0472, 0.0019),
    ]
)
LOWER_LIP = np.array(
    [
        (0.0, -0.0487, 0.0560, 0.0051),
        (0.0080, -0.0484, 0.0550, 0.0049),
        (0.0160, -0.0468, 0.0519, 0.0038),
        (0.0235, -0.0447, 0.0472, 0.0019),
    ]
)


def _eyes(points: np.ndarray, distance: np.ndarray) -> np.ndarray:
    # the socket is taken out, then the lids are laid over the eyeball
    socket = ellipsoid(points, (0.0310, 0.0225, 0.0530), (0.0180, 0.0100, 0.0135), 0.0, 0.35)
    distance = smooth_max(distance, -socket, 0.016)
    corner = ellipsoid(points, (0.0155, 0.0215, 0.0530), (0.0055, 0.0090, 0.0120))
    distance = smooth_max(distance, -corner, 0.010)
    lids = ellipsoid(points, EYE_CENTRE, np.full(3, EYE_RADIUS + LID_THICKNESS))
    return smooth_min(distance, lids, 0.0030)


def skin_distance(points: np.ndarray) -> np.ndarray:
    """(N,) metres from the skin of the mean head, ears apart, at points (N, 3); negative inside."""
    points = np.array(points, dtype=float)
    side = np.abs(points[:, 0])
    rounded = (side**2 / _MIDLINE_ROUNDING + _MIDLINE_ROUNDING) / 2
    points[:, 0] = np.where(side < _MIDLINE_ROUNDING, rounded, side)
    distance = _head(points)
    low = points[:, 1] < _NECK_TOP
    distance[low] = smooth_min(distance[low], _neck(points[low]), 0.022)
    front = (points[:, 2] > _FEATURES_BACK) & (np.abs(points[:, 1] - _FEATURES_HEIGHT) < _FEATURES_REACH)
    near = points[front]
    distance[front] = _mouth(near, _nose(near, _eyes(near, distance[front])))
    return distance


def skin_normal(points: np.ndarray, step: float = 3e-4) -> np.ndarray:
    """(N, 3) unit outward normals of the sculpture at points (N, 3), by differences over `step` metres."""
    # four corners of a tetrahedron take one evaluation less than central differences
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=float)
    moved = (points[None] + step * corners[:, None]).reshape(-1, 3)
    normals = np.einsum("ci,cn->ni", corners, skin_distance(moved).reshape(4, -1))
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)


def cast_rays(origins: np.ndarray, directions: np.ndarray, reach: float = 0.24, steps: int = 48) -> np.ndarray:
    """(N, 3) the outermost skin point on each ray: marched from `reach` metres out towards its origin."""
    along = np.full(len(origins), reach)
    moving = np.arange(len(origins))
    for _ in range(steps):
        gap = skin_distance(origins[moving] + along[moving, None] * directions[moving])
        along[moving] = np.maximum(along[moving] - 0.85 * gap, 0.0)
        moving = moving[np.abs(gap) > _CAST_ERROR]
        if len(moving) == 0:
            break
    return origins + along[:, None] * directions
