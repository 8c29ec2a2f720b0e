/* Services that go on as their client: each impersonates it and is the next one's client, four times. The process's own
 * tickets are alice's, and the client is carol, so that nobody is taken for the other. */
#include "session.h"

enum { SERVICES = 4 };

static void acts_as(const provider *self, CredHandle *credential, const char *name)
{
    SecPkgCredentials_NamesA names = { NULL };
    if (!CHECK_STATUS(self->a.QueryCredentialsAttributesA(credential, SECPKG_CRED_ATTR_NAMES, &names), SEC_E_OK, "SECPKG_CRED_ATTR_NAMES")) return;
    CHECK(strcmp(names.sUserName, name) == 0, "this thread's credential is of %s, not %s", names.sUserName, name);
    CHECK_STATUS(self->a.FreeContextBuffer(names.sUserName), SEC_E_OK, "FreeContextBuffer");
}

static void knows(const provider *self, CtxtHandle *server, const char *name)
{
    SecPkgContext_NamesA names = { NULL };
    if (!CHECK_STATUS(self->a.QueryContextAttributesA(server, SECPKG_ATTR_NAMES, &names), SEC_E_OK, "NAMES")) return;
    CHECK(strcmp(names.sUserName, name) == 0, "the client is %s, not %s", names.sUserName, name);
    CHECK_STATUS(self->a.FreeContextBuffer(names.sUserName), SEC_E_OK, "FreeContextBuffer");
}

static void client_is_carol(setting *how, const char *package, uint32_t asked)
{
    usual_setting(how, package, NULL);
    how->user = "carol";
    how->password = "Old-Password-1";
    how->asked = asked | ISC_REQ_MUTUAL_AUTH | ISC_REQ_INTEGRITY;
}

static void chain(const provider *self, const char *package)
{
    session services[SERVICES];
    setting how;
    HANDLE token = NULL;
    int n, made = 0;
    client_is_carol(&how, package, ISC_REQ_DELEGATE);
    for (n = 0; n < SERVICES; n++) {
        int done = establish(self, &how, &services[n]);
        if (!CHECK(done, "%s, service %d: client %s, server %s: %s", package, n + 1,
                   status_name((uint32_t)services[n].client_status), status_name((uint32_t)services[n].server_status),
                   EXPORT(TrihoundLastError)())) break;
        made++;
        knows(self, &services[n].server, "carol@C.TEST");
        CHECK(services[n].client_attributes & ISC_RET_DELEGATE, "nothing was delegated to service %d", n + 1);
        CHECK(services[n].server_attributes & ASC_RET_DELEGATE, "service %d got nothing", n + 1);
        acts_as(self, &services[n].client_credential, "carol@C.TEST");
        if (!CHECK_STATUS(self->a.ImpersonateSecurityContext(&services[n].server), SEC_E_OK, "ImpersonateSecurityContext")) break;
        /* From here on nobody is named: who the thread acts for is the client. */
        how.identity = ENVIRONMENT;
    }
    if (made == SERVICES && CHECK_STATUS(self->a.QuerySecurityContextToken(&services[SERVICES - 1].server, &token), SEC_E_OK, "token")) {
        const TRIHOUND_ACCESS_TOKEN *who = token;
        CHECK(who->ImpersonationLevel == 3 && who->HasDelegatedCredential, "level %u at the end", (unsigned)who->ImpersonationLevel);
        CHECK_STATUS(self->a.FreeContextBuffer(token), SEC_E_OK, "FreeContextBuffer");
    }
    /* A thread acts for one client at a time: the last one took the place of those before. */
    for (n = made - 1; n >= 0; n--)
        CHECK_STATUS(self->a.RevertSecurityContext(&services[n].server), n == made - 1 ? SEC_E_OK : SEC_E_NO_IMPERSONATION, "RevertSecurityContext");
    for (n = 0; n < made; n++) finish(self, &services[n]);
}

/* The service has tickets of its own, and must not go on by them in the client's name. */
static void without_delegation(const provider *self, const char *package)
{
    session s;
    setting how;
    CredHandle own;
    int done;
    client_is_carol(&how, package, 0);
    done = establish(self, &how, &s);
    if (!CHECK(done, "%s: client %s, server %s", package, status_name((uint32_t)s.client_status),
               status_name((uint32_t)s.server_status))) return;
    CHECK(!(s.client_attributes & ISC_RET_DELEGATE), "delegated without being asked");
    if (CHECK_STATUS(self->a.ImpersonateSecurityContext(&s.server), SEC_E_OK, "ImpersonateSecurityContext")) {
        CHECK_STATUS(acquire(self, package, SECPKG_CRED_OUTBOUND, NULL, &own), SEC_E_NO_CREDENTIALS, "going on without a delegated credential");
        CHECK_STATUS(self->a.RevertSecurityContext(&s.server), SEC_E_OK, "RevertSecurityContext");
        CHECK_STATUS(self->a.RevertSecurityContext(&s.server), SEC_E_NO_IMPERSONATION, "a second revert");
    }
    if (CHECK_STATUS(acquire(self, package, SECPKG_CRED_OUTBOUND, NULL, &own), SEC_E_OK, "the service's own again")) {
        acts_as(self, &own, "alice@C.TEST");
        CHECK_STATUS(self->a.FreeCredentialsHandle(&own), SEC_E_OK, "FreeCredentialsHandle");
    }
    finish(self, &s);
}

int run_onward(void)
{
    provider self;
    int wide_one;
    for (wide_one = 0; wide_one < 2; wide_one++) {
        provider_from_tables(&self, wide_one);
        chain(&self, "Kerberos");
        chain(&self, "Negotiate");
        without_delegation(&self, "Kerberos");
        without_delegation(&self, "Negotiate");
    }
    return 0;
}
