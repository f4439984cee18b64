"""What peer.py and scenarios.py share: events on stdout, frames on a socket."""
import json
import socket

from blake3_chachapoly import LONG, Refused

MAX_FRAME = 64 << 20


class Closed(Exception):
    """The peer closed the connection (EOF or reset)."""


def event(kind, **more):
    print(json.dumps({"event": kind, **more}), flush=True)


def short(x):
    """Hex of what is short enough to be printed."""
    return x.hex() if len(x) <= 64 else None


class Wire:
    def __init__(self, sock, chunk=0):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.chunk, self.sent = sock, chunk, []      # sent: what was written, for the replay

    def write(self, octets):
        self.sent.append(octets)
        step = self.chunk or len(octets) or 1
        try:
            for i in range(0, len(octets), step):
                self.sock.sendall(octets[i:i + step])
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def read(self, size):
        out = bytearray()
        while len(out) < size:
            try:
                piece = self.sock.recv(min(size - len(out), 1 << 16))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed
            out += piece
        return bytes(out)

    def frame(self):
        head = self.read(2)
        if head[0] & LONG:
            head += self.read(7)
        length = int.from_bytes(head[1:], "big")
        if length > MAX_FRAME:
            raise Refused("too-large")
        return head + self.read(length)

    def close(self):
        """Flush, half-close, linger a little, close."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while self.sock.recv(1 << 16):
                pass
        except OSError:
            pass
        self.sock.close()
