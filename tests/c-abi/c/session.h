/* A client and a server in one process, over the A or the W functions, from the tables or by the exported names. */
#ifndef TRIHOUND_TESTS_SESSION_H
#define TRIHOUND_TESTS_SESSION_H

#include "abi.h"

/* The two tables, as InitSecurityInterface gives them or filled from the exported names. */
typedef struct provider {
    SecurityFunctionTableA a;
    SecurityFunctionTableW w;
    int wide;
} provider;
void provider_from_tables(provider *self, int wide);
void provider_from_names(provider *self, int wide);

/* Who the client is: a password in the plain structure, the environment's credentials, or a password in the extended
 * structure whose strings are of the other kind than the function's. */
enum identity_kind { PLAIN, ENVIRONMENT, EXTENDED, IDENTITY_KINDS };
enum binding_kind { UNBOUND, BOUND, BOUND_DIFFERENTLY, BINDING_KINDS };

typedef struct setting {
    const char *package; /* Kerberos, NTLM, Negotiate */
    const char *list;    /* of Negotiate's packages, or NULL */
    const char *target;
    const char *user, *domain, *password;
    enum identity_kind identity;
    enum binding_kind bindings;
    uint32_t asked;          /* ISC_REQ_ */
    uint32_t server_asked;   /* ASC_REQ_ */
    int allocate;            /* output tokens are the provider's memory */
    int empty_first;         /* the first call gets an empty token, not NULL */
    int forget_credential;   /* later calls get no credential, which is free already */
} setting;

typedef struct session {
    CredHandle client_credential, server_credential;
    int client_has_credential, server_has_credential;
    CtxtHandle client, server;
    int has_client, has_server;
    uint32_t client_attributes, server_attributes;
    SECURITY_STATUS client_status, server_status; /* what ended the handshake */
    unsigned legs;
} session;

SECURITY_STATUS acquire(const provider *self, const char *package, uint32_t use, void *identity, CredHandle *credential);
SECURITY_STATUS acquire_client(const provider *self, const setting *how, CredHandle *credential);
SECURITY_STATUS initialize(const provider *self, CredHandle *credential, CtxtHandle *context, const char *target, uint32_t asked,
                           SecBufferDesc *input, CtxtHandle *made, SecBufferDesc *output, uint32_t *attributes);
SECURITY_STATUS query(const provider *self, CtxtHandle *context, uint32_t attribute, void *answer);

/* A whole handshake; 1 if both sides are done. */
int establish(const provider *self, const setting *how, session *made);
/* Deletes and frees what the session has left. */
void finish(const provider *self, session *made);
int sign_and_verify(const provider *self, CtxtHandle *from, CtxtHandle *to, uint32_t number);
int seal_and_open(const provider *self, CtxtHandle *from, CtxtHandle *to, uint32_t number, int as_stream);

/* A setting of this process's environment: NULL if the package's name is none of ours. */
void usual_setting(setting *how, const char *package, const char *list);

#endif
