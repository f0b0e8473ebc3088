"""GGUF files are read by the specification, and 5-bit tensors are repacked without changing a number."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.errors import BadRequest
from services.models.gguf import Q8_0, check_splitting, read_header
from services.models.gguf_blocks import VALUES
from services.models.gguf_repack import repack

from .gguf_files import encode, gguf_file


def test_the_header_tells_context_licence_and_tensors(tmp_path):
    gguf_file(tmp_path / "m.gguf", {"a": ("F32", np.ones(32)), "b": ("Q5_0", np.zeros((3, 64)))})
    header = read_header(tmp_path / "m.gguf")
    assert (header.context_tokens, header.licence, header.unreadable) == (2048, "mit", ("Q5_0",))
    assert [(t.name, t.shape, t.type_name) for t in header.tensors] == [("a", (32,), "F32"), ("b", (64, 3), "Q5_0")]
    assert header.settings["general.flag"] is True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 3))
def test_repacked_tensors_hold_the_same_numbers_and_the_others_the_same_bytes(tmp_path, seed, rows, blocks):
    rng = np.random.default_rng(seed)
    five = rng.integers(-16, 16, (rows, 32 * blocks))
    plain = rng.standard_normal(32 * rows).astype(np.float32)
    gguf_file(tmp_path / "m.gguf", {"first": ("Q5_0", five), "plain": ("F32", plain), "last": ("Q5_0", five[::-1])})
    repack(tmp_path / "m.gguf", tmp_path / "r.gguf")
    gguf_file(tmp_path / "e.gguf", {"first": ("Q8_0", five), "plain": ("F32", plain), "last": ("Q8_0", five[::-1])})
    assert (tmp_path / "r.gguf").read_bytes() == (tmp_path / "e.gguf").read_bytes()


@pytest.mark.parametrize(
    ("kind", "values", "checksum"),
    [
        ("Q4_1", [2.75, 1.0, 3.25, 3.25, 1.5, 2.75, 2.0, 2.25], 10360.25),
        ("Q5_1", [5.75, 4.25, 2.0, 2.75, 5.5, 7.75, 8.0, 6.5], 18099.0),
        ("Q4_K", [10.0, 32.5, 47.5, 94.0, -3.25, 74.5, 69.75, 168.5], 12537678.0),
        ("Q5_K", [-10.5, 8.5, 81.25, 198.75, 3.5, 10.75, -1.5, -20.75], 29358127.0),
    ],
)
def test_blocks_hold_the_numbers_that_the_gguf_package_reads(kind, values, checksum):
    """Three blocks of random bytes with scale 0.25 and minimum 0.5: eight values, and the sum of value times place.

    From ``gguf.quants.dequantize`` of gguf 0.19.
    """
    block, read = VALUES[kind]
    raw = np.random.default_rng(7).integers(0, 256, (3, block.itemsize), np.uint8)
    blocks = raw.reshape(-1).view(block)
    blocks["scale"], blocks["least"] = 0.25, 0.5
    found = read(blocks).reshape(-1)
    assert found[:: len(found) // 8].tolist() == values
    assert float(found.astype(np.float64) @ np.arange(len(found))) == checksum


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_type_with_a_minimum_becomes_q8_0_near_its_numbers(tmp_path, kind):
    block, read = VALUES[kind]
    raw = np.random.default_rng(1).integers(0, 256, (5, block.itemsize), np.uint8)
    blocks = raw.reshape(-1).view(block)
    blocks["scale"], blocks["least"] = 0.25, 0.5
    values = read(blocks).reshape(5, -1)
    gguf_file(tmp_path / "m.gguf", {"a": (kind, values)}, blocks={"a": raw.tobytes()})
    repack(tmp_path / "m.gguf", tmp_path / "r.gguf")
    header = read_header(tmp_path / "r.gguf")
    (tensor,) = header.tensors
    packed = np.frombuffer((tmp_path / "r.gguf").read_bytes()[header.data_start :], Q8_0, tensor.num_blocks)
    found = (packed["values"] * packed["scale"][:, None].astype(np.float32)).reshape(values.shape)
    largest = np.abs(values).reshape(-1, 32).max(axis=1).repeat(32).reshape(values.shape)
    assert tensor.type_name == "Q8_0"
    assert (np.abs(found - values) <= 0.0045 * largest).all()


def test_what_cannot_be_repacked_exactly_is_named(tmp_path):
    gguf_file(tmp_path / "m.gguf", {"a": ("Q2_K", np.zeros((1, 32)))})
    with pytest.raises(BadRequest, match="Q2_K") as failure:
        repack(tmp_path / "m.gguf", tmp_path / "r.gguf")
    assert "Q8_0" in failure.value.help
    assert not (tmp_path / "r.gguf").exists()


def test_a_matrix_in_float32_is_named_as_unread_and_a_vector_is_not(tmp_path):
    gguf_file(tmp_path / "m.gguf", {"a": ("F32", np.ones((2, 32))), "b": ("F32", np.ones(32))})
    with pytest.raises(BadRequest, match="type F32,"):
        repack(tmp_path / "m.gguf", tmp_path / "r.gguf")


@pytest.mark.parametrize("rule", ["llama-bpe", "default", "deepseek-r1-qwen"])
def test_a_rule_of_splitting_text_that_the_runtime_lacks_is_refused_with_two_ways_out(tmp_path, rule):
    gguf_file(tmp_path / "m.gguf", {"a": ("Q8_0", np.zeros((1, 32)))}, splitting=rule)
    with pytest.raises(BadRequest, match=f"the rule '{rule}'") as failure:
        check_splitting(tmp_path / "m.gguf", read_header(tmp_path / "m.gguf"))
    assert all(word in failure.value.help for word in ("backend: torch", "backend: remote", "any_tokenizer"))


@pytest.mark.parametrize("keep", [0, 3, 4, 20, 60, 200])
def test_a_file_that_is_cut_off_is_refused(tmp_path, keep):
    gguf_file(tmp_path / "m.gguf", {"a": ("Q8_0", np.zeros((4, 64)))})
    whole = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(whole[:keep])
    with pytest.raises(BadRequest, match="not a whole GGUF file"):
        read_header(tmp_path / "m.gguf")


def with_list(item: int, count: int, *, depth: int = 1) -> bytes:
    """A file whose only setting is a list, in ``depth`` - 1 others."""
    head = struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"k", 9)
    return head + struct.pack("<IQ", 9, 1) * (depth - 1) + struct.pack("<IQ", item, count) + bytes(64)


@pytest.mark.parametrize("raw", [with_list(12, 2**64 - 1), with_list(8, 2**64 - 1), with_list(4, 1, depth=5000)])
def test_a_list_that_no_file_can_hold_is_refused(tmp_path, raw):
    (tmp_path / "m.gguf").write_bytes(raw)
    with pytest.raises(BadRequest, match="not a whole GGUF file"):
        read_header(tmp_path / "m.gguf")


@given(st.integers(4, 300), st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_damaged_head_is_read_or_refused_but_never_crashes(tmp_path, place, value):
    gguf_file(tmp_path / "m.gguf", {"a": ("Q8_0", np.zeros((1, 32)))})
    raw = bytearray((tmp_path / "m.gguf").read_bytes())
    raw[place % len(raw)] = value
    (tmp_path / "m.gguf").write_bytes(raw)
    with suppress(BadRequest):
        read_header(tmp_path / "m.gguf")


def test_the_encoder_of_these_tests_agrees_with_the_layout_of_five_bits():
    raw = encode("Q5_0", np.array([[-16, 15, *[0] * 30]]))
    assert raw[2:6] == (0b11111111111111111111111111111110).to_bytes(4, "little")
    assert raw[6] == 0x00
    assert raw[7] == 0x0F
