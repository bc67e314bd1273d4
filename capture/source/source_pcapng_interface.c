/* An Interface Description Block's body (draft-ietf-opsawg-pcapng, section 4.2):
 *
 *     link type 2, reserved 2, snap length 4, then options: code 2, length 2, value, padding to 4
 *
 * Of the options count if_name (2), if_tsresol (9: 10^-n, or 2^-n with the highest bit set; without
 * it 10^-6) and if_tsoffset (14: seconds to add). */
#include <stdlib.h>

#include "capture/source/source_pcapng.h"

enum {
    BODY_SIZE_MIN = 8,
    OPTION_HEADER_SIZE = 4,
    OPTION_END = 0,
    OPTION_NAME = 2,
    OPTION_RESOLUTION = 9,
    OPTION_OFFSET = 14,
    RESOLUTION_DEFAULT = 6,
    RESOLUTION_BINARY = 0x80,
    RESOLUTION_DECIMAL_MAX = 28, /* 10^-28: 64 bits of ticks are less than 2 ns */
    NANOSECOND_DIGITS = 9,
};

static const uint64_t nanoseconds_per_second = 1000000000;

static uint64_t power_of_ten(unsigned exponent)
{
    uint64_t power = 1;
    while (exponent--)
        power *= 10;
    return power;
}

/* Finer than RESOLUTION_DECIMAL_MAX, or than 2^-127: less than a nanosecond in all. */
static void set_resolution(struct pcapng_interface *interface, uint8_t resolution)
{
    unsigned exponent = resolution & (RESOLUTION_BINARY - 1U);
    interface->multiplier = 1;
    interface->divisor = 1;
    interface->shift = 0;
    if (resolution & RESOLUTION_BINARY) {
        interface->multiplier = nanoseconds_per_second;
        interface->shift = (uint8_t)exponent;
    } else if (exponent <= NANOSECOND_DIGITS) {
        interface->multiplier = power_of_ten(NANOSECOND_DIGITS - exponent);
    } else if (exponent <= RESOLUTION_DECIMAL_MAX) {
        interface->divisor = power_of_ten(exponent - NANOSECOND_DIGITS);
    } else {
        interface->multiplier = 0;
    }
}

int64_t pcapng_interface_time(const struct pcapng_interface *interface, uint64_t ticks)
{
    if (interface->is_whole) {
        uint64_t time_ns;
        bool is_too_large = __builtin_mul_overflow(ticks, interface->multiplier, &time_ns);
        return is_too_large || time_ns > FRAME_TIME_MAX_NS ? FRAME_TIME_MAX_NS : (int64_t)time_ns;
    }
    uint128 product = (uint128)ticks * interface->multiplier;
    int128 time_ns = (int128)(product / interface->divisor >> interface->shift);
    time_ns += interface->offset_ns;
    if (time_ns < 0)
        return 0;
    return time_ns > FRAME_TIME_MAX_NS ? FRAME_TIME_MAX_NS : (int64_t)time_ns;
}

/* The text as a name that lives as long as the file; NULL: out of memory, or too many. */
static const char *keep_name(struct pcapng *pcapng, const char *text, size_t length)
{
    length = strnlen(text, length);
    for (size_t i = 0; i < pcapng->n_names; i++)
        if (strlen(pcapng->names[i]) == length && memcmp(pcapng->names[i], text, length) == 0)
            return pcapng->names[i];
    if (pcapng->n_names == PCAPNG_INTERFACES_MAX)
        return NULL;
    if (pcapng->n_names == pcapng->names_room) {
        size_t room = pcapng->names_room ? pcapng->names_room * 2 : 4;
        char **names = reallocarray(pcapng->names, room, sizeof *names);
        if (!names)
            return NULL;
        pcapng->names = names;
        pcapng->names_room = room;
    }
    char *name = strndup(text, length);
    if (name)
        pcapng->names[pcapng->n_names++] = name;
    return name;
}

