/* Who the client is, in every form that programs give: what is followed, what is refused, and why. */
#include "session.h"

/* The status that ended it, and the client's name at the server; empty before it is known. */
typedef struct outcome {
    SECURITY_STATUS status;
    char name[128];
    int64_t seconds; /* how long the server's context lasts from its start */
} outcome;

static int64_t ticks(TimeStamp when) { return (int64_t)when.HighPart << 32 | (uint32_t)when.LowPart; }

static void look_at(const provider *self, CtxtHandle *server, outcome *came)
{
    SecPkgContext_NamesA names = { NULL };
    SecPkgContext_Lifespan span;
    if (CHECK_STATUS(self->a.QueryContextAttributesA(server, SECPKG_ATTR_NAMES, &names), SEC_E_OK, "NAMES")) {
        snprintf(came->name, sizeof came->name, "%s", names.sUserName);
        CHECK_STATUS(self->a.FreeContextBuffer(names.sUserName), SEC_E_OK, "FreeContextBuffer");
    }
    if (CHECK_STATUS(self->a.QueryContextAttributesA(server, SECPKG_ATTR_LIFESPAN, &span), SEC_E_OK, "LIFESPAN"))
        came->seconds = (ticks(span.tsExpiry) - ticks(span.tsStart)) / 10000000;
}

/* A handshake with this identity, which may be of any form. */
static outcome log_in(const provider *self, const char *package, void *identity)
{
    static unsigned char there[16384], back[16384];
    outcome came = { SEC_E_OK, "", 0 };
    CredHandle client, server;
    CtxtHandle initiator, acceptor;
    SecBuffer request = { sizeof there, SECBUFFER_TOKEN, there }, answer = { 0, SECBUFFER_TOKEN, back };
    SecBufferDesc to = { SECBUFFER_VERSION, 1, &request }, from = { SECBUFFER_VERSION, 1, &answer };
    int has_initiator = 0, has_acceptor = 0;
    SECURITY_STATUS accepted = SEC_I_CONTINUE_NEEDED;
    uint32_t got;
    ULONG granted;
    TimeStamp expiry;
    came.status = acquire(self, package, SECPKG_CRED_OUTBOUND, identity, &client);
    if (came.status != SEC_E_OK) return came;
    CHECK_STATUS(acquire(self, package, SECPKG_CRED_INBOUND, NULL, &server), SEC_E_OK, "the server's credential");
    do {
        request.cbBuffer = sizeof there;
        came.status = initialize(self, &client, has_initiator ? &initiator : NULL, "host/localhost", ISC_REQ_INTEGRITY,
                                 has_initiator ? &from : NULL, &initiator, &to, &got);
        if (came.status < 0) break;
        has_initiator = 1;
        if (accepted == SEC_E_OK) break;
        answer.cbBuffer = sizeof back;
        accepted = self->a.AcceptSecurityContext(&server, has_acceptor ? &acceptor : NULL, &to, 0, SECURITY_NATIVE_DREP, &acceptor, &from, &granted, &expiry);
        if (accepted < 0) came.status = accepted;
        else has_acceptor = 1;
    } while (accepted >= 0 && (came.status == SEC_I_CONTINUE_NEEDED || accepted == SEC_I_CONTINUE_NEEDED));
    if (accepted == SEC_E_OK) look_at(self, &acceptor, &came);
    if (has_initiator) self->a.DeleteSecurityContext(&initiator);
    if (has_acceptor) self->a.DeleteSecurityContext(&acceptor);
    CHECK_STATUS(self->a.FreeCredentialsHandle(&client), SEC_E_OK, "FreeCredentialsHandle");
    CHECK_STATUS(self->a.FreeCredentialsHandle(&server), SEC_E_OK, "FreeCredentialsHandle");
    return came;
}

static void in_as(const outcome *came, const char *name, const char *what)
{
    CHECK(came->status == SEC_E_OK && strcmp(came->name, name) == 0, "%s: %s as %s, %s", what, status_name((uint32_t)came->status), came->name,
          EXPORT(TrihoundLastError)());
}

