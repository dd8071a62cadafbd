"""The log of a run: RUN/log.txt, with the tracebacks that the terminal does not show."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.records import BadInput, Stopped

LOG = "log.txt"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(run)s%(message)s"

log = logging.getLogger("sluice")


@contextmanager
def logged(run: Path) -> Iterator[None]:
    """Append what is logged inside the block, and the warnings of libraries, to the run's log.

    An error that ends the block is logged, with its traceback unless its message is all there is to say, and gets a
    note that names the log.
    """
    handler = _LogFile(run / LOG, encoding="utf-8")
    handler.setFormatter(_Format(_FORMAT))
    # Prefect's loggers hand their records on to the root, unless its configuration has them not.
    prefect = logging.getLogger("prefect")
    loggers = [logging.getLogger()] if prefect.propagate else [logging.getLogger(), prefect]
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


class _Format(logging.Formatter):
    """Names the task or flow run that a record of Prefect's is about: its message does not."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        run = getattr(record, "task_run_name", None) or getattr(record, "flow_run_name", None)
        record.run = f"{run}: " if run else ""
        return super().formatMessage(record)


class _LogFile(logging.FileHandler):
    """A log file that keeps quiet when it cannot be written to: on a full disk the run has already said so."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass
