"""The commands as processes, against a live mesh."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import service
from tests.conftest import ROOT, LiveMesh, environment, free_ports

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def notes(toy_mesh: LiveMesh, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A collection made from a folder by ``ragq add``."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "deep").mkdir()
    (folder / "wings.md").write_text("# Wings\n\nThe wing gives lift to the plane.\n")
    (folder / "deep" / "尾翼.txt").write_text("尾翼保持飞机的平衡。", encoding="utf-8")
    done = toy_mesh.run("add", str(folder), "-c", "cli-notes")
    assert done.returncode == 0, done.stderr
    assert "2 added of 2 documents" in done.stdout
    return "cli-notes"


def test_status_lists_what_runs(toy_mesh: LiveMesh) -> None:
    found = json.loads(toy_mesh.run("status", "--json").stdout)
    assert found["ready"]
    assert [s["service"] for s in found["services"]] == ["llm", "index"]


def test_documents_keep_their_names(toy_mesh: LiveMesh, notes: str) -> None:
    found = json.loads(toy_mesh.run("documents", "-c", notes, "--json").stdout)
    assert sorted(Path(d["name"]).name for d in found["documents"]) == ["wings.md", "尾翼.txt"]
    assert {d["status"] for d in found["documents"]} == {"ready"}


def test_search_and_ask_find_the_passage(toy_mesh: LiveMesh, notes: str) -> None:
    found = json.loads(toy_mesh.run("search", "wing lift", "-c", notes, "--json").stdout)
    assert "lift" in found["hits"][0]["text"]
    asked = toy_mesh.run("ask", "what gives lift to the plane?", "-c", notes)
    assert asked.stdout.startswith("The wing gives lift to the plane. [1]\n\n[1] ")


def test_search_and_ask_look_into_some_documents_only(toy_mesh: LiveMesh, notes: str) -> None:
    found = json.loads(toy_mesh.run("search", "wing lift", "-c", notes, "--in", "*.txt", "--json").stdout)
    assert [Path(hit["document"]).name for hit in found["hits"]] == ["尾翼.txt"]
    found = json.loads(toy_mesh.run("search", "wing lift", "-c", notes, "--kind", "md", "--json").stdout)
    assert [Path(hit["document"]).name for hit in found["hits"]] == ["wings.md"]
    asked = toy_mesh.run("ask", "what gives lift to the plane?", "-c", notes, "--in", "*wings.md")
    assert asked.stdout.startswith("The wing gives lift to the plane. [1]\n\n[1] ")
    nothing = toy_mesh.run("ask", "what gives lift to the plane?", "-c", notes, "--in", "gone.pdf")
    assert "This is not in the chosen documents" in nothing.stdout
    assert "the collection has no document 'gone.pdf'" in nothing.stderr


def test_a_chunk_is_changed_and_found_by_its_new_words(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    (tmp_path / "kites.txt").write_text("Kites fly on strings. Drums make noise.")
    assert toy_mesh.run("add", str(tmp_path / "kites.txt"), "-c", "cli-edited").returncode == 0
    (document,) = json.loads(toy_mesh.run("documents", "-c", "cli-edited", "--json").stdout)["documents"]
    (chunk,) = json.loads(toy_mesh.run("chunks", "list", document["id"], "--json").stdout)["chunks"]
    first, second = json.loads(toy_mesh.run("chunks", "split", chunk["id"], "--before", "Drums", "--json").stdout)
    assert (first["text"], second["text"]) == ("Kites fly on strings.", "Drums make noise.")
    edited = json.loads(toy_mesh.run("chunks", "edit", second["id"], "Flutes sound soft.", "--json").stdout)[0]
    found = json.loads(toy_mesh.run("search", "flutes", "-c", "cli-edited", "--json").stdout)
    assert found["hits"][0]["chunk_id"] == edited["id"]
    assert toy_mesh.run("chunks", "off", edited["id"]).returncode == 0
    found = json.loads(toy_mesh.run("search", "flutes", "-c", "cli-edited", "--mode", "keyword", "--json").stdout)
    assert found["hits"] == []
    checked = toy_mesh.run("fsck", "--probe")
    assert checked.returncode == 0, checked.stdout
    assert "everything agrees" in checked.stdout
    assert toy_mesh.run("chunks", "recut", document["id"], "--yes").returncode == 0
    assert json.loads(toy_mesh.run("chunks", "list", document["id"], "--json").stdout)["chunks"] == [chunk]


def test_a_collection_is_exported_and_comes_in_under_another_name(
    toy_mesh: LiveMesh, notes: str, tmp_path: Path
) -> None:
    file = tmp_path / "notes.ragq"
    done = toy_mesh.run("export", "-c", notes, "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert "2 documents" in done.stdout
    done = toy_mesh.run("import", str(file), "--name", "cli-copy")
    assert done.returncode == 0, done.stderr
    found = json.loads(toy_mesh.run("search", "尾翼", "-c", "cli-copy", "--json").stdout)
    assert "尾翼" in found["hits"][0]["text"]
    again = toy_mesh.run("import", str(file), "--name", "cli-copy")
    assert again.returncode == 1
    assert "there is a collection 'cli-copy' already" in again.stderr
    assert toy_mesh.run("collections", "delete", "cli-copy", "--yes").returncode == 0
    (tmp_path / "torn.ragq").write_bytes(file.read_bytes()[:-200])
    assert "damaged" in toy_mesh.run("import", str(tmp_path / "torn.ragq"), "--name", "torn").stderr


def test_a_faiss_index_goes_out_and_comes_in_with_its_vectors(toy_mesh: LiveMesh, notes: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.faiss"
    assert toy_mesh.run("export", "-c", notes, "--format", "faiss", "--metric", "l2", "-o", str(file)).returncode == 0
    texts = json.loads((tmp_path / "notes.faiss.json").read_text("utf-8"))
    assert any("尾翼" in text for text in texts)
    done = toy_mesh.run("import-faiss", str(file), f"{file}.json", "cli-faiss")
    assert done.returncode == 0, done.stderr
    assert "they are taken over" in done.stderr
    found = json.loads(toy_mesh.run("search", "尾翼", "-c", "cli-faiss", "--json").stdout)
    assert "尾翼" in found["hits"][0]["text"]
    assert toy_mesh.run("collections", "delete", "cli-faiss", "--yes").returncode == 0
    passages = toy_mesh.run("export", "-c", notes, "--format", "passages", "-o", str(tmp_path / "p.json"), "--json")
    assert json.loads(passages.stdout)["num_passages"] == len(texts)
    (tmp_path / "one.json").write_text('["one"]')
    refused = toy_mesh.run("import-faiss", str(file), str(tmp_path / "one.json"), "cli-faiss")
    assert f"{len(texts)} vectors, the list 1 texts" in refused.stderr


def test_a_failed_document_is_listed_and_makes_exit_code_1(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "good.txt").write_text("good")
    done = toy_mesh.run("add", str(tmp_path), "-c", "cli-failed")
    assert done.returncode == 1
    assert "failed: empty.txt: " in done.stderr
    assert "1 added, 1 failed of 2" in done.stdout
    assert "empty.txt" in toy_mesh.run("documents", "-c", "cli-failed", "--failed").stdout


def test_standard_input_by_line(toy_mesh: LiveMesh) -> None:
    assert toy_mesh.run("add", "-", "-c", "cli-typed", "--by-line", stdin="one\ntwo\n\nthree\n").returncode == 0
    collections = json.loads(toy_mesh.run("collections", "--json").stdout)
    assert next(c["num_chunks"] for c in collections if c["name"] == "cli-typed") == 3
    assert toy_mesh.run("collections", "delete", "cli-typed", "--yes").returncode == 0


def test_single_functions(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    file = tmp_path / "v.npy"
    assert toy_mesh.run("embed", "one", "two", "--npy", str(file)).returncode == 0
    assert np.load(file).shape == (2, 256)
    ranked = json.loads(toy_mesh.run("rerank", "--query", "wing", "--docs", "-", "--json", stdin="dog\nwing\n").stdout)
    assert [r["index"] for r in ranked] == [1, 0]
    assert toy_mesh.run("generate", "hello").stdout == "You said: hello\n"


def test_generation_takes_its_controls_from_options_and_files(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    template, schema = tmp_path / "chat.jinja", tmp_path / "schema.json"
    template.write_text("{{ messages[0].content }}{% if enable_thinking %} hm{% endif %}")
    schema.write_text(json.dumps({"type": "object", "properties": {"a": {"type": "string"}}}))
    thought = toy_mesh.run("generate", "hello", "--template", str(template), "--thinking")
    assert thought.stdout == "You said: hello hm\n"
    assert "tokens/s" in thought.stderr
    assert json.loads(toy_mesh.run("generate", "hello", "--json-schema", str(schema)).stdout) == {"a": "hello"}
    beams = toy_mesh.run("generate", "a b c d", "--beams", "3", "--max-tokens", "5").stdout.splitlines()
    scores = [float(line.split()[0]) for line in beams]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    refused = toy_mesh.run("generate", "hello", "--beams", "2", "--temperature", "1")
    assert "a beam search neither samples" in refused.stderr


def test_a_test_set_is_measured_and_used_again(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    root = tmp_path / "tiny"
    (root / "qrels").mkdir(parents=True)
    topics = ["apple orchards", "steel bridges", "desert foxes", "paper kites"]
    lines = [json.dumps({"_id": f"d{i}", "title": t, "text": f"all about {t}"}) for i, t in enumerate(topics)]
    (root / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    (root / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"q{i}", "text": t}) for i, t in enumerate(topics))
    )
    (root / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\td{i}\t1\n" for i in range(len(topics)))
    )
    for mode in ("dense", "keyword", "hybrid"):
        found = json.loads(toy_mesh.run("eval", str(root), "--mode", mode, "--json").stdout)
        assert found["ndcg_at_10"] == found["recall_at_100"] == 1.0, mode
        assert found["num_queries"] == 4


def test_ctrl_c_leaves_the_job_running(toy_mesh: LiveMesh, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n".join(f"Sentence number {i} of a rather long book about wings." for i in range(100_000)))
    command = [
        sys.executable,
        str(ROOT / "service.py"),
        "add",
        str(book),
        "-c",
        "cli-book",
        "--config",
        str(toy_mesh.config),
    ]
    adding = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(toy_mesh.home)
    )
    index, deadline = toy_mesh.client().index, time.monotonic() + 30
    while not (mine := [r for r in index.jobs() if r.collection == "cli-book"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    adding.send_signal(signal.SIGINT)
    _, said = adding.communicate(timeout=20)
    assert adding.returncode == 130, said
    assert f"ragq add --follow {mine[0].id}" in said
    assert index.job(mine[0].id).record.status == "running"
    index.job(mine[0].id).cancel()
    followed = toy_mesh.run("add", "--follow", mine[0].id)
    assert followed.returncode == 1
    assert "cancelled" in followed.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("search", "x", "-c", "nowhere"), 1, "nowhere"),
        (("search", "x"), 2, "--collection"),
        (("search", "x", "-c", "c", "--mode", "psychic"), 2, "psychic"),
        (("eval", "/nonexistent"), 2, "corpus.jsonl"),
        (("add", "/nonexistent", "-c", "c"), 1, "/nonexistent"),
    ],
)
def test_mistakes_are_told_in_words_with_their_exit_code(
    toy_mesh: LiveMesh, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert service.main([*arguments, "--config", str(toy_mesh.config)]) == code
    out, err = capsys.readouterr()
    assert words in err
    assert "Traceback" not in err
    assert out == ""


def test_without_a_mesh_commands_say_how_to_start_one(tmp_path: Path) -> None:
    config = tmp_path / "ragq.yml"
    config.write_text(f"llm: {{front_end: {{port: {free_ports(1)[0]}}}}}\n")
    command = [sys.executable, str(ROOT / "service.py"), "embed", "x", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment(tmp_path))
    assert done.returncode == 1
    assert "ragq up" in done.stderr
