"""A small bright-field design for the studies of its decoders."""

from __future__ import annotations

from pathlib import Path

from opticdesign.design import Design, load_design
from tests.support.design_texts import ROOT

_SMALL = (
    "optics.neurons=32", "optics.coherence=0", "optics.margin=6 um", "decoder.kind=interpolated-unet",
    "decoder.channels=1", "data.fields=3", "evaluation.overlap=8", "training.batch=2",
    "training.stages.decoder.steps=2",
)  # fmt: skip


def defocused_design(*changes: str) -> Design:
    """The paper's microscope at 32 × 32 samples, coherent, with a U-Net of one channel trained for two steps."""
    return load_design(ROOT / "designs" / "dlsrqpi.toml", [*_SMALL, *changes])


def write_study(folder: Path, text: str, *changes: str) -> Path:
    """A study as a file, with the small design beside it as tiny.toml."""
    (folder / "tiny.toml").write_text(defocused_design(*changes).to_toml(), encoding="utf-8")
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path
