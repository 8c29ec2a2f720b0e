/* Contexts that go from one process to another: `leave` writes both sides of some into a file, `arrive` goes on with them in
 * a process that has the same key, and `refused` is what becomes of them in one that has another. */
#include "session.h"

static char *const packages[] = { "Kerberos", "NTLM", "Negotiate" };
enum { PACKAGES = 3 };

static void write_piece(FILE *file, const void *bytes, ULONG length)
{
    if (fwrite(&length, sizeof length, 1, file) != 1 || fwrite(bytes, 1, length, file) != length) exit(3);
}

static ULONG read_piece(FILE *file, void *bytes, ULONG room)
{
    ULONG length = 0;
    if (fread(&length, sizeof length, 1, file) != 1 || length > room || fread(bytes, 1, length, file) != length) exit(3);
    return length;
}

static void leave(FILE *file, const provider *self, CtxtHandle *context)
{
    SecBuffer packed = { 0, 0, NULL };
    SECURITY_STATUS status = self->a.ExportSecurityContext(context, SECPKG_CONTEXT_EXPORT_DELETE_OLD, &packed, NULL);
    if (!CHECK_STATUS(status, SEC_E_OK, "ExportSecurityContext")) exit(3);
    write_piece(file, packed.pvBuffer, packed.cbBuffer);
    CHECK_STATUS(self->a.FreeContextBuffer(packed.pvBuffer), SEC_E_OK, "FreeContextBuffer of an exported context");
    CHECK_STATUS(self->a.DeleteSecurityContext(context), SEC_E_INVALID_HANDLE, "the context that left");
}

/* A message that is on its way while both sides move. */
static void send_before(FILE *file, const provider *self, CtxtHandle *from)
{
    char text[] = "on its way";
    unsigned char signature[512];
    SecBuffer buffers[2] = { { sizeof text, SECBUFFER_DATA, text }, { sizeof signature, SECBUFFER_TOKEN, signature } };
    SecBufferDesc message = { SECBUFFER_VERSION, 2, buffers };
    if (!CHECK_STATUS(self->a.MakeSignature(from, 0, &message, 0), SEC_E_OK, "MakeSignature")) exit(3);
    write_piece(file, text, sizeof text);
    write_piece(file, signature, buffers[1].cbBuffer);
}

int run_leave(const char *name)
{
    FILE *file = fopen(name, "wb");
    provider self;
    setting how;
    session s;
    int n, done;
    if (file == NULL) exit(3);
    provider_from_tables(&self, 0);
    for (n = 0; n < PACKAGES; n++) {
        usual_setting(&how, packages[n], NULL);
        how.asked = ISC_REQ_CONFIDENTIALITY | ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT;
        done = establish(&self, &how, &s);
        if (!CHECK(done, "%s: client %s, server %s", packages[n], status_name((uint32_t)s.client_status),
                   status_name((uint32_t)s.server_status))) exit(3);
        send_before(file, &self, &s.client);
        leave(file, &self, &s.client);
        leave(file, &self, &s.server);
        s.has_client = s.has_server = 0;
        finish(&self, &s);
    }
    return fclose(file);
}

static unsigned char image[1 << 18];

static SECURITY_STATUS arrive(const provider *self, char *package, ULONG length, CtxtHandle *context)
{
    SecBuffer packed = { length, 0, image };
    return self->a.ImportSecurityContextA(package, &packed, NULL, context);
}

static void verify_what_was_sent(const provider *self, char *text, ULONG length, unsigned char *signature, ULONG signed_length,
                                 CtxtHandle *to)
{
    SecBuffer buffers[2] = { { length, SECBUFFER_DATA, text }, { signed_length, SECBUFFER_TOKEN, signature } };
    SecBufferDesc message = { SECBUFFER_VERSION, 2, buffers };
    ULONG quality = 0;
    CHECK_STATUS(self->a.VerifySignature(to, &message, 0, &quality), SEC_E_OK, "a message that was on its way");
    CHECK_STATUS(self->a.VerifySignature(to, &message, 0, &quality), SEC_E_OUT_OF_SEQUENCE, "the same message again");
}

int run_arrive(const char *name)
{
    FILE *file = fopen(name, "rb");
    provider self;
    int n;
    if (file == NULL) exit(3);
    provider_from_tables(&self, 0);
    for (n = 0; n < PACKAGES; n++) {
        char text[64];
        unsigned char signature[512];
        ULONG length = read_piece(file, text, sizeof text), signed_length = read_piece(file, signature, sizeof signature);
        ULONG packed = read_piece(file, image, sizeof image);
        CtxtHandle client, server;
        if (!CHECK_STATUS(arrive(&self, packages[n], packed, &client), SEC_E_OK, "the client")) exit(3);
        packed = read_piece(file, image, sizeof image);
        if (!CHECK_STATUS(arrive(&self, packages[n], packed, &server), SEC_E_OK, "the server")) exit(3);
        verify_what_was_sent(&self, text, length, signature, signed_length, &server);
        sign_and_verify(&self, &client, &server, 1);
        seal_and_open(&self, &server, &client, 0, 0);
        CHECK_STATUS(self.a.DeleteSecurityContext(&client), SEC_E_OK, "DeleteSecurityContext");
        CHECK_STATUS(self.a.DeleteSecurityContext(&server), SEC_E_OK, "DeleteSecurityContext");
    }
    return fclose(file);
}

int run_refused(const char *name)
{
    FILE *file = fopen(name, "rb");
    provider self;
    int n;
    if (file == NULL) exit(3);
    provider_from_tables(&self, 0);
    for (n = 0; n < PACKAGES; n++) {
        int piece;
        /* The message that was on its way and its signature, the client, the server. */
        for (piece = 0; piece < 4; piece++) {
            ULONG length = read_piece(file, image, sizeof image);
            CtxtHandle context = { 0, 0 };
            if (piece < 2) continue;
            CHECK_STATUS(arrive(&self, packages[n], length, &context), SEC_E_MESSAGE_ALTERED, "a context under another key");
        }
    }
    return fclose(file);
}
