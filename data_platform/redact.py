"""Takes secrets out of links, messages and command lines before they are kept or shown.

A link loses its secret parts altogether, so that two signed links to one item come out
alike; in other text each secret becomes ``***``. What merely looks odd stays: a path, a
normal query, ``keyboard=us``, the word *token* in a sentence.

Links and messages come from outside, so every pattern runs in linear time: possessive
quantifiers, one attempt per word, bounded look-ahead.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
import traceback
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote, unquote

HIDDEN = "***"
_DIGEST = "link-"

# Names are compared in lower case without separators: api_key, Api-Key and apiKey are one.
_STRONG = re.compile(
    r"(?:password|passwd|passphrase|passcode|pwd|dbpass|tempauth|authkey|redeem|sharedaccesssignature)$"
    r"|(?:access|account|api|auth|bearer|client|deploy|github|gitlab|hf|id|job|jwt|oauth2?|personal|private|refresh"
    r"|security|session|shared|user|webhook|xsrf|csrf)(?:token|secret)$"
    r"|(?:access|account|api|auth|encryption|master|private|secret|shared|signing)key$"
)
_WEAK = frozenset(("token", "secret", "sig", "signature", "credential", "credentials"))
_IN_QUERY = frozenset(("key", "auth", "pass", "assertion", "samlresponse"))
# No secrets by themselves, but parts of a signature: they differ from one signed link to the next.
_SIGNED = re.compile(r"x-(?:amz|goog|oss|cos)-", re.IGNORECASE)
_SIGNED_OLD = frozenset(("awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "key-pair-id", "policy", "expires"))
# fmt: off
_SAS = frozenset((
    "sv", "se", "st", "sp", "sr", "spr", "sip", "si", "ss", "srt", "sdd",
    "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid",
))
# fmt: on

_USERINFO = re.compile(r"((?:(?<=:)|\A\s*+)//)[^/?#]*@")
# A password with a slash in it. The port of host:80/@name and an IPv6 address are none.
_BROKEN_USERINFO = re.compile(r"((?:(?<=:)|\A\s*+)//)(?!\[)[^/?#@:]*+:(?!\d*+(?:[/?#]|\Z))[^@\s]{0,512}+@")
_URL = re.compile(r"(?<![a-zA-Z0-9+.-])[a-zA-Z0-9+.-]++://(?:[^\s/@,]{1,512}+@)?[^\s\"'<>]*+")

_NAME = re.compile(
    r"(?<![\w.-])(?:--(?P<option>\w[\w.-]*+)[ \t]++(?=[^\s-])"
    r"|(?P<quote>(?:\\{0,8}+[\"'])?)(?P<name>[\w.-]++)(?P=quote)[ \t]*+(?P<sign>=>|=|:)[ \t]*+)"
)
# 'text' or \"text\" within a string, up to the end of the text if need be; b'text' and Secret('text') as a whole.
_TEXT = r"(?P<mark>\\{0,8}+[\"'])(?P<value>(?:[^\\]|\\.)*?)(?:(?P=mark)|\Z)"
_QUOTED = re.compile(_TEXT, re.DOTALL)
_WRAPPED = re.compile(
    rf"(?P<value>(?:[A-Za-z]\w*+\(|[bBrRuUfF]{{1,2}}+){_TEXT.replace('value', 'inner')}\)?)", re.DOTALL
)
# Up to a blank, the next `&name=`, or closing punctuation at the end of a word. Nothing follows it, so nothing
# is gained by a possessive group, which Python before 3.11.5 gets wrong (python/cpython#106052).
_BARE = re.compile(r"(?P<value>(?:(?![&;]\s*+[\w.-]++=)(?![;,)\]}]{1,8}+(?:\s|\Z))(?:[^\s\"'<>]|[\"'](?=\w)))+)")
_CONSTANT = re.compile(r"(?i:none|null|true|false|undefined|\*+|)\Z")
_BEGINNING = 128
_NUMBER = re.compile(r"[-+]?(?:\d{1,5}|\d{0,5}\.\d{1,20})(?:[eE][-+]?\d{1,3})?%?\Z")
_RANDOM = re.compile(
    r"(?=[^a-z]*[a-z])(?=\D*\d)(?:(?=[^A-Z]*[A-Z])(?:[\w-]{20,}|[A-Za-z0-9+/]{39,}={0,2})|[0-9a-f-]{32,})\Z"
)

_AUTHORIZATION = re.compile(
    r"(?i)\b(authorization\\{0,8}[\"']?\s*+[:=]\s*+\\{0,8}[\"']?)"
    r"(?:basic|bearer|token|digest|negotiate|ntlm|apikey|aws4?[\w-]*+)\s[^\"'\r\n]++"
)
_COOKIE = re.compile(r"(?i)\b(cookie\\{0,8}[\"']?\s*+:\s*+\\{0,8}[\"']?)[^\s=;,\"']{1,128}+=[^\"'\r\n]++")
_SCHEMED = re.compile(r"(?i)\b(?P<scheme>bearer|basic)(?P<blank>\s++)(?P<value>[\w.~+/-]{4,}+=*+)")
_TOKENS = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY.*?(?:-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20,}+|\bgithub_pat_\w{20,}+"
    r"|(?<![\w-])(?:glpat-[\w-]{16,}+|xox[abeoprs]-[\w-]{10,}+|AIza[\w-]{30,}+|hf_[A-Za-z0-9]{30,}+"
    r"|sk-(?:[a-z]{2,8}-)?[A-Za-z0-9]{20,}+|pypi-[\w-]{40,}+|eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)*)",
    re.DOTALL,
)
# Text without any of these holds no secret: most of it is let through at the cost of a few searches.
# fmt: off
_TOKEN_HINTS = (
    "-----begin", "akia", "asia", "abia", "acca", "aroa", "aida", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_",
    "glpat-", "xox", "aiza", "hf_", "sk-", "pypi-", "eyj",
)
_HINTS = (
    "pass", "pwd", "token", "secret", "sig", "key", "cred", "auth", "bearer", "basic", "cookie", "://", *_TOKEN_HINTS
)
# fmt: on


# Sharing links of OneDrive and SharePoint: who has the last part may open the file, at times without more.
_SHARED = re.compile(
    r"(?i)\A(https?://(?:[a-z0-9-]+\.(?:sharepoint\.(?:com|us|cn)|sharepoint-mil\.us)|onedrive\.live\.com)(?::\d+)?"
    r"/(?::|%3a)[a-z]+(?::|%3a)/(?!r/)[a-z]/(?:[^?#]*/)?"
    r"|https?://1drv\.ms(?::\d+)?/(?:[^?#]*/)?)([^/?#]+)"
)


_SHARING = ("sharepoint", "1drv.ms", "onedrive.live")


def redact_url(url: str) -> str:
    """Return `url` without user name and password, secret query parameters and signatures.

    What signs a link (``X-Amz-*``, all parts of an Azure SAS) goes as a whole; the rest
    keeps its order and spelling. Paths and links without secrets come back unchanged. What a
    sharing link of OneDrive or SharePoint hides becomes a digest, by which links are still told apart.
    """
    if "@" in url:
        url = _BROKEN_USERINFO.sub(r"\1", _USERINFO.sub(r"\1", url))
    if "?" in url or "#" in url:
        base, fragment_mark, fragment = url.partition("#")
        base, query_mark, query = base.partition("?")
        url = base + _redact_query(query_mark, query) + _redact_query(fragment_mark, fragment)
    lowered = url.lower()
    if any(hint in lowered for hint in _SHARING):
        url = _SHARED.sub(_digest, url)
    return _TOKENS.sub(HIDDEN, url) if any(hint in lowered for hint in _TOKEN_HINTS) else url


def _digest(match: re.Match[str]) -> str:
    known = match[2].startswith(_DIGEST) and len(match[2]) == len(_DIGEST) + 16  # it was taken out before
    return match[0] if known else f"{match[1]}{_DIGEST}{hashlib.sha256(match[2].encode()).hexdigest()[:16]}"


def _redact_query(mark: str, query: str) -> str:
    """Return a query or fragment with its mark, both gone if nothing of it may stay."""
    if "=" not in query:
        return mark + query
    pieces = re.split("([&;])", query)
    gone = _signature_parts({_name(piece).lower() for piece in pieces[::2]})
    kept = ""
    for separator, piece in zip([mark, *pieces[1::2]], pieces[::2], strict=True):
        if not _is_secret_parameter(_name(piece), gone):
            kept += (separator if kept else mark) + _redact_nested(piece)
    return kept


def _name(piece: str) -> str:
    return unquote(piece.partition("=")[0])


def _signature_parts(names: set[str]) -> frozenset[str]:
    """Return the names that are to go because of the company they are in."""
    return (_SAS if "sig" in names else frozenset()) | (_SIGNED_OLD if "signature" in names else frozenset())


@lru_cache(maxsize=1024)
def _is_secret_parameter(name: str, gone: frozenset[str]) -> bool:
    return name.lower() in gone or _plain(name) in _IN_QUERY or bool(_SIGNED.match(name)) or _is_secret(name)


def _redact_nested(piece: str) -> str:
    """Redact a link or an assignment that is percent-encoded within a parameter."""
    name, equals, value = piece.partition("=")
    if not any(mark in value for mark in "%:="):
        return piece
    plain = unquote(value)
    redacted = redact_text(plain)
    return piece if redacted == plain else name + equals + quote(redacted, safe="*")


def redact_text(text: str) -> str:
    """Return `text` with every secret in it replaced by ``***``.

    Known are: links (see `redact_url`), ``name=value`` and ``"name": value`` with a secret
    name, ``--password value``, Bearer and Basic, cookies, private keys, JSON web tokens, and
    the keys of AWS, GitHub, GitLab, Slack, Google, Hugging Face and their like.
    """
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _TOKENS.sub(HIDDEN, text)
    text = _URL.sub(lambda match: redact_url(match[0]), text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    text = _COOKIE.sub(rf"\1{HIDDEN}", text)
    text = _SCHEMED.sub(_redact_schemed, text)
    return _redact_named(text)


def redact_argv(arguments: Sequence[str]) -> list[str]:
    """Return a command line's arguments with secrets replaced, one for one."""
    redacted: list[str] = []
    previous = ""
    for argument in arguments:
        if previous.startswith("--") and not argument.startswith("--") and _is_secret(previous[2:]):
            redacted.append(HIDDEN)
        elif previous in ("-u", "--user", "--proxy-user") and ":" in argument:
            redacted.append(f"{argument.partition(':')[0]}:{HIDDEN}")
        else:
            redacted.append(redact_text(argument))
        previous = argument
    return redacted


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=1024)
def _is_strong(name: str) -> bool:
    return bool(_STRONG.search(_plain(name)))


