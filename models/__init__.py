"""One module a method. MODELS names the methods that --model knows."""

from models.base_model import BaseModel
from models.deep3d_model import Deep3dModel
from models.deep3d_sets_model import Deep3dSetsModel
from models.direct_model import DirectModel
from models.dual_resnet_model import DualResNetModel
from models.jmlr_model import JmlrModel
from models.multiview_model import MultiviewModel
from models.perspective_model import PerspectiveModel
from models.pixel2mesh_model import Pixel2MeshModel
from models.radan_model import RadanModel
from util.errors import InputError

MODELS: dict[str, type[BaseModel]] = {
    "deep3d": Deep3dModel,
    "deep3d_sets": Deep3dSetsModel,
    "direct": DirectModel,
    "dual_resnet": DualResNetModel,
    "jmlr": JmlrModel,
    "multiview": MultiviewModel,
    "perspective": PerspectiveModel,
    "pixel2mesh": Pixel2MeshModel,
    "radan": RadanModel,
}


def get_model_class(name: str) -> type[BaseModel]:
    """The method of that name. Raises InputError that lists the known names."""
    if name not in MODELS:
        raise InputError(f"model: unknown {name!r}; known are {', '.join(sorted(MODELS))}")
    return MODELS[name]
