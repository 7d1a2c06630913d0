/* os_bsd.c - what is asked of FreeBSD, OpenBSD and their kin: processors, the program's path. */
#define __BSD_VISIBLE 1 // sysctl, _SC_NPROCESSORS_ONLN

#include "base/error_internal.h"
#include "base/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__aarch64__) && defined(__FreeBSD__)
#include <sys/auxv.h>
#endif

int os_processors(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (int)cpus : 1;
}

int os_cpus(void) {
    return os_processors();
}

uint64_t os_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

/* The system does not tell. */
bool os_allow_tiles(void) {
    return false;
}

size_t os_huge_bytes(const void *memory, size_t n_bytes) {
    return 0;
}

void os_cpu_name(char *name, size_t cap) {
    char value[256]; // the system refuses a buffer that is too small
    size_t size = sizeof value;
    int model[] = {CTL_HW, HW_MODEL};
    bool known = sysctl(model, 2, value, &size, NULL, 0) == 0;
    snprintf(name, cap, "%.255s", known ? value : "unknown");
}

unsigned os_arm_features(void) {
#if defined(__aarch64__) && defined(__FreeBSD__)
    unsigned long cap = 0, cap2 = 0;
    elf_aux_info(AT_HWCAP, &cap, sizeof cap);
    elf_aux_info(AT_HWCAP2, &cap2, sizeof cap2);
    return (cap & HWCAP_ASIMDDP ? OS_ARM_DOTPROD : 0) | (cap2 & HWCAP2_I8MM ? OS_ARM_I8MM : 0);
#else
    return 0;
#endif
}

bool os_random(void *bytes, size_t n) {
    return getentropy(bytes, n) == 0;
}

/* OpenBSD does not tell. */
bool os_program_path(char *path, size_t cap, struct gpt2_error *err) {
    path[0] = 0;
#if defined(KERN_PROC_PATHNAME)
    int program[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
    if (sysctl(program, 4, path, &cap, NULL, 0) != 0) {
        path[0] = 0;
        return !error_is_of_system(errno) ||
               error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look for the program's path");
    }
#else
    (void)cap;
    (void)err;
#endif
    return true;
}

/* The system has no such signal that survives an exec. */
void os_end_with_parent(void) {}
