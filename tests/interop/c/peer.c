/*
 * A peer on MIT's libgssapi with the command line and the wire of `trihound peer`.
 *
 *   peer init|accept PORT SPN kerberos|ntlm|negotiate [FLAGS] [--show-session-key]
 *
 * Loopback TCP; accept with PORT 0 takes a free port and prints "listening N". SPN is SERVICE/HOST or a whole
 * principal SERVICE/HOST@REALM; "-" lets accept use any key of the keytab. FLAGS, comma separated: mutual, seq, replay,
 * conf, integ, deleg, dce, identify, anon, cb=HEX, user=U, pw=P, domain=D, mechs=krb5:ntlm, iov, big=N, nowrap, nodata,
 * loop, onward=PORT:SPN (an acceptor goes on to that peer by what its client delegated, before it tells its own story);
 * and here only noci, which keeps libgssapi from asking for confidentiality and integrity by itself. mechs= is what
 * negotiate offers or takes, best first. NTLM is gss-ntlmssp's, whose acceptor reads NTLM_USER_FILE.
 *
 * A frame is a 4-byte big-endian length and that many bytes. README.md beside this file has the order of the frames.
 */
#include "messages.h"

#include <gssapi/gssapi_krb5.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 60

/* Made by libgssapi, so neither header names it as a value that C can initialise with. */
static gss_OID_desc principal_name = {10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"};

static const struct {
    const char *word;
    gss_OID mech;
} mech_words[] = {{"krb5", &krb5_mech}, {"ntlm", &ntlm_mech}};
#define MECH_WORDS (sizeof mech_words / sizeof mech_words[0])

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

/* The user as NTLM writes it if there is a domain, so that one name serves every mechanism. */
static int import_user(const struct options *options, gss_name_t *name)
{
    OM_uint32 major, minor;
    char text[512];
    int length = snprintf(text, sizeof text, "%s%s%s", options->domain ? options->domain : "",
                          options->domain ? "\\" : "", options->user);
    gss_buffer_desc user = {(size_t)length, text};
    if (length < 0 || (size_t)length >= sizeof text) return failed("the user's name is too long");
    major = gss_import_name(&minor, &user, GSS_C_NT_USER_NAME, name);
    return GSS_ERROR(major) ? gss_failed("gss_import_name", major, minor, options->mech) : 0;
}

static int choose_inner(const struct options *options, gss_cred_id_t credential)
{
    OM_uint32 major, minor;
    gss_OID_set_desc inner = {options->inner_count, (gss_OID)options->inner};
    if (options->inner_count == 0) return 0;
    major = gss_set_neg_mechs(&minor, credential, &inner);
    return GSS_ERROR(major) ? gss_failed("gss_set_neg_mechs", major, minor, options->mech) : 0;
}

static int acquire(const struct options *options, gss_cred_id_t *credential)
{
    OM_uint32 major, minor;
    gss_name_t name = GSS_C_NO_NAME;
    gss_OID_set_desc mechs = {1, options->mech};
    gss_cred_usage_t usage = options->accept ? GSS_C_ACCEPT : GSS_C_INITIATE;
    int any = options->accept ? strcmp(options->spn, "-") == 0 : options->user == NULL;
    *credential = options->delegated;
    if (options->delegated != GSS_C_NO_CREDENTIAL) return 0;
    if (any && !options->noci && options->inner_count == 0) return 0;
    if (!any && (options->accept ? import(options->spn, &name) : import_user(options, &name)) != 0) return -1;
    if (options->accept || options->user == NULL || options->password == NULL) {
        major = gss_acquire_cred(&minor, name, GSS_C_INDEFINITE, &mechs, usage, credential, NULL, NULL);
    } else {
        gss_buffer_desc password = {strlen(options->password), (void *)options->password};
        major = gss_acquire_cred_with_password(&minor, name, &password, GSS_C_INDEFINITE, &mechs, usage, credential,
                                               NULL, NULL);
    }
    if (GSS_ERROR(major)) return gss_failed("gss_acquire_cred", major, minor, options->mech);
    gss_release_name(&minor, &name);
    if (options->noci) {
        gss_buffer_desc none = GSS_C_EMPTY_BUFFER;
        major = gss_set_cred_option(&minor, credential, (gss_OID)GSS_KRB5_CRED_NO_CI_FLAGS_X, &none);
        if (GSS_ERROR(major)) return gss_failed("gss_set_cred_option", major, minor, options->mech);
    }
    return choose_inner(options, *credential);
}

static int handshake(const struct options *options, struct session *session)
{
    OM_uint32 major = GSS_S_CONTINUE_NEEDED, minor, ignored;
    gss_cred_id_t credential;
    gss_name_t target = GSS_C_NO_NAME;
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
            major = gss_accept_sec_context(&minor, &session->context, credential, &received, bound, &session->source,
                                           &session->mech, &answer, &session->flags, &session->lifetime,
                                           &session->delegated);
        else
            major = gss_init_sec_context(&minor, credential, &session->context, target, options->mech, options->flags,
                                         GSS_C_INDEFINITE, bound, &received, &session->mech, &answer, &session->flags,
                                         &session->lifetime);
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
    if (options->delegated == GSS_C_NO_CREDENTIAL) gss_release_cred(&ignored, &credential);
    return 0;
}

/* A context with the next service as the client of this one, which delegates in its turn. */
static int go_on(const struct options *options, const struct session *session)
{
    OM_uint32 minor;
    struct options next = *options;
    struct session onward = {.context = GSS_C_NO_CONTEXT, .delegated = GSS_C_NO_CREDENTIAL, .source = GSS_C_NO_NAME,
                             .mech = GSS_C_NO_OID};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->onward_port)};
    struct timeval patience = {PATIENCE_SECONDS, 0};
    int result;
    if (options->onward_port == 0) return 0;
    if (session->delegated == GSS_C_NO_CREDENTIAL) return failed("the client delegated nothing to go on with");
    next.accept = 0;
    next.spn = options->onward_spn;
    next.delegated = session->delegated;
    next.flags |= GSS_C_DELEG_FLAG | GSS_C_MUTUAL_FLAG;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    onward.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(onward.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(onward.fd, (struct sockaddr *)&address, sizeof address) != 0) return failed("no next service is there");
    result = handshake(&next, &onward);
    if (result == 0 && !next.nodata) result = speak(&next, &onward);
    close(onward.fd);
    gss_delete_sec_context(&minor, &onward.context, GSS_C_NO_BUFFER);
    return result;
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
        /* gss-ntlmssp counts the end of its C string. */
        json_text(text.value, strnlen(text.value, text.length));
    else printf("null");
    gss_release_buffer(&minor, &text);
}

