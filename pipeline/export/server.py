"""Serves a leader over HTTP, with MLflow's requests.

It imports neither MLflow nor Ray: `python -m stacktune.export.server FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacktune.ensemble.leader import Leader
from stacktune.ensemble.serve import as_frame
from stacktune.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

# Where processes that uvicorn starts find the model.
MODEL_VARIABLE = "STACKTUNE_MODEL"
_KEYS = ("dataframe_records", "dataframe_split", "instances", "inputs")
_log = logging.getLogger("uvicorn.error")


def app() -> Starlette:
    """Return the application, with its model loaded."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    leader = Leader.load(Path(os.environ[MODEL_VARIABLE]))

    async def invocations(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        body = await request.body()
        return await run_in_threadpool(_answered, leader, body)

    return Starlette(
        routes=[Route("/invocations", invocations, methods=["POST"]), Route("/ping", _ping), Route("/health", _ping)]
    )


async def _ping(_: Request) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("\n")


def _answered(leader: Leader, body: bytes) -> Response:
    """Return the response to a request's body.

    What cannot be predicted gets status 400 and a message, as MLflow's server has it.
    """
    from starlette.responses import JSONResponse

    try:
        predicted, message = leader.predict_with_message(frame_of(body))
    except UnicodeEncodeError as error:
        text = f"a text of the request is no Unicode ({error.reason})."
        return JSONResponse({"error_code": "BAD_REQUEST", "message": text}, 400)
    except DataError as error:
        return JSONResponse({"error_code": "BAD_REQUEST", "message": str(error)}, 400)
    answer: dict[str, Any] = {"predictions": records(predicted)}
    if message:
        _log.warning(message)
        answer["warnings"] = [message]
    return JSONResponse(answer)


def frame_of(body: bytes) -> pd.DataFrame:
    """Return the table in a request's JSON.

    Raises DataError where there is none.
    """
    import pandas as pd

    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the request is no JSON ({error}). Give an object with {' or '.join(_KEYS)}.") from None
    keys = [key for key in _KEYS if isinstance(asked, dict) and key in asked]
    if len(keys) != 1:
        raise DataError(f"the request is to be a JSON object with one of {', '.join(_KEYS)}.")
    given = asked[keys[0]]
    try:
        if keys[0] != "dataframe_split":
            return as_frame(given)
    except ValueError as error:
        raise DataError(f"{keys[0]} is to have as many values in each column ({error}).") from None
    try:
        return pd.DataFrame(given["data"], given.get("index"), given["columns"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"dataframe_split is to have columns, and data with a list for each row ({error}).") from None


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them.

    What is not finite is null.
    """
    columns = {str(name): [_plain(value) for value in series.tolist()] for name, series in frame.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a folder's model until the process ends."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m stacktune.export.server", description=__doc__)
    parser.add_argument("model", help="the folder that holds leader.json")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args(arguments)
    os.environ[MODEL_VARIABLE] = given.model
    # By name, as other processes of it import it (WEB_CONCURRENCY).
    uvicorn.run("stacktune.export.server:app", factory=True, host=given.host, port=given.port)


if __name__ == "__main__":
    main()
