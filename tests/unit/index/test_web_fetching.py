"""Does a fetch go where it may, take what it should, and no more?"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from clients.config import Web
from clients.errors import BadRequest, Forbidden, NotFound, RequestError, TooLarge
from services.index.versions import Validators
from services.index.web.addresses import addresses, allowed, is_public
from services.index.web.content import content
from services.index.web.fetching import Fetched, Fetcher
from services.index.web.patience import patiently
from services.index.web.robots import is_allowed, rules_for
from services.index.web.targets import target
from services.index.web.trouble import Trouble
from tests.unit.index.site import Site, Visit, running_site

OPEN = Web(enabled=True, allow=["127.0.0.1"], robots=False, timeout_s=5.0)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def site(shared: Site) -> Site:
    shared.pages.clear()
    shared.asked.clear()
    shared.headers.clear()
    return shared


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
        "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::", "2001:db8::1", "2001:0:7f00:1::",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(Forbidden, match="not a public address"):
        addresses("innocent.example", 80, allowed([]), lambda host, port: [address])


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_a_public_address_is_taken(address: str) -> None:
    assert addresses("example.org", 80, allowed([]), lambda host, port: [address]) == [str(ip_address(address))]


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"):
        addresses("mixed.example", 80, allowed([]), lambda host, port: ["93.184.215.14", "10.0.0.1"])


def test_named_hosts_and_networks_open_the_intranet() -> None:
    allow = allowed(["wiki.local", ".corp.example", "10.2.0.0/16"])
    for host, address in [
        ("wiki.local", "10.9.9.9"), ("a.corp.example", "192.168.0.9"), ("any.name", "10.2.3.4"),
        ("any.name", "::ffff:10.2.3.4"),
    ]:  # fmt: skip
        assert addresses(host, 80, allow, lambda host, port, address=address: [address])  # type: ignore[misc]
    for host, address in [("other.local", "10.9.9.9"), ("corp.example", "10.9.9.9"), ("evilcorp.example", "10.9.9.9")]:
        with pytest.raises(Forbidden):
            addresses(host, 80, allow, lambda host, port, address=address: [address])  # type: ignore[misc]


def test_the_metadata_address_of_clouds_is_not_opened_by_a_name() -> None:
    with pytest.raises(Forbidden, match=r"169\.254"):
        addresses("wiki.local", 80, allowed(["wiki.local"]), lambda host, port: ["169.254.169.254"])
    assert addresses("any", 80, allowed(["169.254.0.0/16"]), lambda host, port: ["169.254.169.254"])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a", "file:///etc/passwd", "gopher://example.org", "example.org", "http://", "http:///a",
        "https://user:word@example.org/", "http://example.org/a b", "http://example.org:99999/", "http://[::1/",
        "http://example.org/\r\nX: 1", "javascript:alert(1)", "http://" + "a" * 70 + ".example/", "",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        target(url, ["http", "https"])


def test_a_page_has_one_spelling() -> None:
    assert target(" HTTPS://Example.ORG:443/a#part ", ["https"]).url == "https://example.org/a"
    assert target("https://例子.example/路径?问=答", ["https"]).url == (
        "https://xn--fsqu00a.example/%E8%B7%AF%E5%BE%84?%E9%97%AE=%E7%AD%94"
    )
    assert target("http://[::1]:8080/%41?a=%2F", ["http"]).url == "http://[::1]:8080/%41?a=%2F"
    with pytest.raises(BadRequest, match="no https address"):
        target("http://example.org/", ["https"])


def test_the_connection_goes_to_the_address_that_was_checked(site: Site) -> None:
    """A second look-up would find the metadata server: there must not be one."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    site.page("/a", "<p>here</p>")
    fetcher = Fetcher(replace(OPEN, allow=["rebound.example"]), lambda host, port: next(answers))
    assert fetcher.fetch(site.url("/a", "rebound.example")).body == b"<p>here</p>"
    assert site.headers[0]["host"] == f"rebound.example:{site.port}"
    assert next(answers) == ["169.254.169.254"]


def test_a_redirect_into_a_private_network_is_refused_at_its_step(site: Site) -> None:
    hosts = {"public.example": "127.0.0.1", "inner.example": "10.0.0.7"}
    fetcher = Fetcher(replace(OPEN, allow=["public.example"]), lambda host, port: [hosts.get(host, host)])
    for place in ["http://inner.example/", "http://169.254.169.254/latest/meta-data/", f"//127.0.0.1:{site.port}/a"]:
        site.moved("/go", place)
        with pytest.raises(Forbidden, match="not a public address"):
            fetcher.fetch(site.url("/go", "public.example"))
    site.moved("/go", "file:///etc/passwd")
    with pytest.raises(BadRequest):
        fetcher.fetch(site.url("/go", "public.example"))
    assert set(site.asked) == {"/go"}


