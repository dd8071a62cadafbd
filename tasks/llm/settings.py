"""Settings of flows that may ask a language model: which one, where, at what price, within which limits."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from tasks.llm.ask import Asker, Asking, Limits, OutOfMoney
from tasks.llm.batched import BatchAsker
from tasks.llm.endpoint import Endpoint, Server, bound_at, checked_address, key_from
from tasks.llm.local import LocalModel, check_local
from tasks.llm.prices import Prices, price_of
from tasks.llm.request import MOST_ANSWERED
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tasks.run.folder import absolute_path, payer_of
from tasks.run.settings import RunSettings, group
from tasks.train.checkpoint import model_fingerprint

Model = TypeVar("Model")

BATCH = "batch"  # folder of a run: files for a batch API, and its results
_MODEL = group("Model")
_KEY = "OPENAI_API_KEY"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ModelSettings(RunSettings):
    """The fields of a flow that may ask a model."""

    place: ClassVar[frozenset[str]] = RunSettings.place | {
        "llm_url",
        "llm_key",
        "max_cost",
        "concurrency",
        "requests_per_minute",
        "llm_timeout",
        "llm_retries",
        "llm_batch",
        "dry_run",
    }

    dry_run: Annotated[bool, Field(exclude=True, json_schema_extra=_MODEL)] = False
    """Read the input, say what the run would cost, and end before anything is paid for; --resume goes on from there."""

    llm_url: Annotated[str, Field(json_schema_extra=_MODEL)] = ""
    """Base URL of an OpenAI-compatible server, as http://127.0.0.1:8000/v1; without it the model runs in this process."""

    model: Annotated[str, Field(json_schema_extra=_MODEL)] = ""
    """The model's name at the server; without a server the folder of a saved model, or its name on a hub."""

    llm_key: Annotated[str, Field(json_schema_extra=_MODEL)] = _KEY
    """Where the API key is: the name of an environment variable, or block:NAME for a Prefect Secret block."""

    llm_batch: Annotated[bool, Field(json_schema_extra=_MODEL)] = False
    """Ask through files for a batch API: write the requests into the run's folder and stop; with the results beside them
    --resume goes on. The prices are the batch API's, and --llm-url tells whose names of parameters to use."""

    max_cost: Annotated[float | None, Field(ge=0, json_schema_extra=_MODEL)] = None
    """Budget of the run, US dollars: a request that may exceed it is not sent. Needs both prices, of input and of output."""

    price_table: Annotated[str, Field(json_schema_extra=_MODEL)] = ""
    """A table of prices: a YAML file with input, output and perhaps cached of each model by its name, US dollars for a million
    tokens. The following win over it."""

    price_input: Annotated[float | None, Field(ge=0, json_schema_extra=_MODEL)] = None
    """Price of a million tokens sent to the model, US dollars."""

    price_cached: Annotated[float | None, Field(ge=0, json_schema_extra=_MODEL)] = None
    """Price of a million of those that the server had in its prefix cache; by default as the others."""

    price_output: Annotated[float | None, Field(ge=0, json_schema_extra=_MODEL)] = None
    """Price of a million tokens of the model's answers, US dollars."""

    temperature: Annotated[float | None, Field(ge=0, le=2, json_schema_extra=_MODEL)] = 0.0
    """Temperature of the model's answers; null leaves it to the server."""

    max_answer_tokens: Annotated[int, Field(ge=16, json_schema_extra=_MODEL)] = 4096
    """Longest answer to a request, tokens. A budget sets aside as much for every request under way."""

    concurrency: Annotated[int, Field(ge=1, le=1024, json_schema_extra=_MODEL)] = 32
    """Requests at the same time."""

    requests_per_minute: Annotated[float | None, Field(gt=0, json_schema_extra=_MODEL)] = None
    """Requests in a minute, at most, by all runs of this machine."""

    llm_timeout: Annotated[float, Field(gt=0, json_schema_extra=_MODEL)] = 120.0
    """Seconds after which a request counts as lost."""

    llm_retries: Annotated[int, Field(ge=0, le=100, json_schema_extra=_MODEL)] = 6
    """Further tries of a request after a passing fault."""

    @property
    def is_remote(self) -> bool:
        """Whether the model is a name that others know, and nothing that runs in this process."""
        return bool(self.llm_url) or self.llm_batch

    def prices(self) -> Prices:
        """Prices of the model; 0 where none is given.

        Raises:
            BadInput: the table of prices cannot be read, or does not know the model.
        """
        return Prices(**self.given_prices())

    def given_prices(self) -> dict[str, float]:
        """Those prices of the model that are given, by the names of the fields of `Prices`.

        Raises:
            BadInput: the table of prices cannot be read, or does not know the model.
        """
        given = {"input": self.price_input, "cached": self.price_cached, "output": self.price_output}
        listed = price_of(self.price_table, self.model) if self.price_table else {}
        return {**listed, **{name: price for name, price in given.items() if price is not None}}

    def parameters(self) -> dict[str, Any]:
        """Of every request."""
        own = {} if self.temperature is None else {"temperature": self.temperature}
        return {MOST_ANSWERED: self.max_answer_tokens, **own}

    def limits(self) -> Limits:
        return Limits(
            concurrency=self.concurrency,
            per_minute=self.requests_per_minute,
            retries=self.llm_retries,
            timeout=self.llm_timeout,
        )


