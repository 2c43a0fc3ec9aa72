"""Secrets taken out of addresses and of texts that quote them."""

from __future__ import annotations

import logging
import re

HIDDEN = "***"

# A password may hold a slash, so it goes on to the last @ where what follows the colon is no port.
_USERINFO = re.compile(
    r"(?<=://)(?:[^/\s?#@]+(?:@[^/\s?#@]+)*|[^/\s?#@:]+:(?!\d{1,5}/)[^\s?#]*)(?=@)"
)
_VALUE = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:(?:basic|bearer)\s+)?[^\s&;,'"#]+)"""
# A name that contains one of these words is taken for a secret's, in any case: `api_key`,
# `X-Amz-Signature`, `accessToken`.
_NAMED = re.compile(
    r"([\w.\-]*(?:token|passw|pwd|secret|api_?key|access_?key|signature|credential|authorization"
    rf"|session)[\w.\-]*[\"']?\s*[=:]\s*){_VALUE}",
    re.IGNORECASE,
)
# Shorter ones are parts of many words, so they count alone or after a sign: `key=`, `x-auth=`.
_SHORT = re.compile(
    rf"((?<![^\W_])(?:key|sig|auth|jwt|pass|pw)(?:\s*=\s*|[\"']\s*:\s*)){_VALUE}", re.IGNORECASE
)


def redact(text: str) -> str:
    """Hide user names, passwords and tokens.

    Parameters
    ----------
    text
        An address, or a message that may quote one.

    Returns
    -------
    str
        The text with ``***`` for what stands before ``@`` in an address and for the value of every
        query parameter or field whose name says that it is secret.
    """
    for secret in (_NAMED, _SHORT):
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return _USERINFO.sub(HIDDEN, text)


class _Redaction(logging.Filter):
    """Hides secrets in the records of a library that logs whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        return True


_REDACTION = _Redaction()


def redact_log(name: str) -> None:
    """Hide secrets in what the logger ``name`` writes from now on."""
    logging.getLogger(name).addFilter(_REDACTION)
