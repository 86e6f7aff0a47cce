"""The only boundary for foreign text: of servers, backends, files, URLs and the errors of libraries.

Such text is shown or stored only after ``clean()``: it masks every secret of every URL in use, however it is
quoted, and escapes control characters, which could control a terminal. A URL is shown only through
``shown_url()``, which keeps only what is known to be harmless.

All functions are pure except ``keep_secret()``, which registers a secret in this process. A process that is
started by ``spawn`` must register it again. Not thread-safe.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlsplit

from ipclab.errors import IpclabError

MASK = "***"
_LONG_CHARACTERS = 12
"""A secret of at least this length is masked also where a server shows only its beginning."""
_BEGINNING_CHARACTERS = 8
_SHORT_CHARACTERS = 3
"""A shorter secret is masked only where it stands alone, because it occurs in every text."""
_MOST_CHARACTERS = 500
"""Characters of the text of an error that are shown and stored."""
_WORDS = frozenset(
    ("", "true", "false", "yes", "no", "on", "off", "none", "null", "required", "optional", "default")
)
"""Values of URL options that are no secrets, and would otherwise be masked in every sentence."""
_SECRET_OPTION = re.compile(r"pass|secret|token|key|auth|credential", re.IGNORECASE)
_HARMLESS_OPTIONS = frozenset(
    (
        "db",
        "protocol",
        "heartbeat",
        "health_check_interval",
        "connection_attempts",
        "max_connections",
        "retry_delay",
        "socket_timeout",
        "socket_connect_timeout",
        "stack_timeout",
        "blocked_connection_timeout",
        "channel_max",
        "frame_max",
        "locale",
        "ssl_cert_reqs",
        "ssl_check_hostname",
    )
)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]*")
_PATHS = {
    "redis": re.compile(r"/\d*"),
    "rediss": re.compile(r"/\d*"),
    "amqp": re.compile(r"/[^/]*"),
    "amqps": re.compile(r"/[^/]*"),
    "unix": re.compile(r"/.*"),
}
"""The part of a path that is shown, by scheme: a database, a virtual host, or the path of a socket."""


def shown_url(url: str) -> str:
    """Return the part of this URL that may be shown: scheme, host, port, database, virtual host or socket.

    User, password, options and everything that is not understood are left out. Never raise.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{url.partition('://')[0]}://{MASK}" if _has_plain_scheme(url) else MASK
    if not _has_plain_scheme(url):
        return MASK
    if _is_ambiguous(url, parts):
        # A bare / # ? or @ in a password: its end is unknown.
        return f"{parts.scheme}://{MASK}"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    where = f"{host}:{port}" if port is not None else host
    pattern = _PATHS.get(parts.scheme)
    path = parts.path if pattern is not None and pattern.fullmatch(parts.path) else ""
    number = dict(parse_qsl(parts.query)).get("db", "")
    database = f"?db={number}" if number.isdecimal() and len(number) < 10 else ""
    return escaped(f"{parts.scheme}://{where}{path}{database}")


def _has_plain_scheme(url: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) is not None


def _is_ambiguous(url: str, parts: SplitResult) -> bool:
    """Return whether a part may contain what belongs to another: an @ after the host, or two of them."""
    rest = url.partition("://")[2]
    return "@" in rest.removeprefix(parts.netloc) or parts.netloc.count("@") > 1 or "\\" in rest


def secrets_of(url: str) -> frozenset[str]:
    """Return every part of this URL that must not be shown, as written and decoded.

    These are the password, a user without a password (a token), and the values of options with the strings
    inside them, except options and values that are known to be harmless. For an invalid URL it is everything
    between the scheme and the last @.
    """
    found: set[str] = set()
    rest = url.partition("://")[2]
    login, at, _ = rest.rpartition("@")
    if at:
        user, colon, password = login.partition(":")
        found.add(password if colon and password else user)
        if "@" in login or set(login) & set("/?#\\"):
            # The end of the password is unknown, so every beginning that a parser may see is a secret.
            found.update(part for part in re.split(r"[/?#@\\]", password or user) if len(part) > 1)
            if not colon:
                found.add(login)
    query = rest.partition("?")[2].partition("#")[0]
    for name, value in _options(query):
        if name in _HARMLESS_OPTIONS:
            continue
        found.update(_values(name, value))
    fragment = rest.rpartition("#")[2] if "#" in rest else ""
    found.add(fragment)
    found |= {unquote(text) for text in found} | {unquote_plus(text) for text in found}
    return frozenset(text for text in found if text)


def _options(query: str) -> list[tuple[str, str]]:
    pairs = (setting.partition("=") for setting in re.split(r"[&;]", query) if setting)
    return [(unquote(name), value) for name, _, value in pairs]


def _values(name: str, value: str) -> Iterable[str]:
    """Return the secrets in the value of an option: the whole value, and each string of a literal in it."""
    decoded = unquote_plus(value)
    secret = bool(_SECRET_OPTION.search(name))
    for text in (value, decoded, *_strings(decoded)):
        if (secret and text) or not _is_harmless(text):
            yield text


