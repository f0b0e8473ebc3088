"""How a GGUF file becomes what the runtime runs.

GenAI translates the file into a graph, which takes longer than all else; the graph is kept in the cache
directory, so that the next start, a rebuilt pipeline and the reader of logits begin with it.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from clients.errors import BackendError
from services.models import Card, Shelved
from services.models.gguf import Header, check_splitting, read_header
from services.models.gguf_repack import repack

log = logging.getLogger(__name__)

KV_BLOCK_TOKENS = 32
PREFILL_TOKENS = 256
GRAPH = "openvino_model.xml"
LAST = (1 << 31) - 1


class GGUFModel:
    """A GGUF file and its graph.

    Args:
        model: from the shelf, or a .gguf file.
        threads: processor threads.
        cache: directory for the graph; None keeps it for this object's life only.
        any_tokenizer: take a file whose text the runtime splits by another rule than the model's.

    Raises:
        BadRequest: it is no GGUF file that the runtime reads rightly.
    """

    def __init__(self, model: Shelved, threads: int, cache: Path | None, *, any_tokenizer: bool = False) -> None:
        path = model.path / model.card.chat_weights if model.path.is_dir() else model.path
        header = read_header(path)
        if not any_tokenizer:
            check_splitting(path, header)
        self._settings = {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        self._temporary = None if cache else tempfile.TemporaryDirectory(prefix="ragq-gguf-")
        self._cache = cache or Path(self._temporary.name if self._temporary else "")
        self._path = self._readable(path, header, model.card)
        self._key = _stamp(self._path, model.card)
        self._reader: Any = None

    @property
    def graph(self) -> Path:
        """Where the graph is kept."""
        return self._cache / "gguf" / self._key

    def tokenizer(self) -> Any:
        """GenAI's tokenizer.

        Raises:
            BackendError: the runtime cannot read the file.
        """
        import openvino_genai

        try:
            return openvino_genai.Tokenizer(str(self._path))
        except (RuntimeError, IndexError) as error:
            raise BackendError(f"OpenVINO GenAI cannot read '{self._path}': {error}") from error

    def pipeline(self, tokenizer: Any, kv_tokens: int) -> Any:
        """A pipeline that writes several answers at a time; prompts share their beginnings.

        Raises:
            BackendError: the runtime cannot load the file.
        """
        import openvino_genai

        schedule = openvino_genai.SchedulerConfig()
        schedule.num_kv_blocks = kv_tokens // KV_BLOCK_TOKENS
        schedule.max_num_batched_tokens = PREFILL_TOKENS
        schedule.dynamic_split_fuse = True
        schedule.enable_prefix_caching = True
        build = openvino_genai.ContinuousBatchingPipeline
        try:
            if not (self.graph / GRAPH).is_file():
                self._translate(build, schedule)
            return build(str(self.graph), tokenizer, schedule, "CPU", **self._settings)
        except (RuntimeError, OSError) as error:
            raise BackendError(f"OpenVINO GenAI cannot load '{self._path}': {error}") from error

    def reader(self) -> Any:
        """The graph compiled to give logits; keeps its own copy of the weights, made at the first call."""
        import openvino

        if self._reader is None:
            core = openvino.Core()
            graph = core.read_model(str(self.graph / GRAPH))
            _keep_last(graph)
            self._reader = core.compile_model(graph, "CPU", self._settings)
        return self._reader

    def close(self) -> None:
        """Remove what was kept for this object only."""
        self._reader = None
        if self._temporary:
            self._temporary.cleanup()

    def _readable(self, path: Path, header: Header, card: Card) -> Path:
        """The file, or its copy with the tensors that the runtime would misread in another type, made once."""
        if not header.unreadable:
            return path
        place = self._cache / "gguf" / f"{_stamp(path, card)}.gguf"
        if not place.is_file():
            log.info("'%s' has %s, which GenAI misreads: repacked at %s", card.name, header.unreadable, place)
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as work:
                whole = Path(work) / place.name
                repack(path, whole)
                whole.replace(place)
        return place

    def _translate(self, build: Any, schedule: Any) -> None:
        """GenAI writes the graph beside the file that it is given: a link, as the shelf may be read-only."""
        self.graph.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.graph.parent) as name:
            link = Path(name) / "model.gguf"
            link.symlink_to(self._path.resolve())
            build(str(link), schedule, "CPU", {**self._settings, "enable_save_ov_model": True})
            link.unlink()
            if not (self.graph / GRAPH).is_file():
                shutil.copytree(name, self.graph, dirs_exist_ok=True)


def _stamp(path: Path, card: Card) -> str:
    """A name for what is computed from the file; one of another size is another file, whatever its card says."""
    stat = path.stat()
    return f"{card.name}-{card.revision or f'{stat.st_mtime_ns:x}'}-{stat.st_size:x}"


def _keep_last(graph: Any) -> None:
    """Logits of the last token only: those of a whole prompt are hundreds of megabytes nobody reads."""
    from openvino import opset13 as ops

    head = graph.get_results()[0].input_value(0).get_node()
    if head.get_type_name() == "MatMul":
        last = ops.slice(head.input_value(0), [-1], [LAST], [1], [1])
        head.input(0).replace_source_output(last.output(0))
