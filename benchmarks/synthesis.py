"""What a synthetic image costs on one core, and how that compares with writing it as a JPEG.

    python -m benchmarks.synthesis [--image_size 800]

Makes two small data roots with one worker; the difference of their times is free of starting up. With 18 images of
a subject, as step00's defaults have it, the subject's own share is in.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2

from data.synthetic.generate import generate_data_root

ACTIONS, FRAMES = 6, 3


def seconds_for(num_subjects: int, image_size: int) -> tuple[float, int, float]:
    """Wall time of making a root, its number of images, and the mean time of writing one of them as a JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        generate_data_root(Path(folder) / "data", num_subjects, 1, ACTIONS, FRAMES, image_size, 0, 1)
        seconds = time.perf_counter() - start
        pictures = [cv2.imread(str(path)) for path in sorted(Path(folder).rglob("*.jpg"))]
    start = time.perf_counter()
    for picture in pictures:
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return seconds, len(pictures), (time.perf_counter() - start) / len(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--image_size", type=int, default=800, help="width and height in pixels (default: 800)")
    size = parser.parse_args().image_size
    few, many = seconds_for(1, size), seconds_for(7, size)
    image = (many[0] - few[0]) / (many[1] - few[1])
    print(f"{size}x{size}: {image:.3f} s an image on one core, {image / many[2]:.0f} times a JPEG's {many[2]:.4f} s")


if __name__ == "__main__":
    main()
