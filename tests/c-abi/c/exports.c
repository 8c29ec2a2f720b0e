/* Every exported name by itself: a line `reached NAME` for each that came to a success. */
#include "session.h"

/* Calls an exported function by its name, checks that it succeeds, and says so. */
#define REACH(name, ...) reached(#name, EXPORT(name)(__VA_ARGS__))

static void say(const char *name)
{
    printf("reached %s\n", name);
    fflush(stdout);
}

static SECURITY_STATUS reached(const char *name, SECURITY_STATUS status)
{
    if (CHECK(status >= 0, "%s: %s, %s", name, status_name((uint32_t)status), EXPORT(TrihoundLastError)())) say(name);
    return status;
}

static char package_name[] = "NTLM", kerberos_name[] = "Kerberos";

static void packages(void)
{
    ULONG count = 0;
    SecPkgInfoA *narrow = NULL;
    SecPkgInfoW *broad = NULL;
    if (CHECK(EXPORT(InitSecurityInterfaceA)() != NULL, "no table")) say("InitSecurityInterfaceA");
    if (CHECK(EXPORT(InitSecurityInterfaceW)() != NULL, "no table")) say("InitSecurityInterfaceW");
    if (REACH(EnumerateSecurityPackagesA, &count, &narrow) == SEC_E_OK) {
        CHECK(count == 3 && strcmp(narrow[0].Name, "Negotiate") == 0, "%u packages, the first is %s", (unsigned)count, narrow[0].Name);
        REACH(FreeContextBuffer, narrow);
    }
    if (REACH(EnumerateSecurityPackagesW, &count, &broad) == SEC_E_OK) {
        CHECK(count == 3 && wide_is(broad[0].Name, "Negotiate"), "%u packages", (unsigned)count);
        REACH(FreeContextBuffer, broad);
    }
    if (REACH(QuerySecurityPackageInfoA, package_name, &narrow) == SEC_E_OK) {
        CHECK(strcmp(narrow->Name, "NTLM") == 0 && narrow->cbMaxToken > 0, "%s, %u bytes", narrow->Name, (unsigned)narrow->cbMaxToken);
        REACH(FreeContextBuffer, narrow);
    }
    if (REACH(QuerySecurityPackageInfoW, wide("NTLM"), &broad) == SEC_E_OK) {
        CHECK(wide_is(broad->Name, "NTLM"), "another package");
        REACH(FreeContextBuffer, broad);
    }
}

static void taken_away_and_put_back(void)
{
    SECURITY_PACKAGE_OPTIONS options = { sizeof options, SECPKG_OPTIONS_TYPE_SSPI, 0, 0, NULL };
    SecPkgInfoA *info = NULL;
    REACH(DeleteSecurityPackageA, package_name);
    CHECK_STATUS(EXPORT(QuerySecurityPackageInfoA)(package_name, &info), SEC_E_SECPKG_NOT_FOUND, "a package that was taken away");
    REACH(AddSecurityPackageA, package_name, &options);
    CHECK_STATUS(EXPORT(QuerySecurityPackageInfoA)(package_name, &info), SEC_E_OK, "a package that was put back");
    CHECK_STATUS(EXPORT(FreeContextBuffer)(info), SEC_E_OK, "FreeContextBuffer");
    REACH(DeleteSecurityPackageW, wide("NTLM"));
    REACH(AddSecurityPackageW, wide("NTLM"), NULL);
}

/* The name of a proxy behind its settings. */
typedef struct proxy {
    SecPkgCredentials_KdcProxySettingsW settings;
    SEC_WCHAR name[32];
} proxy;

