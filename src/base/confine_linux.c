/* confine_linux.c - Landlock and seccomp, by the numbers of their interfaces: headers and C library
 * may be older than the kernel. (Documentation/userspace-api/landlock.rst, seccomp_filter.rst) */
#define _GNU_SOURCE // syscall, O_PATH, O_TMPFILE

#include "base/confine.h"
#include "base/confine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* ---- Landlock ---- */

/* The same on all machines but Alpha. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_REG = 1 << 8,
    MAKE_ALL = 0x7f << 6, /* devices, folders, files, sockets, pipes, links */
    REFER = 1 << 13,      /* from version 2 */
    TRUNCATE = 1 << 14,   /* from version 3 */
};
enum { BIND_TCP = 1 << 0, CONNECT_TCP = 1 << 1 };     /* from version 4 */
enum { ABSTRACT_SOCKETS = 1 << 0, SIGNALS = 1 << 1 }; /* from version 6 */

struct ruleset {
    uint64_t files, net, scoped;
};

struct path_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

static long version(void) {
    return syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
}

/* What is handled is refused where no rule allows it. */
static int create_ruleset(uint64_t files, bool is_alone) {
    const long v = version();
    if (v < 1)
        return -1;
    struct ruleset set = {.files = files};
    if (v < 2)
        set.files &= ~(uint64_t)REFER;
    if (v < 3)
        set.files &= ~(uint64_t)TRUNCATE;
    if (is_alone && v >= 4)
        set.net = BIND_TCP | CONNECT_TCP;
    if (is_alone && v >= 6)
        set.scoped = ABSTRACT_SOCKETS | SIGNALS;
    // a kernel refuses bytes that it does not know only if they are set
    return (int)syscall(CREATE_RULESET, &set, sizeof set, 0);
}

static bool restrict_self(int ruleset) {
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(RESTRICT_SELF, ruleset, 0) == 0;
}

