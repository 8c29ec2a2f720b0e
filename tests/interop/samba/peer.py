#!/usr/bin/python3
"""A peer made of Samba, with the command line, the wire and the JSON line of `trihound peer`.

    peer.py gensec|ntlm_auth init|accept PORT SPN kerberos|ntlm|negotiate [FLAGS] [--show-session-key]

gensec is Samba's own library of security mechanisms, through its Python binding; as acceptor it is the domain controller and
asks the controller's database. ntlm_auth is the helper program that proxies and mail servers run: it has no messages beside
the handshake, so it wants nodata, and its acceptor asks winbindd. FLAGS, comma separated, are those of the C peer
(tests/interop/c): conf, integ, dce, user=U, pw=P, domain=D, mechs=krb5:ntlm, big=N, nowrap, nodata; gensec has no iov, no
bindings, and for Kerberos no wrap that is only signed: nowrap with big=N has the rest. mutual, replay and seq are allowed and
left to Samba. Both read the file that SAMBA_CONF names.
"""

import base64
import json
import os
import socket
import struct
import subprocess
import sys

MESSAGE = b"message \x00 \xff sealed!"
MAX_FRAME = 64 << 20
PATIENCE_SECONDS = 60
SWITCHES = ("mutual", "replay", "seq", "conf", "integ", "dce", "nowrap", "nodata")
VALUES = ("user", "pw", "domain", "mechs", "big")
CONF = os.environ["SAMBA_CONF"]


class Failed(Exception):
    """Why a run did not come to its end."""


class Arguments:
    def __init__(self, words):
        self.show_session_key = "--show-session-key" in words
        words = [word for word in words if word != "--show-session-key"]
        if len(words) < 5 or words[0] not in ENGINES or words[1] not in ("init", "accept"):
            sys.exit("usage: peer.py gensec|ntlm_auth init|accept PORT SPN PACKAGE [FLAGS] [--show-session-key]")
        self.engine, self.role, port, self.spn, self.package = words[:5]
        self.port = int(port)
        if self.package not in ("kerberos", "ntlm", "negotiate"):
            sys.exit(f"peer.py: there is no package {self.package}")
        self.switches, self.values = set(), {}
        for word in ",".join(words[5:]).split(","):
            name, equals, value = word.partition("=")
            if name in SWITCHES and not equals:
                self.switches.add(name)
            elif name in VALUES and equals:
                self.values[name] = value
            elif word not in ("", "-"):
                sys.exit(f"peer.py: there is no flag {word}")
        self.big = int(self.values["big"]) if "big" in self.values else None
        if "nodata" not in self.switches:
            self.switches.add("integ")
            if "nowrap" not in self.switches or self.big is not None:
                self.switches.add("conf")
        self.mechs = self.values.get("mechs", "krb5:ntlm").split(":")

    def has(self, switch):
        return switch in self.switches

    @property
    def user(self):
        return self.values.get("user")

    @property
    def password(self):
        return self.values.get("pw")

    @property
    def service(self):
        return self.spn.partition("/")[0]

    @property
    def host(self):
        return self.spn.partition("/")[2].partition("@")[0]


# --- gensec -----------------------------------------------------------------------------------------------


