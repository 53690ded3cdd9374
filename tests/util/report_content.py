"""A report to write pages of: three models on images of four subjects, with names that are code in HTML."""

import numpy as np

from tests.conftest import IMAGE_SIZE, bowl, random_pose
from util.camera import WCPA_PROJECTION
from util.gallery import Case, choose_cases, draw_case
from util.html_report import ModelFigures, Report
from util.mesh import Topology, make_topology

EVIL = "<script>window.evil = 1</script>"
ACTIONS = ["01_Neutral", "<img src=x onerror='window.evil = 1'>", '03 & "quotes"']
REDDEST = 8.0


def make_report(images: int = 24, models: int = 2) -> Report:
    """The first model's scores are 20, 21, ...; each further one is worse by 3 mm and 10 images by chance."""
    random = np.random.default_rng(0)
    subjects = [EVIL, "000102", "200103", "200104"]
    samples = [(subjects[i % 4], ACTIONS[i % 3], f"{i:03d}") for i in range(images)]
    topology = make_topology(*bowl(), np.arange(68))
    figures = [
        ModelFigures(
            f"run0{model + 1} (best)",
            metrics_of(model, images, random),
            np.linspace(0, 4 + model, topology.num_vertices),
            [{"step": e, "epoch": e, "val/score": 100.0 - e, "train/loss_total": float("nan")} for e in range(3)],
            {"memo": EVIL, "lr": 0.002},
        )
        for model in range(models)
    ]
    conditions = {name: random.normal(10, 5, images) for name in ("yaw_deg", "pitch_deg", "distance_m", "face_size_px")}
    reference = ModelFigures("mean face", {name: 2 * v for name, v in figures[0].metrics.items()}, np.zeros(99))
    scores = figures[0].metrics["score"]
    kinds = choose_cases(scores, [sample[1] for sample in samples], each=2)
    cases = [make_case(index, kinds[index], topology, models, random) for index in kinds]
    return Report(
        title=EVIL,
        subtitle=f"of {EVIL}",
        models=figures,
        references=[reference],
        samples=samples,
        conditions=conditions,
        topology=topology,
        mean_face=topology.template,
        cases=cases,
        reddest_error=REDDEST,
        options={"name": EVIL, "compare": ["run02"]},
    )


def metrics_of(model: int, images: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    scores = 20.0 + np.arange(images) + 3 * model
    noise = random.normal(0, 1, images)
    return {
        "score": scores,
        "vertex_error_mm": 3 + 0 * scores + noise - noise.mean(),
        "success_5deg_5cm": (np.arange(images) % 4 > 0).astype(float),
        "nme68_percent": scores / 10,
        "<b>unknown</b>": scores**2,
        "broken": np.where(scores > 25, np.nan, scores),
    }


def make_case(index: int, kinds: list[str], topology: Topology, models: int, random: np.random.Generator) -> Case:
    """A face that each model makes larger in another way."""
    image = random.integers(0, 255, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    truth = topology.template * np.float32(1 + 0.01 * index), random_pose(random)
    predictions = [(truth[0] * np.float32([1.05, 1 + 0.05 * model, 1]), truth[1]) for model in range(models)]
    return draw_case(index, kinds, image, truth, predictions, topology, WCPA_PROJECTION, REDDEST)
