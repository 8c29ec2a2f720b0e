/* Libraries, threads and the environment, on POSIX systems and on Windows; checks and strings. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <pthread.h>
#endif
#include "abi.h"

#include <stdarg.h>

unsigned passed_checks, failed_checks;

#ifdef _WIN32

static HMODULE library;
static CRITICAL_SECTION one_at_a_time;

void load(const char *path)
{
    InitializeCriticalSection(&one_at_a_time);
    library = LoadLibraryA(path);
    if (library == NULL) {
        fprintf(stderr, "%s cannot be loaded: error %lu\n", path, GetLastError());
        exit(3);
    }
}
void *look(const char *name) { return (void *)(uintptr_t)GetProcAddress(library, name); }

static DWORD WINAPI begin(void *self)
{
    ((worker *)self)->work(((worker *)self)->argument);
    return 0;
}
static void start(worker *self) { self->native = (uintptr_t)CreateThread(NULL, 0, begin, self, 0, NULL); }
void join(worker *self)
{
    WaitForSingleObject((HANDLE)self->native, INFINITE);
    CloseHandle((HANDLE)self->native);
}
void set_environment(const char *name, const char *value) { SetEnvironmentVariableA(name, value); }
static void enter(void) { EnterCriticalSection(&one_at_a_time); }
static void leave(void) { LeaveCriticalSection(&one_at_a_time); }

#else

static void *library;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void load(const char *path)
{
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(3);
    }
}
void *look(const char *name) { return dlsym(library, name); }

static void *begin(void *self)
{
    ((worker *)self)->work(((worker *)self)->argument);
    return NULL;
}
static void start(worker *self)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, begin, self) != 0) {
        fprintf(stderr, "no thread can be made\n");
        exit(3);
    }
    self->native = (uintptr_t)thread;
}
void join(worker *self) { pthread_join((pthread_t)self->native, NULL); }
void set_environment(const char *name, const char *value) { setenv(name, value, 1); }
static void enter(void) { pthread_mutex_lock(&one_at_a_time); }
static void leave(void) { pthread_mutex_unlock(&one_at_a_time); }

#endif

void *find(const char *name)
{
    void *address = look(name);
    if (address == NULL) {
        fprintf(stderr, "the library does not export %s\n", name);
        exit(3);
    }
    return address;
}

void spawn(worker *self, void (*work)(void *), void *argument)
{
    self->work = work;
    self->argument = argument;
    start(self);
}

int check_that(int holds, const char *file, int line, const char *format, ...)
{
    enter();
    if (holds) {
        passed_checks++;
    } else {
        va_list rest;
        failed_checks++;
        printf("%s:%d: ", file, line);
        va_start(rest, format);
        vprintf(format, rest);
        va_end(rest);
        printf("\n");
        fflush(stdout);
    }
    leave();
    return holds;
}

static const struct { const char *name; uint32_t value; } names[] = {
#define NAME(status) { #status, (uint32_t)status }
    NAME(SEC_E_OK), NAME(SEC_I_CONTINUE_NEEDED), NAME(SEC_I_COMPLETE_NEEDED), NAME(SEC_E_INSUFFICIENT_MEMORY),
    NAME(SEC_E_INVALID_HANDLE), NAME(SEC_E_UNSUPPORTED_FUNCTION), NAME(SEC_E_TARGET_UNKNOWN), NAME(SEC_E_INTERNAL_ERROR),
    NAME(SEC_E_SECPKG_NOT_FOUND), NAME(SEC_E_NOT_OWNER), NAME(SEC_E_CANNOT_INSTALL), NAME(SEC_E_INVALID_TOKEN),
    NAME(SEC_E_CANNOT_PACK), NAME(SEC_E_QOP_NOT_SUPPORTED), NAME(SEC_E_NO_IMPERSONATION), NAME(SEC_E_LOGON_DENIED),
    NAME(SEC_E_UNKNOWN_CREDENTIALS), NAME(SEC_E_NO_CREDENTIALS), NAME(SEC_E_MESSAGE_ALTERED), NAME(SEC_E_OUT_OF_SEQUENCE),
    NAME(SEC_E_NO_AUTHENTICATING_AUTHORITY), NAME(SEC_E_CONTEXT_EXPIRED), NAME(SEC_E_INCOMPLETE_MESSAGE),
    NAME(SEC_E_BUFFER_TOO_SMALL), NAME(SEC_E_WRONG_PRINCIPAL), NAME(SEC_E_TIME_SKEW), NAME(SEC_E_ENCRYPT_FAILURE),
    NAME(SEC_E_DECRYPT_FAILURE), NAME(SEC_E_BAD_BINDINGS), NAME(SEC_E_NO_KERB_KEY), NAME(SEC_E_DOWNGRADE_DETECTED),
    NAME(SEC_E_INVALID_PARAMETER), NAME(SEC_E_WRONG_CREDENTIAL_HANDLE), NAME(SEC_E_UNSUPPORTED_PREAUTH),
#ifdef SEC_E_NO_CONTEXT
    NAME(SEC_E_NO_CONTEXT), NAME(SEC_E_MUTUAL_AUTH_FAILED),
#endif
};

const char *status_name(uint32_t status)
{
    static char others[8][24];
    static unsigned turn;
    char *text;
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].value == status) return names[i].name;
    text = others[turn++ % 8];
    snprintf(text, sizeof others[0], "0x%08X", (unsigned)status);
    return text;
}

int check_status(uint32_t got, uint32_t wanted, const char *file, int line, const char *what)
{
    return check_that(got == wanted, file, line, "%s: %s, not %s", what, status_name(got), status_name(wanted));
}

SEC_WCHAR *wide(const char *narrow)
{
    static _Thread_local SEC_WCHAR texts[8][256];
    static _Thread_local unsigned turn;
    SEC_WCHAR *text;
    size_t i;
    if (narrow == NULL) return NULL;
    text = texts[turn++ % 8];
    for (i = 0; narrow[i] != '\0' && i < 255; i++) text[i] = (SEC_WCHAR)(unsigned char)narrow[i];
    text[i] = 0;
    return text;
}

size_t wide_length(const SEC_WCHAR *text)
{
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

int wide_is(const SEC_WCHAR *text, const char *narrow)
{
    size_t i;
    if (text == NULL) return narrow == NULL;
    for (i = 0; text[i] != 0; i++)
        if (narrow[i] == '\0' || text[i] != (SEC_WCHAR)(unsigned char)narrow[i]) return 0;
    return narrow[i] == '\0';
}
