/* Arguments that are wrong: each call gives a status, and the program goes on. */
#include "session.h"

typedef struct subject {
    provider self;
    session s;
    setting how;
} subject;

static CtxtHandle nowhere = { 0x5a5a5a5a, 0x12345678 };
static TimeStamp expiry;
static ULONG got;

/* A call that must fail; which failure it is says the table. */
#define FAILS(wanted, name, ...) CHECK_STATUS(EXPORT(name)(__VA_ARGS__), wanted, #name "(" #__VA_ARGS__ ")")
/* A call that must fail in one way or another. */
#define REFUSED(name, ...) refused(EXPORT(name)(__VA_ARGS__), #name "(" #__VA_ARGS__ ")", __LINE__)

static void refused(SECURITY_STATUS status, const char *what, int line)
{
    check_that(status < 0 && (uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, __FILE__, line, "%s: %s", what,
               status_name((uint32_t)status));
}

/* --- NULL -------------------------------------------------------------------------------------------------- */

static void null_of_packages_and_credentials(void)
{
    ULONG count;
    SecPkgInfoA *narrow;
    SecPkgInfoW *broad;
    CredHandle credential;
    char kerberos[] = "Kerberos";
    FAILS(SEC_E_INVALID_PARAMETER, EnumerateSecurityPackagesA, NULL, &narrow);
    FAILS(SEC_E_INVALID_PARAMETER, EnumerateSecurityPackagesA, &count, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, EnumerateSecurityPackagesW, NULL, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, QuerySecurityPackageInfoA, kerberos, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, QuerySecurityPackageInfoW, wide("Kerberos"), NULL);
    REFUSED(QuerySecurityPackageInfoA, NULL, &narrow);
    REFUSED(QuerySecurityPackageInfoW, NULL, &broad);
    REFUSED(AcquireCredentialsHandleA, NULL, NULL, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &credential, &expiry);
    FAILS(SEC_E_INVALID_PARAMETER, AcquireCredentialsHandleA, NULL, kerberos, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, NULL, &expiry);
    FAILS(SEC_E_INVALID_PARAMETER, AcquireCredentialsHandleW, NULL, wide("Kerberos"), SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, NULL, NULL);
    FAILS(SEC_E_INVALID_HANDLE, FreeCredentialsHandle, NULL);
    REFUSED(AddCredentialsA, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL);
    REFUSED(AddCredentialsW, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL);
    FAILS(SEC_E_INVALID_HANDLE, QueryCredentialsAttributesA, NULL, SECPKG_CRED_ATTR_NAMES, &narrow);
    FAILS(SEC_E_INVALID_HANDLE, QueryCredentialsAttributesExW, NULL, SECPKG_CRED_ATTR_NAMES, &narrow, sizeof narrow);
    REFUSED(SetCredentialsAttributesA, NULL, SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS, NULL, 0);
    REFUSED(SetCredentialsAttributesW, NULL, 0, NULL, 0);
    REFUSED(ChangeAccountPasswordA, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL);
    REFUSED(ChangeAccountPasswordW, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL);
    REFUSED(AddSecurityPackageA, NULL, NULL);
    REFUSED(AddSecurityPackageW, NULL, NULL);
    REFUSED(DeleteSecurityPackageA, NULL);
    REFUSED(DeleteSecurityPackageW, NULL);
    REFUSED(FreeContextBuffer, NULL);
    /* The expiry may be left out. */
    CHECK_STATUS(EXPORT(AcquireCredentialsHandleA)(NULL, kerberos, SECPKG_CRED_INBOUND, NULL, NULL, NULL, NULL, &credential, NULL), SEC_E_OK,
                 "without an expiry");
    CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&credential), SEC_E_OK, "FreeCredentialsHandle");
    CHECK_STATUS(EXPORT(AcquireCredentialsHandleA)(NULL, kerberos, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &credential, NULL), SEC_E_OK,
                 "alice's credential");
    FAILS(SEC_E_INVALID_PARAMETER, QueryCredentialsAttributesA, &credential, SECPKG_CRED_ATTR_NAMES, NULL);
    REFUSED(SetCredentialsAttributesW, &credential, SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS, NULL, 100);
    CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&credential), SEC_E_OK, "FreeCredentialsHandle");
}

