"""No secret survives redaction, and nothing else changes."""

from __future__ import annotations

import base64
import io
import json
import logging
import string
import sys
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform import logs
from data_platform.redact import HIDDEN, RedactingFilter, redact_argv, redact_text, redact_url
from data_platform.settings import LogSettings

CANARY = "c4naryQ7xW2kP9mR5tZ8"
"""Looks like a secret: letters of both cases and digits."""

BASIC = base64.b64encode(f"amy:{CANARY}".encode()).decode()

# Kind of secret -> a link that holds it.
LINKS = {
    "user and password": f"https://amy:{CANARY}@data.example.org/plates.csv",
    "password with a slash": f"https://amy:{CANARY[:9]}/{CANARY}@data.example.org/plates.csv",
    "user that is a token": f"git+https://{CANARY}@git.example.org/lab/pipeline.git",
    "shared access signature": f"https://acme.blob.core.windows.net/c/f?sv=2024-08-04&se=2030-01-01&sp=r&sig={CANARY}",
    "X-Amz-Signature": f"https://s3.example.org/b/k?X-Amz-Expires=300&X-Amz-Signature={CANARY}",
    "X-Amz-Credential": f"https://s3.example.org/b/k?X-Amz-Credential={CANARY}%2F20260101%2Fus-east-1",
    "X-Amz-Security-Token": f"https://s3.example.org/b/k?versionId=3&x-amz-security-token={CANARY}",
    "old S3 signature": f"https://s3.example.org/b/k?AWSAccessKeyId={CANARY}&Signature={CANARY}&Expires=1893456000",
    "X-Goog-Signature": f"https://storage.googleapis.com/b/k?X-Goog-Signature={CANARY}",
    "tempauth": f"https://acme.sharepoint.com/_layouts/15/download.aspx?UniqueId=7&tempauth=v1.{CANARY}",
    "access_token": f"https://data.example.org/f?access_token={CANARY}",
    "access_token in the fragment": f"https://data.example.org/f#state=1&access_token={CANARY}",
    "api_key": f"https://data.example.org/f?page=2&api_key={CANARY}",
    "apiKey": f"https://data.example.org/f?apiKey={CANARY}",
    "percent-encoded name": f"https://data.example.org/f?%61pi%5Fkey={CANARY}",
    "key": f"https://maps.googleapis.com/f?key={CANARY}",
    "password": f"https://data.example.org/f?user=amy;password={CANARY}",
    "link within a link": "https://data.example.org/go?to=" + quote(f"https://x.org/?sig={CANARY}", safe=""),
    "chained link": f"zip://a.csv::https://amy:{CANARY}@data.example.org/a.zip",
    "token within the path": f"https://data.example.org/hook/ghp_{CANARY}{CANARY[:16]}/f.csv",
}

# Kind of secret -> text that holds it.
TEXTS = {
    "link": f"Could not read <https://amy:{CANARY}@data.example.org/f>.",
    "link with a quote in its password": f"see https://amy:it's{CANARY}@data.example.org/f",
    "Bearer": f"sent Authorization: Bearer {CANARY}",
    "Bearer alone": f"retrying with bearer {CANARY}, again",
    "Basic": f"Authorization: Basic {BASIC}",
    "Basic alone": f"header was 'Basic {BASIC}'",
    "header in a dictionary": f"{{'Authorization': 'Bearer {CANARY}', 'Accept': '*/*'}}",
    "digest": f'Authorization: Digest username="amy", response="{CANARY}"'.replace('"', ""),
    "AWS signature 4": f"Authorization: AWS4-HMAC-SHA256 Credential={CANARY}/20260101, Signature={CANARY}",
    "other header": f"X-Api-Key: {CANARY}",
    "cookie": f"Cookie: theme=dark; session={CANARY}",
    "AWS access key": "denied for AKIAC4NARYQ7XW2KP9MR",
    "AWS secret key": f"aws_secret_access_key = {CANARY}/{CANARY}",
    "AWS secret key in the environment": f"AWS_SECRET_ACCESS_KEY={CANARY}/{CANARY} aws s3 ls",
    "AWS secret key after key=": f"key={CANARY[:19]}/{CANARY}",
    "GitHub token": f"fatal: ghp_{CANARY}{CANARY[:16]} was revoked",
    "GitHub fine-grained token": f"using github_pat_{CANARY}_{CANARY}",
    "GitLab token": f"glpat-{CANARY}",
    "Slack token": f"xoxb-1234-{CANARY}",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    "private key cut off": f"read -----BEGIN OPENSSH PRIVATE KEY-----\\n{CANARY}",
    "JSON web token": f"id eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{CANARY}.{CANARY} expired",
    "keyword": f"connect(host='db', password='{CANARY}', port=5432)",
    "keyword with blanks": f"connect(password = 'a {CANARY} b')",
    "keyword with a quote": f'connect(password="a\\"{CANARY}")',
    "keyword cut off": f"connect(password='a {CANARY}",
    "bytes": f"Config(client_secret=b'{CANARY}')",
    "wrapped": f"Config(api_key=Secret('{CANARY}'))",
    "JSON": json.dumps({"user": "amy", "apiKey": CANARY, "n": 3}),
    "JSON within JSON": json.dumps({"body": json.dumps({"access_token": f"a {CANARY}"})}),
    "YAML": f"user: amy\npassword: {CANARY}\n",
    "connection string": f"Server=db;User=amy;Password={CANARY};Encrypt=yes",
    "storage key": f"AccountName=acme;AccountKey={CANARY}==;EndpointSuffix=core.windows.net",
    "form": f"grant_type=password&client_secret={CANARY}&scope=files",
    "environment": f"LIMS_TOKEN={CANARY} ./fetch",
    "libpq": f"host=db user=amy PGPASSWORD={CANARY}",
    "option": f"fetch --token {CANARY} plates",
    "option with an equals sign": f"fetch --db-password={CANARY} plates",
    "punctuation within": f"password=a,{CANARY};b)c rest",
}

