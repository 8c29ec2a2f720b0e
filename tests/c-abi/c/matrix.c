/* The loopback matrix: every package with every set of flags, by every way to reach the functions. */
#include "session.h"

static const struct { const char *name, *package, *list; int kerberos; } packages[] = {
    { "Kerberos", "Kerberos", NULL, 1 },
    { "NTLM", "NTLM", NULL, 0 },
    { "Negotiate (Kerberos)", "Negotiate", NULL, 1 },
    { "Negotiate (NTLM)", "Negotiate", "!Kerberos", 0 },
};

/* What is asked, and what must come back for each of the mechanisms. */
static const struct { const char *name; uint32_t asked, server, kerberos, ntlm; } flag_sets[] = {
    { "nothing", 0, 0, 0, 0 },
    { "mutual", ISC_REQ_MUTUAL_AUTH, 0, ISC_RET_MUTUAL_AUTH, 0 },
    { "integrity", ISC_REQ_INTEGRITY, 0, ISC_RET_INTEGRITY, ISC_RET_INTEGRITY },
    { "confidentiality", ISC_REQ_CONFIDENTIALITY, 0, ISC_RET_CONFIDENTIALITY, ISC_RET_CONFIDENTIALITY },
    { "replay and order", ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT, 0,
      ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT | ISC_RET_INTEGRITY,
      ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT | ISC_RET_INTEGRITY },
    { "all", ISC_REQ_MUTUAL_AUTH | ISC_REQ_CONFIDENTIALITY | ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT,
      ASC_REQ_CONFIDENTIALITY | ASC_REQ_INTEGRITY,
      ISC_RET_MUTUAL_AUTH | ISC_RET_CONFIDENTIALITY | ISC_RET_INTEGRITY | ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT,
      ISC_RET_CONFIDENTIALITY | ISC_RET_INTEGRITY | ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT },
    { "DCE style", ISC_REQ_USE_DCE_STYLE | ISC_REQ_MUTUAL_AUTH | ISC_REQ_CONFIDENTIALITY | ISC_REQ_INTEGRITY,
      ASC_REQ_USE_DCE_STYLE, ISC_RET_USED_DCE_STYLE | ISC_RET_MUTUAL_AUTH | ISC_RET_CONFIDENTIALITY,
      ISC_RET_CONFIDENTIALITY },
    { "identify", ISC_REQ_IDENTIFY | ISC_REQ_INTEGRITY, 0, ISC_RET_IDENTIFY | ISC_RET_INTEGRITY,
      ISC_RET_IDENTIFY | ISC_RET_INTEGRITY },
    { "connection", ISC_REQ_CONNECTION | ISC_REQ_CONFIDENTIALITY, ASC_REQ_CONNECTION,
      ISC_RET_CONNECTION | ISC_RET_CONFIDENTIALITY, ISC_RET_CONNECTION | ISC_RET_CONFIDENTIALITY },
    { "delegate", ISC_REQ_DELEGATE | ISC_REQ_MUTUAL_AUTH, 0, ISC_RET_DELEGATE | ISC_RET_MUTUAL_AUTH, 0 },
    /* Bits that sspi.h does not name change nothing. */
    { "unknown bits", ISC_REQ_INTEGRITY | 0x86000000, 0x68002000, ISC_RET_INTEGRITY, ISC_RET_INTEGRITY },
};
enum { PACKAGES = sizeof packages / sizeof packages[0], FLAG_SETS = sizeof flag_sets / sizeof flag_sets[0] };

typedef struct place {
    unsigned package, flags, wide, names, allocate, identity;
} place;

static void describe(const place *at, const setting *how, char *text, size_t room)
{
    static const char *const identities[] = { "password", "environment", "extended" }, *const bound[] = { "unbound", "bound", "bound differently" };
    snprintf(text, room, "%s, %s, %s functions %s, %s's memory, %s, %s", packages[at->package].name, flag_sets[at->flags].name,
             at->wide ? "W" : "A", at->names ? "by name" : "of the table", at->allocate ? "the provider" : "the caller",
             identities[at->identity], bound[how->bindings]);
}

/* Attributes that nobody has without asking, and those that both sides have or neither, by the same bits. NTLM does not tell
 * the server whether signatures are for order and replays too. */
enum {
    unasked = ISC_RET_DELEGATE | ISC_RET_CONFIDENTIALITY | ISC_RET_IDENTIFY | ISC_RET_USED_DCE_STYLE,
    agreed = ISC_RET_DELEGATE | ISC_RET_MUTUAL_AUTH | ISC_RET_CONFIDENTIALITY | ISC_RET_USED_DCE_STYLE
};

/* What a program looks at before it goes on. */
static void check_attributes(const provider *self, const place *at, const session *s, const setting *how, const char *name)
{
    uint32_t wanted = packages[at->package].kerberos ? flag_sets[at->flags].kerberos : flag_sets[at->flags].ntlm;
    SecPkgContext_Flags flags = { 0 };
    CtxtHandle client = s->client, server = s->server;
    CHECK((s->client_attributes & wanted) == wanted, "%s: got 0x%08X, not all of 0x%08X", name, (unsigned)s->client_attributes,
          (unsigned)wanted);
    CHECK((s->client_attributes & unasked & ~flag_sets[at->flags].asked) == 0, "%s: got 0x%08X, and nobody asked for all of it", name,
          (unsigned)s->client_attributes);
    CHECK(((s->client_attributes ^ s->server_attributes) & agreed) == 0, "%s: the client has 0x%08X and the server 0x%08X", name,
          (unsigned)s->client_attributes, (unsigned)s->server_attributes);
    CHECK(!how->allocate == !(s->client_attributes & ISC_RET_ALLOCATED_MEMORY), "%s: ALLOCATED_MEMORY is wrong in 0x%08X", name,
          (unsigned)s->client_attributes);
    CHECK_STATUS(query(self, &client, SECPKG_ATTR_FLAGS, &flags), SEC_E_OK, name);
    CHECK((flags.Flags & wanted) == wanted, "%s: FLAGS are 0x%08X", name, (unsigned)flags.Flags);
    CHECK_STATUS(query(self, &server, SECPKG_ATTR_FLAGS, &flags), SEC_E_OK, name);
}

