#include "session.h"

void provider_from_tables(provider *self, int wide_ones)
{
    self->a = *EXPORT(InitSecurityInterfaceA)();
    self->w = *EXPORT(InitSecurityInterfaceW)();
    self->wide = wide_ones;
}

void provider_from_names(provider *self, int wide_ones)
{
    memset(self, 0, sizeof *self);
    self->wide = wide_ones;
#define EITHER(name) self->a.name = EXPORT(name); self->w.name = EXPORT(name)
#define BOTH(name) self->a.name##A = EXPORT(name##A); self->w.name##W = EXPORT(name##W)
    BOTH(EnumerateSecurityPackages); BOTH(QueryCredentialsAttributes); BOTH(AcquireCredentialsHandle);
    EITHER(FreeCredentialsHandle); BOTH(InitializeSecurityContext); EITHER(AcceptSecurityContext);
    EITHER(CompleteAuthToken); EITHER(DeleteSecurityContext); EITHER(ApplyControlToken); BOTH(QueryContextAttributes);
    EITHER(ImpersonateSecurityContext); EITHER(RevertSecurityContext); EITHER(MakeSignature); EITHER(VerifySignature);
    EITHER(FreeContextBuffer); BOTH(QuerySecurityPackageInfo); EITHER(ExportSecurityContext); BOTH(ImportSecurityContext);
    BOTH(AddCredentials); EITHER(QuerySecurityContextToken); EITHER(EncryptMessage); EITHER(DecryptMessage);
    BOTH(SetContextAttributes); BOTH(SetCredentialsAttributes); BOTH(ChangeAccountPassword);
    BOTH(QueryContextAttributesEx); BOTH(QueryCredentialsAttributesEx);
#undef EITHER
#undef BOTH
}

SECURITY_STATUS acquire(const provider *self, const char *package, uint32_t use, void *identity, CredHandle *credential)
{
    TimeStamp expiry;
    char name[32];
    SecInvalidateHandle(credential);
    if (self->wide)
        return self->w.AcquireCredentialsHandleW(NULL, wide(package), use, NULL, identity, NULL, NULL, credential, &expiry);
    snprintf(name, sizeof name, "%s", package);
    return self->a.AcquireCredentialsHandleA(NULL, name, use, NULL, identity, NULL, NULL, credential, &expiry);
}

SECURITY_STATUS initialize(const provider *self, CredHandle *credential, CtxtHandle *context, const char *target, uint32_t asked,
                           SecBufferDesc *input, CtxtHandle *made, SecBufferDesc *output, uint32_t *attributes)
{
    TimeStamp expiry;
    ULONG got = 0;
    SECURITY_STATUS status;
    char name[256];
    if (self->wide) {
        status = self->w.InitializeSecurityContextW(credential, context, wide(target), asked, 0, SECURITY_NATIVE_DREP, input, 0,
                                                    made, output, &got, &expiry);
    } else {
        if (target != NULL) snprintf(name, sizeof name, "%s", target);
        status = self->a.InitializeSecurityContextA(credential, context, target == NULL ? NULL : name, asked, 0,
                                                    SECURITY_NATIVE_DREP, input, 0, made, output, &got, &expiry);
    }
    *attributes = (uint32_t)got;
    return status;
}

SECURITY_STATUS query(const provider *self, CtxtHandle *context, uint32_t attribute, void *answer)
{
    return self->wide ? self->w.QueryContextAttributesW(context, attribute, answer)
                      : self->a.QueryContextAttributesA(context, attribute, answer);
}

/* --- who the client is ------------------------------------------------------------------------------------ */

