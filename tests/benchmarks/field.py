"""Try the cases that users of such programs reported, and print what each gave and gives.

    python tests/benchmarks/field.py [--only WORD]

Every case makes its own small input and takes a few seconds. The exit status is the number of cases that are wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import field_cases
from rich.console import Console
from rich.table import Table


def all_cases(word: str) -> list[field_cases.Case]:
    """Return the cases of every module of `field_cases`, or those with the word in their name."""
    modules = (import_module(f"field_cases.{found.name}") for found in iter_modules(field_cases.__path__))
    return [case for module in modules for case in module.CASES if word in case.name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases with this word in their name")
    table = Table("case", "gave", "should give", "gives", "s")
    n_wrong = 0
    for case in all_cases(parser.parse_args().only):
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            gives, is_right = case.measure(Path(folder))
        n_wrong += not is_right
        style = "" if is_right else "red"
        table.add_row(case.name, case.before, case.right, gives, f"{time.monotonic() - began:.1f}", style=style)
    Console(width=150).print(table)
    sys.exit(n_wrong)


if __name__ == "__main__":
    main()
