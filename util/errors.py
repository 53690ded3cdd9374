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
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