static SECURITY_STATUS acquire_plain(const provider *self, const setting *how, CredHandle *credential)
{
    if (self->wide) {
        SEC_WINNT_AUTH_IDENTITY_W who;
        memset(&who, 0, sizeof who);
        who.User = (unsigned short *)wide(how->user);
        who.UserLength = (ULONG)strlen(how->user);
        who.Domain = (unsigned short *)wide(how->domain);
        who.DomainLength = (ULONG)strlen(how->domain);
        who.Password = (unsigned short *)wide(how->password);
        who.PasswordLength = (ULONG)strlen(how->password);
        who.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
        return acquire(self, how->package, SECPKG_CRED_OUTBOUND, &who, credential);
    } else {
        SEC_WINNT_AUTH_IDENTITY_A who;
        memset(&who, 0, sizeof who);
        who.User = (unsigned char *)(uintptr_t)how->user;
        who.UserLength = (ULONG)strlen(how->user);
        who.Domain = (unsigned char *)(uintptr_t)how->domain;
        who.DomainLength = (ULONG)strlen(how->domain);
        who.Password = (unsigned char *)(uintptr_t)how->password;
        who.PasswordLength = (ULONG)strlen(how->password);
        who.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
        return acquire(self, how->package, SECPKG_CRED_OUTBOUND, &who, credential);
    }
}

/* A length of NULL is none. */
static ULONG length_of(const char *text) { return text == NULL ? 0 : (ULONG)strlen(text); }

/* The strings are UTF-16 where `wide_strings`, whatever the function is. */
static SECURITY_STATUS acquire_extended(const provider *self, const setting *how, int wide_strings, CredHandle *credential)
{
    int named = how->identity != ENVIRONMENT;
    const char *user = named ? how->user : NULL, *domain = named ? how->domain : NULL, *password = named ? how->password : NULL;
    if (wide_strings) {
        SEC_WINNT_AUTH_IDENTITY_EXW who;
        memset(&who, 0, sizeof who);
        who.Version = SEC_WINNT_AUTH_IDENTITY_VERSION;
        who.Length = sizeof who;
        who.User = (unsigned short *)wide(user);
        who.UserLength = length_of(user);
        who.Domain = (unsigned short *)wide(domain);
        who.DomainLength = length_of(domain);
        who.Password = (unsigned short *)wide(password);
        who.PasswordLength = length_of(password);
        who.PackageList = (unsigned short *)wide(how->list);
        who.PackageListLength = length_of(how->list);
        who.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
        return acquire(self, how->package, SECPKG_CRED_OUTBOUND, &who, credential);
    } else {
        SEC_WINNT_AUTH_IDENTITY_EXA who;
        memset(&who, 0, sizeof who);
        who.Version = SEC_WINNT_AUTH_IDENTITY_VERSION;
        who.Length = sizeof who;
        who.User = (unsigned char *)(uintptr_t)user;
        who.UserLength = length_of(user);
        who.Domain = (unsigned char *)(uintptr_t)domain;
        who.DomainLength = length_of(domain);
        who.Password = (unsigned char *)(uintptr_t)password;
        who.PasswordLength = length_of(password);
        who.PackageList = (unsigned char *)(uintptr_t)how->list;
        who.PackageListLength = length_of(how->list);
        who.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
        return acquire(self, how->package, SECPKG_CRED_OUTBOUND, &who, credential);
    }
}

SECURITY_STATUS acquire_client(const provider *self, const setting *how, CredHandle *credential)
{
    if (how->identity == EXTENDED) return acquire_extended(self, how, !self->wide, credential);
    /* Only the extended structure can carry a list of packages. */
    if (how->list != NULL) return acquire_extended(self, how, self->wide, credential);
    if (how->identity == ENVIRONMENT) return acquire(self, how->package, SECPKG_CRED_OUTBOUND, NULL, credential);
    return acquire_plain(self, how, credential);
}

void usual_setting(setting *how, const char *package, const char *list)
{
    int kerberos = strcmp(package, "Kerberos") == 0 || (strcmp(package, "Negotiate") == 0 && list == NULL);
    memset(how, 0, sizeof *how);
    how->package = package;
    how->list = list;
    how->target = "host/localhost";
    how->user = "alice";
    how->domain = kerberos ? "C.TEST" : "CTEST";
    how->password = "Wonder-Land-7";
}

/* --- the handshake ---------------------------------------------------------------------------------------- */

typedef struct bindings {
    SEC_CHANNEL_BINDINGS header;
    char data[24];
} bindings;

static void bind_to(bindings *self, const char *text)
{
    memset(self, 0, sizeof *self);
    snprintf(self->data, sizeof self->data, "%s", text);
    self->header.cbApplicationDataLength = (ULONG)strlen(text);
    self->header.dwApplicationDataOffset = (ULONG)offsetof(bindings, data);
}

