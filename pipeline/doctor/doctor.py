"""`stacktune doctor` says what a run would lack here.

Each check is bounded in time, and says what to mend.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from stacktune.doctor import machine
from stacktune.doctor.families import families
from stacktune.doctor.finding import OK, PROBLEM, WARNING, Check, Finding, findings_of
from stacktune.doctor.gpus import gpus
from stacktune.search.cluster.check import check_ray
from stacktune.search.cluster.start import set_variables
from stacktune.storage.remote import check_storage
from stacktune.storage.uris import keep_secret, without_secrets
from stacktune.tracking.check import check_writing
from stacktune.tracking.client import be_quiet

# Libraries are imported on slow disks, too, and a cluster may be far away.
_IMPORTING_S, _RAY_S, _STORE_S = 40.0, 60.0, 30.0
_ABOUT_WIDTH = 24
_RAY_MEND = "look into /tmp/ray/session_latest/logs, end leftovers with `ray stop`, or reinstall ray"


def doctor(
    address: str | None,
    tracking_uri: str | None,
    storage: str | None,
    say: Callable[[str], None],
    width: int | None,
) -> bool:
    """Look at all, and say it.

    See `checks` and `examine`.

    Raises:
        SearchError: no cluster can be at `address`.
    """
    for uri in (tracking_uri, storage):
        keep_secret(uri)
    set_variables(address, None)  # before there are threads
    be_quiet()
    return examine(checks(address, tracking_uri, storage), say, width)


def checks(address: str | None, tracking_uri: str | None, storage: str | None) -> list[Check]:
    """Return what is to be looked at.

    Quick things come first. address: of a Ray cluster; storage: where copies of runs are to be kept, if anywhere.
    """
    found = [
        Check("Python", machine.python),
        Check("this folder", machine.working_folder),
        Check("packages", machine.packages),
        Check("cores", machine.cores),
        Check("memory", machine.memory),
        Check("/dev/shm", machine.shared_memory),
        Check("disk", machine.disks),
        Check("open files", machine.open_files),
        Check("network", machine.network, "a run needs to listen to 127.0.0.1: allow it in the sandbox or firewall"),
        Check("text", machine.text),
        Check("families", families, "reinstall stacktune in a new virtual environment", _IMPORTING_S),
        Check("GPU", gpus, "run with --gpus 0, or mend the driver", _IMPORTING_S),
        Check("MLflow", partial(_mlflow, tracking_uri), "give another --tracking-uri", _STORE_S),
        Check("Ray", partial(_ray, address), _RAY_MEND, _RAY_S),
    ]
    if storage is not None:
        found.append(Check("storage", partial(_storage, storage), "look at its address and rights", _STORE_S))
    return found


def _mlflow(uri: str | None) -> Sequence[Finding]:
    return [Finding(OK, "MLflow", check_writing(uri))]


def _ray(address: str | None) -> Sequence[Finding]:
    return [Finding(OK, "Ray", check_ray(address))]


def _storage(uri: str) -> Sequence[Finding]:
    check_storage(uri)
    return [Finding(OK, "storage", f"{without_secrets(uri)} was written, read and cleared again")]


def examine(all_checks: Sequence[Check], say: Callable[[str], None], width: int | None) -> bool:
    """Say what all checks find.

    Returns whether a run can work here.

    width: of the terminal, None where lines are not to be wrapped.
    """
    counted: Counter[str] = Counter()
    for finding in (finding for check in all_checks for finding in findings_of(check)):
        counted[finding.state] += 1
        for line in lines_of(finding, width):
            say(line)
    say("")
    if counted[PROBLEM]:
        say(f"{_number(counted, PROBLEM)} to mend before a run can work here.")
    else:
        warned = f", with {_number(counted, WARNING)}" if counted[WARNING] else ""
        say(f"A run can work here{warned}. Next: stacktune demo")
    return not counted[PROBLEM]


def _number(counted: Counter[str], state: str) -> str:
    return f"{counted[state]} {state}{'s' if counted[state] > 1 else ''}"


def lines_of(finding: Finding, width: int | None) -> Iterator[str]:
    """Yield what was found, then what to do."""
    begins = f"{finding.state:<8}{finding.about:<{_ABOUT_WIDTH - 8}}"
    said = [finding.said, *([f"→ {finding.mend}"] if finding.mend else [])]
    if width is None:
        yield f"{begins} {' '.join(said)}"
        return
    for place, part in enumerate(said):
        first = f"{begins} " if place == 0 else f"{'':{len(begins) + 1}}"
        yield from textwrap.wrap(
            part,
            width,
            initial_indent=first,
            subsequent_indent=" " * (len(begins) + 1),
            break_long_words=False,
            break_on_hyphens=False,
        )