static SEC_WINNT_AUTH_IDENTITY_EXW extended(const char *user, const char *domain, const char *password)
{
    SEC_WINNT_AUTH_IDENTITY_EXW who;
    memset(&who, 0, sizeof who);
    who.Version = SEC_WINNT_AUTH_IDENTITY_VERSION;
    who.Length = sizeof who;
    who.User = (unsigned short *)wide(user);
    who.UserLength = user == NULL ? 0 : (ULONG)strlen(user);
    who.Domain = (unsigned short *)wide(domain);
    who.DomainLength = domain == NULL ? 0 : (ULONG)strlen(domain);
    who.Password = (unsigned short *)wide(password);
    who.PasswordLength = password == NULL ? 0 : (ULONG)strlen(password);
    who.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
    return who;
}

static void passwords(const provider *self)
{
    SEC_WINNT_AUTH_IDENTITY_EXW who = extended("alice", "C.TEST", "wrong");
    outcome came = log_in(self, "Kerberos", &who);
    CHECK_STATUS(came.status, SEC_E_LOGON_DENIED, "a wrong password of Kerberos");
    who = extended("nobody", "C.TEST", "Wonder-Land-7");
    came = log_in(self, "Kerberos", &who);
    CHECK(came.status < 0 && came.name[0] == '\0', "somebody unknown is in: %s", status_name((uint32_t)came.status));
    who = extended("alice", "CTEST", "wrong");
    came = log_in(self, "NTLM", &who);
    CHECK_STATUS(came.status, SEC_E_LOGON_DENIED, "a wrong password of NTLM");
    who = extended("alice@C.TEST", NULL, "Wonder-Land-7");
    came = log_in(self, "Kerberos", &who);
    in_as(&came, "alice@C.TEST", "a user principal name");
}

/* One piece of memory: as SspiEncodeStringsAsAuthIdentity makes it, and as a program puts it together. */
static void pieces(const provider *self)
{
    struct {
        SEC_WINNT_AUTH_IDENTITY_EX2 header;
        SEC_WCHAR user[5], domain[6];
        SEC_WINNT_AUTH_PACKED_CREDENTIALS packed;
        SEC_WCHAR password[13];
    } own;
    static const GUID of_a_password = { 0x28bfc32f, 0x10f6, 0x4738, { 0x98, 0xd1, 0x1a, 0xc0, 0x61, 0xdf, 0x71, 0x6a } };
    void *made = NULL;
    outcome came;
    if (CHECK_STATUS(EXPORT(SspiEncodeStringsAsAuthIdentity)(wide("alice"), wide("C.TEST"), wide("Wonder-Land-7"), &made), SEC_E_OK, "encode")) {
        came = log_in(self, "Kerberos", made);
        in_as(&came, "alice@C.TEST", "an encoded identity");
        CHECK_STATUS(EXPORT(SspiEncryptAuthIdentity)(made), SEC_E_OK, "encrypt");
        came = log_in(self, "Kerberos", made);
        in_as(&came, "alice@C.TEST", "an encrypted identity");
        EXPORT(SspiFreeAuthIdentity)(made);
    }
    memset(&own, 0, sizeof own);
    own.header.Version = SEC_WINNT_AUTH_IDENTITY_VERSION_2;
    own.header.cbHeaderLength = sizeof own.header;
    own.header.cbStructureLength = sizeof own;
    own.header.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
#define PLACE(field, where, from, length)                                                                                                   \
    own.header.field##Offset = (ULONG)((char *)&where - (char *)&own), own.header.field##Length = (USHORT)(length), memcpy(&where, from, length)
    PLACE(User, own.user, wide("alice"), 10);
    PLACE(Domain, own.domain, wide("C.TEST"), 12);
    own.header.PackedCredentialsOffset = (ULONG)((char *)&own.packed - (char *)&own);
    own.header.PackedCredentialsLength = (USHORT)(sizeof own.packed + 26);
    own.packed.cbHeaderLength = sizeof own.packed;
    own.packed.cbStructureLength = (USHORT)(sizeof own.packed + 26);
    own.packed.AuthData.CredType = of_a_password;
    own.packed.AuthData.CredData.ByteArrayOffset = sizeof own.packed;
    own.packed.AuthData.CredData.ByteArrayLength = 26;
    memcpy((char *)&own.packed + sizeof own.packed, wide("Wonder-Land-7"), 26);
    came = log_in(self, "Kerberos", &own);
    in_as(&came, "alice@C.TEST", "an identity in one piece");
}

