"""Reads URIs, and hides their secrets.

Nobody but their user may read these parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
# A shorter secret is hidden where it stands in its URI alone: as a word of its own it may be any word.
MIN_SECRET_CHARS = 8
# More of an error than fits three lines is for the log.
_MAX_REASON_CHARS = 240

# Texts may be long, and have no blanks. Parts without a longest length would take a time that grows with its square.
_NAME = r"[A-Za-z][A-Za-z0-9+.-]{0,60}://"
_SCHEME = re.compile(_NAME)
# Their paths may hold an "@", and no user stands before them.
_WITHOUT_USER = ("sqlite", "file")
_NO_SECRET = ("anonymous",)  # what gs:// calls a user without a name
_SENSITIVE = r"[\w.%-]{0,60}(?:pass|pwd|secret|token|sig|credential|key|auth|odbc_connect)[\w.%-]{0,60}"
_NEXT_VALUE = r"(?=[&;][\w.%-]+=|$)"
_IN_QUERY = re.compile(rf"(?<=[?&;])({_SENSITIVE}=).*?{_NEXT_VALUE}", re.IGNORECASE | re.DOTALL)
_IN_QUERY_IN_TEXT = re.compile(rf"(?<=[?&;])({_SENSITIVE}=)[^\s&;'\"<>]+", re.IGNORECASE)
# As databases' drivers spell what they connect with: PWD=…, password='…'.
_IN_WORDS = re.compile(
    r"\b(\w{0,60}(?:password|passwd|pwd|secret\w{0,60}|token|access_?key\w{0,60})\s?=\s?)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"<>)]+)",
    re.IGNORECASE,
)
# A URI in a text ends with the quote that it began after, or else before a blank.
_IN_TEXT = re.compile(
    rf"(?P<quote>['\"])(?P<quoted>{_NAME}.{{0,2000}}?)(?P=quote)(?=[^\w@/]|$)|(?P<bare>{_NAME}[^\s\"'<>]*)",
    re.DOTALL,
)

_known: dict[str, str] = {}


def names_place(uri: str) -> bool:
    """Return whether anything follows a URI's scheme.

    A path names a place always.
    """
    _, is_uri, rest = uri.partition("://")
    return not is_uri or bool(rest.partition("?")[0].strip("/"))


def masked_uri(uri: str) -> str:
    """Return one URI or path with secrets hidden.

    Stars stand for its user and password and for secrets in its query. Whatever stands before the last "@" is taken for
    a user and a password where a colon, or an "@", comes before the first slash: passwords may hold slashes, blanks,
    quotes and question marks where SQLAlchemy reads them, and are typed so by mistake elsewhere. So a path with an "@"
    in it is hidden too, behind a port or a user.
    """
    scheme = _SCHEME.search(uri)
    if scheme is None:
        return re.sub(r"^[^/\\:@\s]+:.*@", f"{MASK}@", uri, flags=re.DOTALL)
    begins = scheme.end()
    user = _parted(scheme.group(), uri[begins:])[0]
    rest = uri[begins:] if user is None else f"{MASK}@{uri[begins + len(user) + 1 :]}"
    return uri[:begins] + _IN_QUERY.sub(rf"\1{MASK}", rest)


def masked(text: object) -> str:
    """Return a text with all secrets hidden.

    Stars stand for the secrets of all URIs in it, and for what `keep_secret` was told.
    """
    hidden = str(text)
    for secret, shown in sorted(_known.items(), key=lambda known: -len(known[0])):
        hidden = _replaced(hidden, secret, shown)
    hidden = _IN_TEXT.sub(_masked_match, hidden)
    hidden = _IN_QUERY_IN_TEXT.sub(rf"\1{MASK}", hidden)
    return _IN_WORDS.sub(rf"\1{MASK}", hidden)


def first_line(error: object) -> str:
    """Return an error's first line, short and without secrets.

    It has no final stop, as it goes into a sentence. An error without a text is named by its class.
    """
    line = (masked(error).strip().splitlines() or [type(error).__name__])[0]
    return line.rstrip(".") if len(line) <= _MAX_REASON_CHARS else line[:_MAX_REASON_CHARS].rpartition(" ")[0] + " …"


def is_masked(uri: str) -> bool:
    """Return whether stars replaced a URI's secrets.

    It leads nowhere then.
    """
    return f"{MASK}@" in uri or re.search(rf"[?&;][^=]+={re.escape(MASK)}(?:[&;]|$)", uri) is not None


def has_secret(uri: str) -> bool:
    """Return whether a URI holds what `masked_uri` hides."""
    return masked_uri(uri) != uri


def keep_secret(uri: str | None) -> None:
    """Let `masked` hide a URI and its secrets.

    From now on and in this process it hides the URI as a whole and each secret in it by itself. Libraries quote URIs as
    they like, and parts of them: no pattern finds a password with blanks in an error.
    """
    if uri is None or is_masked(uri) or not has_secret(uri):
        return
    shown = masked_uri(uri)
    _known.update((spelled, shown) for spelled in (uri, repr(uri)[1:-1], json.dumps(uri)[1:-1], quote(uri)))
    for secret in _secrets_in(uri):
        for spelled in _spellings(secret):
            if len(spelled) >= MIN_SECRET_CHARS:
                _known.setdefault(spelled, MASK)


def without_secrets(uri: str) -> str:
    """Return a URI without its user and query.

    What remains says where something is. A path stays as it is.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return uri
    rest = _parted(scheme.group(), uri[scheme.end() :])[1]
    return scheme.group() + rest.partition("?")[0]


def _parted(scheme: str, rest: str) -> tuple[str | None, str]:
    """Return the user with password, and the rest.

    They are of what follows a scheme; the first is None where there is neither user nor password.
    """
    before, at, after = rest.rpartition("@")
    kind = scheme.partition(":")[0].partition("+")[0].lower()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not at or kind in _WITHOUT_USER or before in _NO_SECRET or not set("@:") & set(authority):
        return None, rest
    return before, after


def _secrets_in(uri: str) -> Iterator[str]:
    scheme = _SCHEME.search(uri)
    if scheme is None:
        yield uri.rpartition("@")[0].partition(":")[2]
        return
    user, rest = _parted(scheme.group(), uri[scheme.end() :])
    if user is not None and user != MASK:
        name, colon, password = user.partition(":")
        yield password if colon else name
    for found in _IN_QUERY.finditer(rest):
        yield found.group()[len(found.group(1)) :]


def _spellings(secret: str) -> set[str]:
    plain = {secret, unquote(secret), unquote_plus(secret)}
    coded = {code(one) for one in plain for code in (quote, quote_plus)} | {quote(one, safe=" +") for one in plain}
    escaped = {repr(one)[1:-1] for one in plain} | {json.dumps(one)[1:-1] for one in plain}
    return plain | coded | escaped | {quote(one, safe="") for one in plain}


def _replaced(text: str, secret: str, shown: str) -> str:
    """Return the text with the word `secret` replaced.

    It stays where it is part of a longer word.
    """
    if secret not in text:
        return text
    before = r"(?<!\w)" if secret[0].isalnum() and shown == MASK else ""
    after = r"(?!\w)" if secret[-1].isalnum() and shown == MASK else ""
    return re.sub(before + re.escape(secret) + after, lambda _: shown, text)


def _masked_match(found: re.Match[str]) -> str:
    if found["bare"] is not None:
        return masked_uri(found["bare"])
    return f"{found['quote']}{masked_uri(found['quoted'])}{found['quote']}"
