"""What a synthetic world is made by: what step00 was told, kept in the data root for those who draw more of it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from util.camera import WCPA_PROJECTION
from util.errors import InputError
from util.views import camera_from_fov

# In a data root's resources/.
RECIPE_NAME = "synthesis.json"
POSES = ("challenge", "wide")


@dataclass(frozen=True)
class Recipe:
    """face_model, topology, backgrounds: paths as step00 takes them, or None; poses: one of POSES; fov: degrees of view
    along either side of the pictures, None for the challenge's camera; image_size: a picture's side in pixels.

    Raises InputError for other poses."""

    image_size: int = 800
    fov: float | None = None
    poses: str = "challenge"
    face_model: str | None = None
    topology: str | None = None
    backgrounds: str | None = None

    def __post_init__(self) -> None:
        if self.poses not in POSES:
            raise InputError(f"poses: wanted {' or '.join(POSES)}, got {self.poses}")

    @property
    def projection(self) -> np.ndarray:
        """(4, 4) M_proj."""
        if self.fov is None:
            return WCPA_PROJECTION
        return camera_from_fov(self.fov, self.image_size, self.image_size).projection

    def write(self, resources: Path) -> None:
        """Paths become absolute."""
        content = asdict(self)
        for name in ("face_model", "topology", "backgrounds"):
            content[name] = content[name] and str(Path(content[name]).resolve())
        (resources / RECIPE_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")


def read_recipe(data_root: Path) -> Recipe:
    """What a data root was made by. Raises InputError where it was not step00 --face_model, or for a broken file."""
    path = data_root / "resources" / RECIPE_NAME
    try:
        recipe = Recipe(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{data_root}: wanted a data root of step00_synthesize.py --face_model, got another") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot read ({error})") from None
    if not isinstance(recipe.face_model, str):
        raise InputError(f"{path}: face_model: wanted a path, got {recipe.face_model}")
    return recipe