@lru_cache(maxsize=1024)
def _last_word(name: str) -> str:
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", name)
    return words[-1].lower() if words else ""


def _is_secret(name: str) -> bool:
    """Tell whether a name, by its last word, promises a secret."""
    return _is_strong(name) or _last_word(name) in _WEAK


def _redact_schemed(match: re.Match[str]) -> str:
    """Hide what follows Bearer or Basic if it is a credential, not the next word of a sentence."""
    value = match["value"]
    if match["scheme"].lower() == "basic":
        try:
            secret = b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        except binascii.Error:
            secret = False
    else:
        secret = len(value) >= 20 or any(letter.isdigit() for letter in value)
    return match["scheme"] + match["blank"] + HIDDEN if secret else match[0]


def _redact_named(text: str) -> str:
    """Hide the value of each ``name=value``, ``name: value`` and ``--name value`` that is a secret."""
    pieces: list[str] = []
    done = 0
    for match in _NAME.finditer(text):
        if match.start() < done or not _promises(match["option"] or match["name"]):
            continue
        # What is decided by a value is decided by its beginning: a value that stays is looked at
        # once more for every name in it.
        beginning = _value(text, match.end(), match.end() + _BEGINNING)
        value = _value(text, match.end(), len(text)) if beginning and _hides(match, beginning["value"]) else None
        if value is not None:
            pieces += (text[done : value.start("value")], HIDDEN)
            done = value.end("value")
    return "".join((*pieces, text[done:]))


