"""Calls Kamailio's own RPC commands over the two ways into its jsonrpcs module: a datagram socket and a FIFO."""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Any, Final

#: Where a FIFO is looked for: Debian's default, then the one of the project's own kamailio.cfg.
DEFAULT_FIFOS: Final = ("/run/kamailio/kamailio_rpc.fifo", "/run/kamailio/sipsieve_rpc.fifo")

#: jsonrpcs opens its answer's FIFO here and nowhere else (its parameter fifo_reply_dir).
REPLY_FOLDER: Final = "/tmp"

#: POSIX keeps writes up to this size in one piece, so that two callers never mix.
_PIPE_BUF: Final = 4096

#: Seconds that an answer may take; a dump of 20,000 table entries takes 0.05.
_TIMEOUT: Final = 10.0

#: Seconds after which the one way is given up for the other, or the FIFO for stuck.
_PATIENCE: Final = 2.0

#: jsonrpcs gives up what it holds of a request at this size (8191 bytes on 5.6 and 6.0): spaces of that number free a FIFO
#: that waits for the end of what somebody began, as a lone `{`.
_GIVEN_UP: Final = 8192

#: The largest answer that is taken from a datagram. A server sends as much as its socket's buffer holds (212,992 bytes
#: where net.core.wmem_default is Linux's own, some 900 bans), and nothing of what is longer.
_DATAGRAM: Final = 1 << 20