/* One side's part of one leg. */
typedef struct leg {
    const provider *self;
    const setting *how;
    session *made;
    uint32_t room;
} leg;

typedef struct token {
    SecBuffer buffer;
    unsigned char own[16384];
    int provided;
} token;

static void make_room(const leg *at, token *out)
{
    out->provided = at->how->allocate;
    out->buffer.BufferType = SECBUFFER_TOKEN;
    out->buffer.cbBuffer = at->how->allocate ? 0 : at->room;
    out->buffer.pvBuffer = at->how->allocate ? NULL : out->own;
}

static void give_back(const leg *at, token *out)
{
    if (out->provided && out->buffer.pvBuffer != NULL)
        CHECK_STATUS(at->self->a.FreeContextBuffer(out->buffer.pvBuffer), SEC_E_OK, "FreeContextBuffer of a token");
    out->buffer.pvBuffer = NULL;
    out->buffer.cbBuffer = 0;
}

static SECURITY_STATUS client_leg(leg *at, token *in, token *out)
{
    session *s = at->made;
    SecBuffer input[2];
    SecBufferDesc given = { SECBUFFER_VERSION, 0, input }, answer = { SECBUFFER_VERSION, 1, &out->buffer };
    CredHandle *credential = s->client_has_credential ? &s->client_credential : NULL;
    uint32_t asked = at->how->asked | (at->how->allocate ? ISC_REQ_ALLOCATE_MEMORY : 0);
    SECURITY_STATUS status;
    bindings bound;
    memset(input, 0, sizeof input);
    if (in != NULL || at->how->empty_first) {
        input[given.cBuffers].BufferType = SECBUFFER_TOKEN;
        if (in != NULL) input[given.cBuffers] = in->buffer;
        given.cBuffers++;
    }
    if (at->how->bindings != UNBOUND) {
        bind_to(&bound, "tls-unique:one-and-same");
        input[given.cBuffers].BufferType = SECBUFFER_CHANNEL_BINDINGS;
        input[given.cBuffers].cbBuffer = sizeof bound;
        input[given.cBuffers].pvBuffer = &bound;
        given.cBuffers++;
    }
    make_room(at, out);
    status = initialize(at->self, credential, s->has_client ? &s->client : NULL, at->how->target, asked,
                        given.cBuffers == 0 ? NULL : &given, &s->client, &answer, &s->client_attributes);
    if (status >= 0) s->has_client = 1;
    CHECK(at->how->allocate || out->buffer.cbBuffer <= at->room, "the client's token grew");
    if (status >= 0 && at->how->forget_credential && s->client_has_credential) {
        CHECK_STATUS(at->self->a.FreeCredentialsHandle(&s->client_credential), SEC_E_OK, "FreeCredentialsHandle before its context");
        s->client_has_credential = 0;
    }
    return status;
}

static SECURITY_STATUS server_leg(leg *at, token *in, token *out)
{
    session *s = at->made;
    SecBuffer input[2];
    SecBufferDesc given = { SECBUFFER_VERSION, 1, input }, answer = { SECBUFFER_VERSION, 1, &out->buffer };
    CredHandle *credential = s->server_has_credential ? &s->server_credential : NULL;
    uint32_t asked = at->how->server_asked | (at->how->allocate ? ASC_REQ_ALLOCATE_MEMORY : 0);
    ULONG got = 0;
    TimeStamp expiry;
    SECURITY_STATUS status;
    bindings bound;
    memset(input, 0, sizeof input);
    input[0] = in->buffer;
    if (at->how->bindings != UNBOUND) {
        bind_to(&bound, at->how->bindings == BOUND ? "tls-unique:one-and-same" : "tls-unique:somebodyelse");
        input[1].BufferType = SECBUFFER_CHANNEL_BINDINGS;
        input[1].cbBuffer = sizeof bound;
        input[1].pvBuffer = &bound;
        given.cBuffers = 2;
    }
    make_room(at, out);
    status = at->self->a.AcceptSecurityContext(credential, s->has_server ? &s->server : NULL, &given, asked, SECURITY_NATIVE_DREP,
                                               &s->server, &answer, &got, &expiry);
    s->server_attributes = (uint32_t)got;
    if (status >= 0) s->has_server = 1;
    if (status >= 0 && at->how->forget_credential && s->server_has_credential) {
        CHECK_STATUS(at->self->a.FreeCredentialsHandle(&s->server_credential), SEC_E_OK, "FreeCredentialsHandle before its context");
        s->server_has_credential = 0;
    }
    return status;
}

