import ipaddress
import socket
import subprocess

import pytest

from melodai.errors import DownloadError
from melodai.files import file_digest
from melodai_studies.download import connection
from melodai_studies.download.connection import Rules, is_public, open_client, parse_url
from melodai_studies.download.transfer import fetch
from tests.web import LOCAL, content, serving

STRICT = Rules()


def get(url, path, rules=LOCAL):
    """The content behind a URL."""
    with open_client(rules, lambda: False) as client:
        assert fetch(client, url, path, rules) == file_digest(path)
    return path.read_bytes()


def test_an_address_is_written_in_one_way():
    url = str(parse_url(" HTTPS://Bücher.Example/a b/ü.mp3?q=ä#part", STRICT))
    assert url == "https://xn--bcher-kva.example/a%20b/%C3%BC.mp3?q=%C3%A4"
    assert str(parse_url(url, STRICT)) == url


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
        ("https://good.org\\@evil.org/", "user name or password"),
        ("https:///a.mp3", "only https"),
        ("https://[::1/", "not a URL"),
        ("https://example.org/a\nHost: evil", "not a URL"),
    ],
)
def test_what_is_no_plain_https_address_is_refused(url, words):
    with pytest.raises(DownloadError, match=words) as caught:
        parse_url(url, STRICT)
    assert "secret" not in str(caught.value)


PRIVATE = """
127.0.0.1 127.8.8.8 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1
224.0.0.1 240.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 :: ::1 fe80::1 fc00::1 fd12::1 ff02::1
2001:db8::1 fec0::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1
2002:7f00:1:: 2001:0:1:2::1 100::1
"""


@pytest.mark.parametrize("place", PRIVATE.split())
def test_addresses_that_are_not_of_the_public_internet_are_known(place):
    assert not is_public(ipaddress.ip_address(place))


@pytest.mark.parametrize(
    "place", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_public_internet_are_allowed(place):
    assert is_public(ipaddress.ip_address(place))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"]
)
def test_this_machine_is_refused_in_every_spelling(host, tmp_path):
    with pytest.raises(DownloadError, match="not of the public internet"):
        get(f"https://{host}/a.mp3", tmp_path / "a", STRICT)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "exa mple.org"])
def test_a_name_that_leads_nowhere_is_a_sentence(host, tmp_path):
    with pytest.raises(DownloadError, match="is not found"):
        get(f"https://{host}/", tmp_path / "a", Rules(retries=0))


def resolves(monkeypatch, name, *places):
    """From now on, asking for `name` gives the next of these places each time."""
    real, left = socket.getaddrinfo, list(places)

    def changed(host, *arguments, **options):
        if host != name:
            return real(host, *arguments, **options)
        return [entry for place in left.pop(0) for entry in real(place, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", changed)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch, tmp_path):
    """A name server that answers differently the second time gains nothing."""
    resolves(monkeypatch, "rebinding.example", ["127.0.0.1"], ["127.0.0.2"])
    monkeypatch.setattr(connection, "is_public", lambda place: str(place) == "127.0.0.1")
    rules = Rules(allow_http=True, delay_seconds=0)
    with serving("127.0.0.1") as good:
        good.answers["/"] = content(b"good", etag=None)
        url = good.url("/", "rebinding.example")
        assert get(url, tmp_path / "a", rules) == b"good"
        assert good.requests[0].headers["Host"] == f"rebinding.example:{good.port}"
        with pytest.raises(DownloadError, match=r"rebinding\.example leads to 127\.0\.0\.2"):
            get(url, tmp_path / "a", rules)


def test_the_first_address_that_answers_is_used(monkeypatch, tmp_path):
    resolves(monkeypatch, "two.example", ["127.0.0.2", "127.0.0.1"])
    with serving("127.0.0.1") as site:
        site.answers["/"] = content(b"here")
        assert get(site.url("/", "two.example"), tmp_path / "a") == b"here"
        [asked] = site.requests
    assert asked.headers["User-Agent"].startswith("melodai/0.")
    assert asked.headers["Accept-Encoding"] == "identity"


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A self-signed one for `localhost`, which OpenSSL is told to trust."""
    path = tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(tmp_path / "key.pem"),
        "-out",
        str(path),
    ]
    try:
        subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate: {error}")
    path.write_bytes(path.read_bytes() + (tmp_path / "key.pem").read_bytes())
    return path


def test_https_is_spoken_and_the_certificate_checked_for_the_name(
    certificate, monkeypatch, tmp_path
):
    with serving(certificate=str(certificate)) as site:
        site.answers["/"] = content(b"secret")
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            get(site.url("/", "localhost"), tmp_path / "a")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert get(site.url("/", "localhost"), tmp_path / "a") == b"secret"
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            get(site.url("/", "127.0.0.1"), tmp_path / "b")
        assert len(site.requests) == 1


def test_a_server_that_speaks_no_https_is_a_sentence(tmp_path):
    with (
        serving() as site,
        pytest.raises(DownloadError, match="localhost: "),
    ):
        get(site.url("/", "localhost").replace("http:", "https:"), tmp_path / "a")
