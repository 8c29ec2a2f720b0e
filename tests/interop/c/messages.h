/*
 * What the two sides say to each other once they have a context; README.md beside this file has the order.
 */
#ifndef TRIHOUND_MESSAGES_H
#define TRIHOUND_MESSAGES_H

#include "session.h"

static const unsigned char message[19] = "message \0 \xff sealed!";

static int same(const char *what, gss_buffer_t got, const void *bytes, size_t count)
{
    if (got->length == count && memcmp(got->value, bytes, count) == 0) return 0;
    return failed("%s: the plaintext is not the one that was sent (%zu bytes, %zu expected)", what, got->length, count);
}

/* NTLM has no wrap that is only signed: GSS_WrapEx of MS-NLMP section 3.4.6 seals. */
static int seals(const struct session *s, int sealed)
{
    return sealed || speaks_ntlm(s);
}

static int send_wrap(struct session *s, int sealed, void *bytes, size_t count)
{
    OM_uint32 major, minor;
    int state, result;
    sealed = seals(s, sealed);
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
    if (state != seals(s, sealed)) return failed("gss_unwrap: the message is %s", state ? "sealed" : "not sealed");
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
    for (int sealed = 1; !options->nowrap && sealed >= 0; sealed--) {
        if (send_wrap(s, sealed, (void *)message, sizeof message) != 0) return -1;
        if (receive_wrap(s, sealed, message, sizeof message) != 0) return -1;
    }
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
    for (int sealed = 1; !options->nowrap && sealed >= 0; sealed--) {
        if (receive_wrap(s, sealed, message, sizeof message) != 0) return -1;
        if (send_wrap(s, sealed, (void *)message, sizeof message) != 0) return -1;
    }
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

#endif