static void credentials(void)
{
    CredHandle one, two;
    TimeStamp expiry;
    SecPkgCredentials_NamesA narrow = { NULL };
    SecPkgCredentials_NamesW broad = { NULL };
    proxy by;
    if (REACH(AcquireCredentialsHandleA, NULL, kerberos_name, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &one, &expiry) != SEC_E_OK) return;
    if (REACH(AcquireCredentialsHandleW, NULL, wide("Negotiate"), SECPKG_CRED_BOTH, NULL, NULL, NULL, NULL, &two, &expiry) != SEC_E_OK) return;
    if (REACH(QueryCredentialsAttributesA, &one, SECPKG_CRED_ATTR_NAMES, &narrow) == SEC_E_OK) {
        CHECK(strcmp(narrow.sUserName, "alice@C.TEST") == 0, "the credential is of %s", narrow.sUserName);
        REACH(FreeContextBuffer, narrow.sUserName);
    }
    if (REACH(QueryCredentialsAttributesW, &one, SECPKG_CRED_ATTR_NAMES, &broad) == SEC_E_OK) {
        CHECK(wide_is(broad.sUserName, "alice@C.TEST"), "the credential is of somebody else");
        REACH(FreeContextBuffer, broad.sUserName);
    }
    if (REACH(QueryCredentialsAttributesExA, &one, SECPKG_CRED_ATTR_NAMES, &narrow, sizeof narrow) == SEC_E_OK)
        REACH(FreeContextBuffer, narrow.sUserName);
    if (REACH(QueryCredentialsAttributesExW, &one, SECPKG_CRED_ATTR_NAMES, &broad, sizeof broad) == SEC_E_OK)
        REACH(FreeContextBuffer, broad.sUserName);
    memset(&by, 0, sizeof by);
    by.settings.Version = KDC_PROXY_SETTINGS_V1;
    memcpy(by.name, wide("proxy.c.test:443:KdcProxy"), 2 * strlen("proxy.c.test:443:KdcProxy"));
    by.settings.ProxyServerOffset = (USHORT)offsetof(proxy, name);
    by.settings.ProxyServerLength = (USHORT)(2 * strlen("proxy.c.test:443:KdcProxy"));
    REACH(SetCredentialsAttributesA, &one, SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS, &by, sizeof by);
    REACH(SetCredentialsAttributesW, &one, SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS, &by, sizeof by);
    REACH(FreeCredentialsHandle, &one);
    REACH(FreeCredentialsHandle, &two);
}

/* A credential for Negotiate gets a password for NTLM besides. */
static void added_credentials(void)
{
    CredHandle handle;
    TimeStamp expiry;
    SEC_WINNT_AUTH_IDENTITY_A who;
    SECURITY_STATUS status = EXPORT(AcquireCredentialsHandleA)(NULL, (SEC_CHAR[]){ "Negotiate" }, SECPKG_CRED_OUTBOUND, NULL, NULL, NULL,
                                                                NULL, &handle, &expiry);
    if (!CHECK_STATUS(status, SEC_E_OK, "AcquireCredentialsHandleA")) return;
    memset(&who, 0, sizeof who);
    who.User = (unsigned char *)(SEC_CHAR[]){ "alice" };
    who.UserLength = 5;
    who.Domain = (unsigned char *)(SEC_CHAR[]){ "CTEST" };
    who.DomainLength = 5;
    who.Password = (unsigned char *)(SEC_CHAR[]){ "Wonder-Land-7" };
    who.PasswordLength = 13;
    who.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
    REACH(AddCredentialsA, &handle, NULL, package_name, SECPKG_CRED_OUTBOUND, &who, NULL, NULL, &expiry);
    CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&handle), SEC_E_OK, "FreeCredentialsHandle");
    status = EXPORT(AcquireCredentialsHandleW)(NULL, wide("Negotiate"), SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &handle, &expiry);
    CHECK_STATUS(status, SEC_E_OK, "AcquireCredentialsHandleW");
    REACH(AddCredentialsW, &handle, NULL, wide("NTLM"), SECPKG_CRED_OUTBOUND, &who, NULL, NULL, &expiry);
    CHECK_STATUS(EXPORT(FreeCredentialsHandle)(&handle), SEC_E_OK, "FreeCredentialsHandle");
}

