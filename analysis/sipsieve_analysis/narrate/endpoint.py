"""Asks an OpenAI-compatible endpoint, within time, tokens and money; keeps answers for the next time.

The one module of the narration that touches network, clock and files.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import openai
from msgspec import Struct

from ..operate.harmless import harmless
from . import answer as answer_
from .answer import Answer
from .settings import Settings, SettingsError

#: Bytes of an answer, with all that stands around it.
_LARGEST: Final = 4 << 20


class NarrationError(Exception):
    """No narration: says what went wrong and what to do. The report stands without it."""


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


class Reply(Struct):
    """An answer with what it took. `version` is the model as the endpoint names it; `cost` is by the prices of the settings."""

    answer: Answer
    version: str = ""
    asked_tokens: int = 0
    answered_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    attempts: int = 1
    cached: bool = False


@dataclass(slots=True)
class _Spent:
    tokens: int = 0
    asked: int = 0
    answered: int = 0


class Endpoint:
    """One endpoint by its settings. Raises `SettingsError` where the key is missing."""

    def __init__(self, settings: Settings, decode: Callable[[str], Any] = answer_.decode) -> None:
        """`decode` makes an answer of a model's text and raises `msgspec.DecodeError` where it has another form."""
        self._settings = settings
        self._decode = decode
        self._client: openai.OpenAI | None = None
        if not settings.offline:
            self._client = openai.OpenAI(
                api_key=settings.key(),
                base_url=settings.url,
                # Attempts are counted here, where time and money are.
                max_retries=0,
                timeout=settings.timeout_seconds,
                # A key is for the host that is named, not for whom that one points to.
                http_client=openai.DefaultHttpxClient(follow_redirects=False),
            )

    def close(self) -> None:
        """Lets go of connections."""
        if self._client is not None:
            self._client.close()

    def ask(self, conversation: list[dict[str, str]], schema: dict[str, Any], digest: str) -> Reply:
        """The answer to a prompt in the form of `schema`; `digest` stands for both, "" where no answer is kept. Raises `NarrationError`."""
        kept = self._kept(digest)
        if kept is not None and (found := _load(kept)) is not None:
            return found
        if self._client is None:
            raise NarrationError("offline is set, and no answer to this report is kept; set offline = false once")
        began = time.monotonic()
        spent = _Spent()
        problem = ""
        for attempt in range(self._settings.retries + 1):
            left = self._settings.timeout_seconds - (time.monotonic() - began)
            if attempt:
                # A little longer each time, and never beyond the end.
                time.sleep(min(0.25 * 2**attempt, 8, max(0.0, left - 1)))
                left = self._settings.timeout_seconds - (time.monotonic() - began)
            if left < 0.5:
                problem = f"no answer within timeout_seconds = {self._settings.timeout_seconds:g}" + (f"; the last attempt: {problem}" if problem else "")  # fmt: skip
                break
            self._afford(conversation, spent, problem)
            try:
                completion = self._once(conversation, schema, left)
                reply = self._understood(completion, spent)
            except _Again as error:
                problem = str(error)
                continue
            except openai.OpenAIError as error:
                problem = _said(error)
                if (
                    isinstance(error, openai.APIStatusError)
                    and error.status_code not in (408, 409, 429)
                    and error.status_code < 500
                ):
                    break
                continue
            reply.seconds = round(time.monotonic() - began, 3)
            reply.attempts = attempt + 1
            if kept is not None:
                _keep(kept, reply)
            return reply
        raise NarrationError(f"{self._settings.url}: {problem}")

    def _afford(self, conversation: list[dict[str, str]], spent: _Spent, problem: str) -> None:
        """Raises `NarrationError` where one more attempt could go beyond a cap: a token is a byte at least."""
        asked = sum(len(message["content"].encode()) + 16 for message in conversation)
        most = self._settings.max_answer_tokens
        cost = self._settings.cost
        after = f" after {problem}" if problem else ""
        if spent.asked + spent.answered + asked + most > self._settings.max_tokens:
            raise NarrationError(
                f"max_tokens = {self._settings.max_tokens} could be passed{after}; raise it, or lower actors or max_answer_tokens"
            )
        if (bound := cost.of(spent.asked + asked, spent.answered + most)) > cost.most:
            raise NarrationError(
                f"it could cost {bound:.4f}, and cost.most is {cost.most:g}{after}; raise it, or lower actors or max_answer_tokens"
            )

    def _once(self, conversation: list[dict[str, str]], schema: dict[str, Any], left: float) -> _Completion:
        assert self._client is not None
        form: dict[str, Any] = {"type": "json_object"}
        if self._settings.structured == "json_schema":
            form = {"type": "json_schema", "json_schema": {"name": "narration", "strict": True, "schema": schema}}
        ends = time.monotonic() + left
        create = self._client.chat.completions.with_streaming_response.create
        request: dict[str, Any] = {
            "model": self._settings.model, "messages": conversation, "response_format": form,
            "max_tokens": self._settings.max_answer_tokens, "temperature": 0, "timeout": left,
        }  # fmt: skip
        with create(**request) as response:
            # A timer ends what drips: the client's own time is that between two bytes.
            timer = threading.Timer(max(0.1, ends - time.monotonic()), response.close)
            timer.daemon = True
            timer.start()
            try:
                body = b"".join(_bounded(response.iter_bytes(), ends))
            except openai.OpenAIError:
                raise
            except _Again:
                raise
            except Exception as error:
                # The HTTP library's own errors, and those of a connection that the timer closed.
                late = time.monotonic() >= ends
                raise _Again("the answer came too slowly" if late else f"the answer broke off: {harmless(str(error), 120)}") from error  # fmt: skip
            finally:
                timer.cancel()
        try:
            return msgspec.json.decode(body, type=_Completion)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _Again(f"what came back is no chat completion: {harmless(str(error), 120)}") from error

    def _understood(self, completion: _Completion, spent: _Spent) -> Reply:
        usage = completion.usage or _Usage()
        # What an endpoint says of itself may be anything; it can't be used to gain room.
        spent.asked += max(0, usage.prompt_tokens)
        spent.answered += max(0, usage.completion_tokens)
        if not completion.choices:
            raise _Again("the answer holds no choice")
        choice = completion.choices[0]
        if choice.message.refusal:
            raise _Again(f"the model refused: {harmless(choice.message.refusal, 120)}")
        if choice.finish_reason == "length":
            raise _Again(f"the answer did not fit into max_answer_tokens = {self._settings.max_answer_tokens}")
        try:
            found = self._decode(choice.message.content or "")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _Again(f"the answer has another form: {harmless(str(error), 120)}") from error
        cost = self._settings.cost.of(spent.asked, spent.answered)
        return Reply(found, completion.model[:120], spent.asked, spent.answered, cost)

    def _kept(self, digest: str) -> Path | None:
        if not self._settings.cache or not digest:
            return None
        what = json.dumps([self._settings.url, self._settings.model, digest, self._settings.max_answer_tokens])
        return Path(self._settings.cache) / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.json"


