/* hole.c - a library to preload (LD_PRELOAD): a hole, as one in a parser would be. When the program
 * first writes a result after calls were given up, the hole tries what the program has no need of
 * and notes what came of it.
 *
 *     HOLE_LOG=FILE       a line `TRY done` or `TRY refused` for each
 *     HOLE_EARLY=1        it does not wait until calls were given up
 *     HOLE_OUTSIDE=DIR    a folder that is not the output's, with a file `victim`
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int note_fd = -1;
static char outside[1000];
static bool early;
static atomic_bool tried;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("HOLE_LOG"), *folder = getenv("HOLE_OUTSIDE");
    const int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || !folder || (note_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200)) < 0)
        _exit(98);
    close(fd);
    snprintf(outside, sizeof outside, "%s", folder);
    early = getenv("HOLE_EARLY") != NULL;
    unsetenv("LD_PRELOAD");
}

static ssize_t plain_write(int fd, const void *bytes, size_t n) {
    return syscall(SYS_write, fd, bytes, n);
}

static void note(const char *try, bool done) {
    char line[80];
    const int n = snprintf(line, sizeof line, "%s %s\n", try, done ? "done" : "refused");
    if (plain_write(note_fd, line, (size_t)n) != n)
        _exit(99);
}

static bool opens(const char *name, int flags) {
    char path[1100];
    snprintf(path, sizeof path, "%s/%s", outside, name);
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool connects(int family, int type) {
    const int fd = socket(family, type, 0);
    if (fd < 0)
        return false;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool allowed = connect(fd, (struct sockaddr *)&there, sizeof there) == 0 ||
                         errno == ECONNREFUSED || errno == EAFNOSUPPORT || errno == EINVAL;
    close(fd);
    return allowed;
}

static bool forks(void) {
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return child > 0;
}

/* A program that is not there: the kernel says so only where programs may be started. */
static bool starts(void) {
    char *const argv[] = {(char[]){"none"}, NULL};
    execve("/nonexistent/program", argv, (char *[]){NULL});
    return errno == ENOENT;
}

static void try_all(void) {
    char victim[1100], moved[1100];
    snprintf(victim, sizeof victim, "%s/victim", outside);
    snprintf(moved, sizeof moved, "%s/moved", outside);
    note("read", opens("victim", O_RDONLY));
    note("write", opens("victim", O_WRONLY));
    note("create", opens("made", O_WRONLY | O_CREAT));
    note("rename", rename(victim, moved) == 0 && rename(moved, victim) == 0);
    note("link", symlink("/", moved) == 0 && unlink(moved) == 0);
    note("remove", unlink(victim) == 0);
    note("connect", connects(AF_INET, SOCK_STREAM));
    note("datagram", connects(AF_INET, SOCK_DGRAM));
    note("local", connects(AF_UNIX, SOCK_STREAM));
    note("fork", forks());
    note("exec", starts());
    note("signal", kill(getppid(), 0) == 0);
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    note("code", code != MAP_FAILED);
}

/* 2: there is a filter of calls. */
static void try_once(void) {
    if ((early || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2) && !atomic_exchange(&tried, true))
        try_all();
}

ssize_t write(int fd, const void *bytes, size_t n) {
    if (fd != STDERR_FILENO && fd != note_fd)
        try_once();
    return plain_write(fd, bytes, n);
}

/* What an HTTP server answers with. */
ssize_t send(int fd, const void *bytes, size_t n, int flags) {
    try_once();
    return ((__typeof__(&send))dlsym(RTLD_NEXT, "send"))(fd, bytes, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    try_once();
    return ((__typeof__(&sendmsg))dlsym(RTLD_NEXT, "sendmsg"))(fd, message, flags);
}
