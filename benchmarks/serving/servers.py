"""Which servers are compared, how each is started, and what one of them spends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rigs.rig import ROOT, Load, Part, Processes, Sample, free_ports, processor_s, python, until_open

MODEL = "all-minilm-l6-v2"
MAX_TOKENS = 256
OURS, OURS_HTTP, DIRECT = "ragq", "ragq HTTP", "in process"
INFINITY, FASTAPI, LITSERVE, MOSEC = "infinity", "FastAPI + ST", "LitServe", "mosec"
HERE = Path(__file__).resolve().parent
QUIET = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
LOAD_TIMEOUT_S = 600.0
CALLS = {1: 24, 8: 48, 32: 128}


@dataclass(slots=True)
class Server:
    """A server under measurement; the processor time is that of its processes and all that they started."""

    name: str
    parts: Mapping[str, Part]
    load: Load
    turns: dict[str, int] = field(default_factory=dict)

    def run(self, case: str, amount: float) -> Sample:
        """Measure ``documents 8``: a mix and a number of callers; less than 1 is a warm-up."""
        mix, number = case.split()
        callers = int(number)
        seed = self.turns[case] = self.turns.get(case, 0) + 1
        count = CALLS[callers] if amount >= 1 else callers
        before = {name: _tree_s(part) for name, part in self.parts.items()}
        done = told(self.load, {"mix": mix, "callers": callers, "count": count, "seed": seed * 1000 + callers})
        spent = {name: _tree_s(part) - before[name] for name, part in self.parts.items()}
        return Sample(int(done["calls"]), done["seconds"], spent, done)


def told(load: Load, order: dict[str, object]) -> dict[str, float]:
    """Send an order to a program that makes calls, and wait for its answer."""
    assert load.part.stdin is not None
    load.part.stdin.write(json.dumps(order).encode() + b"\n")
    load.part.stdin.flush()
    return load.end()


def _tree_s(part: Part) -> float:
    return sum(processor_s(pid) for pid in _family(part.pid))


def _family(pid: int) -> Iterator[int]:
    """A process and all that it started, and they."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return iter(found)


def ours(processes: Processes, home: Path, dtype: str) -> list[Server]:
    """A mesh by its own client, another one by HTTP, and the backend without a mesh.

    The two are not one mesh: it would remember the texts that it has had from the other caller.
    """
    parts, front, _ = _mesh(processes, home, dtype, "by-client")
    others, _, http = _mesh(processes, home, dtype, "by-http")
    direct = [*python("benchmarks.serving.direct"), str(home), MODEL, dtype, str(MAX_TOKENS)]
    alone = processes.start(direct, talks=True, environment=ONE_THREAD)
    return [
        Server(OURS, {name: parts[name] for name in ("proxy", "worker")}, _load(processes, home, "ragq", front)),
        Server(OURS_HTTP, others, _load(processes, home, "ragq-http", http)),
        Server(DIRECT, {"backend": alone}, Load(alone)),
    ]


def _mesh(processes: Processes, home: Path, dtype: str, name: str) -> tuple[dict[str, Part], str, str]:
    """A proxy, a worker and the HTTP face; the address of the first and the port of the last."""
    front, back, http = free_ports(3)
    data = processes.directory / name
    data.mkdir()
    (data / "models").symlink_to(home / "models")
    llm = {
        "front_end": {"port": front}, "back_end": {"port": back}, "threads": 1,
        "embed": {"name": MODEL, "dtype": dtype, "max_tokens": MAX_TOKENS},
        "rerank": {"name": "none"}, "generate": {"name": "none"},
    }  # fmt: skip
    settings = {"data_dir": str(data), "llm": llm, "index": {"enabled": False}, "http": {"port": http}}
    config = data / "ragq.yml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    run = [sys.executable, str(ROOT / "service.py"), "--config", str(config)]
    roles = {"proxy": ["proxy", "llm"], "worker": ["worker", "llm"], "http": ["http"]}
    parts = {role: processes.start([*run, *words], environment=ONE_THREAD) for role, words in roles.items()}
    until_open(front)
    until_open(http)
    return parts, f"tcp://127.0.0.1:{front}", str(http)


def peers(processes: Processes, home: Path, interpreters: Mapping[str, str]) -> list[Server]:
    """The other servers, each in its own environment; they load their models at the same time."""
    started = {name: _peer(processes, home, name, interpreter) for name, interpreter in interpreters.items()}
    servers = []
    for name, (part, port) in started.items():
        until_open(port, LOAD_TIMEOUT_S)
        load = _load(processes, home, name.partition(" ")[0].lower(), str(port))
        servers.append(Server(name, {"server": part}, load))
    return servers


def _peer(processes: Processes, home: Path, name: str, interpreter: str) -> tuple[Part, int]:
    (port,) = free_ports(1)
    model = transformers_layout(processes.directory, home)
    commands = {
        INFINITY: [
            str(Path(interpreter).parent / "infinity_emb"), "v2", "--model-id", str(model), "--served-model-name",
            "minilm", "--engine", "torch", "--device", "cpu", "--dtype", "float32", "--no-bettertransformer",
            "--batch-size", "32", "--no-model-warmup", "--host", "127.0.0.1", "--port", str(port),
            "--log-level", "error",
        ],
        FASTAPI: [interpreter, str(HERE / "fastapi_server.py"), str(port), str(model)],
        LITSERVE: [interpreter, str(HERE / "litserve_server.py"), str(port), str(model)],
        MOSEC: [interpreter, str(HERE / "mosec_server.py"), "--port", str(port), "--timeout", "600000"],
    }  # fmt: skip
    environment = {**QUIET, **ONE_THREAD, "SERVED_MODEL": str(model)}
    return processes.start(commands[name], environment=environment), port


def _load(processes: Processes, home: Path, kind: str, address: str) -> Load:
    tokenizer = str(home / "models" / MODEL / "tokenizer.json")
    return Load(processes.start([*python("benchmarks.serving.load"), kind, address, tokenizer], talks=True))


def transformers_layout(directory: Path, home: Path) -> Path:
    """The same weights as sentence-transformers lays them out, cut at the same length."""
    model = directory / "minilm"
    if not model.is_dir():
        (model / "1_Pooling").mkdir(parents=True)
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            (model / name).symlink_to(home / "models" / MODEL / name)
        for name, content in _LAYOUT.items():
            (model / name).write_text(json.dumps(content), encoding="utf-8")
    return model


_MODULES = "sentence_transformers.models"
_LAYOUT = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": f"{_MODULES}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{_MODULES}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{_MODULES}.Normalize"},
    ],
    "sentence_bert_config.json": {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
    "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    "tokenizer_config.json": {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, "cls_token": "[CLS]",
        "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]",
    },
}  # fmt: skip
