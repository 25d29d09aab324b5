"""A command's options, made from declared settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from stacktune.help import WithExamples
from stacktune.settings.setting import Setting

Command = Callable[..., None]
# Is handed what was typed of a value, and returns whole values.
Completer = Callable[[str], list[str]]


class InSections(WithExamples):
    """A command whose help has sections.

    There is one for each group of settings.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "rich_help_panel", None) or "Other", []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def takes(settings: Sequence[Setting], complete: Mapping[str, Completer] = {}) -> Callable[[Command], Command]:
    """Give a command an option for each setting.

    Their values by key are its first argument.

    complete: by key, what a shell offers for a value. Values that were not typed are None, so that a file or the
    default may say them. The command's other parameters are options of its own.
    """

    def decorated(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        keys = [setting.key for setting in settings]

        @functools.wraps(command)
        def called(**typed: Any) -> None:
            flags: Mapping[str, Any] = {key: typed.pop(key) for key in keys}
            command(flags, **typed)

        parameters = [
            *(_parameter(one, complete.get(one.key)) for one in settings),
            *(one.replace(kind=Parameter.KEYWORD_ONLY) for one in own),
        ]
        called.__dict__["__signature__"] = Signature(parameters)
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return decorated


def _parameter(setting: Setting, complete: Completer | None) -> Parameter:
    spec = setting.spec
    shown: dict[str, Any] = {"help": setting.help, "rich_help_panel": setting.group, "show_default": False}
    if complete is not None:
        shown["autocompletion"] = complete
    if spec.is_argument:
        option = typer.Argument(metavar=spec.metavar, **shown)
    elif setting.is_switch:
        option = typer.Option(setting.flag, **shown)
    else:
        option = typer.Option(setting.flag, metavar=spec.metavar, **shown)
    value = spec.kind.flag_type | None
    return Parameter(setting.key, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[value, option])
