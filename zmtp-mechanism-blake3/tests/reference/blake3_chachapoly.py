"""BLAKE3-CHACHAPOLY: an independent reference, written from the text of its specification and of ZMTP 3.1 (RFC 37),
and from no other code.

Names follow the specification; a prime is written `_e` (C' is C_e, c' is c_e, S' is S_e, s' is s_e).
The handshake is plain functions over a dictionary `st` (one per connection) that also keeps every
intermediate value by name, for the vectors. A real implementation wipes them. All randomness is an argument.
Every refusal is the exception Refused: close the connection.
"""
import hmac
import struct

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

L = b"BLAKE3-CHACHAPOLY-1.0"                 # label
MECHANISM = b"BLAKE3-CHACHAPOLY"             # in the greeting, NUL padded to 20
TAG = 16                                     # T
MORE, LONG, COMMAND = 1, 2, 4
HELLO_BODY, WELCOME_BODY, INITIATE_MIN, READY_MIN = 240, 216, 273, 22
COOKIE_SIZE, VOUCH_SIZE = 136, 80
MAX_HANDSHAKE_BODY = 65536                   # of this implementation
MAX_PROPERTIES = 64                          # of this implementation
N_LIMIT = 2**64 - 1                          # never used as n
MAX_PLAINTEXT = 2**38 - 64


class Refused(Exception):
    """Close the connection. `reason` is a short name of the check that failed."""

    def __init__(self, reason, text=""):
        super().__init__(f"{reason}: {text}" if text else reason)
        self.reason = reason


class PeerError(Refused):
    """The peer sent ERROR: unauthenticated clear text, reported as such."""

    def __init__(self, text):
        super().__init__("peer-error", text)
        self.text = text


# ---------------------------------------------------------------- primitives

def H(x):
    return blake3(x).digest()


def KDF(ctx, ikm, size=32):
    """BLAKE3 derive_key mode, context string L ‖ " " ‖ ctx."""
    return blake3(ikm, derive_key_context=f"{L.decode()} {ctx}").digest(length=size)


def KDF24(ctx, ikm):
    return KDF(ctx, ikm, 24)


def KDF12(ctx, ikm):
    return KDF(ctx, ikm, 12)


def public(sk):
    return X25519PrivateKey.from_private_bytes(sk).public_key().public_bytes_raw()


def X25519(sk, pk, name="dh"):
    try:
        shared = X25519PrivateKey.from_private_bytes(sk).exchange(X25519PublicKey.from_public_bytes(pk))
    except ValueError:                       # how the library tells the all-zero output
        shared = bytes(32)
    if shared == bytes(32):
        raise Refused(f"{name}-zero")
    return shared


def box_seal(key, nonce, text, aad):
    """XChaCha20-Poly1305; aad is the ASCII command word without length octet."""
    return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(text, aad, nonce, key)


def box_open(key, nonce, box, aad):
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box, aad, nonce, key)
    except (CryptoError, ValueError):
        raise Refused(f"{aad.decode().lower()}-box") from None


def same(a, b):
    return hmac.compare_digest(a, b)


# ---------------------------------------------------------------- greeting, headers, metadata

def greeting(server):
    g = b"\xff" + bytes(8) + b"\x7f\x03\x01" + MECHANISM.ljust(20, b"\0") + bytes([server]) + bytes(31)
    assert len(g) == 64
    return g


def check_greeting(g):
    if len(g) != 64 or g[0] != 0xFF or g[9] != 0x7F or g[10] < 3:
        raise Refused("greeting")
    if g[12:32] != MECHANISM.ljust(20, b"\0"):
        raise Refused("mechanism")           # as-server, padding, filler: ignored (but hashed)


def header(flags, length):
    """The only canonical header: LONG if and only if length > 255."""
    if length > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", length)
    return bytes([flags, length])