def test_redirects_are_followed_and_loops_end(site: Site) -> None:
    site.moved("/old", "new?x=1", 301)
    site.page("/new?x=1", "<p>moved</p>")
    found = Fetcher(OPEN).fetch(site.url("/old"))
    assert (found.url, found.body) == (site.url("/new?x=1"), b"<p>moved</p>")
    site.moved("/loop", "/loop")
    site.asked.clear()
    with pytest.raises(BadRequest, match="more than 5 redirects"):
        Fetcher(OPEN).fetch(site.url("/loop"))
    assert len(site.asked) == 6


def small(site: Site, **settings: object) -> Fetcher:
    return Fetcher(replace(OPEN, max_mb=1, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_huge_body_is_refused_before_it_is_all_read(site: Site, is_announced: bool) -> None:
    sent = []

    def flood(visit: Visit) -> None:
        length = b"Content-Length: 999999999\r\n" if is_announced else b""
        visit.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + length + b"\r\n")
        for _ in range(1000):
            visit.raw(b"x" * 65536)
            sent.append(65536)

    site.act("/huge", flood)
    with pytest.raises(TooLarge, match=r"more than 1\.05 MB"):
        small(site).fetch(site.url("/huge"))
    assert sum(sent) < 20 << 20


def test_a_bomb_is_not_unpacked(site: Site) -> None:
    site.page("/bomb", gzip.compress(b"\0" * (64 << 20)), "text/plain", Content_Encoding="gzip")
    with pytest.raises(TooLarge):
        small(site).fetch(site.url("/bomb"))


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_pages_are_unpacked(site: Site, pack: object) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    site.page("/packed", pack(b"<p>" + b"word " * 1000), Content_Encoding=name)  # type: ignore[operator]
    assert Fetcher(OPEN).fetch(site.url("/packed")).body == b"<p>" + b"word " * 1000


def test_a_slow_body_ends_with_the_time_limit(site: Site) -> None:
    def drip(visit: Visit) -> None:
        visit.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        for _ in range(100):
            visit.raw(b"x")
            time.sleep(0.05)

    site.act("/slow", drip)
    started = time.monotonic()
    with pytest.raises(Trouble, match=r"took longer than 0\.4 s"):
        small(site, timeout_s=0.4).fetch(site.url("/slow"))
    assert time.monotonic() - started < 2.5


def test_slow_headers_end_with_the_time_limit(site: Site) -> None:
    def drip(visit: Visit) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 100:
            visit.raw(bytes([byte]))
            time.sleep(0.05)

    site.act("/slow", drip)
    with pytest.raises(Trouble, match="took longer"):
        small(site, timeout_s=0.4).fetch(site.url("/slow"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"word " * 100)[:-12],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nthis is not packed",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nthis is something else",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["short", "broken chunk", "cut gzip", "no gzip", "brotli", "nonsense", "nothing"],
)
def test_a_wrong_answer_is_no_page(site: Site, answer: bytes) -> None:
    site.act("/wrong", lambda visit: visit.raw(answer))
    with pytest.raises(Trouble):
        Fetcher(OPEN).fetch(site.url("/wrong"))


def test_what_servers_refuse_is_told_apart(site: Site) -> None:
    with pytest.raises(NotFound, match="no such page"):
        Fetcher(OPEN).fetch(site.url("/none"))
    site.page("/busy", b"", status=503, Retry_After="7")
    with pytest.raises(Trouble, match="503") as busy:
        Fetcher(OPEN).fetch(site.url("/busy"))
    assert busy.value.retry_after_s == 7
    site.page("/login", b"", status=401)
    with pytest.raises(RequestError, match="401") as login:
        Fetcher(OPEN).fetch(site.url("/login"))
    assert not isinstance(login.value, Trouble)
    site.page("/film", b"\0" * 100, "video/mp4")
    with pytest.raises(RequestError, match="video/mp4"):
        Fetcher(OPEN).fetch(site.url("/film"))


def test_a_page_that_is_held_is_not_sent_again(site: Site) -> None:
    def versioned(visit: Visit) -> None:
        is_held = visit.headers.get("If-None-Match") == '"v1"'
        visit.send(b"" if is_held else b"<p>one</p>", status=304 if is_held else 200, ETag='"v1"')

    site.act("/page", versioned)
    first = Fetcher(OPEN).fetch(site.url("/page"))
    assert first.validators == Validators('"v1"', "")
    assert Fetcher(OPEN).fetch(site.url("/page"), first.validators).body is None


def test_robots_are_honoured_unless_switched_off(site: Site) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private", "text/plain")
    site.page("/private/a", "<p>closed</p>")
    site.page("/open", "<p>open</p>")
    fetcher = Fetcher(replace(OPEN, robots=True))
    assert fetcher.fetch(site.url("/open")).body
    with pytest.raises(Forbidden, match=r"robots\.txt"):
        fetcher.fetch(site.url("/private/a"))
    assert site.asked == ["/robots.txt", "/open"]
    assert Fetcher(OPEN).fetch(site.url("/private/a")).body
    site.page("/robots.txt", b"", status=500)
    with pytest.raises(Trouble, match=r"robots\.txt"):
        Fetcher(replace(OPEN, robots=True)).fetch(site.url("/open"))


def test_the_longest_rule_of_robots_decides() -> None:
    text = """
    User-agent: other
    User-agent: RAGQ   # two names, one group
    Disallow: /
    Allow: /docs/
    Disallow: /docs/*.pdf$
    User-agent: *
    Disallow:
    """
    ours, theirs = rules_for(text, "ragq"), rules_for(text, "somebody")
    assert [is_allowed(ours, p) for p in ("/", "/docs/a", "/docs/x/b.pdf", "/docs/b.pdf?x")] == [
        False, True, False, True,
    ]  # fmt: skip
    assert is_allowed(theirs, "/")
    assert rules_for("nonsense", "ragq") == []
    assert not is_allowed(rules_for("User-agent: *\nDisallow: /路", "ragq"), "/%E8%B7%AF/x")


def test_troubles_are_tried_again_and_other_errors_are_not() -> None:
    said: list[Exception] = [Trouble("one"), Trouble("two", retry_after_s=9.0)]
    page, rests = Fetched("u", "", b"", Validators()), list[float]()

    def act() -> Fetched:
        if said:
            raise said.pop(0)
        return page

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return False

    assert patiently(act, 3, rest) is page
    assert rests == [1.0, 9.0]
    for errors, error in [([Trouble("x")] * 3, Trouble), ([NotFound("x")], NotFound)]:
        said[:] = errors
        rests.clear()
        with pytest.raises(error):
            patiently(act, 2, rest)
        assert len(rests) == (error is Trouble)
    said[:] = [Trouble("come back tomorrow", retry_after_s=86400.0)]
    with pytest.raises(Trouble, match="tomorrow"):
        patiently(act, 3, rest)


CHINESE = "<title>检索增强</title><p>检索增强生成把文档交给模型。</p>"


@pytest.mark.parametrize(
    ("header", "raw"),
    [
        ("text/html; charset=gb2312", CHINESE.encode("gb18030")),
        ("text/html; charset=iso-8859-1", CHINESE.encode()),
        ("text/html; charset=gbk", CHINESE.encode()),
        ("text/html; charset=utf-16", CHINESE.encode("utf-16")),
        ("text/html", CHINESE.encode()),
        ("application/xhtml+xml;charset=BIG5-HKSCS", CHINESE.encode()),
        ("text/html; charset=martian", CHINESE.encode()),
    ],
)
def test_the_encoding_is_what_makes_sense_of_the_bytes(header: str, raw: bytes) -> None:
    page = content("http://x/y", header, raw)
    assert page.raw.decode("utf-8-sig") == CHINESE
    assert (page.name, page.media_type) == ("检索增强", "text/html")


def test_bytes_that_their_header_does_not_explain_are_left_to_the_reader() -> None:
    raw = CHINESE.encode("gb18030")
    assert content("http://x/y", "text/html; charset=utf-8", raw).raw == raw
    assert content("http://x/y.pdf", "application/pdf", b"%PDF-1.7").name == "y.pdf"
    assert content("http://x/a/%E6%96%87.md", "text/markdown", b"# x").media_type == "text/markdown"
    assert content("http://host/", "", b"x").name == "host"
    assert content("http://x/q", "text/html", b"<title>\n a &amp; b\n</title>").name == "a & b"
