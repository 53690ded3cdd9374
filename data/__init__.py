"""From files to batches. DATASETS names the data sets that --dataset knows."""

from data.wcpa_dataset import WcpaDataset

DATASETS = {"wcpa": WcpaDataset}


def get_dataset_class(name: str) -> type[WcpaDataset]:
    """The data set class of that name. Raises ValueError that lists the known names."""
    if name not in DATASETS:
        raise ValueError(f"data set: unknown {name!r}; known are {', '.join(sorted(DATASETS))}")
    return DATASETS[name]
