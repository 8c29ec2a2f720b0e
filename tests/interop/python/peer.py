#!/usr/bin/env python3
"""A peer on pyspnego with the command line, the wire and the JSON line of `trihound peer`.

    peer.py init|accept PORT SPN kerberos|ntlm|negotiate [FLAGS] [--show-session-key]

NTLM and SPNEGO are pyspnego's own, written in Python; Kerberos is the system's libgssapi. FLAGS are those of the C peer
beside this (tests/interop/c), without dce, anon and noci, and version: the CHALLENGE has the Version that its flags tell of, which pyspnego leaves out
and gss-ntlmssp wants. mechs=krb5:ntlm is what negotiate offers or takes, best first. The NTLM acceptor reads NTLM_USER_FILE.
"""

import functools
import json
import os
import socket
import struct
import sys
import types

# pyspnego wants this module, which would have to be compiled, for Kerberos with a password; with a cache or a keytab it
# calls nothing of it.
sys.modules.setdefault("krb5", types.ModuleType("krb5"))

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.iov import BufferType

Req, Options = spnego.ContextReq, spnego.NegotiateOptions

MESSAGE = b"message \x00 \xff sealed!"
MAX_FRAME = 64 << 20
PATIENCE_SECONDS = 60
FLAGS = {
    "deleg": Req.delegate,
    "mutual": Req.mutual_auth,
    "replay": Req.replay_detect,
    "seq": Req.sequence_detect,
    "conf": Req.confidentiality,
    "integ": Req.integrity,
    "identify": Req.identify,
}
MECHS = {"krb5": "kerberos", "ntlm": "ntlm"}


class Failed(Exception):
    """Why a run did not come to its end."""


class Arguments:
    def __init__(self, words):
        self.show_session_key = "--show-session-key" in words
        words = [word for word in words if word != "--show-session-key"]
        if len(words) < 4 or words[0] not in ("init", "accept") or words[3] not in ("kerberos", "ntlm", "negotiate"):
            sys.exit("usage: peer.py init|accept PORT SPN kerberos|ntlm|negotiate [FLAGS] [--show-session-key]")
        self.role, self.port, self.spn, self.package = words[0], int(words[1]), words[2], words[3]
        self.requirements, self.switches, self.values = Req.none, set(), {}
        for word in ",".join(words[4:]).split(","):
            self.take(word)
        if "nodata" not in self.switches:
            self.requirements |= Req.integrity
            if "nowrap" not in self.switches:
                self.requirements |= Req.confidentiality
        if not self.requirements & (Req.integrity | Req.confidentiality) and self.package != "ntlm":
            # Without this word pyspnego asks libgssapi for both.
            self.requirements |= Req.no_integrity
        self.big = int(self.values["big"]) if "big" in self.values else None
        self.mechs = [MECHS[word] for word in self.values.get("mechs", "krb5:ntlm").split(":")]

    def take(self, word):
        name, equals, value = word.partition("=")
        if name in FLAGS and not equals:
            self.requirements |= FLAGS[name]
        elif name in ("cb", "user", "pw", "domain", "big", "mechs") and equals:
            self.values[name] = value
        elif name in ("iov", "nodata", "nowrap", "version", "loop"):
            self.switches.add(name)
        elif word not in ("", "-"):
            sys.exit(f"peer.py: there is no flag {word}")

    def bindings(self):
        if "cb" not in self.values:
            return None
        return GssChannelBindings(application_data=bytes.fromhex(self.values["cb"]))

    def context(self):
        """pyspnego's context; where a mechanism must not be used, it is not among those that its SPNEGO builds."""
        options = {"kerberos": Options.use_gssapi, "ntlm": Options.use_ntlm, "negotiate": Options.use_negotiate}
        service, _, host = self.spn.partition("/")
        shared = {
            "channel_bindings": self.bindings(),
            "context_req": self.requirements,
            "protocol": self.package,
            "options": options[self.package],
        }
        if self.spn != "-":
            shared |= {"service": service, "hostname": host.partition("@")[0]}
        if "version" in self.switches:
            tell_versions()
        if self.package == "negotiate":
            choose_mechanisms(self.mechs)
        if self.role == "accept":
            return spnego.server(**shared)
        user = self.values.get("user")
        if user and "domain" in self.values:
            user = f"{self.values['domain']}\\{user}"
        return spnego.client(user, self.values.get("pw"), **shared)


def choose_mechanisms(wanted):
    """pyspnego's SPNEGO asks its own class what there is, and has no other place to say what there should be."""
    from spnego._negotiate import NegotiateProxy

    NegotiateProxy.available_protocols = classmethod(lambda cls, options=None: [*wanted, "negotiate"])


def tell_versions():
    from spnego import _ntlm

    _ntlm.Challenge = functools.partial(_ntlm.Challenge, version=_ntlm.Version.get_current())
    _ntlm.Challenge.unpack = _ntlm.Challenge.func.unpack


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
    context = arguments.context()
    token = context.step() if arguments.role == "init" else None
    while True:
        if token:
            wire.send(token)
        if context.complete:
            return context
        token = context.step(wire.receive())


def same(got, wanted):
    if got != wanted:
        raise Failed(f"the plaintext is not the one that was sent ({len(got)} bytes, {len(wanted)} expected)")


