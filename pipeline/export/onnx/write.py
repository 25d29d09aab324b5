"""Writes a leader as ONNX, and checks it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stacktune.ensemble.leader import Leader
from stacktune.errors import ConfigError
from stacktune.export.onnx.check import TOLERANCE, Agreement, compared
from stacktune.export.onnx.graph import need_onnx
from stacktune.export.onnx.leader import about, graph_of
from stacktune.export.onnx.probe import probe_rows


def write_onnx(leader: Leader, path: Path, tables: Sequence[pd.DataFrame] = ()) -> list[Agreement]:
    """Write the graph; return how well it agrees.

    It is asked about made-up rows over the range of every column, and about each of `tables`. A file that was there is
    replaced.

    Raises:
        ConfigError: a member has no form in ONNX, a library is missing, or the graph disagrees; no file is left then.
    """
    need_onnx()
    graph, aside = graph_of(leader), path.with_name(f".{path.name}.part")
    try:
        graph.write(aside, leader.target_name, about(leader))
        found = [compared(leader, aside, frame) for frame in (probe_rows(leader.schema), *tables)]
        for agreement in found:
            _refuse_unlike(agreement)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return found


def _refuse_unlike(found: Agreement) -> None:
    if found.holds:
        return
    decided = f", and {found.n_decided:,} rows are decided otherwise" if found.n_decided else ""
    raise ConfigError(
        f"the graph is not kept: of {found.n_rows:,} rows, its predictions are up to {found.difference:.2g} off the "
        f"model's{decided}, where {TOLERANCE:g} of the size is allowed. Make one small model (stacktune distil MODEL "
        "DATA) and export that, or use --format container, which is the model itself."
    )
