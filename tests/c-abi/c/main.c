/* c-abi LIBRARY matrix|few|exports|arguments|logins|onward|threads [N]|leave FILE|arrive FILE|refused FILE|interfaces:
 * loads the provider and looks at one side of it.
 *
 * The exit status is 0 only if nothing failed; the last line tells the counts. */
#include "abi.h"

/* Real clients call some slots without looking; only these two may be NULL, since no package has them. */
static void slots(const SecurityFunctionTableA *narrow, const SecurityFunctionTableW *broad)
{
    const size_t first = offsetof(SecurityFunctionTableA, EnumerateSecurityPackagesA);
    static const size_t reserved[] = {
        offsetof(SecurityFunctionTableA, Reserved2), offsetof(SecurityFunctionTableA, Reserved3), offsetof(SecurityFunctionTableA, Reserved4),
        offsetof(SecurityFunctionTableA, Reserved8), offsetof(SecurityFunctionTableA, CompleteAuthToken),
        offsetof(SecurityFunctionTableA, ApplyControlToken) };
    size_t at, n;
    for (at = first; at < sizeof *narrow; at += sizeof(void *)) {
        void *one, *other;
        int may_be_null = 0;
        memcpy(&one, (const char *)narrow + at, sizeof one);
        memcpy(&other, (const char *)broad + at, sizeof other);
        for (n = 0; n < sizeof reserved / sizeof reserved[0]; n++) may_be_null |= reserved[n] == at;
        CHECK(may_be_null || (one != NULL && other != NULL), "the slot at byte %u is NULL", (unsigned)at);
    }
}

static int interfaces(void)
{
    SecurityFunctionTableA *narrow = EXPORT(InitSecurityInterfaceA)();
    SecurityFunctionTableW *broad = EXPORT(InitSecurityInterfaceW)();
    CHECK(narrow != NULL && broad != NULL, "a table is missing");
    CHECK(narrow == EXPORT(InitSecurityInterfaceA)(), "each call gives another table");
    CHECK(broad->dwVersion >= SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5, "version %u has no Ex entries", (unsigned)broad->dwVersion);
    CHECK(narrow->dwVersion == broad->dwVersion, "the tables differ in their version");
    slots(narrow, broad);
    return 0;
}

int main(int count, char **words)
{
    if (count < 3) {
        fprintf(stderr, "usage: c-abi LIBRARY matrix|few|exports|arguments|logins|onward|threads [N]|leave|arrive|refused FILE|interfaces\n");
        return 2;
    }
    load(words[1]);
    if (strcmp(words[2], "matrix") == 0) run_matrix(0);
    else if (strcmp(words[2], "few") == 0) run_matrix(1);
    else if (strcmp(words[2], "exports") == 0) run_exports();
    else if (strcmp(words[2], "arguments") == 0) run_arguments();
    else if (strcmp(words[2], "logins") == 0) run_logins();
    else if (strcmp(words[2], "onward") == 0) run_onward();
    else if (strcmp(words[2], "threads") == 0) run_threads(count > 3 ? (unsigned)atoi(words[3]) : 1000);
    else if (strcmp(words[2], "leave") == 0 && count > 3) run_leave(words[3]);
    else if (strcmp(words[2], "arrive") == 0 && count > 3) run_arrive(words[3]);
    else if (strcmp(words[2], "refused") == 0 && count > 3) run_refused(words[3]);
    else if (strcmp(words[2], "interfaces") == 0) interfaces();
    else return 2;
    printf("checks: %u passed, %u failed\n", passed_checks, failed_checks);
    return failed_checks == 0 && passed_checks > 0 ? 0 : 1;
}
