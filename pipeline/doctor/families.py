"""Looks whether model families' libraries work."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from stacktune.doctor.finding import OK, PROBLEM, Finding
from stacktune.families.registry import all_families, known_families
from stacktune.storage.uris import first_line

ABOUT = "families"
_LIBGOMP = "apt-get install libgomp1"


def families() -> Sequence[Finding]:
    """Return which families can be tried, and which break.

    Their libraries are imported, as a trial does.
    """
    findings, able = [], []
    for name, family in all_families().items():
        try:
            for module in family.preloads:
                import_module(module)
        except (ImportError, OSError) as error:
            mend = _LIBGOMP if "libgomp" in str(error) else f"reinstall it, or run with --exclude {name}"
            findings.append(Finding(PROBLEM, ABOUT, f"{name}: {first_line(error)}", mend))
        else:
            able.append(name)
    missing = [name for name in known_families() if name not in all_families()]
    said = ", ".join(able) + (f"; not installed: {', '.join(missing)}" if missing else "")
    return [*findings, Finding(OK, ABOUT, said)] if able else findings
