"""Do web pages come in as documents, stay current, and say why they do not come?"""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from clients import index as contract
from clients import web
from clients.config import Web
from clients.errors import BadRequest, Forbidden, MissingExtra
from clients.index import JobRecord, Text
from services.index.migrations import MIGRATIONS
from services.index.schema import Database
from tests.unit.index.site import Site, Visit, running_site

OPEN = Web(enabled=True, allow=["127.0.0.1"], robots=False, timeout_s=5.0, tries=1)
LONG = (
    "<html><head><title>The lighthouse</title></head><body><p>The lighthouse keeper counts {} ships.</p></body></html>"
)


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def desk(open_desk: Callable[..., Any]) -> Any:
    return open_desk(web=OPEN)


def add(desk: Any, *urls: str, chunking: contract.Chunking | None = None) -> JobRecord:
    asked = web.AddUrls("papers", list(urls), chunking or contract.Chunking())
    return cast("JobRecord", desk.wait(desk.call(web.ADD_URLS, asked)))


def test_a_page_becomes_a_document_with_title_and_source(desk: Any, site: Site) -> None:
    url = site.page("/a", LONG.format("seven"))
    before = time.time()
    job = add(desk, url + "#top")
    assert (job.kind, job.status, job.num_documents, job.num_done) == ("web", "succeeded", 1, 1)
    (document,) = desk.documents().documents
    assert (document.name, document.source, document.media_type) == ("The lighthouse", url, "text/html")
    assert before <= document.fetched_at <= time.time()
    hit = desk.search("lighthouse keeper").hits[0]
    assert (hit.source, hit.document) == (url, "The lighthouse")
    assert site.headers[0]["user-agent"] == "ragq/0.1"


def test_a_title_that_looks_like_a_file_name_does_not_change_how_a_page_is_read(desk: Any, site: Site) -> None:
    add(desk, site.page("/n", "<html><title>Node.js</title><body><p>Servers wait for events.</p></body></html>"))
    (chunk,) = desk.call(contract.CHUNKS, contract.ListChunks(desk.documents().documents[0].id)).chunks
    assert chunk.text == "Servers wait for events."


def test_an_unchanged_page_counts_as_unchanged(desk: Any, site: Site) -> None:
    def versioned(visit: Visit) -> None:
        is_held = visit.headers.get("If-None-Match") == '"v1"'
        visit.send(b"" if is_held else LONG.encode(), status=304 if is_held else 200, ETag='"v1"')

    url, plain = site.act("/tagged", versioned), site.page("/plain", LONG.format("ten"))
    assert add(desk, url, plain).num_done == 2
    first = {d.source: d.fetched_at for d in desk.documents().documents}
    again = add(desk, url, plain)
    assert (again.num_documents, again.unchanged, again.status) == (0, 2, "succeeded")
    assert site.headers[2]["if-none-match"] == '"v1"'
    assert all(d.fetched_at > first[d.source] for d in desk.documents().documents)


def test_a_page_that_changed_takes_the_place_of_what_it_was(desk: Any, site: Site) -> None:
    url = site.page("/a", LONG.format("seven"))
    add(desk, url)
    (old,) = desk.documents().documents
    site.page("/a", LONG.format("eleven"))
    job = add(desk, url)
    assert (job.num_done, job.unchanged) == (1, 0)
    (new,) = desk.documents().documents
    assert (new.id != old.id, new.source) == (True, url)
    hits = desk.search("how many ships").hits
    assert ["eleven" in hit.text for hit in hits] == [True]
    parts = desk.service._parts
    shelf = parts.catalog.shelf("papers")
    assert len(parts.store.ids(shelf.store_key)) == 1
    assert parts.originals.surplus() == []
    site.page("/a", LONG.format("seven"))
    add(desk, url)
    assert [d.id for d in desk.documents().documents] == [old.id]


def test_the_old_page_is_found_until_the_new_one_is_ready(desk: Any, site: Site, mesh: Any) -> None:
    url = site.page("/a", LONG.format("seven"))
    add(desk, url)
    site.page("/a", LONG.format("eleven"))
    is_held = [True]

    def before(method: Any, request: Any) -> None:
        while is_held[0] and "eleven" in str(request):
            time.sleep(0.01)

    mesh.before = before
    job = desk.call(web.ADD_URLS, web.AddUrls("papers", [url]))
    desk.until(lambda: any(d.status == "embedding" for d in desk.documents().documents))
    assert "seven" in desk.search("ships", mode="keyword", rerank=False).hits[0].text
    is_held[0] = False
    assert desk.wait(job).status == "succeeded"
    assert len(desk.documents().documents) == 1


