/*
 * A peer on MIT's libgssapi with the command line and the wire of `trihound peer`.
 *
 *   peer init|accept PORT SPN kerberos|negotiate [FLAGS] [--show-session-key]
 *
 * Loopback TCP; accept with PORT 0 takes a free port and prints "listening N". SPN is SERVICE/HOST or a whole
 * principal SERVICE/HOST@REALM; "-" lets accept use any key of the keytab. FLAGS, comma separated: mutual, seq, replay,
 * conf, integ, deleg, dce, identify, anon, cb=HEX, user=U, pw=P, iov, big=N, nodata, loop; and here only noci, which
 * keeps libgssapi from asking for confidentiality and integrity by itself.
 *
 * A frame is a 4-byte big-endian length and that many bytes. README.md beside this file has the order of the frames.
 */
#include "frames.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 60

static const unsigned char message[19] = "message \0 \xff sealed!";

static gss_OID_desc krb5_mech = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc spnego_mech = {6, "\x2b\x06\x01\x05\x05\x02"};
/* Made by libgssapi, so neither header names it as a value that C can initialise with. */
static gss_OID_desc principal_name = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"};

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
    OM_uint32 flags;
    int bound; /* cb= was given; its bytes may be none */
    gss_buffer_desc binding;
    const char *user, *password;
    int iov, nodata, loop, noci, show_session_key;
    long big;
};

struct session {
    int fd;
    gss_ctx_id_t context;
    gss_cred_id_t delegated;
};

/* --- handshake --- */

static int import(const char *text, gss_name_t *name)
{
    OM_uint32 major, minor;
    char *host_based = strdup(text);
    char *slash = strchr(host_based, '/');
    gss_buffer_desc buffer;
    gss_OID type = GSS_C_NT_HOSTBASED_SERVICE;
    /* A service without its realm is a host-based name, so that the library finds the realm as for any client. */
    if (strchr(text, '@') != NULL || slash == NULL) type = &principal_name;
    else *slash = '@';
    buffer.value = host_based;
    buffer.length = strlen(host_based);
    major = gss_import_name(&minor, &buffer, type, name);
    free(host_based);
    return GSS_ERROR(major) ? gss_failed("gss_import_name", major, minor, GSS_C_NO_OID) : 0;
}

static int acquire(const struct options *options, gss_cred_id_t *credential)
{
    OM_uint32 major, minor;
    gss_name_t name = GSS_C_NO_NAME;
    gss_OID_set_desc mechs = {1, options->mech};
    *credential = GSS_C_NO_CREDENTIAL;
    if (options->accept) {
        if (strcmp(options->spn, "-") == 0) return 0;
        if (import(options->spn, &name) != 0) return -1;
        major = gss_acquire_cred(&minor, name, GSS_C_INDEFINITE, &mechs, GSS_C_ACCEPT, credential, NULL, NULL);
    } else if (options->user != NULL && options->password != NULL) {
        gss_buffer_desc user = {strlen(options->user), (void *)options->user};
        gss_buffer_desc password = {strlen(options->password), (void *)options->password};
        major = gss_import_name(&minor, &user, GSS_C_NT_USER_NAME, &name);
        if (GSS_ERROR(major)) return gss_failed("gss_import_name", major, minor, options->mech);
        major = gss_acquire_cred_with_password(&minor, name, &password, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE,
                                               credential, NULL, NULL);
    } else if (options->user != NULL) {
        gss_buffer_desc user = {strlen(options->user), (void *)options->user};
        major = gss_import_name(&minor, &user, GSS_C_NT_USER_NAME, &name);
        if (GSS_ERROR(major)) return gss_failed("gss_import_name", major, minor, options->mech);
        major = gss_acquire_cred(&minor, name, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE, credential, NULL, NULL);
    } else if (options->noci) {
        major = gss_acquire_cred(&minor, name, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE, credential, NULL, NULL);
    } else {
        return 0;
    }
    if (GSS_ERROR(major)) return gss_failed("gss_acquire_cred", major, minor, options->mech);
    if (options->noci) {
        gss_buffer_desc none = GSS_C_EMPTY_BUFFER;
        major = gss_set_cred_option(&minor, credential, (gss_OID)GSS_KRB5_CRED_NO_CI_FLAGS_X, &none);
        if (GSS_ERROR(major)) return gss_failed("gss_set_cred_option", major, minor, options->mech);
    }
    gss_release_name(&minor, &name);
    return 0;
}

