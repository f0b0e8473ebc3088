"""Which processes are a mesh, which commands are there, and what does a script get back?"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

import service
from clients.config import LLM, Config, Face, Index, Service, Tuning
from clients.endpoint import Endpoint
from clients.errors import BadRequest, ConfigError, Internal, ModelNotLoaded, PortBusy
from clients.settings import Loaded
from services.launching import launch, places, ports, provision
from services.launching.home import HomeLocked
from services.launching.ports import PortTaken, Socket
from services.launching.readiness import Answered
from services.launching.roles import Stage
from services.launching.screen import Screen, footer_lines, own_version
from services.models import Shelf

ROOT = Path(__file__).parents[2]
Ragq = Callable[..., tuple[int, str, str]]
SNAPSHOT = Path("/home/run/config.json")


def names(config: Config, *asked: str) -> list[str]:
    return [role.name for role in service.plan(config, service.chosen(config, asked)).roles(SNAPSHOT)]


# -- roles


def test_a_whole_mesh_has_a_process_for_each_role() -> None:
    assert names(Config()) == ["proxy-llm", "llm", "proxy-index", "index", "http", "ui"]


def test_each_process_is_started_by_the_same_file_with_the_same_configuration() -> None:
    roles = {role.name: role for role in service.plan(Config(), service.chosen(Config(), ())).roles(SNAPSHOT)}
    assert roles["proxy-llm"].command == (
        sys.executable, str(ROOT / "service.py"), "proxy", "llm", "--config", str(SNAPSHOT),
    )  # fmt: skip
    assert roles["index"].command[2:4] == ("worker", "index")
    assert (roles["proxy-llm"].stage, roles["index"].stage, roles["ui"].stage) == (
        Stage.PROXY,
        Stage.WORKER,
        Stage.FACE,
    )


def test_workers_are_numbered() -> None:
    mine = Service(front_end=Endpoint(7001), back_end=Endpoint(7002), num_workers=3)
    config = Config(services={"cache": mine})
    assert names(config, "cache") == ["cache", "cache-2", "cache-3"]


def test_one_role_alone_needs_only_its_own_ports() -> None:
    config = Config()
    assert names(config, "proxy") == ["proxy-llm", "proxy-index"]
    plan = service.plan(config, ["llm"])
    assert (plan.sockets, plan.needs_models, [part.name for part in plan.parts]) == ([], True, ["llm"])
    assert [one.port for one in service.plan(config, ["http", "ui"]).sockets] == [7780, 8501]


TWO = Config(llm=LLM(proxies=["tcp://127.0.0.1:7791 tcp://127.0.0.1:7792"]), index=Index(enabled=False))
AWAY = "tcp://203.0.113.7:7781 tcp://203.0.113.7:7782"


def test_every_proxy_of_a_service_has_a_process_and_ports_of_its_own() -> None:
    assert names(TWO, "proxy", "llm") == ["proxy-llm", "proxy-llm-1", "llm"]
    plan = service.plan(TWO, ["proxy"])
    roles = {role.name: role for role in plan.roles(SNAPSHOT)}
    assert roles["proxy-llm-1"].command[2:6] == ("proxy", "llm", "--number", "1")
    assert [(one.use, one.port) for one in plan.sockets] == [
        ("llm front end", 7781), ("llm back end", 7782),
        ("llm proxy 1 front end", 7791), ("llm proxy 1 back end", 7792),
    ]  # fmt: skip


def test_a_proxy_of_another_machine_is_left_to_it_with_a_line() -> None:
    config = replace(TWO, llm=LLM(proxies=[AWAY]))
    plan = service.plan(config, ["proxy"])
    assert [role.name for role in plan.roles(SNAPSHOT)] == ["proxy-llm"]
    assert plan.notes == ["proxy-llm-1 belongs to 203.0.113.7; 'ragq up --role proxy' starts it there"]
    assert service.plan(config, ["llm"]).notes == []


def test_a_machine_that_is_asked_for_proxies_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = {"host": "203.0.113.7"}
    (tmp_path / "ragq.yml").write_text(
        json.dumps({"insecure": True, "index": {"enabled": False}, "llm": {"front_end": away, "back_end": away}})
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path / "home"))
    assert service.main(["up", "--role", "proxy"]) == 2


def test_a_disabled_part_is_not_started() -> None:
    config = Config(ui=Face(8501, enabled=False), index=Index(enabled=False))
    assert names(config) == ["proxy-llm", "llm", "http"]


@pytest.mark.parametrize(
    ("config", "asked", "said"),
    [
        (Config(), "lmm", "there is no role 'lmm'"),
        (Config(), "tuning", "the role 'tuning' is not enabled"),
        (Config(tuning=Tuning(enabled=True)), "tuning", "not yet a worker that trains"),
    ],
)
def test_a_role_that_cannot_run_is_refused(config: Config, asked: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        service.chosen(config, (asked,))


def test_a_plug_in_may_serve_tuning() -> None:
    assert names(Config(tuning=Tuning(enabled=True, module="mine")), "tuning") == ["tuning"]


def test_children_get_the_environment_without_what_their_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAGQ_LLM__THREADS", "RAGQ_HOME", "RAGQ_CONFIG", "RAGQ_DATA_DIR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    env = launch.child_env()
    assert not {name for name in env if name.startswith("RAGQ_")} & {"RAGQ_LLM__THREADS", "RAGQ_HOME", "RAGQ_CONFIG"}
    assert "RAGQ_DATA_DIR" not in env
    assert env["HF_ENDPOINT"] == "http://mirror"


def test_the_page_listens_here_only_and_reports_to_nobody() -> None:
    told = service.streamlit_arguments(Config())
    assert told[:2] == ["run", str(ROOT / "ui" / "app.py")]
    assert {
        "--server.address=127.0.0.1", "--server.port=8501", "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none", "--client.toolbarMode=minimal", "--server.maxUploadSize=200",
    } <= set(told)  # fmt: skip


# -- ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_busy_port_names_number_role_and_process(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(PortTaken) as caught:
        ports.check([Socket("index front end", "127.0.0.1", port)])
    assert f"port {port} (index front end) is already in use" in caught.value.message
    assert "--port-offset" in caught.value.help
    if Path("/proc/net/tcp").exists():
        assert f"by pid {os.getpid()} (" in caught.value.message


def test_a_port_is_free_again_after_its_listener(listener: socket.socket) -> None:
    wanted = Socket("x", "127.0.0.1", listener.getsockname()[1])
    assert not ports.is_free(wanted)
    listener.close()
    assert ports.is_free(wanted)
    assert ports.holder(wanted.port) is None


def test_only_addresses_of_this_machine_are_here() -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "::"):
        assert places.is_here(Endpoint(7781, host)), host
    for host in ("203.0.113.1", "no-such-host.invalid"):
        assert not places.is_here(Endpoint(7781, host)), host
    assert places.is_here(Endpoint(0, "/run/ragq/llm", "ipc"))


def test_an_address_of_another_machine_is_a_configuration_error() -> None:
    for host in ("203.0.113.1", "no-such-host.invalid"):
        with pytest.raises(ConfigError, match="cannot listen"):
            ports.is_free(Socket("ui", host, 8501))


# -- models


def test_only_models_on_disk_are_missed(tmp_path: Path) -> None:
    lacking = provision.missing(Config(), Shelf(tmp_path))
    assert lacking == {"embed": "multilingual-e5-small", "generate": "smollm2-135m-instruct"}


def test_a_model_that_nobody_knows_is_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    config = replace(config, llm=replace(config.llm, generate=replace(config.llm.generate, name="gpt-9")))
    said: list[str] = []
    with pytest.raises(ModelNotLoaded, match=r"llm\.generate\.name: the model 'gpt-9' is neither") as caught:
        provision.provide(config, said.append, Screen().console)
    assert "RAGQ_LLM__GENERATE__NAME=none" in caught.value.help
    assert said == []


# -- the screen


def test_the_start_screen_names_what_answers_and_nothing_else() -> None:
    lines = "\n".join(footer_lines(Config(), ["llm", "http"], 4.26))
    assert "http://127.0.0.1:7780/v1" in lines
    assert "llm tcp://127.0.0.1:7781" in lines
    assert "8501" not in lines
    assert "7783" not in lines
    assert lines.endswith("Started in 4.3 s")


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    screen = Screen()
    screen.header(Loaded(Config(data_dir=str(tmp_path)), None, {}, ("ragq.yml line 1: 'a' is now 'b'",)))
    screen.waiting(["llm"])
    screen.answered(Answered("llm", 1.23, "embed [x]"))
    screen.failed("ui", "exit code 1")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.splitlines() == [
        f"ragq {own_version()}  ·  data {tmp_path}  ·  config: built-in (run 'ragq init' to write ragq.yml)",
        "note: ragq.yml line 1: 'a' is now 'b'",
        "",
        "  llm         ready     1.2 s   embed [x]",
        "  ui          failed            exit code 1; see 'ragq logs ui'",
    ]


def test_a_console_that_went_away_does_not_end_the_mesh() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as gone:
        screen = Screen(gone)
        screen.say("one")
        screen.say("two")


# -- the command line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Internal("x"), 1), (ValueError("x"), 1), (click.UsageError("x"), 2), (ConfigError("x"), 2),
        (BadRequest("x"), 2), (PortBusy("x"), 3), (PortTaken("x", help=""), 3), (ModelNotLoaded("x"), 4),
        (HomeLocked("x"), 5), (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_each_kind_of_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert service.exit_code(error) == code


def test_an_error_says_what_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert service.report(ConfigError("it is wrong", help="make it right"), debug=False) == 2
    assert capsys.readouterr().err == "error: it is wrong\n  make it right\n"


def test_a_defect_keeps_its_traceback_for_debug(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("odd")
    service.report(error, debug=False)
    assert "Traceback" not in capsys.readouterr().err
    service.report(error, debug=True)
    assert "ValueError: odd" in capsys.readouterr().err


def test_the_script_without_a_command_is_up() -> None:
    assert service.as_script([]) == ["up"]
    assert service.as_script(["--no-ui"]) == ["up", "--no-ui"]
    assert service.as_script(["--config", "f", "doctor"]) == ["--config", "f", "doctor"]
    assert service.as_script(["--help"]) == ["--help"]


def test_every_command_can_be_imported_and_takes_the_global_options() -> None:
    ctx = click.Context(service.cli)
    for name in service.cli.list_commands(ctx):
        command = service.cli.get_command(ctx, name)
        assert command is not None
        assert {"config_path", "data_dir", "debug"} <= {parameter.name for parameter in command.params}, name
        assert command.get_short_help_str(), name


def test_help_imports_no_command() -> None:
    code = (
        "import sys, service; service.main(['--help']);"
        "print(sorted({'numpy', 'zmq', 'rich', 'yaml', 'clients'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Answer a question from a collection" in done.stdout


@pytest.fixture
def ragq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ragq:
    """Runs a command in this process, in an empty directory; its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGQ_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = service.main(list(arguments))
        return code, *capsys.readouterr()

    return run


