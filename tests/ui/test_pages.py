"""Every page works in both languages against a live mesh with toy models."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clients import Ragq
from clients.index import Text, Turn
from tests.conftest import LiveMesh, free_ports
from tests.data import make_documents
from tests.ui.pages import WAIT_S, opened, query, shown, shown_everywhere, until
from ui.exchanges import exchange_of
from ui.labels import LANGUAGES, Labels, Language
from ui.questions import SUGGESTIONS
from ui.views.chat import said
from ui.views.passage import of_hit

PAGES = {
    "chat": "chat.greeting",
    "collections": "collections.title",
    "ingest": "ingest.title",
    "retrieval": "retrieval.title",
}
pytestmark = [pytest.mark.mesh, pytest.mark.usefixtures("page_config")]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_in_both_languages(mesh: Ragq, page: str, language: Language) -> None:
    app = opened(page, language)
    assert app.header[0].value == Labels(language)(PAGES[page])
    assert [error.value for error in app.error if "PDF" not in error.value] == []


def answered(app: AppTest) -> AppTest:
    """The page once nothing is being answered any more."""
    return until(app, lambda app: not app.chat_input[0].disabled)


def test_a_suggested_question_is_answered_with_sources(mesh: Ragq) -> None:
    app = opened()
    offered = [b for b in app.button if (b.key or "").startswith("suggest-")]
    assert [b.label.replace("\\", "") for b in offered] == [q.text for q in SUGGESTIONS["en"]]
    offered[0].click().run()
    assert query(app, "chat")
    assert SUGGESTIONS["en"][0].text in shown(answered(app))


def test_an_answer_opens_its_source_and_survives_a_reload(mesh: Ragq) -> None:
    app = opened()
    app.chat_input[0].set_value("Does ragq need a graphics card?").run()
    answered(app)
    assert "Quoted from your documents" in shown(app)
    chat_id = query(app, "chat")
    quoted = said(exchange_of(mesh.index.chat(chat_id)[0]), Labels("en"))
    assert quoted.blocks[-1].spans[0].text == "faq.md"
    app.session_state["ragq"].opened = quoted.targets[0]  # what a click in the text does; test_browser.py clicks
    app.run()
    assert not app.exception
    assert "**faq\\.md**" in shown_everywhere(app)

    again = opened(chat=chat_id)
    assert "Does ragq need a graphics card?" in shown(again)
    assert mesh.index.chat(chat_id)[0].answer.startswith("Ragq needs no graphics card.")

    app.chat_input[0].set_value("Where does it run?").run()
    answered(app)
    assert len(mesh.index.chat(chat_id)) == 2


def test_the_drawer_shows_a_page_of_a_pdf_as_it_looks_once_somebody_wants_to_see_it(mesh: Ragq) -> None:
    mesh.index.create_collection("drawn", exist_ok=True)
    mesh.index.add("drawn", files={"engine.pdf": make_documents.pdf("The engine gives thrust.")}).wait(WAIT_S)
    (hit,) = mesh.index.search("drawn", "engine thrust", 1, "keyword", rerank=False)
    app = opened(collection="drawn")
    app.session_state["ragq"].opened = of_hit(hit)
    app.run()
    toggle = app.toggle(key=f"page-{hit.document_id}-1")
    assert toggle.label == "Show page 1 as it looks"
    assert len(app.image) == 0
    toggle.set_value(True).run()
    assert not app.exception
    assert len(app.image) == 1
    toggle = app.toggle(key=f"page-{hit.document_id}-1").set_value(False)
    assert len(toggle.run().image) == 0


def test_a_page_that_cannot_be_drawn_any_more_says_so_and_the_text_stays(mesh: Ragq, live: LiveMesh) -> None:
    mesh.index.create_collection("undrawn", exist_ok=True)
    mesh.index.add("undrawn", files={"rudder.pdf": make_documents.pdf("The rudder turns the nose.")}).wait(WAIT_S)
    (hit,) = mesh.index.search("undrawn", "rudder", 1, "keyword", rerank=False)
    app = opened(collection="undrawn")
    app.session_state["ragq"].opened = of_hit(hit)
    app.run()
    with closing(sqlite3.connect(live.home / "index" / "records.sqlite")) as records, records:
        records.execute("UPDATE documents SET sha256 = 'gone' WHERE id = ?", (hit.document_id,))
    app.toggle(key=f"page-{hit.document_id}-1").set_value(True).run()
    assert not app.exception
    assert any("That did not work" in error.value for error in app.error)
    assert "**rudder\\.pdf**" in shown_everywhere(app)


def test_a_question_without_an_answer_says_why(mesh: Ragq) -> None:
    app = opened(language="zh")
    app.chat_input[0].set_value("Which zebra won yesterday's marathon?").run()
    answered(app)
    assert "这个知识库里没有答案" in shown(app)
    assert "回答需要 0.50" in shown(app)
    closest = [b for b in app.button if b.label.startswith("查看最接近的原文")]
    for b in closest:
        b.click().run()
        assert not app.exception


def test_a_knowledge_base_gets_new_vectors_when_another_model_serves(mesh: Ragq) -> None:
    mesh.index.create_collection("older", "Older", exist_ok=True)
    mesh.index.add("older", texts=[Text("a", "Herons wait for fish.")]).wait(WAIT_S)
    mesh.index.reindex("older", "toy-64").wait(WAIT_S)
    app = opened("collections")
    assert "Searched by toy-64; toy serves now." in shown_everywhere(app).replace("\\", "")
    app.button(key="reindex-older").click().run()
    assert not app.exception
    until(app, lambda app: "serves now" not in shown_everywhere(app) and "Making new" not in shown_everywhere(app))
    assert {c.name: c.model for c in mesh.index.collections()}["older"] == "toy"
    mesh.index.delete_collection("older")


def test_an_earlier_chat_can_be_opened(mesh: Ragq) -> None:
    app = opened()
    app.chat_input[0].set_value("Is there a graphics card?").run()
    answered(app)
    chat_id = query(app, "chat")
    app.button(key="new-chat").click().run()
    assert "chat" not in app.query_params
    assert app.header[0].value == Labels("en")("chat.greeting")
    app.button(key=f"chat-{chat_id}").click().run()
    assert "Is there a graphics card?" in shown(app)
    app.button(key=f"forget-{chat_id}").click().run()
    assert app.button(key="forget-for-good").label == "Delete"


def test_any_chat_id_in_the_address_works(mesh: Ragq) -> None:
    mesh.index.save_turn(Turn("a__b/ü c", "Which card?", "None. [1]", "handbook"))
    app = opened(chat="a__b/ü c")
    assert "Which card?" in shown(app)
    assert [error.value for error in app.error] == []


def test_the_language_switches_and_stays(mesh: Ragq) -> None:
    app = opened("collections")
    app.button(key="language").click().run()
    assert app.header[0].value == "知识库"
    assert query(app, "lang") == "zh"
    app.button(key="language").click().run()
    assert app.header[0].value == "Knowledge bases"


def test_a_collection_with_any_title_is_shown_as_it_is(mesh: Ragq) -> None:
    mesh.index.create_collection("hostile", "产品 *手册* [x](http://evil) :smile: <b>")
    app = opened("collections", collection="hostile")
    assert app.selectbox(key="picked").value == "hostile"
    assert r"产品 \*手册\* \[x\]\(http://evil\)" in app.subheader[0].value
    assert ":smile:" not in app.subheader[0].value
    app.switch_page("screens/chat.py").run()
    assert r"\*手册\*" in app.header[0].value
    mesh.index.delete_collection("hostile")
    assert app.run().selectbox(key="picked").value == "handbook"


def test_the_dialogs_of_the_collections_open(mesh: Ragq) -> None:
    app = opened("collections")
    app.button(key="create").click().run()
    assert app.button(key="make").disabled
    app.button(key="delete-handbook").click().run()
    assert app.button(key="delete-for-good").disabled


def test_failed_documents_come_first_with_reason_and_retry(mesh: Ragq) -> None:
    app = opened("collections")
    failed = next(d for d in mesh.index.documents("handbook").documents if d.status == "failed")
    names = [m.value for m in app.main.markdown if m.value.startswith("**")]
    assert names.index("**empty\\.pdf**") < names.index("**faq\\.md**")
    assert any(error.value.startswith(failed.reason.split(":")[0][:20].replace("(", "\\(")) for error in app.error)
    app.button(key=f"retry-{failed.id}").click().run()
    assert not app.exception
    until(app, lambda app: any(b.key == f"retry-{failed.id}" for b in app.button))


def test_the_chunks_of_a_document_can_be_seen(mesh: Ragq) -> None:
    app = opened("collections")
    faq = next(d for d in mesh.index.documents("handbook", keyword="faq").documents)
    app.button(key=f"chunks-{faq.id}").click().run()
    assert not app.exception
    assert "faq\\.md: 1 chunks" in shown_everywhere(app)


def test_a_chunk_is_edited_split_switched_off_and_merged_again(mesh: Ragq) -> None:
    mesh.index.create_collection("edited", exist_ok=True)
    mesh.index.add("edited", texts=[Text("birds.txt", "Herons wait for fish. Bridges carry trains.")]).wait(30)
    (document,) = mesh.index.documents("edited").documents
    app = opened("collections", collection="edited")
    app.button(key=f"chunks-{document.id}").click().run()
    (chunk,) = mesh.index.chunks(document).chunks
    app.button(key=f"content_cut-{chunk.id}").click().run()
    app.button(key=f"do-{chunk.id}").click().run()
    herons, bridges = mesh.index.chunks(document).chunks
    assert (herons.text, bridges.text) == ("Herons wait for fish.", "Bridges carry trains.")
    app.button(key=f"edit-{herons.id}").click().run()
    app.text_area(key=f"text-{herons.id}").set_value("Pelicans dive for fish.").run()
    app.button(key=f"do-{herons.id}").click().run()
    assert not app.exception
    (found,) = mesh.index.search("edited", "pelicans", mode="keyword")
    assert found.text == "Pelicans dive for fish."
    app.button(key=f"visibility_off-{found.chunk_id}").click().run()
    assert mesh.index.search("edited", "pelicans", mode="keyword") == []
    app.button(key=f"visibility-{found.chunk_id}").click().run()
    app.button(key=f"merge-{found.chunk_id}").click().run()
    assert [c.text for c in mesh.index.chunks(document).chunks] == ["Pelicans dive for fish.\nBridges carry trains."]
    assert not app.exception


def test_the_list_of_documents_can_be_filtered(mesh: Ragq) -> None:
    app = opened("collections")
    app.text_input(key="keyword").set_value("faq").run()
    assert "1 in all" in shown(app)
    app.text_input(key="keyword").set_value("nothing like it").run()
    assert "No document matches." in shown(app)


def test_typed_lines_become_chunks(mesh: Ragq) -> None:
    mesh.index.create_collection("typed", exist_ok=True)
    app = opened("ingest", collection="typed")
    app.text_area(key="text-0").set_value("First fact.\n\nSecond fact.").run()
    app.checkbox(key="by-line").check().run()
    assert "2 lines" in shown(app)
    app.button(key="add-text").click().run()
    assert not app.exception
    (job,) = [job for job in mesh.index.jobs() if job.collection == "typed"]
    until(app, lambda app: any(b.key == f"ask-{job.id}" for b in app.button))
    (document,) = mesh.index.documents("typed").documents
    assert (document.name, document.num_chunks) == ("First fact.", 2)
    assert app.text_area(key="text-1").value == ""
    app.button(key=f"ask-{job.id}").click().run()
    assert not app.exception
    assert any("“typed”" in caption.value for caption in app.caption)


def test_a_second_upload_in_one_session_counts_too(mesh: Ragq) -> None:
    mesh.index.create_collection("uploads", exist_ok=True)
    app = opened("ingest", collection="uploads")
    for i, names in enumerate([("a.txt", "a.txt"), ("b.txt",)]):
        files = [(name, f"Content {i} {n}.".encode(), "text/plain") for n, name in enumerate(names)]
        app.file_uploader(key=f"files-{i}").set_value(files).run()
        app.button(key="add-upload").click().run()
        assert not app.exception
    until(app, lambda app: mesh.index.documents("uploads", status="ready").total == 3)
    assert {d.name for d in mesh.index.documents("uploads").documents} == {"a.txt", "a (2).txt", "b.txt"}


def test_a_broken_upload_shows_the_reason(mesh: Ragq) -> None:
    mesh.index.create_collection("broken", exist_ok=True)
    app = opened("ingest", collection="broken")
    app.file_uploader(key="files-0").set_value([("*report*.pdf", b"%PDF-1.7 cut off", "application/pdf")]).run()
    app.button(key="add-upload").click().run()
    until(app, lambda app: any("report" in error.value for error in app.error))
    assert any(r"\*report\*" in error.value for error in app.error)


def test_a_path_must_lie_below_an_allowed_root(mesh: Ragq, live: LiveMesh) -> None:
    mesh.index.create_collection("paths", exist_ok=True)
    app = opened("ingest", collection="paths")
    app.text_area(key="paths").set_value("/etc/passwd").run()
    assert any("Not below an allowed directory" in error.value for error in app.error)
    assert app.button(key="add-path").disabled
    app.text_area(key="paths").set_value(str(live.config.parent / "files")).run()
    app.button(key="add-path").click().run()
    until(app, lambda app: mesh.index.documents("paths", status="ready").total == 1)


def test_a_directory_is_followed_and_let_go(mesh: Ragq, live: LiveMesh) -> None:
    mesh.index.create_collection("followed", exist_ok=True)
    app = opened("ingest", collection="followed")
    app.checkbox(key="follow").check()
    app.text_area(key="paths").set_value(str(live.config.parent / "files")).run()
    app.button(key="add-path").click().run()
    (watch,) = mesh.index.watches()
    until(app, lambda app: any("1 files, 0 waiting" in each.value for each in app.markdown))
    app.button(key=f"unwatch-{watch.id}").click().run()
    assert mesh.index.watches() == []
    assert mesh.index.documents("followed").total == 1


def test_pages_of_a_web_search_are_chosen_and_added(mesh: Ragq) -> None:
    mesh.index.create_collection("web", exist_ok=True)
    app = opened("ingest", collection="web")
    assert app.button(key="add-web").disabled
    app.text_input(key="web-query-0").set_value("server notes").run()
    assert app.button(key="add-web").disabled
    app.checkbox(key="web-folder:notes.txt").check().run()
    app.button(key="add-web").click().run()
    until(app, lambda app: mesh.index.documents("web", status="ready").total == 1)
    assert mesh.index.documents("web").documents[0].source == "folder:notes.txt"


def test_an_overlap_that_is_too_long_is_refused_before_the_call(mesh: Ragq) -> None:
    app = opened("ingest")
    app.number_input(key="overlap-type").set_value(600).run()
    assert any("must be smaller" in error.value for error in app.error)
    assert app.button(key="add-text").disabled


def test_the_chosen_collection_is_kept_on_every_page(mesh: Ragq) -> None:
    mesh.index.create_collection("kept", exist_ok=True)
    app = opened("ingest", collection="kept")
    assert "Into “kept”" in shown(app)
    app.switch_page("screens/collections.py").run()
    assert query(app, "collection") == "kept"
    assert "Documents of “kept”" in app.subheader[0].value
    assert query(opened(collection="gone"), "collection") == "handbook"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_what_to_do_when_nobody_answers(
    page: str, language: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, llm = free_ports(2)
    config = tmp_path / "ragq.yml"
    config.write_text(f"index: {{front_end: {{port: {index}}}}}\nllm: {{front_end: {{port: {llm}}}}}\n")
    monkeypatch.setenv("RAGQ_CONFIG", str(config))
    app = opened(page, language)
    assert "ragq up" in app.error[0].value
    assert Labels(language)("health.down") in shown(app)


def test_a_wrong_configuration_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "ragq.yml"
    config.write_text("llm: {num_worker: 2}\n")
    monkeypatch.setenv("RAGQ_CONFIG", str(config))
    app = opened()
    assert "num" in app.error[0].value
    assert "ragq\\.yml" in app.error[0].value
