/* Threads: two on one context, and many contexts on eight. */
#include "session.h"

enum { MESSAGES = 500, WORKERS = 8 };

typedef struct half {
    const provider *self;
    session *s;
    unsigned done;
} half;

/* Signs in one thread what the same context's other thread signs too: each signature is whole. */
static void sign_many(void *argument)
{
    half *mine = argument;
    SecPkgContext_Sizes sizes = { 0 };
    unsigned n;
    CHECK_STATUS(query(mine->self, &mine->s->client, SECPKG_ATTR_SIZES, &sizes), SEC_E_OK, "SIZES");
    for (n = 0; n < MESSAGES; n++) {
        unsigned char signature[512], data[32];
        SecBuffer buffers[2] = { { sizeof data, SECBUFFER_DATA, data }, { sizes.cbMaxSignature, SECBUFFER_TOKEN, signature } };
        SecBufferDesc all = { SECBUFFER_VERSION, 2, buffers };
        memset(data, (int)n, sizeof data);
        if (mine->self->a.MakeSignature(&mine->s->client, 0, &all, 0) == SEC_E_OK) mine->done++;
    }
}

static void two_on_one_context(const char *package, const char *list)
{
    provider self;
    setting how;
    session s;
    half halves[2];
    worker workers[2];
    unsigned n;
    provider_from_tables(&self, 0);
    usual_setting(&how, package, list);
    how.asked = ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT;
    if (!CHECK(establish(&self, &how, &s), "%s: no context for two threads", package)) { finish(&self, &s); return; }
    for (n = 0; n < 2; n++) {
        halves[n] = (half){ &self, &s, 0 };
        spawn(&workers[n], sign_many, &halves[n]);
    }
    for (n = 0; n < 2; n++) {
        join(&workers[n]);
        CHECK(halves[n].done == MESSAGES, "%s: %u of %u signatures in thread %u", package, halves[n].done, (unsigned)MESSAGES, n);
    }
    finish(&self, &s);
}

/* One thread uses a context while another deletes it: a status, never more. */
static void use_until_gone(void *argument)
{
    half *mine = argument;
    SecPkgContext_Sizes sizes;
    SECURITY_STATUS status;
    do {
        status = query(mine->self, &mine->s->client, SECPKG_ATTR_SIZES, &sizes);
        if (status == SEC_E_OK) mine->done++;
    } while (status == SEC_E_OK);
    CHECK_STATUS(status, SEC_E_INVALID_HANDLE, "a context that another thread deleted");
}

static void deleted_meanwhile(void)
{
    provider self;
    setting how;
    session s;
    half mine;
    worker one;
    provider_from_tables(&self, 1);
    usual_setting(&how, "NTLM", NULL);
    how.asked = ISC_REQ_INTEGRITY;
    if (!CHECK(establish(&self, &how, &s), "no context to delete")) { finish(&self, &s); return; }
    mine = (half){ &self, &s, 0 };
    spawn(&one, use_until_gone, &mine);
    sign_and_verify(&self, &s.client, &s.server, 0);
    CHECK_STATUS(self.a.DeleteSecurityContext(&s.client), SEC_E_OK, "DeleteSecurityContext while it is used");
    join(&one);
    s.has_client = 0;
    finish(&self, &s);
}

typedef struct share {
    unsigned first, count, established;
} share;

static void make_contexts(void *argument)
{
    static const struct { const char *package, *list; } kinds[] = {
        { "NTLM", NULL }, { "Kerberos", NULL }, { "Negotiate", NULL }, { "Negotiate", "!Kerberos" } };
    share *mine = argument;
    provider self;
    session *all = calloc(mine->count, sizeof *all);
    unsigned n;
    if (all == NULL) exit(3);
    provider_from_tables(&self, (int)(mine->first % 2));
    /* All of them live at the same time. */
    for (n = 0; n < mine->count; n++) {
        setting how;
        usual_setting(&how, kinds[n % 4].package, kinds[n % 4].list);
        /* The tickets of the environment, so that the KDC is not what is measured. */
        how.identity = ENVIRONMENT;
        how.asked = ISC_REQ_INTEGRITY | ISC_REQ_CONFIDENTIALITY;
        if (establish(&self, &how, &all[n])) mine->established++;
        else CHECK(0, "context %u of %s: client %s, server %s", n, kinds[n % 4].package, status_name((uint32_t)all[n].client_status),
                   status_name((uint32_t)all[n].server_status));
    }
    for (n = 0; n < mine->count; n++)
        if (all[n].server_status == SEC_E_OK && all[n].client_status == SEC_E_OK) {
            sign_and_verify(&self, &all[n].client, &all[n].server, 0);
            seal_and_open(&self, &all[n].server, &all[n].client, 0, 0);
        }
    for (n = 0; n < mine->count; n++) finish(&self, &all[n]);
    free(all);
}

int run_threads(unsigned contexts)
{
    share shares[WORKERS];
    worker workers[WORKERS];
    unsigned n, established = 0;
    two_on_one_context("NTLM", NULL);
    two_on_one_context("Kerberos", NULL);
    two_on_one_context("Negotiate", NULL);
    deleted_meanwhile();
    for (n = 0; n < WORKERS; n++) {
        shares[n] = (share){ n * contexts / WORKERS, (n + 1) * contexts / WORKERS - n * contexts / WORKERS, 0 };
        spawn(&workers[n], make_contexts, &shares[n]);
    }
    for (n = 0; n < WORKERS; n++) {
        join(&workers[n]);
        established += shares[n].established;
    }
    CHECK(established == contexts, "%u of %u contexts", established, contexts);
    printf("threads: %u contexts on %u threads\n", established, (unsigned)WORKERS);
    return 0;
}