static uint32_t largest_token(const provider *self, const char *package)
{
    uint32_t room = 0;
    if (self->wide) {
        SecPkgInfoW *info = NULL;
        CHECK_STATUS(self->w.QuerySecurityPackageInfoW(wide(package), &info), SEC_E_OK, "QuerySecurityPackageInfoW");
        if (info != NULL) {
            room = info->cbMaxToken;
            CHECK_STATUS(self->w.FreeContextBuffer(info), SEC_E_OK, "FreeContextBuffer of a package");
        }
    } else {
        SecPkgInfoA *info = NULL;
        char name[32];
        snprintf(name, sizeof name, "%s", package);
        CHECK_STATUS(self->a.QuerySecurityPackageInfoA(name, &info), SEC_E_OK, "QuerySecurityPackageInfoA");
        if (info != NULL) {
            room = info->cbMaxToken;
            CHECK_STATUS(self->a.FreeContextBuffer(info), SEC_E_OK, "FreeContextBuffer of a package");
        }
    }
    return room > 16384 ? 16384 : room;
}

int establish(const provider *self, const setting *how, session *made)
{
    leg at = { self, how, made, 0 };
    token *request = calloc(1, sizeof *request), *answer = calloc(1, sizeof *answer);
    int pending = 1, first = 1;
    memset(made, 0, sizeof *made);
    if (request == NULL || answer == NULL) exit(3);
    at.room = largest_token(self, how->package);
    made->client_status = acquire_client(self, how, &made->client_credential);
    made->client_has_credential = made->client_status == SEC_E_OK;
    made->server_status = acquire(self, how->package, SECPKG_CRED_INBOUND, NULL, &made->server_credential);
    made->server_has_credential = made->server_status == SEC_E_OK;
    if (!made->client_has_credential || !made->server_has_credential) goto done;
    made->server_status = SEC_I_CONTINUE_NEEDED;
    while (pending && made->legs < 12) {
        made->client_status = client_leg(&at, first ? NULL : answer, request);
        give_back(&at, answer);
        first = 0;
        made->legs++;
        if (made->client_status < 0) break;
        /* The client is done and the server too: nothing is left to carry. */
        if (made->server_status == SEC_E_OK) { pending = 0; break; }
        made->server_status = server_leg(&at, request, answer);
        give_back(&at, request);
        made->legs++;
        if (made->server_status < 0) break;
        pending = made->client_status == SEC_I_CONTINUE_NEEDED || made->server_status == SEC_I_CONTINUE_NEEDED;
    }
done:
    give_back(&at, request);
    give_back(&at, answer);
    free(request);
    free(answer);
    return made->client_status == SEC_E_OK && made->server_status == SEC_E_OK;
}

void finish(const provider *self, session *made)
{
    if (made->has_client) CHECK_STATUS(self->a.DeleteSecurityContext(&made->client), SEC_E_OK, "DeleteSecurityContext, client");
    if (made->has_server) CHECK_STATUS(self->a.DeleteSecurityContext(&made->server), SEC_E_OK, "DeleteSecurityContext, server");
    if (made->client_has_credential)
        CHECK_STATUS(self->a.FreeCredentialsHandle(&made->client_credential), SEC_E_OK, "FreeCredentialsHandle, client");
    if (made->server_has_credential)
        CHECK_STATUS(self->a.FreeCredentialsHandle(&made->server_credential), SEC_E_OK, "FreeCredentialsHandle, server");
    memset(made, 0, sizeof *made);
}

/* --- messages --------------------------------------------------------------------------------------------- */

static const char message[] = "the quick brown fox jumps over the lazy dog";