class Talk:
    def __init__(self, arguments, context, wire):
        self.arguments, self.context, self.wire = arguments, context, wire
        # NTLM has no wrap that is only signed: GSS_WrapEx of MS-NLMP section 3.4.6 seals.
        self.always_seals = context.negotiated_protocol == "ntlm"

    def send_wrap(self, sealed, data):
        wrapped = self.context.wrap(data, encrypt=sealed)
        if wrapped.encrypted != (sealed or self.always_seals):
            raise Failed(f"wrap: sealed {wrapped.encrypted}, asked {sealed}")
        self.wire.send(wrapped.data)

    def open_wrap(self, sealed, frame):
        opened = self.context.unwrap(frame)
        if opened.encrypted != (sealed or self.always_seals):
            raise Failed(f"unwrap: the message is {'' if opened.encrypted else 'not '}sealed")
        return opened.data

    def receive_wrap(self, sealed, data):
        same(self.open_wrap(sealed, self.wire.receive()), data)

    def send_mic(self):
        mic = self.context.sign(MESSAGE)
        self.wire.send(MESSAGE)
        self.wire.send(mic)

    def receive_mic(self):
        data, mic = self.wire.receive(), self.wire.receive()
        self.context.verify(data, mic)
        same(data, MESSAGE)

    def buffers(self, header, data, padding):
        buffers = [(BufferType.header, header), (BufferType.data, data)]
        return buffers if self.always_seals else [*buffers, (BufferType.padding, padding)]

    def send_iov(self):
        parts = self.context.wrap_iov(self.buffers(True, MESSAGE, True), encrypt=True)
        self.wire.send(parts.buffers[0].data)
        self.wire.send(b"".join(part.data or b"" for part in parts.buffers[1:]))

    def receive_iov(self):
        token, data = self.wire.receive(), self.wire.receive()
        body, padding = data[: len(MESSAGE)], data[len(MESSAGE) :]
        opened = self.context.unwrap_iov(self.buffers(token, body, padding))
        if not opened.encrypted:
            raise Failed("unwrap_iov: the message is not sealed")
        same(opened.buffers[1].data, MESSAGE)

    def speak(self):
        if "nowrap" not in self.arguments.switches:
            for sealed in (True, False):
                self.send_wrap(sealed, MESSAGE)
                self.receive_wrap(sealed, MESSAGE)
        self.send_mic()
        self.receive_mic()
        if "iov" in self.arguments.switches:
            self.send_iov()
            self.receive_iov()
        if self.arguments.big is not None:
            # Byte N is N modulo 251, a prime, so that no block looks like another.
            big = bytes(n % 251 for n in range(self.arguments.big))
            self.send_wrap(True, big)
            self.receive_wrap(True, big)
        self.wire.send(b"")

    def answer(self):
        if "nowrap" not in self.arguments.switches:
            for sealed in (True, False):
                self.receive_wrap(sealed, MESSAGE)
                self.send_wrap(sealed, MESSAGE)
        self.receive_mic()
        self.send_mic()
        if "iov" in self.arguments.switches:
            self.receive_iov()
            self.send_iov()
        while frame := self.wire.receive():
            data = self.open_wrap(True, frame)
            if self.arguments.big not in (None, len(data)):
                raise Failed(f"the big message has {len(data)} bytes, not {self.arguments.big}")
            self.send_wrap(True, data)


def report(arguments, context):
    mechs = {protocol: word for word, protocol in MECHS.items()}
    line = {
        "ok": True,
        "role": arguments.role,
        "package": arguments.package,
        "src": context.client_principal if arguments.role == "accept" else None,
        "dst": None,
        "mech": mechs.get(context.negotiated_protocol),
        "flags": [word for word, bit in FLAGS.items() if context.context_attr & bit],
        "lifetime": 0xFFFFFFFF,
        "delegated": bool(context.context_attr & Req.delegate),
    }
    if arguments.show_session_key:
        line["session_key"] = context.session_key.hex()
    print(json.dumps(line), flush=True)


def run(arguments, stream):
    """One connection from the first token to the JSON line; whether it went well."""
    try:
        with stream:
            wire = Wire(stream)
            context = handshake(arguments, wire)
            if "nodata" not in arguments.switches:
                talk = Talk(arguments, context, wire)
                talk.answer() if arguments.role == "accept" else talk.speak()
        report(arguments, context)
        return True
    except Exception as error:  # Whatever goes wrong in the library is the run's result.
        reason = f"{type(error).__name__}: {error}"
        print(f"peer.py {arguments.role}: {reason}", file=sys.stderr, flush=True)
        line = {"ok": False, "role": arguments.role, "package": arguments.package, "error": reason}
        print(json.dumps(line), flush=True)
        return False


def main():
    # pyspnego looks for the host's own name in DNS, where there may be nobody to ask.
    socket.getfqdn = lambda name="": name or socket.gethostname()
    arguments = Arguments(sys.argv[1:])
    if arguments.role == "init":
        return run(arguments, socket.create_connection(("127.0.0.1", arguments.port), PATIENCE_SECONDS))
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"listening {listener.getsockname()[1]}", flush=True)
    while True:
        went_well = run(arguments, listener.accept()[0])
        if "loop" not in arguments.switches:
            return went_well


if __name__ == "__main__":
    # Without waiting for anything that libgssapi may have left running.
    done = main()
    sys.stdout.flush()
    os._exit(0 if done else 1)
