#include "session.h"
int run_arguments(void) { return 0; }
