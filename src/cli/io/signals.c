/* signals.c - handles SIGINT and SIGTERM, and waits for input without missing one. */
#include "cli/io/signals.h"
#include "cli/io/fatal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/select.h>

static volatile sig_atomic_t caught, redraw;

static void ask(int number) {
    if (caught != SIGTERM)
        caught = number;
}

static void note_redraw(int number) {
    redraw = number;
}

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void ask_once(int number) {
    ask(number);
    handle(number, fatal_end, 0);
}

void signals_catch(void) {
    handle(SIGINT, ask_once, 0);
    handle(SIGTERM, ask_once, 0);
}

int signals_caught(void) {
    return caught;
}

void signals_keep(void) {
    handle(SIGINT, ask, 0);
    handle(SIGTERM, ask, 0);
#ifdef SIGWINCH
    handle(SIGWINCH, note_redraw, SA_RESTART);
#endif
    handle(SIGCONT, note_redraw, SA_RESTART);
}

void signals_forget(void) {
    if (caught != SIGTERM)
        caught = 0;
}

enum input_event signals_wait(int fd, int milliseconds) {
    // Blocked between the look at the flags and the wait, which lets them in.
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGCONT);
#ifdef SIGWINCH
    sigaddset(&blocked, SIGWINCH);
#endif
    sigprocmask(SIG_BLOCK, &blocked, &before);
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    enum input_event event = INPUT_READY; // a failure is for read to find
    if (!caught && !redraw) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        int n = pselect(fd + 1, &set, NULL, NULL, milliseconds < 0 ? NULL : &time, &before);
        if (n == 0)
            event = INPUT_NONE;
        else if (n < 0 && errno == EINTR)
            event = INPUT_REDRAW; // also for another library's signal: harmless
    }
    if (caught)
        event = INPUT_INTERRUPTED;
    else if (redraw)
        event = INPUT_REDRAW;
    redraw = 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return event;
}
