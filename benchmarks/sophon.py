"""What does compiling a model of Qwen3-Embedding-0.6B's shape take, and how fast does the compiler think it is?

    python -m compile.fetch
    python benchmarks/sophon.py [--task chat] [--tokens 128 --tokens 256 --tokens 512 --tokens 1024] [--dtype bf16]

The weights are random: neither time nor size depends on them. Prints CPU seconds and peak memory of each length, and
the latency by the compiler's model of the chip.
"""

from __future__ import annotations

import json
import resource
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from compile.build import Wish, build
from compile.compiler import MODES
from compile.convert import parse
from compile.source import open_source
from compile.stages import Stages
from compile.tools import find
from services.models import Card, Shelved
from services.models.bundle import BMODEL

HIDDEN, INNER, HEADS, KV_HEADS, WIDTH, LAYERS, VOCABULARY = 1024, 3072, 16, 8, 128, 28, 151669
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": INNER,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": WIDTH, "num_hidden_layers": LAYERS,
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "hidden_act": "silu", "rope_theta": 1e6,
    "vocab_size": VOCABULARY, "tie_word_embeddings": True,
}  # fmt: skip
CARDS = {
    "embed": Card("qwen3-embedding-0.6b", "decoder", ("embed",), dimension=HIDDEN, max_tokens=32768, pooling="last"),
    "chat": Card("qwen3-0.6b", "decoder", ("generate",), max_tokens=32768),
}  # fmt: skip


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "embed_tokens.weight", (VOCABULARY, HIDDEN)
    yield "norm.weight", (HIDDEN,)
    for layer in range(LAYERS):
        name = f"layers.{layer}."
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            yield f"{name}self_attn.{part}_proj.weight", (heads * WIDTH, HIDDEN)
        yield f"{name}self_attn.q_norm.weight", (WIDTH,)
        yield f"{name}self_attn.k_norm.weight", (WIDTH,)
        yield f"{name}self_attn.o_proj.weight", (HIDDEN, HEADS * WIDTH)
        yield f"{name}mlp.gate_proj.weight", (INNER, HIDDEN)
        yield f"{name}mlp.up_proj.weight", (INNER, HIDDEN)
        yield f"{name}mlp.down_proj.weight", (HIDDEN, INNER)
        yield f"{name}input_layernorm.weight", (HIDDEN,)
        yield f"{name}post_attention_layernorm.weight", (HIDDEN,)


def write_checkpoint(directory: Path, task: str) -> Shelved:
    """Random bfloat16 weights, written tensor after tensor."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "tokenizer.json").write_text("{}")
    header, end = {}, 0
    for name, shape in shapes():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    packed = json.dumps(header).encode()
    block = np.random.default_rng(0).standard_normal(1 << 22, np.float32) * np.float32(0.02)
    bits = (block.view(np.uint32) >> 16).astype(np.uint16)
    with (directory / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(packed)) + packed)
        for _, shape in shapes():
            file.write(np.resize(bits, shape).tobytes())
    return Shelved(CARDS[task], directory, end)


@click.command()
@click.option("--tokens", "lengths", multiple=True, default=("128", "256", "512", "1024"))
@click.option("--task", type=click.Choice(list(CARDS)), default="embed")
@click.option("--dtype", type=click.Choice(list(MODES)), default="bf16")
@click.option("--work", type=click.Path(path_type=Path), help="Where 10 GB are free; default: the temporary directory.")
def main(lengths: tuple[str, ...], task: str, dtype: str, work: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=work) as place:
        model = write_checkpoint(Path(place) / "checkpoint", task)
        begun, cpu = time.monotonic(), children_cpu()

        def tell(line: str) -> None:
            print(
                f"{line}; so far {time.monotonic() - begun:.0f} s, {children_cpu() - cpu:.0f} CPU s, compiler at most "
                f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB",
                flush=True,
            )

        wish = Wish(tuple(parse(length) for length in lengths), dtype)
        build(open_source(model), wish, Stages(find()), Path(place) / "bundle", tell)
        size = (Path(place) / "bundle" / BMODEL).stat().st_size
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{size / 1e9:.3f} GB for {len(lengths)} lengths; ragq itself at most {own:.2f} GB")


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
