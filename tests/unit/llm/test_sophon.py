"""What a SOPHON device is asked, without one: which net, which inputs, what is refused, what its options say."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from clients.config import Model
from clients.errors import BackendError, BadRequest, ConfigError, TooLarge
from services.llm.backends.registry import Site, backend
from services.llm.backends.sophon.cells import layout, row_values
from services.llm.backends.sophon.checked import Checked, widened
from services.llm.backends.sophon.frames import receive, send
from services.llm.backends.sophon.inputs import fixed, further
from services.llm.backends.sophon.options import read_options
from services.llm.backends.sophon.plan import plan
from services.llm.backends.sophon.port import Cells, Graph, Spec
from services.models import Card, Shelf
from services.models.bundle import BMODEL, Bundle, Net, read_bundle


def net(tokens: int, batch: int = 1, latency_ms: float = 0.0) -> Net:
    return Net((f"b{batch}_s{tokens}",), batch, tokens, latency_ms)


NETS = (net(128, 1, 20.0), net(128, 4, 50.0), net(512, 1, 63.0))


@pytest.mark.parametrize(
    ("lengths", "passes"),
    [
        ([128], ["b1_s128"]),
        ([129], ["b1_s512"]),
        ([10, 500, 20], ["b1_s128", "b1_s128", "b1_s512"]),
        ([10] * 3, ["b4_s128"]),
        ([10] * 5, ["b4_s128", "b1_s128"]),
        ([10] * 4, ["b4_s128"]),
    ],
)
def test_a_text_goes_through_the_shortest_net_and_many_go_together_where_that_is_quicker(lengths, passes):
    found = plan(NETS, lengths)
    assert [one.net.steps[0] for one in found] == passes
    assert sorted(row for one in found for row in one.rows) == list(range(len(lengths)))


def test_a_net_for_several_texts_takes_one_where_there_is_no_other():
    (one,) = plan([net(128, 4)], [10])
    assert (one.net.batch, one.rows) == (4, (0,))


def test_a_text_that_no_net_holds_is_refused():
    with pytest.raises(TooLarge, match="has 513 tokens, and the longest net reads 512"):
        plan(NETS, [513])


def test_the_mask_has_a_row_for_every_text_and_hides_what_comes_later():
    mask = fixed(2, 3)["attention_mask"]
    assert mask.shape == (2, 1, 3, 3)
    assert (mask[1, 0] == [[0, -10000, -10000], [0, 0, -10000], [0, 0, 0]]).all()


class Adding:
    """A device whose graphs add their inputs up, and that remembers what reached it."""

    def __init__(self) -> None:
        a, b = Spec("a", (2,), "float32"), Spec("b", (2,), "float32")
        self.graphs = {
            "first": Graph("first", (a, b), (Spec("sum", (2,), "float32"),)),
            "then": Graph("then", (Spec("c", (2,), "float32"), b), (Spec("sum", (2,), "float32"),)),
            "longer": Graph("longer", (Spec("c", (3,), "float32"),), (Spec("sum", (3,), "float32"),)),
        }
        self.kept: dict[str, np.ndarray] = {}

    def keep(self, graph: str, arrays: Mapping[str, np.ndarray]) -> None:
        self.kept.update(arrays)

    def reserve(self, number: int) -> None:
        pass

    def release(self, number: int) -> None:
        pass

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        given = {**self.kept, **arrays}
        return [given["a"] + len(graphs) * given["b"]]

    def close(self) -> None:
        pass


def ones(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.ones(shape, dtype)


def test_graphs_that_follow_one_another_run_with_what_was_kept():
    device = Checked(Adding())
    device.keep("first", {"b": ones(2)})
    device.keep("then", {"b": ones(2)})
    assert (device.run(["first", "then"], {"a": ones(2)})[0] == 3).all()


@pytest.mark.parametrize(
    ("graphs", "arrays", "says"),
    [
        (["second"], {}, "no graph 'second'"),
        (["first"], {"a": ones(2)}, "'first' lacks its input 'b'"),
        (["first"], {"a": ones(2), "b": ones(1, 2)}, r"wants 'b' as \[2\], not \[1, 2\]"),
        (["first"], {"a": ones(2), "b": ones(2, dtype="float64")}, "wants 'b' as float32, not float64"),
        (["first"], {"a": ones(2), "b": ones(2), "x": ones(2)}, "has an input 'x'"),
        (["first", "longer"], {"a": ones(2), "b": ones(2)}, "'longer' cannot follow 'first'"),
    ],
)
def test_what_the_vendors_library_would_take_wrongly_never_reaches_it(graphs, arrays, says):
    with pytest.raises(BadRequest, match=says):
        Checked(Adding()).run(graphs, arrays)


class Remembering(Adding):
    """A device with a memory of four rows, of which a graph fills two and another reads all and adds one."""

    def __init__(self) -> None:
        super().__init__()
        ids, out = Spec("ids", (1,), "int32"), Spec("sum", (2,), "float32")
        past, short = (Spec("past_key_0", (1, rows, 2, 8), "bfloat16") for rows in (4, 2))
        self.graphs = {
            "filled": Graph("filled", (ids,), (out, Spec("key_0", (1, 2, 2, 8), "bfloat16"))),
            "more": Graph("more", (ids, past), (out, Spec("key_0", (1, 1, 2, 8), "bfloat16"))),
            "sooner": Graph("sooner", (ids, short), (out, Spec("key_0", (1, 1, 2, 8), "bfloat16"))),
        }

    def run(
        self, graphs: Sequence[str], arrays: Mapping[str, np.ndarray], cells: Cells | None = None
    ) -> list[np.ndarray]:
        return [ones(2)]


IDS = {"ids": ones(1, dtype="int32")}


def test_a_memory_is_as_long_as_the_longest_graph_reads():
    (spec,) = layout(Remembering().graphs.values()).values()
    assert (spec.name, spec.shape, row_values(spec), spec.num_bytes) == ("key_0", (1, 4, 2, 8), 16, 128)


def test_what_goes_to_a_memory_is_neither_asked_for_nor_given_back():
    device = Checked(Remembering())
    device.reserve(1)
    assert len(device.run(["filled"], IDS, Cells(1, 0))) == 1
    assert len(device.run(["more"], IDS, Cells(1, 3))) == 1
    with pytest.raises(BadRequest, match="has an input 'past_key_0'"):
        device.run(["more"], {**IDS, "past_key_0": ones(1, 4, 2, 8, dtype="uint16")}, Cells(1, 3))


@pytest.mark.parametrize(
    ("graph", "cells", "kind", "says"),
    [
        ("more", None, BadRequest, "'more' lacks a memory"),
        ("more", Cells(2, 0), BackendError, "what the answer had read is gone"),
        ("more", Cells(1, 4), BadRequest, "wants rows 4 to 5 of 4"),
        ("filled", Cells(1, 3), BadRequest, "wants rows 3 to 5 of 4"),
        ("more", Cells(1, -1), BadRequest, "wants rows -1 to 0 of 4"),
    ],
)
def test_a_pass_beyond_its_memory_never_reaches_the_device(graph, cells, kind, says):
    device = Checked(Remembering())
    device.reserve(1)
    with pytest.raises(kind, match=says):
        device.run([graph], IDS, cells)


def test_a_memory_is_had_once_and_only_of_a_model_that_has_one():
    device = Checked(Remembering())
    device.reserve(1)
    with pytest.raises(BadRequest, match="no memory 1"):
        device.reserve(1)
    device.release(1)
    device.release(1)
    device.reserve(1)
    with pytest.raises(BadRequest, match="the model has none"):
        Checked(Adding()).reserve(1)


def test_a_further_token_sees_those_before_it_and_itself_and_no_row_that_is_empty():
    inputs = further(9, 2, 4)
    assert (inputs["attention_mask"] == [[[[0, 0, -10000, -10000, 0]]]]).all()
    assert (inputs["input_ids"].tolist(), inputs["position_ids"].tolist()) == ([[9]], [[2]])


def test_an_input_that_a_graph_lacks_cannot_be_kept():
    with pytest.raises(BadRequest, match="'then' has no input 'a'"):
        Checked(Adding()).keep("then", {"a": ones(2)})


def test_what_is_no_number_is_an_error():
    with pytest.raises(BackendError, match="no numbers in 'sum'"):
        Checked(Adding()).run(["first"], {"a": np.array([1, np.nan], np.float32), "b": ones(2)})


def test_bits_of_16_become_numbers():
    assert widened(np.array([0x3F80, 0xC2C8], np.uint16), "bfloat16").tolist() == [1.0, -100.0]
    assert widened(np.array([1.5], np.float16).view(np.uint16), "float16").tolist() == [1.5]


def test_messages_come_out_of_the_pipe_as_they_went_in():
    pipe = io.BytesIO()
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "empty": np.zeros((0, 4), np.float32)}
    send(pipe, {"run": ["x"]}, arrays)
    pipe.seek(0)
    head, found = receive(pipe)
    assert head == {"run": ["x"]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_pipe_that_ends_in_the_middle_is_the_end():
    pipe = io.BytesIO()
    send(pipe, {}, {"a": ones(100)})
    with pytest.raises(EOFError):
        receive(io.BytesIO(pipe.getvalue()[:-8]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"driver": "sial"}, "llm.embed.options.driver"),
        ({"devices": []}, "numbers from 0 on, each once"),
        ({"devices": [0, 0]}, "each once"),
        ({"devices": [-1]}, "from 0 on"),
        ({"devices": [[0, 1]]}, "cannot be spread over several devices"),
        ({"answers": 0}, "answers are 1 or more"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"device": [1]}, "devices"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    with pytest.raises(ConfigError) as refused:
        read_options(Model("m", "sophon", options=options), "embed")
    assert says in str(refused.value)


def test_each_device_is_a_place_of_its_own():
    options = read_options(Model("m", "sophon", options={"driver": "simulator", "devices": [0, 2]}), "embed")
    places = options.places(Path("m.bmodel"), Path("/home"))
    assert [(place.driver, place.device) for place in places] == [("runtime", 0), ("runtime", 2)]
    assert places[0].libraries == Path("/home/tools/tpu-mlir-1.30.2/lib")


def shelf_with(directory: Path, **card: object) -> Site:
    directory.mkdir()
    (directory / BMODEL).write_bytes(b"x")
    Card("small", "bmodel", ("embed",), weights=BMODEL).write(directory)
    return Site(Shelf(directory.parent), 1, directory.parent / "cache")


def test_a_compiled_model_on_another_backend_is_refused_by_name(tmp_path):
    site = shelf_with(tmp_path / "model")
    with pytest.raises(ConfigError, match="compiled for a SOPHON device"):
        backend("openvino").embedder(Model(str(tmp_path / "model")), site)


def test_a_checkpoint_on_a_device_is_refused_with_what_to_do(tmp_path):
    site = shelf_with(tmp_path / "model")
    with pytest.raises(ConfigError, match="not compiled for SOPHON"):
        backend("sophon").embedder(Model(str(tmp_path / "model"), "sophon"), site)


def test_a_description_is_read_as_it_was_written_and_misses_no_file(tmp_path):
    bundle = Bundle("embed", NETS, 8, 9, "bm1684x", "bf16", answers=(), prompt=("a", "b"))
    bundle.write(tmp_path)
    with pytest.raises(BadRequest, match=f"lacks {BMODEL}"):
        read_bundle(tmp_path)
    (tmp_path / BMODEL).touch()
    assert read_bundle(tmp_path) == bundle
    assert bundle.max_tokens == 512
