"""How does a checkpoint become a directory with a bmodel that a worker can serve."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clients.errors import AlreadyExists, BadRequest
from services.models.bundle import BMODEL, Bundle, Net

from .compiler import CHIP, WEIGHTS, Compiler, mode_of
from .decoder import Decoder, Memory, Shape
from .mlir import Text
from .source import WRITING, Source
from .weights import Tensors, Weights, write

# One net's weights are one allocation on the device: 3.2 GB failed on a card, and cut by layer they fit.
MAX_NET_BYTES = 2 << 30
WEIGHT_BYTES = {"bf16": 2, "f16": 2, "w8": 1}
Tell = Callable[[str], None]
Write = Callable[[str, Shape], Text]
# A net's name, its file, and the milliseconds of a pass by the compiler's model of the chip.
Made = tuple[str, Path, float]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model is to be compiled.

    Attributes:
        shapes: the lengths; a text goes through the shortest that holds it.
        dtype: bf16, f16 or w8.
        in_blocks: every layer a net of its own; None: where one net would be too large.
    """

    shapes: tuple[Shape, ...]
    dtype: str = "bf16"
    in_blocks: bool | None = None


def build(source: Source, wish: Wish, compiler: Compiler, output: Path, tell: Tell = lambda _: None) -> Bundle:
    """Compile every length, put them together, and describe them.

    Args:
        source: the checkpoint and its task.
        wish: lengths and dtype.
        compiler: that is called.
        output: the new directory; it appears whole or not at all.
        tell: hears a line for every net.

    Raises:
        AlreadyExists: there is something at the output.
        BadRequest: the checkpoint lacks something, or a length is beyond its positions.
        ConfigError: the dtype cannot be served.
        BackendError: the compiler failed; its directory is kept, and the message names it.
    """
    mode = mode_of(wish.dtype)
    _check(source, wish, output)
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    whole = work / output.name
    whole.mkdir()
    nets, parts = _Nets(source, wish, compiler, work, mode, tell).compile()
    compiler.combine(parts, work / BMODEL)
    (work / BMODEL).rename(whole / BMODEL)
    bundle = _describe(source, wish, compiler, whole, nets)
    whole.replace(output)
    shutil.rmtree(work)
    return bundle


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some layers of the model: their name, how each kind of pass through them is written, and their weights."""

    name: str
    write: tuple[Write, ...]
    tensors: Tensors


@dataclass(frozen=True, slots=True)
class _Nets:
    source: Source
    wish: Wish
    compiler: Compiler
    work: Path
    mode: str
    tell: Tell

    def compile(self) -> tuple[list[Net], list[Path]]:
        """Every length, shortest first, and the files that make them up."""
        shapes = sorted(self.wish.shapes, key=lambda shape: (shape.tokens, shape.batch))
        found = self._pieces(shapes)
        nets = [self._described(shape, [found[kind, shape] for kind in range(len(self._decoders))]) for shape in shapes]
        return nets, [
            path for kind in range(len(self._decoders)) for shape in shapes for _, path, _ in found[kind, shape]
        ]

    def _pieces(self, shapes: Sequence[Shape]) -> dict[tuple[int, Shape], list[Made]]:
        """Piece by piece, so that only one's weights lie there at a time."""
        found: dict[tuple[int, Shape], list[Made]] = defaultdict(list)
        for piece in self._blocks() if is_in_blocks(self.source, self.wish) else self._whole():
            weights = write(self.work / f"{piece.name}.npz", piece.tensors)
            for kind, text in enumerate(piece.write):
                for shape in shapes:
                    name = f"{piece.name}{'_more' * kind}_{_suffix(shape)}"
                    found[kind, shape].append(self._net(text(name, shape), name, weights))
            weights.unlink()
        return found

    def _whole(self) -> Iterator[_Piece]:
        yield self._piece(self.source.task, Decoder.whole, self._tensors.whole())

    def _blocks(self) -> Iterator[_Piece]:
        yield self._piece("words", Decoder.words, self._tensors.words())
        for layer in range(self.source.causal.layers):
            yield self._piece(f"block_{layer}", partial(Decoder.block, layer=layer), self._tensors.block(layer))
        yield self._piece(self.source.task, Decoder.tail, self._tensors.tail())

    def _piece(self, name: str, text: Callable[[Decoder, str, Shape], Text], tensors: Tensors) -> _Piece:
        return _Piece(name, tuple(partial(text, decoder) for decoder in self._decoders), tensors)

    @property
    def _decoders(self) -> list[Decoder]:
        """One for each kind of pass: a chat model reads a prompt, and then token after token."""
        source = self.source
        memories: tuple[Memory, ...] = ("filled", "read") if source.task == "chat" else ("none",)
        return [
            Decoder(source.causal, source.checkpoint, self._positions, len(source.answers), WEIGHTS, memory)
            for memory in memories
        ]

    @property
    def _tensors(self) -> Weights:
        return Weights(self.source.causal, self.source.checkpoint, self._positions, self.source.answers)

    @property
    def _positions(self) -> int:
        return max(shape.tokens for shape in self.wish.shapes)

    def _net(self, text: Text, name: str, weights: Path) -> Made:
        made = self.compiler.compile(text, name, weights, self.work / "nets", self.mode)
        self.tell(f"{name}: {made.latency_ms:.2f} ms by the compiler's model of the chip")
        kept = made.path.rename(self.work / f"{name}.bmodel")
        shutil.rmtree(self.work / "nets" / name)
        return name, kept, made.latency_ms

    def _described(self, shape: Shape, kinds: Sequence[Sequence[Made]]) -> Net:
        (steps, latency_ms), *rest = (
            (tuple(name for name, _, _ in kind), sum(ms for _, _, ms in kind)) for kind in kinds
        )
        more, more_ms = rest[0] if rest else ((), 0.0)
        return Net(steps, shape.batch, shape.tokens, latency_ms, more, more_ms)


def _suffix(shape: Shape) -> str:
    return f"s{shape.tokens}" if shape.batch == 1 else f"b{shape.batch}_s{shape.tokens}"


def is_in_blocks(source: Source, wish: Wish) -> bool:
    """Whether every layer becomes a net of its own: as wished, or where one net would be too large."""
    if wish.in_blocks is not None:
        return wish.in_blocks
    return source.num_weights * WEIGHT_BYTES[wish.dtype] > MAX_NET_BYTES


def _check(source: Source, wish: Wish, output: Path) -> None:
    if output.exists():
        raise AlreadyExists(f"{output} is there already", help="remove it, or give another --output")
    longest = max(shape.tokens for shape in wish.shapes)
    if source.task == "chat" and any(shape.batch > 1 for shape in wish.shapes):
        raise BadRequest("a chat model reads one text at a time", help="--tokens 512, not 4x512")
    if source.card.max_tokens and longest > source.card.max_tokens:
        raise BadRequest(f"'{source.card.name}' reads {source.card.max_tokens} tokens, not {longest}")


def _describe(source: Source, wish: Wish, compiler: Compiler, whole: Path, nets: Sequence[Net]) -> Bundle:
    sha256 = _sha256(whole / BMODEL)
    source.settle(whole, max(net.tokens for net in nets), sha256[:16])
    bundle = Bundle(
        source.task, tuple(nets), source.causal.hidden, source.vocabulary, CHIP, wish.dtype,
        answers=() if source.task in WRITING else source.answers, prompt=source.prompt, sha256=sha256,
        weights_sha256=source.sha256(), tokenizer_sha256=_sha256(whole / "tokenizer.json"), tool=compiler.name,
    )  # fmt: skip
    bundle.write(whole)
    return bundle


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
