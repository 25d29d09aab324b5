"""Declares one setting.

Everything else that can be told of it follows from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from stacktune.settings.kinds import TRUTH, Kind


class Resume(Enum):
    """The effects of resuming on a setting."""

    KEPT = "it is as it was, or trials could not be compared"
    FOUND = "it is as the run found it to be, which the settings may leave out"
    FREE = "it may be given anew"
    TYPED = "it holds only where the command gives it: a folder may come from anywhere"


@dataclass(frozen=True)
class Spec:
    """A field's words about its setting.

    Its type and its default stand beside it.

    kind: what values are, and the words of the rule. metavar: what stands for a value in the help; "" for a switch.
    help: what it does, in a sentence.
    without: what holds where it is not given and the default does not tell, as in "all".
    key: how flags and files spell it, with dashes and underscores; "" is the field's name.
    missing: what is said where it is needed and left out. is_argument: it is typed without a flag.
    may_hold_secret: a URI may have a user, a password or a token, which are written nowhere.
    resume: what becomes of it when a run goes on.
    """

    kind: Kind
    metavar: str
    help: str
    without: str = ""
    key: str = ""
    missing: str = ""
    is_argument: bool = False
    may_hold_secret: bool = False
    resume: Resume = Resume.KEPT


@dataclass(frozen=True)
class Setting:
    """One setting, as its group declares it.

    name: the field's. default: MISSING where it has to be given.
    """

    name: str
    group: str
    default: Any
    spec: Spec

    @property
    def key(self) -> str:
        """Return how flags and files spell it.

        Flags have dashes, and files underscores.
        """
        return self.spec.key or self.name

    @property
    def flag(self) -> str:
        """Return its name on the command line.

        A user types it so.
        """
        return self.spec.metavar if self.spec.is_argument else f"--{self.key.replace('_', '-')}"

    @property
    def help(self) -> str:
        """Return what it and its absence mean."""
        is_telling = isinstance(self.default, str | int) and not isinstance(self.default, bool)
        without = self.spec.without or (str(self.default) if is_telling else "")
        return f"{self.spec.help} [default: {without}]" if without else self.spec.help

    def without_it(self, default: str) -> Setting:
        """Return the setting with another default meaning.

        It is that of a command for which the setting's absence means something else.
        """
        return replace(self, spec=replace(self.spec, without=default))

    @property
    def is_switch(self) -> bool:
        """Return whether its flag takes no value."""
        return self.spec.kind is TRUTH


def declared_in(group: type, title: str) -> Iterator[Setting]:
    """Yield a group's own settings in its order."""
    hints = get_type_hints(group, include_extras=True)
    defaults = {field.name: field.default for field in fields(group)}
    for name in group.__annotations__:
        spec = next((one for one in get_args(hints[name]) if isinstance(one, Spec)), None)
        if get_origin(hints[name]) is not Annotated or spec is None:
            raise TypeError(f"{group.__name__}.{name} says nothing of its setting: Annotated[type, Spec(…)] does.")
        yield Setting(name, title, defaults[name], spec)
