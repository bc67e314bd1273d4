#include "capture/source/source_pcapng_drops.h"

#include <inttypes.h>
#include <stdio.h>

#include "capture/source/source_text.h"

enum {
    OPTION_HEADER_SIZE = 4,
    OPTION_END = 0,
    OPTION_PACKET_DROPS = 4,
    OPTION_INTERFACE_DROPS = 5,
    OPTION_SYSTEM_DROPS = 7,
    NUMBER_SIZE = 8,
    STATISTICS_SIZE_MIN = 12, /* interface, time */
};

static uint64_t number_of(const struct source_file *file, const uint8_t *bytes)
{
    uint32_t first = source_file_u32(file, bytes);
    uint32_t second = source_file_u32(file, bytes + 4);
    return file->is_swapped ? (uint64_t)first << 32 | second : (uint64_t)second << 32 | first;
}

/* The option's number; 0: it is not there, or no count. */
static uint64_t option_of(const struct source_file *file, const uint8_t *options, size_t size,
                          uint16_t wanted)
{
    while (size >= OPTION_HEADER_SIZE) {
        uint16_t code = source_file_u16(file, options);
        uint16_t length = source_file_u16(file, options + 2);
        size_t padded = (size_t)OPTION_HEADER_SIZE + ((length + 3U) & ~3U);
        if (code == OPTION_END || padded > size)
            return 0;
        if (code == wanted && length == NUMBER_SIZE) {
            uint64_t number = number_of(file, options + OPTION_HEADER_SIZE);
            return number <= PCAPNG_DROPS_MAX ? number : 0;
        }
        options += padded;
        size -= padded;
    }
    return 0;
}

/* ---- noting ---- */

/* So much more was lost, since then. False: that is no count. */
static bool begin(struct source_file *file, int64_t since_ns, uint64_t more)
{
    struct pcapng_drops *drops = &file->pcapng->drops;
    if (more > PCAPNG_DROPS_MAX - drops->all)
        return false;
    if (!drops->nic && !drops->kernel)
        drops->first_ns = since_ns;
    drops->all += more;
    return true;
}

void pcapng_drops_note_count(struct source_file *file, struct pcapng_interface *interface,
                             uint64_t packets)
{
    if (!packets || packets > PCAPNG_DROPS_MAX - interface->drops_between)
        return;
    interface->drops_between += packets;
    if (interface->drops_between <= interface->drops_counted)
        return;
    uint64_t more = interface->drops_between - interface->drops_counted;
    if (!begin(file, file->check.clock_ns, more))
        return;
    file->pcapng->drops.kernel += more;
    interface->drops_counted = interface->drops_between;
}

void pcapng_drops_note_packet(struct source_file *file, struct pcapng_interface *interface,
                              const uint8_t *options, size_t size)
{
    if (size > OPTION_HEADER_SIZE)
        pcapng_drops_note_count(file, interface,
                                option_of(file, options, size, OPTION_PACKET_DROPS));
}

void pcapng_drops_note_statistics(struct source_file *file, const uint8_t *body, size_t size)
{
    if (size < STATISTICS_SIZE_MIN || source_file_u32(file, body) >= file->pcapng->n_interfaces)
        return;
    struct pcapng_interface *interface = &file->pcapng->interfaces[source_file_u32(file, body)];
    const uint8_t *options = body + STATISTICS_SIZE_MIN;
    size -= STATISTICS_SIZE_MIN;
    uint64_t nic = option_of(file, options, size, OPTION_INTERFACE_DROPS);
    uint64_t kernel = option_of(file, options, size, OPTION_SYSTEM_DROPS);
    if (nic + kernel <= interface->drops_counted)
        return;
    int64_t told_ns = file->pcapng->drops.told_ns;
    uint64_t more = nic + kernel - interface->drops_counted;
    if (!begin(file, told_ns ? told_ns : file->total.first_ns, more))
        return;
    uint64_t of_nic = nic > interface->drops_of_nic ? nic - interface->drops_of_nic : 0;
    of_nic = of_nic < more ? of_nic : more;
    interface->drops_of_nic += of_nic;
    interface->drops_counted = nic + kernel;
    file->pcapng->drops.nic += of_nic;
    file->pcapng->drops.kernel += more - of_nic;
}

/* ---- telling ---- */

static int64_t slot_of(int64_t time_ns)
{
    return time_ns / ((int64_t)SLOT_SECONDS * 1000000000);
}

bool pcapng_drops_take(struct source_file *file, bool is_end)
{
    struct pcapng_drops *drops = &file->pcapng->drops;
    int64_t clock_ns = file->check.clock_ns;
    if (!drops->nic && !drops->kernel)
        return false;
    if (!drops->first_ns || drops->first_ns > clock_ns) /* before the first packet */
        drops->first_ns = clock_ns;
    if (!is_end && slot_of(clock_ns) == slot_of(drops->first_ns))
        return false;
    bool is_of_nic = drops->nic > 0;
    uint64_t *packets = is_of_nic ? &drops->nic : &drops->kernel;
    file->loss = (struct loss){
        .first_ns = drops->first_ns,
        .last_ns = clock_ns,
        .packets = (int64_t)*packets,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = is_of_nic ? LOSS_NIC : LOSS_KERNEL,
        .certainty = LOSS_DERIVED,
        .reason = "recorded",
    };
    char path[LOSS_EVIDENCE_MAX / 2];
    source_text_path(path, sizeof path, file->path);
    snprintf(file->loss.evidence, sizeof file->loss.evidence,
             "%s: it says that %" PRIu64 " packets %s when it was captured", path, *packets,
             is_of_nic ? "were dropped by the interface" : "were not captured");
    *packets = 0;
    drops->told_ns = clock_ns;
    return true;
}
