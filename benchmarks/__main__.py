"""Compare and print: `python -m benchmarks [--device cuda] [--quick] [--json FILE] [--page FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where everything is computed")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device; the CPU is measured without it")
    plan = Plan(options.size, options.threads, options.quick, options.device)
    measured = list(rows(plan, lambda line: print(line, file=sys.stderr, flush=True)))
    about = machine(options.threads, options.device)
    if options.json:
        lines = [
            {"case": row.case, "against": row.against, "ratio": row.ratio, "target": row.target}
            for row in measured
            if row.ratio is not None
        ]
        options.json.write_text(json.dumps({"rows": lines, "machine": about}, indent=1, ensure_ascii=False) + "\n")
    if options.page:
        device = "" if options.device == "cpu" else f", --device {options.device}"
        how = f"{options.size}², {options.threads} threads{device}{', quick' if options.quick else ''}"
        options.page.write_text(markdown_page(measured, about, how), encoding="utf-8")
    print_table(measured, "their time or memory / ours; against the floor and limits: ours / theirs")
    print(json.dumps(about, ensure_ascii=False))


if __name__ == "__main__":
    main()
