"""What the poses of a batch of faces cost, beside OpenCV's solvePnP called for one after the other.

    python -m benchmarks.bench_pnp [--images 256] [--vertices 1220] [--noise 2] [--rounds 15]

Poses are distributed as the challenge's. OpenCV gets one thread, torch its default number. Both take turns; the best
of all rounds counts. Says, too, how far the poses of the two are apart.
"""

import argparse
import time

import cv2
import numpy as np
import torch

from util.camera import WCPA_PROJECTION, project, transform
from util.pnp import solve_pnp
from util.pose import pose_from_6dof
from util.views import FLIP, PhotoCamera

SIZE = 800
CAMERA = PhotoCamera(WCPA_PROJECTION[0, 0] * SIZE / 2, SIZE, SIZE)
# pitch, yaw, roll, tx, ty, tz of the challenge's training images
MEAN = np.array([-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206])
DEVIATION = np.array([0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444])


def draw_faces(images: int, vertices: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """verts (B, N, 3) of bowls in metres and their points (B, N, 2) in pixels, with noise."""
    random = np.random.default_rng(0)
    x, y = np.moveaxis(random.uniform(-1, 1, (images, vertices, 2)) * [0.07, 0.09], 2, 0)
    verts = np.stack([x, y, 0.06 - 8 * x**2 - 4 * y**2], axis=2)
    R_t = pose_from_6dof(random.normal(MEAN, DEVIATION, (images, 6)))
    points = project(transform(verts, R_t), CAMERA.projection, SIZE, SIZE)[0]
    return verts, points + random.normal(0, noise, points.shape)


def opencv_poses(verts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(B, 4, 4)"""
    R_t = np.tile(np.eye(4), (len(verts), 1, 1))
    for pose, own_verts, own_points in zip(R_t, verts, points, strict=True):
        _, turn, shift = cv2.solvePnP(own_verts, own_points, CAMERA.matrix, None, flags=cv2.SOLVEPNP_ITERATIVE)
        pose[:3, :3], pose[3, :3] = (FLIP @ cv2.Rodrigues(turn)[0]).T, FLIP @ shift[:, 0]
    return R_t


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--vertices", type=int, default=1220)
    parser.add_argument("--noise", type=float, default=2.0, help="pixels")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    arrays = draw_faces(args.images, args.vertices, args.noise)
    tensors = *(torch.from_numpy(array) for array in arrays), torch.from_numpy(CAMERA.projection), SIZE, SIZE
    solvers = {"OpenCV": lambda: opencv_poses(*arrays), "solve_pnp": lambda: solve_pnp(*tensors).numpy()}
    best, poses = dict.fromkeys(solvers, np.inf), {}
    for _ in range(args.rounds):
        for name, solve in solvers.items():
            start = time.perf_counter()
            poses[name] = solve()
            best[name] = min(best[name], time.perf_counter() - start)
    for name, seconds in best.items():
        print(f"{name:10} {1e3 * seconds:8.2f} ms for {args.images} images of {args.vertices} points")
    print(
        f"{best['OpenCV'] / best['solve_pnp']:.1f} times as fast, torch with {torch.get_num_threads()} threads; ",
        end="",
    )
    print(f"poses differ by up to {np.abs(poses['OpenCV'] - poses['solve_pnp']).max():.1e}")


if __name__ == "__main__":
    main()
