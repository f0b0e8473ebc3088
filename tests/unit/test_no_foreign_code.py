"""Nothing that arrives, or lies in a file, is ever run: no pickle and its kin, no eval, no shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["service.py", "clients", "compile", "proxies", "services", "ui"]
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "code"}
NAMES = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "recv_pyobj", "send_pyobj", "read_pickle", "to_pickle", "system", "popen", "unsafe_load", "full_load", "load_all",
}  # fmt: skip
FLAGS = {("allow_pickle", True), ("shell", True), ("weights_only", False), ("trust_remote_code", True)}


def offences(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (each.name for each in names if each.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in MODULES:
                yield module
            case ast.Call(func=ast.Name(name)) if name in NAMES:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(ast.Name("importlib"), name)) if name == "exec_module":
                yield f"{name}()"
            case ast.Attribute(ast.Name("yaml"), "load"):
                yield "yaml.load"
            case ast.Attribute(attr=name) if name in METHODS:
                yield f".{name}"
            case ast.keyword(arg=str(name), value=ast.Constant(value)) if (name, value) in FLAGS:
                yield f"{name}={value}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_of_the_product_runs_foreign_code(room: str) -> None:
    paths = sorted((ROOT / room).rglob("*.py")) or [ROOT / room]
    found = {path.name: list(offences(path.read_text(encoding="utf-8"))) for path in paths}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import dill as json",
        "import joblib.memory",
        "value = eval(text)",
        "exec(text)",
        "socket.recv_pyobj()",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(line, shell=True)",
        "yaml.load(text)",
        "os.system(line)",
        "pd.read_pickle(path)",
    ],
)
def test_the_search_finds(line: str) -> None:
    assert list(offences(line))


def test_the_search_lets_the_ordinary_pass() -> None:
    assert list(offences("import json\nre.compile('x')\nyaml.safe_load(text)\nnp.load(path)\nself.evaluate(x)")) == []
