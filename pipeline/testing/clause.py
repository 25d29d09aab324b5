"""A clause of the contract, and its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from stacktune.testing.subject import Subject


class Named(Protocol):
    """Something that is put to a contract.

    It is a family, a source, a scheduler or an observer.
    """

    @property
    def name(self) -> str: ...


Checked = TypeVar("Checked", bound=Named)
Case = tuple[str | int, ...]
Cases = Callable[[Checked], Iterable[Case]]


@dataclass(frozen=True)
class Check:
    """One clause, put to one subject on one case.

    A call of it raises where the clause is not kept.
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()


@dataclass(frozen=True)
class Clause(Generic[Checked]):
    """A rule that every subject of a kind keeps.

    run: takes the subject and a case. cases: what it is asked about, of one subject.
    """

    run: Callable[..., None]
    cases: Cases[Checked]

    def checks(self, subject: Checked) -> Iterator[Check]:
        """Yield a check for each case."""
        for case in self.cases(subject):
            name = "-".join([self.run.__name__, *map(str, case)])
            yield Check(name, partial(self.run, subject, *case))


def once(subject: Any) -> Iterable[Case]:
    """Yield a single case that needs no words."""
    yield ()


def each(*choices: str | int) -> Cases[Any]:
    """Return what yields each of the choices."""
    return lambda subject: ((choice,) for choice in choices)


def each_task(subject: Subject) -> Iterable[Case]:
    """Yield each task that the family claims."""
    return ((kind,) for kind in subject.kinds)


def each_task_and(*choices: str | int) -> Cases[Subject]:
    """Return what yields each task with each choice."""
    return lambda subject: ((kind, choice) for kind in subject.kinds for choice in choices)


def each_task_and_parameter(subject: Subject) -> Iterable[Case]:
    """Yield each task with each parameter of the space."""
    return ((kind, parameter) for kind in subject.kinds for parameter in subject.space.domains)
