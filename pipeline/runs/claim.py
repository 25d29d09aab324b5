"""Holds a run's folder for one process alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stacktune.report.outputs import drop_folder
from stacktune.runs.begin import Start
from stacktune.runs.ray_session import RayStart
from stacktune.search.journal import Journal
from stacktune.stop import last_words
from stacktune.storage.run_folder import RunFolder
from stacktune.text import as_typed


@contextmanager
def claim_folder(start: Start, ray: RayStart) -> Iterator[Journal]:
    """Make the output folder and open its journal.

    A run that ends without a leader leaves its folder if a model is in it, to go on from. Otherwise it leaves nothing,
    nor a Ray that writes into it.
    """
    folder, note = start.folder, start.observers.note
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(RunFolder(folder).journal, lambda: start.clock.elapsed_s, note)
    has_ended = False

    def say_what_is_kept() -> None:
        if start.past or journal.n_models:
            note(f"what is done is kept: stacktune run --resume {as_typed(folder)} goes on with it")
            note(f"what happened is in {as_typed(RunFolder(folder).log)}")

    try:
        with last_words(say_what_is_kept):
            yield journal
        has_ended = True
    finally:
        journal.close()
        if not has_ended and (start.past or journal.n_models):
            say_what_is_kept()
        elif not has_ended:
            ray.close()
            drop_folder(folder)
