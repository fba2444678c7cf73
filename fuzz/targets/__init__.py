"""Every target by its name."""

from fuzz.frame import Target
from fuzz.targets import checkpoints, datasets, devices, documents, live, models, recordings

TARGETS: dict[str, Target] = {
    **recordings.TARGETS,
    **devices.TARGETS,
    **documents.TARGETS,
    **models.TARGETS,
    **checkpoints.TARGETS,
    **datasets.TARGETS,
    **live.TARGETS,
}
