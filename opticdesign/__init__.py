"""Optical design and hardware export: diffractive optics trained with their decoder, quantised, exported, verified.

Read the modules from the bottom up: `field`, `transfer`, `propagation`, `elements`, `thick`, `illumination`,
`detectors`, `fabrication` are the physics; `design` is the TOML schema; `system` builds an instrument from it;
`training`, `evaluation`, `export` act on it; `workflow` strings them together on a run folder; `cli` is the command
line.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("opticdesign")
