"""The uvala command. Importing this costs no torch: a command imports what it needs when it is called."""

import os
import sys
import time


def _process_seconds() -> float:
    """How long this process has existed; 0 where the system does not tell, or tells what cannot be."""
    try:
        with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
            ticks = int(stat.read().rpartition(")")[2].split()[19])  # field 22 of proc(5)
            seconds = float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return seconds if 0 < seconds < 60 else 0.0


STARTED = time.monotonic() - _process_seconds()  # a budget counts from here, all imports included

import typer  # noqa: E402 - the clock starts first

from uvala.cli import (  # noqa: E402
    cache,
    check,
    compare,
    evaluate,
    export,
    export_weights,
    import_weights,
    models,
    plan,
    predict,
    recipes,
    sample_data,
    train,
)
from uvala.errors import RankError, UvalaError  # noqa: E402

__all__ = ["app", "main"]

app = typer.Typer(
    name="uvala",
    help="U-Net segmentation that works: from a folder of images and masks to a trained, evaluated model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    plan,
    train,
    recipes,
    predict,
    evaluate,
    compare,
    check,
    models,
    import_weights,
    export_weights,
    export,
    sample_data,
    cache,
):
    app.command(module.NAME)(module.command)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """U-Net segmentation that works: from a folder of images and masks to a trained, evaluated model."""


def main() -> None:
    """Run the command; an error that a user can mend is one sentence and exit code 2."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")  # it may stand anywhere on the line
    try:
        app()
    except UvalaError as error:
        if debug:
            raise
        rank = os.environ.get("RANK", "0")
        # of several processes one alone says that they have lost each other
        if rank == "0" or not isinstance(error, RankError):
            print(f"uvala: {f'rank {rank}: ' if rank != '0' else ''}{error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        if debug:
            raise
        said = f" ({error})" if str(error) else ""
        print(
            f"uvala: found not enough memory{said}; expected room for what was asked; make patches or batches"
            " smaller, or free memory",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("uvala: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader of a pipe (head) has enough; Python would complain again while closing stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
