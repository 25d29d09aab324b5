"""Shows the help of commands: in groups, with examples.

A command names its group and its examples where it is declared, as `rich_help_panel` and `epilog`.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

SEARCH, LOOK, USE, KEEP = "Search", "Look", "Use", "Keep house"
# In the order in which the help shows them.
GROUPS = (SEARCH, LOOK, USE, KEEP)
_OTHERS = "Others"


class WithExamples(TyperCommand):
    """A command whose help ends with its examples."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(self.epilog, formatter)


class InGroups(TyperGroup):
    """Commands whose help has groups of them.

    There is one for each of GROUPS, and the examples come last.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        records = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]
        with formatter.section("Options"):
            formatter.write_dl(records)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        for name in names:
            command = self.commands[name]
            if not command.hidden:
                group = getattr(command, "rich_help_panel", None)
                groups.setdefault(group if isinstance(group, str) else _OTHERS, []).append(
                    (f"{name:<{max(map(len, names))}}", command.get_short_help_str(room))
                )
        for group, records in groups.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        write_examples(self.epilog, formatter)


def write_examples(lines: str | None, formatter: Any) -> None:
    """Write lines to be typed, none of them wrapped."""
    if lines:
        with formatter.section("Examples"):
            for line in lines.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
