"""Figures for people and for other programs."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

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
# The same of what Pixel2Mesh's tables show: means over the facial actions, then those weighted by their images; and
# of the triangles that face away from the true ones.
SURFACE_TABLE = {
    "CD": "chamfer_p2m_group_mean",
    "F1 tau": "f1_tau_percent_group_mean",
    "F1 2tau": "f1_2tau_percent_group_mean",
    "w. CD": "chamfer_p2m",
    "w. F1 tau": "f1_tau_percent",
    "w. F1 2tau": "f1_2tau_percent",
    "flipped": "flipped_percent",
}


class Measure(NamedTuple):
    """How a figure is shown to people: title, unit, and the factor that takes it to that unit."""

    title: str
    unit: str = ""
    factor: float = 1.0
    higher_is_better: bool = False


# What the figures of util.metrics are called; others are shown by their keys.
MEASURES = {
    "score": Measure("Score", "mm"),
    "score_all": Measure("Score, all: mesh and pose", "mm"),
    "score_pose": Measure("Score, pose", "mm"),
    "score_shape": Measure("Score, shape, tenfold", "mm"),
    "vertex_error_mm": Measure("Vertex error", "mm"),
    "chamfer_mm2": Measure("Chamfer distance", "mm²"),
    "f1_1mm_percent": Measure("F1 at 1 mm", "%", higher_is_better=True),
    "f1_2mm_percent": Measure("F1 at 2 mm", "%", higher_is_better=True),
    "chamfer_p2m": Measure("Chamfer distance in Pixel2Mesh's scale", "× 10⁻³"),
    "f1_tau_percent": Measure("F1 at Pixel2Mesh's tau", "%", higher_is_better=True),
    "f1_2tau_percent": Measure("F1 at Pixel2Mesh's 2 tau", "%", higher_is_better=True),
    "flipped_percent": Measure("Flipped triangles", "%"),
    "add_mm": Measure("ADD, true mesh by both poses", "mm"),
    "pitch_error_deg": Measure("Pitch error", "degrees"),
    "yaw_error_deg": Measure("Yaw error", "degrees"),
    "roll_error_deg": Measure("Roll error", "degrees"),
    "rotation_error_deg": Measure("Rotation error", "degrees"),
    "tx_error_mm": Measure("Error of tx", "mm"),
    "ty_error_mm": Measure("Error of ty", "mm"),
    "tz_error_mm": Measure("Error of tz", "mm"),
    "success_5deg_5cm": Measure("Within 5 degrees and 5 cm", "%", 100.0, higher_is_better=True),
    "reprojection_px": Measure("Reprojection error", "px"),
    "nme68_percent": Measure("68-point NME", "%"),
    "nme68_3d_percent": Measure("68-point 3D NME, aligned by seven", "% of the eyes' distance"),
    "auc68_3d_percent": Measure("Area under its curve up to 10 %", "%", higher_is_better=True),
    "failure68_3d_percent": Measure("Failures: above 10 %", "%"),
    "nme68_stretched_percent": Measure("68-point 3D NME, stretched to the true box", "%"),
}


def measure(name: str) -> Measure:
    """How the figure of this name is shown; by the name itself where it is not known, lower taken for better."""
    return MEASURES.get(name, Measure(name))


def format_table(rows: dict[str, dict[str, float]], columns: dict[str, str] = TABLE, decimals: int = 2) -> str:
    """One line a row name, the figures of a table such as TABLE in columns."""
    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{column:>11}" for column in columns)]
    for name, figures in rows.items():
        lines.append(f"{name:<{width}}" + "".join(f"{figures[key]:11.{decimals}f}" for key in columns.values()))
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
