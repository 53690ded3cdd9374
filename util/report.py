"""Figures for people and for other programs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from util.checkpoint import write_whole

# The columns of the printed table, with the figures they show.
TABLE = {
    "score": "score",
    "all": "score_all",
    "pose": "score_pose",
    "shape": "score_shape",
    "vertex mm": "vertex_error_mm",
    "rot. deg": "rotation_error_deg",
    "tz mm": "tz_error_mm",
    "NME %": "nme68_percent",
}


def format_table(rows: dict[str, dict[str, float]]) -> str:
    """One line a row name, the figures of TABLE in columns."""
    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{column:>11}" for column in TABLE)]
    for name, figures in rows.items():
        lines.append(f"{name:<{width}}" + "".join(f"{figures[key]:11.2f}" for key in TABLE.values()))
    return "\n".join(lines)


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))


def write_image_metrics(path: Path, keys: list[tuple[str, str, str]], metrics: dict[str, np.ndarray]) -> None:
    """A csv with one row an image: its three keys, then its figures."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["subject_id", "facial_action", "img_id", *metrics])
    for key, values in zip(keys, zip(*metrics.values(), strict=True), strict=True):
        writer.writerow([*key, *(f"{value:.6g}" for value in values)])
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
