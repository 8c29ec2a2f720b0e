/*
 * Frames of the peers' wire, and the reason why a run failed. A header of static functions: one program includes it.
 */
#ifndef TRIHOUND_FRAMES_H
#define TRIHOUND_FRAMES_H

#include <arpa/inet.h>
#include <errno.h>
#include <gssapi/gssapi.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_FRAME (64u << 20)

/* Why the run failed; the first reason is kept, later ones follow from it. */
static char reason[1024];

static int failed(const char *format, ...)
{
    va_list arguments;
    if (reason[0] == 0) {
        va_start(arguments, format);
        vsnprintf(reason, sizeof reason, format, arguments);
        va_end(arguments);
    }
    return -1;
}

static int gss_failed(const char *call, OM_uint32 major, OM_uint32 minor, gss_OID mech)
{
    OM_uint32 more = 0, ignored;
    gss_buffer_desc text;
    char all[900] = "";
    const struct { OM_uint32 code; int type; } parts[] = {{major, GSS_C_GSS_CODE}, {minor, GSS_C_MECH_CODE}};
    for (size_t i = 0; i < 2; i++) {
        do {
            if (gss_display_status(&ignored, parts[i].code, parts[i].type, mech, &more, &text) != GSS_S_COMPLETE) break;
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s%.*s", all[0] ? ": " : "", (int)text.length,
                     (char *)text.value);
            gss_release_buffer(&ignored, &text);
        } while (more != 0);
    }
    return failed("%s: %s", call, all);
}

/* --- frames --- */

static int write_all(int fd, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    while (count > 0) {
        ssize_t n = send(fd, at, count, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failed("sending a frame: %s", strerror(errno));
        at += n;
        count -= (size_t)n;
    }
    return 0;
}

static int send_frame(int fd, const void *bytes, size_t count)
{
    uint32_t length = htonl((uint32_t)count);
    if (write_all(fd, &length, sizeof length) != 0) return -1;
    return count == 0 ? 0 : write_all(fd, bytes, count);
}

static int read_all(int fd, void *bytes, size_t count)
{
    unsigned char *at = bytes;
    while (count > 0) {
        ssize_t n = recv(fd, at, count, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) return failed("the peer closed the connection");
        if (n < 0) return failed("reading a frame: %s", strerror(errno));
        at += n;
        count -= (size_t)n;
    }
    return 0;
}

/* The value is malloc's, also for an empty frame. */
static int receive_frame(int fd, gss_buffer_t frame)
{
    uint32_t length;
    frame->length = 0;
    frame->value = NULL;
    if (read_all(fd, &length, sizeof length) != 0) return -1;
    length = ntohl(length);
    if (length > MAX_FRAME) return failed("a frame of %u bytes is too long", length);
    frame->value = malloc(length + 1u);
    if (frame->value == NULL) return failed("no memory for a frame of %u bytes", length);
    frame->length = length;
    if (read_all(fd, frame->value, length) == 0) return 0;
    free(frame->value);
    frame->value = NULL;
    return -1;
}

#endif
