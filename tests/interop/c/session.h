/*
 * What the command line asks for, and the context that came of it. A header of static values: one program includes it.
 */
#ifndef TRIHOUND_SESSION_H
#define TRIHOUND_SESSION_H

#include "frames.h"

#include <gssapi/gssapi_ext.h>

#define MAX_MECHS 2

static gss_OID_desc krb5_mech = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc spnego_mech = {6, "\x2b\x06\x01\x05\x05\x02"};
static gss_OID_desc ntlm_mech = {10, "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"};

static const struct {
    const char *word;
    OM_uint32 bit;
} flag_words[] = {
    {"deleg", GSS_C_DELEG_FLAG},   {"mutual", GSS_C_MUTUAL_FLAG}, {"replay", GSS_C_REPLAY_FLAG},
    {"seq", GSS_C_SEQUENCE_FLAG},  {"conf", GSS_C_CONF_FLAG},     {"integ", GSS_C_INTEG_FLAG},
    {"anon", GSS_C_ANON_FLAG},     {"dce", GSS_C_DCE_STYLE},      {"identify", GSS_C_IDENTIFY_FLAG},
};
#define FLAG_WORDS (sizeof flag_words / sizeof flag_words[0])

struct options {
    int accept, port;
    const char *spn, *package;
    gss_OID mech;
    gss_OID_desc inner[MAX_MECHS]; /* mechs=, what SPNEGO offers or takes, best first */
    size_t inner_count;
    OM_uint32 flags;
    int bound; /* cb= was given; its bytes may be none */
    gss_buffer_desc binding;
    const char *user, *password, *domain;
    int iov, nodata, nowrap, loop, noci, show_session_key;
    long big;
    int onward_port; /* onward=, where to go on to as the client; 0 for nowhere */
    const char *onward_spn;
    gss_cred_id_t delegated; /* whose the context is to be, in place of an acquired credential */
};

struct session {
    int fd;
    gss_ctx_id_t context;
    gss_cred_id_t delegated;
    gss_name_t source; /* the acceptor's alone */
    gss_OID mech;      /* the library's; under SPNEGO the one inside */
    OM_uint32 flags, lifetime;
};

static int same_mech(const gss_OID_desc *a, const gss_OID_desc *b)
{
    return a->length == b->length && memcmp(a->elements, b->elements, a->length) == 0;
}

static int speaks_ntlm(const struct session *s)
{
    return s->mech != GSS_C_NO_OID && same_mech(s->mech, &ntlm_mech);
}

#endif
