"""The laws of the house, held by a machine that names the law, the file and the line. See pipeline/README.md."""

from __future__ import annotations

import ast
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# In reading order: a room imports only rooms before it. The table's vocabulary stands first, for all rooms speak it.
ROOMS = (
    *(
        "search_spaces",
        "lazy",
        "errors",
        "streams",
        "text",
        "stop",
        "job",
        "process",
        "places",
        "storage",
        "logs",
        "help",
        "terminal",
        "progress",
        "package",
        "shim",
        "cgroups",
        "host",
        "environment",
        "garbage",
        "seeds",
        "objectives",
        "data.table",
        "domains",
        "decisions",
        "deviances",
        "metrics",
        "costs",
        "own_module",
        "own_scorer",
        "own_metric",
        "settings",
        "data",
        "families",
        "trials",
        "search",
        "observers",
        "testing",
        "ensemble",
        "distil",
        "explain",
    ),
    *(
        "tracking",
        "export",
        "report",
        "runs",
        "doctor",
        "api",
        "completion",
        "commands",
        "cli",
        "__main__",
    ),
)
DOORS = {
    "ray": ("stacktune.search",),
    "mlflow": ("stacktune.tracking",),
    "pyarrow": ("stacktune.data", "stacktune.storage"),
}
# What each folder is when it is imported.
PACKAGES = {"pipeline": "stacktune", "search_spaces": "stacktune.search_spaces"}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 400
ENTRIES = {
    ".ci", ".github", ".gitignore", ".pre-commit-config.yaml", "LICENSE", "README.md", "cluster.yaml", "pipeline",
    "pyproject.toml", "search_spaces", "tests",
}  # fmt: skip
UNTRACKED = {
    ".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", "build", "mlartifacts", "mlflow.db",
    "mlruns", "pytest.log", "stacktune-runs", "stacktune.egg-info", "shared", "__pycache__",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    target: str
    line: int
    at_top: bool


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return ".".join(parts[1:3]) if ".".join(parts[1:3]) in ROOMS else (parts[1] if len(parts) > 1 else "")

    @property
    def place(self) -> int:
        """In reading order; search_spaces comes before every room."""
        return ROOMS.index(self.room) if self.name.startswith("stacktune.") and self.room in ROOMS else -1

    @property
    def family(self) -> str | None:
        parts = self.name.split(".")
        is_family = parts[:2] == ["stacktune", "families"] and len(parts) == 3
        return parts[2] if is_family and self._defines_family else None

    @cached_property
    def _defines_family(self) -> bool:
        targets = (name for one in self.tree.body if isinstance(one, ast.Assign) for name in one.targets)
        return any(isinstance(name, ast.Name) and name.id == "FAMILY" for name in targets)

    def where(self, line: int) -> str:
        return f"{self.path.relative_to(self.path.parents[len(self.name.split('.')) - 1])}:{line}"


class House:
    """Every module under `pipeline` and `search_spaces` of a root."""

    def __init__(self, root: Path):
        self.modules = {}
        for folder, package in PACKAGES.items():
            for path in sorted((root / folder).rglob("*.py")):
                name = ".".join([package, *path.relative_to(root / folder).with_suffix("").parts])
                name = name.removesuffix(".__init__")
                self.modules[name] = Module(name, path)

    def imports(self, module: Module) -> Iterator[Import]:
        """Yield what `module` imports, names of our modules spelled out, wherever the import stands."""
        top = set(module.tree.body)
        package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno, node in top)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield Import(full if full in self.modules else base, node.lineno, node in top)


def law_1_rooms(house: House) -> list[str]:
    """Every module of the package belongs to a room of the plan."""
    return [
        f"law 1, rooms: {module.name} lies in no room of the plan; put it into ROOMS and pipeline/README.md"
        for module in house.modules.values()
        if module.name.startswith("stacktune.") and module.room not in ROOMS
    ]


def law_1_order(house: House) -> list[str]:
    """A room imports only rooms above it; search_spaces imports none."""
    broken = []
    for module in house.modules.values():
        for found in house.imports(module):
            if not found.target.startswith("stacktune") or module.name == "stacktune":
                continue
            target = house.modules.get(found.target)
            if target is not None and target.name != "stacktune" and target.place > module.place:
                broken.append(f"law 1, order of rooms: {module.where(found.line)} imports {found.target}")
    return broken


def law_1_cycles(house: House) -> list[str]:
    """No module imports itself by way of others."""
    edges = {
        name: {found.target for found in house.imports(module) if found.target in house.modules} - {name}
        for name, module in house.modules.items()
    }
    reached = {name: _reach(name, edges) for name in edges}
    return [f"law 1, no cycles: {name} imports itself through others" for name in edges if name in reached[name]]


