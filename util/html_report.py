"""The report of an evaluation as one page, which needs no other file and no network.

templates/report.html is filled with text and tables by Jinja, which escapes them; report.js draws the charts of the
data that the page carries with plotly, whose library is in the page, too.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from util.bootstrap import CONFIDENCE, RESAMPLES, mean_intervals
from util.charts import binned_quartiles, boxes, quantiles, shared_histogram, some
from util.checkpoint import write_whole
from util.gallery import Case, data_uri
from util.mesh import Topology
from util.metrics import nme_by_yaw
from util.pictures import color_map
from util.report import Measure, measure

TEMPLATES = Path(__file__).parent / "templates"
# Points in a scatter plot; curves, boxes and tables are of all images.
MOST_POINTS = 1000
# The figures in large print, and those of a case.
HEADLINES = ("score", "vertex_error_mm", "rotation_error_deg", "nme68_percent")
CONDITIONS = {
    "yaw_deg": Measure("Yaw", "degrees"),
    "pitch_deg": Measure("Pitch", "degrees"),
    "distance_m": Measure("Distance", "m"),
    "face_size_px": Measure("Face size", "px"),
}
# The figures of util.metrics.nme_by_yaw that are shown.
YAW_COLUMNS = {
    "0_30": "|yaw| up to 30°",
    "30_60": "30° to 60°",
    "60_90": "over 60°",
    "mean": "Mean of bins",
    "std": "Deviation of bins",
}
# Below so many subjects the page warns of its intervals.
FEW_SUBJECTS = 20


@dataclass(frozen=True)
class ModelFigures:
    """A model and how it did: title; metrics: name -> one an image, (B,); vertex_errors: (N,) mm, the mean over the
    images; history: the lines of its metrics.jsonl; options: of its run. Both are empty where there are none."""

    title: str
    metrics: dict[str, np.ndarray]
    vertex_errors: np.ndarray
    history: Sequence[dict[str, float]] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What the page shows.

    title, subtitle: of the page; models: at least one, which the report is of; the others are compared with it;
    references: what stands beside them in the table
    samples: subject, action and image id of each image; conditions: name -> one an image, (B,)
    topology, mean_face (N, 3): the mesh that vertex errors are drawn on
    cases: for the gallery, with a prediction of each model
    reddest_error: the vertex error that is drawn red, mm; options: of the evaluation
    """

    title: str
    subtitle: str
    models: Sequence[ModelFigures]
    references: Sequence[ModelFigures]
    samples: Sequence[tuple[str, str, str]]
    conditions: dict[str, np.ndarray]
    topology: Topology
    mean_face: np.ndarray
    cases: Sequence[Case]
    reddest_error: float
    options: dict[str, Any]


def write_report(path: Path, report: Report) -> int:
    """Writes the page and returns its size in bytes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    text = environment.get_template("report.html").render(page_content(report)).encode()
    write_whole(path, lambda file: file.write(text))
    return len(text)


def page_content(report: Report) -> dict[str, Any]:
    """What the template is filled with."""
    subjects = [sample[0] for sample in report.samples]
    charted, left_out = charted_metrics(report.models)
    figures = figure_rows(report.models[0], subjects)
    return {
        "report": report,
        "plotly": Markup(get_plotlyjs()),
        "headlines": [row for name in HEADLINES for row in figures if row["key"] == name],
        "figures": figures,
        "comparison": comparison_rows([*report.models, *report.references], subjects),
        "yaw_columns": YAW_COLUMNS,
        "yaw_rows": yaw_rows(report.models, report.conditions["yaw_deg"]),
        "pairs": [pair_rows(report.models[0], other, subjects) for other in report.models[1:]],
        "num_subjects": len(set(subjects)),
        "few_subjects": len(set(subjects)) < FEW_SUBJECTS,
        "confidence": f"{100 * CONFIDENCE:g} %",
        "resamples": f"{RESAMPLES:,}",
        "points": f"{min(MOST_POINTS, len(subjects)):,}",
        "metrics": {name: measure(name).title for name in charted},
        "left_out": [measure(name).title for name in left_out],
        "conditions": CONDITIONS,
        "cases": [case_card(case, report) for case in report.cases],
        "data": chart_data(report, charted),
    }


def shown(value: float, what: Measure) -> str:
    """A figure in its unit, with some three digits."""
    value *= what.factor
    if not np.isfinite(value):
        return "–"
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}".replace("-", "−")


def shown_interval(interval: tuple[float, float], what: Measure) -> str:
    return " to ".join(shown(end, what) for end in interval) if np.isfinite(interval).all() else "–"


def figure_rows(model: ModelFigures, subjects: Sequence[str]) -> list[dict[str, str]]:
    """The table of a model's figures, a row a metric."""
    intervals = mean_intervals(model.metrics, subjects)
    return [
        {
            "key": name,
            "title": (what := measure(name)).title,
            "unit": what.unit,
            "mean": shown(values.mean(), what),
            "interval": shown_interval(intervals[name], what),
            "median": "–" if is_share(values) else shown(np.median(values), what),
            "most": "–" if is_share(values) else shown(np.percentile(values, 90), what),
            "worst": "–" if is_share(values) else shown(values.max(), what),
        }
        for name, values in model.metrics.items()
    ]