class RpcError(Exception):
    """No answer, or Kamailio's own error; the text says what to do. `code` is Kamailio's (404 …), else 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class _NoAnswerError(RpcError):
    """The server did not answer in time."""


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


class Rpc:
    """A server's RPC. Opens nothing until `call`.

    `path` is the FIFO, or the datagram socket; empty: `SIPSIEVE_RPC`, else the first of `DEFAULT_FIFOS` that is there. Of a
    FIFO `NAME.fifo` the socket is looked for beside it, as `NAME.sock`, and asked first: nobody's half request keeps it
    waiting. A FIFO that does not answer is freed of such a half, and asked once more.
    """

    def __init__(self, path: str = "", *, reply_folder: str = REPLY_FOLDER, timeout: float = _TIMEOUT) -> None:
        there = (fifo for fifo in DEFAULT_FIFOS if os.path.exists(fifo))
        self.path = path or os.environ.get("SIPSIEVE_RPC") or next(there, DEFAULT_FIFOS[0])
        self._reply_folder = reply_folder
        self._timeout = timeout
        #: Calls whose answers were longer than a datagram.
        self._long: set[tuple[str, tuple[str | int, ...]]] = set()

    def call(self, method: str, *parameters: str | int) -> Any:
        """The result of one RPC command, decoded from JSON. Raises `RpcError`."""
        beside = f"{self.path.removesuffix('.fifo')}.sock"
        if _is_socket(self.path):
            return self._by_datagram(self.path, method, parameters, self._timeout)
        known = (method, parameters)
        if known not in self._long and _is_socket(beside):
            try:
                return self._by_datagram(beside, method, parameters, min(_PATIENCE, self._timeout))
            except _NoAnswerError:
                # A socket that a dead server left behind; or the answer is longer than a datagram.
                answer = self._by_fifo(method, parameters)
                self._long.add(known)
                return answer
        return self._by_fifo(method, parameters)

    def _by_datagram(self, path: str, method: str, parameters: tuple[str | int, ...], timeout: float) -> Any:
        request = _encoded({"jsonrpc": "2.0", "method": method, "params": list(parameters), "id": 1})
        with (
            tempfile.TemporaryDirectory(prefix="sipsieve_", dir=self._reply_folder) as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own,
        ):
            # Kamailio answers to a name, which its user must be able to write to; nobody else can guess it.
            os.chmod(folder, 0o711)
            name = Path(folder, secrets.token_hex(16))
            own.bind(str(name))
            os.chmod(name, 0o622)
            own.settimeout(timeout)
            try:
                own.sendto(request, path)
                answer, _, flags, _ = own.recvmsg(_DATAGRAM)
                if flags & socket.MSG_TRUNC:
                    raise _NoAnswerError(f"{path}: the answer to {method} is longer than {_DATAGRAM} bytes")
            except PermissionError:
                raise RpcError(
                    f"{path}: not allowed. Call this as root, as Kamailio's user, or as a member of its group"
                ) from None
            except OSError as error:
                if error.strerror:
                    raise _NoAnswerError(
                        f"{path}: no server reads it ({error.strerror}). Is Kamailio running?"
                    ) from None
                raise _NoAnswerError(f"{path}: no answer to {method} within {timeout:g} s") from None
        return _result(answer, path, method)

    def _by_fifo(self, method: str, parameters: tuple[str | int, ...]) -> Any:
        try:
            return self._ask_fifo(method, parameters, min(_PATIENCE, self._timeout))
        except _NoAnswerError:
            self._free_fifo()
        return self._ask_fifo(method, parameters, self._timeout)

    def _free_fifo(self) -> None:
        """Ends a request that somebody began and did not end: as many spaces as make jsonrpcs give it up."""
        server = self._open()
        try:
            deadline = time.monotonic() + _PATIENCE
            left = _GIVEN_UP
            while left and time.monotonic() < deadline:
                try:
                    left -= os.write(server, b" " * min(left, _PIPE_BUF))
                except BlockingIOError:
                    select.select([], [server], [], 0.1)
        except OSError as error:
            raise RpcError(f"{self.path}: {error.strerror}") from None
        finally:
            os.close(server)

    def _ask_fifo(self, method: str, parameters: tuple[str | int, ...], timeout: float) -> Any:
        name = f"sipsieve_{os.getpid()}_{secrets.token_hex(8)}"
        request = _encoded(
            {"jsonrpc": "2.0", "method": method, "params": list(parameters), "reply_name": name, "id": 1}
        )
        if len(request) > _PIPE_BUF:
            raise RpcError(f"{method}: the call is {len(request)} bytes long, the FIFO takes {_PIPE_BUF} at once")
        server = self._open()
        reply_path = Path(self._reply_folder, name)
        reply = -1
        try:
            self._make_reply(reply_path, os.fstat(server))
            reply = os.open(reply_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.write(server, request)
            answer = self._read(reply, method, timeout)
        except OSError as error:
            raise RpcError(f"{self.path}: {error.strerror}") from None
        finally:
            os.close(server)
            if reply >= 0:
                os.close(reply)
            reply_path.unlink(missing_ok=True)
        return _result(answer, self.path, method)

    def table(self, name: str) -> dict[str, str]:
        """All entries of an htable, values as text. Raises `RpcError`."""
        buckets = self.call("htable.dump", name)
        return {str(cell["name"]): str(cell["value"]) for bucket in buckets or () for cell in bucket["slot"]}

    def _open(self) -> int:
        try:
            # Not blocking: a FIFO that a dead server left behind has no reader and is refused at once.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise RpcError(
                f"{self.path}: there is no such FIFO. Is Kamailio running? Another place is given with --rpc or SIPSIEVE_RPC"
            ) from None
        except PermissionError:
            raise RpcError(
                f"{self.path}: not allowed. Call this as root, as Kamailio's user, or as a member of its group"
            ) from None
        except OSError as error:
            raise RpcError(f"{self.path}: no server reads it ({error.strerror}). Is Kamailio running?") from None
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise RpcError(f"{self.path}: not a FIFO")
        return descriptor

    def _make_reply(self, path: Path, server: os.stat_result) -> None:
        """The FIFO for the answer, which only we and the server may open."""
        os.mkfifo(path, 0o600)
        if os.geteuid() == server.st_uid:
            return
        if os.geteuid() == 0:
            os.chown(path, server.st_uid, -1)
            return
        os.chown(path, -1, server.st_gid)
        os.chmod(path, 0o620)

    def _read(self, reply: int, method: str, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(reply, select.POLLIN)
        pieces: list[bytes] = []
        while True:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise _NoAnswerError(f"{self.path}: no answer to {method} within {timeout:g} s")
            try:
                piece = os.read(reply, 1 << 20)
            except BlockingIOError:
                continue
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def _encoded(request: dict[str, object]) -> bytes:
    """The request as one line. jsonrpcs counts quotes and looks one character back only, so a backslash before
    a closing quote misleads it: backslashes and quotes within strings go as `\\u005c` and `\\u0022`."""
    text = json.dumps(request, ensure_ascii=True)
    return text.replace("\\\\", "\\u005c").replace('\\"', "\\u0022").encode("ascii") + b"\n"


def _result(answer: bytes, path: str, method: str) -> Any:
    try:
        decoded = json.loads(answer.decode("utf-8", "backslashreplace"), strict=False)
    except ValueError:
        raise RpcError(f"{path}: the answer to {method} is not JSON: {answer[:80]!r}") from None
    if not isinstance(decoded, dict):
        raise RpcError(f"{path}: the answer to {method} is not an object")
    if isinstance(problem := decoded.get("error"), dict):
        raise RpcError(f"{path}: {method}: {problem.get('message')}", int(problem.get("code") or 0))
    return decoded.get("result")
