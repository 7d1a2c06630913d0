/* test_confine.c - what a process has given up is refused in every thread, and the rest still
 * works. */
#define _DEFAULT_SOURCE  // MAP_ANONYMOUS: glibc, musl
#define _DARWIN_C_SOURCE // macOS
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/confine.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/pool.h"
#include "testmodel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum {
    READS = 1,
    WRITES_HERE = 2,
    WRITES_THERE = 4,
    REMOVES_THERE = 8,
    SOCKETS = 16,
    FORKS = 32,
    PROGRAMS = 64,
    CODE = 128,
    SIGNALS = 256,
};

static char dir[TESTMODEL_PATH], here[TESTMODEL_PATH + 40],
    there[TESTMODEL_PATH + 40]; /* files in two folders */

static bool can_open(const char *path, int flags) {
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool can_fork(void) {
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0 && waitpid(child, NULL, 0) == child;
}

/* What this thread can do. */
static int can(void) {
    int able = can_open("/proc/self/status", O_RDONLY) ? READS : 0;
    char other[sizeof there + 4];
    snprintf(other, sizeof other, "%s.new", there);
    able |= can_open(here, O_WRONLY | O_CREAT) ? WRITES_HERE : 0;
    able |= can_open(there, O_WRONLY) ? WRITES_THERE : 0;
    able |= rename(there, other) == 0 && rename(other, there) == 0 ? REMOVES_THERE : 0;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    able |= fd >= 0 ? SOCKETS : 0;
    if (fd >= 0)
        close(fd);
    able |= can_fork() ? FORKS : 0;
    execve(there, (char *[]){other, NULL}, (char *[]){NULL}); // its one byte is no program
    able |= errno == ENOEXEC ? PROGRAMS : 0;
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    able |= code != MAP_FAILED ? CODE : 0;
    able |= kill(getppid(), 0) == 0 ? SIGNALS : 0;
    return able;
}

static atomic_int able_threads;

static void try_in_thread(void *arg, int i, int worker) {
    atomic_fetch_or(&able_threads, can());
    nanosleep(&(struct timespec){0, 20000000}, NULL); // so that every thread has one
}

/* A child gives up what is asked; what it can do then is sent back. */
struct answer {
    int main, threads;
    bool files, calls; /* what the system has */
    bool file_written, thread_started;
};

enum step { NOTHING, FILES, PROGRAMS_ONLY };

static void *nothing(void *arg) {
    return arg;
}

static void child(int result, enum step step, bool calls, unsigned keeps) {
    struct answer a = {0};
    const char *const outputs[] = {here, NULL, "-"};
    if (step == FILES)
        confine_files(outputs, 3);
    if (step == PROGRAMS_ONLY)
        confine_programs();
    struct pool *pool = pool_create(4, NULL);
    if (calls)
        confine_calls(keeps);
    const char *state = confine_state();
    a.files = strncmp(state, "files", 5) == 0;
    a.calls = strncmp(state, "calls", 5) == 0 || strncmp(state, "files, calls", 12) == 0;
    a.main = can();
    pool_run(pool, 8, try_in_thread, NULL);
    a.threads = atomic_load(&able_threads);
    struct outfile out;
    a.file_written = outfile_create(&out, here, NULL) && outfile_write(&out, "x", 1, NULL) &&
                     outfile_commit(&out, NULL);
    pthread_t thread;
    a.thread_started = os_thread(&thread, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
    pool_free(pool);
    _exit(write(result, &a, sizeof a) == sizeof a ? 0 : 1);
}

static struct answer ask(enum step step, bool calls, unsigned keeps) {
    int ends[2], status;
    struct answer a = {0};
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(ends[1], step, calls, keeps);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(ends[0], &a, sizeof a), sizeof a);
    close(ends[0]);
    close(ends[1]);
    assert_true(a.thread_started);
    return a;
}

#define ALL                                                                                   \
    (READS | WRITES_HERE | WRITES_THERE | REMOVES_THERE | SOCKETS | FORKS | PROGRAMS | CODE | \
     SIGNALS)

static void nothing_is_given_up_unasked(void **state) {
    const struct answer a = ask(NOTHING, false, 0);
    assert_int_equal(a.main, ALL);
    assert_int_equal(a.threads, ALL);
    assert_true(a.file_written);
}

static void files_are_written_in_the_folder_of_the_output_only(void **state) {
    const struct answer a = ask(FILES, false, 0);
    if (!a.files)
        skip();
    assert_int_equal(a.main & ~SIGNALS, READS | WRITES_HERE | SOCKETS | FORKS | CODE);
    assert_int_equal(a.threads, a.main);
    assert_true(a.file_written);
}

static void no_program_is_started_where_files_are_free(void **state) {
    const struct answer a = ask(PROGRAMS_ONLY, false, 0);
    if (!a.files)
        skip();
    assert_int_equal(a.main & ~SIGNALS, ALL & ~PROGRAMS & ~SIGNALS);
    assert_int_equal(a.threads, a.main);
}

static void calls_are_given_up_by_threads_that_run(void **state) {
    struct answer a = ask(NOTHING, true, 0);
    if (!a.calls)
        skip();
    assert_int_equal(a.main, 0);
    assert_int_equal(a.threads, 0);
    assert_false(a.file_written);
    a = ask(NOTHING, true, CONFINE_READS);
    assert_int_equal(a.main, READS);
    assert_int_equal(a.threads, READS);
    assert_false(a.file_written);
    a = ask(NOTHING, true, CONFINE_SERVES);
    assert_int_equal(a.main | a.threads, 0);
}

static void both_leave_the_output_alone(void **state) {
    const struct answer a = ask(FILES, true, CONFINE_WRITES);
    if (!a.files || !a.calls)
        skip();
    assert_int_equal(a.main, WRITES_HERE);
    assert_int_equal(a.threads, WRITES_HERE);
    assert_true(a.file_written);
}

static int setup(void **state) {
    char folder[TESTMODEL_PATH + 8];
    testmodel_tempdir(dir);
    for (const char *name = "ab"; *name; name++) {
        snprintf(folder, sizeof folder, "%s/%c", dir, *name);
        if (mkdir(folder, 0700) != 0)
            return -1;
    }
    snprintf(here, sizeof here, "%s/a/file", dir);
    snprintf(there, sizeof there, "%s/b/file", dir);
    const int fd = open(there, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    const bool ok = fd >= 0 && write(fd, "x", 1) == 1;
    return fd >= 0 && close(fd) == 0 && ok ? 0 : -1;
}

static int teardown(void **state) {
    char folder[TESTMODEL_PATH + 8];
    unlink(here);
    unlink(there);
    for (const char *name = "ab"; *name; name++) {
        snprintf(folder, sizeof folder, "%s/%c", dir, *name);
        rmdir(folder);
    }
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_given_up_unasked),
        cmocka_unit_test(files_are_written_in_the_folder_of_the_output_only),
        cmocka_unit_test(no_program_is_started_where_files_are_free),
        cmocka_unit_test(calls_are_given_up_by_threads_that_run),
        cmocka_unit_test(both_leave_the_output_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