def test_what_a_person_or_another_page_gave_stays(desk: Any, site: Site) -> None:
    one, two = site.page("/1", LONG.format("seven")), site.page("/2", LONG.format("seven"))
    add(desk, one, two)
    assert len(desk.documents().documents) == 1
    site.page("/1", LONG.format("nine"))
    add(desk, one)
    assert len(desk.documents().documents) == 2
    kept = site.page("/note.txt", "A note that somebody typed too.", "text/plain")
    add(desk, kept)
    desk.add_and_wait(Text("note", "A note that somebody typed too."))
    site.page("/note.txt", "Another note.", "text/plain")
    add(desk, kept)
    assert len(desk.documents().documents) == 4


def test_a_changed_page_that_cannot_be_read_leaves_the_old_one(desk: Any, site: Site) -> None:
    url = site.page("/a", LONG.format("seven"))
    add(desk, url)
    site.page("/a", "<html><body><script>1</script></body></html>")
    assert add(desk, url).num_failed == 1
    assert sorted(d.status for d in desk.documents().documents) == ["failed", "ready"]
    assert desk.search("ships").hits


def test_each_page_that_does_not_come_says_why(desk: Any, site: Site) -> None:
    good, bad = site.page("/a", LONG.format("seven")), site.url("/none")
    job = add(desk, bad, good)
    assert (job.num_done, job.num_failed, job.status) == (1, 1, "succeeded")
    assert [(f.name, f.reason) for f in job.failures] == [(bad, "127.0.0.1 has no such page (404)")]
    assert "browser" in job.failures[0].fix


def test_pages_are_read_by_their_kind(desk: Any, site: Site) -> None:
    add(
        desk,
        site.page("/notes.md", "# Harbour\n\nShips rest.", "text/markdown; charset=utf-8"),
        site.page("/t", "灯塔看守人数船。".encode("gb18030"), "text/plain; charset=gb2312"),
    )
    kinds = {d.name: d.media_type for d in desk.documents().documents}
    assert kinds == {"notes.md": "text/markdown", "t": "text/plain"}
    assert desk.search("灯塔", mode="keyword", rerank=False).hits[0].text == "灯塔看守人数船。"


def test_a_page_or_file_can_be_cut_anew(desk: Any, site: Site) -> None:
    url = site.page("/a", LONG.format("seven"))
    add(desk, url)
    again = add(desk, url, chunking=contract.Chunking(64, 8))
    assert (again.status, again.num_done, again.num_failed) == ("succeeded", 1, 0)
    desk.upload("old.txt", "灯塔看守人数船。每天数一次，从不出错。".encode("gb18030"))
    document = next(d for d in desk.documents().documents if d.name == "old.txt")
    job = desk.service._parts.catalog.jobs.redo(document.id, "recut")
    desk.service._parts.ingest.wake()
    assert desk.wait(job).status == "succeeded"
    (chunk,) = desk.call(contract.CHUNKS, contract.ListChunks(document.id)).chunks
    assert chunk.text.startswith("灯塔看守人")


def test_a_cancelled_job_fetches_no_more_and_keeps_nothing_of_what_was_on_its_way(desk: Any, site: Site) -> None:
    gate = [True]

    def wait(visit: Visit) -> None:
        while gate[0]:
            time.sleep(0.01)
        visit.send(LONG.encode())

    urls = [site.act("/slow", wait), site.page("/next", LONG)]
    job = desk.call(web.ADD_URLS, web.AddUrls("papers", urls))
    desk.until(lambda: site.asked == ["/slow"])
    assert desk.call(contract.CANCEL_JOB, contract.JobId(job.id)).status == "cancelled"
    gate[0] = False
    assert add(desk, site.page("/other", LONG.format("six"))).num_done == 1
    assert "/next" not in site.asked
    assert [d.source for d in desk.documents().documents] == [site.url("/other")]


def test_pages_that_were_not_fetched_are_fetched_after_a_restart(
    open_desk: Callable[..., Any], site: Site, mesh: Any
) -> None:
    desk = open_desk(web=OPEN)
    parts = desk.service._parts
    parts.gatherer.stop()
    urls = [site.page(f"/{n}", LONG.format(n)) for n in range(3)]
    job = desk.call(web.ADD_URLS, web.AddUrls("papers", urls))
    assert desk.job(job.id).bytes_total > 0
    desk.close()
    again = open_desk(web=OPEN)
    assert again.wait(job).num_done == 3


