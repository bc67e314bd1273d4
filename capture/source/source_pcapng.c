/* The pcapng format (draft-ietf-opsawg-pcapng): blocks, each
 *
 *     type 4, length 4, body, padding to 4, length 4
 *
 * A Section Header Block begins a section: it tells the byte order, and the interfaces before it
 * are forgotten. Packets are in
 *
 *     Enhanced Packet Block (6)   interface 4, time high 4, low 4, captured 4, on the wire 4, bytes
 *     Packet Block (2, obsolete)  interface 2, drops 2, then as above
 *     Simple Packet Block (3)     on the wire 4, bytes; of the first interface, and without a time
 *
 * An Interface Statistics Block (5) tells what the capture has lost (source_pcapng_drops.h). All
 * other blocks are skipped, however long they are. A Simple Packet Block gets its file's clock.
 */
#include "capture/source/source_pcapng.h"
#include "capture/source/source_pcapng_drops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2,
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_STATISTICS = 5,
    BLOCK_ENHANCED_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    BLOCK_HEADER_SIZE = 8,
    BLOCK_TRAILER_SIZE = 4,
    SECTION_SIZE_MIN = 28,
    PACKET_HEADER_SIZE = 20,
    SIMPLE_PACKET_HEADER_SIZE = 4,
    STATISTICS_MAX = 65536,
    DROPS_UNKNOWN = 65535, /* of a Packet Block */
    VERSION_MAJOR = 1,
};

struct block {
    uint32_t type;
    uint32_t length;
    const uint8_t *body;
    size_t body_size;
};

bool source_pcapng_is_magic(uint32_t magic)
{
    return magic == BLOCK_SECTION;
}

/* ---- packets ---- */

/* 'header': time high, time low, captured, on the wire. */
static enum source_result read_packet(struct source_file *file, uint32_t interface_index,
                                      const uint8_t *header, size_t data_size, struct frame *frame)
{
    if (interface_index >= file->pcapng->n_interfaces)
        return source_file_lose(file, "damaged", "packet of interface %u, of which there are %zu",
                                interface_index, file->pcapng->n_interfaces);
    uint32_t captured = source_file_u32(file, header + 8);
    if (captured > FRAME_BYTES_MAX || captured > data_size)
        return source_file_lose(file, "damaged", "captured length %u, at most %zu expected",
                                captured,
                                data_size < FRAME_BYTES_MAX ? data_size : FRAME_BYTES_MAX);

    struct pcapng_interface *interface = &file->pcapng->interfaces[interface_index];
    size_t padded = ((size_t)captured + 3) & ~(size_t)3;
    if (data_size > padded)
        pcapng_drops_note_packet(file, interface, header + 16 + padded, data_size - padded);
    uint64_t ticks =
        (uint64_t)source_file_u32(file, header) << 32 | source_file_u32(file, header + 4);
    uint32_t wire = source_file_u32(file, header + 12);
    frame->bytes = header + 16;
    frame->captured_bytes = captured;
    frame->wire_bytes = wire > captured ? wire : captured;
    frame->time_ns = pcapng_interface_time(interface, ticks);
    frame->link_type = interface->link_type;
    frame->interface = interface->name;
    return SOURCE_FRAME;
}

static enum source_result read_simple_packet(struct source_file *file, const struct block *block,
                                             struct frame *frame)
{
    if (!file->pcapng->n_interfaces)
        return source_file_lose(file, "damaged", "packet of interface 0, of which there are 0");
    const struct pcapng_interface *interface = &file->pcapng->interfaces[0];
    uint32_t wire = source_file_u32(file, block->body);
    uint32_t captured = wire;
    if (interface->snap_bytes && captured > interface->snap_bytes)
        captured = interface->snap_bytes;
    size_t data_size = block->body_size - SIMPLE_PACKET_HEADER_SIZE;
    if (captured > data_size || captured > FRAME_BYTES_MAX)
        return source_file_lose(file, "damaged", "captured length %u, at most %zu expected",
                                captured,
                                data_size < FRAME_BYTES_MAX ? data_size : FRAME_BYTES_MAX);
    frame->bytes = block->body + SIMPLE_PACKET_HEADER_SIZE;
    frame->captured_bytes = captured;
    frame->wire_bytes = wire;
    frame->time_ns = file->check.clock_ns;
    frame->link_type = interface->link_type;
    frame->interface = interface->name;
    return SOURCE_FRAME;
}

