"""Models by name, on a model hub: whether there is one, asked before anything is fetched."""

from __future__ import annotations

import re
from functools import cache

from tasks.records import BadInput

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def is_name(text: str) -> bool:
    """Whether a text has the form of a model's name on the hub: 'model' or 'owner/model'."""
    return _NAME.fullmatch(text) is not None


@cache  # the command asks before it starts Prefect, the flow asks again
def check_model(name: str, subject: str, instead: str) -> None:
    """Whether a model is in the local cache or, at the price of one request, on the hub.

    Args:
        name: of the model.
        subject: what a message begins with, "--encoder NAME".
        instead: what to give where the hub cannot be asked, "the folder of a saved encoder".

    Raises:
        BadInput: there is no such model, it is adapters alone, or the hub cannot be asked.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        # A mirror of the hub need not list a repository's files.
        files = getattr(HfApi().model_info(name, timeout=10), "siblings", None)
    except (RepositoryNotFoundError, HFValidationError):
        raise BadInput(f"{subject}: neither a folder here nor a model of the hub; check the name") from None
    except Exception as error:  # every way in which a network fails
        raise BadInput(
            f"{subject}: neither a folder here nor in the hub's local cache, and the hub cannot be asked "
            f"({type(error).__name__}); give {instead}"
        ) from None
    if files is not None and all(file.rfilename != "config.json" for file in files):
        raise BadInput(
            f"{subject}: no config.json in its repository (adapters alone have none); give a whole model's name"
        )