def test_the_web_is_off_by_default(open_desk: Callable[..., Any], site: Site) -> None:
    desk = open_desk()
    with pytest.raises(Forbidden, match="fetches nothing") as refused:
        desk.call(web.ADD_URLS, web.AddUrls("papers", [site.url("/a")]))
    assert "index.web.enabled" in refused.value.help
    with pytest.raises(Forbidden):
        desk.call(web.WEB_SEARCH, web.WebSearch("ships"))
    assert site.asked == []


def test_private_addresses_are_refused_by_the_service(open_desk: Callable[..., Any], site: Site) -> None:
    desk = open_desk(web=Web(enabled=True, tries=1))
    job = add(desk, site.page("/a", LONG))
    assert "127.0.0.1, which is not a public address" in job.failures[0].reason
    assert site.asked == []
    with pytest.raises(BadRequest):
        desk.call(web.ADD_URLS, web.AddUrls("papers", ["file:///etc/passwd"]))


def test_searxng_is_asked_and_its_results_can_be_added(open_desk: Callable[..., Any], site: Site) -> None:
    results = [
        {"title": "One", "url": site.url("/a"), "content": "a lamp"}, {"title": "Two", "url": "ftp://x/y"},
        {"title": "Again", "url": site.url("/a")}, {"url": "https://example.org/"},
    ]  # fmt: skip
    site.page("/search?q=light+house&format=json", json.dumps({"results": results}))
    desk = open_desk(web=Web(enabled=True, tries=1, search="searxng", search_url=site.url("/")))
    found = desk.call(web.WEB_SEARCH, web.WebSearch("light house"))
    assert found.provider == "searxng"
    assert found.results == [
        web.WebResult("One", site.url("/a"), "a lamp"), web.WebResult("https://example.org/", "https://example.org/"),
    ]  # fmt: skip


def test_a_folder_stands_in_for_the_web(open_desk: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "lamp.html").write_text("<title>Lamps</title><p>A lamp burns oil.</p>")
    (tmp_path / "web" / "海.txt").write_text("海上的船只看见灯塔。", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("lamp")
    desk = open_desk(web=Web(enabled=True, search="folder", search_folder=str(tmp_path / "web")))
    (lamp,) = desk.call(web.WEB_SEARCH, web.WebSearch("which oil does a lamp burn")).results
    (sea,) = desk.call(web.WEB_SEARCH, web.WebSearch("灯塔")).results
    assert (lamp.title, lamp.text) == ("Lamps", "A lamp burns oil.")
    job = add(desk, lamp.url, sea.url, "folder:../secret.txt", "folder:%2e%2e/secret.txt")
    assert (job.num_done, job.num_failed) == (2, 2)
    assert {d.name for d in desk.documents().documents} == {"Lamps", "海.txt"}


def test_records_of_the_schema_before_keep_their_documents_and_jobs(tmp_path: Path) -> None:
    before = next(n for n, script in enumerate(MIGRATIONS) if "CREATE TABLE pages" in script)
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as old:
        from services.index.content import entry_id

        old.create_function("entry_id", 2, entry_id, deterministic=True)
        old.executescript("".join(MIGRATIONS[:before]) + f"PRAGMA user_version = {before};")
        old.execute("INSERT INTO collections (name, title, created_at) VALUES ('papers', 'Papers', 1)")
        old.execute(
            """INSERT INTO documents (id, collection_id, name, media_type, sha256, size_bytes, status, size, overlap,
            by_line, created_at, updated_at)
            VALUES ('d', 1, 'a.txt', 'text/plain', 's', 1, 'ready', 512, 64, 0, 1, 1)"""
        )
        old.execute(
            "INSERT INTO job_items (job_id, document_id, path, name, size_bytes) VALUES ('j', '', '/a', 'a', 1)"
        )
    old.close()
    from services.index.catalog import Catalog

    database = Database(path)
    catalog = Catalog(database, time.time)
    document = catalog.documents.get("d")
    assert (document.name, document.source, document.fetched_at) == ("a.txt", "", 0.0)
    waiting = catalog.items.next_file("j")
    assert waiting is not None
    assert (waiting.path, waiting.url) == ("/a", "")
    assert catalog.versions.held(1, "http://x/") is None
    database.close()


def test_ddgs_without_its_package_says_what_to_install(open_desk: Callable[..., Any]) -> None:
    if importlib.util.find_spec("ddgs"):
        pytest.skip("ddgs is installed here")
    desk = open_desk(web=Web(enabled=True, search="ddgs"))
    with pytest.raises(MissingExtra) as refused:
        desk.call(web.WEB_SEARCH, web.WebSearch("ships"))
    assert "ragq[web]" in refused.value.help
