"""Designs: the schema of a design file, reading one with overrides, and errors that say where and what.

A kind of optics of another package is derived from what stands here, and is a part of `Design`; so that each may be
imported first, whole designs are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opticdesign.design.d2nn import D2NNOptics
from opticdesign.design.exporting import Export, GreyScale, Layout, Print
from opticdesign.design.fourier_filter import FilterOptics
from opticdesign.design.instrument import (
    DetectorSpec,
    Fabrication,
    Light,
    NoDecoder,
    SlmPanel,
    SwinIRSpec,
    UNetSpec,
)
from opticdesign.design.learning import (
    Augmentation,
    Data,
    DataTables,
    Evaluation,
    FolderData,
    Stage,
    StructureSpec,
    SyntheticData,
    Training,
    Vgg19Spec,
)
from opticdesign.design.optics_spec import OpticsSpec
from opticdesign.design.tolerancing import Tolerance

if TYPE_CHECKING:
    from opticdesign.design.loading import check_tables, load_design
    from opticdesign.design.schema import Design, design_schema

__all__ = [
    "Augmentation",
    "D2NNOptics",
    "Data",
    "DataTables",
    "Design",
    "DetectorSpec",
    "Evaluation",
    "Export",
    "Fabrication",
    "FilterOptics",
    "FolderData",
    "GreyScale",
    "Layout",
    "Light",
    "NoDecoder",
    "OpticsSpec",
    "Print",
    "SlmPanel",
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
]

_WHOLE = {"Design": "schema", "check_tables": "loading", "design_schema": "schema", "load_design": "loading"}


if not TYPE_CHECKING:  # which knows these from the imports above

    def __getattr__(name: str) -> Any:
        """A name that needs all kinds of optics, imported when it is first used."""
        if name not in _WHOLE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"{__name__}.{_WHOLE[name]}"), name)
        return value
