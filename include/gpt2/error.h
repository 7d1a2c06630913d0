/* error.h - how the library reports errors.
 *
 * A fallible function returns false (or NULL) and takes a `struct gpt2_error *` last. The first
 * failure fills it once: what kind (status), one sentence that names the thing, what was expected
 * and what was found (message), and, where the reader can do something about it, a remedy (hint).
 * The pointer may be NULL. On success the struct is left as it was. The library never prints and
 * never exits. Control characters from outside are escaped in both texts, so that they may be
 * printed to a terminal.
 *
 * Any function that allocates may fail with GPT2_ERR_MEMORY, and any that opens or reads a file
 * with GPT2_ERR_RUNTIME where the system lacks descriptors or its disk fails: that says nothing
 * about the file. Where headers do not name these two they are meant, too.
 *
 * Everywhere in the library, a pointer that comes with a count may be NULL where the count is 0.
 * Where a function needs at least one element its header says so, and it fails with a status. */
#ifndef GPT2_ERROR_H
#define GPT2_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* The values are the exit codes of the program; they are part of its interface. */
enum gpt2_status {
    GPT2_OK = 0,
    GPT2_ERR_RUNTIME = 1, /* the system refused something: a write, a thread, a descriptor    */
    GPT2_ERR_USAGE = 2,   /* an argument is outside what the function or option accepts       */
    GPT2_ERR_RECORDS = 3, /* a bulk job finished, some of its records did not                 */
    GPT2_ERR_MODEL = 4,   /* a model or tokenizer is missing, malformed or of another kind    */
    GPT2_ERR_INPUT = 5,   /* the text to work on cannot be read or does not fit the context   */
    GPT2_ERR_MEMORY = 6   /* out of memory                                                    */
};

struct gpt2_error {
    enum gpt2_status status;
    char message[512]; /* one line, no newline at its end, NUL-terminated, never empty        */
    char hint[256];    /* one line, or ""                                                      */
};

#ifdef __cplusplus
}
#endif
#endif
