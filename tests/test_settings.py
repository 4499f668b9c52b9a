"""Where token, base URL and the rest come from, and what is refused."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from conftest import Kind, RawServer, http_answer
from runcomfy import AsyncClient, AuthenticationError, Client, ConfigurationError
from runcomfy.models.blackforestlabs.flux_1_kontext.pro import edit
from runcomfy.sandbox import Sandbox

REQUEST = edit.Input(prompt="p", image_url="u")


def token_sent(kind: Kind, sandbox: Sandbox, **settings: Any) -> str:
    client = kind.client(base_url=sandbox.base_url, **settings)
    with pytest.raises(AuthenticationError):  # the sandbox knows none of these tokens; what was sent is what counts
        kind.settle(client.submit(REQUEST))
    return sandbox.requests[-1].headers["authorization"].removeprefix("Bearer ")


def test_the_token_comes_from_the_argument_then_the_environment_then_the_saved_file(
    kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path))
    (tmp_path / "token.json").write_text(json.dumps({"access_token": "from-file", "refresh_token": None}))
    assert token_sent(kind, sandbox) == "from-file"
    for variable in ("RUNCOMFY_API_KEY", "RUNCOMFY_API_TOKEN", "RUNCOMFY_TOKEN"):
        monkeypatch.setenv(variable, f"  from-{variable}\n")
        assert token_sent(kind, sandbox) == f"from-{variable}"
    assert token_sent(kind, sandbox, token="from-argument") == "from-argument"


def test_empty_variables_count_as_unset(kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCOMFY_TOKEN", "  ")
    monkeypatch.setenv("RUNCOMFY_API_KEY", "t")

    assert token_sent(kind, sandbox) == "t"


def test_the_token_file_is_looked_for_where_the_official_command_line_keeps_it(
    kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUNCOMFY_CONFIG_DIR")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for number, folder in enumerate(["Library/Application Support/runcomfy", ".config/runcomfy"]):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "token.json").write_text(json.dumps({"access_token": f"t{number}"}))
        assert token_sent(kind, sandbox) == f"t{number}"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg/runcomfy").mkdir(parents=True)
    (tmp_path / "xdg/runcomfy/token.json").write_text(json.dumps({"access_token": "t2"}))
    assert token_sent(kind, sandbox) == "t2"


@pytest.mark.parametrize("saved", ["[]", "{}", '{"access_token": null}', '{"access_token": ""}'])
def test_a_saved_file_without_a_token_is_no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: str) -> None:
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path))
    (tmp_path / "token.json").write_text(saved)

    with pytest.raises(ConfigurationError, match=r"no API token.*RUNCOMFY_TOKEN"):
        Client()


def test_a_damaged_saved_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNCOMFY_CONFIG_DIR", str(tmp_path))
    (tmp_path / "token.json").write_text('{"access_token": ')

    with pytest.raises(ConfigurationError, match=r"token\.json: not a JSON file"):
        Client()


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no API token"),
        ({"token": ""}, "the token argument: the token is empty"),
        ({"token": "a b"}, "printable ASCII"),
        ({"token": "tök"}, "printable ASCII"),
        ({"token": "Bearer abc"}, "without 'Bearer'"),
        ({"token": "t", "base_url": "model-api.runcomfy.net"}, "base_url: 'model-api.runcomfy.net' is no http"),
        ({"token": "t", "base_url": "ftp://x"}, "no http or https URL"),
        ({"token": "t", "base_url": "https://"}, "no http or https URL"),
        ({"token": "t", "base_url": "https://x:port"}, "base_url: "),
        ({"token": "t", "base_url": "https://two words"}, "no http or https URL"),
        ({"token": "t", "headers": {"X-A": "b\nc"}}, "headers: 'X-A' is no name of a header, or its value"),
        ({"token": "t", "headers": {"X-A": "é"}}, "headers: 'X-A'"),
        ({"token": "t", "headers": {"X A": "b"}}, "headers: 'X A'"),
        ({"token": "t", "base_url": "https://user@x"}, "no user name"),
        ({"token": "t", "base_url": "https://a..b"}, "no http or https URL"),
        ({"token": "t", "base_url": "https://-a-.com"}, "no http or https URL"),
        ({"token": "t", "base_url": "https://x/\x01a"}, "no http or https URL"),
        ({"token": "t", "headers": {"X-A": 1}}, "headers: 'X-A'"),
        ({"token": "t", "timeout": "60"}, "timeout: '60' is not a number of seconds"),
        ({"token": "t", "poll_interval": "1"}, "poll_interval: '1'"),
        ({"token": "t", "base_url": "https://x/?a=1"}, "no user name, query or fragment"),
        ({"token": "t", "timeout": 0}, "timeout: 0 is not a number of seconds above zero"),
        ({"token": "t", "timeout": float("nan")}, "timeout: nan"),
        ({"token": "t", "wait_timeout": -1}, "wait_timeout: -1"),
        ({"token": "t", "poll_interval": -0.1}, "poll_interval: -0.1"),
        ({"token": "t", "headers": {"authorization": "x"}}, "headers: authorization is set by the client itself"),
        ({"token": "t", "base_url": f"https://{'a' * 64}.com"}, "no http or https URL"),
        ({"token": "t", "proxy": "nonsense://user:hunter2@x"}, "proxy: no URL of an http, https or socks5 proxy"),
        ({"token": "t", "proxy": "http://[x"}, "proxy: no URL"),
        ({"token": "t", "proxy": 5}, "proxy: no URL"),
        ({"token": "t", "verify": "/no/such/bundle.pem"}, "verify: there is no file or folder '/no/such/bundle.pem'"),
        ({"token": "t", "verify": 5}, "verify: 5 is neither"),
        ({"token": "t", "verify": ""}, "verify: there is no file or folder ''"),
        ({"token": "t", "headers": "x"}, "headers: 'x' is no dict"),
        ({"token": "t", "cancel_on_interrupt": "yes"}, "cancel_on_interrupt: 'yes' is neither True nor False"),
        ({"token": b"bytes"}, "printable ASCII"),
        ({"token": "t", "base_url": 5}, "base_url: 5 is no http"),
        ({"token": "t", "headers": {1: "x"}}, "headers: 1 is no name"),
        ({"token": "t", "headers": {"X-A": " x"}}, "headers: 'X-A'"),
        ({"token": "t", "headers": {"Transfer-Encoding": "gzip"}}, "Transfer-Encoding is set by the client itself"),
        ({"token": "t", "poll_interval": 1e20}, "poll_interval: 1e"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(client: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")) as caught:
        client(**settings)
    assert "hunter2" not in str(caught.value)


def test_infinite_times_never_end_a_wait(kind: Kind, sandbox: Sandbox) -> None:
    for endless in (float("inf"), 10**400):
        client = kind.client(sandbox, timeout=endless, wait_timeout=endless)

        assert kind.settle(client.run(REQUEST)).image is not None


def test_a_deadline_of_a_call_is_checked_too(kind: Kind, client: Any) -> None:
    job = client.job("r1")

    with pytest.raises(ConfigurationError, match="timeout: 0 is not"):
        kind.settle(job.result(timeout=0))


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(token="t", base_url="ftp://user:hunter2@example.com")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"proxy": "socks5://127.0.0.1:1", "base_url": "http://api.example"},
        {"verify": __file__, "base_url": "https://api.example"},
        {"base_url": "https://xn--zzzzzz"},
    ],
)
def test_what_only_the_first_call_shows_to_be_unusable_is_a_configuration_error(
    kind: Kind, sandbox: Sandbox, settings: dict[str, Any]
) -> None:
    client = kind.client(**{"base_url": sandbox.base_url, "token": "t", **settings})

    with pytest.raises(
        ConfigurationError, match=r"base_url, account_url, proxy or verify|pip install 'httpx\[socks\]'"
    ):
        kind.settle(client.submit(REQUEST))


@pytest.mark.parametrize("verify", [True, False, ssl.create_default_context()])
def test_every_form_of_verify_is_taken(kind: Kind, sandbox: Sandbox, verify: Any) -> None:
    assert kind.settle(kind.client(sandbox, verify=verify).submit(REQUEST)).id


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://example.com", "https://example.com/v1"),
        ("https://example.com/", "https://example.com/v1"),
        ("https://example.com/v1", "https://example.com/v1"),
        ("https://example.com/v1/", "https://example.com/v1"),
        ("http://EXAMPLE.com:8080/api/v1", "http://example.com:8080/api/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_a_base_url_is_taken_with_or_without_v1(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    assert Client(token="t", base_url=given).base_url == used
    monkeypatch.setenv("RUNCOMFY_MODEL_API_BASE", given)
    assert Client(token="t").base_url == used


def test_the_production_api_is_the_default() -> None:
    assert Client(token="t").base_url == "https://model-api.runcomfy.net/v1"


def test_requests_go_through_the_proxy_of_the_argument(kind: Kind) -> None:
    with RawServer([http_answer("200 OK", b'{"request_id": "by-proxy"}')], is_proxy=True) as proxy:
        client = kind.client(base_url="http://api.example", token="t", proxy=proxy.url)

        assert kind.settle(client.submit(REQUEST)).id == "by-proxy"

    assert proxy.received[0].startswith(b"POST http://api.example/v1/models/")


def test_requests_go_through_the_proxy_of_the_environment_but_not_to_this_machine(
    kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer([http_answer("200 OK", b'{"request_id": "by-proxy"}')], is_proxy=True) as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        assert kind.settle(kind.client(base_url="http://api.example", token="t").submit(REQUEST)).id == "by-proxy"
        assert kind.settle(kind.client(sandbox).submit(REQUEST)).id != "by-proxy"
