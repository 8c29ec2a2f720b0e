/* A server in the steps of SSPI: server LIBRARY PACKAGE PORT
 *
 *   cc $(pkg-config --cflags trihound-sspi) -o server server.c
 *   ./server libtrihound_sspi.so Negotiate 4444
 *
 * Its keys are those of the machine's keytab. It serves one client of 127.0.0.1 and ends; port 0 is a free one, which it says. */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int wait_for_client(const char *port)
{
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0), connection;
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_port = htons((uint16_t)atoi(port));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 1) != 0) give_up("listen");
    if (getsockname(listener, (struct sockaddr *)&here, &length) != 0) give_up("getsockname");
    printf("listening %u\n", (unsigned)ntohs(here.sin_port));
    fflush(stdout);
    connection = accept(listener, NULL, NULL);
    if (connection < 0) give_up("accept");
    close(listener);
    return connection;
}

/* Calls AcceptSecurityContext as often as it says. */
static ULONG authenticate(int connection, SecurityFunctionTableA *table, CredHandle *credential, ULONG longest, CtxtHandle *context)
{
    unsigned char received[LARGEST_FRAME], *made = malloc(longest);
    SecBuffer in = { 0, SECBUFFER_TOKEN, received }, out = { longest, SECBUFFER_TOKEN, made };
    SecBufferDesc input = { SECBUFFER_VERSION, 1, &in }, output = { SECBUFFER_VERSION, 1, &out };
    ULONG got = 0;
    TimeStamp expiry;
    SECURITY_STATUS status;
    int first = 1;
    if (made == NULL) give_up("malloc");
    do {
        in.cbBuffer = receive_frame(connection, received);
        out.cbBuffer = longest;
        status = table->AcceptSecurityContext(credential, first ? NULL : context, &input, ASC_REQ_CONFIDENTIALITY | ASC_REQ_INTEGRITY,
                                              SECURITY_NATIVE_DREP, context, &output, &got, &expiry);
        if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) give_up_with("AcceptSecurityContext", status);
        if (out.cbBuffer > 0) send_frame(connection, made, out.cbBuffer);
        first = 0;
    } while (status == SEC_I_CONTINUE_NEEDED);
    free(made);
    return got;
}

static void receive_signed(int connection, SecurityFunctionTableA *table, CtxtHandle *context)
{
    static unsigned char text[LARGEST_FRAME + 1], signature[LARGEST_FRAME];
    SecBuffer buffers[2] = { { 0, SECBUFFER_DATA, text }, { 0, SECBUFFER_TOKEN, signature } };
    SecBufferDesc message = { SECBUFFER_VERSION, 2, buffers };
    SECURITY_STATUS status;
    ULONG quality;
    buffers[0].cbBuffer = receive_frame(connection, text);
    buffers[1].cbBuffer = receive_frame(connection, signature);
    status = table->VerifySignature(context, &message, 0, &quality);
    if (status != SEC_E_OK) give_up_with("VerifySignature", status);
    text[buffers[0].cbBuffer] = '\0';
    printf("the client says: %s\n", (char *)text);
}

/* Answers as the client: what this thread asks of other services and of the system in between, the client asks. */
static void answer_as_the_client(int connection, SecurityFunctionTableA *table, CtxtHandle *context)
{
    SecPkgContext_NamesA names;
    char question[1024], answer[1024];
    SECURITY_STATUS status;
    receive_sealed(connection, table, context, question, sizeof question);
    printf("the client asks: %s\n", question);
    status = table->QueryContextAttributesA(context, SECPKG_ATTR_NAMES, &names);
    if (status != SEC_E_OK) give_up_with("QueryContextAttributes", status);
    status = table->ImpersonateSecurityContext(context);
    if (status != SEC_E_OK) give_up_with("ImpersonateSecurityContext", status);
    snprintf(answer, sizeof answer, "you are %s", names.sUserName);
    status = table->RevertSecurityContext(context);
    if (status != SEC_E_OK) give_up_with("RevertSecurityContext", status);
    table->FreeContextBuffer(names.sUserName);
    send_sealed(connection, table, context, answer);
}

int main(int count, char **words)
{
    SecurityFunctionTableA *table;
    CredHandle credential;
    CtxtHandle context;
    TimeStamp expiry;
    SECURITY_STATUS status;
    ULONG longest, got;
    int connection;
    if (count != 4) {
        fprintf(stderr, "usage: server LIBRARY PACKAGE PORT\n");
        return 2;
    }
    table = load_provider(words[1]);
    longest = find_package(table, words[2], SECPKG_FLAG_INTEGRITY | SECPKG_FLAG_PRIVACY | SECPKG_FLAG_IMPERSONATION);
    status = table->AcquireCredentialsHandleA(NULL, words[2], SECPKG_CRED_INBOUND, NULL, NULL, NULL, NULL, &credential, &expiry);
    if (status != SEC_E_OK) give_up_with("AcquireCredentialsHandle", status);
    connection = wait_for_client(words[3]);
    got = authenticate(connection, table, &credential, longest, &context);
    if (!(got & ASC_RET_CONFIDENTIALITY) || !(got & ASC_RET_INTEGRITY)) {
        fprintf(stderr, "the context protects too little: 0x%08X\n", (unsigned)got);
        return 1;
    }
    receive_signed(connection, table, &context);
    answer_as_the_client(connection, table, &context);
    table->DeleteSecurityContext(&context);
    table->FreeCredentialsHandle(&credential);
    close(connection);
    return 0;
}
