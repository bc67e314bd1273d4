/* source_text: what names a capture: the path of "NAME=PATH", its text for people, its identity
 * (source_path() and source_file_identity() in source.h). */
#ifndef WANMETER_CAPTURE_SOURCE_TEXT_H
#define WANMETER_CAPTURE_SOURCE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Writes 'path' as printable UTF-8 with a NUL into 'size' bytes, '?' for every byte that is none:
 * paths are bytes, but losses and ledgers are text. Of a longer one the end is kept, which names
 * the file better than its start. Returns the bytes before the NUL. */
size_t source_text_path(char *room, size_t size, const char *path);

/* source_file_identity() of a file that is open; where it is read from does not change. */
int source_descriptor_identity(int descriptor, uint8_t sha256[32]);

#endif