/* The KDC of the environment's krb5.conf, as host and port. */
static int kdc_address(char *text, size_t room)
{
    char line[256];
    FILE *file = fopen(getenv("KRB5_CONFIG"), "r");
    int found = 0;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, " kdc = %127s", text) == 1 && strlen(text) < room) found = 1;
    if (file != NULL) fclose(file);
    return found;
}

static void winpr(const provider *self)
{
    SEC_WINPR_KERBEROS_SETTINGS kerberos;
    SEC_WINNT_AUTH_IDENTITY_WINPR who;
    char kdc[128] = "";
    unsigned flag;
    outcome came;
    for (flag = SEC_WINNT_AUTH_IDENTITY_EXTENDED; flag <= SEC_WINNT_AUTH_IDENTITY_EXTENDED_NEW; flag *= 2) {
        memset(&kerberos, 0, sizeof kerberos);
        memset(&who, 0, sizeof who);
        who.kerberosSettings = &kerberos;
#define AS(user, domain, password)                                                                                                          \
    who.identity = extended(user, domain, password), who.identity.Length = sizeof who, who.identity.Flags |= flag
        AS(NULL, NULL, NULL);
        kerberos.cache = getenv("KRB5CCNAME");
        came = log_in(self, "Kerberos", &who);
        in_as(&came, "alice@C.TEST", "a named cache");
        kerberos.cache = NULL;
        AS("host/localhost", "C.TEST", NULL);
        kerberos.keytab = getenv("KRB5_KTNAME");
        came = log_in(self, "Kerberos", &who);
        in_as(&came, "host/localhost@C.TEST", "a named keytab");
        kerberos.keytab = NULL;
        AS("alice", "C.TEST", "Wonder-Land-7");
        if (CHECK(kdc_address(kdc, sizeof kdc), "krb5.conf names no KDC")) {
            kerberos.kdcUrl = kdc;
            came = log_in(self, "Kerberos", &who);
            in_as(&came, "alice@C.TEST", "a named KDC");
        }
        kerberos.kdcUrl = "tcp://127.0.0.1:1";
        AS("alice", "C.TEST", "Wonder-Land-7");
        came = log_in(self, "Kerberos", &who);
        CHECK_STATUS(came.status, SEC_E_NO_AUTHENTICATING_AUTHORITY, "a KDC that is not there");
        kerberos.kdcUrl = NULL;
        kerberos.lifeTime = 600;
        AS("alice", "C.TEST", "Wonder-Land-7");
        came = log_in(self, "Kerberos", &who);
        in_as(&came, "alice@C.TEST", "ten minutes");
        /* An acceptor allows for clocks that are five minutes apart. */
        CHECK(came.seconds > 0 && came.seconds <= 600 + 300, "the context lasts %d seconds", (int)came.seconds);
        kerberos.lifeTime = 0;
        kerberos.armorCache = "FILE:/nowhere";
        AS("alice", "C.TEST", "Wonder-Land-7");
        came = log_in(self, "Kerberos", &who);
        CHECK_STATUS(came.status, SEC_E_UNSUPPORTED_FUNCTION, "an armour");
        CHECK(strstr(EXPORT(TrihoundLastError)(), "FAST") != NULL, "the reason is %s", EXPORT(TrihoundLastError)());
        kerberos.armorCache = NULL;
        kerberos.pkinitX509Anchors = "/nowhere";
        AS("alice", "C.TEST", "Wonder-Land-7");
        came = log_in(self, "Kerberos", &who);
        CHECK_STATUS(came.status, SEC_E_UNSUPPORTED_FUNCTION, "PKINIT's anchors");
    }
}

int run_logins(void)
{
    provider self;
    int wide_one;
    for (wide_one = 0; wide_one < 2; wide_one++) {
        provider_from_tables(&self, wide_one);
        passwords(&self);
        pieces(&self);
        winpr(&self);
    }
    return 0;
}