static enum source_result read_option(struct source_file *file, struct pcapng_interface *interface,
                                      uint16_t code, const uint8_t *value, uint16_t length)
{
    if (code == OPTION_NAME && length && value[0]) {
        interface->name = keep_name(file->pcapng, (const char *)value, length);
        if (!interface->name)
            return source_file_lose(file, "damaged", "more than %d interface names",
                                    PCAPNG_INTERFACES_MAX);
    } else if (code == OPTION_RESOLUTION) {
        if (length != 1)
            return source_file_lose(file, "damaged", "if_tsresol of %u bytes, 1 expected", length);
        set_resolution(interface, value[0]);
    } else if (code == OPTION_OFFSET) {
        if (length != 8)
            return source_file_lose(file, "damaged", "if_tsoffset of %u bytes, 8 expected", length);
        uint32_t first = source_file_u32(file, value);
        uint32_t second = source_file_u32(file, value + 4);
        uint64_t seconds =
            file->is_swapped ? (uint64_t)first << 32 | second : (uint64_t)second << 32 | first;
        interface->offset_ns = (int128)(int64_t)seconds * (int64_t)nanoseconds_per_second;
    }
    return SOURCE_FRAME;
}

static enum source_result read_options(struct source_file *file, struct pcapng_interface *interface,
                                       const uint8_t *options, size_t size)
{
    while (size >= OPTION_HEADER_SIZE) {
        uint16_t code = source_file_u16(file, options);
        uint16_t length = source_file_u16(file, options + 2);
        size_t padded = (size_t)OPTION_HEADER_SIZE + ((length + 3U) & ~3U);
        if (code == OPTION_END)
            break;
        if (padded > size)
            return source_file_lose(file, "damaged", "option %u of %u bytes, %zu left in its block",
                                    code, length, size - OPTION_HEADER_SIZE);
        enum source_result result =
            read_option(file, interface, code, options + OPTION_HEADER_SIZE, length);
        if (result != SOURCE_FRAME)
            return result;
        options += padded;
        size -= padded;
    }
    return SOURCE_FRAME;
}

static struct pcapng_interface *append(struct pcapng *pcapng)
{
    if (pcapng->n_interfaces == pcapng->interfaces_room) {
        size_t room = pcapng->interfaces_room ? pcapng->interfaces_room * 2 : 4;
        struct pcapng_interface *interfaces =
            reallocarray(pcapng->interfaces, room, sizeof *interfaces);
        if (!interfaces)
            return NULL;
        pcapng->interfaces = interfaces;
        pcapng->interfaces_room = room;
    }
    return &pcapng->interfaces[pcapng->n_interfaces++];
}

enum source_result pcapng_interface_add(struct source_file *file, const uint8_t *body, size_t size)
{
    if (size < BODY_SIZE_MIN)
        return source_file_lose(file, "damaged", "interface block of %zu bytes, %d expected", size,
                                BODY_SIZE_MIN);
    if (file->pcapng->n_interfaces == PCAPNG_INTERFACES_MAX)
        return source_file_lose(file, "damaged", "more than %d interfaces", PCAPNG_INTERFACES_MAX);

    struct pcapng_interface interface = {
        .name = file->interface,
        .link_type = source_file_link_type(source_file_u16(file, body)),
        .snap_bytes = source_file_u32(file, body + 4),
    };
    set_resolution(&interface, RESOLUTION_DEFAULT);
    enum source_result result =
        read_options(file, &interface, body + BODY_SIZE_MIN, size - BODY_SIZE_MIN);
    if (result != SOURCE_FRAME)
        return result;
    interface.is_whole = interface.divisor == 1 && interface.shift == 0 && interface.offset_ns == 0;

    struct pcapng_interface *place = append(file->pcapng);
    if (!place)
        return source_file_lose(file, "read_error", "out of memory");
    *place = interface;
    return SOURCE_FRAME;
}
