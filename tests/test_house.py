"""The arrows of the house: which folder may import from which."""

import ast
import re
from pathlib import Path

import pytest

from data import DATASETS
from models import MODELS

HOUSE = Path(__file__).parent.parent
FOLDERS = ("options", "data", "models", "util", "Sim3DR")
STEPS = sorted(HOUSE.glob("step0*.py"))
# folder -> modules of the project that it may import, by prefix
ALLOWED = {
    "options": ("options", "data", "models"),
    "data": ("data", "util"),
    "data/synthetic": ("data.synthetic", "util", "Sim3DR"),
    "models": ("models", "util", "Sim3DR"),
    "util": ("util",),
    "Sim3DR": ("Sim3DR",),
}
# Pictures are drawn by the rasterizer; the predictor is the Python side of a step, and stands where the steps do.
DRAWING = ("pictures", "prediction_pictures", "deformation_pictures", "textures", "threeddfa_files")
EXTRA = {
    "data/synthetic_dataset.py": ("data.synthetic",),
    **{f"util/{name}.py": ("Sim3DR",) for name in DRAWING},
    "util/predictor.py": ("data", "models"),
    "util/photo_predictor.py": ("data",),
    "util/threeddfa_predictor.py": ("data", "models"),
    "util/deep3d_predictor.py": ("data", "models"),
}


def imported(path: Path) -> set[str]:
    """The modules of the project that a file imports, in full."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add(path.parent.name if node.level else node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.split(".")[0] in FOLDERS}


def project_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((HOUSE / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", project_files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_arrows(path):
    name = path.relative_to(HOUSE).as_posix()
    folder = "data/synthetic" if name.startswith("data/synthetic/") else name.split("/")[0]
    allowed = ALLOWED[folder] + EXTRA.get(name, ())
    wrong = {module for module in imported(path) if not any(f"{module}.".startswith(f"{a}.") for a in allowed)}
    assert not wrong, f"{name} must not import {wrong}"
    if folder == "options":
        tables = {module for module in imported(path) if module.split(".")[0] != "options"}
        assert tables <= {"data", "models"}, f"{name}: options may import the two name tables only"
    if folder == "data" and name not in EXTRA:
        # data/__init__.py names the data sets, one of which draws its samples
        assert not any(f"{module}.".startswith("data.synthetic.") for module in imported(path))


def test_every_model_lies_in_the_file_of_its_name():
    for name, model_class in MODELS.items():
        assert model_class.__module__ == f"models.{name}_model"
        assert model_class.__name__.lower() == f"{name.replace('_', '')}model"


def test_every_dataset_lies_in_the_file_of_its_name():
    for name, dataset_class in DATASETS.items():
        assert dataset_class.__module__ == f"data.{name}_dataset"


def test_no_file_grows_too_long():
    files = [*project_files(), *STEPS]
    long = {path.name: count for path in files if (count := len(path.read_text().splitlines())) > 500}
    assert not long


def test_no_function_grows_too_long():
    long = {}
    for path in [*project_files(), *STEPS]:
        for node in ast.walk(ast.parse(path.read_text())):
            # a parser is one long list; it reads no better in pieces
            if isinstance(node, ast.FunctionDef) and path.parent.name != "options":
                lines = node.end_lineno - node.lineno + 1
                if lines > 80:
                    long[f"{path.name}:{node.name}"] = lines
    assert not long


def test_nothing_below_the_steps_imports_the_predictors():
    predictors = {"util.predictor", "util.photo_predictor", "util.threeddfa_predictor", "util.deep3d_predictor"}
    below = [path for path in project_files() if not path.stem.endswith("predictor")]
    assert not [path for path in below if predictors & imported(path)]


@pytest.mark.parametrize(
    "path", [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_what_a_page_links_to_is_there(path):
    text = path.read_text()
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert not missing
    assert "@@" not in text  # a figure that is still to come
