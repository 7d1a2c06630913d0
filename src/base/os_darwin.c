/* os_darwin.c - what is asked of macOS only: processors, pages, the program's path. */
#define _DARWIN_C_SOURCE // sysctl, _SC_NPROCESSORS_ONLN

#include "base/error_internal.h"
#include "base/os.h"

#include <errno.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysctl.h>
#include <unistd.h>

/* There are no affinity masks and no quotas. */
int os_processors(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (int)cpus : 1;
}

int os_cpus(void) {
    return os_processors();
}

uint64_t os_memory(void) {
    uint64_t n = 0;
    size_t size = sizeof n;
    return sysctlbyname("hw.memsize", &n, &size, NULL, 0) == 0 ? n : 0;
}

/* Anonymous memory is on 16 KiB pages, whatever is asked for. */
bool os_allow_tiles(void) {
    return false;
}

bool os_random(void *bytes, size_t n) {
    return getentropy(bytes, n) == 0;
}

size_t os_huge_bytes(const void *memory, size_t n_bytes) {
    return 0;
}

void os_cpu_name(char *name, size_t cap) {
    char value[256]; // the system refuses a buffer that is too small
    size_t size = sizeof value;
    bool known = sysctlbyname("machdep.cpu.brand_string", value, &size, NULL, 0) == 0;
    snprintf(name, cap, "%.255s", known ? value : "unknown");
}

static bool has(const char *feature) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(feature, &value, &size, NULL, 0) == 0 && value;
}

unsigned os_arm_features(void) {
    return (has("hw.optional.arm.FEAT_DotProd") ? OS_ARM_DOTPROD : 0) |
           (has("hw.optional.arm.FEAT_I8MM") ? OS_ARM_I8MM : 0);
}

/* The path that the program was started with may be a link, and is then followed. */
bool os_program_path(char *path, size_t cap, struct gpt2_error *err) {
    uint32_t size = (uint32_t)cap;
    errno = 0;
    char *real = _NSGetExecutablePath(path, &size) == 0 ? realpath(path, NULL) : NULL;
    if (!real && error_is_of_system(errno))
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look at the program");
    snprintf(path, cap, "%s", real ? real : "");
    free(real);
    return true;
}

/* The system has no such signal. */
void os_end_with_parent(void) {}
