"""What pages of a run are made with: templates, and figures as people write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from tasks.run.terminal import dollars

_JOINT = re.compile(r"(?<=\w[._/])(?=\w)")  # inside a qualified name or a path, where a line may break


def templates(package: str) -> Any:
    """The templates of a package, which may include those of tasks.page.

    Documents, ids and settings are a stranger's text: everything is escaped unless charts.py built it.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("tasks.page", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,  # and no trim_blocks: a line that ends in a block is parted from the next, as text is
    )
    environment.filters.update(
        number=lambda value: "–" if value is None else f"{value:,.0f}",
        decimals=lambda value, digits=3: "–" if value is None else f"{value:.{digits}f}",
        share=_share,
        money=lambda value: "–" if value is None else dollars(value),
        duration=_duration,
        breakable=lambda text: Markup("<wbr>").join(_JOINT.split(text)),  # escapes the parts
    )
    return environment


def settings_of(run: Path) -> list[tuple[str, str]]:
    """A run's settings as (name, text), without the place it is in."""
    shown = []
    for name, value in saved_settings(run).items():
        items = value if isinstance(value, list) else [value]
        shown.append(
            (str(name), ", ".join("–" if item is None else without_places(str(item)) for item in items))
        )
    return [(name, value) for name, value in shown if name != "runs_dir"]


def saved_settings(run: Path) -> dict[str, Any]:
    """A run's settings.yaml."""
    path = run / "settings.yaml"
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}


def without_places(text: str) -> str:
    """What is passed on tells neither how its maker's disk is arranged nor what opens its maker's stores.

    Of a path only the name stays; of a URL neither user and password nor the query, which may be a signature.
    """
    text = re.sub(r"(?<=://)[^/\s]*@", "", text)
    # Word by word and not by a pattern, whose time would grow with the square of a hostile text's length.
    text = re.sub(r"\S+", lambda word: _without_query(word[0]), text)
    return re.sub(r"(?<![\w:/.~-])~?(?:/[^/\s:]+)+/([^/\s:]+)", r"…/\1", text)


def _without_query(word: str) -> str:
    before, mark, after = word.partition("://")
    return before + mark + after.partition("?")[0] if mark else word


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
