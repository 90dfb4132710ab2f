"""Counts the last words of a prompt, which a model does not read if the prompt has too many tokens."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..records import RunRequest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4")


def unread_words(source: str, request: RunRequest, template: int = 0, *, takes_length: bool = True) -> int:
    """Return how many words at the end of the request's prompt no text encoder of the model reads.

    source: a folder or a hub id. request: resolved. template: tokens that the pipeline puts before the
    prompt. takes_length: whether the pipeline's call takes ``max_sequence_length``.

    Return 0 if the tokenizers are not on this machine in the format of the package ``tokenizers``.
    """
    most = request.max_sequence_length if takes_length else None
    return min((_unread(*found, request.prompt, most, template) for found in _tokenizers(source)), default=0)


def _unread(tokenizer: Tokenizer, own: int | None, prompt: str, most: int | None, template: int) -> int:
    """Return how many words lie after the last token that is read.

    own, most: the largest number of tokens of the tokenizer, and of the request; None: no limit.
    """
    bound = min((length for length in (own, most) if length), default=None)
    ends = tokenizer.num_special_tokens_to_add(is_pair=False)
    starts = [start for start, _ in tokenizer.encode(prompt, add_special_tokens=False).offsets]
    read = None if bound is None else max(0, bound - ends - template)
    return 0 if read is None or len(starts) <= read else len(prompt[starts[read] :].split())


def _tokenizers(source: str) -> list[tuple[Tokenizer, int | None]]:
    """Return each tokenizer of a folder, or of the hub's cache, with its limit on tokens (or None)."""
    found = []
    for name in TOKENIZERS:
        if (path := _path(source, f"{name}/tokenizer.json")) is not None:
            config = _path(source, f"{name}/tokenizer_config.json")
            found.append(_loaded(path, path.stat().st_mtime_ns, config))
    return found


def _path(source: str, file: str) -> Path | None:
    if Path(source).is_dir():
        path = Path(source) / file
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(source, file)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


@lru_cache(maxsize=16)
def _loaded(path: Path, modified: int, config: Path | None) -> tuple[Tokenizer, int | None]:
    """Read a tokenizer. It is read again only if its path or its modification time changes."""
    from tokenizers import Tokenizer

    settings = json.loads(config.read_text(encoding="utf-8")) if config else {}
    longest = settings.get("model_max_length")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, longest if isinstance(longest, int) else None