static int handshake(const struct options *options, struct session *session)
{
    OM_uint32 major = GSS_S_CONTINUE_NEEDED, minor, ignored;
    gss_cred_id_t credential;
    gss_name_t target = GSS_C_NO_NAME, source = GSS_C_NO_NAME;
    struct gss_channel_bindings_struct bindings;
    gss_channel_bindings_t bound = GSS_C_NO_CHANNEL_BINDINGS;
    gss_buffer_desc received = GSS_C_EMPTY_BUFFER, answer = GSS_C_EMPTY_BUFFER;
    if (options->bound) {
        memset(&bindings, 0, sizeof bindings);
        bindings.application_data = options->binding;
        bound = &bindings;
    }
    if (acquire(options, &credential) != 0) return -1;
    if (!options->accept && import(options->spn, &target) != 0) return -1;
    for (int leg = 0; major == GSS_S_CONTINUE_NEEDED; leg++) {
        if (leg > 0 || options->accept) {
            free(received.value);
            if (receive_frame(session->fd, &received) != 0) return -1;
        }
        if (options->accept)
            major = gss_accept_sec_context(&minor, &session->context, credential, &received, bound, &source, NULL,
                                           &answer, NULL, NULL, &session->delegated);
        else
            major = gss_init_sec_context(&minor, credential, &session->context, target, options->mech, options->flags,
                                         GSS_C_INDEFINITE, bound, &received, NULL, &answer, NULL, NULL);
        if (GSS_ERROR(major))
            gss_failed(options->accept ? "gss_accept_sec_context" : "gss_init_sec_context", major, minor,
                       options->mech);
        /* A failure may carry a token that tells the peer why. */
        if (answer.length > 0 && send_frame(session->fd, answer.value, answer.length) != 0) return -1;
        gss_release_buffer(&ignored, &answer);
        if (GSS_ERROR(major)) return -1;
    }
    free(received.value);
    gss_release_name(&ignored, &target);
    gss_release_name(&ignored, &source);
    gss_release_cred(&ignored, &credential);
    return 0;
}

/* --- messages --- */

static int same(const char *what, gss_buffer_t got, const void *bytes, size_t count)
{
    if (got->length == count && memcmp(got->value, bytes, count) == 0) return 0;
    return failed("%s: the plaintext is not the one that was sent (%zu bytes, %zu expected)", what, got->length, count);
}

static int send_wrap(struct session *s, int sealed, void *bytes, size_t count)
{
    OM_uint32 major, minor;
    int state, result;
    gss_buffer_desc plain = {count, bytes}, token;
    major = gss_wrap(&minor, s->context, sealed, GSS_C_QOP_DEFAULT, &plain, &state, &token);
    if (GSS_ERROR(major)) return gss_failed("gss_wrap", major, minor, GSS_C_NO_OID);
    if (state != sealed) return failed("gss_wrap: sealed %d, asked %d", state, sealed);
    result = send_frame(s->fd, token.value, token.length);
    gss_release_buffer(&minor, &token);
    return result;
}

/* Opens a wrap token and says whether it was sealed as it should be; supplementary bits (order) are failures. */
static int open_wrap(struct session *s, int sealed, gss_buffer_t token, gss_buffer_t plain)
{
    OM_uint32 major, minor;
    int state;
    major = gss_unwrap(&minor, s->context, token, plain, &state, NULL);
    if (major != GSS_S_COMPLETE) return gss_failed("gss_unwrap", major, minor, GSS_C_NO_OID);
    if (state != sealed) return failed("gss_unwrap: the message is %s", state ? "sealed" : "not sealed");
    return 0;
}

