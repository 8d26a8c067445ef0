"""Every design and study that ships is whole: it reads, says what it is, and no check fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.design import load_design
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.checks import check_design
from opticdesign.studies.autoencoders.schema import load_autoencoder_study
from opticdesign.studies.fields import study_kind
from opticdesign.studies.methods.schema import load_methods_study
from opticdesign.studies.quantisation.schema import load_quantisation_study
from opticdesign.studies.table.schema import load_study
from opticdesign.studies.transfer.schema import load_transfer_study
from tests.support.design_texts import ROOT

DESIGNS = sorted(path for path in (ROOT / "designs").rglob("*.toml") if path.parent.name not in ("studies", "panels"))
STUDIES = sorted((ROOT / "designs" / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", DESIGNS, ids=lambda path: path.stem)
def test_shipped_design_is_named_as_its_file_and_fails_no_check(path: Path) -> None:
    design = load_design(path)
    assert design.name == path.stem
    assert not [check for check in check_design(design) if check.verdict == "fail"]


@pytest.mark.parametrize("path", [path for path in DESIGNS if path.parent.name == "paper"], ids=lambda path: path.stem)
def test_design_of_the_paper_has_its_numbers(path: Path) -> None:
    design = load_design(path)
    compression = 1 if path.stem[0] == "b" else 256 if path.stem in ("c3", "c4") else 64
    assert (design.detector.binning**2, design.optics.shape, design.training.batch) == (compression, (256, 256), 32)
    assert design.optics.pitch == pytest.approx(design.light.wavelength / 2.0)
    if path.stem[0] in "ce":
        assert sum(p.numel() for p in build_microscope(design).decoder.parameters()) == (
            12_191_229 if compression == 256 else 12_043_517
        )


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_study_reads_with_all_its_designs_in_both_modes(path: Path) -> None:
    if study_kind(path) == "quantisation":
        assert [load_quantisation_study(path, quick).name for quick in (False, True)] == [path.stem] * 2
        return
    if study_kind(path) == "autoencoders":
        assert load_autoencoder_study(path).name == path.stem
        return
    load = {"methods": load_methods_study, "transfer": load_transfer_study}.get(study_kind(path))
    if load is not None:
        assert [load(path, quick).name for quick in (False, True)] == [path.stem] * 2
        return
    for quick in (False, True):
        study = load_study(path, quick)
        assert study.name == path.stem
        assert len({row.name for row in study.rows}) == len(study.rows)
