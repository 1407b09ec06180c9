"""Typer options derived from the dataclasses of `config.py`: nothing is declared twice.

Every option's default is None on the typer side, so that a command knows which were given; the
real default is shown in the help.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

from melodai.config import Config
from melodai.errors import SettingError

ADOPT = typer.Option(
    False, "--adopt", help="Go on with a folder of an earlier version, which does not say which "
    "songs it was begun with: they are these.",
)  # fmt: skip


def number_or_full(text: str) -> float | str:
    """`--segment-seconds`: a number of seconds, or the word full."""
    if text.strip().casefold() == "full":
        return "full"
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number of seconds nor 'full'") from None


def with_config_options(
    command: Callable[..., None], sections: Iterable[type] | None = None
) -> Callable[..., None]:
    """Gives a command one option for every setting.

    The command's own parameters stay; the settings that were given reach it as the keyword
    argument `options`, a dict.

    Args:
        sections: dataclasses whose fields are the settings; those of `Config` if None.
    """
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "options"]
    derived = [
        _parameter(field, hint, section.__doc__)
        for section in sections or get_type_hints(Config).values()
        for field, hint in _fields(section)
    ]
    names = {parameter.name for parameter in derived}

    def wrapped(**arguments: Any) -> None:
        given = {
            name: value for name in names if (value := arguments.pop(name, None)) not in (None, [])
        }
        command(**arguments, options=given)

    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *derived)]
    )
    wrapped.__annotations__ = {p.name: p.annotation for p in (*own, *derived)}
    return wrapped


def _fields(section: type) -> list[tuple[dataclasses.Field, Any]]:
    hints = get_type_hints(section)
    return [(field, hints[field.name]) for field in dataclasses.fields(section)]


def _parameter(field: dataclasses.Field, hint: Any, panel: str | None) -> inspect.Parameter:
    kind = _plain_type(hint)
    flag = "--" + field.name.replace("_", "-")
    older = [f"--{field.metadata['formerly']}"] if field.metadata["formerly"] else []
    extra: dict[str, Any] = {}
    annotation = list[kind] if get_origin(hint) is tuple else kind
    if kind is bool:
        flag = f"{flag}/--no-{flag[2:]}"
    if field.metadata["choices"]:
        extra["metavar"] = "[" + "|".join(field.metadata["choices"]) + "]"
    if _accepts_full(hint):
        extra |= {"parser": number_or_full, "metavar": "SECONDS|full"}
    option = typer.Option(
        None, flag, *older, help=_help(field), show_default=False, rich_help_panel=panel, **extra
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation | None
    )


def _help(field: dataclasses.Field) -> str:
    """The field's sentence and its default; the bracket is escaped, for rich reads it as markup."""
    text, default = field.metadata["help"], field.default
    if isinstance(default, bool):
        default = "on" if default else "off"
    text = text if default in (None, ()) else f"{text}  [default: {default}]"
    return text.replace("[", "\\[")


def _accepts_full(hint: Any) -> bool:
    return any(get_origin(part) is Literal for part in get_args(hint))


def _plain_type(hint: Any) -> Any:
    for part in get_args(hint) or (hint,):
        if part in (bool, int, float, str, Path):
            return part
    raise SettingError(f"no command line option can be made for {hint}")
