/* Tokens, messages, images, bindings and identities that are cut short or point outside of themselves. */
#include "session.h"

int truncated_arguments(const provider *self, const char *package, const char *list);
int wrong_identities(const provider *self);

/* A piece of memory of just this size, so that a byte read behind it is seen by the tools that look for that. */
static void *exactly(const void *bytes, size_t length)
{
    unsigned char *copy = malloc(length == 0 ? 1 : length);
    if (copy == NULL) exit(3);
    memcpy(copy, bytes, length);
    return copy;
}

static SECURITY_STATUS offer(const provider *self, CredHandle *credential, const void *bytes, ULONG length, SecBuffer *more)
{
    unsigned char answer[16384];
    SecBuffer input[2] = { { length, SECBUFFER_TOKEN, exactly(bytes, length) }, { 0, SECBUFFER_EMPTY, NULL } }, out = { sizeof answer, SECBUFFER_TOKEN, answer };
    SecBufferDesc given = { SECBUFFER_VERSION, more == NULL ? 1 : 2, input }, output = { SECBUFFER_VERSION, 1, &out };
    CtxtHandle made;
    TimeStamp expiry;
    ULONG got = 0;
    SECURITY_STATUS status;
    if (more != NULL) input[1] = *more;
    status = self->a.AcceptSecurityContext(credential, NULL, &given, 0, SECURITY_NATIVE_DREP, &made, &output, &got, &expiry);
    if (status >= 0) CHECK_STATUS(self->a.DeleteSecurityContext(&made), SEC_E_OK, "DeleteSecurityContext");
    free(input[0].pvBuffer);
    return status;
}

static SECURITY_STATUS first_token(const provider *self, const setting *how, CredHandle *credential, CtxtHandle *made, SecBuffer *token)
{
    SecBufferDesc output = { SECBUFFER_VERSION, 1, token };
    uint32_t attributes;
    return initialize(self, credential, NULL, how->target, how->asked, NULL, made, &output, &attributes);
}