def split_header(frame):
    """frame -> (flags, header, body); refuses all that is not one canonical frame."""
    if len(frame) < 2:
        raise Refused("frame-short")
    flags = frame[0]
    if flags & 0xF8:
        raise Refused("flags-reserved")
    if flags & COMMAND and flags & MORE:
        raise Refused("flags-command-more")
    size = 9 if flags & LONG else 2
    if len(frame) < size:
        raise Refused("frame-short")
    length = struct.unpack(">Q", frame[1:9])[0] if flags & LONG else frame[1]
    if flags & LONG and length <= 255:
        raise Refused("header-not-minimal")
    if length >> 63:
        raise Refused("length-top-bit")
    if len(frame) - size != length:
        raise Refused("frame-length")
    return flags, frame[:size], frame[size:]


def command(name, data):
    body = bytes([len(name)]) + name + data
    return header(COMMAND, len(body)) + body


def split_command(frame, name):
    """A handshake frame: COMMAND, canonical, of this name; returns the data after the name."""
    flags, _, body = split_header(frame)
    if not flags & COMMAND:
        raise Refused("not-a-command")
    if len(body) > MAX_HANDSHAKE_BODY:
        raise Refused("too-large")
    if not body or body[0] == 0 or len(body) < 1 + body[0]:
        raise Refused("command-malformed")
    got, data = body[1:1 + body[0]], body[1 + body[0]:]
    if got == b"ERROR" and name in (b"WELCOME", b"READY"):       # only a server sends ERROR
        if not data or len(data) < 1 + data[0]:
            raise Refused("error-malformed")
        raise PeerError(data[1:1 + data[0]].decode("ascii", "backslashreplace"))
    if got != name:
        raise Refused("unexpected-command")
    return data


def error_command(reason):
    return command(b"ERROR", bytes([len(reason)]) + reason)


def metadata(*properties):
    return b"".join(bytes([len(n)]) + n + struct.pack(">I", len(v)) + v for n, v in properties)


NAME_CHARS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+")


def parse_metadata(m):
    """Strict; returns the list of (name, value) in wire order."""
    out, once, at = [], set(), 0
    while at < len(m):
        n = m[at]
        name = m[at + 1:at + 1 + n]
        at += 1 + n
        if n == 0 or len(name) != n or not NAME_CHARS.issuperset(name) or len(m) - at < 4:
            raise Refused("metadata-malformed")
        size = struct.unpack(">I", m[at:at + 4])[0]
        value = m[at + 4:at + 4 + size]
        if size >> 31 or len(value) != size:
            raise Refused("metadata-malformed")
        at += 4 + size
        low = name.lower()
        if low in (b"socket-type", b"identity", b"resource"):
            if low in once:
                raise Refused("metadata-duplicate")
            once.add(low)
        if low == b"identity" and size > 255:
            raise Refused("identity-too-long")
        out.append((name, value))
    if len(out) > MAX_PROPERTIES:
        raise Refused("metadata-too-many")
    if b"socket-type" not in once:
        raise Refused("no-socket-type")
    return out


def get_property(properties, name):
    return next((v for n, v in properties if n.lower() == name.lower()), None)


ACCEPTS = {k: v.split() for k, v in {
    "REQ": "REP ROUTER", "REP": "REQ DEALER", "DEALER": "REP DEALER ROUTER", "ROUTER": "REQ DEALER ROUTER",
    "PUB": "SUB XSUB", "XPUB": "SUB XSUB", "SUB": "PUB XPUB", "XSUB": "PUB XPUB", "PUSH": "PULL", "PULL": "PUSH",
    "PAIR": "PAIR", "CLIENT": "SERVER", "SERVER": "CLIENT", "RADIO": "DISH", "DISH": "RADIO",
    "SCATTER": "GATHER", "GATHER": "SCATTER", "PEER": "PEER", "CHANNEL": "CHANNEL"}.items()}


