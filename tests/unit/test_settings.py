"""Where do values come from, and what is a mistake answered with?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.config import Config
from clients.errors import ConfigError
from clients.schema import defaults
from clients.settings import Loaded, config_schema, load, rows, show

ROOT = Path(__file__).parents[2]
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes ./ragq.yml in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def put(text: str) -> Path:
        path = tmp_path / "ragq.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def refused(text: str, write: Write) -> str:
    write(text)
    with pytest.raises(ConfigError) as caught:
        load(env={})
    return str(caught.value)


# -- where values come from


def test_without_any_source_the_defaults_hold(write: Write) -> None:
    assert load(env={}) == Loaded(Config(), None, {})


def test_flag_beats_environment_beats_file(write: Write) -> None:
    write("log_level: debug\nllm:\n  threads: 1\n  slots: 4\n")
    loaded = load(env={"RAGQ_LLM__THREADS": "2", "RAGQ_LOG_LEVEL": "error"}, flags={"log_level": "warning"})
    assert (loaded.config.log_level, loaded.config.llm.threads, loaded.config.llm.slots) == ("warning", 2, 4)
    assert loaded.origins == {"log_level": "--log-level", "llm.threads": "RAGQ_LLM__THREADS", "llm.slots": "ragq.yml:4"}


def test_the_named_file_beats_ragq_config_beats_the_directory_beats_the_user(write: Write, tmp_path: Path) -> None:
    user = tmp_path / "config" / "ragq" / "ragq.yml"
    user.parent.mkdir(parents=True)
    user.write_text("llm: {threads: 1}")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert load(env=env).config.llm.threads == 1
    write("llm: {threads: 2}")
    assert load(env=env).config.llm.threads == 2
    (tmp_path / "a.yml").write_text("llm: {threads: 3}")
    (tmp_path / "b.yml").write_text("llm: {threads: 4}")
    env["RAGQ_CONFIG"] = str(tmp_path / "a.yml")
    assert load(env=env).config.llm.threads == 3
    assert load(tmp_path / "b.yml", env=env).config.llm.threads == 4


def test_half_an_endpoint_keeps_its_other_half(write: Write) -> None:
    write("index:\n  front_end: {port: 9001}\n")
    end = load(env={}).config.index.front_end
    assert (end.port, end.host, end.protocol) == (9001, "127.0.0.1", "tcp")


def test_an_empty_section_changes_nothing(write: Write) -> None:
    write("llm:\nindex: {}\nask:\n  top_k:\n")
    assert load(env={"RAGQ_INDEX__SAMPLE": ""}).config == Config()


def test_values_of_the_environment_take_the_type_of_their_key(write: Write) -> None:
    env = {
        "RAGQ_INSECURE": "yes",
        "RAGQ_ASK__THRESHOLD": "0.25",
        "RAGQ_INDEX__ROOTS": "/a, /b",
        "RAGQ_LLM__EMBED__NAME": "123",
        "RAGQ_SERVICES__X__OPTIONS__N": "7",
        "RAGQ_SERVICES__X__FRONT_END__PORT": "7001",
        "RAGQ_SERVICES__X__BACK_END__PORT": "7002",
    }
    config = load(env=env).config
    assert (config.insecure, config.ask.threshold, config.index.roots) == (True, 0.25, ["/a", "/b"])
    assert (config.llm.embed.name, config.services["x"].options) == ("123", {"n": 7})


def test_variables_that_kubernetes_sets_are_no_keys(write: Write) -> None:
    env = {"RAGQ_PORT": "tcp://10.0.0.1:7780", "RAGQ_SERVICE_HOST": "10.0.0.1", "RAGQ_PORT_7780_TCP_PORT": "7780"}
    assert load(env=env).config == Config()


def test_ragq_home_beats_the_file(write: Write, tmp_path: Path) -> None:
    write("data_dir: here\n")
    assert load(env={}).config.home == tmp_path / "here"
    assert load(env={"RAGQ_HOME": "/there"}).config.home == Path("/there")
    assert load(env={"RAGQ_HOME": "/there"}, flags={"data_dir": "/flag"}).config.home == Path("/flag")


def test_relative_paths_in_a_file_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ragq.yml").write_text("index: {roots: [docs, /abs], chroma_path: v}")
    index = load(tmp_path / "sub" / "ragq.yml", env={}).config.index
    assert index.roots == [str(tmp_path / "sub" / "docs"), "/abs"]
    assert index.chroma_path == str(tmp_path / "sub" / "v")


def test_an_offset_moves_every_port(write: Write) -> None:
    config = load(env={}, flags={"port_offset": "100"}).config
    assert (config.llm.front_end.port, config.index.back_end.port, config.http.port, config.ui.port) == (
        7881,
        7884,
        7880,
        8601,
    )


def test_json_of_a_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    config = load(ROOT / "ragq.yml", env={"RAGQ_LLM__THREADS": "3"}).config
    (tmp_path / "config.json").write_text(json.dumps(asdict(config)))
    assert load(tmp_path / "config.json", env={}).config == config


# -- mistakes


def test_a_typo_names_file_line_and_nearest_key(write: Write) -> None:
    said = refused("# one\n\nllm:\n  num_worker: 2\n", write)
    assert said == "ragq.yml line 4: unknown key 'llm.num_worker'. Did you mean 'llm.num_workers'?"


def test_a_key_in_the_wrong_section_names_the_right_one(write: Write) -> None:
    assert "Did you mean 'index.chunk_size'?" in refused("chunk_size: 100\n", write)


def test_a_typo_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match=r"RAGQ_LLM__TREADS: unknown key 'llm.treads'. Did you mean 'llm.threads'\?"):
        load(env={"RAGQ_LLM__TREADS": "1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("llm: 3", "line 1: llm: expected a mapping, got int"),
        ("llm:\n  threads: two", "line 2: llm.threads: expected int, got str"),
        ("log_level: trace", "'trace' is not one of debug"),
        ("log_level: {a: 1}", "unknown key 'log_level.a'"),
        ("a: [", "line 1: not YAML"),
        ("- a", "line 1: expected 'key: value' lines"),
        ("just words", "line 1: expected 'key: value' lines"),
        ("llm: {threads: 1}\nllm: {slots: 1}", "line 2: 'llm' is set twice"),
        ("llm: &a {threads: 1}\nindex: *a", "line 2: anchors and aliases"),
        ("llm: &a\n  options: *a", "anchors and aliases"),
        ("insecure: 2001-99-99", "line 1: this value cannot be read"),
        ("llm: !!python/object:os.system {}", "line 1: "),
        ("1: 2", "unknown key '1'"),
        ("? [a]\n: 1", "unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str, write: Write) -> None:
    message = refused(text, write)
    assert message.startswith("ragq.yml line ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ui: {port: 70000}", "ui.port: 70000 is not a port"),
        ("llm: {front_end: {port: 0}}", "llm.front_end.port: 0 is not a port"),
        ("ui: {port: 7780}", "ui.port: 7780 is also http.port"),
        ("services: {x: {}}", "services.x.front_end.port: 0 is not a port"),
        ("llm: {num_workers: 0}", "llm.num_workers: 0 is too small"),
        ("llm: {slots: -1}", "llm.slots: -1 is too small"),
        ("index: {num_workers: 2}", "exactly one owner process"),
        ("index: {num_workers: 2, store: memory}", "a memory store of its own"),
        ("index: {num_workers: 2}", "'index.store: chroma-server'"),
        ("index: {store: chroma-server, chroma_url: host:8000}", "no address of a server"),
        ("index: {chroma_url: 'http://host:8000'}", "index.store is 'chroma'"),
        ("index: {store: chroma-server, chroma_database: A b}", "cannot name one"),
        ("index: {overlap: 512}", "index.overlap: 512 must be smaller than index.chunk_size (512)"),
        ("index: {chunk_size: 0}", "index.chunk_size: 0 is too small"),
        ("index: {parse_timeout_s: 0}", "index.parse_timeout_s: 0 is not a time"),
        ("index: {parse_timeout_s: .nan}", "index.parse_timeout_s: nan is not a time"),
        ("ask: {threshold: 1.5}", "ask.threshold: 1.5 is outside 0..1"),
        ("ask: {threshold: .nan}", "ask.threshold: nan is outside 0..1"),
        ("ask: {top_k: 0}", "ask.top_k: 0 is too small"),
        ("http: {host: 0.0.0.0}", "ask nobody who they are"),
        ("llm: {back_end: {host: 10.0.0.7}}", "llm.back_end.host: refused"),
        ("insecure: true\nllm: {back_end: {host: '*'}}", "cannot be connected to"),
        ("llm: {front_end: {protocol: ipc}}", "wants a path"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(text: str, said: str, write: Write) -> None:
    assert said in refused(text, write)


def test_a_value_of_the_wrong_type_is_quoted(write: Write) -> None:
    write("llm: {threads: many}")
    with pytest.raises(ConfigError) as caught:
        load(env={})
    assert "it says 'many'" in caught.value.help


def test_other_machines_are_allowed_on_request(write: Write) -> None:
    write("insecure: true\nllm: {front_end: {host: 10.0.0.7}}\nhttp: {host: 0.0.0.0}\n")
    assert load(env={}).config.http.host == "0.0.0.0"


def test_two_hosts_may_use_one_port_number(write: Write) -> None:
    write("insecure: true\nllm: {front_end: {host: 10.0.0.7}}\nindex: {front_end: {host: 10.0.0.8, port: 7781}}\n")
    assert load(env={}).config.index.front_end.port == 7781


def test_a_disabled_part_needs_no_port_of_its_own(write: Write) -> None:
    write("ui: {enabled: false, port: 7780}\n")
    assert not load(env={}).config.ui.enabled


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x80", b"x" * (2 << 20)])
def test_a_file_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ragq.yml").write_bytes(content)
    with pytest.raises(ConfigError):
        load(tmp_path / "ragq.yml", env={})


@pytest.mark.parametrize("text", ["[" * 1_200, "a: " + "{a: " * 1_000])
def test_a_file_that_nests_for_ever_is_refused(text: str, write: Write) -> None:
    assert refused(text, write).startswith("ragq.yml")


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    for env, path in (({}, tmp_path / "no.yml"), ({"RAGQ_CONFIG": str(tmp_path)}, None)):
        with pytest.raises(ConfigError, match="cannot read the configuration"):
            load(path, env=env)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*asdict(Config()), "front_end", "port", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(document=YAML)
def test_any_document_is_read_or_refused_in_words(document: object, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_text(json.dumps(document))
    with suppress(ConfigError):
        assert isinstance(load(path, env={}).config, Config)


# -- older spellings

OLD_FILE = """
llm_service:
  enabled: true
  service_module: llm_service
  class_name: LLMService
  is_init_once: false
  spawn_method: spawn
  base_model_file: /models/chat.gguf
  bgem3_path: /models/embedding
  rerank_path: /models/reranker
  front_end: {host: 127.0.0.1, protocol: tcp, port: 7781, socket_type: pull}
  back_end: {host: 127.0.0.1, protocol: tcp, port: 7782}
