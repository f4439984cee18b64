"""Writes ../data/blake3_chachapoly.json, or the file named as the argument. Every expected outcome is written down here by hand and checked against the
reference before it is written; nothing is random, so the file is the same at every run."""
import copy
import hashlib
import json
import os
import sys
from importlib.metadata import version

import blake3_chachapoly as B
from blake3_chachapoly import (COMMAND, KDF, KDF12, KDF24, LONG, MORE, Direction, Refused, box_seal, command,
                               error_command, header, metadata, public)

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "blake3_chachapoly.json")
PREFIX = "zmtp blake3-chachapoly "


def inp(label, size=32):
    return hashlib.shake_256((PREFIX + label).encode()).digest(size)


def hexed(x):
    if isinstance(x, bytes):
        return x.hex()
    if isinstance(x, dict):
        return {k: hexed(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [hexed(v) for v in x]
    return x


s, c, K = inp("server permanent secret s"), inp("client permanent secret c"), inp("cookie key K")
S, C = public(s), public(c)
GC, GS = B.greeting(0), B.greeting(1)


# ------------------------------------------------------------------ valid handshakes

class Connection:
    """One handshake, both roles, all values by name."""

    def __init__(self, name, what, client_metadata, server_metadata, client_greeting=GC, server_greeting=GS):
        self.name, self.what = name, what
        self.greetings = client_greeting, server_greeting
        self.client_metadata, self.server_metadata = client_metadata, server_metadata
        self.c_e, self.s_e = inp(name + " c'"), inp(name + " s'")
        self.cookie_nonce, self.welcome_nonce = inp(name + " cookie nonce", 24), inp(name + " welcome nonce", 24)
        self.client, self.server = self.new_client(), self.new_server()
        self.hello = B.client_hello(self.client, self.c_e)
        self.welcome = self.answer_hello(self.server, self.hello)
        self.initiate = B.client_initiate(self.client, self.welcome, client_metadata)
        B.server_accept(self.server, self.initiate, [K], server_metadata)
        self.ready = B.server_ready(self.server)
        B.client_finish(self.client, self.ready)
        for k in set(self.client) & set(self.server) - {"role", "own_metadata"}:
            assert self.client[k] == self.server[k], k

    def new_client(self):
        return B.start("client", *self.greetings, c=c, S=S)

    def new_server(self):
        return B.start("server", *self.greetings, s=s)

    def answer_hello(self, st, hello):
        return B.server_welcome(st, hello, self.s_e, K, self.cookie_nonce, self.welcome_nonce)

    def directions(self):
        return B.session_keys(self.client)

    def json(self):
        both = {**self.server, **self.client}
        order = ("C_e S_e dh1 dh2 dh3 h0 h1 h2 h3 h4 hello_key hello_nonce hello_box cookie_key cookie_plaintext cookie "
                 "welcome_key welcome_box vouch_key vouch_nonce vouch_plaintext vouch initiate_key initiate_nonce "
                 "initiate_box ready_key ready_nonce ready_box").split()
        c2s, s2c = self.directions()
        return dict(
            name=self.name, what=self.what,
            inputs={"c_e": self.c_e, "s_e": self.s_e, "cookie_nonce": self.cookie_nonce,
                    "welcome_nonce": self.welcome_nonce, "client_metadata": self.client_metadata,
                    "server_metadata": self.server_metadata},
            client_greeting=self.greetings[0], server_greeting=self.greetings[1],
            hello=self.hello, welcome=self.welcome, initiate=self.initiate, ready=self.ready,
            intermediate={k: both[k] for k in order},
            session={"client->server key": c2s.key, "client->server iv": c2s.iv,
                     "server->client key": s2c.key, "server->client iv": s2c.iv})


SOCKET, IDENTITY = b"Socket-Type", b"Identity"
MAIN = Connection("main", "DEALER client with an identity, ROUTER server",
                  metadata((SOCKET, b"DEALER"), (IDENTITY, b"client-1")), metadata((SOCKET, b"ROUTER"), (IDENTITY, b"")))
LARGE = Connection("large", "large metadata: READY is LONG",
                   metadata((SOCKET, b"DEALER"), (IDENTITY, inp("large identity", 255)), (b"X-Client", inp("large client", 900))),
                   metadata((SOCKET, b"DEALER"), (b"X-Server", inp("large server", 700)), (b"x-Empty", b"")))
EMPTY = Connection("empty", "empty identity on both sides; also the 'new connection' of the replay cases",
                   metadata((SOCKET, b"DEALER"), (IDENTITY, b"")), metadata((SOCKET, b"DEALER"), (IDENTITY, b"")))
ODD = Connection("odd-greetings", "greetings of odd but legal peers (padding, version 3.5 and 4.0, as-server, filler): hashed as on the wire",
                 metadata((SOCKET, b"REQ")), metadata((SOCKET, b"REP")),
                 b"\xff" + bytes(7) + b"\x01\x7f\x03\x05" + GC[12:32] + b"\x01" + inp("odd client filler", 31),
                 b"\xff" + inp("odd server padding", 8) + b"\x7f\x04\x00" + GS[12:32] + b"\x00" + bytes(31))
CONNECTIONS = [MAIN, LARGE, EMPTY, ODD]


def ready_boundary():
    """READY at the SHORT/LONG boundary: 'main' up to INITIATE, another server metadata."""
    out = []
    for m in (233, 234):
        base = metadata((SOCKET, b"ROUTER"), (b"X-Pad", b""))
        md = metadata((SOCKET, b"ROUTER"), (b"X-Pad", inp(f"ready pad {m}", m - len(base))))
        st = MAIN.new_server()
        MAIN.answer_hello(st, MAIN.hello)
        B.server_accept(st, MAIN.initiate, [K], md)
        ready = B.server_ready(st)
        out.append(dict(connection="main", metadata_size=m, server_metadata=md, ready=ready, h4=st["h4"]))
    assert out[0]["ready"][:2] == b"\x04\xff" and out[1]["ready"][:9] == b"\x06" + (256).to_bytes(8, "big")
    return out


# ------------------------------------------------------------------ valid data frames

def ping(ttl, context):
    return b"\x04PING" + ttl.to_bytes(2, "big") + context


def topic(size, label):
    return b"\x09SUBSCRIBE" + inp(label, size)


def data_frames(conn, plan):
    c2s, s2c = conn.directions()
    readers = conn.directions()
    out = []
    for i, (way, what, flags) in enumerate(plan):
        label = f"{conn.name} data {i}"
        plaintext = what if isinstance(what, bytes) else inp(label, what)
        d, r = (c2s, readers[0]) if way == "c2s" else (s2c, readers[1])
        e = dict(direction=way, n=d.n, flags=[k for k, b in (("MORE", MORE), ("COMMAND", COMMAND)) if flags & b],
                 size=len(plaintext), nonce=d.nonce())
        if isinstance(what, int):
            e["plaintext_label"] = label
        if len(plaintext) <= 300:
            e["plaintext"] = plaintext
        frame = d.seal(plaintext, bool(flags & MORE), bool(flags & COMMAND))
        assert r.open(frame) == (plaintext, bool(flags & MORE), bool(flags & COMMAND))
        e["aad"] = frame[:9 if frame[0] & LONG else 2]
        if len(frame) <= 1100:
            e["frame"] = frame
        else:
            e["frame_sha256"] = hashlib.sha256(frame).digest()
        out.append(e)
    return out


MAIN_PLAN = [
    ("c2s", 0, 0), ("c2s", 1, 0), ("s2c", 0, 0), ("s2c", 1, 0), ("c2s", 15, 0), ("c2s", 16, 0), ("s2c", 15, 0), ("s2c", 16, MORE),
    ("c2s", 63, MORE), ("c2s", ping(300, b""), COMMAND), ("s2c", b"\x04PONG", COMMAND), ("c2s", 64, MORE), ("c2s", 0, MORE),
    ("c2s", 5, 0), ("s2c", 63, MORE), ("s2c", 64, 0), ("c2s", 239, 0), ("c2s", 240, 0), ("s2c", 239, MORE), ("s2c", 240, 0),
    ("s2c", ping(0, b"sixteen octets!!"), COMMAND), ("c2s", b"\x04PONGsixteen octets!!", COMMAND),
    ("c2s", topic(229, "topic 229"), COMMAND), ("c2s", topic(230, "topic 230"), COMMAND), ("c2s", b"\x06CANCEL", COMMAND),
    ("c2s", 1000, MORE), ("s2c", 1000, 0), ("c2s", 65536, 0), ("s2c", 65536, MORE), ("s2c", 0, 0), ("c2s", 0, 0)]
assert 10 + 229 == 239
DATA = {"main": MAIN_PLAN, "large": [("s2c", 5, 0), ("c2s", 5, 0)], "empty": [("s2c", 5, 0), ("c2s", 0, MORE), ("c2s", 8, 0)],
        "odd-greetings": [("c2s", 0, MORE), ("c2s", 3, 0), ("s2c", 0, MORE), ("s2c", 3, 0)]}


def counters():
    """The nonce far along: keys of main, n set."""
    out = []
    for way in (0, 1):
        for n in (1, 255, 256, 2**32 - 1, 2**32, 2**63, 2**64 - 2):
            d = MAIN.directions()[way]
            d.n = n
            e = dict(direction=("c2s", "s2c")[way], n=str(n), nonce=d.nonce(), plaintext=b"counter", frame=d.seal(b"counter"))
            out.append(e)
    return out


# ------------------------------------------------------------------ negative: handshake

def low_order():
    p = 2**255 - 19
    le = lambda x: x.to_bytes(32, "little")
    return {"0": le(0), "1": le(1), "order-8-a": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            "order-8-b": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            "p-1": le(p - 1), "p": le(p), "p+1": le(p + 1), "0-with-bit-255": le(1 << 255)}


def flip(x, at, bit=1):
    x = bytearray(x)
    x[at] ^= bit
    return bytes(x)


def long_header(frame):
    """The same SHORT frame with a non-minimal LONG header."""
    assert not frame[0] & LONG
    return bytes([frame[0] | LONG]) + frame[1].to_bytes(8, "big") + frame[2:]


def make_hello(C_e=None, dh1=None, version=b"\x01\x00", zeros=bytes(120), text=bytes(64)):
    C_e, dh1 = C_e or MAIN.client["C_e"], dh1 or MAIN.client["dh1"]
    return command(b"HELLO", version + C_e + zeros + box_seal(KDF("HELLO key", dh1), KDF24("HELLO nonce", C_e), text, b"HELLO"))


def make_welcome(S_e=None, cookie=None, aad=b"WELCOME"):
    nonce = MAIN.welcome_nonce
    text = (S_e or MAIN.client["S_e"]) + (cookie if cookie is not None else MAIN.client["cookie"])
    return command(b"WELCOME", nonce + box_seal(KDF("WELCOME key", MAIN.client["dh1"] + nonce), nonce, text, aad))


def make_vouch(dh3=None, text=None, h2=None):
    t = MAIN.client
    ikm = (dh3 or t["dh3"]) + (h2 or t["h2"])
    return box_seal(KDF("VOUCH key", ikm), KDF24("VOUCH nonce", ikm), text or t["vouch_plaintext"], b"VOUCH")


def make_initiate(cookie=None, vouch=None, md=None, who=C, h2=None, aad=b"INITIATE"):
    t = MAIN.client
    ikm = t["dh2"] + (h2 or t["h2"])
    text = who + (vouch or t["vouch"]) + (MAIN.client_metadata if md is None else md)
    return command(b"INITIATE", (cookie or t["cookie"]) + box_seal(KDF("INITIATE key", ikm), KDF24("INITIATE nonce", ikm), text, aad))


def make_ready(md, aad=b"READY", h3=None):
    ikm = MAIN.client["dh2"] + (h3 or MAIN.client["h3"])
    return command(b"READY", box_seal(KDF("READY key", ikm), KDF24("READY nonce", ikm), md, aad))


def run_case(name, role, feed, outcome, reason, base=MAIN, keys=(K,), note=None, deny=False, reason_ours=None):
    """Feeds the frames to `role` with the inputs of `base`; all but the last must be accepted."""
    st = base.new_client() if role == "client" else base.new_server()
    replies, got = [], None
    if role == "client":
        B.client_hello(st, base.c_e)
    for i, frame in enumerate(feed):
        try:
            if st["state"] == "done":
                B.session_keys(st)[role == "client"].open(frame)
            elif role == "client":
                if st["state"] == "hello-sent":
                    replies.append(B.client_initiate(st, frame, base.client_metadata))
                else:
                    B.client_finish(st, frame)
            elif st["state"] == "start":
                replies.append(base.answer_hello(st, frame))
            else:
                B.server_accept(st, frame, list(keys), base.server_metadata, lambda C: not deny)
                replies.append(B.server_ready(st))
        except Refused as e:
            assert i == len(feed) - 1, (name, i, e)
            got = e.reason
    assert (got or "accept") == (reason or "accept"), (name, got, reason)
    e = dict(name=name, role=role, connection=base.name, outcome=outcome, reason=reason)
    names = {f: f"{x.name}.{k}" for x in CONNECTIONS for k in ("hello", "welcome", "initiate", "ready") for f in [getattr(x, k)]}
    e["feed"] = [names.get(f, f) for f in feed]
    e["replies"] = [names.get(f, f) for f in replies]
    if base.greetings != (GC, GS):
        e["client_greeting"] = base.greetings[0]
    if keys != (K,):
        e["cookie_keys"] = list(keys)
    if deny:
        e["authenticate"] = False
    if note:
        e["note"] = note
    return e


def handshake_negative():
    out, t = [], MAIN.client
    hello, welcome, initiate, ready = MAIN.hello, MAIN.welcome, MAIN.initiate, MAIN.ready

    def server(name, frame, reason, before=(), outcome="close", **kw):
        out.append(run_case(name, "server", [*before, frame], outcome, reason, **kw))

    def client(name, frame, reason, before=(), **kw):
        out.append(run_case(name, "client", [*before, frame], "close", reason, **kw))

    # HELLO
    server("hello: tag flipped", flip(hello, -1), "hello-box")
    server("hello: C' altered", flip(hello, 10), "hello-box")
    server("hello: version 1.1", make_hello(version=b"\x01\x01"), "hello-version")
    server("hello: version 2.0", make_hello(version=b"\x02\x00"), "hello-version")
    server("hello: padding not zero", flip(hello, 2 + 40 + 60), "hello-padding", outcome="close or accept",
           note="the specification allows both; accepted, it must be hashed as received (so h1 differs)")
    server("hello: last plaintext octet not zero, tag valid", make_hello(text=bytes(63) + b"\1"), "hello-zeros")
    server("hello: one octet short", command(b"HELLO", hello[8:-1]), "hello-size")
    server("hello: one octet long", command(b"HELLO", hello[8:] + b"\0"), "hello-size")
    server("hello: empty", command(b"HELLO", b""), "hello-size")
    server("hello: LONG header", long_header(hello), "header-not-minimal")
    server("hello: as a message frame", flip(hello, 0, COMMAND), "not-a-command")
    server("hello: MORE set", flip(hello, 0, MORE), "flags-command-more")
    server("hello: reserved flag set", flip(hello, 0, 8), "flags-reserved")
    server("hello: lower case name", hello[:3] + b"hello" + hello[8:], "unexpected-command")
    server("hello: of suite BLAKE3 by size (232)", command(b"HELLO", hello[8:-8]), "hello-size")
    for k, point in low_order().items():
        server(f"hello: C' low order ({k}), box sealed for dh1 = 0", make_hello(point, bytes(32)), "dh1-zero",
               note="the tag verifies if dh1 is not checked")
    server("hello: INITIATE first", initiate, "unexpected-command")
    server("hello: ERROR first", error_command(b"no"), "unexpected-command", note="only a server sends ERROR")
    # WELCOME
    client("welcome: tag flipped", flip(welcome, -1), "welcome-box")
    client("welcome: nonce altered", flip(welcome, 10), "welcome-box")
    client("welcome: wrong AAD", make_welcome(aad=b"HELLO"), "welcome-box")
    client("welcome: one octet short", command(b"WELCOME", welcome[10:-1]), "welcome-size")
    client("welcome: one octet long", command(b"WELCOME", welcome[10:] + b"\0"), "welcome-size")
    client("welcome: cookie one octet short, tag valid", make_welcome(cookie=t["cookie"][:-1]), "welcome-size")
    client("welcome: LONG header", long_header(welcome), "header-not-minimal")
    client("welcome: as a message frame", flip(welcome, 0, COMMAND), "not-a-command")
    client("welcome: of another connection", EMPTY.welcome, "welcome-box")
    for k in ("0", "order-8-a", "p"):
        client(f"welcome: S' low order ({k}), tag valid", make_welcome(S_e=low_order()[k]), "dh2-zero")
    client("welcome: READY instead", ready, "unexpected-command")
    client("welcome: own HELLO reflected", hello, "unexpected-command")
    client("welcome: ERROR instead", error_command(b"client key not authorized"), "peer-error", note="reason untrusted")
    client("welcome: ERROR whose reason runs past the end", command(b"ERROR", b"\x05no"), "error-malformed")
    # INITIATE
    h = [hello]
    server("initiate: tag flipped", flip(initiate, -1), "initiate-box", h)
    server("initiate: first ciphertext octet flipped", flip(initiate, 9 + 9 + 136), "initiate-box", h)
    server("initiate: cookie nonce flipped", flip(initiate, 18), "cookie-of-another-connection", h)
    server("initiate: cookie ciphertext flipped", flip(initiate, 18 + 24), "cookie-box", h)
    server("initiate: cookie tag flipped", flip(initiate, 18 + 135), "cookie-box", h)
    server("initiate: cookie of another connection", make_initiate(cookie=EMPTY.client["cookie"]), "cookie-of-another-connection", h)
    server("initiate: cookie key rotated once (previous K still kept)", initiate, None, h, outcome="accept",
           keys=(inp("next K"), K))
    server("initiate: cookie key rotated twice", initiate, "cookie-box", h, keys=(inp("next next K"), inp("next K")))
    server("initiate: wrong AAD", make_initiate(aad=b"READY"), "initiate-box", h)
    server("initiate: key made from h1 instead of h2", make_initiate(h2=t["h1"]), "initiate-box", h)
    server("initiate: vouch tag flipped", make_initiate(vouch=flip(t["vouch"], -1)), "vouch-box", h)
    server("initiate: vouch key not bound to h2 (dh3 alone, as in suite BLAKE3)", make_initiate(
        vouch=box_seal(KDF("VOUCH key", t["dh3"]), KDF24("VOUCH nonce", t["dh3"]), t["vouch_plaintext"], b"VOUCH")), "vouch-box", h)
    server("initiate: vouch for another C'", make_initiate(vouch=make_vouch(text=EMPTY.client["C_e"] + S)), "vouch-content", h)
    server("initiate: vouch for another S", make_initiate(vouch=make_vouch(text=t["C_e"] + C)), "vouch-content", h)
    server("initiate: vouch of another connection", make_initiate(vouch=EMPTY.client["vouch"]), "vouch-box", h)
    server("initiate: C of somebody else", make_initiate(who=public(inp("somebody else"))), "vouch-box", h)
    for k in ("0", "order-8-b", "p-1"):
        server(f"initiate: C low order ({k}), vouch sealed for dh3 = 0",
               make_initiate(who=low_order()[k], vouch=make_vouch(dh3=bytes(32))), "dh3-zero", h)
    server("initiate: body of 272", command(b"INITIATE", make_initiate(md=b"")[18:-1]), "initiate-size", h)
    server("initiate: no metadata (body of 273)", make_initiate(md=b""), "no-socket-type", h)
    server("initiate: one octet cut off", command(b"INITIATE", initiate[18:-1]), "initiate-box", h)
    server("initiate: MORE set", flip(initiate, 0, MORE), "flags-command-more", h)
    server("initiate: as a message frame", flip(initiate, 0, COMMAND), "not-a-command", h)
    dealer = metadata((SOCKET, b"DEALER"))
    for what, md, reason in (
            ("truncated", MAIN.client_metadata[:-1], "metadata-malformed"),
            ("trailing octet", dealer + b"\0", "metadata-malformed"),
            ("illegal name character", dealer + metadata((b"X Y", b"")), "metadata-malformed"),
            ("value length with the top bit", dealer + b"\1X\x80\0\0\0", "metadata-malformed"),
            ("second Socket-Type, other case", dealer + metadata((b"socket-type", b"DEALER")), "metadata-duplicate"),
            ("Identity of 256", dealer + metadata((IDENTITY, bytes(256))), "identity-too-long"),
            ("65 properties", dealer + metadata((b"X", b"")) * 64, "metadata-too-many"),
            ("PUB to a ROUTER", metadata((SOCKET, b"PUB")), "socket-type"),
            ("'dealer'", metadata((SOCKET, b"dealer")), "socket-type")):
        server("initiate: metadata, " + what, make_initiate(md=md), reason, h,
               outcome="ERROR or close" if reason == "socket-type" else "close")
    server("initiate: client key not authorised", initiate, "not-authorised", h, deny=True, outcome="ERROR or close")
    server("initiate: HELLO again", hello, "unexpected-command", h)
    server("initiate: second INITIATE after READY", initiate, "frame-tag", [hello, initiate],
           note="by then it is a data frame, sealed by nobody")
    st, victim = MAIN.new_client(), GREETING_ALTERED
    answer = victim.answer_hello(victim.new_server(), B.client_hello(st, MAIN.c_e))
    server("initiate: client greeting altered in transit", B.client_initiate(st, answer, MAIN.client_metadata),
           "initiate-box", h, base=victim, note="the server saw another octet 5 (padding) of the client greeting: h0 differs")
    # replays on a new connection: the server has the inputs of 'empty' and the same K
    server("replay: HELLO and INITIATE of 'main' on a new connection, same K", initiate, "cookie-of-another-connection", h,
           base=EMPTY, note="the WELCOME must differ from the recorded one: fresh s', cookie nonce, welcome nonce, key")
    server("replay: INITIATE of 'main' after the HELLO of 'empty'", initiate, "cookie-of-another-connection", [EMPTY.hello], base=EMPTY)
    client("replay: WELCOME of 'main' to a new client", welcome, "welcome-box", base=EMPTY)
    client("replay: READY of 'main' to a new client", ready, "ready-box", [EMPTY.welcome], base=EMPTY)
    # READY
    w = [welcome]
    client("ready: tag flipped", flip(ready, -1), "ready-box", w)
    client("ready: wrong AAD", make_ready(MAIN.server_metadata, b"INITIATE"), "ready-box", w)
    client("ready: key made from h2 instead of h3", make_ready(MAIN.server_metadata, h3=t["h2"]), "ready-box", w)
    client("ready: LONG header", long_header(ready), "header-not-minimal", w)
    client("ready: body of 21", command(b"READY", bytes(15)), "ready-size", w)
    client("ready: as a message frame", flip(ready, 0, COMMAND), "not-a-command", w)
    client("ready: WELCOME again", welcome, "unexpected-command", w)
    client("ready: clear-text READY", command(b"READY", MAIN.server_metadata), "ready-box", w)
    client("ready: no metadata (body of 22)", make_ready(b""), "no-socket-type", w)
    client("ready: metadata truncated", make_ready(MAIN.server_metadata[:-1]), "metadata-malformed", w)
    client("ready: PULL to a DEALER", make_ready(metadata((SOCKET, b"PULL"))), "socket-type", w)
    client("ready: ERROR instead", error_command(b"400"), "peer-error", w, note="reason untrusted")
    return out


GREETING_ALTERED = copy.copy(MAIN)             # 'main' as a server sees it whose peer's greeting was altered on the way
GREETING_ALTERED.greetings = flip(GC, 5), GS


# ------------------------------------------------------------------ negative: data phase

def data_negative():
    out = []

    def frames(way, plain, start=0):
        d = MAIN.directions()[way == "s2c"]
        d.n = start
        return [d.seal(p, bool(f & MORE), bool(f & COMMAND)) for p, f in plain]

    def case(name, feed, expect, way="c2s", start=0, note=None):
        r = MAIN.directions()[way == "s2c"]
        r.n, got = start, []
        for f in feed:
            try:
                r.open(f)
                got.append("open")
            except Refused as e:
                got.append(e.reason)
        assert got == expect, (name, got, expect)
        e = dict(name=name, connection="main", direction=way, n=str(start),
                 feed=[dict(frame=f, outcome="open" if x == "open" else "close", reason=None if x == "open" else x)
                       for f, x in zip(feed, expect)])
        if note:
            e["note"] = note
        out.append(e)

    a = frames("c2s", [(b"one", 0), (b"two", 0), (b"three", 0)])
    e = frames("c2s", [(b"", 0)] * 3)
    m = frames("c2s", [(b"", MORE), (b"part", MORE), (b"last", 0)])
    back = frames("s2c", [(b"one", 0)])
    key, n0 = MAIN.directions()[0].key, MAIN.directions()[0].nonce()

    def seal_raw(aad, plaintext, wire=None):
        return (aad if wire is None else wire) + B.ChaCha20Poly1305(key).encrypt(n0, plaintext, aad)

    def nonmin(length):
        return bytes([LONG]) + length.to_bytes(8, "big")

    case("tag flipped, then the right frame", [flip(a[0], -1), a[0]], ["frame-tag", "closed"], note="no second chance")
    case("first tag octet flipped", [flip(a[0], -16, 0x80)], ["frame-tag"])
    case("ciphertext flipped", [flip(a[0], 2)], ["frame-tag"])
    case("last part of a multipart tampered", [m[0], m[1], flip(m[2], -1)], ["open", "open", "frame-tag"], note="deliver nothing")
    case("dropped, then next", [a[0], a[2]], ["open", "frame-tag"])
    case("first dropped", [a[1]], ["frame-tag"])
    case("swapped", [a[1], a[0]], ["frame-tag", "closed"])
    case("replayed", [a[0], a[0]], ["open", "frame-tag"])
    case("replayed empty frame", [e[0], e[0]], ["open", "frame-tag"])
    case("dropped empty frame, equal headers", [e[0], e[2]], ["open", "frame-tag"])
    case("replayed empty part", [m[0], m[0]], ["open", "frame-tag"])
    case("reflected (sealed by the receiver itself)", back, ["frame-tag"])
    case("of another connection", [EMPTY.directions()[0].seal(b"one")], ["frame-tag"])
    case("MORE set in transit", [flip(a[0], 0, MORE)], ["frame-tag"])
    case("MORE cleared in transit", [flip(m[0], 0, MORE)], ["frame-tag"])
    case("COMMAND set in transit", [flip(a[0], 0, COMMAND)], ["frame-tag"])
    case("COMMAND cleared in transit", [flip(frames("c2s", [(ping(0, b""), COMMAND)])[0], 0, COMMAND)], ["frame-tag"])
    case("COMMAND and MORE, sealed so", [seal_raw(header(COMMAND | MORE, 21), b"\x04PING\0\0"[:5])], ["flags-command-more"])
    for bit in (8, 16, 32, 64, 128):
        case(f"reserved flag {bit:02x}, sealed so", [seal_raw(bytes([bit, 19]), b"one")], ["flags-reserved"])
    case("LONG header put on a SHORT frame in transit", [long_header(a[0])], ["header-not-minimal"])
    case("non-minimal LONG header, sealed so", [seal_raw(nonmin(19), b"one")], ["header-not-minimal"])
    case("non-minimal LONG header, sealed over the canonical one", [seal_raw(header(0, 19), b"one", nonmin(19))], ["header-not-minimal"])
    case("non-minimal LONG header of length 255, sealed so", [seal_raw(nonmin(255), inp("nonmin", 239))], ["header-not-minimal"])
    case("wrong AAD: none", [header(0, 19) + B.ChaCha20Poly1305(key).encrypt(n0, b"one", b"")], ["frame-tag"])
    case("wrong AAD: flags only", [header(0, 19) + B.ChaCha20Poly1305(key).encrypt(n0, b"one", b"\0")], ["frame-tag"])
    case("wrong AAD: length of the plaintext", [header(0, 19) + B.ChaCha20Poly1305(key).encrypt(n0, b"one", b"\0\3")], ["frame-tag"])
    case("wrong nonce: n little-endian", [frames("c2s", [(b"one", 0)], 1 << 56)[0]], ["frame-tag"], start=1)
    case("body empty", [b"\0\0"], ["body-short"])
    case("body of 15 octets", [header(0, 15) + a[0][2:17]], ["body-short"])
    case("body of 15 octets, COMMAND", [header(COMMAND, 15) + bytes(15)], ["body-short"])
    case("one octet cut off, length corrected", [header(0, 18) + a[0][2:-1]], ["frame-tag"])
    case("one octet added, length corrected", [header(0, 20) + a[0][2:] + b"\0"], ["frame-tag"])
    case("two frames joined to one", [header(0, 38) + a[0][2:] + a[1][2:]], ["frame-tag"])
    case("length with the top bit", [bytes([LONG, 0x80]) + bytes(7)], ["length-top-bit"], note="header alone suffices")
    case("clear text: message", [header(0, 16) + b"sixteen octets!!"], ["frame-tag"])
    case("clear text: PING", [command(b"PING", bytes(2) + bytes(16))], ["frame-tag"])
    case("clear text: HELLO again", [MAIN.hello], ["frame-tag"])
    case("READY of the handshake again", [MAIN.ready], ["frame-tag"], way="s2c")
    last = frames("c2s", [(b"last", 0)], 2**64 - 2)[0]
    beyond = header(0, 19) + B.ChaCha20Poly1305(key).encrypt(bytes(x ^ y for x, y in zip(n0, bytes(4) + b"\xff" * 8)), b"one", header(0, 19))
    case("n = 2^64-1 is never used", [last, beyond], ["open", "counter"], start=2**64 - 2, note="sealing fails there too")
    return out


def command_frames():
    """COMMAND frames that open; what to do with the command then (RFC 37)."""
    out = []
    for name, plaintext, then in (
            ("empty body", b"", "close"), ("name length 0", b"\0", "close"), ("name runs past the end", b"\x05PING", "close"),
            ("unknown command", b"\x07UNKNOWNdata", "ignore"), ("lower case ping", b"\x04ping\0\0", "ignore"),
            ("READY again", b"\x05READY" + MAIN.server_metadata, "close"), ("ERROR", b"\x05ERROR\x02no", "close, reason for the log"),
            ("PING of 6 octets", b"\x04PING\0", "close"), ("PING with a context of 17", ping(0, bytes(17)), "close"),
            ("PING with a context of 16", ping(0, bytes(16)), "answer PONG with the context"),
            ("PONG with a context of 17", b"\x04PONG" + bytes(17), "close"), ("PONG unasked for", b"\x04PONGx", "ignore"),
            ("SUBSCRIBE at a DEALER", b"\x09SUBSCRIBEtopic", "ignore"), ("JOIN at a DEALER", b"\x04JOINgroup", "ignore")):
        d = MAIN.directions()[0]
        out.append(dict(name=name, connection="main", direction="c2s", n="0", plaintext=plaintext, frame=d.seal(plaintext, command=True), then=then))
    return out


def kdf_list():
    """Each context string with the ikm of 'main' and the whole output."""
    t = MAIN.client
    ikms = {"HELLO key": t["dh1"], "HELLO nonce": t["C_e"], "cookie": K, "WELCOME key": t["dh1"] + t["welcome_nonce"],
            "VOUCH key": t["dh3"] + t["h2"], "VOUCH nonce": t["dh3"] + t["h2"], "INITIATE key": t["dh2"] + t["h2"],
            "INITIATE nonce": t["dh2"] + t["h2"], "READY key": t["dh2"] + t["h3"], "READY nonce": t["dh2"] + t["h3"]}
    for w in ("client->server", "server->client"):
        ikms[w + " key"] = ikms[w + " iv"] = t["h4"] + t["dh2"]
    size = lambda ctx: 24 if ctx.endswith("nonce") else 12 if ctx.endswith("iv") else 32
    return [dict(context=f"{B.L.decode()} {ctx}", ikm=ikm, size=size(ctx), out=KDF(ctx, ikm, size(ctx))) for ctx, ikm in ikms.items()]


def build():
    return hexed(dict(
        generated_by="make_vectors.py with blake3_chachapoly.py, an independent reference written from the text of the specification alone",
        versions={"python": ".".join(map(str, sys.version_info[:2])), **{p: version(p) for p in ("blake3", "cryptography", "PyNaCl")}},
        inputs_are=f"SHAKE256(ASCII '{PREFIX}' + label), as many octets as needed; labels: those of `keys`, '<connection> c\\'' (c_e), '<connection> s\\'' (s_e), "
                   "'<connection> cookie nonce', '<connection> welcome nonce' (24 each), and plaintext_label of a data frame (`size` octets); all others appear in full",
        notation="all octets lower-case hex; x_e is x' (ephemeral); frames with their header; n is a decimal string where it may exceed 2^53; 'main.hello' in a feed names a frame of `handshakes`. "
                 "negative_handshake: the role has the inputs and greetings of `connection` (greetings: client_greeting if given), every frame of `feed` but the last is accepted; `replies` is all that the role "
                 "sends in answer to the feed (the client's HELLO not counted). negative_data: `feed` into a receiver whose next frame number is n; after one close everything is refused. `reason` is the reference's own name.",
        label=B.L.decode(),
        keys={"server permanent secret s": s, "client permanent secret c": c, "cookie key K": K, "S": S, "C": C},
        handshakes=[dict(x.json(), data=data_frames(x, DATA[x.name])) for x in CONNECTIONS],
        ready_boundary=ready_boundary(), kdf=kdf_list(), counters=counters(),
        negative_handshake=handshake_negative(),
        negative_data=data_negative(), command_frames=command_frames()))


def dump():
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(PATH)
    with open(path, "w") as f:
        f.write(dump())
    print(path, os.path.getsize(path))
