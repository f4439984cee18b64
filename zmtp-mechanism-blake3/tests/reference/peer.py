"""A small TCP peer speaking ZMTP 3.1 with BLAKE3-CHACHAPOLY, for tests of another implementation.

    peer.py (listen|connect) HOST PORT (server|client) --scenario NAME [options]

One JSON object per line on stdout; `event` is one of listening, ready, sent, message, command, error, closed, done.
Exit 0: the scenario went as it should; 1: it did not; 2: bad usage. See README.md for the scenarios.
"""
import argparse
import hashlib
import json
import os
import socket
import sys

import blake3_chachapoly as B
from blake3_chachapoly import PeerError, Refused
from scenarios import SCENARIOS
from wire import Closed, Wire, event, short


class Peer:
    """One connection: handshake() first, then messages."""

    def __init__(self, wire, o):
        self.w, self.o, self.pongs = wire, o, []

    def metadata(self):
        o = self.o
        extra = [tuple(x.encode() for x in p.split("=", 1)) for p in o.property]
        return B.metadata((b"Socket-Type", o.socket_type.encode()), (b"Identity", o.identity.encode()), *extra)

    def put(self, name, frame):
        """Sends a handshake frame, with a bit flipped if the scenario says so."""
        if self.o.scenario == "bad-handshake" and self.o.tamper == name:
            frame = frame[:-1] + bytes([frame[-1] ^ 1])
            event("sent", what=f"{name} with its last tag bit flipped")
        self.w.write(frame)

    def refuse_at(self, where):
        if self.o.scenario == "refuse" and self.o.at == where:
            self.w.write(B.error_command(self.o.reason.encode()))
            event("sent", what=f"ERROR instead of {where}")
            raise Refused("refused-by-scenario")

    def handshake(self):
        o, w = self.o, self.w
        own = B.greeting(o.role == "server")
        w.write(own)
        peer = w.read(64)
        if o.role == "client":
            st = B.start("client", own, peer, c=o.secret, S=o.server_key)
            self.put("hello", B.client_hello(st, os.urandom(32)))
            self.put("initiate", B.client_initiate(st, w.frame(), self.metadata()))
            properties, key = B.client_finish(st, w.frame()), o.server_key
        else:
            K = o.cookie_key                     # shared by all connections, as the specification has it
            st = B.start("server", peer, own, s=o.secret)
            hello = w.frame()
            welcome = B.server_welcome(st, hello, os.urandom(32), K, os.urandom(24), os.urandom(24))
            self.refuse_at("welcome")
            self.put("welcome", welcome)
            allowed = lambda C: not o.allow or C in o.allow
            try:
                key, properties = B.server_accept(st, w.frame(), [K], self.metadata(), allowed)
            except Refused as e:
                text = {"not-authorised": b"client key not authorized", "socket-type": b"Invalid socket type"}.get(e.reason)
                if text:
                    w.write(B.error_command(text))
                raise
            self.refuse_at("ready")
            self.put("ready", B.server_ready(st))
        c2s, s2c = B.session_keys(st)
        self.out, self.inp = (c2s, s2c) if o.role == "client" else (s2c, c2s)
        event("ready", peer_key=key.hex(), h4=st["h4"].hex(),
              properties={n.decode(): v.hex() for n, v in properties})

    # -- messages

    def send(self, *parts):
        for i, p in enumerate(parts):
            self.w.write(self.out.seal(p, more=i + 1 < len(parts)))

    def send_command(self, body):
        self.w.write(self.out.seal(body, command=True))

    def take_command(self, body):
        if not body or body[0] == 0 or len(body) < 1 + body[0]:
            raise Refused("command-malformed")
        name, data = body[1:1 + body[0]], body[1 + body[0]:]
        event("command", name=name.decode("ascii", "backslashreplace"), size=len(data), hex=short(data))
        if name == b"PING":
            if not 2 <= len(data) <= 18:
                raise Refused("ping-size")
            self.send_command(b"\x04PONG" + data[2:])
        elif name == b"PONG":
            self.pongs.append(data)
        elif name in (b"READY", b"ERROR"):
            raise Refused("unexpected-command")

    def frame(self, parts):
        """Takes one frame; True when `parts` is a complete message (reported)."""
        plaintext, more, is_command = self.inp.open(self.w.frame())
        if is_command:
            self.take_command(plaintext)
            return False
        parts.append(plaintext)
        if not more:
            event("message", parts=[dict(size=len(p), sha256=hashlib.sha256(p).hexdigest(), hex=short(p)) for p in parts])
        return not more

    def receive(self):
        parts = []
        while not self.frame(parts):
            pass
        return parts

    def until_closed(self, most):
        """Reads until the peer closes; the number of messages must not exceed `most`."""
        n = 0
        try:
            while True:
                self.receive()
                n += 1
        except Closed:
            event("closed", messages=n)
        return n <= most