index_service:
  enabled: true
  chroma_db_path: /data/chroma
  chroma_port: 9999
  chroma_host: localhost
  llm_front_end_url: tcp://localhost:7781
  num_workers: 1
tuning:
  enabled: false
  project_dir: /data/tuning
  n_epoch: 3
"""


def test_a_file_of_an_older_system_is_understood(write: Write) -> None:
    write(OLD_FILE)
    loaded = load(env={})
    llm, index = loaded.config.llm, loaded.config.index
    assert (llm.generate.name, llm.embed.name, llm.rerank.name) == (
        "/models/chat.gguf",
        "/models/embedding",
        "/models/reranker",
    )
    assert (llm.module, index.chroma_path) == ("", "/data/chroma")
    assert any("'llm.base_model_file' is now 'llm.generate.name'" in warning for warning in loaded.warnings)
    assert any(warning.startswith("ragq.yml line 6: 'llm.is_init_once' is ignored") for warning in loaded.warnings)


def test_a_flat_file_of_an_older_system_is_understood(write: Write) -> None:
    write("base_model_path: /m/chat\nembedding_path: /m/e\nstrategy: cpu fp32\nvectordb: {name: chroma, path: /v}\n")
    config = load(env={}).config
    assert (config.llm.generate.name, config.llm.embed.name, config.llm.strategy) == ("/m/chat", "/m/e", "cpu fp32")
    assert config.index.chroma_path == "/v"


def test_a_plug_in_under_its_old_key_is_kept(write: Write) -> None:
    write("llm: {service_module: my_package.fast:FastLLM}\n")
    assert load(env={}).config.llm.module == "my_package.fast:FastLLM"


# -- what is shown


def test_secrets_are_masked(write: Write) -> None:
    write("llm: {options: {api_key: sk-1, hf_token: t, nested: {password: p}, max_tokens: 5, keyboard: us}}\n")
    loaded = load(env={})
    text = show(loaded, origin=True)
    assert "sk-1" not in text
    values = {row.key: row.value for row in rows(loaded)}
    assert [values[f"llm.options.{name}"] for name in ("api_key", "hf_token", "nested.password")] == ["***"] * 3
    assert (values["llm.options.max_tokens"], values["llm.options.keyboard"]) == (5, "us")


def test_show_has_every_key_and_where_it_came_from(write: Write) -> None:
    write("\nllm: {threads: 2}\n")
    lines = show(load(env={}), origin=True).splitlines()
    assert [line.split(":")[0] for line in lines] == [key for key, _ in defaults()]
    assert next(line for line in lines if line.startswith("llm.threads")).endswith("# ragq.yml:2")
    assert next(line for line in lines if line.startswith("llm.slots")).endswith("# default")


def test_the_schema_has_every_key_with_its_default() -> None:
    schema = config_schema()
    for key, default in defaults():
        entry: object = schema
        for name in key.split("."):
            entry = entry["properties"][name]  # type: ignore[index]
        assert isinstance(entry, dict)
        assert default == {} or entry["default"] == default, key
    assert json.dumps(schema)


def test_the_sdk_reads_no_yaml_until_there_is_a_file(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['yaml'] = None; from clients.settings import load;"
        "print(load(env={'RAGQ_LLM__THREADS': '2'}).config.llm.threads)"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2"


def test_without_pyyaml_a_file_says_what_to_install(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("log_level: info\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match="needs the package 'pyyaml'") as caught:
        load(env={})
    assert caught.value.help == "pip install pyyaml"


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("", ("multilingual-e5-small", "maxsim", "smollm2-135m-instruct")),
        ("llm: {profile: qwen3}", ("qwen3-embedding-0.6b", "qwen3-reranker-0.6b", "qwen3-0.6b")),
        ("llm: {profile: bge, embed: {dtype: int8}}", ("bge-m3", "bge-reranker-v2-m3", "smollm2-135m-instruct")),
        ("llm: {profile: qwen3, rerank: {name: none}}", ("qwen3-embedding-0.6b", "none", "qwen3-0.6b")),
        ("llm: {profile: qwen3, embed: {name: ''}}", ("qwen3-embedding-0.6b", "qwen3-reranker-0.6b", "qwen3-0.6b")),
    ],
)
def test_a_profile_names_the_models_of_the_roles_that_name_none(
    text: str, models: tuple[str, str, str], write: Write
) -> None:
    llm = load(write(text), env={}).config.llm
    assert (llm.embed.name, llm.rerank.name, llm.generate.name) == models


def test_a_profile_that_is_not_known_is_refused(write: Write) -> None:
    assert "llm.profile" in refused("llm: {profile: huge}", write)