static int receive_wrap(struct session *s, int sealed, const void *bytes, size_t count)
{
    OM_uint32 minor;
    gss_buffer_desc token, plain = GSS_C_EMPTY_BUFFER;
    int result = receive_frame(s->fd, &token);
    if (result == 0) {
        result = open_wrap(s, sealed, &token, &plain);
        if (result == 0) result = same("gss_unwrap", &plain, bytes, count);
        gss_release_buffer(&minor, &plain);
        free(token.value);
    }
    return result;
}

static int send_mic(struct session *s)
{
    OM_uint32 major, minor;
    gss_buffer_desc plain = {sizeof message, (void *)message}, token;
    int result;
    major = gss_get_mic(&minor, s->context, GSS_C_QOP_DEFAULT, &plain, &token);
    if (GSS_ERROR(major)) return gss_failed("gss_get_mic", major, minor, GSS_C_NO_OID);
    result = send_frame(s->fd, message, sizeof message);
    if (result == 0) result = send_frame(s->fd, token.value, token.length);
    gss_release_buffer(&minor, &token);
    return result;
}

static int receive_mic(struct session *s)
{
    OM_uint32 major, minor;
    gss_buffer_desc plain, token;
    int result;
    if (receive_frame(s->fd, &plain) != 0) return -1;
    if (receive_frame(s->fd, &token) != 0) return -1;
    major = gss_verify_mic(&minor, s->context, &plain, &token, NULL);
    if (major != GSS_S_COMPLETE) result = gss_failed("gss_verify_mic", major, minor, GSS_C_NO_OID);
    else result = same("gss_verify_mic", &plain, message, sizeof message);
    free(plain.value);
    free(token.value);
    return result;
}

/*
 * One EncryptMessage of SSPI over TOKEN and DATA: without a TRAILER buffer the library rotates the trailer into the
 * header, which is SSPI's token. RC4 outside DCE style adds a padding byte (RFC 4757), which ends the data frame.
 */
static int send_iov(struct session *s)
{
    OM_uint32 major, minor;
    int state, result = -1;
    unsigned char data[sizeof message + 64];
    gss_iov_buffer_desc iov[3];
    memset(iov, 0, sizeof iov);
    memcpy(data, message, sizeof message);
    iov[0].type = GSS_IOV_BUFFER_TYPE_HEADER | GSS_IOV_BUFFER_FLAG_ALLOCATE;
    iov[1].type = GSS_IOV_BUFFER_TYPE_DATA;
    iov[1].buffer.value = data;
    iov[1].buffer.length = sizeof message;
    iov[2].type = GSS_IOV_BUFFER_TYPE_PADDING | GSS_IOV_BUFFER_FLAG_ALLOCATE;
    major = gss_wrap_iov(&minor, s->context, 1, GSS_C_QOP_DEFAULT, &state, iov, 3);
    if (GSS_ERROR(major)) {
        gss_failed("gss_wrap_iov", major, minor, GSS_C_NO_OID);
    } else if (!state) {
        failed("gss_wrap_iov: not sealed");
    } else if (iov[2].buffer.length > sizeof data - sizeof message) {
        failed("gss_wrap_iov: %zu bytes of padding", iov[2].buffer.length);
    } else {
        if (iov[2].buffer.length > 0) memcpy(data + sizeof message, iov[2].buffer.value, iov[2].buffer.length);
        result = send_frame(s->fd, iov[0].buffer.value, iov[0].buffer.length);
        if (result == 0) result = send_frame(s->fd, data, sizeof message + iov[2].buffer.length);
    }
    gss_release_iov_buffer(&minor, iov, 3);
    return result;
}

