"""Finished work on disk: shards of judged points, each written once under the hash of what it depends on.

A shard holds the metrics of a few points. What it depends on, the study's key, the points' values and their numbers,
names its file, so that a shard found there needs no other check than that it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opticdesign.storage import json_sha256, storage_errors, write_bytes

__all__ = ["Shard", "Store", "Table"]

Table = dict[str, NDArray[np.float64]]  # metric → (points, images)


@dataclass(frozen=True)
class Shard:
    """Points that are judged together.

    Args:
        study: hash of everything a metric depends on beside the point.
        kind: how they are judged, "evaluate" or "retuned", see `evaluator.Bench`.
        values: parameters of each point, SI.
        indices: number of each point.
    """

    study: str
    kind: str
    values: tuple[tuple[float, ...], ...]
    indices: tuple[int, ...]

    @classmethod
    def of(cls, study: str, kind: str, values: NDArray[np.float64], indices: Sequence[int]) -> Shard:
        """The shard of some points (n, d)."""
        rows = tuple(tuple(float(value) for value in row) for row in values)
        return cls(study, kind, rows, tuple(int(index) for index in indices))

    @property
    def key(self) -> str:
        """Hash of all that its metrics depend on."""
        return json_sha256(asdict(self))


@dataclass(frozen=True)
class Store:
    """A folder of shards.

    Args:
        folder: where they are; made with the first of them.
        on_news: hears a line when a damaged shard is set aside.
    """

    folder: Path
    on_news: Callable[[str], None]

    def read(self, shard: Shard) -> Table | None:
        """The stored metrics of a shard; None where there are none, or where they were damaged and are set aside."""
        path = self._path(shard)
        with storage_errors(path):
            content = path.read_bytes() if path.exists() else None
        if content is None:
            return None
        table = _whole(content, shard)
        if table is None:
            aside = path.with_suffix(".damaged")
            with storage_errors(path):
                path.replace(aside)
            self.on_news(f"{path}: damaged; set aside as {aside.name} and computed again")
        return table

    def write(self, shard: Shard, table: Table) -> None:
        """Store the metrics of a shard."""
        metrics = {name: column.tolist() for name, column in table.items()}
        record = {"format": 1, "key": shard.key, "sha256": json_sha256(metrics), "indices": shard.indices}
        write_bytes(self._path(shard), json.dumps(record | {"metrics": metrics}, allow_nan=False).encode() + b"\n")

    def _path(self, shard: Shard) -> Path:
        return self.folder / f"{shard.key[:32]}.json"


def _whole(content: bytes, shard: Shard) -> Table | None:
    """The metrics in a file's content, if it is what was written for this shard."""
    try:
        record = json.loads(content)
        if record["key"] != shard.key or record["sha256"] != json_sha256(record["metrics"]):
            return None
        return {name: np.asarray(column, dtype=np.float64) for name, column in record["metrics"].items()}
    except (ValueError, KeyError, TypeError):
        return None
