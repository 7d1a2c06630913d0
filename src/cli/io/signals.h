/* signals.h - SIGINT and SIGTERM, and waiting for a key without missing one of them. */
#ifndef CLI_IO_SIGNALS_H
#define CLI_IO_SIGNALS_H

/* SIGINT and SIGTERM ask for an end after the current token; a second one ends at once. */
void signals_catch(void);
int signals_caught(void); /* the number of the signal, or 0 */

/* For a session that has a prompt to return to: the signals only ask, however often they come. */
void signals_keep(void);
void signals_forget(void); /* forgets a SIGINT; a SIGTERM stays */

enum input_event {
    INPUT_READY,       /* to be read, or at its end                                 */
    INPUT_NONE,        /* the time is up                                            */
    INPUT_INTERRUPTED, /* signals_caught() says by what                            */
    INPUT_REDRAW       /* the terminal has another size, or is ours again (SIGCONT) */
};

/* Waits for input on a file descriptor, at most so many milliseconds; negative: for ever. After
 * signals_keep no signal is missed, whenever it comes. */
enum input_event signals_wait(int fd, int milliseconds);

#endif