int sign_and_verify(const provider *self, CtxtHandle *from, CtxtHandle *to, uint32_t number)
{
    SecPkgContext_Sizes sizes;
    unsigned char signature[512];
    char data[sizeof message];
    SecBuffer buffers[2] = { { sizeof message, SECBUFFER_DATA, data }, { 0, SECBUFFER_TOKEN, signature } };
    SecBufferDesc all = { SECBUFFER_VERSION, 2, buffers };
    ULONG quality = 77;
    if (!CHECK_STATUS(query(self, from, SECPKG_ATTR_SIZES, &sizes), SEC_E_OK, "SIZES")) return 0;
    if (!CHECK(sizes.cbMaxSignature > 0 && sizes.cbMaxSignature <= sizeof signature, "cbMaxSignature is %u",
               (unsigned)sizes.cbMaxSignature)) return 0;
    memcpy(data, message, sizeof message);
    buffers[1].cbBuffer = sizes.cbMaxSignature;
    if (!CHECK_STATUS(self->a.MakeSignature(from, 0, &all, number), SEC_E_OK, "MakeSignature")) return 0;
    if (!CHECK_STATUS(self->a.VerifySignature(to, &all, number, &quality), SEC_E_OK, "VerifySignature")) return 0;
    return CHECK(quality == 0, "the quality of a signature is %u", (unsigned)quality);
}

int seal_and_open(const provider *self, CtxtHandle *from, CtxtHandle *to, uint32_t number, int as_stream)
{
    SecPkgContext_Sizes sizes;
    unsigned char whole[1024];
    SecBuffer buffers[3], stream[2];
    SecBufferDesc all = { SECBUFFER_VERSION, 3, buffers }, one = { SECBUFFER_VERSION, 2, stream };
    ULONG quality = 77;
    if (!CHECK_STATUS(query(self, from, SECPKG_ATTR_SIZES, &sizes), SEC_E_OK, "SIZES")) return 0;
    if (!CHECK(sizes.cbSecurityTrailer > 0 && sizes.cbSecurityTrailer + sizes.cbBlockSize + sizeof message <= sizeof whole,
               "cbSecurityTrailer is %u", (unsigned)sizes.cbSecurityTrailer)) return 0;
    memset(whole, 0, sizeof whole);
    buffers[0] = (SecBuffer){ sizes.cbSecurityTrailer, SECBUFFER_TOKEN, whole };
    buffers[1] = (SecBuffer){ sizeof message, SECBUFFER_DATA, whole + sizes.cbSecurityTrailer };
    buffers[2] = (SecBuffer){ sizes.cbBlockSize, SECBUFFER_PADDING, whole + sizes.cbSecurityTrailer + sizeof message };
    memcpy(buffers[1].pvBuffer, message, sizeof message);
    if (!CHECK_STATUS(self->a.EncryptMessage(from, 0, &all, number), SEC_E_OK, "EncryptMessage")) return 0;
    if (!CHECK(memcmp(buffers[1].pvBuffer, message, sizeof message) != 0, "the message is in clear")) return 0;
    if (!as_stream) {
        if (!CHECK_STATUS(self->a.DecryptMessage(to, &all, number, &quality), SEC_E_OK, "DecryptMessage")) return 0;
        return CHECK(memcmp(buffers[1].pvBuffer, message, sizeof message) == 0, "another message came out");
    }
    /* As one piece: what a program would have read from its connection. */
    memmove(whole + buffers[0].cbBuffer, buffers[1].pvBuffer, sizeof message);
    memmove(whole + buffers[0].cbBuffer + sizeof message, buffers[2].pvBuffer, buffers[2].cbBuffer);
    stream[0] = (SecBuffer){ buffers[0].cbBuffer + (ULONG)sizeof message + buffers[2].cbBuffer, SECBUFFER_STREAM, whole };
    stream[1] = (SecBuffer){ 0, SECBUFFER_DATA, NULL };
    if (!CHECK_STATUS(self->a.DecryptMessage(to, &one, number, &quality), SEC_E_OK, "DecryptMessage of a stream")) return 0;
    return CHECK(stream[1].cbBuffer == sizeof message && memcmp(stream[1].pvBuffer, message, sizeof message) == 0,
                 "another message came out of the stream: %u bytes", (unsigned)stream[1].cbBuffer);
}
