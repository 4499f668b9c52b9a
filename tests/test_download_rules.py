"""Which URLs a download may fetch: tables, with nothing to connect to."""

import pytest
from runcomfy import _download_rules
from runcomfy._download_rules import Place, Refused, Rules, host_pattern, origin_of, require_public

HOSTS = ("cdn.example.com", "*.files.example.com", "10.0.0.5", "::1")
RULES = Rules(origin_of("https://api.example.net:8443/prefix/v1"), HOSTS)
SANDBOX = Rules(origin_of("http://127.0.0.1:8000"))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://playgrounds-storage-public.runcomfy.net/a.png", None),
        ("https://a.b.runcomfy.com/a.png?X-Sig=a/b%20c&d=ü#x", None),
        ("https://x.runcomfy.net", None),
        ("https://x.runcomfy.net?a", None),
        ("https://x.runcomfy.net:8443/a", None),
        ("https://x.runcomfy.net:443/a", "https://x.runcomfy.net/a"),
        ("HTTPS://X.RunComfy.NET/A", "https://x.runcomfy.net/A"),
        ("https://x.runcomfy.net./a", "https://x.runcomfy.net/a"),
        ("https://api.example.net:8443/a", None),
        ("https://cdn.example.com/a", None),
        ("https://a.files.example.com/a", None),
        ("https://10.0.0.5/a", None),
        ("https://[::1]:99/a", None),
        ("https://[0:0::1]/a", "https://[::1]/a"),
        ("https://my_bucket.runcomfy.net/a@b:c//d", None),
    ],
)
def test_these_are_fetched(url: str, asked: str | None) -> None:
    assert RULES.first(url).url == (asked or url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://runcomfy.net/a", "is not one of RunComfy's"),
        ("https://runcomfy.com/a", "is not one of RunComfy's"),
        ("https://evilruncomfy.net/a", "is not one of RunComfy's"),
        ("https://runcomfy.net.evil.example/a", "is not one of RunComfy's"),
        ("https://x.runcomfy.network/a", "is not one of RunComfy's"),
        ("https://evil.example/x.runcomfy.net", "is not one of RunComfy's"),
        ("https://evil.example?.runcomfy.net", "is not one of RunComfy's"),
        ("https://evil.example#.runcomfy.net", "is not one of RunComfy's"),
        ("https://files.example.com/a", "is not one of RunComfy's"),
        ("https://a.cdn.example.com/a", "is not one of RunComfy's"),
        ("https://api.example.net/a", "is not one of RunComfy's"),
        ("https://api.example.net:8444/a", "is not one of RunComfy's"),
        ("http://api.example.net:8443/a", "is not one of RunComfy's"),
        ("https://10.0.0.6/a", "is not one of RunComfy's"),
        ("http://x.runcomfy.net/a", "allow_http=True"),
        ("http://cdn.example.com/a", "allow_http=True"),
        ("ftp://x.runcomfy.net/a", "no http or https URL"),
        ("file:///etc/passwd", "no http or https URL"),
        ("javascript:alert(1)", "no http or https URL"),
        ("//x.runcomfy.net/a", "no http or https URL"),
        ("x.runcomfy.net/a", "no http or https URL"),
        ("https:x.runcomfy.net/a", "no http or https URL"),
        ("https:/x.runcomfy.net/a", "no http or https URL"),
        ("http\u017f://x.runcomfy.net/a", "no http or https URL"),
        ("", "no http or https URL"),
        ("https://user@x.runcomfy.net/a", "without a user name"),
        ("https://user:word@x.runcomfy.net/a", "without a user name"),
        ("https://x.runcomfy.net@evil.example/a", "without a user name"),
        ("https://x.runcomfy.net:443@evil.example/a", "without a user name"),
        ("https://evil.example\\.runcomfy.net/a", "signs that no URL has"),
        ("https:\\\\x.runcomfy.net/a", "signs that no URL has"),
        ("https://x.runcomfy.net/a b", "signs that no URL has"),
        (" https://x.runcomfy.net/a", "signs that no URL has"),
        ("https://x.runcomfy.net/a\n", "signs that no URL has"),
        ("https://x.runcomfy.net/\ta", "signs that no URL has"),
        ("https://x.runcomfy.net/\x00", "signs that no URL has"),
        ("https://x.runcomfy.net/\u202e", "signs that no URL has"),
        ("https://x.runcomfy.net/\u00a0", "signs that no URL has"),
        ("https://x.runcomfy.net/\ud800", "signs that no URL has"),
        ("https:///a", "cannot be one"),
        ("https://x..runcomfy.net/a", "cannot be one"),
        ("https://.runcomfy.net/a", "cannot be one"),
        ("https://-x.runcomfy.net/a", "cannot be one"),
        ("https://x.runcomfy.net../a", "cannot be one"),
        ("https://ex%61mple.runcomfy.net/a", "cannot be one"),
        ("https://ｘ.runcomfy.net/a", "cannot be one"),
        ("https://cdn.example.com\u2025/a", "cannot be one"),
        ("https://\u212a.runcomfy.net/a", "cannot be one"),
        (f"https://{'a' * 64}.runcomfy.net/a", "cannot be one"),
        (f"https://{'a.' * 125}runcomfy.net/a", "cannot be one"),
        ("https://x.runcomfy.net:0/a", "cannot be one"),
        ("https://x.runcomfy.net:65536/a", "cannot be one"),
        ("https://x.runcomfy.net:/a", "no http or https URL"),
        ("https://x.runcomfy.net:8 443/a", "signs that no URL has"),
        ("https://x.runcomfy.net:٤٤٣/a", "no http or https URL"),
        ("https://2130706433/a", "cannot be one"),
        ("https://127.1/a", "cannot be one"),
        ("https://0x7f.0.0.1/a", "cannot be one"),
        ("https://127.0.0.0x1/a", "cannot be one"),
        ("https://010.0.0.5/a", "cannot be one"),
        ("https://[10.0.0.5]/a", "cannot be one"),
        ("https://[::1%25eth0]/a", "cannot be one"),
        ("https://[::1]evil.example/a", "no http or https URL"),
        ("https://[/a", "no http or https URL"),
    ],
)
def test_these_are_not_fetched(url: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        RULES.first(url)

    assert reason in str(caught.value)


def test_http_is_fetched_from_the_own_origin_and_where_the_caller_allows_it() -> None:
    generous = Rules(RULES.own, HOSTS, allow_http=True)

    assert SANDBOX.first("http://127.0.0.1:8000/outputs/a").may_be_private
    assert generous.first("http://x.runcomfy.net/a").url == "http://x.runcomfy.net/a"
    assert generous.first("http://cdn.example.com/a").url == "http://cdn.example.com/a"
    with pytest.raises(Refused, match="is not one of RunComfy's"):
        generous.first("http://api.example.net:8443/a")


@pytest.mark.parametrize(
    ("url", "may_be"),
    [
        ("https://x.runcomfy.net/a", False),
        ("https://api.example.net:8443/a", True),
        ("https://cdn.example.com/a", True),
        ("https://10.0.0.5/a", True),
    ],
)
def test_only_what_the_caller_named_may_be_private(url: str, may_be: bool) -> None:
    assert RULES.first(url).may_be_private is may_be


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("https://y.runcomfy.net/b?sig=1", None),
        ("//y.runcomfy.net/b", "https://y.runcomfy.net/b"),
        ("/b", "https://x.runcomfy.net/b"),
        ("b", "https://x.runcomfy.net/folder/b"),
        ("../../b", "https://x.runcomfy.net/b"),
        ("?b", "https://x.runcomfy.net/folder/a?b"),
        ("https://cdn.example.com/b", None),
    ],
)
def test_a_redirect_leads_where_the_rules_allow_it(location: str, asked: str | None) -> None:
    place = RULES.redirected(RULES.first("https://x.runcomfy.net/folder/a"), location)

    assert place.url == (asked or location)
    assert not place.may_be_private


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://evil.example/a?sig=secret", "is not one of RunComfy's"),
        ("//evil.example/a", "is not one of RunComfy's"),
        ("\\\\evil.example/a", "signs that no URL has"),
        ("/\\evil.example/a", "signs that no URL has"),
        ("https://user:secret@y.runcomfy.net/a", "without a user name"),
        ("http://y.runcomfy.net/a", "from https to http"),
        ("data:image/png;base64,AAAA", "no http or https URL"),
        ("file:///etc/passwd", "no http or https URL"),
        ("ht\ntps://y.runcomfy.net/a", "signs that no URL has"),
        ("http://[/", "cannot be one"),
        ("https://10.0.0.5/a", "no address of the open Internet"),
        ("https://[::1]/a", "no address of the open Internet"),
    ],
)
def test_a_redirect_leads_nowhere_else(location: str, reason: str) -> None:
    with pytest.raises(Refused, match=r"^it was redirected to ") as caught:
        RULES.redirected(RULES.first("https://x.runcomfy.net/a"), location)

    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_redirect_leads_to_the_own_origin_but_from_there() -> None:
    """A stranger is not to find out what a server on this machine has to say."""
    rules = Rules(origin_of("http://127.0.0.1:8000"), ("127.0.0.1", "cdn.example.com"), allow_http=True)
    own, other = rules.first("http://127.0.0.1:8000/a"), rules.first("http://cdn.example.com/a")

    assert rules.redirected(own, "/b") == Place("http://127.0.0.1:8000/b", own.origin, may_be_private=True)
    for place, location in [
        (other, "http://127.0.0.1:8000/b"),
        (own, "http://127.0.0.1:8001/b"),
        (rules.first("http://127.0.0.1:8001/a"), "/b"),
    ]:
        with pytest.raises(Refused, match="no address of the open Internet"):
            rules.redirected(place, location)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_these_addresses_are_of_the_open_internet(address: str) -> None:
    require_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "4000::1",
    ],
)
def test_these_addresses_are_not(address: str) -> None:
    with pytest.raises(Refused, match="no address of the open Internet"):
        require_public(address)