def _is_harmless(text: str) -> bool:
    return text.lower() in _WORDS or re.fullmatch(r"\d{1,5}(\.\d*)?", text) is not None


def _strings(text: str) -> Iterable[str]:
    """Return the strings in a Python or JSON literal, without its keys."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return re.findall(r"['\"]([^'\"]+)['\"]\s*(?=[,}\])]|$)", text)
    waiting, strings = [found], []
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set):
            waiting.extend(one)
        elif isinstance(one, str):
            strings.append(one)
    return strings


_in_use: set[str] = set()
"""The secrets of every URL that was registered in this process."""


def keep_secret(url: str) -> None:
    """Mask the secrets of this URL from now on in every text that ``clean()`` gets in this process."""
    _in_use.update(secrets_of(url))


def clean(text: str, *, lines: bool = False) -> str:
    """Return foreign text fit to show and store: secrets in use masked, control characters escaped.

    Line ends and tabs stay where ``lines`` is set. Cleaning twice changes nothing.
    """
    return escaped(masked(text, _in_use), lines=lines)


def line_of(error: BaseException) -> str:
    """Return an error in one clean line: its type and its text, of which a long one is cut. Never raise.

    The lab's own errors are sentences, so their type is left out.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - it is a foreign __str__
        text = ""
    if isinstance(error, SystemExit):
        return _cut(clean(f"SystemExit: it called sys.exit({text})"))
    if isinstance(error, IpclabError) and text:
        return clean(text)
    return _cut(clean(f"{type(error).__name__}: {text}" if text else type(error).__name__))


def _cut(text: str) -> str:
    # Only now: a secret that is cut in the middle could not be masked.
    over = len(text) - _MOST_CHARACTERS
    return text if over <= 0 else f"{text[:_MOST_CHARACTERS]}… ({over} more characters)"


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text with each of these secrets, plain or quoted in any usual way, replaced by ``***``."""
    # The longest first, so that nothing remains of a secret that begins with another one.
    for secret in sorted(secrets, key=len, reverse=True):
        text = _mask_one(text, secret)
    return _URL.sub(lambda found: _without_login(found[0]), text)


def _without_login(url: str) -> str:
    """Return a URL in a text unchanged if it has no user and no options, else the part that may be shown."""
    return shown_url(url) if "@" in url or ("?" in url and "=" in url) else url


def _mask_one(text: str, secret: str) -> str:
    units = [_unit(character) for character in secret]
    least = _BEGINNING_CHARACTERS if len(units) >= _LONG_CHARACTERS else len(units)
    first = re.compile("".join(units[:least]))
    if len(secret) < _SHORT_CHARACTERS:
        first = re.compile(rf"(?<![A-Za-z0-9]){first.pattern}(?![A-Za-z0-9])")
    parts, at = [], 0
    while found := first.search(text, at):
        end = found.end()
        for unit in units[least:]:
            if (more := _compiled(unit).match(text, end)) is None:
                break
            end = more.end()
        parts += [text[at : found.start()], MASK]
        at = max(end, found.start() + 1)
    return "".join([*parts, text[at:]])


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(maxsize=512)
def _unit(character: str) -> str:
    r"""Return a pattern for one character, plain or quoted as in a URL, in Python, in JSON or in HTML."""
    code = ord(character)
    raw = character.encode("utf-8", "surrogatepass")
    ways = [
        re.escape(character),
        "".join(f"%(?:25)*(?i:{byte:02x})" for byte in raw),
        "".join(rf"\\+x(?i:{byte:02x})" for byte in raw),
        rf"\\+x(?i:{code:02x})" if code < 256 else "",
        rf"\\+u(?i:{code:04x})" if code < 65536 else rf"\\+U(?i:{code:08x})",
        # JSON writes a character beyond 16 bits as two halves.
        "".join(rf"\\+u(?i:{unit:04x})" for unit in _surrogates(code)) if code >= 65536 else "",
        rf"&#(?:0*{code}|[xX]0*(?i:{code:x}));",
    ]
    if character == " ":
        ways.append(r"\+")
    if character in "\\'\"/":
        ways.append(rf"\\+{re.escape(character)}")
    if named := {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.get(character):
        ways.append(named)
    if control := {"\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f"}.get(character):
        ways.append(rf"\\+{control}")
    if character.isspace():
        # Text that was joined to one line has a space, or nothing, instead of any white space.
        ways.append(r"\s+")
    return "(?:" + "|".join(way for way in ways if way) + ")"


def _surrogates(code: int) -> tuple[int, int]:
    return 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)


def escaped(text: str, *, lines: bool = False) -> str:
    r"""Return the text with every character that controls a terminal, or a direction, as ``\x1b``."""
    kept = "\n\t" if lines else ""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in kept or not _is_control(c) else _escape(c) for c in text)


@lru_cache(maxsize=1024)
def _is_control(character: str) -> bool:
    # Cc: C0, DEL, C1; Cf: directions, joiners, tags; Zl, Zp: line ends; Cs: halves that no encoding takes.
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
