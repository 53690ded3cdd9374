"""How a world of scan-based people was made: what step00 was told, kept in its data root for those who draw more."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from util.checkpoint import write_whole
from util.errors import InputError

# In a data root's resources/.
RECIPE_NAME = "synthesis.json"
POSES = ("challenge", "wide")


@dataclass(frozen=True)
class Recipe:
    """face_model, topology, backgrounds: as --face_model ... of step00, absolute paths, the latter two or None;
    poses: one of POSES; fov: degrees of view along either side of a picture; image_size: its side in pixels."""

    face_model: str
    topology: str | None
    backgrounds: str | None
    poses: str
    fov: float
    image_size: int

    def write(self, data_root: Path) -> None:
        content = json.dumps(asdict(self), indent=1) + "\n"
        write_whole(data_root / "resources" / RECIPE_NAME, lambda file: file.write(content.encode()))


def read_recipe(data_root: Path) -> Recipe:
    """What a data root was made by. Raises InputError where step00 --face_model did not make it."""
    path = data_root / "resources" / RECIPE_NAME
    try:
        return Recipe(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise InputError(f"{data_root}: wanted a data root of step00_synthesize.py --face_model, got another") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot read ({error})") from None