HARMLESS = [
    "",
    "/shares/screening/2026/plate_12.csv",
    "/data/token=5/secret=no.parquet",
    "file:///shares/my%20data/a@b.csv",
    "C:\\data\\plate 12.csv",
    "https://data.example.org/plates.csv?version=3&page=2&sort=name#top",
    "https://data.example.org:8443/@scope/package",
    "https://[2001:db8::1]:8443/a@b",
    "https://data.example.org/search?q=keyboard&monkey=1&expires=2030&se=1",
    "https://data.example.org/f?",
    "s3://bucket/raw/keys/signature_12.tsv",
    "git@github.com:lab/pipeline.git",
    "Amy <amy@example.org> shared it",
    "keyboard=us monkey=3 passenger=2 tokens=128 keys=4 design=a tokenizer=bpe",
    "The token in this sentence is no secret, and neither is the key to success.",
    "invalid token: unexpected end of file",
    "Bearer token required; Basic authentication failed; bearer of news",
    "key=raw/2026/plate_12.csv sorted(key=len) sig=0.05",
    "password=None token='' secret=***",
    "AKIA is a prefix; ghp_ too; eyJ as well",
    "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "use --password-file or --no-token",
]


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_loses_its_secret(kind: str) -> None:
    assert CANARY in LINKS[kind]
    assert CANARY not in redact_url(LINKS[kind])
    assert CANARY not in redact_text(f"Failed on '{LINKS[kind]}', see there.")


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_loses_its_secret(kind: str) -> None:
    redacted = redact_text(TEXTS[kind])
    for canary in (CANARY, CANARY.upper(), BASIC):
        assert canary not in redacted
    assert HIDDEN in redacted or "://" in redacted


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    assert redact_url(text) == text
    if "=no.parquet" not in text:  # a path is known to be one only by those who call redact_url
        assert redact_text(text) == text


def test_what_is_left_of_a_link_still_leads_there() -> None:
    link = "https://amy:pw@data.example.org:8443/a%20b/f.csv?page=2&sig=abc&sv=2024&x=%C3%A9#part-2"
    assert redact_url(link) == "https://data.example.org:8443/a%20b/f.csv?page=2&x=%C3%A9#part-2"


def test_two_signed_links_to_one_item_come_out_alike() -> None:
    links = [f"https://acme.blob.core.windows.net/c/f?sv={n}&se={n}&sp=r&sig={n}" for n in (1, 2)]
    links += [f"https://acme.blob.core.windows.net/c/f?X-Amz-Date={n}&X-Amz-Signature={n}" for n in (1, 2)]
    assert {redact_url(link) for link in links} == {"https://acme.blob.core.windows.net/c/f"}


def test_the_text_around_a_secret_stays() -> None:
    assert (
        redact_text("connect(host='db', password='x y', port=1)") == f"connect(host='db', password='{HIDDEN}', port=1)"
    )
    assert redact_text("Server=db;Password=a;Encrypt=yes") == f"Server=db;Password={HIDDEN};Encrypt=yes"
    assert redact_text("(token=a), then") == f"(token={HIDDEN}), then"


@pytest.mark.parametrize("text", [*LINKS.values(), *TEXTS.values(), *HARMLESS])
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact_url(redact_url(text)) == redact_url(text)
    assert redact_text(redact_text(text)) == redact_text(text)


