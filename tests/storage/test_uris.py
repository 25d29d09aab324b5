"""Secrets in URIs: what anybody types as one is in nothing that is written or shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from stacktune.errors import ConfigError
from stacktune.report.outputs import output_folder
from stacktune.report.screen import Screen
from stacktune.settings.groups import URIS, Settings
from stacktune.settings.read import load_settings, to_yaml, without_secrets_in
from stacktune.storage import uris
from stacktune.storage.uris import has_secret, is_masked, keep_secret, masked, masked_uri, without_secrets
from stacktune.tracking.spool import Spool
from stacktune.tracking.store import check_store, without_credentials
from stacktune.tracking.tracker import Tracker

# Uncommon enough that no message has them by chance; between them, all that is hard about passwords.
HARD = st.text(st.sampled_from("/@:?#&=%+'\" \\;,<>()[]äé\t$"), max_size=6)
SECRETS = st.builds("q7Zx{}Yw9{}Kv".format, HARD, HARD)
CODED = st.sampled_from([lambda text: text, quote, quote_plus, lambda text: quote(text, safe="")])
SCHEMES = st.sampled_from(["http", "https", "postgresql", "postgresql+psycopg2", "mysql+pymysql", "s3", "gs"])
PARAMETERS = st.sampled_from(
    ["password", "token", "sig", "secret_key", "access_key", "AWSAccessKeyId", "X-Amz-Signature", "sslpassword", "auth"]
)


@st.composite
def uris_with_secrets(draw) -> tuple[str, str]:
    """Return a URI as somebody types it, and the secret in it as it stands there."""
    secret = draw(CODED)(draw(SECRETS))
    scheme, kind = draw(SCHEMES), draw(st.sampled_from(["password", "user", "query", "later in the query"]))
    if kind == "password":
        return f"{scheme}://me:{secret}@host:5432/db?region=eu", secret
    if kind == "user":
        secret = quote(secret, safe="")  # an unescaped slash ends what has no colon before it
        return f"{scheme}://{secret}@host/db", secret
    secret = secret.replace("&", "%26").replace(";", "%3B").replace("#", "%23")
    first = "" if kind == "query" else "region=eu&"
    return f"{scheme}://host/db?{first}{draw(PARAMETERS)}={secret}&timeout=3", secret


def leaks(text: str) -> bool:
    """Whether any part of a secret that no message has by chance is in a text, however it spells the rest."""
    return any(part in text for part in ("q7Zx", "Yw9", "Kv"))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(uris, "_known", {})


@given(uris_with_secrets())
@example(("postgresql://me:q7Zx'/@ \"Yw9Kv@host/db", "q7Zx'/@ \"Yw9Kv"))
def test_a_secret_is_not_in_its_masked_uri_which_says_so(case):
    """Quotes, blanks, slashes and queries came through; two maskers differed."""
    uri, _ = case
    shown = masked_uri(uri)
    assert not leaks(shown)
    assert "host" in shown
    assert is_masked(shown)
    assert has_secret(uri)
    assert masked_uri(shown) == shown
    assert not leaks(without_secrets(uri))


WRITTEN = [
    "cannot connect to {uri}: refused",
    "{uri!r} and {uri} differ",
    "Traceback (most recent call last):\n  File 'x.py'\nValueError: could not parse {uri!r}\n",
    '{{"tracking_uri": {json}}}',
    "[{uri}?retry_limit_seconds=10] HTTP 403",
    "s3://other:q7Zx-other@bucket, then {uri}, then postgresql://you:Yw9@db",
    "FATAL: password {secret} is wrong for me",
    "connection to 'host' failed: PWD={secret};UID=me",
]


@pytest.mark.parametrize("text", WRITTEN)
@given(case=uris_with_secrets())
def test_a_secret_of_the_run_is_in_no_text_whatever_quotes_it(text, case):
    uri, secret = case
    uris._known.clear()
    keep_secret(uri)
    shown = masked(text.format(uri=uri, json=json.dumps(uri), secret=secret))
    assert not leaks(shown)


@given(uris_with_secrets())
def test_settings_are_written_without_secrets_and_parse(case):
    uri, _ = case
    config = without_secrets_in(Settings(uri, "y", validation_data=uri, test_data=uri, storage=uri, tracking_uri=uri))
    text = to_yaml(config)
    assert not leaks(text)
    assert {yaml.safe_load(text)[name] for name in URIS} == {masked_uri(uri)}
    assert not leaks(str(output_folder(Settings(uri, "y"))))


@given(uris_with_secrets())
@example(("http://me:q7ZxYw9?Kv@host:5432/db?region=eu", "q7ZxYw9?Kv"))
def test_no_refusal_shows_a_secret(case):
    uri, _ = case
    # Without its query, which is the store's; a password may hold what looks like one.
    address = uri.removesuffix("?region=eu") if uri.endswith("?region=eu") else uri.partition("?")[0]
    uris._known.clear()
    with pytest.raises(ConfigError) as refused:
        load_settings({"data": "x", "target": "y", "test_data": uri, "test_size": 0.2})
    assert not leaks(masked(refused.value))
    try:
        said = without_credentials(address)
    except ConfigError as error:
        said = str(error)
    assert not leaks(said)


LONG = ["x", "a.", "secret", "?secret", "key=", "&key=1", "'http://", "http://a'", "http://a:", "password='", "token"]


def test_a_long_text_without_blanks_is_masked_too():
    """A parameter of 9,000 letters took 0.1 s, and time grew with the square of the length: this one took minutes."""
    code = f"from stacktune.storage.uris import masked\nfor part in {LONG!r}: masked(part * 30_000)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:1/x", "http://***@host:1/x"),
        ("postgresql://me:a@b@host/db", "postgresql://***@host/db"),
        ("no answer from https://token@host", "no answer from https://***@host"),
        ("'mssql+pyodbc://me:pa ss@host/db' failed", "'mssql+pyodbc://***@host/db' failed"),
        ("it's 's3://a:b@c' or 's3://d:e@f'", "it's 's3://***@c' or 's3://***@f'"),
        ("https://host/t.parquet?X-Amz-Signature=abc&x=1", "https://host/t.parquet?X-Amz-Signature=***&x=1"),
        ("DRIVER=x;PWD=abc;UID=me", "DRIVER=x;PWD=***;UID=me"),
        # Nothing of these is a secret.
        ("sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db"),
        ("s3://bucket/a@b/c.parquet?region=eu", "s3://bucket/a@b/c.parquet?region=eu"),
        ("see http://host:5000 or write to me@work.org", "see http://host:5000 or write to me@work.org"),
        ("gs://anonymous@bucket/x", "gs://anonymous@bucket/x"),
        ("dense-128-relu-none-0(x,1); n_passes 3", "dense-128-relu-none-0(x,1); n_passes 3"),
    ],
)
def test_texts_keep_what_is_no_secret(text, shown):
    assert masked(text) == shown


def test_a_short_secret_is_no_word_to_hide_everywhere():
    keep_secret("postgresql://me:adult@host/db")
    assert masked("adult, read from postgresql://me:adult@host/db") == "adult, read from postgresql://***@host/db"


def test_an_address_whose_password_cannot_be_told_from_it_is_refused_without_it():
    """urllib said: nonnumeric port: 'very'."""
    with pytest.raises(
        ConfigError, match=r"'http://\*\*\*@host' cannot be read as an address\. .* / as %2F"
    ) as refused:
        check_store("http://me:very/secret@host")
    assert "secret" not in str(refused.value)


def test_a_databases_password_may_hold_what_sqlalchemy_lets_it_hold():
    with pytest.raises(ConfigError, match=r"postgresql\+psycopg2://\*\*\*@127\.0\.0\.1:1/db cannot be reached"):
        check_store("postgresql+psycopg2://me:pa/s s'@127.0.0.1:1/db")


def test_what_is_kept_for_mlflow_and_what_is_shown_has_no_secret(tmp_path):
    secret = "q7Zx/ 'Yw9'&Kv"
    uri = f"postgresql://me:{secret}@host/db"
    keep_secret(uri)
    tracker = Tracker("sqlite:///unused.db", "x", spool=tmp_path / "tracking.jsonl")
    tracker.log_config(f"tracking_uri: {uri}", {"tracking_uri": uri})
    tracker.log_dataset("x", uri, "0", {})
    (tmp_path / "run.json").write_text(json.dumps({"why": f"no {uri}"}))
    tracker.log_file(tmp_path / "run.json")
    tracker.close()
    assert Spool(tmp_path / "tracking.jsonl").past.waiting
    assert not leaks((tmp_path / "tracking.jsonl").read_text())
    console = Console(record=True, width=200)
    with Screen(console, live=False, started_at=0.0) as screen:
        screen.note(f"cannot reach {uri}")
    assert "postgresql://***@host/db" in (said := console.export_text())
    assert not leaks(said)


def test_a_traceback_has_no_secret(tmp_path: Path):
    program = (
        "import sys; from stacktune import cli; from stacktune.runs import driver\n"
        "def fail(config, *_): raise RuntimeError(f'no way to {config.tracking_uri}')\n"
        "driver.run = fail\n"
        "sys.argv = ['stacktune', 'run', 'x.parquet', '--target', 'y', '--tracking-uri', sys.argv[1]]\n"
        "cli.main()"
    )
    uri = "postgresql://me:q7Zx/ 'Yw9'&Kv@host/db"
    done = subprocess.run([sys.executable, "-c", program, uri], cwd=tmp_path, capture_output=True, text=True)
    assert "RuntimeError: no way to postgresql://***@host/db" in done.stderr
    assert done.returncode == 1
    assert not leaks(done.stdout + done.stderr)
