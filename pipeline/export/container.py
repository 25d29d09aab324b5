"""Writes the folder of a scoring container.

It has the model, our code, and of libraries only those that the leader's members predict by.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stacktune.ensemble.leader import Leader
from stacktune.errors import ConfigError
from stacktune.export.example import request_of
from stacktune.package import copy_package
from stacktune.streams import visible
from stacktune.tracking.requirements import family_modules, requirements_for

SERVER, SERVED_BY = "stacktune.export.server", ("starlette", "uvicorn")
PORT = 8080
CODE, MODEL, REQUIREMENTS = "code", "model", "requirements.txt"
# Wheels of LightGBM leave OpenMP to the system.
_NEED_OPENMP = frozenset({"lightgbm"})


def write_container(leader: Leader, folder: Path) -> list[str]:
    """Write the folder of a container; return its requirements.

    Raises ConfigError where the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{str(folder)!r} is there already: name a new folder with --output.")
    needed = requirements_for([SERVER, *family_modules(leader.folder)], also=SERVED_BY)
    folder.mkdir(parents=True, exist_ok=True)
    leader.save(folder / MODEL)
    copy_package(folder / CODE)
    (folder / REQUIREMENTS).write_text("\n".join(needed) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(leader, _has(needed, "torch")), encoding="utf-8")
    (folder / "Dockerfile").write_text(_dockerfile(needed), encoding="utf-8")  # last: without it there is no container
    return needed


def _has(needed: list[str], library: str) -> bool:
    return any(requirement.partition("==")[0] == library for requirement in needed)


def _dockerfile(needed: list[str]) -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    openmp = (
        "RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*\n"
    )
    return f"""FROM python:{python}-slim
{openmp if any(_has(needed, library) for library in _NEED_OPENMP) else ""}WORKDIR /app
COPY {REQUIREMENTS} .
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir -r {REQUIREMENTS}
COPY {CODE} {CODE}
COPY {MODEL} {MODEL}
ENV PYTHONPATH=/app/{CODE} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER nobody
EXPOSE {PORT}
HEALTHCHECK CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/ping')"
CMD ["python", "-m", "{SERVER}", "{MODEL}", "--host", "0.0.0.0", "--port", "{PORT}"]
"""


def _readme(leader: Leader, has_nets: bool) -> str:
    what = f"{leader.task.kind} of `{visible(leader.target_name)}`"
    small = (
        "\ntorch for cores alone is a tenth of the size: `--build-arg PIP_EXTRA_INDEX_URL=` with PyTorch's index of\n"
        "such builds takes it.\n"
    )
    return f"""# A model that answers over HTTP

It predicts {what}. Build it and run it:

```sh
docker build -t scoring . && docker run --rm -p {PORT}:{PORT} scoring
curl -H 'Content-Type: application/json' http://127.0.0.1:{PORT}/invocations --data @- <<'EOF'
{request_of(leader.schema)}
EOF
```
{small if has_nets else ""}
`POST /invocations` takes JSON as MLflow's server does: `dataframe_records`, `dataframe_split`, `instances` or `inputs`.
It answers with `predictions`, a record for each row, and with `warnings` where the model cannot use values of the rows.
`GET /ping` answers when the model is loaded. `WEB_CONCURRENCY=4` in the environment runs four processes. Whoever can
reach the port can ask: put it behind what your network has for that.

Without Docker: `pip install -r {REQUIREMENTS}`, then `PYTHONPATH={CODE} python -m {SERVER} {MODEL} --port {PORT}`.
"""