/*
 * Names are those that gss_inquire_context gives, and with NTLM those that the handshake gave: gss-ntlmssp dies of that
 * call on an acceptor's context.
 */
static int report_names(const struct options *options, struct session *s)
{
    OM_uint32 major, minor;
    gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
    if (speaks_ntlm(s)) {
        json_name("src", s->source);
        json_name("dst", target);
        return 0;
    }
    major = gss_inquire_context(&minor, s->context, &source, &target, &s->lifetime, NULL, &s->flags, NULL, NULL);
    if (GSS_ERROR(major)) return gss_failed("gss_inquire_context", major, minor, options->mech);
    json_name("src", source);
    json_name("dst", target);
    gss_release_name(&minor, &source);
    gss_release_name(&minor, &target);
    return 0;
}

static int report(const struct options *options, struct session *s)
{
    OM_uint32 major, minor;
    gss_buffer_set_t keys = GSS_C_NO_BUFFER_SET;
    int delegated, first = 1;
    if (options->show_session_key) {
        major = gss_inquire_sec_context_by_oid(&minor, s->context, (gss_OID)GSS_C_INQ_SSPI_SESSION_KEY, &keys);
        if (GSS_ERROR(major) || keys == GSS_C_NO_BUFFER_SET || keys->count < 1)
            return gss_failed("gss_inquire_sec_context_by_oid", major, minor, options->mech);
    }
    printf("{\"ok\":true,\"role\":\"%s\",\"package\":\"%s\"", options->accept ? "accept" : "init", options->package);
    if (report_names(options, s) != 0) return -1;
    for (size_t i = 0; s->mech != GSS_C_NO_OID && i < MECH_WORDS; i++)
        if (same_mech(s->mech, mech_words[i].mech)) printf(",\"mech\":\"%s\"", mech_words[i].word);
    printf(",\"flags\":[");
    for (size_t i = 0; i < FLAG_WORDS; i++) {
        if ((s->flags & flag_words[i].bit) == 0) continue;
        printf("%s\"%s\"", first ? "" : ",", flag_words[i].word);
        first = 0;
    }
    delegated = options->accept ? s->delegated != GSS_C_NO_CREDENTIAL : (s->flags & GSS_C_DELEG_FLAG) != 0;
    printf("],\"lifetime\":%u,\"delegated\":%s", s->lifetime, delegated ? "true" : "false");
    if (options->show_session_key) {
        printf(",\"session_key\":\"");
        for (size_t i = 0; i < keys->elements[0].length; i++)
            printf("%02x", ((unsigned char *)keys->elements[0].value)[i]);
        printf("\"");
    }
    printf("}\n");
    fflush(stdout);
    gss_release_buffer_set(&minor, &keys);
    return 0;
}

