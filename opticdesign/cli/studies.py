"""The command that runs a study, whatever its kind, and prints its table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opticdesign.cli.options import Device, Json, Setting, app

if TYPE_CHECKING:
    from typing import TypeAlias

    from opticdesign.studies.autoencoders.table import AutoencoderResult
    from opticdesign.studies.methods.table import MethodsTable
    from opticdesign.studies.quantisation.table import QuantisationTable
    from opticdesign.studies.scheduling import StudyOptions
    from opticdesign.studies.table.table import StudyTable
    from opticdesign.studies.transfer.table import TransferTable

    Result: TypeAlias = StudyTable | AutoencoderResult | QuantisationTable | MethodsTable | TransferTable

__all__ = ["study"]


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="study file (TOML), or the name of a shipped study")],
    setting: Setting = None,
    device: Device = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="smoke budget, with the study's quick values; marked in every result")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder of the runs and tables; default runs/studies/NAME")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="rows trained at the same time, one a process")] = 1,
    as_json: Json = False,
) -> None:
    """Train every row of STUDY with every seed, beside its floors, and print the table; again to continue."""
    from opticdesign.cli.progress import StopRequest
    from opticdesign.design.shipped import design_file
    from opticdesign.errors import StudyStopped
    from opticdesign.processes import choose_device
    from opticdesign.studies.fields import study_kind
    from opticdesign.studies.files import study_stem
    from opticdesign.studies.scheduling import StudyOptions

    file = design_file(file)
    run = _RUNS.get(study_kind(file), _table_study)
    options = StudyOptions(choose_device(device), output, quick, workers, tuple(setting or ()))
    try:
        with StopRequest() as stop:
            result, folder = run(file, options, stop)
    except StudyStopped as stopped:
        typer.echo(f"{stopped}; the same command continues it", err=True)
        raise typer.Exit(130) from None
    _show(result, as_json)
    typer.echo(f"written to {folder / study_stem(result.name, quick)}.md, .csv and .json", err=True)
    if any(row.mark == "failed" for row in result.rows):
        raise typer.Exit(1)


def _show(result: Result, as_json: bool) -> None:
    """Print a table and what is said below it, or all there is as JSON."""
    from dataclasses import asdict

    from opticdesign.cli.options import print_json
    from opticdesign.cli.tables import print_table, study_table
    from opticdesign.studies.files import FAILED

    if as_json:
        print_json(asdict(result))
        return
    print_table(study_table(result))
    for heading, lines in result.remarks().items():
        for line in lines:
            typer.echo(f"failed: {line}" if heading == FAILED else line)


def _table_study(file: Path, options: StudyOptions, stop: Callable[[], bool]) -> tuple[Result, Path]:
    """Run a study of designs; gives its table and where that is written."""
    from opticdesign.studies.scheduling import study_folder
    from opticdesign.studies.table.running import run_study
    from opticdesign.studies.table.schema import load_study
    from opticdesign.studies.table.table import tabulate, write_table

    loaded = load_study(file, options.quick, options.changes)
    table = tabulate(loaded, run_study(loaded, options, _tell, stop), options.quick)
    write_table(study_folder(loaded.name, options), table)
    return table, study_folder(loaded.name, options)


def _autoencoder_study(file: Path, options: StudyOptions, stop: Callable[[], bool]) -> tuple[Result, Path]:
    """Run a study of autoencoders of digits."""
    from opticdesign.studies.autoencoders.running import run_autoencoder_study
    from opticdesign.studies.autoencoders.schema import load_autoencoder_study
    from opticdesign.studies.scheduling import study_folder

    loaded = load_autoencoder_study(file, options.changes)
    return run_autoencoder_study(loaded, options, _tell, stop), study_folder(loaded.name, options)


def _quantisation_study(file: Path, options: StudyOptions, stop: Callable[[], bool]) -> tuple[Result, Path]:
    """Run a study of quantisation."""
    from opticdesign.studies.quantisation.running import run_quantisation_study
    from opticdesign.studies.quantisation.schema import load_quantisation_study
    from opticdesign.studies.scheduling import study_folder

    loaded = load_quantisation_study(file, options.quick, options.changes)
    return run_quantisation_study(loaded, options, _tell, stop), study_folder(loaded.name, options)


def _methods_study(file: Path, options: StudyOptions, stop: Callable[[], bool]) -> tuple[Result, Path]:
    """Run a study of methods that find a phase."""
    from opticdesign.studies.methods.running import run_methods_study
    from opticdesign.studies.methods.schema import load_methods_study
    from opticdesign.studies.scheduling import study_folder

    loaded = load_methods_study(file, options.quick, options.changes)
    return run_methods_study(loaded, options, _tell, stop), study_folder(loaded.name, options)


def _transfer_study(file: Path, options: StudyOptions, stop: Callable[[], bool]) -> tuple[Result, Path]:
    """Run a study of transfer."""
    from opticdesign.studies.scheduling import study_folder
    from opticdesign.studies.transfer.running import run_transfer_study
    from opticdesign.studies.transfer.schema import load_transfer_study

    loaded = load_transfer_study(file, options.quick, options.changes)
    return run_transfer_study(loaded, options, _tell, stop), study_folder(loaded.name, options)


_RUNS = {
    "autoencoders": _autoencoder_study,
    "quantisation": _quantisation_study,
    "methods": _methods_study,
    "transfer": _transfer_study,
}


def _tell(news: str) -> None:
    typer.echo(news, err=True)