def is_share(values: np.ndarray) -> bool:
    """Whether values say yes or no, so that their mean says all."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def comparison_rows(models: Sequence[ModelFigures], subjects: Sequence[str]) -> list[dict[str, Any]]:
    """The table of all models' figures, a row a metric, with the best one marked."""
    intervals = [mean_intervals(model.metrics, subjects) for model in models]
    rows = []
    for name in models[0].metrics:
        what = measure(name)
        means = np.array([model.metrics[name].mean() for model in models])
        best = means.max() if what.higher_is_better else means.min()
        cells = [
            {"mean": shown(mean, what), "interval": shown_interval(each[name], what), "best": bool(mean == best)}
            for mean, each in zip(means, intervals, strict=True)
        ]
        rows.append({"key": name, "title": what.title, "unit": what.unit, "cells": cells})
    return rows


def pair_rows(first: ModelFigures, other: ModelFigures, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """The table of how a model differs from the first on the same images, a row a metric."""
    differences = {name: other.metrics[name] - values for name, values in first.metrics.items()}
    intervals = mean_intervals(differences, subjects)
    rows = []
    for name, difference in differences.items():
        what, (low, high) = measure(name), intervals[name]
        better = difference > 0 if what.higher_is_better else difference < 0
        sign = 1 if low > 0 else -1 if high < 0 else 0
        rows.append(
            {
                "key": name,
                "title": what.title,
                "unit": what.unit,
                "difference": shown(difference.mean(), what),
                "interval": shown_interval((low, high), what),
                "better": f"{100 * better.mean():.0f} %",
                "other_wins": sign > 0 if what.higher_is_better else sign < 0,
                "first_wins": sign < 0 if what.higher_is_better else sign > 0,
            }
        )
    return rows


def yaw_rows(models: Sequence[ModelFigures], yaw: np.ndarray) -> dict[str, list[dict[str, str]]]:
    """The table of the NME by yaw (B,), degrees: title -> the figures, and how many images each is of. A model that has
    no NME, or one that is not finite, has no row."""
    what, rows = measure("nme68_percent"), {}
    for model in models:
        nme = model.metrics.get("nme68_percent")
        if nme is not None and np.isfinite(nme).all():
            found = nme_by_yaw(nme, yaw)
            rows[model.title] = [
                {"mean": shown(found[f"nme_yaw_{name}"], what), "images": found.get(f"images_yaw_{name}")}
                for name in YAW_COLUMNS
            ]
    return rows


def charted_metrics(models: Sequence[ModelFigures]) -> tuple[list[str], list[str]]:
    """The metrics that charts are drawn of, and those left out, which are not finite everywhere. Shares are in
    neither, as a chart says no more of them than a table."""
    shares = [name for name, values in models[0].metrics.items() if is_share(values)]
    finite = {name: all(np.isfinite(m.metrics[name]).all() for m in models) for name in models[0].metrics}
    charted = [name for name in finite if finite[name] and name not in shares]
    return charted, [name for name in finite if not finite[name]]


def case_card(case: Case, report: Report) -> dict[str, Any]:
    """What the gallery says of a case, and its pictures."""
    subject, action, image = report.samples[case.index]
    names = [name for name in HEADLINES if name in report.models[0].metrics]
    figures = [
        [f"{measure(n).title} {shown(model.metrics[n][case.index], measure(n))} {measure(n).unit}" for n in names]
        for model in report.models
    ]
    predictions = [
        {"title": model.title, "figures": texts, "overlay": data_uri(p.overlay), "error_map": data_uri(p.error_map)}
        for model, texts, p in zip(report.models, figures, case.predictions, strict=True)
    ]
    return {
        "subject": subject,
        "action": action,
        "name": f"{subject} / {action} / {image}",
        "kinds": case.kinds,
        "photo": data_uri(case.photo),
        "predictions": predictions,
    }


def chart_data(report: Report, charted: Sequence[str]) -> dict[str, Any]:
    """What report.js draws. Arrays of numbers are lists with four digits, meshes packed (packed_mesh)."""
    chosen = some(len(report.samples), MOST_POINTS)
    conditions = {name: values for name, values in report.conditions.items() if np.isfinite(values).all()}
    return {
        "models": [model.title for model in report.models],
        "metrics": {name: metric_data(name, report, conditions, chosen) for name in charted},
        "conditions": {
            name: CONDITIONS[name]._asdict() | {"points": numbers(conditions[name][chosen])} for name in conditions
        },
        "samples": [" / ".join(report.samples[index]) for index in chosen],
        "history": [history_data(model.history) for model in report.models],
        "colors": [[float(share), css_color(share)] for share in np.linspace(0, 1, 17)],
        "reddest": report.reddest_error,
        "triangles": b64encode(report.topology.triangles.astype("<i4").tobytes()).decode(),
        "mean_face": packed_mesh(report.mean_face),
        "vertex_errors": [numbers(model.vertex_errors) for model in report.models],
        "cases": [case_data(case) for case in report.cases],
    }


def metric_data(name: str, report: Report, conditions: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    """A metric of all models, for the charts."""
    what = measure(name)
    values = [what.factor * model.metrics[name] for model in report.models]
    actions = [sample[1] for sample in report.samples]
    edges, counts = shared_histogram(values)
    return {
        "title": what.title,
        "unit": what.unit,
        "factor": what.factor,
        "edges": numbers(edges),
        "counts": [each.tolist() for each in counts],
        "quantiles": [numbers(quantiles(each)) for each in values],
        "binned": {
            key: [
                {part: numbers(array) for part, array in binned_quartiles(condition, each).items()} for each in values
            ]
            for key, condition in conditions.items()
        },
        "boxes": [{action: numbers(box) for action, box in boxes(each, actions).items()} for each in values],
        "points": [numbers(each[chosen]) for each in values],
    }


def history_data(history: Sequence[dict[str, float]]) -> dict[str, list[float | None]]:
    """The lines of a metrics.jsonl by name, None where a line has no such number or one that is not finite."""
    names = dict.fromkeys(name for line in history for name in line)
    return {name: numbers([line.get(name, np.nan) for line in history]) for name in names}


def case_data(case: Case) -> dict[str, Any]:
    """The meshes of a case."""
    predictions = [{"mesh": packed_mesh(p.verts), "pose": np.nan_to_num(p.R_t).tolist()} for p in case.predictions]
    return {"mesh": packed_mesh(case.verts), "pose": case.R_t.tolist(), "predictions": predictions}


def packed_mesh(verts: np.ndarray) -> dict[str, Any]:
    """Vertices (N, 3) in metres as 16-bit numbers of a common scale: 10 micrometres for a head of 0.3 m. What is not
    finite lies at the origin."""
    verts = np.nan_to_num(verts, nan=0.0, posinf=0.0, neginf=0.0)
    scale = float(np.abs(verts).max()) / 32767 or 1.0
    return {"scale": scale, "numbers": b64encode(np.rint(verts / scale).astype("<i2").tobytes()).decode()}


def numbers(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Numbers with four digits, None where they are not finite: JSON has no other word for them."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]


def css_color(share: float) -> str:
    """The colour of pictures' error maps at a share of their scale, 0..1."""
    red, green, blue = np.rint(255 * color_map(np.array(share), 1.0)).astype(int)
    return f"rgb({red},{green},{blue})"
