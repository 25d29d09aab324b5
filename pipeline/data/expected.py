"""Defines a model's expectations of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from stacktune.data.schema import Schema


@dataclass(frozen=True)
class Expected:
    """A model's knowledge of a table's columns.

    It serves formats that do not say their types.

    names: of the columns that it needs.
    texts: for each of them that is text, the texts that it knows.
    spelled: those that are numbers which text spells in a convention of their own.
    commas: columns beside the model's whose numbers had decimal commas in training.
    """

    names: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    spelled: frozenset[str] = frozenset()
    commas: frozenset[str] = frozenset()

    @classmethod
    def by(
        cls,
        schema: Schema,
        also: Mapping[str, tuple[str, ...] | None] | None = None,
        commas: Collection[str] = (),
        also_spelled: Collection[str] = (),
    ) -> Expected:
        """Return what a schema and further columns need.

        Each column comes with its texts, or None where it has numbers.

        commas: of the columns beside it, those that had decimal commas. also_spelled: those whose numbers text spells.
        """
        texts = {column.name: column.categories for column in schema.columns if column.is_coded}
        also = also or {}
        texts |= {name: known for name, known in also.items() if known is not None}
        spelled = frozenset(column.name for column in schema.columns if column.spelling is not None)
        commas_beside = frozenset(also).intersection(commas)
        return cls((*schema.column_names, *also), texts, spelled.union(also_spelled), commas_beside)

    @cached_property
    def known_texts(self) -> frozenset[str]:
        return frozenset(text for known in self.texts.values() for text in known)

    def among(self, names: list[str]) -> list[str]:
        """Return those of `names` that are needed.

        All of them are where one is missing, so that its like can be named.
        """
        needed = set(self.names)
        return [name for name in names if name in needed] if needed <= set(names) else names
