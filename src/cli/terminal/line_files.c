/* line_files.c - offers the files of a folder. */
#include "cli/terminal/line_files.h"
#include "base/buffer.h"
#include "base/look.h"
#include "base/os.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static bool is_plain(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            return false;
    return true;
}

/* Offers folder[0..n_folder) and name as one path. */
static void offer_path(const char *folder, size_t n_folder, const char *name, line_offer offer,
                       void *to) {
    struct buffer path = {0};
    struct stat info;
    buffer_bytes(&path, folder, n_folder);
    buffer_text(&path, name);
    if (!path.failed && look_at(&info, path.data, LOOK_THROUGH, GPT2_ERR_RUNTIME, NULL) &&
        S_ISDIR(info.st_mode))
        buffer_byte(&path, '/');
    buffer_byte(&path, 0);
    if (!path.failed)
        offer(to, path.data);
    buffer_free(&path);
}

void line_files_offer(const char *typed, line_offer offer, void *to) {
    const char *slash = strrchr(typed, '/');
    const size_t n_folder = slash ? (size_t)(slash + 1 - typed) : 0;
    struct buffer folder = {0};
    buffer_bytes(&folder, n_folder ? typed : "./", n_folder ? n_folder : 2);
    buffer_byte(&folder, 0);
    DIR *list = folder.failed ? NULL : opendir(folder.data);
    for (const char *name; list && os_next_entry(&name, list, folder.data, NULL) && name;)
        if ((name[0] != '.' || typed[n_folder] == '.') && is_plain(name))
            offer_path(typed, n_folder, name, offer, to);
    if (list)
        closedir(list);
    buffer_free(&folder);
}
