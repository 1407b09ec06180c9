import ipaddress
import socket
import subprocess

import pytest
from melodai_studies.download import address as addresses
from melodai_studies.download import connection
from melodai_studies.download.address import is_public, parse_address, redirected, resolve
from melodai_studies.download.connection import refuse_proxies, request
from melodai_studies.download.rules import Patience, Rules

from melodai.errors import DownloadError, SettingError
from tests.web import LOCAL, content, serving, status

STRICT = Rules()


def reason(url, rules=STRICT):
    with pytest.raises(DownloadError) as caught:
        parse_address(url, rules)
    return str(caught.value)


def get(url, rules=LOCAL):
    with request(parse_address(url, rules), {}, rules, Patience(5, lambda: False)) as response:
        return response.status, response.read()


def test_an_address_is_taken_apart_and_written_in_one_way():
    address = parse_address(" HTTPS://Bücher.Example:443/a b/ü.mp3?q=ä#part", STRICT)
    assert address.url == "https://xn--bcher-kva.example/a%20b/%C3%BC.mp3?q=%C3%A4"
    assert (address.host, address.port) == ("xn--bcher-kva.example", 443)
    again = parse_address(address.url, STRICT)
    assert again == address
    assert (
        parse_address("https://[2606:4700::1]:8443", STRICT).url == "https://[2606:4700::1]:8443/"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/a.mp3", "--allow-http"),
        ("ftp://example.org/a.mp3", "only https"),
        ("file:///etc/passwd", "only https"),
        ("data:audio/mpeg;base64,AAAA", "only https"),
        ("//example.org/a.mp3", "only https"),
        ("a.mp3", "only https"),
        ("https://user:secret@example.org/a.mp3", "user name or password"),
        ("https://user@example.org/a.mp3", "user name or password"),
        ("https:///a.mp3", "names no host"),
        ("https://exa mple.org/a.mp3", "no name of a host"),
        ("https://-x.org/", "no name of a host"),
        ("https://a..b/", "no name of a host"),
        ("https://example.org:99999/", "not a URL"),
        ("https://example.org:0/", "port 0"),
        ("https://[::1/", "not a URL"),
        ("https://[fe80::1%25eth0]/", "no"),
        ("https://good.org\\@evil.org/", "characters that no URL has"),
        ("https://example.org/a\nHost: evil", "characters that no URL has"),
        ("https://example.org/\x00", "characters that no URL has"),
        ("https://2130706433/", "four numbers"),
        ("https://0177.0.0.1/", "four numbers"),
        ("https://0x7f000001/", "four numbers"),
        ("https://127.1/", "four numbers"),
    ],
)
def test_what_is_no_plain_https_address_is_refused(url, words):
    assert words in reason(url)


def test_a_password_is_not_repeated():
    assert "secret" not in reason("https://user:secret@example.org/a.mp3")


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
        "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
        "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1:2::1", "100::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet_are_known(place):
    assert not is_public(ipaddress.ip_address(place))


