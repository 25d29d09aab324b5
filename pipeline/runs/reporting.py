"""A run writes a page for people to read."""

from __future__ import annotations

from stacktune.report.columns_file import write_columns
from stacktune.report.page.page import write_report
from stacktune.report.page.story import NO_TIME
from stacktune.runs.pace import FINISHING_S, REPORTING_S
from stacktune.runs.session import Session
from stacktune.storage.folders import remove
from stacktune.text import as_typed


def report(session: Session) -> None:
    """Write the report, as far as time allows.

    With --no-report only what `stacktune report` needs to know of the table is kept.
    """
    places, wanted = session.places, not session.config.no_report
    pages = (places.report, places.report_numbers, places.plots)
    for path in pages:  # of a session before this one, whose leader may have been another
        remove(path)
    if session.clock.remaining_s() < (REPORTING_S + FINISHING_S / 2) * session.pace.usual_s:
        if wanted:
            session.note(f"{NO_TIME}: stacktune report {as_typed(session.folder)}")
        return
    dataset, looked = session.dataset, session.looked
    if looked is not None:
        of_dataset = (dataset.schema, dataset.task, dataset.target_name)
        write_columns(places.columns, looked.table, *of_dataset, session.test)
    if not wanted:
        return
    write_report(session.folder)
    for path in (*pages, places.explanation):
        if path.exists():
            session.tracker.log_artifact(path)
