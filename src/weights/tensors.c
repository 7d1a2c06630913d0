#include "weights/tensors.h"

#include <stdint.h>
#include <stdlib.h>

void tensors_close(struct tensors *tensors) {
    os_unmap(&tensors->file);
    os_free(tensors->items);
    os_free(tensors->storage);
    free((void *)(uintptr_t)tensors->path);
    *tensors = (struct tensors){0};
}
