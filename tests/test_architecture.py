"""The rooms of the package: every module imports only from rooms on floors below its own."""

import ast
import re
from pathlib import Path

import networkx as nx
import pytest

PACKAGE = Path(__file__).parent.parent / "groundkit"

# From the top floor down; rooms of one floor do not know each other.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"demo"},
    {"estimators"},
    {"runs"},
    {"training"},
    {"naming"},
    {"task"},
    {"identifiability"},
    {"layer"},
    {"deepproblog"},
    {"circuit"},
    {"program"},
    {"data"},
    {"perception"},
    {"evaluate", "report"},
    {"presets"},
    {"files", "device", "symbols"},
    {"errors"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_LINES = 450


def _modules():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


def _imports(path):
    """Lists the package's modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if isinstance(node, ast.ImportFrom) and module.split(".")[0] == "groundkit":
            base = module.removeprefix("groundkit").removeprefix(".")
            for alias in node.names:
                longer = f"{base}.{alias.name}".removeprefix(".")
                yield longer if longer in MODULES else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("groundkit."):
                    yield alias.name.removeprefix("groundkit.")


IMPORTS = {
    (module, target)
    for module, path in MODULES.items()
    for target in _imports(path)
    if module and target
}


def _room(module):
    return module.split(".")[0]


def test_every_room_has_a_floor():
    assert {_room(module) for module in MODULES if module} <= set(FLOOR_OF)


def test_no_module_imports_upwards():
    upwards = [
        f"{module} -> {target}"
        for module, target in sorted(IMPORTS)
        if _room(module) != _room(target) and FLOOR_OF[_room(module)] >= FLOOR_OF[_room(target)]
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle():
    assert list(nx.simple_cycles(nx.DiGraph(sorted(IMPORTS)))) == []


def test_few_modules_stand_outside_of_rooms():
    loose = [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    assert len(loose) <= 6, loose


def test_no_file_is_long():
    long = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("room", "banned"),
    [("program", {"torch", "torchvision"}), ("perception", {"problog", "pysdd", "deepproblog"})],
)
def test_a_room_keeps_out_of_the_others_business(room, banned):
    for module, path in MODULES.items():
        if _room(module) != room:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & banned, f"{module} imports {names}"


def test_the_page_on_architecture_names_every_room_and_only_files_that_are_there():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert {room for room in FLOOR_OF if room != "__main__"} <= set(re.findall(r"\w+", page))
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", page):
        assert (PACKAGE / name).exists() or (PACKAGE.parent / name).exists(), name
