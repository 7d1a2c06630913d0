/* version.h - the version of these headers, and that of the library a program runs with. */
#ifndef GPT2_VERSION_H
#define GPT2_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the headers a program was compiled with. The Makefile reads these three lines; the
 * number stands nowhere else. Versions follow semver.org: until 1.0.0 a new minor version may
 * change the API, and the shared library's soname ends in GPT2_ABI. */
#define GPT2_VERSION_MAJOR 0
#define GPT2_VERSION_MINOR 1
#define GPT2_VERSION_PATCH 0
#define GPT2_ABI           0

#define GPT2_VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define GPT2_VERSION_TEXT(a, b, c)  GPT2_VERSION_TEXT_(a, b, c)
/* "MAJOR.MINOR.PATCH" */
#define GPT2_VERSION GPT2_VERSION_TEXT(GPT2_VERSION_MAJOR, GPT2_VERSION_MINOR, GPT2_VERSION_PATCH)

/* GPT2_VERSION of the library itself, which may be another one than the headers' where it is
 * loaded at run time. A static string; never NULL. Any thread may call it. */
const char *gpt2_version(void);

/* Every struct of options ends in `uint64_t reserved[GPT2_RESERVED]`, which is to be 0. A later
 * version with the same soname may turn some of it into new fields; 0 in them means what the
 * library did before. So a program that sets its options to {0} first, or with an initialiser, goes
 * on working with a later library, and a field that the library at hand does not know is refused
 * with GPT2_ERR_USAGE, never ignored.
 *
 * To add a field: `uint64_t reserved[GPT2_RESERVED - 1]` and a field of 8 bytes in front of it (a
 * smaller one with a `reserved` word of its own size beside it), so that it takes the place of a
 * word that older libraries look at, and not of padding, which they do not. */
#define GPT2_RESERVED 4

#ifdef __cplusplus
}
#endif
#endif