static int receive_iov(struct session *s)
{
    OM_uint32 major, minor;
    int state, result = -1;
    gss_buffer_desc token, data, plain;
    gss_iov_buffer_desc iov[3];
    memset(iov, 0, sizeof iov);
    if (receive_frame(s->fd, &token) != 0) return -1;
    if (receive_frame(s->fd, &data) != 0) return -1;
    if (data.length < sizeof message) {
        failed("the data frame has %zu bytes, fewer than the message", data.length);
    } else {
        iov[0].type = GSS_IOV_BUFFER_TYPE_HEADER;
        iov[0].buffer = token;
        iov[1].type = GSS_IOV_BUFFER_TYPE_DATA;
        iov[1].buffer.value = data.value;
        iov[1].buffer.length = sizeof message;
        iov[2].type = GSS_IOV_BUFFER_TYPE_PADDING;
        iov[2].buffer.value = (unsigned char *)data.value + sizeof message;
        iov[2].buffer.length = data.length - sizeof message;
        major = gss_unwrap_iov(&minor, s->context, &state, NULL, iov, 3);
        plain = iov[1].buffer;
        if (major != GSS_S_COMPLETE) gss_failed("gss_unwrap_iov", major, minor, GSS_C_NO_OID);
        else if (!state) failed("gss_unwrap_iov: the message is not sealed");
        else result = same("gss_unwrap_iov", &plain, message, sizeof message);
    }
    free(token.value);
    free(data.value);
    return result;
}

/* The big message: byte N is N modulo 251, a prime, so that no block looks like another. */
static unsigned char *big_message(size_t count)
{
    unsigned char *bytes = malloc(count + 1);
    for (size_t i = 0; bytes != NULL && i < count; i++) bytes[i] = (unsigned char)(i % 251);
    return bytes;
}

static int speak(const struct options *options, struct session *s)
{
    unsigned char *big;
    int result;
    if (send_wrap(s, 1, (void *)message, sizeof message) != 0) return -1;
    if (receive_wrap(s, 1, message, sizeof message) != 0) return -1;
    if (send_wrap(s, 0, (void *)message, sizeof message) != 0) return -1;
    if (receive_wrap(s, 0, message, sizeof message) != 0) return -1;
    if (send_mic(s) != 0 || receive_mic(s) != 0) return -1;
    if (options->iov && (send_iov(s) != 0 || receive_iov(s) != 0)) return -1;
    if (options->big >= 0) {
        big = big_message((size_t)options->big);
        if (big == NULL) return failed("no memory for %ld bytes", options->big);
        result = send_wrap(s, 1, big, (size_t)options->big);
        if (result == 0) result = receive_wrap(s, 1, big, (size_t)options->big);
        free(big);
        if (result != 0) return -1;
    }
    return send_frame(s->fd, NULL, 0);
}

static int answer(const struct options *options, struct session *s)
{
    OM_uint32 minor;
    gss_buffer_desc frame, plain = GSS_C_EMPTY_BUFFER;
    int result;
    if (receive_wrap(s, 1, message, sizeof message) != 0) return -1;
    if (send_wrap(s, 1, (void *)message, sizeof message) != 0) return -1;
    if (receive_wrap(s, 0, message, sizeof message) != 0) return -1;
    if (send_wrap(s, 0, (void *)message, sizeof message) != 0) return -1;
    if (receive_mic(s) != 0 || send_mic(s) != 0) return -1;
    if (options->iov && (receive_iov(s) != 0 || send_iov(s) != 0)) return -1;
    /* The initiator alone need know how big the big message is: whatever comes before the end is one. */
    for (;;) {
        if (receive_frame(s->fd, &frame) != 0) return -1;
        if (frame.length == 0) {
            free(frame.value);
            return 0;
        }
        result = open_wrap(s, 1, &frame, &plain);
        free(frame.value);
        if (result == 0 && options->big >= 0 && plain.length != (size_t)options->big)
            result = failed("the big message has %zu bytes, not %ld", plain.length, options->big);
        if (result == 0) result = send_wrap(s, 1, plain.value, plain.length);
        gss_release_buffer(&minor, &plain);
        if (result != 0) return -1;
    }
}