def check_model(settings: ModelSettings, wanted_by: str) -> None:
    """What can be said about the model before a run starts, without asking it anything.

    Args:
        wanted_by: the flag that wants a model, for messages.

    Raises:
        BadInput: one line.
    """
    if not settings.model:
        raise BadInput(f"{wanted_by} needs --model, and --llm-url where a server has it")
    given = settings.given_prices()
    if settings.max_cost is not None and not {"input", "output"} <= given.keys():
        raise BadInput(
            "--max-cost needs prices: give --price-input and --price-output, in dollars for a million tokens, 0 for what costs "
            "nothing"
        )
    if not settings.is_remote:
        check_local(settings.model)
    if settings.llm_url:
        checked_address(settings.llm_url)
        _check_key(settings.llm_key)


def _check_key(source: str) -> None:
    """Whether there is a key where it should be. A message never shows what was given: it may be the key itself."""
    if not source.startswith("block:") and source and not _VARIABLE.fullmatch(source):
        raise BadInput(
            "--llm-key is no name of an environment variable; give a variable's name or block:NAME, never the key itself"
        )
    if not key_from(source) and source not in ("", _KEY):
        raise BadInput("--llm-key names an environment variable that is not set")


def absolute_model(settings: ModelSettings, name: str) -> str:
    """A model's name; where it is a folder of this machine, the absolute path."""
    return name if settings.is_remote else absolute_path(name)


def asked_model(settings: ModelSettings, name: str) -> str:
    """What requests, and so their keys, call a model; a folder of this machine with a mark of its files: it may be written anew."""
    mark = "" if settings.is_remote or not name else model_fingerprint(name)
    return f"{name}@{mark[:16]}" if mark else name


def model_fingerprints(**models: Iterable[str]) -> dict[str, str]:
    """Fingerprints of models that are folders of this machine, also where a server has them, by the fields that name them.

    A model on a hub or at a server counts by its name, which is a setting.

    Args:
        models: absolute paths and other names.
    """
    found = {
        field: [mark for name in names if Path(name).is_absolute() and (mark := model_fingerprint(name))]
        for field, names in models.items()
    }
    return {field: " ".join(marks) for field, marks in found.items() if marks}


def in_turn(settings: ModelSettings, models: Iterable[Model], ask: Callable[[Model], None]) -> None:
    """Have several models asked, one after the other.

    What is put off is told when all have had their turn: where the budget does not suffice for one another may be cheaper,
    and the requests to all are written into files for a batch API at once.

    Raises:
        Stopped: what `ask` raised first, files that are to be answered before a budget that is spent.
    """
    put_off: Stopped | None = None
    for model in models:
        try:
            ask(model)
        except Stopped as why:
            if not (settings.llm_batch or isinstance(why, OutOfMoney)):
                raise
            if not put_off or (isinstance(put_off, OutOfMoney) and not isinstance(why, OutOfMoney)):
                put_off = why
    if put_off:
        raise put_off


def requests_path(settings: RunSettings) -> Path:
    """The store of model replies, shared by all runs in the folder of runs."""
    return Path(settings.runs_dir).expanduser().resolve() / "requests.sqlite"


@asynccontextmanager
async def asking(
    settings: ModelSettings, store: RequestStore, run: Path, *, stage: str
) -> AsyncIterator[Asking]:
    """An asker with the settings' model, limits, prices and budget.

    Args:
        run: folder of the run that pays.
    """
    account: dict[str, Any] = {
        "payer": payer_of(run),
        "stage": stage,
        "prices": settings.prices(),
        "budget": settings.max_cost,
    }
    if settings.llm_batch:
        yield BatchAsker(run / BATCH, store, bound=bound_at(settings.llm_url), **account)
        return
    endpoint: Endpoint
    if settings.llm_url:
        endpoint = Server(
            settings.llm_url,
            key_from(settings.llm_key),
            timeout=settings.llm_timeout,
            connections=settings.concurrency,
        )
    else:
        endpoint = _local(settings.model, asked_model(settings, settings.model))
    try:
        yield Asker(endpoint, store, limits=settings.limits(), **account)
    finally:
        if settings.llm_url:  # a local model stays for the next round
            await endpoint.close()


@cache
def _local(name: str, asked: str) -> LocalModel:
    """The model, which stays as it was loaded: what requests call another is loaded anew."""
    return LocalModel(name)
