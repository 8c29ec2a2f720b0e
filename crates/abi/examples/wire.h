/* What the examples' client and server share: frames over a socket, and errors that end the program. */
#ifndef TRIHOUND_EXAMPLE_WIRE_H
#define TRIHOUND_EXAMPLE_WIRE_H

#include "trihound_sspi.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_FRAME 65536

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* Why a function of the library failed: its name, the number, and the library's own words. */
static const char *(*last_error)(void);
static void give_up_with(const char *function, SECURITY_STATUS status)
{
    fprintf(stderr, "%s: 0x%08X: %s\n", function, (unsigned)status, last_error());
    exit(1);
}

/* Loads the library and asks it for its functions. */
static SecurityFunctionTableA *load_provider(const char *path)
{
    INIT_SECURITY_INTERFACE_A init;
    SecurityFunctionTableA *table;
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    init = (INIT_SECURITY_INTERFACE_A)(uintptr_t)dlsym(library, SECURITY_ENTRYPOINT_ANSIA);
    last_error = (const char *(*)(void))(uintptr_t)dlsym(library, "TrihoundLastError");
    if (init == NULL || last_error == NULL) {
        fprintf(stderr, "%s is another library\n", path);
        exit(1);
    }
    table = init();
    if (table == NULL) give_up_with("InitSecurityInterfaceA", SEC_E_INTERNAL_ERROR);
    return table;
}

/* Looks for a package that can do what a program needs; the longest token that it makes. */
static ULONG find_package(SecurityFunctionTableA *table, const char *name, ULONG needed)
{
    ULONG count, longest = 0, i;
    PSecPkgInfoA packages;
    SECURITY_STATUS status = table->EnumerateSecurityPackagesA(&count, &packages);
    if (status != SEC_E_OK) give_up_with("EnumerateSecurityPackages", status);
    for (i = 0; i < count; i++)
        if (strcmp(packages[i].Name, name) == 0 && (packages[i].fCapabilities & needed) == needed) longest = packages[i].cbMaxToken;
    table->FreeContextBuffer(packages);
    if (longest == 0) {
        fprintf(stderr, "there is no package %s that can do that\n", name);
        exit(1);
    }
    return longest;
}

static void send_all(int socket, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = write(socket, at, length);
        if (sent <= 0) give_up("write");
        at += sent;
        length -= (size_t)sent;
    }
}

static void receive_all(int socket, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = read(socket, at, length);
        if (got < 0) give_up("read");
        if (got == 0) {
            fprintf(stderr, "the peer has gone\n");
            exit(1);
        }
        at += got;
        length -= (size_t)got;
    }
}

/* A frame is its length, four bytes with the most significant first, and its bytes. */
static void send_frame(int socket, const void *bytes, ULONG length)
{
    unsigned char head[4] = { (unsigned char)(length >> 24), (unsigned char)(length >> 16), (unsigned char)(length >> 8),
                              (unsigned char)length };
    send_all(socket, head, sizeof head);
    send_all(socket, bytes, length);
}

static ULONG receive_frame(int socket, void *bytes)
{
    unsigned char head[4];
    ULONG length;
    receive_all(socket, head, sizeof head);
    length = (ULONG)head[0] << 24 | (ULONG)head[1] << 16 | (ULONG)head[2] << 8 | head[3];
    if (length > LARGEST_FRAME) {
        fprintf(stderr, "a frame of %u bytes is too long\n", (unsigned)length);
        exit(1);
    }
    receive_all(socket, bytes, length);
    return length;
}

/* Encrypts a text and sends token, data and padding as one frame. */
static void send_sealed(int socket, SecurityFunctionTableA *table, CtxtHandle *context, const char *text)
{
    SecPkgContext_Sizes sizes;
    SecBuffer buffers[3];
    SecBufferDesc message = { SECBUFFER_VERSION, 3, buffers };
    unsigned char *whole;
    ULONG length = (ULONG)strlen(text), used = 0, i;
    SECURITY_STATUS status = table->QueryContextAttributesA(context, SECPKG_ATTR_SIZES, &sizes);
    if (status != SEC_E_OK) give_up_with("QueryContextAttributes", status);
    whole = malloc(sizes.cbSecurityTrailer + length + sizes.cbBlockSize);
    if (whole == NULL) give_up("malloc");
    buffers[0].BufferType = SECBUFFER_TOKEN;
    buffers[0].cbBuffer = sizes.cbSecurityTrailer;
    buffers[0].pvBuffer = whole;
    buffers[1].BufferType = SECBUFFER_DATA;
    buffers[1].cbBuffer = length;
    buffers[1].pvBuffer = memcpy(whole + sizes.cbSecurityTrailer, text, length);
    buffers[2].BufferType = SECBUFFER_PADDING;
    buffers[2].cbBuffer = sizes.cbBlockSize;
    buffers[2].pvBuffer = whole + sizes.cbSecurityTrailer + length;
    status = table->EncryptMessage(context, 0, &message, 0);
    if (status != SEC_E_OK) give_up_with("EncryptMessage", status);
    /* The token and the padding may be shorter than their buffers were. */
    for (i = 0; i < 3; i++) {
        memmove(whole + used, buffers[i].pvBuffer, buffers[i].cbBuffer);
        used += buffers[i].cbBuffer;
    }
    send_frame(socket, whole, used);
    free(whole);
}

/* Receives such a frame; the text has an end. */
static void receive_sealed(int socket, SecurityFunctionTableA *table, CtxtHandle *context, char *text, size_t room)
{
    static unsigned char whole[LARGEST_FRAME];
    SecBuffer buffers[2] = { { 0, SECBUFFER_STREAM, whole }, { 0, SECBUFFER_DATA, NULL } };
    SecBufferDesc message = { SECBUFFER_VERSION, 2, buffers };
    SECURITY_STATUS status;
    ULONG quality;
    buffers[0].cbBuffer = receive_frame(socket, whole);
    status = table->DecryptMessage(context, &message, 0, &quality);
    if (status != SEC_E_OK) give_up_with("DecryptMessage", status);
    if (quality == SECQOP_WRAP_NO_ENCRYPT || buffers[1].cbBuffer >= room) {
        fprintf(stderr, "that is not what was to come\n");
        exit(1);
    }
    memcpy(text, buffers[1].pvBuffer, buffers[1].cbBuffer);
    text[buffers[1].cbBuffer] = '\0';
}

#endif
