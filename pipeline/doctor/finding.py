"""Checks bounded in time, and what they find."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stacktune.errors import UserError
from stacktune.storage.uris import first_line

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of what a doctor says.

    state: OK; WARNING where a run works, but less well than it could; PROBLEM where something that it needs is broken.
    about: what was looked at. said: what was found. mend: what to do, "" where there is nothing.
    """

    state: str
    about: str
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    look: raises whatever is broken: a `UserError` says itself how to mend it. mend: what to do about anything else.
    most_s: seconds after which it counts as broken.
    """

    about: str
    look: Callable[[], Sequence[Finding]]
    mend: str = ""
    most_s: float = 10.0


def findings_of(check: Check) -> Sequence[Finding]:
    """Return what a check finds in time.

    It works on a thread of its own, which nobody waits for any longer; whatever it raises is broken.
    """
    found: list[Sequence[Finding]] = []

    def look() -> None:
        try:
            found.append(check.look())
        except UserError as error:
            found.append([Finding(PROBLEM, check.about, str(error))])
        except (ImportError, OSError, RuntimeError, ValueError, AttributeError) as error:
            found.append([Finding(PROBLEM, check.about, first_line(error), check.mend)])

    thread = threading.Thread(target=look, name=f"doctor-{check.about}", daemon=True)
    began_at = time.monotonic()
    thread.start()
    thread.join(check.most_s)
    if found:
        return found[0]
    if thread.is_alive():
        return [Finding(PROBLEM, check.about, f"no answer in {check.most_s:g} s", check.mend)]
    return [Finding(PROBLEM, check.about, f"broke off after {time.monotonic() - began_at:.1f} s", check.mend)]