class _Again(Exception):
    """An attempt that failed in a way that another may not."""


def _bounded(chunks: Iterator[bytes], ends: float) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _LARGEST:
            raise _Again(f"the answer is larger than {_LARGEST >> 20} MiB")
        if time.monotonic() > ends:
            raise _Again("the answer came too slowly")
        yield chunk


def _said(error: openai.OpenAIError) -> str:
    if isinstance(error, openai.APITimeoutError):
        return "no answer in time"
    if isinstance(error, openai.APIConnectionError):
        return f"no connection: {harmless(str(error.__cause__ or error), 120)}"
    if isinstance(error, openai.APIStatusError):
        return f"HTTP status {error.status_code}" + (": is the key right?" if error.status_code in (401, 403) else "")
    return harmless(str(error), 120)


def _load(path: Path) -> Reply | None:
    try:
        reply = msgspec.json.decode(path.read_bytes(), type=Reply)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    reply.cached = True
    return reply


def _keep(path: Path, reply: Reply) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as out:
            out.write(msgspec.json.encode(reply))
        os.replace(out.name, path)
    except OSError as error:
        raise NarrationError(f"cache: {path.parent}: {error.strerror}; name a folder that can be written") from error


__all__ = ["Endpoint", "NarrationError", "Reply", "SettingsError"]
