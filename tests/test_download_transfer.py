import hashlib
import itertools
import time
from dataclasses import replace

import pytest

from melodai.errors import DownloadError
from melodai_studies.download import connection, transfer
from melodai_studies.download.connection import Stopped, open_client
from melodai_studies.download.transfer import PageError
from tests.web import LOCAL, content, drip, serving, status

DATA = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site():
    with serving() as running:
        yield running


@pytest.fixture
def fetch(site, tmp_path):
    """Fetches a path (or a URL) of the site into `song.part`."""

    def fetch(path, *, should_stop=lambda: False, on_bytes=lambda count: None, **changes):
        rules = replace(LOCAL, **changes)
        url = path if "://" in path else site.url(path)
        with open_client(rules, should_stop) as client:
            return transfer.fetch(
                client, url, fetch.part, rules, should_stop=should_stop, on_bytes=on_bytes
            )

    fetch.part = tmp_path / "song.part"
    return fetch


def in_turn(*answers):
    """A different answer to each request; the last one from then on."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def test_a_file_is_fetched_whole(site, fetch):
    site.answers["/a.mp3"] = content(DATA)
    counts = []
    assert fetch("/a.mp3", on_bytes=counts.append) == SHA256
    assert fetch.part.read_bytes() == DATA
    assert sum(counts) == len(DATA)


def test_a_file_without_a_length_is_fetched_too(site, fetch):
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(DATA), 99_999):
            piece = DATA[start : start + 99_999]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    site.answers["/chunked"] = chunked
    assert fetch("/chunked") == SHA256


def test_redirections_are_followed_a_few_times(site, fetch):
    for number in range(1, 6):
        site.answers[f"/{number}"] = status(300 + number % 3 + 1, Location=f"{number - 1}")
    site.answers["/0"] = content(DATA)
    assert fetch("/5") == SHA256
    fetch.part.unlink()
    site.answers["/6"] = status(301, Location="/5")
    with pytest.raises(DownloadError, match="more than 5 times"):
        fetch("/6")
    site.answers["/loop"] = status(302, Location="/loop")
    before = len(site.requests)
    with pytest.raises(DownloadError, match="more than 5 times"):
        fetch("/loop")
    assert len(site.requests) == before + 6


def test_each_redirection_is_checked_for_where_it_leads(site, fetch, monkeypatch):
    monkeypatch.setattr(connection, "is_public", lambda place: str(place) == "127.0.0.1")
    with serving("127.0.0.2") as private:
        private.answers["/secret"] = content(DATA)
        site.answers["/a"] = status(302, Location=private.url("/secret", "127.0.0.2"))
        site.answers["/b"] = status(302, Location=private.url("/secret", "2130706434"))
        site.answers["/c"] = status(302, Location="file:///etc/passwd")
        site.answers["/d"] = status(302, Location="ftp://127.0.0.1/a")
        for path, words in [
            ("/a", r"127\.0\.0\.2, which is not of the public internet"),
            ("/b", r"127\.0\.0\.2, which"),
            ("/c", "only https"),
            ("/d", "only https"),
        ]:
            with pytest.raises(DownloadError, match=words):
                fetch(path, allow_private=False)
        assert private.requests == []
        assert fetch("/a", allow_private=True) == SHA256


def test_without_the_options_the_local_server_is_refused_unasked(site, fetch):
    site.answers["/a"] = content(DATA)
    with pytest.raises(DownloadError, match="--allow-http"):
        fetch("/a", allow_http=False)
    with pytest.raises(DownloadError, match="--allow-private"):
        fetch("/a", allow_private=False)
    assert site.requests == []


def test_a_dropped_connection_is_resumed(site, fetch):
    site.answers["/a"] = content(DATA, stop_after=200_000)
    assert fetch("/a") == SHA256
    first, second = site.requests
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=200000-"
    assert second.headers["If-Range"] == '"1"'


def test_another_run_resumes_where_one_was_stopped(site, fetch):
    site.answers["/a"] = in_turn(drip(DATA, site, 0.01, 5000), content(DATA, etag='"drip"'))
    received = []
    with pytest.raises(Stopped):
        fetch("/a", should_stop=lambda: sum(received) > 50_000, on_bytes=received.append)
    there = fetch.part.stat().st_size
    assert 0 < there < len(DATA)
    assert fetch("/a") == SHA256
    assert site.requests[1].headers["Range"] == f"bytes={there}-"


@pytest.mark.parametrize(
    "second",
    [
        content(DATA, etag='"2"'),  # as If-Range demands: the new file, whole
        in_turn(status(416), content(DATA, etag='"2"')),
    ],
)
def test_a_file_that_changed_meanwhile_is_begun_again(site, fetch, second):
    site.answers["/a"] = in_turn(content(b"old" * 9999, stop_after=20_000), second)
    assert fetch("/a") == SHA256


def test_a_server_that_joins_two_versions_is_not_believed(site, fetch):
    def joins(handler):  # a part of the new file, whatever If-Range says
        handler.headers.replace_header("If-Range", '"2"')
        content(DATA, etag='"2"')(handler)

    site.answers["/a"] = in_turn(
        content(b"old" * 9999, stop_after=20_000), joins, content(DATA, etag='"2"')
    )
    assert fetch("/a") == SHA256
    assert "Range" not in site.requests[2].headers


def test_a_part_that_was_not_asked_for_is_refused(site, fetch):
    site.answers["/a"] = status(206, Content_Range="bytes 5-9/10")
    with pytest.raises(DownloadError, match="changed meanwhile"):
        fetch("/a", retries=0)


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_a_strong_validator_the_file_is_begun_again(site, fetch, etag):
    site.answers["/a"] = content(DATA, etag=etag, stop_after=200_000)
    assert fetch("/a") == SHA256
    assert "Range" not in site.requests[1].headers


def test_a_server_that_knows_no_ranges_sends_it_again(site, fetch):
    site.answers["/a"] = content(DATA, stop_after=200_000, ranges=False)
    assert fetch("/a") == SHA256


def test_what_lies_there_of_another_url_is_not_used(site, fetch):
    site.answers["/a"] = content(b"other" * 1000)
    site.answers["/b"] = content(DATA)
    fetch("/a")
    assert fetch("/b") == SHA256


def test_a_length_that_is_too_long_is_noticed(site, fetch):
    site.answers["/a"] = content(DATA, etag=None, length=len(DATA) + 1)
    with pytest.raises(DownloadError, match="received 512000 bytes, expected 512001"):
        fetch("/a")


def test_too_large_is_refused_announced_or_not(site, fetch):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while not site.is_over.is_set():
            handler.wfile.write(bytes(1 << 16))

    site.answers["/announced"] = content(DATA, length=10**12)
    site.answers["/endless"] = endless
    for path in ("/announced", "/endless"):
        with pytest.raises(DownloadError, match="larger than 1 MB; raise --max-megabytes"):
            fetch(path, max_bytes=1_000_000)
        assert fetch.part.stat().st_size <= 1_000_000 if fetch.part.exists() else True
    assert len(site.requests) == 2


def test_a_server_that_falls_silent_is_left(site, fetch):
    def silent(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x")
        handler.wfile.flush()
        site.is_over.wait(10)

    site.answers["/body"] = silent
    site.answers["/header"] = lambda handler: site.is_over.wait(10)
    for path in ("/body", "/header"):
        began = time.monotonic()
        with pytest.raises(DownloadError, match="timed out"):
            fetch(path, stall_seconds=0.3, retries=0)
        assert time.monotonic() - began < 4


def test_a_drip_is_ended_by_the_total_time(site, fetch):
    site.answers["/body"] = drip(DATA, site, 0.05)
    with pytest.raises(DownloadError, match=r"more than 0\.6 s; run again to resume"):
        fetch("/body", total_seconds=0.6)


def test_an_error_that_stays_is_not_tried_again(site, fetch):
    for code in (400, 401, 403, 404, 410, 451):
        site.answers["/a"] = status(code)
        with pytest.raises(DownloadError, match=f"answers {code}"):
            fetch("/a")
    assert len(site.requests) == 6


def test_an_error_that_may_pass_is_tried_again_after_growing_pauses(site, fetch):
    site.answers["/a"] = status(500)
    with pytest.raises(DownloadError, match=r"answers 500 .*tried 4 times"):
        fetch("/a", retries=3, backoff_seconds=0.1)
    times = [request.at_seconds for request in site.requests]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    for number, pause in enumerate(pauses):
        assert 0.05 * 2**number <= pause <= 0.15 * 2**number + 0.2


def test_a_server_is_given_the_time_it_asks_for(site, fetch):
    site.answers["/a"] = in_turn(status(429, Retry_After="1"), content(DATA))
    assert fetch("/a", backoff_seconds=60) == SHA256
    first, second = (request.at_seconds for request in site.requests)
    assert second - first >= 1


def test_a_server_that_asks_for_an_hour_is_left(site, fetch):
    site.answers["/a"] = status(429, Retry_After="3600")
    with pytest.raises(DownloadError, match="asks to wait 3600 s; run again later"):
        fetch("/a")
    assert len(site.requests) == 1


def test_a_page_is_told_from_a_file_by_its_content(site, fetch):
    page = b"\n<!DOCTYPE html><html><body>Buy now</body></html>"
    site.answers["/page"] = content(page, Content_Type="audio/mpeg")
    site.answers["/shy"] = content(DATA, Content_Type="text/html")
    with pytest.raises(PageError):
        fetch("/page")
    assert fetch("/shy") == SHA256


NO_HTTP = [
    b"",
    b"\r\n\r\n",
    b"SSH-2.0-x\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nabc",
]


@pytest.mark.parametrize("words", NO_HTTP)
def test_what_is_no_http_is_a_sentence(site, fetch, words):
    site.answers["/a"] = lambda handler: handler.wfile.write(words)
    with pytest.raises(DownloadError):
        fetch("/a", retries=0)


def test_a_host_has_a_pause_between_two_requests(site, fetch):
    site.answers["/a"] = status(302, Location="/b")
    site.answers["/b"] = content(DATA)
    fetch("/a", delay_seconds=0.4)
    first, second = (request.at_seconds for request in site.requests)
    assert second - first >= 0.4
