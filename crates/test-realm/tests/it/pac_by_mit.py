"""MIT krb5's word on a ticket's PAC.

    pac_by_mit.py SERVER AUTHTIME CLIENT ENCTYPE SERVER_KEY KDC_ENCTYPE KDC_KEY < ENC_TICKET_PART

Keys are hexadecimal, the ticket's encrypted part comes decrypted, also in hexadecimal. libkrb5 verifies the ticket signature and
the PAC as a KDC, then the PAC again as a service, and tells the client that the PAC names.
"""

import ctypes
import sys

krb5 = ctypes.CDLL("libkrb5.so.3")


class Keyblock(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_int32),
        ("enctype", ctypes.c_int32),
        ("length", ctypes.c_uint),
        ("contents", ctypes.c_char_p),
    ]


class Data(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_int32), ("length", ctypes.c_uint), ("data", ctypes.c_char_p)]


def call(name, *arguments):
    code = getattr(krb5, name)(*arguments)
    if code:
        sys.exit(f"{name}: {code}")


def keyblock(enctype, key):
    key = bytes.fromhex(key)
    return Keyblock(0, int(enctype), len(key), key)


server, authtime, client, enctype, server_key, kdc_enctype, kdc_key = sys.argv[1:]
context = ctypes.c_void_p()
call("krb5_init_context", ctypes.byref(context))
names = []
for name in (server, client):
    principal = ctypes.c_void_p()
    call("krb5_parse_name", context, name.encode(), ctypes.byref(principal))
    names.append(principal)
server_key, kdc_key = keyblock(enctype, server_key), keyblock(kdc_enctype, kdc_key)
plain = bytes.fromhex(sys.stdin.read().strip())
part, pac = ctypes.c_void_p(), ctypes.c_void_p()
call("decode_krb5_enc_tkt_part", ctypes.byref(Data(0, len(plain), plain)), ctypes.byref(part))
call(
    "krb5_kdc_verify_ticket",
    context,
    part,
    names[0],
    ctypes.byref(server_key),
    ctypes.byref(kdc_key),
    ctypes.byref(pac),
)
if not pac:
    sys.exit("no PAC")
call("krb5_pac_verify", context, pac, int(authtime), names[1], ctypes.byref(server_key), ctypes.byref(kdc_key))
types, count = ctypes.POINTER(ctypes.c_uint32)(), ctypes.c_size_t()
call("krb5_pac_get_types", context, pac, ctypes.byref(count), ctypes.byref(types))
print(*sorted(types[index] for index in range(count.value)))
