"""Compare and print: `python -m benchmarks [--quick] [--json FILE] [--page FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.plan import Plan, rows
from benchmarks.table import markdown_page, print_table

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and, if asked, write {"rows": …, "machine": …}."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few cases and rounds: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write rows and machine to FILE")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write a page of documentation to FILE")
    parser.add_argument("--size", type=int, default=256, metavar="N", help="rows and columns, a multiple of 32")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads and cores for every contender")
    options = parser.parse_args(arguments)
    measured = list(
        rows(Plan(options.size, options.threads, options.quick), lambda line: print(line, file=sys.stderr, flush=True))
    )
    about = machine(options.threads)
    if options.json:
        lines = [
            {"case": row.case, "against": row.against, "ratio": row.ratio, "target": row.target}
            for row in measured
            if row.ratio is not None
        ]
        options.json.write_text(json.dumps({"rows": lines, "machine": about}, indent=1, ensure_ascii=False) + "\n")
    if options.page:
        how = f"{options.size}², {options.threads} threads{', quick' if options.quick else ''}"
        options.page.write_text(markdown_page(measured, about, how), encoding="utf-8")
    print_table(measured, "their time or memory / ours; against the floor and limits: ours / theirs")
    print(json.dumps(about, ensure_ascii=False))


if __name__ == "__main__":
    main()