HANDSHAKE_ONLY = ("bad-handshake", "refuse", "expect-error", "expect-failure")    # the connection must end in the handshake


def arguments():
    a = argparse.ArgumentParser()
    a.add_argument("how", choices=("listen", "connect"))
    a.add_argument("host")
    a.add_argument("port", type=int)
    a.add_argument("role", choices=("server", "client"))
    a.add_argument("--scenario", required=True, choices=sorted([*SCENARIOS, *HANDSHAKE_ONLY]))
    a.add_argument("--secret", help="own permanent secret key, hex; without it a fresh one")
    a.add_argument("--server-key", help="client: permanent public key of the server, hex")
    a.add_argument("--allow", action="append", default=[], help="server: public key of an allowed client, hex; none: all are")
    a.add_argument("--sizes", default="0,1,15,16,239,240,1000,65536", help="sizes of messages or parts")
    a.add_argument("--count", type=int, default=1, help="messages to receive (echo: 0 = until the peer closes)")
    a.add_argument("--tamper", default="tag", help="tamper, bad-command, bad-handshake: which")
    a.add_argument("--at", default="ready", choices=("welcome", "ready"), help="refuse: ERROR instead of which command")
    a.add_argument("--reason", default="client key not authorized")
    a.add_argument("--socket-type", default="DEALER")
    a.add_argument("--identity", default="")
    a.add_argument("--property", action="append", default=[], help="NAME=VALUE, more metadata")
    a.add_argument("--chunk", type=int, default=0, help="write in pieces of so many octets")
    a.add_argument("--connections", type=int, default=1, help="run the scenario on so many connections, one after another")
    a.add_argument("--cookie-key", help="server: K, hex; without it a fresh one")
    a.add_argument("--timeout", type=float, default=10)
    a.add_argument("--stdin", action="store_true", help="a JSON object on stdin overrides the options (names with _)")
    o = a.parse_args()
    if o.stdin:
        vars(o).update(json.load(sys.stdin))
    o.secret = bytes.fromhex(o.secret) if o.secret else os.urandom(32)
    o.server_key = bytes.fromhex(o.server_key) if o.server_key else None
    o.cookie_key = bytes.fromhex(o.cookie_key) if o.cookie_key else os.urandom(32)
    o.allow = [bytes.fromhex(k) for k in o.allow]
    o.sizes = [int(x) for x in o.sizes.split(",")] if isinstance(o.sizes, str) else o.sizes
    if o.role == "client" and not o.server_key:
        a.error("a client needs --server-key")
    return o


def run(o, again):
    w = again()
    p = Peer(w, o)
    try:
        try:
            if o.scenario == "replay":                      # keep the first WELCOME to compare
                keep, frame = [], w.frame
                w.frame = lambda: keep.append(frame()) or keep[-1]
            p.handshake()
        except (Refused, Closed) as e:
            if isinstance(e, Refused):
                event("error", where="handshake", reason=e.reason, text=getattr(e, "text", None))
            else:
                event("closed", where="handshake")
            if o.scenario == "expect-error":
                return isinstance(e, PeerError)
            if o.scenario == "refuse":
                return getattr(e, "reason", "") == "refused-by-scenario"
            return o.scenario == "expect-failure" or o.scenario == "bad-handshake" and isinstance(e, (Closed, PeerError))
        if o.scenario in HANDSHAKE_ONLY:
            # The side that speaks last is 'done' before the other refused it: then it must close without a frame.
            return o.scenario == "bad-handshake" and o.tamper == "ready" and p.until_closed(0)
        if o.scenario == "replay":
            w.first_reply = keep[0]
            return SCENARIOS["replay"](p, again)
        return SCENARIOS[o.scenario](p)
    except Refused as e:
        event("error", where="traffic", reason=e.reason)
    except Closed:
        event("closed", where="traffic")
    finally:
        w.close()
    return False


def main():
    o = arguments()
    if o.how == "listen":
        listener = socket.create_server((o.host, o.port))
        listener.settimeout(o.timeout)
        event("listening", port=listener.getsockname()[1], public_key=B.public(o.secret).hex())

    def again():
        sock = listener.accept()[0] if o.how == "listen" else socket.create_connection((o.host, o.port))
        sock.settimeout(o.timeout)
        return Wire(sock, o.chunk)

    try:
        ok = all([run(o, again) for _ in range(o.connections)])
    except OSError as e:                                    # time-out, refused connection
        event("error", where="socket", reason=type(e).__name__, text=str(e))
        ok = False
    event("done", ok=ok)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