def check_socket_type(own_metadata, peer_properties):
    own = get_property(parse_metadata(own_metadata), b"Socket-Type").decode()
    peer = get_property(peer_properties, b"Socket-Type")
    if peer not in [t.encode() for t in ACCEPTS[own]]:
        raise Refused("socket-type")


# ---------------------------------------------------------------- cookie keys

class CookieKeys:
    """K is replaced at least every 60 s; the previous one is kept for one more period, then wiped, also after
    an idle spell. `now` and `random32` are given by the caller. Lazy: rotated when asked."""
    PERIOD = 60

    def __init__(self, now, random32):
        self.random32, self.born = random32, now
        self.current, self.previous = random32(), None

    def at(self, now):
        """The keys valid now: [current] or [current, previous]."""
        periods = int((now - self.born) // self.PERIOD)
        if periods >= 1:
            self.previous = self.current if periods == 1 else None
            self.current = self.random32()
            self.born += periods * self.PERIOD
        return [k for k in (self.current, self.previous) if k]


# ---------------------------------------------------------------- handshake
# Both roles: st = start(...), then one call per received command, in this order only.

def start(role, client_greeting, server_greeting, **keys):
    check_greeting(server_greeting if role == "client" else client_greeting)
    return dict(role=role, state="start", h0=H(L + client_greeting + server_greeting), **keys)


def step(st, before, after):
    """Strict order of states; a failing step leaves the connection 'closed'."""
    if st["state"] != before:
        st["state"] = "closed"
        raise Refused("out-of-order")
    st["state"] = "closed"
    return after


def client_hello(st, c_e):
    """HELLO. st has c (permanent secret of the client) and S (permanent public key of the server)."""
    after = step(st, "start", "hello-sent")
    C_e, dh1 = public(c_e), X25519(c_e, st["S"], "dh1")
    hello_key, hello_nonce = KDF("HELLO key", dh1), KDF24("HELLO nonce", C_e)
    hello_box = box_seal(hello_key, hello_nonce, bytes(64), b"HELLO")
    hello = command(b"HELLO", b"\x01\x00" + C_e + bytes(120) + hello_box)
    st.update(c_e=c_e, C_e=C_e, dh1=dh1, hello_key=hello_key, hello_nonce=hello_nonce, hello_box=hello_box,
              h1=H(st["h0"] + hello), state=after)
    return hello


def server_welcome(st, hello, s_e, K, cookie_nonce, welcome_nonce):
    """HELLO -> WELCOME. st has s (permanent secret of the server). No reply to a refused HELLO, not even ERROR."""
    after = step(st, "start", "welcome-sent")
    data = split_command(hello, b"HELLO")
    if len(data) != HELLO_BODY - 6:
        raise Refused("hello-size")
    version, C_e, zeros, hello_box = data[:2], data[2:34], data[34:154], data[154:]
    if version != b"\x01\x00":
        raise Refused("hello-version")
    if zeros != bytes(120):
        raise Refused("hello-padding")       # README, reading 2
    dh1 = X25519(st["s"], C_e, "dh1")
    hello_key, hello_nonce = KDF("HELLO key", dh1), KDF24("HELLO nonce", C_e)
    if not same(box_open(hello_key, hello_nonce, hello_box, b"HELLO"), bytes(64)):
        raise Refused("hello-zeros")
    h1 = H(st["h0"] + hello)

    S_e = public(s_e)
    cookie_key, cookie_plaintext = KDF("cookie", K), C_e + s_e + h1
    cookie = cookie_nonce + box_seal(cookie_key, cookie_nonce, cookie_plaintext, b"COOKIE")
    welcome_key = KDF("WELCOME key", dh1 + welcome_nonce)
    welcome_box = box_seal(welcome_key, welcome_nonce, S_e + cookie, b"WELCOME")
    welcome = command(b"WELCOME", welcome_nonce + welcome_box)
    # What the server keeps: the cookie's nonce and h2. The rest of st is for the vectors.
    st.update(dh1=dh1, hello_key=hello_key, hello_nonce=hello_nonce, h1=h1, S_e=S_e, cookie_key=cookie_key,
              cookie_nonce=cookie_nonce, cookie_plaintext=cookie_plaintext, cookie=cookie, welcome_key=welcome_key,
              welcome_nonce=welcome_nonce, welcome_box=welcome_box, h2=H(h1 + welcome), state=after)
    return welcome


def client_initiate(st, welcome, own_metadata):
    """WELCOME -> INITIATE."""
    after = step(st, "hello-sent", "initiate-sent")
    data = split_command(welcome, b"WELCOME")
    if len(data) != WELCOME_BODY - 8:
        raise Refused("welcome-size")
    welcome_nonce, welcome_box = data[:24], data[24:]
    welcome_key = KDF("WELCOME key", st["dh1"] + welcome_nonce)
    text = box_open(welcome_key, welcome_nonce, welcome_box, b"WELCOME")
    S_e, cookie = text[:32], text[32:]
    h2 = H(st["h1"] + welcome)
    dh2, dh3 = X25519(st["c_e"], S_e, "dh2"), X25519(st["c"], S_e, "dh3")

    C, C_e = public(st["c"]), st["C_e"]
    vouch_key, vouch_nonce = KDF("VOUCH key", dh3 + h2), KDF24("VOUCH nonce", dh3 + h2)
    vouch = box_seal(vouch_key, vouch_nonce, C_e + st["S"], b"VOUCH")
    initiate_key, initiate_nonce = KDF("INITIATE key", dh2 + h2), KDF24("INITIATE nonce", dh2 + h2)
    initiate_box = box_seal(initiate_key, initiate_nonce, C + vouch + own_metadata, b"INITIATE")
    initiate = command(b"INITIATE", cookie + initiate_box)
    st.update(welcome_nonce=welcome_nonce, welcome_key=welcome_key, welcome_box=welcome_box, S_e=S_e, cookie=cookie,
              h2=h2, dh2=dh2, dh3=dh3, C=C, vouch_key=vouch_key, vouch_nonce=vouch_nonce, vouch_plaintext=C_e + st["S"],
              vouch=vouch, initiate_key=initiate_key, initiate_nonce=initiate_nonce, initiate_box=initiate_box,
              own_metadata=own_metadata, h3=H(h2 + initiate), state=after)
    return initiate


def server_accept(st, initiate, Ks, own_metadata, authenticate=lambda C: True):
    """INITIATE -> (C, properties). Ks: the cookie keys valid now, current first. On a Refused with reason
    'not-authorised' or 'socket-type' the server may send ERROR before it closes."""
    after = step(st, "welcome-sent", "initiate-accepted")       # one INITIATE per connection
    data = split_command(initiate, b"INITIATE")
    if len(data) < INITIATE_MIN - 9:
        raise Refused("initiate-size")
    cookie, initiate_box = data[:COOKIE_SIZE], data[COOKIE_SIZE:]
    if not same(cookie[:24], st["cookie_nonce"]):
        raise Refused("cookie-of-another-connection")           # before opening it
    for K in Ks:
        try:
            cookie_plaintext = box_open(KDF("cookie", K), cookie[:24], cookie[24:], b"COOKIE")
            break
        except Refused:
            pass
    else:
        raise Refused("cookie-box")
    C_e, s_e, h1 = cookie_plaintext[:32], cookie_plaintext[32:64], cookie_plaintext[64:]
    h2, S = st["h2"], public(st["s"])
    X25519(st["s"], C_e, "dh1")
    dh2 = X25519(s_e, C_e, "dh2")
    initiate_key, initiate_nonce = KDF("INITIATE key", dh2 + h2), KDF24("INITIATE nonce", dh2 + h2)
    text = box_open(initiate_key, initiate_nonce, initiate_box, b"INITIATE")
    C, vouch, peer_metadata = text[:32], text[32:32 + VOUCH_SIZE], text[32 + VOUCH_SIZE:]
    dh3 = X25519(s_e, C, "dh3")
    vouch_key, vouch_nonce = KDF("VOUCH key", dh3 + h2), KDF24("VOUCH nonce", dh3 + h2)
    if not same(box_open(vouch_key, vouch_nonce, vouch, b"VOUCH"), C_e + S):
        raise Refused("vouch-content")
    if not authenticate(C):
        raise Refused("not-authorised")
    properties = parse_metadata(peer_metadata)
    check_socket_type(own_metadata, properties)
    st.update(h1=h1, dh2=dh2, dh3=dh3, C=C, C_e=C_e, S=S, h3=H(h2 + initiate), own_metadata=own_metadata, state=after)
    return C, properties


def server_ready(st):
    """-> READY; the session keys follow."""
    after = step(st, "initiate-accepted", "done")
    ready_key, ready_nonce = KDF("READY key", st["dh2"] + st["h3"]), KDF24("READY nonce", st["dh2"] + st["h3"])
    ready_box = box_seal(ready_key, ready_nonce, st["own_metadata"], b"READY")
    ready = command(b"READY", ready_box)
    st.update(ready_key=ready_key, ready_nonce=ready_nonce, ready_box=ready_box, h4=H(st["h3"] + ready), state=after)
    return ready


def client_finish(st, ready):
    """READY -> properties of the server."""
    after = step(st, "initiate-sent", "done")
    data = split_command(ready, b"READY")
    if len(data) < READY_MIN - 6:
        raise Refused("ready-size")
    ready_key, ready_nonce = KDF("READY key", st["dh2"] + st["h3"]), KDF24("READY nonce", st["dh2"] + st["h3"])
    properties = parse_metadata(box_open(ready_key, ready_nonce, data, b"READY"))
    check_socket_type(st["own_metadata"], properties)
    st.update(ready_key=ready_key, ready_nonce=ready_nonce, ready_box=data, h4=H(st["h3"] + ready), state=after)
    return properties


# ---------------------------------------------------------------- data phase

class Direction:
    """One direction of the data phase: key, iv and the number n of the next frame."""

    def __init__(self, key, iv, n=0):
        self.key, self.iv, self.n, self.dead = key, iv, n, False

    def nonce(self):
        counter = bytes(4) + struct.pack(">Q", self.n)
        return bytes(a ^ b for a, b in zip(self.iv, counter))

    def seal(self, plaintext, more=False, command=False):
        if more and command:
            raise Refused("flags-command-more")
        if len(plaintext) > MAX_PLAINTEXT:
            raise Refused("too-large")
        if self.n == N_LIMIT:
            raise Refused("counter")
        aad = header(MORE * more | COMMAND * command, len(plaintext) + TAG)
        sealed = ChaCha20Poly1305(self.key).encrypt(self.nonce(), plaintext, aad)
        self.n += 1
        return aad + sealed

    def open(self, frame):
        """frame -> (plaintext, more, command). After a refusal the direction stays refused."""
        try:
            if self.dead:
                raise Refused("closed")
            flags, aad, body = split_header(frame)
            if len(body) < TAG:
                raise Refused("body-short")
            if len(body) - TAG > MAX_PLAINTEXT:
                raise Refused("too-large")
            if self.n == N_LIMIT:
                raise Refused("counter")
            try:
                plaintext = ChaCha20Poly1305(self.key).decrypt(self.nonce(), body, aad)
            except InvalidTag:
                raise Refused("frame-tag") from None
            self.n += 1
            return plaintext, bool(flags & MORE), bool(flags & COMMAND)
        except Refused:
            self.dead = True
            raise


def session_keys(st):
    """-> (client->server, server->client) as two Direction."""
    if st["state"] != "done":
        raise Refused("out-of-order")
    ikm = st["h4"] + st["dh2"]
    return tuple(Direction(KDF(f"{way} key", ikm), KDF12(f"{way} iv", ikm))
                 for way in ("client->server", "server->client"))
