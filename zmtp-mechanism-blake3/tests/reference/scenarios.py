"""The scenarios of peer.py: functions of a Peer after its handshake; True if all went as it should."""
import blake3_chachapoly as B
from blake3_chachapoly import COMMAND, LONG, MORE, TAG, Refused
from wire import Closed, event, short


def content(size):
    """Content of a message part of this size: octet i is (7 i + size) mod 256."""
    return (bytes((7 * i + size) & 255 for i in range(256)) * (size // 256 + 1))[:size]


def echo(p):
    n = 0
    try:
        while not p.o.count or n < p.o.count:
            p.send(*p.receive())
            n += 1
    except Closed:
        return not p.o.count
    return True


def sink(p):
    for _ in range(p.o.count):
        p.receive()
    return True


def send_only(p):
    for size in p.o.sizes:
        p.send(content(size))
    return p.until_closed(0)


def send(p):
    for size in p.o.sizes:
        p.send(content(size))
        if p.receive() != [content(size)]:
            return False
    return True


def multipart(p):
    parts = [content(size) for size in p.o.sizes]
    p.send(*parts)
    return p.receive() == parts


def await_pong(p, context):
    parts = []
    while context not in p.pongs:
        if p.frame(parts):
            parts = []
    return True


def ping(p):
    for context in (b"", b"ctx", b"sixteen octets!!"):
        p.pongs.clear()
        p.send_command(b"\x04PING" + (600).to_bytes(2, "big") + context)
        await_pong(p, context)
    return True


def commands(p):
    """Commands a DEALER ignores, a long one, PING between two parts of a message; then the echo and the PONG."""
    for body in (b"\x09SUBSCRIBEtopic", b"\x09SUBSCRIBE" + content(300), b"\x06CANCELtopic", b"\x04JOINgroup", b"\x05LEAVEgroup",
                 b"\x07UNKNOWNdata", b"\x04PONGunasked"):
        p.send_command(body)
    p.w.write(p.out.seal(b"first", more=True))
    p.send_command(b"\x04PING\0\0between")
    p.w.write(p.out.seal(b"second"))
    return p.receive() == [b"first", b"second"] and await_pong(p, b"between")


BAD_COMMANDS = {"empty": b"", "no-name": b"\0", "name-past-end": b"\x05PING", "ready": b"\x05READY", "error": b"\x05ERROR\x02no",
                "ping-short": b"\x04PING\0", "ping-long": b"\x04PING" + bytes(19)}


def bad_command(p):
    p.send_command(BAD_COMMANDS[p.o.tamper])
    return p.until_closed(0)


def tampered(o, kind):
    """What goes on the wire instead of the next frames of Direction o."""
    key, nonce = o.key, o.nonce()

    def sealed(aad, text=b"tampered"):
        return aad + B.ChaCha20Poly1305(key).encrypt(nonce, text, aad)

    if kind in ("reserved", "nonminimal-sealed", "command-more", "no-aad"):
        size = 8 + TAG
        return {"reserved": lambda: sealed(bytes([8, size])),
                "nonminimal-sealed": lambda: sealed(bytes([LONG]) + size.to_bytes(8, "big")),
                "command-more": lambda: sealed(bytes([COMMAND | MORE, size])),
                "no-aad": lambda: bytes([0, size]) + sealed(b"")}[kind]()
    a, b = o.seal(b"tampered"), o.seal(b"tampered")
    return {"tag": lambda: a[:-1] + bytes([a[-1] ^ 1]), "ciphertext": lambda: a[:2] + bytes([a[2] ^ 1]) + a[3:],
            "more": lambda: bytes([a[0] ^ MORE]) + a[1:], "command": lambda: bytes([a[0] ^ COMMAND]) + a[1:],
            "drop": lambda: b, "swap": lambda: b + a, "nonminimal": lambda: bytes([LONG]) + a[1].to_bytes(8, "big") + a[2:],
            "short": lambda: bytes([0, 15]) + a[2:17], "cut": lambda: bytes([0, a[1] - 1]) + a[2:-1],
            "clear": lambda: B.header(0, 32) + content(32), "clear-ping": lambda: B.command(b"PING", bytes(18))}[kind]()


def tamper(p):
    """One good message, then a bad frame and a good one: the peer may answer the first only, and closes."""
    p.send(b"before")
    if p.o.tamper in ("replay", "part"):
        a = p.out.seal(b"", more=p.o.tamper == "part")
        b = p.out.seal(b"last")
        p.w.write(a + (a if p.o.tamper == "replay" else b[:-1] + bytes([b[-1] ^ 1])))
        most = 2 if p.o.tamper == "replay" else 1
    else:
        p.w.write(tampered(p.out, p.o.tamper))
        most = 1
    event("sent", what="tampered: " + p.o.tamper)
    try:
        p.send(b"after")
    except Closed:
        pass
    return p.until_closed(most)


def replay(p, again):
    """Sends what was sent in this session once more on a new connection; the peer must not accept it."""
    p.send(b"recorded")
    recorded, client = p.w.sent, p.o.role == "client"
    first_reply = p.w.first_reply
    p.w.close()
    w = again()
    w.write(recorded[0])                                    # greeting
    w.read(64)
    ok = True
    if client:
        w.write(recorded[1])                                # HELLO
        welcome = w.frame()
        ok = welcome[10:34] != first_reply[10:34] and welcome[34:] != first_reply[34:]
        event("sent", what="HELLO replayed", new_welcome=ok)
    else:
        w.frame()                                           # a new HELLO
        w.write(recorded[1])
    try:
        w.write(b"".join(recorded[2:]))
        event("sent", what="all the rest replayed")
        try:
            reply = w.frame()                               # ERROR is allowed, anything else is acceptance
            ok = ok and reply[2:8] == b"\x05ERROR"
            event("error", where="replay", reason="answered", hex=short(reply))
            w.read(1)
            ok = False
        except Refused:
            ok = False
    except Closed:
        event("closed", messages=0)
    w.close()
    return ok


SCENARIOS = {f.__name__.replace("_", "-"): f for f in (echo, sink, send_only, send, multipart, ping, commands, bad_command, tamper, replay)}
