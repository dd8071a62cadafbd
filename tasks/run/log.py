"""The log of a run: RUN/log.txt, with the tracebacks that the terminal does not show."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.records import BadInput, Stopped

LOG = "log.txt"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("sluice")


@contextmanager
def logged(run: Path) -> Iterator[None]:
    """Append what is logged inside the block, and the warnings of libraries, to the run's log.

    An error that ends the block is logged, with its traceback unless its message is all there is to say, and gets a
    note that names the log.
    """
    handler = _LogFile(run / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    # Prefect's loggers do not hand their records on to the root.
    loggers = [logging.getLogger(), logging.getLogger("prefect")]
    for logger in loggers:
        logger.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    except (BadInput, Stopped) as error:
        log.error("stopped: %s", error)
        raise
    except BaseException as error:
        log.error("stopped by %s", type(error).__name__, exc_info=error)
        error.add_note(f"the traceback is in {run / LOG}")
        raise
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _LogFile(logging.FileHandler):
    """A log file that keeps quiet when it cannot be written to: on a full disk the run has already said so."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass
