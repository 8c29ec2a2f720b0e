/* What the C programs of the tests share: the provider, found by name, and the little that differs between systems. */
#ifndef TRIHOUND_TESTS_ABI_H
#define TRIHOUND_TESTS_ABI_H

#include "trihound_sspi.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The address of an exported name; the program ends if there is none. */
void *find(const char *name);
/* The same, but NULL if there is none. */
void *look(const char *name);
void load(const char *path);

/* An exported function, by the name and the type that the header has for it. */
#define EXPORT(name) ((__typeof__(name) *)find(#name))

/* Counts of the program; a failure is printed with its place. */
extern unsigned passed_checks, failed_checks;
int check_that(int holds, const char *file, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));
#define CHECK(holds, ...) check_that((holds) != 0, __FILE__, __LINE__, __VA_ARGS__)
/* That a call gave just this status. */
#define CHECK_STATUS(got, wanted, what) check_status((uint32_t)(got), (uint32_t)(wanted), __FILE__, __LINE__, what)
int check_status(uint32_t got, uint32_t wanted, const char *file, int line, const char *what);
/* A status by its name in winerror.h. */
const char *status_name(uint32_t status);

/* A narrow string of ASCII as UTF-16, in one of a few buffers that are used again in turn: for arguments of a call. */
SEC_WCHAR *wide(const char *narrow);
int wide_is(const SEC_WCHAR *wide, const char *narrow);
size_t wide_length(const SEC_WCHAR *wide);

/* One thread: `work(argument)`; join waits for it. */
typedef struct worker {
    void (*work)(void *);
    void *argument;
    uintptr_t native;
} worker;
void spawn(worker *self, void (*work)(void *), void *argument);
void join(worker *self);
void set_environment(const char *name, const char *value);

/* The parts of the program. */
int run_matrix(int few);
int run_exports(void);
int run_arguments(void);
int run_logins(void);
int run_onward(void);
int run_threads(unsigned contexts);
int run_leave(const char *file);
int run_arrive(const char *file);
int run_refused(const char *file);

#endif
