"""A mesh whose every role is filled by the HTTP face of another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clients import Ragq
from clients.errors import BadRequest, ModelNotLoaded, Unreachable
from tests.conftest import TOY, LiveMesh, free_ports, merged, start_mesh
from tests.mesh.test_http import url_of
from tests.unit.llm.remote.scripted import Scripted, serves_all

pytestmark = pytest.mark.mesh
TEXTS = ["The wing gives lift to the plane.", "The tail gives balance.", "一对翅膀"]


def remote(url: str, **more: object) -> dict[str, object]:
    roles = ("embed", "rerank", "generate")
    return {"llm": {role: {"name": "toy", "backend": "remote", "url": url, "timeout_s": 10, **more} for role in roles}}


@pytest.fixture(scope="module")
def near(toy_mesh: LiveMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ragq]:
    settings = merged(TOY, remote(f"{url_of(toy_mesh)}/v1"))
    live = start_mesh(tmp_path_factory.mktemp("remote"), settings, ["proxy", "llm", "index"])
    try:
        live.wait_ready()
        yield live.client()
    finally:
        live.stop()


@pytest.fixture(scope="module")
def far(toy_mesh: LiveMesh) -> Ragq:
    return toy_mesh.client()


def test_every_role_is_ready_and_says_where_it_is(near: Ragq) -> None:
    near.llm.generate([{"role": "user", "content": "hi"}])  # waits until that role is filled
    assert [(info.role, info.backend, info.status) for info in near.llm.models()] == [
        ("embed", "remote", "ready"), ("rerank", "remote", "ready"), ("generate", "remote", "ready"),
    ]  # fmt: skip


def test_vectors_are_those_of_the_far_mesh(near: Ragq, far: Ragq) -> None:
    for role in ("query", "document"):
        np.testing.assert_allclose(near.llm.embed(TEXTS, role), far.llm.embed(TEXTS, role), atol=1e-6)


def test_scores_are_those_of_the_far_mesh(near: Ragq, far: Ragq) -> None:
    ours, theirs = (mesh.llm.rerank("what gives lift to the plane?", TEXTS) for mesh in (near, far))
    assert [each.index for each in ours] == [each.index for each in theirs]
    assert [each.score for each in ours] == pytest.approx([each.score for each in theirs], abs=1e-6)


def test_text_streams_through_both(near: Ragq) -> None:
    with near.llm.generate([{"role": "user", "content": "one two three"}], stream=True) as tokens:
        pieces = [token.text for token in tokens]
    assert len(pieces) > 2
    assert "".join(pieces) == tokens.reply.text == "You said: one two three"
    assert tokens.reply.usage.completion_tokens == len(pieces)
    assert tokens.reply.usage.first_token_s > 0


def test_a_bound_of_tokens_is_kept(near: Ragq) -> None:
    done = near.llm.generate([{"role": "user", "content": "one two three"}], max_tokens=2)
    assert (done.text, done.finish_reason) == ("You said:", "length")


def test_a_control_that_the_far_side_lacks_is_refused(near: Ragq) -> None:
    with pytest.raises(BadRequest, match="min_p"):
        near.llm.generate([{"role": "user", "content": "hi"}], min_p=0.5)


def test_questions_are_answered_with_remote_models(near: Ragq) -> None:
    near.index.create_collection("wings", exist_ok=True)
    near.index.add("wings", texts=TEXTS).wait(30)
    answer = near.ask("wings", "what gives lift to the plane?")
    assert "wing" in answer.text.lower()


def test_a_mesh_starts_without_its_server_finds_it_later_and_tells_when_it_is_gone(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = merged(TOY, {"llm": {"embed": {"name": "m", "backend": "remote", "url": f"http://127.0.0.1:{port}/v1"}}})
    near = start_mesh(tmp_path, settings, ["proxy", "llm", "index"])
    try:
        near.wait_ready()
        mesh = near.client()
        with pytest.raises(ModelNotLoaded, match="the connection is refused"):
            mesh.llm.embed("x")
        with Scripted(port_wanted=port) as server:
            serves_all(server)
            assert mesh.llm.embed("x").shape == (1, 2)
        with pytest.raises(Unreachable, match="the connection is refused"):
            mesh.llm.embed("y")
    finally:
        near.stop()
