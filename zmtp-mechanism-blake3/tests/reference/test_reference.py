"""Self-checks, run with plain `python test_reference.py [--quick]` (--quick leaves out the TCP peers)."""
import hashlib
import json
import os
import random
import subprocess
import sys

from nacl import bindings as sodium

import blake3_chachapoly as B
import make_vectors as V
from blake3_chachapoly import KDF, KDF24, Direction, Refused

HERE = os.path.dirname(os.path.abspath(__file__))
unhex = bytes.fromhex


def refused(f, *args, reason=None, **kw):
    try:
        f(*args, **kw)
    except Refused as e:
        assert reason is None or e.reason == reason, (e.reason, reason)
        return e
    raise AssertionError("accepted: " + str(reason))


def test_primitives():
    """Published known answers: BLAKE3 test vectors, RFC 7748 5.2, RFC 8439 2.8.2, draft-irtf-cfrg-xchacha A.3.1."""
    assert B.H(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    got = B.blake3(b"", derive_key_context="BLAKE3 2019-12-27 16:29:52 test vectors context").hexdigest()
    assert got == "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"
    nine = unhex("09" + "00" * 31)                           # RFC 7748 5.2, one iteration
    assert B.X25519(nine, nine).hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
    aad, key = unhex("50515253c0c1c2c3c4c5c6c7"), bytes(range(0x80, 0xA0))
    box = B.ChaCha20Poly1305(key).encrypt(unhex("070000004041424344454647"), text, aad)
    assert box[:8].hex() == "d31a8d34648e60db" and box[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    box = B.box_seal(key, bytes(range(0x40, 0x58)), text, aad)
    assert box[:8].hex() == "bd6d179d3e83d43b" and box[-16:].hex() == "c0875924c1c7987947deafd8780acf49"
    assert KDF("x", b"y")[:24] == KDF24("x", b"y")
    for point in V.low_order().values():
        refused(B.X25519, V.inp("any"), point, reason="dh-zero")


def test_file_is_current():
    """All but the versions of what made it."""
    with open(V.PATH) as f:
        old = json.load(f)
    new = json.loads(V.dump())
    old.pop("versions"), new.pop("versions")
    assert old == new, "run make_vectors.py"


def test_vectors_by_hand():
    """Reads the file with as little of the reference as can be: other libraries, formulas written out."""
    with open(V.PATH) as f:
        j = json.load(f)
    import blake3
    h = lambda *x: blake3.blake3(b"".join(x)).digest()
    kdf = lambda ctx, ikm, n: blake3.blake3(ikm, derive_key_context="BLAKE3-CHACHAPOLY-1.0 " + ctx).digest(length=n)
    s = unhex(j["keys"]["server permanent secret s"])
    for hs in j["handshakes"]:
        m = {k: unhex(v) for k, v in hs["intermediate"].items()}
        i = {k: unhex(v) for k, v in hs["inputs"].items()}
        hello, welcome, initiate, ready = (unhex(hs[k]) for k in ("hello", "welcome", "initiate", "ready"))
        assert (len(hello), len(welcome), len(initiate)) == (242, 218, 9 + 273 + len(i["client_metadata"]))
        h0 = h(b"BLAKE3-CHACHAPOLY-1.0", unhex(hs["client_greeting"]), unhex(hs["server_greeting"]))
        h1 = h(h0, hello); h2 = h(h1, welcome); h3 = h(h2, initiate); h4 = h(h3, ready)
        assert [h0, h1, h2, h3, h4] == [m[f"h{n}"] for n in range(5)]
        assert sodium.crypto_scalarmult(s, m["C_e"]) == m["dh1"]
        assert sodium.crypto_scalarmult(i["s_e"], m["C_e"]) == m["dh2"]
        assert sodium.crypto_scalarmult(i["s_e"], unhex(j["keys"]["C"])) == m["dh3"]
        op = lambda box, aad, nonce, key: sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box, aad, nonce, key)
        assert op(hello[162:], b"HELLO", kdf("HELLO nonce", m["C_e"], 24), kdf("HELLO key", m["dh1"], 32)) == bytes(64)
        n = welcome[10:34]
        assert n == i["welcome_nonce"]
        S_e_cookie = op(welcome[34:], b"WELCOME", n, kdf("WELCOME key", m["dh1"] + n, 32))
        assert S_e_cookie == m["S_e"] + m["cookie"] and initiate[18:154] == m["cookie"]
        K = unhex(j["keys"]["cookie key K"])
        assert op(m["cookie"][24:], b"COOKIE", m["cookie"][:24], kdf("cookie", K, 32)) == m["C_e"] + i["s_e"] + h1
        ikm = m["dh2"] + h2
        inner = op(initiate[154:], b"INITIATE", kdf("INITIATE nonce", ikm, 24), kdf("INITIATE key", ikm, 32))
        assert inner == unhex(j["keys"]["C"]) + m["vouch"] + i["client_metadata"]
        ikm = m["dh3"] + h2
        assert op(m["vouch"], b"VOUCH", kdf("VOUCH nonce", ikm, 24), kdf("VOUCH key", ikm, 32)) == m["C_e"] + unhex(j["keys"]["S"])
        ikm = m["dh2"] + h3
        body = ready[(9 if ready[0] & 2 else 2) + 6:]
        assert op(body, b"READY", kdf("READY nonce", ikm, 24), kdf("READY key", ikm, 32)) == i["server_metadata"]
        for d in hs["data"]:
            way = {"c2s": "client->server", "s2c": "server->client"}[d["direction"]]
            key, iv = kdf(way + " key", h4 + m["dh2"], 32), kdf(way + " iv", h4 + m["dh2"], 12)
            nonce = (int.from_bytes(iv, "big") ^ d["n"]).to_bytes(12, "big")
            label = (V.PREFIX + d.get("plaintext_label", "")).encode()
            text = unhex(d["plaintext"]) if "plaintext" in d else hashlib.shake_256(label).digest(d["size"])
            if "plaintext_label" in d:
                assert text == hashlib.shake_256(label).digest(d["size"])
            frame = unhex(d["aad"]) + sodium.crypto_aead_chacha20poly1305_ietf_encrypt(text, unhex(d["aad"]), nonce, key)
            assert len(text) == d["size"] and nonce.hex() == d["nonce"]
            assert frame.hex() == d["frame"] if "frame" in d else hashlib.sha256(frame).hexdigest() == d["frame_sha256"]


def handshake(rnd, client_md, server_md):
    s, c, K = (rnd.randbytes(32) for _ in range(3))
    gc, gs = B.greeting(0), B.greeting(1)
    cl, sv = B.start("client", gc, gs, c=c, S=B.public(s)), B.start("server", gc, gs, s=s)
    hello = B.client_hello(cl, rnd.randbytes(32))
    welcome = B.server_welcome(sv, hello, rnd.randbytes(32), K, rnd.randbytes(24), rnd.randbytes(24))
    initiate = B.client_initiate(cl, welcome, client_md)
    C, props = B.server_accept(sv, initiate, [K], server_md)
    assert C == B.public(c) and B.metadata(*props) == client_md
    ready = B.server_ready(sv)
    assert B.metadata(*B.client_finish(cl, ready)) == server_md
    return B.session_keys(cl), B.session_keys(sv)


def test_in_memory():
    rnd = random.Random(1)
    for size in (0, 1, 100, 200, 208, 209, 60000):
        md = B.metadata((b"Socket-Type", b"DEALER"), (b"X", rnd.randbytes(size)))
        (c_out, c_in), (s_in, s_out) = handshake(rnd, md, md)
        assert len({c_out.key, c_in.key}) == 2 and (c_out.key, c_in.iv) == (s_in.key, s_out.iv)
        for n in range(40):
            p, more, cmd = rnd.randbytes(rnd.choice((0, 1, 16, 239, 240, 5000))), rnd.random() < .3, False
            if not more:
                cmd = rnd.random() < .3
            for o, i in ((c_out, s_in), (s_out, c_in)):
                assert i.open(o.seal(p, more, cmd)) == (p, more, cmd) and i.n == n + 1


def test_every_octet_counts():
    """Each octet of each handshake frame and of a data frame altered: refused in this step or (WELCOME never) later."""
    rnd, M = random.Random(2), V.MAIN
    for at in range(len(M.hello)):
        refused(M.answer_hello, M.new_server(), V.flip(M.hello, at, 1 << rnd.randrange(8)))
    for at in range(len(M.welcome)):
        st = M.new_client()
        B.client_hello(st, M.c_e)
        refused(B.client_initiate, st, V.flip(M.welcome, at, 1 << rnd.randrange(8)), M.client_metadata)
    for at in range(len(M.initiate)):
        st = M.new_server()
        M.answer_hello(st, M.hello)
        refused(B.server_accept, st, V.flip(M.initiate, at, 1 << rnd.randrange(8)), [V.K], M.server_metadata)
        refused(B.server_accept, st, M.initiate, [V.K], M.server_metadata, reason="out-of-order")   # no second chance
        refused(B.server_ready, st, reason="out-of-order")
    for at in range(len(M.ready)):
        st = M.new_client()
        B.client_hello(st, M.c_e)
        B.client_initiate(st, M.welcome, M.client_metadata)
        refused(B.client_finish, st, V.flip(M.ready, at, 1 << rnd.randrange(8)))
        refused(B.session_keys, st, reason="out-of-order")
    frame = M.directions()[0].seal(V.inp("x", 300))
    for at in range(len(frame)):
        refused(M.directions()[0].open, V.flip(frame, at, 1 << rnd.randrange(8)))


def test_limits():
    d = Direction(bytes(32), bytes(12), 2**64 - 2)
    d.seal(b"")
    refused(d.seal, b"", reason="counter")
    refused(d.seal, b"", more=True, command=True, reason="flags-command-more")
    assert B.header(0, 255) == b"\0\xff" and B.header(B.MORE, 256) == b"\x03" + (256).to_bytes(8, "big")
    for g in (bytes(64), B.greeting(0)[:63], V.flip(B.greeting(0), 0), V.flip(B.greeting(0), 9), V.flip(B.greeting(0), 10)):
        refused(B.check_greeting, g, reason="greeting")
    refused(B.check_greeting, V.flip(B.greeting(0), 31), reason="mechanism")
    assert B.MAX_PLAINTEXT == 2**38 - 64


def test_cookie_keys():
    fresh = iter(bytes([i]) * 32 for i in range(9))
    k = B.CookieKeys(1000, lambda: next(fresh))
    first = k.at(1000)
    assert k.at(1059.9) == first and len(first) == 1
    assert k.at(1060)[1:] == first and len(k.at(1119)) == 2
    assert first[0] not in k.at(1120) and len(k.at(1120)) == 2
    assert len(k.at(2000)) == 1, "idle: the previous one is gone as well"


def test_peers():
    """peer.py against itself over TCP: (scenario of the client, of the server, options, ends in the handshake)."""
    secret, client = V.inp("peer s").hex(), V.inp("peer c").hex()
    S, C = B.public(unhex(secret)).hex(), B.public(unhex(client)).hex()

    def pair(how, client_args, server_args, ok=(0, 0)):
        server_args, client_args = ["--secret", secret, *server_args], ["--secret", client, "--server-key", S, *client_args]
        roles = [("server", server_args), ("client", client_args)]
        first, second = roles if how == "server listens" else roles[::-1]
        run = lambda verb, port, role, a: subprocess.Popen([sys.executable, os.path.join(HERE, "peer.py"), verb, "127.0.0.1", port, role, *a],
                                                           stdout=subprocess.PIPE, text=True)
        a = run("listen", "0", *first)
        port = json.loads(a.stdout.readline())["port"]
        b = run("connect", str(port), *second)
        out_b, out_a = b.communicate(timeout=60)[0], a.communicate(timeout=60)[0]
        codes = (a.returncode, b.returncode) if first[0] == "server" else (b.returncode, a.returncode)
        assert codes == ok, (how, client_args, server_args, codes, out_a, out_b)
        return [json.loads(x) for x in (out_a + out_b).splitlines()]

    for how in ("server listens", "client listens"):
        pair(how, ["--scenario", "send", "--identity", "me"], ["--scenario", "echo", "--count", "8", "--allow", C])
        pair(how, ["--scenario", "echo", "--count", "1", "--chunk", "7"], ["--scenario", "multipart", "--chunk", "5", "--sizes", "0,239,240,0,3000"])
        pair(how, ["--scenario", "tamper"], ["--scenario", "echo", "--count", "0"], (1, 0))
        pair(how, ["--scenario", "echo", "--count", "0"], ["--scenario", "tamper"], (0, 1))
    how = "server listens"
    pair(how, ["--scenario", "ping"], ["--scenario", "echo", "--count", "0"])
    pair(how, ["--scenario", "commands"], ["--scenario", "echo", "--count", "0"])
    pair(how, ["--scenario", "send-only", "--sizes", "1,2,3"], ["--scenario", "sink", "--count", "3"])
    for kind in ("ciphertext", "more", "command", "drop", "swap", "nonminimal", "short", "cut", "clear", "clear-ping", "reserved",
                 "nonminimal-sealed", "command-more", "no-aad", "replay", "part"):
        pair(how, ["--scenario", "tamper", "--tamper", kind], ["--scenario", "echo", "--count", "0"], (1, 0))
    for kind in ("empty", "no-name", "name-past-end", "ready", "error", "ping-short", "ping-long"):
        pair(how, ["--scenario", "bad-command", "--tamper", kind], ["--scenario", "echo", "--count", "0"], (1, 0))
    for kind in ("hello", "initiate"):
        pair(how, ["--scenario", "bad-handshake", "--tamper", kind], ["--scenario", "expect-failure"])
    for kind in ("welcome", "ready"):
        pair(how, ["--scenario", "expect-failure"], ["--scenario", "bad-handshake", "--tamper", kind], (0, 0))
    for at in ("welcome", "ready"):
        got = pair(how, ["--scenario", "expect-error"], ["--scenario", "refuse", "--at", at, "--reason", "not today"])
        assert any(e.get("text") == "not today" for e in got)
    pair(how, ["--scenario", "replay"], ["--scenario", "echo", "--count", "0", "--connections", "2"], (1, 0))
    pair(how, ["--scenario", "echo", "--count", "0", "--connections", "2"], ["--scenario", "replay"], (0, 1))
    pair("client listens", ["--scenario", "echo", "--count", "0", "--connections", "2"], ["--scenario", "replay"], (0, 1))
    pair(how, ["--scenario", "expect-error"], ["--scenario", "expect-failure", "--allow", S])
    pair(how, ["--scenario", "expect-failure", "--server-key", C], ["--scenario", "expect-failure"])


if __name__ == "__main__":
    for name, f in list(globals().items()):
        if name.startswith("test_") and not (name == "test_peers" and "--quick" in sys.argv):
            f()
            print("ok", name)