/* ---- blocks ---- */

/* SOURCE_FRAME: a packet; SOURCE_NOTHING: something else. */
static enum source_result read_block(struct source_file *file, const struct block *block,
                                     struct frame *frame)
{
    const uint8_t *body = block->body;
    size_t header_size =
        block->type == BLOCK_SIMPLE_PACKET ? SIMPLE_PACKET_HEADER_SIZE : PACKET_HEADER_SIZE;
    if (block->type == BLOCK_INTERFACE) {
        enum source_result result = pcapng_interface_add(file, body, block->body_size);
        return result == SOURCE_FRAME ? SOURCE_NOTHING : result;
    }
    if (block->type == BLOCK_SECTION) {
        file->pcapng->n_interfaces = 0;
        return SOURCE_NOTHING;
    }
    if (block->type == BLOCK_STATISTICS) {
        pcapng_drops_note_statistics(file, body, block->body_size);
        return SOURCE_NOTHING;
    }
    if (block->body_size < header_size)
        return source_file_lose(file, "damaged", "packet block of %u bytes, at least %zu expected",
                                block->length,
                                header_size + BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE);
    size_t data_size = block->body_size - header_size;
    if (block->type == BLOCK_ENHANCED_PACKET)
        return read_packet(file, source_file_u32(file, body), body + 4, data_size, frame);
    if (block->type == BLOCK_PACKET) {
        uint16_t interface_index = source_file_u16(file, body);
        uint16_t drops = source_file_u16(file, body + 2);
        if (interface_index < file->pcapng->n_interfaces && drops != DROPS_UNKNOWN)
            pcapng_drops_note_count(file, &file->pcapng->interfaces[interface_index], drops);
        return read_packet(file, interface_index, body + 4, data_size, frame);
    }
    return read_simple_packet(file, block, frame);
}

/* Reads type and length, of which the byte order is the section's: of a section header it stands
 * behind the length. SOURCE_FRAME: done. */
static enum source_result read_header(struct source_file *file, struct block *block)
{
    struct source_input *input = &file->input;
    enum source_input_result result = source_input_need(input, BLOCK_HEADER_SIZE);
    if (result != INPUT_READY) {
        if (result == INPUT_END && !source_input_left(input))
            return SOURCE_END;
        return source_file_starved(file, result, "a block header", BLOCK_HEADER_SIZE);
    }
    block->type = source_file_u32(file, input->at);
    uint32_t length_min = BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE;
    if (block->type == BLOCK_SECTION) {
        length_min = SECTION_SIZE_MIN;
        result = source_input_need(input, SECTION_SIZE_MIN);
        if (result != INPUT_READY)
            return source_file_starved(file, result, "a section header", SECTION_SIZE_MIN);
        file->is_swapped = false;
        uint32_t magic = source_file_u32(file, input->at + BLOCK_HEADER_SIZE);
        file->is_swapped = magic != BYTE_ORDER_MAGIC;
        if (file->is_swapped && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC)
            return source_file_lose(file, "damaged", "byte order magic %08x, expected %08x", magic,
                                    BYTE_ORDER_MAGIC);
        unsigned version = source_file_u16(file, input->at + 12);
        if (version != VERSION_MAJOR)
            return source_file_lose(file, "damaged", "pcapng version %u, expected %d", version,
                                    VERSION_MAJOR);
    }
    block->length = source_file_u32(file, input->at + 4);
    if (block->length < length_min || block->length % 4 != 0)
        return source_file_lose(file, "damaged",
                                "block length %u, expected at least %u and a multiple of 4",
                                block->length, length_min);
    return SOURCE_FRAME;
}

static enum source_result check_trailer(struct source_file *file, const uint8_t *trailer,
                                        uint32_t length)
{
    uint32_t repeated = source_file_u32(file, trailer);
    if (repeated != length)
        return source_file_lose(file, "damaged", "block length %u at its start, %u at its end",
                                length, repeated);
    return SOURCE_FRAME;
}

