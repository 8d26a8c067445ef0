"""Changes of run.json as another process would make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opticdesign.storage import read_record, write_record


def edit_run(folder: Path, *left_out: str, **values: Any) -> None:
    """Replace values of run.json, or leave some out."""
    info = read_record(folder / "run.json") | values
    write_record(folder / "run.json", {key: value for key, value in info.items() if key not in left_out})
