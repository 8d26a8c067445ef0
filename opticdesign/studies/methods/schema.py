"""A study of methods: networks trained for one microscope out of focus, beside what needs no training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.decoders.phase_solvers import TieMethod
from opticdesign.design import Design, load_design
from opticdesign.design.fields import Name, Table, distinct, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.toml_text import printable, toml_value
from opticdesign.design.values import refuse
from opticdesign.errors import DesignError, DesignProblem
from opticdesign.studies.fields import DesignFile, Quick, Seeds, Settings
from opticdesign.studies.methods.unlearned import defocus_of, unlearned_methods

__all__ = ["MethodsStudy", "Network", "load_methods_study"]

_EXAMPLE = "designs/studies/dlsrqpi-methods.toml is a complete study"
_SAME = ("light", "optics", "fabrication", "detector", "data", "evaluation")


class Network(Table):
    """One network.

    Attributes:
        name: name of its row, also of its run folders.
        title: what it is.
        set: key=value texts that make it out of the study's design: its decoder and its training.
        quick: key=value texts under `--quick`.
    """

    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["U-Net"])
    title: str = Field(default="", max_length=200, description="what it is", examples=["U-Net, 64 channels"])
    set: Settings = Field(default=(), description="key=value texts", examples=[["decoder.channels=16"]])
    quick: Settings = Field(default=(), description="key=value texts", examples=[["decoder.channels=8"]])


class MethodsStudy(Table):
    """Networks that read one aliased frame, and what finds a phase from one or two frames without a network.

    Attributes:
        kind: "methods".
        name: name of the study, also of its folder.
        design: a design file, its path resolved from the study's folder; its optics are out of focus and learn nothing.
        seeds: every network is trained once with each of them, which replaces the design's training.seed.
        solvers: of the transport-of-intensity equation.
        set: key=value texts for the design.
        networks: the networks.
        quick: what `--quick` changes.
    """

    kind: Literal["methods"] = Field(description="kind of study", examples=["methods"])
    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["dlsrqpi-methods"])
    design: DesignFile = Field(description="a design file", examples=["../dlsrqpi.toml"])
    seeds: Seeds = Field(min_length=1, description="one seed or more", examples=[[0, 1, 2]])
    solvers: Annotated[tuple[TieMethod, ...], BeforeValidator(sequence), AfterValidator(distinct)] = Field(
        default=("fft", "dct", "universal"), description="solvers of the transport of intensity", examples=[["fft"]]
    )
    set: Settings = Field(default=(), description="key=value texts", examples=[["optics.coherence=0"]])
    networks: Annotated[tuple[Network, ...], BeforeValidator(sequence)] = Field(
        min_length=1, description="one network or more"
    )
    quick: Quick = Quick()

    @model_validator(mode="after")
    def _consistent(self) -> MethodsStudy:
        refuse(list(self._problems()))
        return self

    def _problems(self) -> Iterator[DesignProblem]:
        """Names that two rows would have."""
        taken = {name.casefold() for name in unlearned_methods(self.solvers)}
        for index, network in enumerate(self.networks):
            if network.name.casefold() in taken:
                message, expected = "another row has this name", "a name of its own"
                key, value = f"networks[{index}].name", toml_value(network.name)
                yield DesignProblem(key, message, value, expected, "rename the network")
            taken.add(network.name.casefold())

    def seeds_of(self, quick: bool) -> tuple[int, ...]:
        """The seeds of a run of the study."""
        return self.quick.seeds or self.seeds if quick else self.seeds

    def design_of(self, network: Network | None, seed: int, quick: bool, changes: Sequence[str] = ()) -> Design:
        """The design of a network, or of all that is not learned.

        Args:
            network: one of the networks, or None.
            seed: replaces training.seed.
            quick: whether what is for `--quick` counts.
            changes: further key=value texts; the last one of a key counts.

        Raises:
            DesignError: the design has problems.
        """
        settings = [*self.set, *(network.set if network else ())]
        if quick:
            settings += [*self.quick.set, *(network.quick if network else ())]
        return load_design(self.design, [*settings, *changes, f"training.seed={seed}"])


def load_methods_study(path: Path | str, quick: bool = False, changes: Sequence[str] = ()) -> MethodsStudy:
    """Read a study file, and check it with the design of each network.

    Args:
        path: a TOML file in UTF-8; the path of the design inside starts at its folder.
        quick: whether designs are checked as `--quick` changes them.
        changes: further key=value texts for all designs.

    Raises:
        DesignError: the file cannot be read, or the study or a design has problems; it holds all of them.
    """
    study = load_tables(path, MethodsStudy, example=_EXAMPLE)
    source = printable(str(path))
    try:
        plain = study.design_of(None, study.seeds[0], quick, changes)
        designs = [study.design_of(network, study.seeds[0], quick, changes) for network in study.networks]
    except DesignError as error:
        told = f"{source}, its key=value texts or --set"
        raise DesignError(
            [replace(one, source=told) if one.source == "--set" else one for one in error.problems]
        ) from None
    if problems := [*_optics_problems(plain), *_network_problems(plain, designs)]:
        raise DesignError([replace(problem, source=source) for problem in problems])
    return study


def _optics_problems(design: Design) -> Iterator[DesignProblem]:
    """Optics that make no pair of frames around the focus, or others for each network."""
    if defocus_of(design) == 0.0:
        message, expected = "its optics are in focus, where the transport of intensity shows nothing", "out of focus"
        yield DesignProblem("design", message, toml_value(design.name), expected, 'add "optics.defocus=4 um" to set')
    if design.optics.learns:
        message, expected = "its optics learn, and would be others for each network", "optics that learn nothing"
        yield DesignProblem("design", message, toml_value(design.name), expected, 'add "optics.learn=[]" to set')


def _network_problems(plain: Design, designs: Sequence[Design]) -> Iterator[DesignProblem]:
    """Networks that would be judged on other readings."""
    for index, design in enumerate(designs):
        if any(getattr(design, table) != getattr(plain, table) for table in _SAME):
            message, expected = "a network has a microscope or data of its own", "keys of decoder and training alone"
            remedy = "put what is for all networks into the study's set"
            yield DesignProblem(f"networks[{index}].set", message, expected=expected, remedy=remedy)