/* Goes on skipping the block under way. SOURCE_FRAME: done. */
static enum source_result skip_block(struct source_file *file)
{
    struct pcapng *pcapng = file->pcapng;
    struct source_input *input = &file->input;
    enum source_input_result result = source_input_skip(input, &pcapng->skip_bytes);
    if (result == INPUT_READY)
        result = source_input_need(input, BLOCK_TRAILER_SIZE);
    if (result != INPUT_READY)
        return source_file_starved(file, result, "the rest of a block",
                                   pcapng->skip_bytes + BLOCK_TRAILER_SIZE);
    enum source_result checked = check_trailer(file, input->at, pcapng->skipped_length);
    pcapng->skipped_length = 0;
    source_input_take(input, BLOCK_TRAILER_SIZE);
    return checked;
}

static bool is_kept(uint32_t type, uint32_t length)
{
    if (type == BLOCK_STATISTICS)
        return length <= STATISTICS_MAX;
    return type == BLOCK_ENHANCED_PACKET || type == BLOCK_SIMPLE_PACKET || type == BLOCK_PACKET ||
           type == BLOCK_INTERFACE || type == BLOCK_SECTION;
}

/* Makes a block be there as a whole. SOURCE_FRAME: '*block' is set. */
static enum source_result need_block(struct source_file *file, struct block *block)
{
    struct source_input *input = &file->input;
    if (block->length > INPUT_NEED_MAX)
        return source_file_lose(file, "damaged",
                                "block of type %u of %u bytes, at most %d expected", block->type,
                                block->length, INPUT_NEED_MAX);
    enum source_input_result result = source_input_need(input, block->length);
    if (result != INPUT_READY)
        return source_file_starved(file, result, "a block", block->length);
    enum source_result checked =
        check_trailer(file, input->at + block->length - BLOCK_TRAILER_SIZE, block->length);
    if (checked != SOURCE_FRAME)
        return checked;
    block->body = input->at + BLOCK_HEADER_SIZE;
    block->body_size = block->length - BLOCK_HEADER_SIZE - BLOCK_TRAILER_SIZE;
    return SOURCE_FRAME;
}

static enum source_result next_record(struct source_file *file, struct frame *frame)
{
    struct pcapng *pcapng = file->pcapng;
    for (;;) {
        struct block block = {0};
        enum source_result result = SOURCE_FRAME;
        if (pcapng->skipped_length)
            result = skip_block(file);
        if (result == SOURCE_FRAME)
            result = read_header(file, &block);
        if (result != SOURCE_FRAME)
            return result;
        if (!is_kept(block.type, block.length)) {
            pcapng->skip_bytes = block.length - BLOCK_TRAILER_SIZE;
            pcapng->skipped_length = block.length;
            continue;
        }
        result = need_block(file, &block);
        if (result != SOURCE_FRAME)
            return result;
        result = read_block(file, &block, frame);
        if (result == SOURCE_LOSS)
            return result;
        source_input_take(&file->input, block.length);
        if (result == SOURCE_FRAME)
            return result;
    }
}

/* ---- opening ---- */

/* The first section header is looked at here, so that what is no pcapng is refused at once; it is
 * read as all blocks are. */
int source_pcapng_open(struct source_file *file, char error[SOURCE_ERROR_MAX])
{
    int result = source_file_need_header(file, SECTION_SIZE_MIN, error);
    if (result < 0)
        return result;
    uint32_t magic = source_file_u32(file, file->input.at + BLOCK_HEADER_SIZE);
    if (magic != BYTE_ORDER_MAGIC && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC) {
        snprintf(error, SOURCE_ERROR_MAX,
                 "%s: not a capture (pcapng with byte order magic %08x, expected %08x)", file->path,
                 magic, BYTE_ORDER_MAGIC);
        return -EINVAL;
    }
    file->pcapng = calloc(1, sizeof *file->pcapng);
    if (!file->pcapng) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", file->path, strerror(ENOMEM));
        return -ENOMEM;
    }
    file->next_record = next_record;
    return 0;
}

void source_pcapng_close(struct source_file *file)
{
    struct pcapng *pcapng = file->pcapng;
    if (!pcapng)
        return;
    for (size_t i = 0; i < pcapng->n_names; i++)
        free(pcapng->names[i]);
    free(pcapng->names);
    free(pcapng->interfaces);
    free(pcapng);
    file->pcapng = NULL;
}
