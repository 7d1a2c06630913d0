/* os_linux.c - what is asked of Linux only: processors, pages, the program's path. */
#define _GNU_SOURCE // sched_getaffinity

#include "base/error_internal.h"
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

/* A text file of the kernel, read by pieces. It takes no memory, as a stream of the C library does:
 * what would run out is the number of threads or the machine's name, without a word. */
struct kernel_file {
    int file;
    size_t at, len; /* of the piece: what was returned, what is there */
    char piece[4096];
};

static bool kernel_open(struct kernel_file *f, const char *path) {
    f->at = f->len = 0;
    do
        f->file = open(path, O_RDONLY | O_CLOEXEC);
    while (f->file < 0 && errno == EINTR);
    return f->file >= 0;
}

/* The next line without its end, cut to cap - 1 bytes; false at the end of the file. */
static bool kernel_line(struct kernel_file *f, char *line, size_t cap) {
    for (size_t n = 0;;) {
        if (f->at == f->len) {
            ssize_t got;
            do
                got = read(f->file, f->piece, sizeof f->piece);
            while (got < 0 && errno == EINTR);
            f->at = 0;
            f->len = got > 0 ? (size_t)got : 0;
            if (!f->len) {
                line[n] = 0;
                return n > 0;
            }
        }
        const char byte = f->piece[f->at++];
        if (byte == '\n') {
            line[n] = 0;
            return true;
        }
        if (n < cap - 1)
            line[n++] = byte;
    }
}

/* The first line of a small file; false if it is not there. */
static bool read_text(char *text, size_t cap, const char *path) {
    struct kernel_file f;
    if (!kernel_open(&f, path))
        return false;
    const bool ok = kernel_line(&f, text, cap);
    close(f.file);
    return ok;
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
    char line[1200], wanted[32];
    struct kernel_file cgroups;
    if (!kernel_open(&cgroups, "/proc/self/cgroup"))
        return 0;
    snprintf(wanted, sizeof wanted, ",%s,", controller);
    double least = 0;
    while (kernel_line(&cgroups, line, sizeof line)) {
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
    close(cgroups.file);
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
    struct kernel_file maps;
    if (!kernel_open(&maps, "/proc/self/smaps"))
        return 0;
    char line[512];
    size_t total = 0;
    bool inside = false;
    while (kernel_line(&maps, line, sizeof line)) {
        uintptr_t begin, end;
        size_t kib;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            inside = begin < (uintptr_t)memory + n_bytes && end > (uintptr_t)memory;
        else if (inside && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
            total += kib * 1024;
    }
    close(maps.file);
    return total < n_bytes ? total : n_bytes; // a mapping may hold more than this memory
}

int os_cpus(void) {
    int cpus = os_processors();
    int quota = (int)cgroup_least("cpu", folder_quota);
    return quota && quota < cpus ? quota : cpus;
}

/* x86 kernels give the name in "model name", some others in "Model" or "Hardware". */
void os_cpu_name(char *name, size_t cap) {
    struct kernel_file info;
    char line[512], value[256] = "unknown";
    bool known = false;
    if (kernel_open(&info, "/proc/cpuinfo")) {
        while (!known && kernel_line(&info, line, sizeof line))
            known = sscanf(line, "model name : %255[^\n]", value) == 1 ||
                    sscanf(line, "Model : %255[^\n]", value) == 1 ||
                    sscanf(line, "Hardware : %255[^\n]", value) == 1;
        close(info.file);
    }
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

bool os_program_path(char *path, size_t cap, struct gpt2_error *err) {
    ssize_t len = readlink("/proc/self/exe", path, cap - 1);
    path[len > 0 ? len : 0] = 0;
    return len >= 0 || !error_is_of_system(errno) ||
           error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look at /proc/self/exe");
}

bool os_random(void *bytes, size_t n) {
    return getentropy(bytes, n) == 0;
}

void os_end_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}
