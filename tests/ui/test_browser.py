"""A person with a browser: ask, open the source, reload, stop, upload a broken file, change the language."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from clients import Ragq
from tests.conftest import TOY, LiveMesh, merged, start_mesh

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
)  # fmt: skip
WAIT_MS = 20_000
HANDBOOK = {
    "quick-start.md": b"# Start\n\nRun ragq up to start ragq. Ctrl-C stops it.\n\nThe page is at port 8501.",
    "faq.md": b"# Questions\n\nAsk them here. Ragq needs no graphics card. It runs on the processor.",
    "hostile.md": b"# <b>Zebra</b>\n\nThe zebra <img src=x onerror=document.title='pwned'> has ![stripes](http://evil.invalid/x.png).",
}

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = [
    pytest.mark.browser,
    pytest.mark.mesh,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; set CHROMIUM"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    settings = merged(TOY, {"llm": {"options": {"toy_token_s": 0.1}}})
    mesh = start_mesh(tmp_path_factory.mktemp("browser"), settings, ["proxy", "llm", "index", "ui"])
    try:
        mesh.wait_ready()
        client = mesh.client()
        client.index.create_collection("handbook", "ragq handbook")
        client.index.add("handbook", files=HANDBOOK).wait(30)
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(scope="module")
def mesh(live: LiveMesh) -> Ragq:
    return live.client()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(live: LiveMesh, browser: object) -> Iterator[object]:
    yield from _page(live, browser, "en-US")


@pytest.fixture
def chinese_page(live: LiveMesh, browser: object) -> Iterator[object]:
    yield from _page(live, browser, "zh-CN")


def _page(live: LiveMesh, browser: object, locale: str) -> Iterator[object]:
    address = f"http://127.0.0.1:{live.ui_port}"
    context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((address, "data:", "ws:", "blob:")) else elsewhere.append(request.url)
        ),
    )
    wait_for(lambda: _opens(page, address))
    yield page
    context.close()
    assert elsewhere == [], "the page calls nobody but its own server"


def _opens(page: object, address: str) -> bool:
    try:
        page.goto(address)
    except sync_api.Error:
        return False
    return True


def wait_for(done: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask(page: object, question: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    expect(box).to_be_enabled(timeout=WAIT_MS)
    box.fill(question)
    box.press("Enter")


def test_an_answer_shows_its_source_with_the_sentence_marked_and_survives_a_reload(page: object) -> None:
    ask(page, "Does ragq need a graphics card?")
    chip = page.locator("button.chip").first
    expect(chip).to_be_visible(timeout=WAIT_MS)
    chip.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator("mark")).to_have_text("Ragq needs no graphics card.")
    expect(drawer).to_contain_text("faq.md")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert re.search(r"[?&]chat=[\w-]+", page.url)

    page.reload()
    expect(page.get_by_test_id("stChatMessage").first).to_contain_text("Does ragq need a graphics card?")
    expect(page.locator("button.chip").first).to_be_visible()
    page.get_by_text("Why this answer").click()
    expect(page.get_by_role("heading", name="Passages found")).to_be_visible()


def test_the_source_button_opens_the_same_passage(page: object) -> None:
    ask(page, "Where is the page?")
    page.get_by_test_id("stChatMessage").get_by_role("button", name="quick-start.md").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("The page is at port 8501.")


def test_nothing_in_a_document_is_run_or_rendered(page: object) -> None:
    ask(page, "What does the zebra have?")
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("<img src=x onerror", timeout=WAIT_MS)
    page.locator("button.chip").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("![stripes](http://evil.invalid/x.png)")
    assert page.locator("img[src='x']").count() == 0
    assert page.title() != "pwned"


def test_a_broken_file_shows_its_reason(page: object, mesh: Ragq, tmp_path: Path) -> None:
    page.get_by_role("link", name="Add documents").click()
    broken = tmp_path / "cut-off.pdf"
    broken.write_bytes(b"%PDF-1.7 cut off")
    page.locator("input[type=file]").first.set_input_files(broken)
    page.get_by_test_id("stTabPanel").first.get_by_role("button", name="Add", exact=True).click()
    card = page.get_by_test_id("stAlert").filter(has_text="cut-off.pdf")
    expect(card.first).to_contain_text("What to do", timeout=WAIT_MS)
    second = tmp_path / "fine.txt"
    second.write_text("A second upload in the same session.", encoding="utf-8")
    page.locator("input[type=file]").first.set_input_files(second)
    page.get_by_test_id("stTabPanel").first.get_by_role("button", name="Add", exact=True).click()
    wait_for(lambda: mesh.index.documents("handbook", keyword="fine.txt", status="ready").total == 1)


def test_a_knowledge_base_is_made_and_deleted(page: object, mesh: Ragq) -> None:
    page.get_by_role("link", name="Knowledge bases").click()
    page.get_by_role("button", name="New knowledge base").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("产品 手册")
    page.get_by_role("dialog").get_by_role("textbox").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    expect(page.get_by_text("Documents of “产品 手册”")).to_be_visible()
    assert "产品-手册" in {c.name for c in mesh.index.collections()}
    page.locator("[class*='st-key-delete-'] button").locator("visible=true").last.click()
    box = page.get_by_role("dialog").get_by_role("textbox")
    box.fill("产品 手册")
    box.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete knowledge base").click()
    wait_for(lambda: "产品-手册" not in {c.name for c in mesh.index.collections()})


def test_a_chunk_that_is_edited_by_hand_is_in_the_next_answer(page: object, mesh: Ragq) -> None:
    mesh.index.add("handbook", files={"otter.txt": b"The otter sleeps in a den by the lake."}).wait(30)
    (document,) = mesh.index.documents("handbook", keyword="otter.txt").documents
    page.get_by_role("link", name="Knowledge bases").click()
    page.locator(f".st-key-chunks-{document.id} button").locator("visible=true").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_role("button", name="Edit").click()
    drawer.get_by_role("textbox").fill("The otter sleeps on a raft of kelp.")
    drawer.get_by_role("button", name="Save").click()
    expect(drawer).to_contain_text("Chunk 1 · edited", timeout=WAIT_MS)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.get_by_role("link", name="Ask").click()
    ask(page, "Where does the otter sleep?")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("raft of kelp", timeout=WAIT_MS)


def test_the_language_follows_the_browser_and_can_be_switched(chinese_page: object) -> None:
    expect(chinese_page.get_by_role("heading", name="想了解什么？")).to_be_visible()
    chinese_page.get_by_role("button", name="English").click()
    expect(chinese_page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    chinese_page.reload()
    expect(chinese_page.get_by_role("heading", name="What would you like to know?")).to_be_visible()


def test_a_cold_visit_to_an_inner_page_has_its_frame(page: object, live: LiveMesh) -> None:
    page.goto(f"http://127.0.0.1:{live.ui_port}/ingest?collection=handbook&lang=zh")
    expect(page.get_by_role("heading", name="添加文档")).to_be_visible()
    expect(page.get_by_role("link", name="知识库")).to_be_visible()


def test_a_service_that_dies_shows_a_banner_and_comes_back(page: object, mesh: Ragq) -> None:
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    (worker,) = mesh.client("index").status().workers
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        expect(page.get_by_test_id("stAlert").first).to_contain_text("Index service", timeout=WAIT_MS)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible(timeout=WAIT_MS)


def test_a_retrieval_test_is_tried_marked_kept_by_a_reload_and_opens_a_hit(page: object) -> None:
    page.get_by_role("link", name="Retrieval test").click()
    page.get_by_role("textbox").fill("Does ragq need a graphics card?")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("Would answer", exact=True)).to_be_visible(timeout=WAIT_MS)
    page.get_by_test_id("stSlider").first.get_by_role("slider").press("Home")
    page.get_by_role("button", name="Meaning", exact=True).click()
    expect(page.get_by_text("Meaning", exact=True)).to_have_count(1, timeout=WAIT_MS)
    wait_for(lambda: "k=1&" in page.url + "&" and "ways=" in page.url)

    page.locator(".st-key-right-0-keyword-1 button").locator("visible=true").first.click()
    expect(page.get_by_text("1 right, 0 wrong").first).to_be_visible(timeout=WAIT_MS)

    page.reload()
    expect(page.get_by_role("heading", name="Does ragq need a graphics card?")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("1 found")).to_have_count(3, timeout=WAIT_MS)
    expect(page.get_by_text("1 right, 0 wrong").first).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("button", name="1 · faq.md").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("It runs on the processor.")


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMesh]:
    """A mesh whose model takes its time."""
    settings = merged(TOY, {"llm": {"options": {"toy_token_s": 0.4}}, "ask": {"answer": "written"}})
    mesh = start_mesh(tmp_path_factory.mktemp("writing"), settings, ["proxy", "llm", "index", "ui"])
    try:
        mesh.wait_ready()
        long = " ".join(f"The gnu number {i} grazes in field {i}." for i in range(60)).encode()
        mesh.client().index.add("handbook", files={"gnus.txt": long}).wait(30)
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture
def writing_page(writing: LiveMesh, browser: object) -> Iterator[object]:
    yield from _page(writing, browser, "en-US")


def words_in(page: object) -> int:
    return len(page.locator(".prose").last.inner_text().split())


def test_an_answer_goes_on_while_its_page_is_left_and_reloaded_and_stops_when_told(writing_page: object) -> None:
    page = writing_page
    ask(page, "Where does gnu number 7 graze?")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("You said:", timeout=WAIT_MS)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_disabled()

    page.get_by_role("link", name="Knowledge bases").click()
    expect(page.get_by_role("heading", name="Documents of")).to_be_visible()
    page.get_by_role("link", name="Ask").click()
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("You said:", timeout=WAIT_MS)
    num_words = words_in(page)
    page.reload()
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("You said:", timeout=WAIT_MS)
    wait_for(lambda: words_in(page) > num_words)

    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_enabled()
    page.reload()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("You said:")


def test_documents_are_chosen_or_typed_as_a_pattern_and_survive_a_reload(page: object) -> None:
    page.get_by_role("button", name="Answer settings").click()
    field = page.get_by_test_id("stMultiSelect")
    field.locator("input").fill("quick-*")
    field.locator("input").press("Enter")
    expect(page.get_by_role("dialog", name=re.compile("1 changed"))).to_be_visible()
    field.locator("input").fill("faq")
    field.locator("input").press("Enter")
    page.wait_for_url(lambda url: '["quick-*","faq.md"]' in unquote(url))
    page.reload()
    page.get_by_role("button", name=re.compile("1 changed")).click()
    for name in ("quick-*", "faq.md"):
        expect(field.get_by_text(name, exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    ask(page, "Where is the page?")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("only in 'quick-*', 'faq.md'", timeout=WAIT_MS)
