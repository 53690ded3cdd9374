"""AFLW2000-3D and 300W-LP as a torch data set."""

from data.aflw import AflwRoot
from data.wcpa_dataset import WcpaDataset


class Aflw2000Dataset(WcpaDataset):
    """Items as in WcpaDataset, of a folder of AFLW2000-3D or 300W-LP."""

    root_class = AflwRoot