def test_arguments_are_redacted_one_for_one() -> None:
    given_ = [
        "run.py",
        "--password",
        "a b",
        "--token=c",
        "-u",
        "amy:d",
        "--user",
        "amy",
        "--dry",
        "x=1",
        "SECRET=e",
        "-p",
        "7",
    ]
    kept = ["run.py", "--password", HIDDEN, f"--token={HIDDEN}", "-u", f"amy:{HIDDEN}", "--user", "amy", "--dry", "x=1"]
    assert redact_argv(given_) == [*kept, f"SECRET={HIDDEN}", "-p", "7"]


def test_an_option_without_a_value_does_not_take_the_next_option() -> None:
    assert redact_argv(["--token", "--verbose", "plates"]) == ["--token", "--verbose", "plates"]


SECRETS = st.text(string.ascii_letters + string.digits + "!$*+./:?@_~^-", min_size=5, max_size=40).map("Zq7".__add__)
AROUND = st.sampled_from(["", "x ", "a=1 ", "(", "{'a': ", "see https://x.org/?a=1 and ", "\n"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(secret=SECRETS, before=AROUND, after=st.sampled_from(["", " y", ", b=2", ")", "\n"]))
def test_any_secret_after_a_secret_name_is_hidden(secret: str, before: str, after: str) -> None:
    for form in (
        "password={}",
        "db_password: {}",
        '"apiKey": "{}"',
        "client_secret='{}'",
        "--token={}",
        "--api-key {}",
    ):
        redacted = redact_text(before + form.format(secret) + after)
        assert secret not in redacted.replace(HIDDEN, "")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    secret=st.text(min_size=6, max_size=60),
    name=st.sampled_from(["sig", "token", "X-Amz-Signature", "key", "auth", "Password"]),
)
def test_any_value_of_a_secret_parameter_is_gone(secret: str, name: str) -> None:
    value = quote(secret, safe="", errors="surrogatepass")
    assert redact_url(f"https://x.org/f?a=1&{name}={value}&b=2") == "https://x.org/f?a=1&b=2"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    assert isinstance(redact_url(text), str)
    assert isinstance(redact_text(f"password={text} https://{text}"), str)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "-",
        "\\",
        "'",
        "://",
        "a://",
        "a://a:",
        "@",
        "key=",
        "password='",
        "&a",
        ")",
        "; ",
        "eyJa-",
        "cookie:",
        "bearer ",
        "basic\t",
    ],
)
def test_length_costs_no_more_than_in_proportion(piece: str) -> None:
    """Were any pattern quadratic, this would take hours; the time limit of the test run is minutes."""
    text = piece * (200_000 // len(piece))
    redact_text(f"password {text}")
    redact_url(f"https://x.org/@{text}")


@pytest.fixture
def lines() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(lines: io.StringIO) -> logging.Logger:
    handler = logging.StreamHandler(lines)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    return logger


@pytest.mark.parametrize("kind", TEXTS)
def test_the_filter_hides_what_is_logged(kind: str, logger: logging.Logger, lines: io.StringIO) -> None:
    secret = TEXTS[kind]
    logger.warning(secret.replace("%", "%%"))
    logger.warning("message: %s", secret)
    logger.warning("message: %(text)s", {"text": secret})
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("failed")
    assert "failed" in lines.getvalue()
    assert "ValueError" in lines.getvalue()
    for canary in (CANARY, CANARY.upper(), BASIC):
        assert canary not in lines.getvalue()


def test_the_filter_hides_the_cause_of_an_error_and_the_stack(logger: logging.Logger, lines: io.StringIO) -> None:
    record = logger.makeRecord("x", logging.ERROR, "f", 1, "m", (), None, sinfo=f"Stack: password={CANARY}")
    logger.handle(record)
    try:
        try:
            raise KeyError(f"token={CANARY}")
        except KeyError as cause:
            raise RuntimeError("outer") from cause
    except RuntimeError:
        logger.error("failed", exc_info=sys.exc_info())
    assert "Stack:" in lines.getvalue()
    assert "KeyError" in lines.getvalue()
    assert CANARY not in lines.getvalue()


def test_the_filter_keeps_harmless_records_and_wrong_formats(logger: logging.Logger, lines: io.StringIO) -> None:
    logger.warning("%d of %s", 3, "plates")
    logger.warning("%d plates", f"password={CANARY}")
    assert lines.getvalue().startswith("3 of plates\n'%d plates'")
    assert CANARY not in lines.getvalue()


def test_logging_is_redacted_once_for_all_loggers(lines: io.StringIO) -> None:
    root = logging.getLogger()
    handler = logs.handler(LogSettings(), "%(message)s")
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(lines)
    root.addHandler(handler)
    try:
        logging.getLogger("somebody.elses.library").error("password=%s", CANARY)
        assert len(handler.filters) == 1
    finally:
        root.removeHandler(handler)
    assert lines.getvalue() == f"password={HIDDEN}\n"
