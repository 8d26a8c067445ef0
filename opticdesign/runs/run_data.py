"""The data of a run: the files that it was trained on, and no others unless that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opticdesign.data import Split
from opticdesign.data.fingerprint import Fingerprint, differences, fingerprints
from opticdesign.data.source import load_split
from opticdesign.design import Design, SyntheticData
from opticdesign.errors import RunError
from opticdesign.runs.run_folder import Run

__all__ = ["DATA_CHANGED", "RunData", "check_data", "data_facts", "refuse_other_data", "run_data"]

DATA_CHANGED = "--data-changed"
_SHOWN = 3


@dataclass(frozen=True)
class RunData:
    """What a run is judged on.

    Args:
        split: the fields.
        notes: what is not known about the files, or is not as it was.
        changed: whether they are other files than the run was trained on.
    """

    split: Split
    notes: tuple[str, ...] = ()
    changed: bool = False


def data_facts(design: Design) -> list[dict[str, Any]]:
    """Name, length and SHA-256 of every data file of a design, for run.json; none of synthetic data.

    Raises:
        DataError: the files are not there.
    """
    return [asdict(one) for one in fingerprints(design.data)]


def run_data(run: Run, changed: bool = False) -> RunData:
    """The data of a run, split.

    Args:
        run: the run.
        changed: whether other files are taken, too.

    Raises:
        RunError: the files are not those that the run was trained on.
        DataError: they cannot be read.
    """
    notes, differ = check_data(run, changed)
    return RunData(load_split(run.design), notes, differ)


def check_data(run: Run, changed: bool = False) -> tuple[tuple[str, ...], bool]:
    """What is to be said about the data files of a run, and whether they are others than it was trained on.

    Raises:
        RunError: they are, and `changed` does not say so.
        DataError: they are not there.
    """
    if isinstance(run.design.data, SyntheticData):
        return (), False
    made = run.info.get("data")
    if made is None:
        return (f"{run.folder} does not say which data files it was made with: they are taken as they are",), False
    found = differences([Fingerprint.of(one) for one in made], fingerprints(run.design.data))
    if found and not changed:
        raise _other_files(
            str(run.folder), run.design, found, f", or add {DATA_CHANGED} to go on with these on purpose"
        )
    if not found:
        return (), False
    return (f"not the data that the run was trained on ({DATA_CHANGED}): {_listed(found)}",), True


def refuse_other_data(place: str, design: Design, made: Sequence[dict[str, Any]] | None) -> None:
    """Refuse data of a design that is not what something was made with, where that is known.

    Args:
        place: what was made.
        design: the design.
        made: name, length and SHA-256 of each file that it was made with.

    Raises:
        RunError: the files are others.
    """
    if made is None or isinstance(design.data, SyntheticData):
        return
    if found := differences([Fingerprint.of(one) for one in made], fingerprints(design.data)):
        raise _other_files(place, design, found, ", or begin anew with another --output")


def _other_files(place: str, design: Design, found: Sequence[str], otherwise: str) -> RunError:
    path = getattr(design.data, "path", "")
    return RunError(
        f"{path}: not the data that {place} was made with: {_listed(found)}",
        expected="the files whose SHA-256 were recorded then",
        remedy=f"put them back{otherwise}",
    )


def _listed(found: Sequence[str]) -> str:
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
