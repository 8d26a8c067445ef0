"""The command line: reads arguments, calls one step, prints; errors become one message and an exit code."""

from __future__ import annotations

import io
import os
import sys

import typer

from opticdesign.cli import (  # noqa: F401 (they register)
    commands,
    data,
    glossary,
    making,
    masks,
    phase,
    runs,
    studies,
    tolerancing,
)
from opticdesign.cli.options import app
from opticdesign.errors import OpticDesignError, StorageError

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed check, 2 usage or design, 3 divergence, 4 disk, 130 stopped."""
    from opticdesign.cli.progress import stop_at_signals

    # threads that wait by spinning keep those of other runs from the cores; read when torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    stop_at_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no µ is no reason to stop
    code = run_command()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        # under torchrun all is written by now; the threads of torch's communication now and then abort a normal exit
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run_command() -> int:
    """Run the command line that `sys.argv` holds; returns the exit code."""
    try:
        result = app(standalone_mode=False)
    except OpticDesignError as error:
        return _tell(str(error), error.exit_code)
    except BrokenPipeError:
        # the reader of our output went away; Python would complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _tell("stopped", 130)
    except OSError as error:
        return _tell(f"{error.filename or 'disk'}: {error.strerror or error}", StorageError.exit_code)
    except Exception as error:  # the last line of defence: whatever else fails must not print a traceback
        return _unexpected(error)
    return result if isinstance(result, int) else 0


def _unexpected(error: Exception) -> int:
    if isinstance(error, typer.Abort):
        return _tell("stopped", 130)
    # a wrong option, say: typer's own errors, whichever package they live in, know how to show themselves
    if callable(show := getattr(error, "show", None)) and isinstance(code := getattr(error, "exit_code", None), int):
        show()
        return code
    if os.environ.get("OPTICDESIGN_DEBUG"):
        raise error
    return _tell(
        f"internal error: {type(error).__name__}: {error}\n"
        "  remedy:   please report this with the command; OPTICDESIGN_DEBUG=1 shows where it happened",
        1,
    )


def _tell(message: str, code: int) -> int:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text("error: ", style="bold red") + Text(message) if code != 130 else Text(message))
    return code