def _reach(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += edges[name]
    return seen


def law_1_inits(house: House) -> list[str]:
    """`__init__.py` files hand names on or are empty."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    return [
        f"law 1, __init__ files hand names on: {module.where(node.lineno)} defines something"
        for module in house.modules.values()
        if module.path.name == "__init__.py"
        for node in module.tree.body
        if not isinstance(node, allowed)
    ]


def law_2_doors(house: House) -> list[str]:
    """ray, mlflow and pyarrow are imported behind their own door only."""
    broken = []
    for module in house.modules.values():
        for found in house.imports(module):
            system = found.target.partition(".")[0]
            if system not in DOORS or any(f"{module.name}.".startswith(f"{door}.") for door in DOORS[system]):
                continue
            if system == "ray" and module.name.startswith("stacktune.search_spaces.") and _is_tune(found.target):
                continue
            broken.append(f"law 2, one door: {module.where(found.line)} imports {found.target}, see {DOORS[system][0]}")
    return broken


def _is_tune(target: str) -> bool:
    return target in ("ray", "ray.tune")


def law_2_families(house: House) -> list[str]:
    """A family imports no other family, and its library inside functions only."""
    broken = []
    for module in house.modules.values():
        for found in house.imports(module) if module.family else ():
            target = house.modules.get(found.target)
            if target is not None and target.family not in (None, module.family):
                broken.append(f"law 2, families apart: {module.where(found.line)} imports {found.target}")
            if found.at_top and not _is_light(found.target):
                broken.append(f"law 2, libraries inside functions: {module.where(found.line)} imports {found.target}")
    return broken


def _is_light(target: str) -> bool:
    top = target.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("numpy", "stacktune")


def law_3_clocks(house: House) -> list[str]:
    """Families see no clock."""
    return [
        f"law 3, families see no clock: {module.where(found.line)} imports {found.target}"
        for module in house.modules.values()
        if module.name.startswith("stacktune.families.")
        for found in house.imports(module)
        if found.target.partition(".")[0] in ("time", "datetime")
    ]


def law_6_one_boundary(house: House) -> list[str]:
    """One `except Exception`, in pipeline/trials."""
    found = [
        (module, node)
        for module in house.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node)
    ]
    inside = [pair for pair in found if pair[0].name.startswith("stacktune.trials.")]
    broken = [pair for pair in found if pair not in inside[:1]]
    return [f"law 6, one `except Exception`: {module.where(node.lineno)}" for module, node in broken]


def _is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in kinds)


LAWS = (
    law_1_rooms,
    law_1_order,
    law_1_cycles,
    law_1_inits,
    law_2_doors,
    law_2_families,
    law_3_clocks,
    law_6_one_boundary,
)


@pytest.mark.parametrize("law", LAWS)
def test_the_house_keeps(law):
    broken = law(House(ROOT))
    assert not broken, "\n".join(broken)


def test_the_walk_sees_the_house():
    house = House(ROOT)
    seen = {"stacktune.cli", "stacktune.data.table", "stacktune.families.base", "stacktune.search_spaces.mlp"}
    assert seen <= set(house.modules)
    targets = {found.target for found in house.imports(house.modules["stacktune.cli"])}
    assert {"stacktune.process", "stacktune.commands.app", "typer.main"} <= targets


BREACHES = {
    "law_1_rooms": {"pipeline/attic.py": ""},
    "law_1_order": {
        "pipeline/errors.py": "def f():\n    from stacktune.runs import driver",
        "pipeline/runs/driver.py": "",
    },
    "law_1_cycles": {"pipeline/data/a.py": "from . import b", "pipeline/data/b.py": "import stacktune.data.a"},
    "law_1_inits": {"pipeline/data/__init__.py": "def f(): ..."},
    "law_2_doors": {"pipeline/report/x.py": "def f():\n    import mlflow.tracking"},
    "law_2_families": {
        "pipeline/families/x.py": "from stacktune.families import y\nFAMILY = 1",
        "pipeline/families/y.py": "FAMILY = 1",
    },
    "law_3_clocks": {"pipeline/families/x.py": "from time import monotonic"},
    "law_6_one_boundary": {"pipeline/data/x.py": "try:\n    1\nexcept (OSError, Exception):\n    2"},
}


@pytest.mark.parametrize("law", LAWS)
def test_a_breach_is_named(law, tmp_path):
    for name, text in BREACHES[law.__name__].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    number = law.__name__.split("_")[1]
    assert any(line.startswith(f"law {number}") for line in law(House(tmp_path)))


def code_files() -> list[Path]:
    return [path for folder in ("pipeline", "search_spaces", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_file_is_longer_than_the_ceiling():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in code_files()}
    assert not {name: n for name, n in lengths.items() if n > MAX_FILE_LINES}


def test_no_function_is_longer_than_the_ceiling():
    long = {}
    for path in code_files():
        code = _code_lines(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n = len(code & set(range(_body_start(node), node.end_lineno + 1)))
                if n > MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = n
    assert not long


def _body_start(node: ast.FunctionDef) -> int:
    """The line after the signature and the docstring, which a front door may need room for."""
    return node.body[0].end_lineno + 1 if ast.get_docstring(node) else node.body[0].lineno


def _code_lines(path: Path) -> set[int]:
    """The lines that hold more than a comment."""
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in empty]
    return {line for token in tokens[1:] for line in range(token.start[0], token.end[0] + 1)}


def test_every_package_is_installed():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {name for name, module in House(ROOT).modules.items() if module.path.name == "__init__.py"}
    assert set(packages) == found


def test_nothing_lies_at_the_top_that_is_not_in_the_plan():
    found = {path.name for path in ROOT.iterdir()}
    assert found - UNTRACKED <= ENTRIES, "say in pipeline/README.md what it is, or put it into a room"
    assert found >= ENTRIES - {"LICENSE"}
