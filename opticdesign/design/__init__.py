"""Designs: the schema of a design file, reading one with overrides, and errors that say where and what."""

from opticdesign.design.bright_field import BrightFieldOptics
from opticdesign.design.d2nn import D2NNOptics
from opticdesign.design.exporting import Export, GreyScale, Layout, Print
from opticdesign.design.fourier_filter import FilterOptics
from opticdesign.design.instrument import (
    DecoderSpec,
    DetectorSpec,
    Fabrication,
    InterpolatedUNetSpec,
    Light,
    NoDecoder,
    SlmPanel,
    SRCNNSpec,
    SwinIRSpec,
    UNetSpec,
)
from opticdesign.design.learning import (
    Augmentation,
    Data,
    DataTables,
    Evaluation,
    FolderData,
    StackData,
    Stage,
    StructureSpec,
    SyntheticData,
    Training,
    Vgg19Spec,
)
from opticdesign.design.loading import check_tables, load_design
from opticdesign.design.materials import material_of
from opticdesign.design.measured import MeasuredOptics
from opticdesign.design.optics_spec import OpticsSpec
from opticdesign.design.schema import Design, design_schema
from opticdesign.design.tolerancing import Tolerance

__all__ = [
    "Augmentation",
    "BrightFieldOptics",
    "D2NNOptics",
    "Data",
    "DataTables",
    "DecoderSpec",
    "Design",
    "DetectorSpec",
    "Evaluation",
    "Export",
    "Fabrication",
    "FilterOptics",
    "FolderData",
    "GreyScale",
    "InterpolatedUNetSpec",
    "Layout",
    "Light",
    "MeasuredOptics",
    "NoDecoder",
    "OpticsSpec",
    "Print",
    "SRCNNSpec",
    "SlmPanel",
    "StackData",
    "Stage",
    "StructureSpec",
    "SwinIRSpec",
    "SyntheticData",
    "Tolerance",
    "Training",
    "UNetSpec",
    "Vgg19Spec",
    "check_tables",
    "design_schema",
    "load_design",
    "material_of",
]
