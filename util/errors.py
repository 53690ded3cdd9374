"""Mistakes of the user's, and how a step script tells them."""

import signal
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Something that a user gave is wrong: the message names it, what was wanted and what was got."""


def run_step(main: Callable[[], None]) -> None:
    """Runs a step script's main function; a user's mistake ends in one line and exit status 1, no traceback.

    Anything else that goes wrong is ours, and keeps its traceback. SIGTERM ends a step as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except (InputError, OSError) as error:
        sys.exit(f"error: {told(error)}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def told(error: Exception) -> str:
    """An error as one line; of the system's the file and what is wrong with it, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