static void check_client_name(const provider *self, const place *at, CtxtHandle *server, const char *name)
{
    const char *right = packages[at->package].kerberos ? "alice@C.TEST" : "CTEST\\alice";
    if (self->wide) {
        SecPkgContext_NamesW names = { NULL };
        if (!CHECK_STATUS(self->w.QueryContextAttributesW(server, SECPKG_ATTR_NAMES, &names), SEC_E_OK, name)) return;
        CHECK(wide_is(names.sUserName, right), "%s: the client has another name", name);
        CHECK_STATUS(self->w.FreeContextBuffer(names.sUserName), SEC_E_OK, name);
    } else {
        SecPkgContext_NamesA names = { NULL };
        if (!CHECK_STATUS(self->a.QueryContextAttributesA(server, SECPKG_ATTR_NAMES, &names), SEC_E_OK, name)) return;
        CHECK(strcmp(names.sUserName, right) == 0, "%s: the client is %s", name, names.sUserName);
        CHECK_STATUS(self->a.FreeContextBuffer(names.sUserName), SEC_E_OK, name);
    }
}

static void check_messages(const provider *self, session *s, const char *name)
{
    uint32_t both = s->client_attributes;
    unsigned before = failed_checks;
    uint32_t number = 0;
    if (both & ISC_RET_INTEGRITY) {
        sign_and_verify(self, &s->client, &s->server, number);
        sign_and_verify(self, &s->server, &s->client, number);
        number++;
    }
    if (both & ISC_RET_CONFIDENTIALITY) {
        seal_and_open(self, &s->client, &s->server, number, 0);
        seal_and_open(self, &s->server, &s->client, number, 0);
        number++;
        /* What arrives as one piece is not for RPC. */
        if (!(both & ISC_RET_USED_DCE_STYLE)) {
            seal_and_open(self, &s->client, &s->server, number, 1);
            seal_and_open(self, &s->server, &s->client, number, 1);
        }
    }
    if (failed_checks != before) printf("    ... in %s\n", name);
}

static void check_impersonation(const provider *self, const place *at, session *s, const char *name)
{
    SECURITY_STATUS wanted = flag_sets[at->flags].asked & ISC_REQ_IDENTIFY ? SEC_E_NO_IMPERSONATION : SEC_E_OK;
    if (!CHECK_STATUS(self->a.ImpersonateSecurityContext(&s->server), wanted, name) || wanted != SEC_E_OK) return;
    CHECK_STATUS(self->a.RevertSecurityContext(&s->server), SEC_E_OK, name);
}

static void run_one(const provider *self, const place *at, unsigned number)
{
    setting how;
    session s;
    char name[256];
    int done;
    usual_setting(&how, packages[at->package].package, packages[at->package].list);
    how.identity = (enum identity_kind)at->identity;
    how.asked = flag_sets[at->flags].asked;
    how.server_asked = flag_sets[at->flags].server;
    how.allocate = (int)at->allocate;
    how.empty_first = number % 2 == 0;
    how.forget_credential = number / 2 % 2 == 0;
    how.bindings = (enum binding_kind)(number % BINDING_KINDS);
    describe(at, &how, name, sizeof name);
    done = establish(self, &how, &s);
    if (how.bindings == BOUND_DIFFERENTLY) {
        CHECK(!done, "%s: different bindings make a context", name);
        CHECK_STATUS(s.server_status, SEC_E_BAD_BINDINGS, name);
    } else if (CHECK(done, "%s: client %s, server %s after %u legs", name,
                     status_name((uint32_t)s.client_status), status_name((uint32_t)s.server_status), s.legs)) {
        check_attributes(self, at, &s, &how, name);
        check_client_name(self, at, &s.server, name);
        check_messages(self, &s, name);
        check_impersonation(self, at, &s, name);
    }
    finish(self, &s);
}

int run_matrix(int few)
{
    unsigned planned = PACKAGES * FLAG_SETS * 2 * 2 * 2 * IDENTITY_KINDS, ran = 0, skipped = 0, number;
    provider providers[2][2];
    for (number = 0; number < 4; number++) {
        provider *self = &providers[number / 2][number % 2];
        if (number / 2) provider_from_names(self, number % 2);
        else provider_from_tables(self, number % 2);
    }
    if (few) planned = PACKAGES * FLAG_SETS;
    for (number = 0; number < planned; number++) {
        place at;
        unsigned rest = few ? number * 7 % (2 * 2 * 2 * IDENTITY_KINDS) : number / (PACKAGES * FLAG_SETS);
        at.package = number % PACKAGES;
        at.flags = number / PACKAGES % FLAG_SETS;
        at.wide = rest % 2;
        at.names = rest / 2 % 2;
        at.allocate = rest / 4 % 2;
        at.identity = rest / 8;
        run_one(&providers[at.names][at.wide], &at, number / PACKAGES + number / (PACKAGES * FLAG_SETS));
        ran++;
    }
    printf("matrix: %u planned, %u ran, %u skipped\n", planned, ran, skipped);
    return 0;
}
