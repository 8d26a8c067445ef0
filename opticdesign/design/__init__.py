"""Designs: the schema of a design file, reading one with overrides, and errors that say where and what."""

from opticdesign.design.loading import load_design
from opticdesign.design.schema import (
    Augmentation,
    D2NNOptics,
    Design,
    DetectorSpec,
    Evaluation,
    Fabrication,
    FolderData,
    Light,
    SlmPanel,
    Stage,
    SyntheticData,
    Training,
    UNetSpec,
    design_schema,
)

__all__ = [
    "Augmentation",
    "D2NNOptics",
    "Design",
    "DetectorSpec",
    "Evaluation",
    "Fabrication",
    "FolderData",
    "Light",
    "SlmPanel",
    "Stage",
    "SyntheticData",
    "Training",
    "UNetSpec",
    "design_schema",
    "load_design",
]