class Gensec:
    """One context of Samba's library."""

    MECHS = {"kerberos": "gssapi_krb5", "ntlm": "ntlmssp", "negotiate": "spnego"}

    def __init__(self, arguments):
        # Imported here: ntlm_auth does without Samba's Python modules.
        from samba import auth, gensec, param

        self.gensec, self.arguments = gensec, arguments
        self.lp = param.LoadParm()
        self.lp.load(CONF)
        # Kept as long as the context: the binding keeps no reference to the names that it is given.
        self.service, self.host = arguments.service, arguments.host or "dc1"
        settings = {"lp_ctx": self.lp, "target_hostname": self.host}
        if arguments.role == "init":
            self.context = gensec.Security.start_client(settings)
            self.context.set_credentials(self.user_credentials())
            self.context.set_target_service(self.service)
            self.context.set_target_hostname(self.host)
        else:
            self.context = gensec.Security.start_server(settings, auth.AuthContext(lp_ctx=self.lp))
            self.context.set_credentials(self.machine_credentials())
        wanted = [gensec.FEATURE_SESSION_KEY]
        for switch, feature in (("integ", "SIGN"), ("conf", "SEAL"), ("dce", "DCE_STYLE")):
            if arguments.has(switch):
                wanted.append(getattr(gensec, f"FEATURE_{feature}"))
        for feature in wanted:
            self.context.want_feature(feature)
        self.context.start_mech_by_name(self.MECHS[arguments.package])

    def kerberos_state(self):
        from samba import credentials

        if self.arguments.package == "kerberos" or "ntlm" not in self.arguments.mechs:
            return credentials.MUST_USE_KERBEROS
        if self.arguments.package == "ntlm" or "krb5" not in self.arguments.mechs:
            return credentials.DONT_USE_KERBEROS
        return credentials.AUTO_USE_KERBEROS

    def user_credentials(self):
        from samba.credentials import Credentials

        credentials = Credentials()
        credentials.guess(self.lp)
        if self.arguments.user is None:
            credentials.set_anonymous()
            return credentials
        credentials.set_username(self.arguments.user)
        credentials.set_password(self.arguments.password or "")
        credentials.set_domain(self.arguments.values.get("domain", self.lp.get("workgroup")))
        credentials.set_realm(self.lp.get("realm"))
        credentials.set_workstation("GENSEC")
        credentials.set_kerberos_state(self.kerberos_state())
        return credentials

    def machine_credentials(self):
        from samba.credentials import Credentials

        credentials = Credentials()
        credentials.guess(self.lp)
        credentials.set_machine_account(self.lp)
        credentials.set_kerberos_state(self.kerberos_state())
        return credentials

    def step(self, token):
        done, answer = self.context.update(token or b"")
        return bytes(answer), done

    def session_key(self):
        return bytes(self.context.session_key())

    def source(self):
        if self.arguments.role == "init":
            return None
        info = self.context.session_info().info
        return f"{info.domain_name}\\{info.account_name}"

    def flags(self):
        names = {"conf": "SEAL", "integ": "SIGN"}
        if self.arguments.has("dce"):
            names["dce"] = "DCE_STYLE"
        return [word for word, name in names.items() if self.context.have_feature(getattr(self.gensec, f"FEATURE_{name}"))]

    def wrap(self, data):
        return bytes(self.context.wrap(data))

    def unwrap(self, token):
        return bytes(self.context.unwrap(token))

    def sign(self, data):
        return bytes(self.context.sign_packet(data, data))

    def verify(self, data, signature):
        self.context.check_packet(data, data, signature)


# --- ntlm_auth --------------------------------------------------------------------------------------------


class NtlmAuth:
    """One conversation with the helper: lines of a word of two letters and what it says in Base64."""

    HELPERS = {
        ("init", "ntlm"): "ntlmssp-client-1",
        ("init", "negotiate"): "gss-spnego-client",
        ("accept", "ntlm"): "squid-2.5-ntlmssp",
        ("accept", "negotiate"): "gss-spnego",
    }

    def __init__(self, arguments):
        if not arguments.has("nodata"):
            raise Failed("ntlm_auth has no messages beside the handshake: it wants nodata")
        self.arguments = arguments
        self.user_name = None
        helper = self.HELPERS.get((arguments.role, arguments.package))
        if helper is None:
            raise Failed(f"ntlm_auth has no helper for {arguments.package}")
        command = ["ntlm_auth", f"--configfile={CONF}", f"--helper-protocol={helper}"]
        if arguments.role == "init":
            names = {"username": "user", "password": "pw", "domain": "domain"}
            command += [f"--{name}={arguments.values[word]}" for name, word in names.items() if word in arguments.values]
            if arguments.host:
                command += [f"--target-service={arguments.service}", f"--target-hostname={arguments.host}"]
        self.helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.begun = False

    def ask(self, word, token=None):
        line = word if token is None else f"{word} {base64.b64encode(token).decode()}"
        self.helper.stdin.write(line.encode() + b"\n")
        self.helper.stdin.flush()
        answer = self.helper.stdout.readline().decode().rstrip("\n")
        if not answer:
            raise Failed("ntlm_auth ended")
        verdict, *rest = answer.split(" ")
        if verdict in ("NA", "BH"):
            raise Failed(f"ntlm_auth: {answer}")
        return verdict, rest

    def step(self, token):
        if self.arguments.role == "init":
            return self.initiate(token)
        verdict, rest = self.ask("KK" if self.begun else "YR", token)
        self.begun = True
        if verdict == "TT":
            return base64.b64decode(rest[0]), False
        # "AF DOMAIN\\user", and under SPNEGO the last token, or a star for none, in front
        answer = rest[0] if self.arguments.package == "negotiate" else "*"
        self.user_name = " ".join(rest[1:] if self.arguments.package == "negotiate" else rest)
        return b"" if answer == "*" else base64.b64decode(answer), True

    def initiate(self, token):
        if token is None:
            verdict, rest = self.ask("YR")
        else:
            # What the acceptor says last is told by AF: its reply is a word without a token.
            verdict, rest = self.ask("TT", token)
        answer = base64.b64decode(rest[0]) if rest and rest[0] != "*" else b""
        return answer, verdict == "AF"

    def session_key(self):
        # The helpers for SPNEGO do not tell it.
        if self.arguments.package != "ntlm":
            return b""
        return base64.b64decode(self.ask("GK")[1][0])

    def source(self):
        return self.user_name

    def flags(self):
        return []


