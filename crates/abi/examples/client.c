/* A client in the steps of SSPI: client LIBRARY PACKAGE TARGET ADDRESS PORT
 *
 *   cc $(pkg-config --cflags trihound-sspi) -o client client.c
 *   ./client libtrihound_sspi.so Negotiate host/web.example.com 192.0.2.7 4444
 *
 * It is whoever is logged in (`trihound kinit`), and talks to server.c or to the Rust examples table_server. */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static int connect_to(const char *address, const char *port)
{
    struct sockaddr_in there;
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    memset(&there, 0, sizeof there);
    there.sin_family = AF_INET;
    there.sin_port = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, address, &there.sin_addr) != 1) give_up(address);
    if (connection < 0 || connect(connection, (struct sockaddr *)&there, sizeof there) != 0) give_up("connect");
    return connection;
}

/* Calls InitializeSecurityContext as often as it says, and carries the tokens. Gives the attributes that came of it. */
static ULONG authenticate(int connection, SecurityFunctionTableA *table, CredHandle *credential, char *target, ULONG longest,
                          CtxtHandle *context)
{
    ULONG asked = ISC_REQ_MUTUAL_AUTH | ISC_REQ_CONFIDENTIALITY | ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT;
    unsigned char received[LARGEST_FRAME], *made = malloc(longest);
    SecBuffer in = { 0, SECBUFFER_TOKEN, received }, out = { longest, SECBUFFER_TOKEN, made };
    SecBufferDesc input = { SECBUFFER_VERSION, 1, &in }, output = { SECBUFFER_VERSION, 1, &out };
    ULONG got = 0;
    TimeStamp expiry;
    SECURITY_STATUS status;
    int first = 1;
    if (made == NULL) give_up("malloc");
    do {
        out.cbBuffer = longest;
        status = table->InitializeSecurityContextA(credential, first ? NULL : context, target, asked, 0, SECURITY_NATIVE_DREP,
                                                   first ? NULL : &input, 0, context, &output, &got, &expiry);
        if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) give_up_with("InitializeSecurityContext", status);
        if (out.cbBuffer > 0) send_frame(connection, made, out.cbBuffer);
        if (status == SEC_I_CONTINUE_NEEDED) in.cbBuffer = receive_frame(connection, received);
        first = 0;
    } while (status == SEC_I_CONTINUE_NEEDED);
    free(made);
    return got;
}

static void send_signed(int connection, SecurityFunctionTableA *table, CtxtHandle *context, char *text)
{
    SecPkgContext_Sizes sizes;
    SecBuffer buffers[2];
    SecBufferDesc message = { SECBUFFER_VERSION, 2, buffers };
    SECURITY_STATUS status = table->QueryContextAttributesA(context, SECPKG_ATTR_SIZES, &sizes);
    if (status != SEC_E_OK) give_up_with("QueryContextAttributes", status);
    buffers[0].BufferType = SECBUFFER_DATA;
    buffers[0].cbBuffer = (ULONG)strlen(text);
    buffers[0].pvBuffer = text;
    buffers[1].BufferType = SECBUFFER_TOKEN;
    buffers[1].cbBuffer = sizes.cbMaxSignature;
    buffers[1].pvBuffer = malloc(sizes.cbMaxSignature);
    if (buffers[1].pvBuffer == NULL) give_up("malloc");
    status = table->MakeSignature(context, 0, &message, 0);
    if (status != SEC_E_OK) give_up_with("MakeSignature", status);
    send_frame(connection, text, buffers[0].cbBuffer);
    send_frame(connection, buffers[1].pvBuffer, buffers[1].cbBuffer);
    free(buffers[1].pvBuffer);
}

int main(int count, char **words)
{
    SecurityFunctionTableA *table;
    CredHandle credential;
    CtxtHandle context;
    TimeStamp expiry;
    SECURITY_STATUS status;
    ULONG longest, got, needed = ISC_RET_CONFIDENTIALITY | ISC_RET_INTEGRITY | ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT;
    char greeting[] = "good morning", answer[1024];
    int connection;
    if (count != 6) {
        fprintf(stderr, "usage: client LIBRARY PACKAGE TARGET ADDRESS PORT\n");
        return 2;
    }
    table = load_provider(words[1]);
    longest = find_package(table, words[2], SECPKG_FLAG_INTEGRITY | SECPKG_FLAG_PRIVACY);
    status = table->AcquireCredentialsHandleA(NULL, words[2], SECPKG_CRED_OUTBOUND, NULL, NULL, NULL, NULL, &credential, &expiry);
    if (status != SEC_E_OK) give_up_with("AcquireCredentialsHandle", status);
    connection = connect_to(words[4], words[5]);
    got = authenticate(connection, table, &credential, words[3], longest, &context);
    /* Asking is not getting: what came of it decides. NTLM cannot prove the server, so that mutual authentication is not
     * among what this program cannot do without. */
    if ((got & needed) != needed) {
        fprintf(stderr, "the context protects too little: 0x%08X\n", (unsigned)got);
        return 1;
    }
    printf("the server is %s\n", got & ISC_RET_MUTUAL_AUTH ? "proved" : "not proved");
    send_signed(connection, table, &context, greeting);
    send_sealed(connection, table, &context, "what am I called here?");
    receive_sealed(connection, table, &context, answer, sizeof answer);
    printf("the server says: %s\n", answer);
    table->DeleteSecurityContext(&context);
    table->FreeCredentialsHandle(&credential);
    close(connection);
    return 0;
}
