/* c-abi LIBRARY matrix|few|exports|arguments|threads|interfaces: loads the provider and looks at one side of it.
 *
 * The exit status is 0 only if nothing failed; the last line tells the counts. */
#include "abi.h"

static int interfaces(void)
{
    SecurityFunctionTableA *narrow = EXPORT(InitSecurityInterfaceA)();
    SecurityFunctionTableW *broad = EXPORT(InitSecurityInterfaceW)();
    CHECK(narrow != NULL && broad != NULL, "a table is missing");
    CHECK(narrow == EXPORT(InitSecurityInterfaceA)(), "each call gives another table");
    CHECK(broad->dwVersion >= SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5, "version %u has no Ex entries", (unsigned)broad->dwVersion);
    CHECK(narrow->dwVersion == broad->dwVersion, "the tables differ in their version");
    return 0;
}

int main(int count, char **words)
{
    if (count < 3) {
        fprintf(stderr, "usage: c-abi LIBRARY matrix|few|exports|arguments|threads [N]|interfaces\n");
        return 2;
    }
    load(words[1]);
    if (strcmp(words[2], "matrix") == 0) run_matrix(0);
    else if (strcmp(words[2], "few") == 0) run_matrix(1);
    else if (strcmp(words[2], "exports") == 0) run_exports();
    else if (strcmp(words[2], "arguments") == 0) run_arguments();
    else if (strcmp(words[2], "threads") == 0) run_threads(count > 3 ? (unsigned)atoi(words[3]) : 1000);
    else if (strcmp(words[2], "interfaces") == 0) interfaces();
    else return 2;
    printf("checks: %u passed, %u failed\n", passed_checks, failed_checks);
    return failed_checks == 0 && passed_checks > 0 ? 0 : 1;
}