ENGINES = {"gensec": Gensec, "ntlm_auth": NtlmAuth}


# --- the wire ---------------------------------------------------------------------------------------------


class Wire:
    """Frames: a 4-byte big-endian length and that many bytes."""

    def __init__(self, stream):
        stream.settimeout(PATIENCE_SECONDS)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = stream

    def send(self, frame):
        self.stream.sendall(struct.pack(">I", len(frame)) + frame)

    def take(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.stream.recv(min(count - len(data), 1 << 16))
            if not more:
                raise Failed("the peer closed the connection")
            data += more
        return bytes(data)

    def receive(self):
        (length,) = struct.unpack(">I", self.take(4))
        if length > MAX_FRAME:
            raise Failed(f"a frame of {length} bytes is too long")
        return self.take(length)


def handshake(arguments, wire):
    engine = ENGINES[arguments.engine](arguments)
    token, done = None, False
    if arguments.role == "init":
        token, done = engine.step(None)
    while True:
        if token:
            wire.send(token)
        if done:
            return engine
        token, done = engine.step(wire.receive())


def same(got, wanted):
    if got != wanted:
        raise Failed(f"the plaintext is not the one that was sent ({len(got)} bytes, {len(wanted)} expected)")


class Talk:
    """What the two sides say; the README of the C peer has the order."""

    def __init__(self, arguments, engine, wire):
        self.arguments, self.engine, self.wire = arguments, engine, wire

    def send_wrap(self, data):
        self.wire.send(self.engine.wrap(data))

    def receive_wrap(self, data):
        same(self.engine.unwrap(self.wire.receive()), data)

    def send_mic(self):
        self.wire.send(MESSAGE)
        self.wire.send(self.engine.sign(MESSAGE))

    def receive_mic(self):
        data, signature = self.wire.receive(), self.wire.receive()
        self.engine.verify(data, signature)
        same(data, MESSAGE)

    def speak(self):
        for _ in range(0 if self.arguments.has("nowrap") else 2):
            self.send_wrap(MESSAGE)
            self.receive_wrap(MESSAGE)
        self.send_mic()
        self.receive_mic()
        if self.arguments.big is not None:
            # Byte N is N modulo 251, a prime, so that no block looks like another.
            big = bytes(n % 251 for n in range(self.arguments.big))
            self.send_wrap(big)
            self.receive_wrap(big)
        self.wire.send(b"")

    def answer(self):
        for _ in range(0 if self.arguments.has("nowrap") else 2):
            self.receive_wrap(MESSAGE)
            self.send_wrap(MESSAGE)
        self.receive_mic()
        self.send_mic()
        while frame := self.wire.receive():
            data = self.engine.unwrap(frame)
            if self.arguments.big not in (None, len(data)):
                raise Failed(f"the big message has {len(data)} bytes, not {self.arguments.big}")
            self.send_wrap(data)


def report(arguments, engine):
    line = {
        "ok": True,
        "role": arguments.role,
        "package": arguments.package,
        "src": engine.source(),
        "dst": None,
        "flags": engine.flags(),
        "lifetime": 0xFFFFFFFF,
        "delegated": False,
    }
    if arguments.show_session_key:
        line["session_key"] = engine.session_key().hex()
    print(json.dumps(line), flush=True)


def run(arguments, stream):
    """One connection from the first token to the JSON line; whether it went well."""
    try:
        with stream:
            wire = Wire(stream)
            engine = handshake(arguments, wire)
            if not arguments.has("nodata"):
                talk = Talk(arguments, engine, wire)
                talk.answer() if arguments.role == "accept" else talk.speak()
        report(arguments, engine)
        return True
    except Exception as error:  # Whatever goes wrong in the library is the run's result.
        reason = f"{type(error).__name__}: {error}"
        print(f"peer.py {arguments.role}: {reason}", file=sys.stderr, flush=True)
        line = {"ok": False, "role": arguments.role, "package": arguments.package, "error": reason}
        print(json.dumps(line), flush=True)
        return False


def main():
    arguments = Arguments(sys.argv[1:])
    if arguments.role == "init":
        return run(arguments, socket.create_connection(("127.0.0.1", arguments.port), PATIENCE_SECONDS))
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"listening {listener.getsockname()[1]}", flush=True)
    return run(arguments, listener.accept()[0])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
