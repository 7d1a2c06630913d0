/* confine.h - a process gives up what it does not need, for good and with all its threads.
 *
 * Two steps, as a program knows early what it writes, and late that all it reads is open:
 *
 *   - confine_files, before the first thread: files are written, made and removed in the folders of
 *     the outputs only; no program is started, no TCP connection made, no signal sent to another
 *     process
 *   - confine_calls, when all is open: no sockets, no programs, no new code in memory, and no file
 *     is opened but for what `keeps` names
 *
 * What is refused fails with an errno (EPERM, EACCES, ENOSYS); the process goes on. Linux: Landlock
 * (5.13; TCP from 6.7, signals from 6.12) and seccomp on x86-64, arm64 and riscv64. OpenBSD: unveil
 * and pledge. Elsewhere nothing is given up. A kernel without one of them, a lack of memory, or
 * an output that cannot be looked at is no error: confine_state tells. Under sanitizers, valgrind
 * and coverage nothing is given up, as these open files themselves. */
#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

enum confine_keeps {
    CONFINE_READS = 1,  /* opening files for reading; folders may be opened anyway              */
    CONFINE_WRITES = 2, /* opening, renaming and removing files where confine_files allowed that */
    CONFINE_SERVES = 4, /* accepting connections on sockets that listen, and talking there      */
};

/* Where files may be written: the folders of `outputs[0..n)`, of which NULL and "-" are none. Links
 * are followed; of a device, pipe or socket only that itself may be written to. A folder that is
 * not there is none. Descriptors that are open stay as they are. */
void confine_files(const char *const *outputs, size_t n);

/* The same with writing anywhere: no programs, no connections. */
void confine_programs(void);

/* `keeps` is of enum confine_keeps. All threads. */
void confine_calls(unsigned keeps);

/* For a child between fork and exec, which has one thread: it and the program that it becomes write
 * to no file. Async-signal-safe. */
void confine_child(void);

/* What was given up, in words for a person: "files, calls"; "calls (no Landlock in this kernel)";
 * "none: ...". */
const char *confine_state(void);

#endif
