"""Secrets in URLs of every form, echoes of them in every quoting, and whether one can be read off a text."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=6)
QUOTE: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quoted": lambda s: quote(s, safe=""),
    "quoted but for slashes": quote,
    "lower case": lambda s: quote(s, safe="").lower() if s.islower() else quote(s, safe=""),
    "plus": quote_plus,
    "twice": lambda s: quote(quote(s, safe=""), safe=""),
    "repr": repr,
    "bytes": lambda s: repr(s.encode()),
    "json": json.dumps,
    "json of json": lambda s: json.dumps(json.dumps(s)),
    "ascii": ascii,
    "html": html.escape,
}
FORMS: dict[str, Callable[[str, str], str]] = {
    "password": lambda secret, host: f"redis://:{quote(secret, safe='')}@{host}/0",
    "user and password": lambda secret, host: f"amqp://guest:{quote(secret, safe='')}@{host}/%2F",
    "user alone": lambda secret, host: f"redis://{quote(secret, safe='')}@{host}",
    "password option": lambda secret, host: f"rediss://{host}/0?password={quote_plus(secret)}",
    "key option": lambda secret, host: f"rediss://{host}/0?ssl_keyfile={quote_plus(secret)}&db=1",
    "any option": lambda secret, host: f"memcached://{host}/?unheard_of={quote_plus(secret)}",
    "memcached": lambda secret, host: f"memcached://me:{quote(secret, safe='')}@{host}",
    "socket": lambda secret, _: f"unix://me:{quote(secret, safe='')}@/nonexistent/redis.sock",
    "ssl_options": lambda secret, host: (
        f"amqps://{host}/%2F?ssl_options=" + quote_plus(repr({"keyfile": "/k.pem", "password": secret}))
    ),
    "bare": lambda secret, host: f"redis://:{secret}@{host}/0",
}
"""URLs by where they have the secret, made from it and a host."""


def readable(secret: str, said: str) -> bool:
    """Return whether the secret can be read off a text, in any of the ways in which it may be quoted."""
    return any(quoting(secret).strip("'\"b\\") in said for quoting in QUOTE.values())