/* --- the account of a run --- */

static void json_text(const char *bytes, size_t count)
{
    putchar('"');
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void json_name(const char *key, gss_name_t name)
{
    OM_uint32 minor;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    printf(",\"%s\":", key);
    if (name != GSS_C_NO_NAME && gss_display_name(&minor, name, &text, NULL) == GSS_S_COMPLETE)
        json_text(text.value, text.length);
    else printf("null");
    gss_release_buffer(&minor, &text);
}

static int report(const struct options *options, struct session *s)
{
    OM_uint32 major, minor, lifetime, flags;
    gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
    gss_buffer_set_t keys = GSS_C_NO_BUFFER_SET;
    int delegated, first = 1;
    major = gss_inquire_context(&minor, s->context, &source, &target, &lifetime, NULL, &flags, NULL, NULL);
    if (GSS_ERROR(major)) return gss_failed("gss_inquire_context", major, minor, options->mech);
    if (options->show_session_key) {
        major = gss_inquire_sec_context_by_oid(&minor, s->context, (gss_OID)GSS_C_INQ_SSPI_SESSION_KEY, &keys);
        if (GSS_ERROR(major) || keys == GSS_C_NO_BUFFER_SET || keys->count < 1)
            return gss_failed("gss_inquire_sec_context_by_oid", major, minor, options->mech);
    }
    printf("{\"ok\":true,\"role\":\"%s\",\"package\":\"%s\"", options->accept ? "accept" : "init", options->package);
    json_name("src", source);
    json_name("dst", target);
    printf(",\"flags\":[");
    for (size_t i = 0; i < FLAG_WORDS; i++) {
        if ((flags & flag_words[i].bit) == 0) continue;
        printf("%s\"%s\"", first ? "" : ",", flag_words[i].word);
        first = 0;
    }
    delegated = options->accept ? s->delegated != GSS_C_NO_CREDENTIAL : (flags & GSS_C_DELEG_FLAG) != 0;
    printf("],\"lifetime\":%u,\"delegated\":%s", lifetime, delegated ? "true" : "false");
    if (options->show_session_key) {
        printf(",\"session_key\":\"");
        for (size_t i = 0; i < keys->elements[0].length; i++)
            printf("%02x", ((unsigned char *)keys->elements[0].value)[i]);
        printf("\"");
    }
    printf("}\n");
    fflush(stdout);
    gss_release_buffer_set(&minor, &keys);
    gss_release_name(&minor, &source);
    gss_release_name(&minor, &target);
    return 0;
}

/* One connection from the first token to the JSON line. */
static int run(const struct options *options, int fd)
{
    OM_uint32 minor;
    struct session session = {fd, GSS_C_NO_CONTEXT, GSS_C_NO_CREDENTIAL};
    struct timeval patience = {PATIENCE_SECONDS, 0};
    int on = 1, result;
    reason[0] = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    result = handshake(options, &session);
    if (result == 0 && !options->nodata) result = options->accept ? answer(options, &session) : speak(options, &session);
    if (result == 0) result = report(options, &session);
    close(fd);
    if (result != 0) {
        fprintf(stderr, "peer %s: %s\n", options->accept ? "accept" : "init", reason);
        printf("{\"ok\":false,\"role\":\"%s\",\"package\":\"%s\",\"error\":", options->accept ? "accept" : "init",
               options->package);
        json_text(reason, strlen(reason));
        printf("}\n");
        fflush(stdout);
    }
    gss_delete_sec_context(&minor, &session.context, GSS_C_NO_BUFFER);
    gss_release_cred(&minor, &session.delegated);
    return result;
}

/* --- command line --- */

static void usage(const char *why)
{
    fprintf(stderr, "peer: %s\nusage: peer init|accept PORT SPN kerberos|negotiate [FLAGS] [--show-session-key]\n", why);
    exit(2);
}

static void parse_hex(const char *text, gss_buffer_t out)
{
    size_t count = strlen(text);
    unsigned value;
    if (count % 2 != 0) usage("cb= wants whole bytes in hex");
    out->length = count / 2;
    out->value = malloc(count / 2 + 1);
    for (size_t i = 0; i < count / 2; i++) {
        if (sscanf(text + 2 * i, "%2x", &value) != 1) usage("cb= wants hex");
        ((unsigned char *)out->value)[i] = (unsigned char)value;
    }
}

static void parse_flag(struct options *options, char *word)
{
    if (strcmp(word, "-") == 0) return;
    for (size_t i = 0; i < FLAG_WORDS; i++) {
        if (strcmp(word, flag_words[i].word) != 0) continue;
        options->flags |= flag_words[i].bit;
        if (flag_words[i].bit == GSS_C_DCE_STYLE) options->flags |= GSS_C_MUTUAL_FLAG;
        return;
    }
    if (strncmp(word, "cb=", 3) == 0) {
        options->bound = 1;
        parse_hex(word + 3, &options->binding);
    } else if (strncmp(word, "user=", 5) == 0) options->user = word + 5;
    else if (strncmp(word, "pw=", 3) == 0) options->password = word + 3;
    else if (strncmp(word, "big=", 4) == 0) {
        options->big = atol(word + 4);
        if (options->big < 0 || options->big > (long)MAX_FRAME - 1024) usage("big= is out of range");
    } else if (strcmp(word, "iov") == 0) options->iov = 1;
    else if (strcmp(word, "nodata") == 0) options->nodata = 1;
    else if (strcmp(word, "loop") == 0) options->loop = 1;
    else if (strcmp(word, "noci") == 0) options->noci = 1;
    else usage("there is a flag that is not known");
}

static void parse(struct options *options, int count, char **words)
{
    const char *positional[4];
    int given = 0;
    memset(options, 0, sizeof *options);
    options->big = -1;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--show-session-key") == 0) options->show_session_key = 1;
        else if (given < 4) positional[given++] = words[i];
        else
            for (char *word = strtok(words[i], ","); word != NULL; word = strtok(NULL, ",")) parse_flag(options, word);
    }
    if (given < 4) usage("a word is missing");
    if (strcmp(positional[0], "accept") == 0) options->accept = 1;
    else if (strcmp(positional[0], "init") != 0) usage("the first word is init or accept");
    options->port = atoi(positional[1]);
    if (options->port < 0 || options->port > 65535) usage("that is no port");
    options->spn = positional[2];
    options->package = positional[3];
    if (strcmp(options->package, "kerberos") == 0) options->mech = &krb5_mech;
    else if (strcmp(options->package, "negotiate") == 0) options->mech = &spnego_mech;
    else usage("the package is kerberos or negotiate");
}

int main(int count, char **words)
{
    struct options options;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener, fd, result = -1, on = 1;
    signal(SIGPIPE, SIG_IGN);
    parse(&options, count, words);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)options.port);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!options.accept) {
        if (connect(listener, (struct sockaddr *)&address, sizeof address) != 0) {
            fprintf(stderr, "peer init: connecting to port %d: %s\n", options.port, strerror(errno));
            return 1;
        }
        return run(&options, listener) == 0 ? 0 : 1;
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        fprintf(stderr, "peer accept: listening on port %d: %s\n", options.port, strerror(errno));
        return 1;
    }
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    do {
        fd = accept(listener, NULL, NULL);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) {
            fprintf(stderr, "peer accept: %s\n", strerror(errno));
            return 1;
        }
        result = run(&options, fd);
    } while (options.loop);
    return result == 0 ? 0 : 1;
}