def test_init_writes_a_file_that_is_read_and_never_overwrites(ragq: Ragq, tmp_path: Path) -> None:
    assert ragq("init")[0] == 0
    assert (tmp_path / "ragq.yml").read_text(encoding="utf-8") == (ROOT / "ragq.yml").read_text(encoding="utf-8")
    assert ragq("config", "show", "--origin")[0] == 0
    code, _, said = ragq("init")
    assert (code, "--force" in said) == (1, True)


def test_init_into_a_directory_that_is_not_there_is_no_defect(ragq: Ragq) -> None:
    code, _, said = ragq("init", "nowhere/ragq.yml")
    assert (code, "its directory has to exist" in said) == (2, True)


def test_a_mistyped_command_names_the_nearest(ragq: Ragq) -> None:
    code, _, said = ragq("collctions")
    assert (code, "did you mean 'collections'?" in said) == (2, True)


def test_config_show_json_is_one_document(ragq: Ragq) -> None:
    code, out, _ = ragq("config", "show", "--json", "--data-dir", "/x")
    rows = {row["key"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["data_dir"] == {"key": "data_dir", "value": "/x", "origin": "--data-dir"}


def test_config_schema_is_json(ragq: Ragq) -> None:
    code, out, _ = ragq("config", "schema")
    assert code == 0
    assert json.loads(out)["title"] == "ragq.yml"


def test_a_wrong_configuration_ends_every_command_with_2(ragq: Ragq, tmp_path: Path) -> None:
    (tmp_path / "ragq.yml").write_text("llm:\n  num_worker: 2\n")
    for command in (["up"], ["config", "show"], ["doctor"], ["worker", "llm"], ["proxy", "llm"], ["logs"], ["down"]):
        code, _, said = ragq(*command)
        assert code == 2, command
        assert said == "error: ragq.yml line 2: unknown key 'llm.num_worker'. Did you mean 'llm.num_workers'?\n"


def test_usage_errors_end_with_2(ragq: Ragq) -> None:
    for words in (["bogus"], ["up", "--bogus"], ["worker"], ["up", "--port-offset", "x"], ["up", "--role", "lmm"]):
        assert ragq(*words)[0] == 2, words


def test_down_and_logs_without_a_mesh_say_so(ragq: Ragq) -> None:
    code, out, _ = ragq("down")
    assert code == 0
    assert "no mesh runs on" in out
    code, _, said = ragq("logs")
    assert code == 1
    assert "nothing has run" in said


def test_models_list_knows_what_can_be_pulled(ragq: Ragq) -> None:
    code, out, _ = ragq("models", "list", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["models"] == []
    assert "multilingual-e5-small" in {model["name"] for model in document["pullable"]}
    assert ragq("models", "list")[0] == 0


def test_a_model_of_a_hub_is_shown_with_its_licence_before_it_comes_listed_and_removed(
    ragq: Ragq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .models.checkpoints import BERT, checkpoint_directory
    from .models.hub_server import HubServer, serving

    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(HubServer(checkpoint_directory(tmp_path / "repository", BERT))) as hub:
        pull = ("models", "pull", "owner/name", "--source", hub.address)
        code, out, _ = ragq(*pull)
        assert code == 1
        assert "owner/name: 0 MB, licence mit" in out
        assert hub.requests == []
        code, out, _ = ragq(*pull, "--yes", "--name", "mine")
        assert code == 0
        assert "added mine (embed)" in out
    (model,) = json.loads(ragq("models", "list", "--json")[1])["models"]
    assert (model["name"], model["kind"], model["licence"], model["used_for"]) == ("mine", "encoder", "mit", [])
    assert model["memory_bytes"] > 100 << 20
    assert ragq("models", "list")[1].startswith("mine")
    assert ragq("models", "remove", "mine", "--yes")[0] == 0
    assert json.loads(ragq("models", "list", "--json")[1])["models"] == []


def test_a_model_that_is_not_there_cannot_be_added(ragq: Ragq) -> None:
    code, _, said = ragq("models", "add", "/no/such.gguf")
    assert code == 1
    assert "there is nothing at /no/such.gguf" in said
