"""What the global options do."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.errors import ConfigError
from ui.cli.session import Session


def test_the_data_directory_of_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ragq.yml"
    file.write_text(f"data_dir: {tmp_path}/from-file\n")
    assert Session(str(file)).config().home == tmp_path / "from-file"
    assert Session(str(file), data_dir=str(tmp_path / "flag")).config().home == tmp_path / "flag"


def test_a_mesh_is_made_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ragq.yml"
    file.write_text("index:\n  front_end: {port: 17999}\n")
    with Session(str(file)).mesh() as mesh:
        assert mesh.client("index").address == "tcp://127.0.0.1:17999"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yml"):
        Session(str(tmp_path / "missing.yml")).config()