/* One connection from the first token to the JSON line. */
static int run(const struct options *options, int fd)
{
    OM_uint32 minor;
    struct session session = {.fd = fd, .context = GSS_C_NO_CONTEXT, .delegated = GSS_C_NO_CREDENTIAL,
                              .source = GSS_C_NO_NAME, .mech = GSS_C_NO_OID};
    struct timeval patience = {PATIENCE_SECONDS, 0};
    int on = 1, result;
    reason[0] = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    result = handshake(options, &session);
    if (result == 0 && !options->nodata) result = options->accept ? answer(options, &session) : speak(options, &session);
    if (result == 0) result = go_on(options, &session);
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
    gss_release_name(&minor, &session.source);
    return result;
}

/* --- command line --- */

static void usage(const char *why)
{
    fprintf(stderr, "peer: %s\nusage: peer init|accept PORT SPN kerberos|ntlm|negotiate [FLAGS] [--show-session-key]\n", why);
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

static void parse_mechs(struct options *options, const char *words)
{
    options->inner_count = 0;
    while (*words != 0) {
        size_t length = strcspn(words, ":"), i = 0;
        while (i < MECH_WORDS && (strlen(mech_words[i].word) != length || strncmp(words, mech_words[i].word, length)))
            i++;
        if (i == MECH_WORDS || options->inner_count == MAX_MECHS) usage("mechs= takes krb5 and ntlm, with a colon");
        options->inner[options->inner_count++] = *mech_words[i].mech;
        words += length + (words[length] == ':');
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
    } else if (strncmp(word, "mechs=", 6) == 0) parse_mechs(options, word + 6);
    else if (strncmp(word, "user=", 5) == 0) options->user = word + 5;
    else if (strncmp(word, "domain=", 7) == 0) options->domain = word + 7;
    else if (strncmp(word, "pw=", 3) == 0) options->password = word + 3;
    else if (strncmp(word, "onward=", 7) == 0) {
        char *colon = strchr(word, ':');
        options->onward_port = atoi(word + 7);
        if (colon == NULL || options->onward_port <= 0 || options->onward_port > 65535) usage("onward= wants PORT:SPN");
        options->onward_spn = colon + 1;
    }
    else if (strncmp(word, "big=", 4) == 0) {
        options->big = atol(word + 4);
        if (options->big < 0 || options->big > (long)MAX_FRAME - 1024) usage("big= is out of range");
    } else if (strcmp(word, "iov") == 0) options->iov = 1;
    else if (strcmp(word, "nodata") == 0) options->nodata = 1;
    else if (strcmp(word, "nowrap") == 0) options->nowrap = 1;
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
    else if (strcmp(options->package, "ntlm") == 0) options->mech = &ntlm_mech;
    else usage("the package is kerberos, ntlm or negotiate");
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