def _value(text: str, start: int, end: int) -> re.Match[str] | None:
    return _QUOTED.match(text, start, end) or _WRAPPED.match(text, start, end) or _BARE.match(text, start, end)


def _promises(name: str) -> bool:
    return _is_secret(name) or _last_word(name) == "key"


def _hides(match: re.Match[str], value: str) -> bool:
    """Tell whether the value after this name is a secret."""
    name = match["option"] or match["name"]
    if _CONSTANT.match(value):
        return False
    if _is_strong(name):
        return True
    if _last_word(name) == "key":  # an S3 key, a dictionary's key; or the key of a service
        return bool(_RANDOM.match(value))
    if _NUMBER.match(value):
        return False
    # "invalid token: unexpected end" is a sentence.
    return match["sign"] != ":" or bool(match["quote"]) or bool(_RANDOM.match(value))


class RedactingFilter(logging.Filter):
    """Redacts message, arguments, exception and stack of every record that passes.

    A filter of a *logger* does not see what its children log: add it to the root logger's
    handlers too.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact `record` in place; never drops one."""
        try:
            record.msg, record.args = redact_text(record.getMessage()), None
        except Exception:  # a wrong format: logging itself reports that, with these two
            record.msg, record.args = redact_text(f"{record.msg!r} {record.args!r}"), None
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            # The exception itself would be formatted again, unredacted, by some other formatter.
            record.exc_text, record.exc_info = redact_text(record.exc_text), None
        if record.stack_info:
            record.stack_info = redact_text(record.stack_info)
        return True
