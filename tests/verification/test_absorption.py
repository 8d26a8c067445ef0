"""Masks of a material that absorbs: what a slab lets pass, in every model, and every model beside the others."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.errors import DesignError
from opticdesign.handover.manifest import ProcessRecord
from opticdesign.instrument.building import build_microscope, build_optics, build_process
from opticdesign.optics.dispersion import Constant
from opticdesign.optics.elements import DiffractiveElement
from opticdesign.optics.field import Grid
from opticdesign.optics.material import Material
from opticdesign.optics.materials import material
from opticdesign.optics.relief import Relief
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.verification.second_opinion import masks_of_design, second_opinion
from tests.support.design_texts import D2NN5, ROOT
from tests.support.tolerance_instruments import BPM, errors, layered, layers_of, sample_of

INDEX, K = 1.52, 0.02
ABSORBING = f"fabrication.material={{index={INDEX}, absorption={K}}}"
CLEAR = f"fabrication.material={{index={INDEX}}}"
SMALL = ("optics.neurons=32", "optics.cell=8", "detector.binning=2", "fabrication.medium=vacuum", "optics.start=random")
THIN = layered(*SMALL, ABSORBING, layers=2)
THICK = layered(
    *BPM, *SMALL, ABSORBING, layers=2
)  # neurons of λ/2, where two marches differ by 13 % without absorption
FILTER = load_design(ROOT / "designs" / "lff64.toml", ("optics.neurons=32", "optics.radius=16.0", "detector.binning=2",
                     "evaluation.overlap=4", "optics.mode=phase", "fabrication.medium=vacuum", ABSORBING))  # fmt: skip
DESIGNS = pytest.mark.parametrize("design", [THIN, THICK, FILTER], ids=["thin", "thick", "filter"])


def without_absorption(design: Design) -> Design:
    fabrication = design.fabrication.model_copy(update={"material": design.fabrication.material.model_copy(
        update={"absorption": 0.0})})  # fmt: skip
    return design.model_copy(update={"fabrication": fabrication})


def flat_intensity(design: Design, phase_rad: float) -> torch.Tensor:
    """Light in the middle of the image behind masks of one height, of an even beam."""
    optics, process = build_optics(design), build_process(design)
    shape = (len(optics.phases()), *optics.phases().shape[-2:])
    optics.set_phases_rad(torch.full(shape, phase_rad))
    with torch.no_grad():
        seen = optics.intensity(torch.ones(1, *optics.object_grid.shape, dtype=torch.complex64), process)[0]
    rows, columns = seen.shape
    return seen[rows // 2 - 1 : rows // 2 + 1, columns // 2 - 1 : columns // 2 + 1]


@DESIGNS
@pytest.mark.parametrize("level", [0, 3, 7])
def test_slabs_take_what_their_height_absorbs(design: Design, level: int) -> None:
    process = build_process(design)
    phase_rad = float(process.phase_of_level(torch.tensor(level)))
    height_m = float(process.height_of_level(torch.tensor(level)))
    masks = 1 if design is FILTER else 2
    expected = math.exp(-4.0 * math.pi * K * height_m / design.light.wavelength) ** masks  # of the intensity
    share = flat_intensity(design, phase_rad) / flat_intensity(without_absorption(design), phase_rad)
    # light that a thick mask's rims send aside goes another way through it
    within = 1e-2 if design is THICK else 1e-4
    torch.testing.assert_close(share, torch.full_like(share, expected), rtol=within, atol=0.0)


@DESIGNS
def test_the_independent_model_agrees(design: Design) -> None:
    """As closely as without absorption, and the absorption is far above that."""

    def apart(one: Design, other: Design) -> float:
        """Of the intensity of the trained model of one design, from the independent one of another."""
        optics, process = build_optics(one), build_process(one)
        generator = torch.Generator().manual_seed(1)
        phases = torch.rand(optics.phases().shape, generator=generator) * 2.0 * math.pi
        phases = process.phase(optics.alike(phases))
        optics.set_phases_rad(phases)
        fields = sample_fields(optics.object_grid.shape)
        with torch.no_grad():
            trained = optics.intensity(fields, process).double().numpy()
        found = second_opinion(other, masks_of_design(other, phases.numpy()), fields.numpy()).intensity
        return float(np.linalg.norm(trained - found) / np.linalg.norm(found))

    clear = without_absorption(design)
    usual = apart(clear, clear)
    assert apart(design, design) < max(1.3 * usual, 2e-3)
    assert apart(clear, design) > max(3.0 * usual, 0.1)


def sample_fields(shape: tuple[int, int]) -> torch.Tensor:
    y, x = (torch.linspace(-1.0, 1.0, size) for size in shape)
    return torch.polar(torch.ones(1, *shape), 1.5 * torch.exp(-4.0 * (y[:, None] ** 2 + x**2))[None])


@pytest.mark.parametrize("design", [THIN, THICK], ids=["thin", "thick"])
def test_without_errors_the_perturbed_instrument_is_the_trained_one_and_deeper_etching_absorbs_more(
    design: Design,
) -> None:
    sample, optics = sample_of(design), layers_of(design)._optics
    with torch.no_grad():
        nominal = optics(sample.fields, build_process(design))

        def power(values: dict[str, float]) -> tuple[torch.Tensor, float]:
            dev: Deviations = errors(design, values, NO_PATTERN)
            field = layers_of(design).field(sample, dev)[0]
            return field, float(field.abs().square().sum())

        field, usual = power({"gap 1": 0.0})
        torch.testing.assert_close(field, nominal, rtol=1e-4, atol=1e-4)
        # heights 10 % off, of k/(n − n₀) = 0.038 for each radian: some per cent of the light
        deeper, shallower = (power({f"etch depth bit {bit}": by for bit in (1, 2, 3)})[1] for by in (0.1, -0.1))
    clear = without_absorption(design)
    assert deeper < 0.99 * usual < 1.01 * usual < shallower
    assert float(build_optics(clear)(sample.fields).detach().abs().square().sum()) > 1.1 * usual


def test_heights_absorb_at_the_wavelength_of_the_light() -> None:
    made = Material("resist", Constant(1.5, 0.03), (1e-7, 1e-5), "a test")
    relief = Relief(made, material("vacuum"), 600e-9)
    phase = torch.full((4, 4), 5.0)
    height_m = 5.0 / (2.0 * math.pi) * 600e-9 / 0.5
    for primary in ("phase", "height"):
        element = DiffractiveElement(Grid((4, 4), (1e-6, 1e-6)), phase, primary=primary, relief=relief)
        for wavelength_m in (None, 500e-9):
            expected = math.exp(-2.0 * math.pi * 0.03 * height_m / (wavelength_m or 600e-9))
            assert element.transmission(wavelength_m=wavelength_m).abs().tolist()[0][0] == pytest.approx(
                expected, rel=1e-5
            )


def test_learning_sees_the_absorption() -> None:
    """The gradient of the light behind a mask of points, against finite differences."""
    relief = Relief(Material("resist", Constant(1.5, 0.05), (1e-7, 1e-5), "a test"), material("vacuum"), 600e-9)
    element = DiffractiveElement(Grid((2, 2), (1e-6, 1e-6)), torch.tensor([[0.5, 1.0], [7.0, -1.0]]), relief=relief)
    element.double()
    assert torch.autograd.gradcheck(
        lambda phase: torch.view_as_real(torch.func.functional_call(element, {"phase_rad": phase}, (torch.ones(
            2, 2, dtype=torch.complex128),))), element.phase_rad.detach().clone().requires_grad_())  # fmt: skip


@pytest.mark.parametrize("header", ["wavelength_nm,n,k", "Wavelength (nm), n, k", "# measured\nwavelength / nm;n"])
def test_table_of_a_csv_file_stands_in_the_resolved_design(
    header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text(f"{header.replace(';', ',')}\n600,1.53,0.01\n\n700, 1.51, 0.03\n")
    design = load_design(D2NN5, ['fabrication.material={table="my.csv"}'])
    assert design.fabrication.material.table == ((600e-9, 1.53, 0.01), (700e-9, 1.51, 0.03))
    assert build_process(design).index == pytest.approx(1.53 - 0.02 * 0.328, rel=1e-9)
    assert build_process(design).extinction == pytest.approx(0.01 + 0.02 * 0.328, rel=1e-9)
    (tmp_path / "my.csv").unlink()  # it is read once
    (tmp_path / "again.toml").write_text(design.to_toml())
    assert load_design(tmp_path / "again.toml") == design
    assert load_design(tmp_path / "again.toml").digest() == design.digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("600,1.5,0\n700,1.4,0\n", "does not name the unit"),
        ("wavelength_furlong,n,k\n600,1.5,0\n700,1.4,0\n", "furlong"),
        ("wavelength_nm,n,k\n600,1.5,0\n", "no table of a material"),
        ("wavelength_nm,n,k\n700,1.5,0\n600,1.4,0\n", "no table of a material"),
        ("wavelength_nm,n,k\n600,1.5,-1\n700,1.4,0\n", "no table of a material"),
        ("wavelength_nm,n,k\n600,nan,0\n700,1.4,0\n", "a finite number"),
        ("wavelength_nm,n,k\n600,high,0\n700,1.4,0\n", "not wavelength, n and k"),
        ("wavelength_nm,n,k\n600,1.5,0,9\n700,1.4,0\n", "not wavelength, n and k"),
        ("wavelength_nm,n,k\n640,1.5,0\n700,1.4,0\n", "no index at 632.8 nm"),
        ("", "does not name the unit"),
    ],
)
def test_tables_that_cannot_be_are_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text(text)
    with pytest.raises(DesignError, match=said) as caught:
        load_design(D2NN5, [f'fabrication.material={{table="{tmp_path / "my.csv"}"}}'])
    assert "fabrication.material" in caught.value.problems[0].key


def test_a_medium_that_absorbs_is_refused() -> None:
    with pytest.raises(DesignError, match="a medium that absorbs"):
        load_design(D2NN5, ["fabrication.medium={index=1.2, absorption=0.1}"])


def test_microscope_of_a_material_without_absorption_is_what_it_was() -> None:
    design = load_design(D2NN5, ("optics.layers=1", "optics.neurons=64", "evaluation.overlap=16"))
    assert build_process(design).loss == 0.0
    assert build_microscope(design).optics.masks[0].loss == 0.0


def test_manifest_of_an_export_holds_the_absorption() -> None:
    process = build_process(THIN)
    record = ProcessRecord.of(process)
    assert record.process == process and process.extinction == K
    kept = record.model_dump()
    del kept["extinction"]  # as exports of before have it
    assert ProcessRecord.model_validate(kept).process.loss == 0.0
