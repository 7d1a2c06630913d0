/* fatal.c - removes temporary files when a signal ends the program, and explains SIGBUS. */
#include "cli/io/fatal.h"
#include "base/escape.h"
#include "base/os.h"
#include "base/outfile.h"
#include "cli/io/report.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the first thread needs, with its arguments and environment (tests/cli/fatal.sh tries it). */
#define STACK_NEEDED ((rlim_t)128 << 10)
#define STACK_WANTED ((rlim_t)1 << 20)

/* Only what POSIX lets a handler call, and snprintf of numbers. */
static void say(const char *text, size_t n) {
    while (n > 0) {
        const ssize_t wrote = write(STDERR_FILENO, text, n);
        if (wrote <= 0)
            return;
        text += wrote;
        n -= (size_t)wrote;
    }
}

void fatal_end(int number) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t only;
    sigemptyset(&action.sa_mask);
    sigemptyset(&only);
    sigaddset(&only, number);
    outfile_remove_unfinished();
    sigaction(number, &action, NULL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &only, NULL); // it comes now
}

static void bus_error(int number, siginfo_t *info, void *context) {
    static atomic_flag is_said = ATOMIC_FLAG_INIT;
    size_t size = 0;
    const char *path = info ? os_mapped_at(info->si_addr, &size) : NULL;
    struct stat now;
    char form[ESCAPE_BYTES], text[200];
    if (!path) {
        fatal_end(number);
        return;
    }
    while (atomic_flag_test_and_set(&is_said))
        pause(); // another thread that reads the file says it, and ends the program
    outfile_remove_unfinished();
    say("gpt2: error: ", 13);
    for (size_t left = strlen(path), used; left > 0; path += used, left -= used) {
        used = escape_message(form, (const unsigned char *)path, left);
        say(form, strlen(form));
    }
    path = os_mapped_at(info->si_addr, &size);
    if (stat(path, &now) == 0 && (size_t)now.st_size < size)
        snprintf(text, sizeof text,
                 ": became shorter while it was read: expected %zu bytes, found %lld\n"
                 "hint: replace a model by a rename, as `gpt2 convert -o` does\n",
                 size, (long long)now.st_size);
    else
        snprintf(text, sizeof text, ": cannot read a part of it: %s\n", "Input/output error");
    say(text, strlen(text));
    _exit(GPT2_ERR_MODEL);
}

void fatal_catch(void) {
    // each whose default is an end without a fault of ours
    static const int ends[] = {
        SIGHUP,    SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU,
#ifdef SIGVTALRM
        SIGVTALRM,
#endif
#ifdef SIGPROF
        SIGPROF,
#endif
    };
    struct sigaction action = {.sa_handler = fatal_end}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(ends[i], &action, NULL);
    struct sigaction bus = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&bus.sa_mask);
    sigaction(SIGBUS, &bus, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

bool fatal_stack(struct gpt2_error *err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= STACK_WANTED)
        return true;
    const rlim_t most = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > STACK_WANTED
                            ? STACK_WANTED
                            : limit.rlim_max;
    if (most > limit.rlim_cur) {
        limit.rlim_cur = most;
        if (setrlimit(RLIMIT_STACK, &limit) == 0)
            return true;
    }
    return limit.rlim_cur >= STACK_NEEDED ||
           command_error(err, GPT2_ERR_RUNTIME, "ulimit -s 8192",
                         "expected a stack of at least %llu KiB, the limit is %llu KiB",
                         (unsigned long long)STACK_NEEDED >> 10,
                         (unsigned long long)limit.rlim_cur >> 10);
}