/* False with errno set. A place that is not there needs no rule. */
static bool allow(int ruleset, const struct confine_place *place) {
    const int fd = open(place->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP;
    uint64_t allowed = WRITE_FILE | TRUNCATE;
    if (place->is_directory)
        allowed |= REMOVE_FILE | MAKE_REG;
    if (version() < 3)
        allowed &= ~(uint64_t)TRUNCATE;
    const struct path_rule rule = {allowed, fd};
    const bool ok = syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
    const int reason = errno;
    close(fd);
    errno = reason;
    return ok;
}

const char *confine_system_files(const struct confine_place *places, size_t n) {
    uint64_t handled = EXECUTE;
    if (places)
        handled |= WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_ALL | REFER | TRUNCATE;
    const int ruleset = create_ruleset(handled, true);
    if (ruleset < 0)
        return errno == EMFILE || errno == ENOMEM ? "no Landlock: out of descriptors or memory"
                                                  : "no Landlock in this kernel";
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = allow(ruleset, &places[i]);
    ok = ok && restrict_self(ruleset);
    close(ruleset);
    return ok ? NULL : "Landlock refused its rules";
}

void confine_system_child(void) {
    const int ruleset =
        create_ruleset(WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_ALL | REFER | TRUNCATE, false);
    if (ruleset < 0)
        return;
    // curl and its libraries open the null device for writing, at times
    (void)allow(ruleset, &(struct confine_place){.path = (char[]){"/dev/null"}});
    (void)restrict_self(ruleset);
    close(ruleset);
}

/* ---- seccomp ---- */

/* AUDIT_ARCH_*: 64 bits, little-endian, and the machine's number in ELF files. */
#if defined(__x86_64__)
#define OUR_ARCH 0xc000003eu
#elif defined(__AARCH64EL__)
#define OUR_ARCH 0xc00000b7u
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH 0xc00000f3u
#endif

#if defined(OUR_ARCH)

// clang-format off
/* Beyond these a call is answered with ENOSYS: C libraries then try another one. */
static const int always[] = {
    SYS_newfstatat, SYS_futex, SYS_read, SYS_write, SYS_munmap, SYS_madvise, SYS_sched_yield,
    SYS_clock_gettime, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev, SYS_lseek, SYS_brk,
    SYS_mremap, SYS_msync, SYS_close, SYS_fstat, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    SYS_fallocate, SYS_fadvise64, SYS_fcntl, SYS_flock, SYS_dup, SYS_dup3, SYS_pipe2,
    SYS_faccessat, SYS_readlinkat, SYS_statfs, SYS_fstatfs, SYS_getcwd, SYS_ppoll, SYS_pselect6,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_clock_getres,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getitimer, SYS_setitimer,
    SYS_times, SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_getrandom, SYS_getpid, SYS_getppid,
    SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpgid, SYS_getsid,
    SYS_set_tid_address, SYS_set_robust_list, SYS_sched_getaffinity, SYS_sched_getparam,
    SYS_sched_getscheduler, SYS_getpriority, SYS_getcpu, SYS_rt_sigaction, SYS_rt_sigprocmask,
    SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
    SYS_sigaltstack, SYS_restart_syscall, SYS_membarrier, SYS_exit, SYS_exit_group,
    SYS_getdents64
};

/* What older headers or other machines have not. */
static const int always_there[] = {
#if defined(__x86_64__)
    SYS_stat,   SYS_lstat,      SYS_access,  SYS_readlink, SYS_dup2,       SYS_pipe,  SYS_poll,
    SYS_select, SYS_epoll_wait, SYS_getpgrp, SYS_time,     SYS_arch_prctl, SYS_pause, SYS_alarm,
#endif
#if defined(SYS_statx)
    SYS_statx,
#endif
#if defined(SYS_rseq)
    SYS_rseq,
#endif
    439 /* faccessat2 */
};

static const int writing[] = {
#if defined(__x86_64__)
    SYS_rename,    SYS_unlink,   SYS_mkdir,
#endif
#if defined(SYS_renameat)
    SYS_renameat,
#endif
    SYS_renameat2, SYS_unlinkat, SYS_mkdirat, SYS_fchmod, SYS_fchown
};

static const int serving[] = {
    SYS_accept, SYS_accept4, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_shutdown,
    SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername, SYS_sendfile
};
// clang-format on

static const unsigned terminal[] = {TCGETS,    TCSETS,   TCSETSW, TCSETSF,   TIOCGWINSZ, TIOCGPGRP,
                                    TIOCSPGRP, FIONREAD, FIONBIO, 0x802c542a /* TCGETS2 */};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* An instruction of the filter, and what it is made of: classic BPF. */
struct instruction {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
struct program {
    unsigned short n;
    struct instruction *code;
};
enum { LOAD = 0x20, RETURN = 0x06, JUMP = 0x05, EQUAL = 0x15, LEAST = 0x35, ANY_SET = 0x45 };

/* Where struct seccomp_data has the number, the machine and the arguments. */
enum { NUMBER = 0, ARCH = 4, ARGUMENTS = 16 };

/* What the filter returns, and how it is set. */
#define RETURN_ALLOW 0x7fff0000u
#define RETURN_ERRNO 0x00050000u
#define RETURN_KILL  0x80000000u
enum { SET_FILTER = 1, ALL_THREADS = 1, LEAVE_SPECULATION = 4 };

/* Calls that are allowed by one of their arguments. */
enum rule {
    REFUSE,
    ALLOW,
    NO_CODE,
    THREADS_ONLY,
    OPEN,
    OPEN_AT,
    SELF,
    OWN_LIMITS,
    TERMINAL,
    NAMES
};

static const struct {
    int call;
    enum rule rule;
} by_argument[] = {
    {SYS_mmap, NO_CODE},
    {SYS_mprotect, NO_CODE},
    {SYS_clone, THREADS_ONLY},
    {SYS_openat, OPEN_AT},
    {SYS_kill, SELF},
    {SYS_tgkill, SELF},
    {SYS_prlimit64, OWN_LIMITS},
    {SYS_ioctl, TERMINAL},
    {SYS_prctl, NAMES},
#if defined(SYS_open)
    {SYS_open, OPEN},
#endif
};

#define MOST_CALLS 512 /* higher numbers are refused */

struct call_filter {
    unsigned keeps;
    unsigned char rules[MOST_CALLS]; /* enum rule of each number */
    struct instruction code[500];
    unsigned short n;
};

static void put(struct call_filter *f, unsigned code, unsigned k, unsigned jt, unsigned jf) {
    f->code[f->n++] = (struct instruction){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
}

static void allow_it(struct call_filter *f) {
    put(f, RETURN, RETURN_ALLOW, 0, 0);
}

static void refuse_it(struct call_filter *f, unsigned reason) {
    put(f, RETURN, RETURN_ERRNO | reason, 0, 0);
}

/* The lower half of an argument: what is asked of it has 32 bits. (All three are little-endian.) */
static void load_argument(struct call_filter *f, int i) {
    put(f, LOAD, ARGUMENTS + 8 * (unsigned)i, 0, 0);
}

/* Allowed if the argument is one of these. */
static void one_of(struct call_filter *f, int argument, const unsigned *values, size_t n,
                   unsigned reason) {
    load_argument(f, argument);
    for (size_t i = 0; i < n; i++)
        put(f, EQUAL, values[i], (unsigned)(n - i), 0);
    refuse_it(f, reason);
    allow_it(f);
}

/* Allowed if one of the bits is set, or none. */
static void bits(struct call_filter *f, int argument, unsigned mask, bool set) {
    load_argument(f, argument);
    put(f, ANY_SET, mask, set ? 1 : 0, set ? 0 : 1);
    refuse_it(f, EPERM);
    allow_it(f);
}

/* What is opened for writing or made is so where CONFINE_WRITES is kept (Landlock says which
 * files); what is read is a folder, which is synced, without CONFINE_READS. */
static void opening(struct call_filter *f, int argument) {
    load_argument(f, argument);
    put(f, ANY_SET, O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY),
        f->keeps & CONFINE_WRITES ? 2 : 1, 0);
    put(f, ANY_SET, O_DIRECTORY, 1, f->keeps & CONFINE_READS ? 1 : 0);
    refuse_it(f, EPERM);
    allow_it(f);
}

static void put_rule(struct call_filter *f, enum rule rule) {
    switch (rule) {
    case ALLOW:
        allow_it(f);
        break;
    case NO_CODE:
        bits(f, 2, PROT_EXEC, false);
        break;
    case THREADS_ONLY:
        bits(f, 0, CLONE_THREAD, true);
        break;
    case OPEN:
        opening(f, 1);
        break;
    case OPEN_AT:
        opening(f, 2);
        break;
    case SELF:
        one_of(f, 0, (const unsigned[]){(unsigned)getpid()}, 1, EPERM);
        break;
    case OWN_LIMITS:
        one_of(f, 0, (const unsigned[]){0}, 1, EPERM);
        break;
    case TERMINAL:
        one_of(f, 1, terminal, COUNT(terminal), ENOTTY);
        break;
    case NAMES: // which filter there is, and glibc's names of its memory
        one_of(f, 0, (const unsigned[]){PR_GET_SECCOMP, 0x53564d41}, 2, EINVAL);
        break;
    default:
        refuse_it(f, ENOSYS);
    }
}

static void set(struct call_filter *f, const int *calls, size_t n, enum rule rule) {
    for (size_t i = 0; i < n; i++)
        if (calls[i] < MOST_CALLS - 1) // the last stands for all above
            f->rules[calls[i]] = (unsigned char)rule;
}

/* A tree of comparisons: the kernel runs the filter once for every number there is, to remember
 * what is always allowed. starts[0..n): where the rule of the numbers changes. */
static void put_tree(struct call_filter *f, const unsigned short *starts, size_t n) {
    if (n == 1) {
        put_rule(f, (enum rule)f->rules[starts[0]]);
        return;
    }
    put(f, LEAST, starts[n / 2], 0, 1);
    const unsigned short jump = f->n;
    put(f, JUMP, 0, 0, 0);
    put_tree(f, starts, n / 2);
    f->code[jump].k = (unsigned)(f->n - jump - 1);
    put_tree(f, starts + n / 2, n - n / 2);
}

static void make_filter(struct call_filter *f, unsigned keeps) {
    *f = (struct call_filter){.keeps = keeps};
    set(f, always, COUNT(always), ALLOW);
    set(f, always_there, COUNT(always_there), ALLOW);
    set(f, writing, COUNT(writing), keeps & CONFINE_WRITES ? ALLOW : REFUSE);
    set(f, serving, COUNT(serving), keeps & CONFINE_SERVES ? ALLOW : REFUSE);
    for (size_t i = 0; i < COUNT(by_argument); i++)
        set(f, &by_argument[i].call, 1, by_argument[i].rule);
    put(f, LOAD, ARCH, 0, 0);
    put(f, EQUAL, OUR_ARCH, 1, 0);
    put(f, RETURN, RETURN_KILL, 0, 0);
    put(f, LOAD, NUMBER, 0, 0);
    unsigned short starts[MOST_CALLS] = {0};
    size_t n = 1;
    for (unsigned short call = 1; call < MOST_CALLS; call++)
        if (f->rules[call] != f->rules[call - 1])
            starts[n++] = call;
    put_tree(f, starts, n);
}

const char *confine_system_calls(unsigned keeps) {
    struct call_filter f;
    make_filter(&f, keeps);
    const struct program program = {f.n, f.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "no seccomp in this kernel";
    // Kernels before 5.16 make a process with a filter slower, unless it asks for speculation.
    long answer = syscall(SYS_seccomp, SET_FILTER, ALL_THREADS | LEAVE_SPECULATION, &program);
    if (answer < 0 && errno == EINVAL) // before 4.17
        answer = syscall(SYS_seccomp, SET_FILTER, ALL_THREADS, &program);
    if (answer > 0)
        return "a thread has a filter of its own";
    if (answer == 0)
        return NULL;
    return errno == ENOMEM ? "no seccomp: out of memory" : "no seccomp in this kernel";
}

#else

const char *confine_system_calls(unsigned keeps) {
    return "no filter of calls for this processor";
}

#endif