static void tokens(const provider *self, const setting *how)
{
    unsigned char bytes[16384];
    SecBuffer token = { sizeof bytes, SECBUFFER_TOKEN, bytes };
    CredHandle client, server;
    CtxtHandle made;
    ULONG length;
    unsigned taken = 0;
    /* An acceptor of Negotiate that has heard nothing speaks first. */
    ULONG shortest = strcmp(how->package, "Negotiate") == 0 ? 1 : 0;
    if (!CHECK_STATUS(acquire_client(self, how, &client), SEC_E_OK, "the client's credential")) return;
    if (!CHECK_STATUS(acquire(self, how->package, SECPKG_CRED_INBOUND, NULL, &server), SEC_E_OK, "the server's credential")) return;
    if (CHECK_STATUS(first_token(self, how, &client, &made, &token), SEC_I_CONTINUE_NEEDED, "the first token")) {
        for (length = shortest; length < token.cbBuffer; length += length < 100 ? 1 : 17) {
            SECURITY_STATUS status = offer(self, &server, bytes, length, NULL);
            CHECK((uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, "%u bytes of a token: %s", (unsigned)length, status_name((uint32_t)status));
            /* NTLM's first message may leave out what follows its flags. */
            if (status >= 0) taken++;
        }
        CHECK(taken == 0 || strcmp(how->package, "NTLM") == 0, "%s took %u tokens that are cut short", how->package, taken);
        CHECK_STATUS(self->a.DeleteSecurityContext(&made), SEC_E_OK, "DeleteSecurityContext");
    }
    CHECK_STATUS(self->a.FreeCredentialsHandle(&client), SEC_E_OK, "FreeCredentialsHandle");
    CHECK_STATUS(self->a.FreeCredentialsHandle(&server), SEC_E_OK, "FreeCredentialsHandle");
}

/* An output buffer that is too small: the same call with a larger one succeeds. */
static void small_output(const provider *self, const setting *how)
{
    unsigned char bytes[16384];
    SecBuffer token = { 5, SECBUFFER_TOKEN, bytes };
    CredHandle client;
    CtxtHandle made;
    SecBufferDesc output = { SECBUFFER_VERSION, 1, &token };
    uint32_t attributes;
    SECURITY_STATUS status;
    if (!CHECK_STATUS(acquire_client(self, how, &client), SEC_E_OK, "the client's credential")) return;
    SecInvalidateHandle(&made);
    status = initialize(self, &client, NULL, how->target, how->asked, NULL, &made, &output, &attributes);
    CHECK((uint32_t)status == (uint32_t)SEC_E_BUFFER_TOO_SMALL || (uint32_t)status == (uint32_t)SEC_E_INSUFFICIENT_MEMORY, "five bytes of room: %s",
          status_name((uint32_t)status));
    token.cbBuffer = sizeof bytes;
    token.pvBuffer = bytes;
    CHECK_STATUS(initialize(self, &client, NULL, how->target, how->asked, NULL, &made, &output, &attributes), SEC_I_CONTINUE_NEEDED,
                 "enough room");
    CHECK_STATUS(self->a.DeleteSecurityContext(&made), SEC_E_OK, "DeleteSecurityContext");
    CHECK_STATUS(self->a.FreeCredentialsHandle(&client), SEC_E_OK, "FreeCredentialsHandle");
}

/* Bindings whose lengths and offsets point elsewhere. */
static void bindings(const provider *self, const setting *how)
{
    static const struct { ULONG given; SEC_CHANNEL_BINDINGS header; } wrong[] = {
        { 4, { 0 } }, { 31, { 0 } },
        { 40, { .cbApplicationDataLength = 9, .dwApplicationDataOffset = 32 } },
        { 40, { .cbApplicationDataLength = 8, .dwApplicationDataOffset = 33 } },
        { 40, { .cbApplicationDataLength = 8, .dwApplicationDataOffset = 0xFFFFFFFF } },
        { 40, { .cbApplicationDataLength = 0xFFFFFFFF, .dwApplicationDataOffset = 32 } },
        { 40, { .cbInitiatorLength = 100, .dwInitiatorOffset = 32 } },
        { 40, { .cbAcceptorLength = 0xFFFFFFF0, .dwAcceptorOffset = 0x20 } },
    };
    CredHandle client;
    unsigned n;
    if (!CHECK_STATUS(acquire_client(self, how, &client), SEC_E_OK, "the client's credential")) return;
    for (n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        unsigned char bytes[16384], whole[40] = { 0 };
        SecBuffer token = { sizeof bytes, SECBUFFER_TOKEN, bytes };
        SecBuffer input = { wrong[n].given, SECBUFFER_CHANNEL_BINDINGS, NULL };
        SecBufferDesc output = { SECBUFFER_VERSION, 1, &token }, given = { SECBUFFER_VERSION, 1, &input };
        CtxtHandle made;
        uint32_t attributes;
        SECURITY_STATUS status;
        memcpy(whole, &wrong[n].header, sizeof wrong[n].header);
        input.pvBuffer = exactly(whole, wrong[n].given);
        status = initialize(self, &client, NULL, how->target, how->asked, &given, &made, &output, &attributes);
        CHECK(status < 0 && (uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, "bindings %u: %s", n, status_name((uint32_t)status));
        if (status >= 0) CHECK_STATUS(self->a.DeleteSecurityContext(&made), SEC_E_OK, "DeleteSecurityContext");
        free(input.pvBuffer);
    }
    CHECK_STATUS(self->a.FreeCredentialsHandle(&client), SEC_E_OK, "FreeCredentialsHandle");
}

static void messages(const provider *self, session *s)
{
    unsigned char signature[512], trailer[512], data[16] = "short", padding[64], whole[1024];
    SecPkgContext_Sizes sizes;
    SecBuffer signing[2] = { { sizeof data, SECBUFFER_DATA, data }, { 0, SECBUFFER_TOKEN, signature } };
    SecBuffer sealing[3];
    SecBufferDesc to_sign = { SECBUFFER_VERSION, 2, signing }, to_seal = { SECBUFFER_VERSION, 3, sealing };
    ULONG quality, length, all;
    CHECK_STATUS(query(self, &s->client, SECPKG_ATTR_SIZES, &sizes), SEC_E_OK, "SIZES");
    signing[1].cbBuffer = sizes.cbMaxSignature;
    if (!CHECK_STATUS(self->a.MakeSignature(&s->client, 0, &to_sign, 0), SEC_E_OK, "MakeSignature")) return;
    for (length = 0; length < signing[1].cbBuffer; length++) {
        SecBuffer cut[2] = { signing[0], { length, SECBUFFER_TOKEN, exactly(signature, length) } };
        SecBufferDesc message = { SECBUFFER_VERSION, 2, cut };
        CHECK(self->a.VerifySignature(&s->server, &message, 0, &quality) < 0, "%u bytes of a signature verify", (unsigned)length);
        free(cut[1].pvBuffer);
    }
    CHECK_STATUS(self->a.VerifySignature(&s->server, &to_sign, 0, &quality), SEC_E_OK, "the whole signature afterwards");
    sealing[0] = (SecBuffer){ sizes.cbSecurityTrailer, SECBUFFER_TOKEN, trailer };
    sealing[1] = (SecBuffer){ sizeof data, SECBUFFER_DATA, data };
    sealing[2] = (SecBuffer){ sizes.cbBlockSize, SECBUFFER_PADDING, padding };
    if (!CHECK_STATUS(self->a.EncryptMessage(&s->client, 0, &to_seal, 1), SEC_E_OK, "EncryptMessage")) return;
    all = 0;
    for (length = 0; length < 3; length++) {
        memcpy(whole + all, sealing[length].pvBuffer, sealing[length].cbBuffer);
        all += sealing[length].cbBuffer;
    }
    for (length = 0; length < all; length++) {
        SecBuffer cut[2] = { { length, SECBUFFER_STREAM, exactly(whole, length) }, { 0, SECBUFFER_DATA, NULL } };
        SecBufferDesc message = { SECBUFFER_VERSION, 2, cut };
        CHECK(self->a.DecryptMessage(&s->server, &message, 1, &quality) < 0, "%u bytes of a message are opened", (unsigned)length);
        free(cut[0].pvBuffer);
    }
    CHECK_STATUS(self->a.DecryptMessage(&s->server, &to_seal, 1, &quality), SEC_E_OK, "the whole message afterwards");
}

/* The image of a context, cut short or changed: nothing is made of it. */
static void images(const provider *self, const setting *how, session *s)
{
    SecBuffer packed = { 0, 0, NULL };
    void *token = NULL;
    CtxtHandle made;
    ULONG length;
    char name[32];
    snprintf(name, sizeof name, "%s", how->package);
    if (!CHECK_STATUS(self->a.ExportSecurityContext(&s->server, SECPKG_CONTEXT_EXPORT_DELETE_OLD, &packed, &token), SEC_E_OK, "ExportSecurityContext")) return;
    s->has_server = 0;
    for (length = 0; length < packed.cbBuffer; length += length < 40 ? 1 : 13) {
        SecBuffer cut = { length, packed.BufferType, exactly(packed.pvBuffer, length) };
        CHECK(self->a.ImportSecurityContextA(name, &cut, token, &made) < 0, "%u bytes of an image make a context", (unsigned)length);
        free(cut.pvBuffer);
    }
    for (length = 0; length < packed.cbBuffer; length += length < 40 ? 1 : 13) {
        SecBuffer changed = { packed.cbBuffer, packed.BufferType, exactly(packed.pvBuffer, packed.cbBuffer) };
        ((unsigned char *)changed.pvBuffer)[length] ^= 1;
        CHECK(self->a.ImportSecurityContextA(name, &changed, token, &made) < 0, "an image with byte %u changed makes a context", (unsigned)length);
        free(changed.pvBuffer);
    }
    if (CHECK_STATUS(self->a.ImportSecurityContextA(name, &packed, token, &made), SEC_E_OK, "ImportSecurityContextA")) {
        s->server = made;
        s->has_server = 1;
    }
    CHECK_STATUS(self->a.FreeContextBuffer(packed.pvBuffer), SEC_E_OK, "FreeContextBuffer of an image");
    CHECK_STATUS(self->a.FreeContextBuffer(token), SEC_E_OK, "FreeContextBuffer of its token");
}

int truncated_arguments(const provider *self, const char *package, const char *list)
{
    setting how;
    session s;
    unsigned before = failed_checks;
    int done;
    usual_setting(&how, package, list);
    how.asked = ISC_REQ_MUTUAL_AUTH | ISC_REQ_INTEGRITY | ISC_REQ_CONFIDENTIALITY;
    tokens(self, &how);
    small_output(self, &how);
    bindings(self, &how);
    done = establish(self, &how, &s);
    if (CHECK(done, "client %s, server %s", status_name((uint32_t)s.client_status), status_name((uint32_t)s.server_status))) {
        messages(self, &s);
        images(self, &how, &s);
    }
    finish(self, &s);
    if (failed_checks != before) printf("    ... of %s%s\n", package, list == NULL ? "" : list);
    return 0;
}

/* --- identities ----------------------------------------------------------------------------------------------------- */

static void refuse_identity(const provider *self, const void *bytes, size_t length, const char *what)
{
    void *copy = exactly(bytes, length);
    CredHandle credential;
    SECURITY_STATUS status = acquire(self, "Kerberos", SECPKG_CRED_OUTBOUND, copy, &credential);
    CHECK(status < 0 && (uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, "%s: %s", what, status_name((uint32_t)status));
    if (status == SEC_E_OK) CHECK_STATUS(self->a.FreeCredentialsHandle(&credential), SEC_E_OK, "FreeCredentialsHandle");
    free(copy);
}

int wrong_identities(const provider *self)
{
    SEC_WINNT_AUTH_IDENTITY_A plain;
    SEC_WINNT_AUTH_IDENTITY_EXW extended;
    SEC_WINNT_AUTH_IDENTITY_EX2 second;
    ULONG field;
    static unsigned char name[] = "alice";
    memset(&plain, 0, sizeof plain);
    plain.User = name;
    plain.UserLength = 5;
    plain.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
    plain.Password = name;
    plain.PasswordLength = 0x7FFFFFFF;
    refuse_identity(self, &plain, sizeof plain, "a password of two thousand million characters");
    memset(&extended, 0, sizeof extended);
    extended.Version = SEC_WINNT_AUTH_IDENTITY_VERSION;
    extended.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
    extended.Length = 8;
    refuse_identity(self, &extended, sizeof extended, "an extended identity of eight bytes");
    memset(&second, 0, sizeof second);
    second.Version = SEC_WINNT_AUTH_IDENTITY_VERSION_2;
    second.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
    second.cbHeaderLength = sizeof second;
    second.cbStructureLength = 4;
    refuse_identity(self, &second, sizeof second, "an EX2 identity of four bytes");
    second.cbStructureLength = sizeof second;
    for (field = 0; field < 4; field++) {
        SEC_WINNT_AUTH_IDENTITY_EX2 out = second;
        ULONG *offset = field == 0 ? &out.UserOffset : field == 1 ? &out.DomainOffset : field == 2 ? &out.PackedCredentialsOffset : &out.PackageListOffset;
        USHORT *length = field == 0 ? &out.UserLength : field == 1 ? &out.DomainLength : field == 2 ? &out.PackedCredentialsLength : &out.PackageListLength;
        *offset = sizeof out;
        *length = 2;
        refuse_identity(self, &out, sizeof out, "an EX2 identity that points behind itself");
        *offset = 0xFFFFFFFE;
        *length = 4;
        refuse_identity(self, &out, sizeof out, "an EX2 identity whose offset overflows");
    }
    return 0;
}
