"""From files to batches. DATASETS names the data sets that --dataset knows."""

from data.aflw2000_dataset import Aflw2000Dataset
from data.multiview_dataset import MultiviewDataset
from data.synthetic_dataset import SyntheticDataset
from data.wcpa_dataset import WcpaDataset
from util.errors import InputError

DATASETS: dict[str, type[WcpaDataset]] = {
    "aflw2000": Aflw2000Dataset,
    "multiview": MultiviewDataset,
    "synthetic": SyntheticDataset,
    "wcpa": WcpaDataset,
}


def get_dataset_class(name: str) -> type[WcpaDataset]:
    """The data set class of that name. Raises InputError that lists the known names."""
    if name not in DATASETS:
        raise InputError(f"data set: unknown {name!r}; known are {', '.join(sorted(DATASETS))}")
    return DATASETS[name]
