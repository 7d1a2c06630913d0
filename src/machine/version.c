/* version.c - the version that the library was built as. */
#include <gpt2/version.h>

const char *gpt2_version(void) {
    return GPT2_VERSION;
}