static void attributes(session *s)
{
    SecPkgContext_NamesA narrow = { NULL };
    SecPkgContext_NamesW broad = { NULL };
    SecPkgContext_Sizes sizes;
    SecPkgContext_Lifespan span, shorter;
    if (REACH(QueryContextAttributesA, &s->server, SECPKG_ATTR_NAMES, &narrow) == SEC_E_OK) REACH(FreeContextBuffer, narrow.sUserName);
    if (REACH(QueryContextAttributesW, &s->server, SECPKG_ATTR_NAMES, &broad) == SEC_E_OK) REACH(FreeContextBuffer, broad.sUserName);
    REACH(QueryContextAttributesExA, &s->server, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    REACH(QueryContextAttributesExW, &s->server, SECPKG_ATTR_SIZES, &sizes, sizeof sizes);
    /* A context may end earlier than it would. */
    CHECK_STATUS(EXPORT(QueryContextAttributesA)(&s->server, SECPKG_ATTR_LIFESPAN, &span), SEC_E_OK, "LIFESPAN");
    shorter = span;
    shorter.tsExpiry.HighPart--;
    CHECK_STATUS(EXPORT(SetContextAttributesA)(&s->server, SECPKG_ATTR_LIFESPAN, &span, 3), SEC_E_BUFFER_TOO_SMALL, "three bytes of a LIFESPAN");
    REACH(SetContextAttributesA, &s->server, SECPKG_ATTR_LIFESPAN, &span, sizeof span);
    REACH(SetContextAttributesW, &s->server, SECPKG_ATTR_LIFESPAN, &shorter, sizeof shorter);
    CHECK_STATUS(EXPORT(QueryContextAttributesW)(&s->server, SECPKG_ATTR_LIFESPAN, &span), SEC_E_OK, "LIFESPAN");
    CHECK(span.tsExpiry.HighPart == shorter.tsExpiry.HighPart, "the context ends as before");
}

static void tokens(session *s)
{
    HANDLE token = NULL;
    SecPkgContext_AccessToken own = { NULL };
    if (REACH(ImpersonateSecurityContext, &s->server) == SEC_E_OK) REACH(RevertSecurityContext, &s->server);
    CHECK_STATUS(EXPORT(QueryContextAttributesA)(&s->server, SECPKG_ATTR_ACCESS_TOKEN, &own), SEC_E_OK, "ACCESS_TOKEN");
    if (REACH(QuerySecurityContextToken, &s->server, &token) == SEC_E_OK) {
        const TRIHOUND_ACCESS_TOKEN *who = token;
        CHECK(who->Size == sizeof *who, "a token of %u bytes", (unsigned)who->Size);
        CHECK(strstr(who->ClientName, "alice") != NULL, "the token is of %s", who->ClientName);
        CHECK(who->ImpersonationLevel >= 2, "level %u", (unsigned)who->ImpersonationLevel);
        REACH(FreeContextBuffer, token);
    }
}

static void messages(session *s)
{
    unsigned char signature[512], data[16] = "a short message", trailer[512], padding[64];
    SecBuffer signing[2] = { { sizeof data, SECBUFFER_DATA, data }, { sizeof signature, SECBUFFER_TOKEN, signature } };
    SecBuffer sealing[3] = { { 0, SECBUFFER_TOKEN, trailer }, { sizeof data, SECBUFFER_DATA, data }, { 0, SECBUFFER_PADDING, padding } };
    SecBufferDesc to_sign = { SECBUFFER_VERSION, 2, signing }, to_seal = { SECBUFFER_VERSION, 3, sealing };
    SecPkgContext_Sizes sizes;
    ULONG quality = 0;
    CHECK_STATUS(EXPORT(QueryContextAttributesA)(&s->client, SECPKG_ATTR_SIZES, &sizes), SEC_E_OK, "SIZES");
    REACH(MakeSignature, &s->client, 0, &to_sign, 0);
    REACH(VerifySignature, &s->server, &to_sign, 0, &quality);
    sealing[0].cbBuffer = sizes.cbSecurityTrailer;
    sealing[2].cbBuffer = sizes.cbBlockSize;
    REACH(EncryptMessage, &s->client, 0, &to_seal, 1);
    REACH(DecryptMessage, &s->server, &to_seal, 1, &quality);
}

static void exported(session *s, int wide_one)
{
    SecBuffer packed = { 0, 0, NULL };
    void *token = NULL;
    CtxtHandle copy;
    SECURITY_STATUS status;
    if (REACH(ExportSecurityContext, &s->server, SECPKG_CONTEXT_EXPORT_DELETE_OLD, &packed, &token) != SEC_E_OK) return;
    s->has_server = 0;
    status = wide_one ? REACH(ImportSecurityContextW, wide("Kerberos"), &packed, token, &copy)
                      : REACH(ImportSecurityContextA, kerberos_name, &packed, token, &copy);
    if (status == SEC_E_OK) {
        provider self;
        provider_from_tables(&self, 0);
        s->server = copy;
        s->has_server = 1;
        sign_and_verify(&self, &s->client, &s->server, 2);
    }
    CHECK_STATUS(EXPORT(FreeContextBuffer)(packed.pvBuffer), SEC_E_OK, "FreeContextBuffer of an exported context");
    CHECK_STATUS(EXPORT(FreeContextBuffer)(token), SEC_E_OK, "FreeContextBuffer of its token");
}

static void contexts(void)
{
    int wide_one, done;
    for (wide_one = 0; wide_one < 2; wide_one++) {
        provider self;
        setting how;
        session s;
        provider_from_names(&self, wide_one);
        usual_setting(&how, "Kerberos", NULL);
        how.asked = ISC_REQ_MUTUAL_AUTH | ISC_REQ_CONFIDENTIALITY | ISC_REQ_INTEGRITY;
        done = establish(&self, &how, &s);
        if (CHECK(done, "client %s, server %s: %s", status_name((uint32_t)s.client_status),
                  status_name((uint32_t)s.server_status), EXPORT(TrihoundLastError)())) {
            say(wide_one ? "InitializeSecurityContextW" : "InitializeSecurityContextA");
            say("AcceptSecurityContext");
            attributes(&s);
            tokens(&s);
            messages(&s);
            exported(&s, wide_one);
            REACH(DeleteSecurityContext, &s.client);
            s.has_client = 0;
        }
        finish(&self, &s);
    }
}

static void passwords(void)
{
    unsigned char answer[1024];
    SecBuffer buffer = { sizeof answer, SECBUFFER_CHANGE_PASS_RESPONSE, answer };
    SecBufferDesc output = { SECBUFFER_VERSION, 1, &buffer };
    char realm[] = "C.TEST", user[] = "carol", old[] = "Old-Password-1", new[] = "New-Password-2";
    REACH(ChangeAccountPasswordA, kerberos_name, realm, user, old, new, 0, 0, &output);
    buffer.cbBuffer = sizeof answer;
    REACH(ChangeAccountPasswordW, wide("Kerberos"), wide(realm), wide(user), wide(new), wide(old), 0, 0, &output);
    buffer.cbBuffer = sizeof answer;
    CHECK_STATUS(EXPORT(ChangeAccountPasswordA)(kerberos_name, realm, user, new, old, 0, 0, &output), SEC_E_LOGON_DENIED,
                 "a wrong old password");
}

static void identities(void)
{
    PSEC_WINNT_AUTH_IDENTITY_OPAQUE who = NULL, copy = NULL, without = NULL, back = NULL;
    const SEC_WCHAR *user = NULL, *domain = NULL, *secret = NULL, *target = NULL, *name = NULL;
    SEC_WCHAR *host = NULL;
    BOOLEAN same_user = 0, same = 0;
    ULONG length = 0, kind = 0, blob_length = 0;
    unsigned char *blob = NULL;
    char *bytes = NULL;
    if (REACH(SspiEncodeStringsAsAuthIdentity, wide("alice"), wide("C.TEST"), wide("Wonder-Land-7"), &who) != SEC_E_OK) return;
    REACH(SspiValidateAuthIdentity, who);
    REACH(SspiCopyAuthIdentity, who, &copy);
    REACH(SspiCompareAuthIdentities, who, copy, &same_user, &same);
    CHECK(same_user && same, "a copy is another identity");
    REACH(SspiEncryptAuthIdentity, copy);
    if (CHECK(EXPORT(SspiIsAuthIdentityEncrypted)(copy), "an encrypted identity is not")) say("SspiIsAuthIdentityEncrypted");
    REACH(SspiDecryptAuthIdentity, copy);
    /* SEC_WINNT_AUTH_IDENTITY_ENCRYPT_SAME_PROCESS */
    REACH(SspiEncryptAuthIdentityEx, 2, copy);
    REACH(SspiDecryptAuthIdentityEx, 2, copy);
    CHECK(!EXPORT(SspiIsAuthIdentityEncrypted)(copy), "a decrypted identity is still encrypted");
    if (REACH(SspiEncodeAuthIdentityAsStrings, copy, &user, &domain, &secret) == SEC_E_OK) {
        CHECK(wide_is(user, "alice") && wide_is(domain, "C.TEST") && wide_is(secret, "Wonder-Land-7"), "other strings came back");
        EXPORT(SspiLocalFree)((void *)(uintptr_t)user);
        EXPORT(SspiLocalFree)((void *)(uintptr_t)domain);
        EXPORT(SspiLocalFree)((void *)(uintptr_t)secret);
        say("SspiLocalFree");
    }
    if (REACH(SspiMarshalAuthIdentity, who, &length, &bytes) == SEC_E_OK) {
        REACH(SspiUnmarshalAuthIdentity, length, bytes, &back);
        CHECK_STATUS(EXPORT(SspiCompareAuthIdentities)(who, back, &same_user, &same), SEC_E_OK, "SspiCompareAuthIdentities");
        CHECK(same, "another identity came back");
        EXPORT(SspiFreeAuthIdentity)(back);
        EXPORT(SspiLocalFree)(bytes);
    }
    if (REACH(SspiExcludePackage, who, wide("NTLM"), &without) == SEC_E_OK) EXPORT(SspiFreeAuthIdentity)(without);
    if (REACH(SspiGetTargetHostName, wide("host/localhost"), &host) == SEC_E_OK) {
        CHECK(wide_is(host, "localhost"), "another host");
        EXPORT(SspiLocalFree)(host);
    }
    if (REACH(SspiPrepareForCredRead, who, wide("host/localhost"), &kind, &target) == SEC_E_OK) EXPORT(SspiLocalFree)((void *)(uintptr_t)target);
    if (REACH(SspiPrepareForCredWrite, who, wide("host/localhost"), &kind, &target, &name, &blob, &blob_length) == SEC_E_OK) {
        EXPORT(SspiLocalFree)((void *)(uintptr_t)target);
        EXPORT(SspiLocalFree)((void *)(uintptr_t)name);
        EXPORT(SspiLocalFree)(blob);
    }
    if (CHECK(EXPORT(SspiIsPromptingNeeded)((ULONG)SEC_E_LOGON_DENIED), "a refused login needs no prompt")) say("SspiIsPromptingNeeded");
    EXPORT(SspiZeroAuthIdentity)(copy);
    say("SspiZeroAuthIdentity");
    CHECK_STATUS(EXPORT(SspiCompareAuthIdentities)(who, copy, &same_user, &same), SEC_E_OK, "SspiCompareAuthIdentities");
    CHECK(same_user && !same, "a wiped password is the same");
    EXPORT(SspiFreeAuthIdentity)(copy);
    EXPORT(SspiFreeAuthIdentity)(who);
    say("SspiFreeAuthIdentity");
}

static void last_error(void)
{
    SecPkgInfoA *info = NULL;
    char nobody[] = "Nobody";
    CHECK_STATUS(EXPORT(QuerySecurityPackageInfoA)(nobody, &info), SEC_E_SECPKG_NOT_FOUND, "QuerySecurityPackageInfoA");
    if (CHECK(strstr(EXPORT(TrihoundLastError)(), "Nobody") != NULL, "the text is %s", EXPORT(TrihoundLastError)())) say("TrihoundLastError");
}

int run_exports(void)
{
    packages();
    credentials();
    added_credentials();
    contexts();
    passwords();
    identities();
    last_error();
    taken_away_and_put_back();
    return 0;
}