/* Every function of a context, given none, one that never was, or one that is no more. */
static void without_a_context(CtxtHandle *context, const char *which)
{
    unsigned char bytes[64] = { 0 }, token_bytes[64] = { 0 };
    SecBuffer buffers[2] = { { sizeof bytes, SECBUFFER_DATA, bytes }, { sizeof token_bytes, SECBUFFER_TOKEN, token_bytes } }, packed = { 0, 0, NULL };
    SecBufferDesc all = { SECBUFFER_VERSION, 2, buffers };
    SecPkgContext_Sizes sizes;
    HANDLE token = NULL;
    unsigned before = failed_checks;
    FAILS(SEC_E_INVALID_HANDLE, DeleteSecurityContext, context);
    FAILS(SEC_E_INVALID_HANDLE, CompleteAuthToken, context, &all);
    FAILS(SEC_E_INVALID_HANDLE, ApplyControlToken, context, &all);
    FAILS(SEC_E_INVALID_HANDLE, QueryContextAttributesA, context, SECPKG_ATTR_SIZES, &sizes);
    FAILS(SEC_E_INVALID_HANDLE, QueryContextAttributesW, context, SECPKG_ATTR_SIZES, &sizes);
    FAILS(SEC_E_INVALID_HANDLE, QueryContextAttributesExA, context, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    FAILS(SEC_E_INVALID_HANDLE, QueryContextAttributesExW, context, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    FAILS(SEC_E_INVALID_HANDLE, SetContextAttributesA, context, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    FAILS(SEC_E_INVALID_HANDLE, SetContextAttributesW, context, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    FAILS(SEC_E_INVALID_HANDLE, ImpersonateSecurityContext, context);
    FAILS(SEC_E_INVALID_HANDLE, RevertSecurityContext, context);
    FAILS(SEC_E_INVALID_HANDLE, QuerySecurityContextToken, context, &token);
    FAILS(SEC_E_INVALID_HANDLE, ExportSecurityContext, context, 0, &packed, &token);
    FAILS(SEC_E_INVALID_HANDLE, MakeSignature, context, 0, &all, 0);
    FAILS(SEC_E_INVALID_HANDLE, VerifySignature, context, &all, 0, &got);
    FAILS(SEC_E_INVALID_HANDLE, EncryptMessage, context, 0, &all, 0);
    FAILS(SEC_E_INVALID_HANDLE, DecryptMessage, context, &all, 0, &got);
    if (failed_checks != before) printf("    ... of %s\n", which);
}

static void null_of_contexts(subject *at)
{
    unsigned char bytes[64] = { 0 };
    SecBuffer buffers[2] = { { sizeof bytes, SECBUFFER_DATA, bytes }, { sizeof bytes, SECBUFFER_TOKEN, bytes } }, packed = { 0, 0, NULL };
    SecBufferDesc all = { SECBUFFER_VERSION, 2, buffers };
    CtxtHandle made, *live = &at->s.client;
    CredHandle *credential = &at->s.client_credential;
    char kerberos[] = "Kerberos", host[] = "host/localhost";
    REFUSED(InitializeSecurityContextA, NULL, NULL, NULL, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL);
    REFUSED(InitializeSecurityContextW, NULL, NULL, NULL, 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL);
    REFUSED(InitializeSecurityContextA, credential, NULL, host, 0, 0, 0, NULL, 0, NULL, &all, &got, &expiry);
    REFUSED(InitializeSecurityContextA, credential, NULL, host, 0, 0, 0, NULL, 0, &made, NULL, &got, &expiry);
    REFUSED(InitializeSecurityContextA, &nowhere, NULL, host, 0, 0, 0, NULL, 0, &made, &all, &got, &expiry);
    REFUSED(AcceptSecurityContext, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL);
    REFUSED(AcceptSecurityContext, &at->s.server_credential, NULL, NULL, 0, 0, &made, &all, &got, &expiry);
    REFUSED(AcceptSecurityContext, &nowhere, NULL, &all, 0, 0, &made, &all, &got, &expiry);
    FAILS(SEC_E_INVALID_PARAMETER, QueryContextAttributesA, live, SECPKG_ATTR_SIZES, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, QueryContextAttributesExA, live, SECPKG_ATTR_SIZES, NULL, sizeof(SecPkgContext_Sizes));
    REFUSED(SetContextAttributesA, live, SECPKG_ATTR_SIZES, NULL, 4);
    FAILS(SEC_E_INVALID_PARAMETER, QuerySecurityContextToken, &at->s.server, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, ExportSecurityContext, live, 0, NULL, NULL);
    REFUSED(ImportSecurityContextA, kerberos, NULL, NULL, &made);
    REFUSED(ImportSecurityContextA, kerberos, &packed, NULL, NULL);
    REFUSED(ImportSecurityContextA, NULL, &packed, NULL, &made);
    REFUSED(ImportSecurityContextW, wide("Kerberos"), &packed, NULL, &made);
    REFUSED(CompleteAuthToken, live, NULL);
    REFUSED(ApplyControlToken, live, NULL);
    FAILS(SEC_E_INVALID_PARAMETER, MakeSignature, live, 0, NULL, 0);
    FAILS(SEC_E_INVALID_PARAMETER, VerifySignature, live, NULL, 0, &got);
    FAILS(SEC_E_INVALID_PARAMETER, EncryptMessage, live, 0, NULL, 0);
    FAILS(SEC_E_INVALID_PARAMETER, DecryptMessage, live, NULL, 0, &got);
    without_a_context(NULL, "no context");
    without_a_context(&nowhere, "a context that never was");
    without_a_context(credential, "a credential in a context's place");
    FAILS(SEC_E_INVALID_HANDLE, FreeCredentialsHandle, live);
    FAILS(SEC_E_INVALID_HANDLE, FreeCredentialsHandle, &nowhere);
}

static void null_of_identities(void)
{
    void *who = NULL;
    const SEC_WCHAR *text = NULL;
    BOOLEAN one, two;
    ULONG length;
    char *bytes;
    REFUSED(SspiEncodeStringsAsAuthIdentity, wide("a"), wide("b"), wide("c"), NULL);
    REFUSED(SspiEncodeAuthIdentityAsStrings, NULL, &text, &text, &text);
    REFUSED(SspiValidateAuthIdentity, NULL);
    REFUSED(SspiCopyAuthIdentity, NULL, &who);
    REFUSED(SspiCompareAuthIdentities, NULL, NULL, NULL, NULL);
    REFUSED(SspiMarshalAuthIdentity, NULL, &length, &bytes);
    REFUSED(SspiUnmarshalAuthIdentity, 10, NULL, &who);
    REFUSED(SspiEncryptAuthIdentity, NULL);
    REFUSED(SspiDecryptAuthIdentity, NULL);
    REFUSED(SspiExcludePackage, NULL, NULL, NULL);
    REFUSED(SspiGetTargetHostName, NULL, NULL);
    REFUSED(SspiPrepareForCredRead, NULL, NULL, NULL, NULL);
    REFUSED(SspiPrepareForCredWrite, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CHECK(!EXPORT(SspiIsAuthIdentityEncrypted)(NULL), "nothing is encrypted");
    EXPORT(SspiFreeAuthIdentity)(NULL);
    EXPORT(SspiZeroAuthIdentity)(NULL);
    EXPORT(SspiLocalFree)(NULL);
    (void)one, (void)two;
}

/* --- what was freed, and what was never given ----------------------------------------------------------------- */

static void freed_twice(subject *at)
{
    SecPkgInfoA *info = NULL;
    CredHandle credential = at->s.client_credential;
    CtxtHandle context = at->s.client;
    char kerberos[] = "Kerberos", on_the_stack[32] = { 0 }, *foreign = malloc(64);
    CHECK_STATUS(EXPORT(QuerySecurityPackageInfoA)(kerberos, &info), SEC_E_OK, "QuerySecurityPackageInfoA");
    REFUSED(FreeContextBuffer, on_the_stack);
    REFUSED(FreeContextBuffer, foreign);
    REFUSED(FreeContextBuffer, (char *)info + 1);
    CHECK_STATUS(EXPORT(FreeContextBuffer)(info), SEC_E_OK, "FreeContextBuffer");
    REFUSED(FreeContextBuffer, info);
    EXPORT(SspiLocalFree)(on_the_stack);
    EXPORT(SspiFreeAuthIdentity)(foreign);
    free(foreign);
    CHECK_STATUS(EXPORT(DeleteSecurityContext)(&context), SEC_E_OK, "DeleteSecurityContext");
    at->s.has_client = 0;
    without_a_context(&context, "a context that was deleted");
    without_a_context(&at->s.client, "a copy of a deleted context's handle");
    CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&credential), SEC_E_OK, "FreeCredentialsHandle");
    at->s.client_has_credential = 0;
    FAILS(SEC_E_INVALID_HANDLE, FreeCredentialsHandle, &credential);
    FAILS(SEC_E_INVALID_HANDLE, FreeCredentialsHandle, &at->s.client_credential);
    FAILS(SEC_E_INVALID_HANDLE, QueryCredentialsAttributesW, &at->s.client_credential, SECPKG_CRED_ATTR_NAMES, &info);
}

/* --- misaligned ------------------------------------------------------------------------------------------------- */

/* A handle, a structure or a string may stand anywhere: the answer is the same as for an aligned one, or a refusal. */
static void misaligned(subject *at)
{
    unsigned char room[256], out[64];
    CtxtHandle *handle = (void *)(room + 1);
    SecPkgContext_Sizes *sizes = (void *)(out + 1);
    SEC_WCHAR *name = (void *)(room + 65);
    SecPkgInfoW **info = (void *)(out + 33);
    SecBufferDesc *all = (void *)(room + 129);
    SecBuffer *buffers = (void *)(room + 161);
    SecPkgContext_Sizes right;
    unsigned char data[8] = { 0 }, signature[512];
    SecBuffer two[2] = { { sizeof data, SECBUFFER_DATA, data }, { 0, SECBUFFER_TOKEN, signature } };
    SecBufferDesc description = { SECBUFFER_VERSION, 2, buffers };
    SECURITY_STATUS status;
    CHECK_STATUS(query(&at->self, &at->s.client, SECPKG_ATTR_SIZES, &right), SEC_E_OK, "SIZES");
    memcpy(handle, &at->s.client, sizeof *handle);
    memcpy(name, wide("Kerberos"), 18);
    status = EXPORT(QueryContextAttributesA)(handle, SECPKG_ATTR_SIZES, sizes);
    CHECK(status == SEC_E_OK ? memcmp(sizes, &right, sizeof right) == 0 : (uint32_t)status == (uint32_t)SEC_E_INVALID_PARAMETER,
          "a misaligned handle and answer: %s", status_name((uint32_t)status));
    status = EXPORT(QuerySecurityPackageInfoW)(name, info);
    if (status == SEC_E_OK) {
        SecPkgInfoW *got_it;
        memcpy(&got_it, info, sizeof got_it);
        CHECK(wide_is(got_it->Name, "Kerberos"), "a misaligned name is another one");
        CHECK_STATUS(EXPORT(FreeContextBuffer)(got_it), SEC_E_OK, "FreeContextBuffer");
    } else {
        CHECK_STATUS(status, SEC_E_INVALID_PARAMETER, "a misaligned name");
    }
    two[1].cbBuffer = right.cbMaxSignature;
    memcpy(buffers, two, sizeof two);
    memcpy(all, &description, sizeof description);
    status = EXPORT(MakeSignature)(handle, 0, all, 0);
    CHECK(status == SEC_E_OK || (uint32_t)status == (uint32_t)SEC_E_INVALID_PARAMETER, "misaligned buffers: %s", status_name((uint32_t)status));
}

/* --- buffers ------------------------------------------------------------------------------------------------------ */

static void wrong_buffers(subject *at)
{
    unsigned char data[16] = { 0 }, token[512];
    SecBuffer two[2] = { { sizeof data, SECBUFFER_DATA, data }, { sizeof token, SECBUFFER_TOKEN, token } };
    SecBufferDesc all = { 7, 2, two };
    CtxtHandle *live = &at->s.client;
    REFUSED(MakeSignature, live, 0, &all, 0);
    all.ulVersion = SECBUFFER_VERSION;
    all.cBuffers = 0;
    REFUSED(MakeSignature, live, 0, &all, 0);
    all.cBuffers = 0xFFFFFFFF;
    REFUSED(MakeSignature, live, 0, &all, 0);
    all.cBuffers = 2;
    all.pBuffers = NULL;
    REFUSED(EncryptMessage, live, 0, &all, 0);
    all.pBuffers = two;
    two[0].pvBuffer = NULL;
    REFUSED(MakeSignature, live, 0, &all, 0);
    two[0].pvBuffer = data;
    two[1].cbBuffer = 1;
    FAILS(SEC_E_BUFFER_TOO_SMALL, MakeSignature, live, 0, &all, 0);
    two[1].cbBuffer = sizeof token;
    two[1].BufferType = SECBUFFER_MISSING;
    REFUSED(MakeSignature, live, 0, &all, 0);
    two[1].BufferType = SECBUFFER_TOKEN;
    /* The message in its own signature's place. */
    two[1].pvBuffer = data;
    two[1].cbBuffer = sizeof data;
    FAILS(SEC_E_INVALID_PARAMETER, MakeSignature, live, 0, &all, 0);
    two[1].pvBuffer = token;
    two[1].cbBuffer = sizeof token;
    /* None of that harmed the context. */
    sign_and_verify(&at->self, &at->s.client, &at->s.server, 0);
    FAILS(SEC_E_QOP_NOT_SUPPORTED, MakeSignature, live, 0x12345, &all, 0);
    FAILS(SEC_E_QOP_NOT_SUPPORTED, EncryptMessage, live, 0xFFFFFFFF, &all, 0);
}

static void wrong_attributes(subject *at)
{
    unsigned char answer[512];
    uint32_t number, unknown = 0;
    for (number = 0; number < 300; number++) {
        /* What is known is asked for with no room at all. */
        SECURITY_STATUS status = EXPORT(QueryContextAttributesExA)(&at->s.client, number, answer, 0);
        CHECK(status < 0, "attribute %u into no room: %s", (unsigned)number, status_name((uint32_t)status));
        if ((uint32_t)status == (uint32_t)SEC_E_UNSUPPORTED_FUNCTION) unknown++;
        status = EXPORT(QueryCredentialsAttributesExW)(&at->s.client_credential, number, answer, 0);
        CHECK(status < 0, "credential attribute %u into no room: %s", (unsigned)number, status_name((uint32_t)status));
        REFUSED(SetContextAttributesW, &at->s.client, number, answer, 0);
    }
    CHECK(unknown > 250, "only %u of 300 attributes are unknown", (unsigned)unknown);
    REFUSED(QueryContextAttributesA, &at->s.client, 0x80000000, answer);
    REFUSED(QueryContextAttributesW, &at->s.client, 0xFFFFFFFF, answer);
}

/* --- strings and flags ---------------------------------------------------------------------------------------------- */

static void wrong_strings(void)
{
    SecPkgInfoA *info;
    SecPkgInfoW *broad;
    CredHandle credential;
    char empty[] = "", unknown[] = "Kerberos ", broken[] = "Kerb\xff\xfe", *endless = malloc(1 << 20);
    SEC_WCHAR lonely[] = { 'N', 0xD800, 'T', 0 }, none[] = { 0 };
    memset(endless, 'K', (1 << 20) - 1);
    endless[(1 << 20) - 1] = '\0';
    FAILS(SEC_E_SECPKG_NOT_FOUND, QuerySecurityPackageInfoA, empty, &info);
    FAILS(SEC_E_SECPKG_NOT_FOUND, QuerySecurityPackageInfoW, none, &broad);
    FAILS(SEC_E_SECPKG_NOT_FOUND, QuerySecurityPackageInfoA, unknown, &info);
    REFUSED(QuerySecurityPackageInfoA, broken, &info);
    REFUSED(QuerySecurityPackageInfoW, lonely, &broad);
    REFUSED(QuerySecurityPackageInfoA, endless, &info);
    REFUSED(AcquireCredentialsHandleA, NULL, endless, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &credential, &expiry);
    free(endless);
}

static void wrong_flags(subject *at)
{
    unsigned char bytes[16384];
    SecBuffer token = { sizeof bytes, SECBUFFER_TOKEN, bytes };
    SecBufferDesc output = { SECBUFFER_VERSION, 1, &token };
    CredHandle credential;
    CtxtHandle made;
    char kerberos[] = "Kerberos", host[] = "host/localhost";
    SECURITY_STATUS status;
    REFUSED(AcquireCredentialsHandleA, NULL, kerberos, 0, NULL, NULL, NULL, NULL, &credential, &expiry);
    status = EXPORT(AcquireCredentialsHandleA)(NULL, kerberos, 0xFFFFFFFF, NULL, NULL, NULL, NULL, &credential, &expiry);
    CHECK((uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, "every bit of a use: %s", status_name((uint32_t)status));
    if (status == SEC_E_OK) CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&credential), SEC_E_OK, "FreeCredentialsHandle");
    status = EXPORT(InitializeSecurityContextA)(&at->s.client_credential, NULL, host, 0xFFFFFFFF & ~(uint32_t)ISC_REQ_ALLOCATE_MEMORY, 0xFFFFFFFF,
                                                 0xFFFFFFFF, NULL, 0xFFFFFFFF, &made, &output, &got, &expiry);
    CHECK((uint32_t)status != (uint32_t)SEC_E_INTERNAL_ERROR, "every flag: %s", status_name((uint32_t)status));
    if (status >= 0) CHECK_STATUS(EXPORT(DeleteSecurityContext)(&made), SEC_E_OK, "DeleteSecurityContext");
}

int truncated_arguments(const provider *self, const char *package, const char *list);
int wrong_identities(const provider *self);

static int begin(subject *at)
{
    int done;
    memset(at, 0, sizeof *at);
    provider_from_names(&at->self, 0);
    usual_setting(&at->how, "Kerberos", NULL);
    at->how.asked = ISC_REQ_MUTUAL_AUTH | ISC_REQ_INTEGRITY | ISC_REQ_CONFIDENTIALITY;
    done = establish(&at->self, &at->how, &at->s);
    return CHECK(done, "client %s, server %s", status_name((uint32_t)at->s.client_status),
                 status_name((uint32_t)at->s.server_status));
}

int run_arguments(void)
{
    subject at;
    null_of_packages_and_credentials();
    null_of_identities();
    wrong_strings();
    if (begin(&at)) {
        null_of_contexts(&at);
        misaligned(&at);
    }
    finish(&at.self, &at.s);
    /* A context of its own for what counts messages. */
    if (begin(&at)) {
        wrong_buffers(&at);
        wrong_attributes(&at);
        wrong_flags(&at);
        freed_twice(&at);
    }
    finish(&at.self, &at.s);
    provider_from_tables(&at.self, 0);
    truncated_arguments(&at.self, "Kerberos", NULL);
    truncated_arguments(&at.self, "NTLM", NULL);
    truncated_arguments(&at.self, "Negotiate", NULL);
    truncated_arguments(&at.self, "Negotiate", "!Kerberos");
    wrong_identities(&at.self);
    return 0;
}
