/* os_linux.c - what is asked of Linux only: processors, pages, the program's path. */
#define _GNU_SOURCE // sched_getaffinity

#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* Reads a small text file of the kernel; false if it is not there. Takes no memory: what runs out
 * of it would be another number of threads, without a word. */
static bool read_text(char *text, size_t cap, const char *path) {
    int file;
    do
        file = open(path, O_RDONLY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    if (file < 0)
        return false;
    size_t len = 0;
    ssize_t n;
    while ((n = read(file, text + len, cap - 1 - len)) > 0 || (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    text[len] = 0;
    close(file);
    return len > 0;
}

/* The CPU quota of one cgroup folder in processors (1 to 65536), or 0 for none. */
static double folder_quota(const char *folder) {
    char path[1200], text[128];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder); // v2: "max 100000" or "150000 100000"
    if (read_text(text, sizeof text, path)) {
        if (sscanf(text, "%lf %lf", &quota, &period) != 2)
            return 0;
    } else { // v1: -1 is no quota
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_text(text, sizeof text, path) || sscanf(text, "%lf", &quota) != 1)
            return 0;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_text(text, sizeof text, path) || sscanf(text, "%lf", &period) != 1)
            return 0;
    }
    if (!(quota > 0 && period > 0))
        return 0;
    double cpus = quota / period;
    return cpus < 1 ? 1 : cpus > 65536 ? 65536 : cpus;
}

/* The limit of memory of one cgroup folder, or 0 for none. */
static double folder_memory(const char *folder) {
    char path[1200], text[128];
    double limit = 0;
    snprintf(path, sizeof path, "%s/memory.max", folder); // v2: a number or "max"
    if (!read_text(text, sizeof text, path)) {
        snprintf(path, sizeof path, "%s/memory.limit_in_bytes", folder); // v1
        if (!read_text(text, sizeof text, path))
            return 0;
    }
    return sscanf(text, "%lf", &limit) == 1 && limit > 0 ? limit : 0;
}

/* The least of a limit on the way from this process's cgroup up to the root, 0 for none. Inside a
 * container the folder named in /proc/self/cgroup may not exist: the root then holds the limit. */
static double cgroup_least(const char *controller, double (*limit_of)(const char *folder)) {
    char text[4096], wanted[32];
    if (!read_text(text, sizeof text, "/proc/self/cgroup"))
        return 0;
    snprintf(wanted, sizeof wanted, ",%s,", controller);
    double least = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *controllers = strchr(line, ':'); // "4:cpu,cpuacct:/a/b", v2 "0::/a/b"
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        controllers++;
        bool v2 = *controllers == 0;
        char list[256]; // ",cpu,cpuacct,": so that cpuset is not taken for cpu
        snprintf(list, sizeof list, ",%s,", controllers);
        if (!v2 && !strstr(list, wanted))
            continue;
        for (size_t len = strlen(path);; len--) {
            if (path[len] == '/' || path[len] == 0) {
                char folder[1100];
                snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s%.*s", v2 ? "" : "/",
                         v2 ? "" : controller, (int)(len < 1000 ? len : 1000), path);
                const double limit = limit_of(folder);
                if (limit > 0 && (least == 0 || limit < least))
                    least = limit;
            }
            if (len == 0)
                break;
        }
    }
    return least;
}

uint64_t os_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    const double machine = pages > 0 && size > 0 ? (double)pages * (double)size : 0;
    const double limit = cgroup_least("memory", folder_memory);
    return (uint64_t)(limit > 0 && (machine == 0 || limit < machine) ? limit : machine);
}

int os_processors(void) {
    /* One cpu_set_t is for 1024; a kernel has 8192 at most today, and refuses less than it has. */
    cpu_set_t sets[64];
    const int count =
        sched_getaffinity(0, sizeof sets, sets) == 0 ? CPU_COUNT_S(sizeof sets, sets) : 0;
    return count > 0 ? count : 1;
}

bool os_allow_tiles(void) {
#if defined(__x86_64__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

size_t os_huge_bytes(const void *memory, size_t n_bytes) {
    FILE *file = fopen("/proc/self/smaps", "re");
    if (!file)
        return 0;
    char line[512];
    size_t total = 0;
    bool inside = false;
    while (fgets(line, sizeof line, file)) {
        uintptr_t begin, end;
        size_t kib;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            inside = begin < (uintptr_t)memory + n_bytes && end > (uintptr_t)memory;
        else if (inside && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
            total += kib * 1024;
    }
    fclose(file);
    return total < n_bytes ? total : n_bytes; // a mapping may hold more than this memory
}

int os_cpus(void) {
    int cpus = os_processors();
    int quota = (int)cgroup_least("cpu", folder_quota);
    return quota && quota < cpus ? quota : cpus;
}

/* x86 kernels give the name in "model name", some others in "Model" or "Hardware". */
void os_cpu_name(char *name, size_t cap) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512], value[256] = "unknown";
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "model name : %255[^\n]", value) == 1 ||
            sscanf(line, "Model : %255[^\n]", value) == 1 ||
            sscanf(line, "Hardware : %255[^\n]", value) == 1)
            break;
    }
    if (file)
        fclose(file);
    snprintf(name, cap, "%s", value);
}

unsigned os_arm_features(void) {
#if defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? OS_ARM_DOTPROD : 0) |
           (getauxval(AT_HWCAP2) & HWCAP2_I8MM ? OS_ARM_I8MM : 0);
#else
    return 0;
#endif
}

void os_program_path(char *path, size_t cap) {
    ssize_t len = readlink("/proc/self/exe", path, cap - 1);
    path[len > 0 ? len : 0] = 0;
}

bool os_random(void *bytes, size_t n) {
    return getentropy(bytes, n) == 0;
}

void os_end_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}