@pytest.mark.parametrize(
    "host", [5, None, "", "*", "*.", "a/b", "https://a", "a:80", "a b", "*.*.a", "a.*", "ü.example", "1.2"]
)
def test_these_are_no_hosts(host: object) -> None:
    assert host_pattern(host) is None


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://model-api.runcomfy.net", ("https", "model-api.runcomfy.net", 443)),
        ("http://[::1]:8000/prefix", ("http", "::1", 8000)),
        ("https://bücher.example", None),
    ],
)
def test_the_origin_of_a_base_url_is_compared_as_a_whole(base_url: str, origin: object) -> None:
    assert origin_of(base_url) == origin


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.runcomfy.net/a.png?X-Signature=secret", "https://x.runcomfy.net/a.png"),
        ("https://x.runcomfy.net/a.png#secret", "https://x.runcomfy.net/a.png"),
        ("https://secret@x.runcomfy.net/a@b", "https://x.runcomfy.net/a@b"),
        ("https:\\\\u:secret@x/a", "https:\\\\x/a"),
        ("https://u:secret@@x", "https://x"),
        ("data:image/png;base64,c2VjcmV0", "data:image/png;base64"),
        ("DATA:,secret", "DATA:"),
        ("https://x/\n\x1b[31m", "https://x/\ufffd\ufffd[31m"),
        ("https://x/" + "a" * 5000, "https://x/" + "a" * 289 + "…"),
    ],
)
def test_no_text_shows_what_may_be_a_secret(url: str, shown: str) -> None:
    assert _download_rules.without_secrets(url) == shown