@pytest.mark.parametrize(
    "place", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_public_internet_are_allowed(place):
    assert is_public(ipaddress.ip_address(place))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_this_machine_is_refused_unless_allowed(host):
    address = parse_address(f"https://{host}/a.mp3", STRICT)
    with pytest.raises(DownloadError, match="not of the public internet"):
        resolve(address, STRICT)
    assert resolve(address, LOCAL)


def test_a_name_that_leads_nowhere_is_a_sentence():
    with pytest.raises(DownloadError, match=r"nowhere\.invalid is not found"):
        resolve(parse_address("https://nowhere.invalid/", STRICT), STRICT)


def test_a_redirection_is_checked_like_the_first_address():
    start = parse_address("https://example.org/a/b.mp3", LOCAL)
    assert redirected(start, "../c.mp3", LOCAL).url == "https://example.org/c.mp3"
    assert redirected(start, "//other.org", LOCAL).url == "https://other.org/"
    assert redirected(start, "/\xc3\xbc.mp3", LOCAL).url == "https://example.org/%C3%BC.mp3"
    for location, words in [
        ("http://example.org/c.mp3", "from https to http"),
        ("file:///etc/passwd", "what is refused"),
        ("https://user:pw@example.org/", "what is refused"),
        ("https://[::1", "redirects to"),
        (None, "not where to"),
    ]:
        with pytest.raises(DownloadError, match=words):
            redirected(start, location, LOCAL)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """A name server that answers differently the second time gains nothing."""
    real, asked = socket.getaddrinfo, []

    def changing(host, *arguments, **options):
        if host == "rebinding.example":
            asked.append(host)
            host = f"127.0.0.{len(asked)}"
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    monkeypatch.setattr(addresses, "is_public", lambda place: str(place) == "127.0.0.1")
    rules = Rules(allow_http=True)
    with serving("127.0.0.1") as good:
        good.answers["/"] = content(b"good")
        url = good.url("/", "rebinding.example")
        assert get(url, rules) == (200, b"good")
        assert good.requests[0].headers["Host"] == f"rebinding.example:{good.port}"
        with pytest.raises(DownloadError, match=r"rebinding\.example leads to 127\.0\.0\.2"):
            get(url, rules)
    assert len(asked) == 2


def test_the_first_address_that_answers_is_used(monkeypatch):
    real = socket.getaddrinfo

    def two(host, *arguments, **options):
        if host != "two.example":
            return real(host, *arguments, **options)
        return [*real("127.0.0.2", *arguments), *real("127.0.0.1", *arguments)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with serving("127.0.0.1") as site:
        site.answers["/"] = content(b"here")
        assert get(site.url("/", "two.example")) == (200, b"here")


def test_the_program_says_who_it_is_and_asks_for_plain_bytes():
    with serving() as site:
        site.answers["/a?b=c"] = status(204)
        assert get(site.url("/a?b=c")) == (204, b"")
        [asked] = site.requests
    assert asked.headers["User-Agent"].startswith("melodai/0.")
    assert asked.headers["Accept-Encoding"] == "identity"


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A self-signed one for `localhost`, which OpenSSL is told to trust."""
    path = tmp_path / "certificate.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", str(tmp_path / "key.pem"), "-out", str(path),
    ]  # fmt: skip
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate: {error}")
    path.write_bytes(path.read_bytes() + (tmp_path / "key.pem").read_bytes())
    connection._certificates.cache_clear()
    yield path
    connection._certificates.cache_clear()


def test_https_is_spoken_and_the_certificate_checked_for_the_name(certificate, monkeypatch):
    with serving(certificate=str(certificate)) as site:
        site.answers["/"] = content(b"secret")
        with pytest.raises(DownloadError, match="certificate of localhost is not valid"):
            get(site.url("/", "localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connection._certificates.cache_clear()
        assert get(site.url("/", "localhost")) == (200, b"secret")
        with pytest.raises(DownloadError, match=r"certificate of 127\.0\.0\.1 is not valid"):
            get(site.url("/", "127.0.0.1"))
        assert len(site.requests) == 1


def test_a_server_that_speaks_no_https_is_a_sentence():
    with (
        serving() as site,
        pytest.raises(DownloadError, match="no connection to localhost"),
    ):
        get(site.url("/", "localhost").replace("http:", "https:"))


def test_a_proxy_is_refused_and_not_silently_passed_by(monkeypatch):
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    refuse_proxies(["example.org"], STRICT)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    with pytest.raises(SettingError, match="HTTPS_PROXY is set"):
        refuse_proxies(["example.org"], STRICT)
    refuse_proxies(["example.org"], Rules(ignore_proxy=True))
    monkeypatch.setenv("NO_PROXY", "example.org")
    refuse_proxies(["example.org"], STRICT)
