#include "cli/bill/meter_spec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/bill/bill.h"
#include "common/config/config_value.h"
#include "common/overhead.h"
#include "proto/record.h"
#include "proto/seal.h"

enum { NAME_SIZE = 256 };

/* ---- what is counted ---- */

static void write_head(const struct config *config, FILE *out)
{
    uint8_t hash[CONFIG_SHA256_SIZE];
    config_hash(config, hash);
    fputs("# Meter specification\n\nConfiguration (what of it can change a bill), SHA-256: `", out);
    for (size_t i = 0; i < sizeof hash; i++)
        fprintf(out, "%02x", hash[i]);
    fputs("`\n\n## What is counted\n\n"
          "- Every packet that the capture sees, from its IP header on: the IP total length, and "
          "from it\n  the bytes that the link charges (billed bytes), by the WAN's overhead model, "
          "packet by packet\n  and before anything is added up.\n"
          "- Retransmissions, invalid packets and ICMP errors used the link and are counted; what "
          "has no\n  IP header (ARP, spanning tree, …) is counted apart and not billed.\n"
          "- Copies that the mirror itself made are removed where that is configured, counted "
          "apart as\n  class `duplicate`, and not billed.\n"
          "- A packet that belongs to no WAN below is WAN `none`, never guessed.\n",
          out);
}

static void write_sources(const struct config *config, FILE *out)
{
    fputs("\n## Where\n\n", out);
    if (config->n_sources == 0)
        fputs("Capture files that are given to it.\n", out);
    for (size_t i = 0; i < config->n_sources; i++)
        fprintf(out, "- interface `%s`, direction %s\n", config->sources[i].interface,
                config->sources[i].direction);
    if (config->capture.decapsulate.n == 0)
        return;
    fputs("- mirror carriers that are unwrapped:", out);
    for (size_t i = 0; i < config->capture.decapsulate.n; i++)
        fprintf(out, " %s", config->capture.decapsulate.items[i]);
    fputc('\n', out);
}

/* ---- WANs and their models ---- */

/* A name of those that a '+' joins. */
static void write_component(const char *name, FILE *out)
{
    const struct overhead *preset = overhead_find(name);
    if (preset != NULL)
        fprintf(out, "  - `%s`: %s. Source: %s\n", name, preset->fields, preset->source);
    else
        fprintf(out, "  - `%s`\n", name);
}

static void write_model(const char *model, FILE *out)
{
    if (overhead_find(model) != NULL) {
        write_component(model, out);
        return;
    }
    for (const char *at = model; *at != '\0';) {
        char name[NAME_SIZE];
        size_t length = strcspn(at, "+");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        write_component(name, out);
        at += length + (at[length] == '+');
    }
}

static void write_costs(const char *model, FILE *out)
{
    static const uint32_t lengths[] = {40, 64, 576, 1500};
    struct overhead steps;
    if (!overhead_make(model, &steps))
        return;
    fputs("  - a packet of", out);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        fprintf(out, "%s %" PRIu32 " bytes costs %" PRIu64, i > 0 ? "," : "", lengths[i],
                overhead_billed_bytes(&steps, lengths[i]));
    fputc('\n', out);
}

static void write_direction(const char *direction, const char *model, FILE *out)
{
    if (model == NULL || *model == '\0')
        return;
    struct overhead steps;
    bool is_estimated = overhead_make(model, &steps) && overhead_is_estimated(&steps);
    fprintf(out, "  - model%s `%s`%s\n", direction, model, is_estimated ? ", an estimate" : "");
    write_model(model, out);
    write_costs(model, out);
}

__attribute__((format(printf, 3, 4))) static void write_key(FILE *out, bool *has_key,
                                                            const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs(*has_key ? ", " : " ", out);
    vfprintf(out, format, arguments);
    va_end(arguments);
    *has_key = true;
}

static void write_match(const struct config_wan_match *match, FILE *out)
{
    bool has_key = false;
    fputs("  - its packets:", out);
    if (match->interface != NULL)
        write_key(out, &has_key, "interface %s", match->interface);
    if (match->vlan >= 0)
        write_key(out, &has_key, "VLAN %d", match->vlan);
    if (match->inner_vlan >= 0)
        write_key(out, &has_key, "inner VLAN %d", match->inner_vlan);
    if (match->pppoe_session >= 0)
        write_key(out, &has_key, "PPPoE session %d", match->pppoe_session);
    if (match->mpls_label >= 0)
        write_key(out, &has_key, "MPLS label %d", match->mpls_label);
    for (size_t i = 0; i < match->n_gateway_macs; i++) {
        char mac[CONFIG_MAC_TEXT_SIZE];
        config_mac_text(&match->gateway_macs[i], mac);
        write_key(out, &has_key, "gateway %s", mac);
    }
    for (size_t i = 0; i < match->n_local_prefixes; i++) {
        char prefix[CONFIG_PREFIX_TEXT_SIZE];
        config_prefix_text(&match->local_prefixes[i], prefix);
        write_key(out, &has_key, "local %s", prefix);
    }
    fputs(has_key ? "\n" : " all others\n", out);
}

static void write_wans(const struct config *config, FILE *out)
{
    fputs("\n## WANs and their counting points\n\n"
          "In this order; the first that matches a packet has it.\n\n",
          out);
    if (config->n_wans == 0)
        fputs("None: every packet is WAN `none`, billed by its IP length.\n", out);
    for (size_t i = 0; i < config->n_wans; i++) {
        const struct config_wan *wan = &config->wans[i];
        fprintf(out, "- **%s**:\n", wan->name);
        write_direction("", wan->overhead, out);
        write_direction(" up", wan->overhead_up, out);
        write_direction(" down", wan->overhead_down, out);
        if (wan->mtu > 0)
            fprintf(out, "  - its longest packet: %d bytes\n", wan->mtu);
        for (size_t m = 0; m < wan->n_matches; m++)
            write_match(&wan->matches[m], out);
    }
}

/* ---- accounts and tariffs ---- */

static void write_accounts(const struct config *config, FILE *out)
{
    fprintf(
        out,
        "\n## Accounts\n\n%zu accounts, by address block (the longest wins), MAC, VLAN or PPPoE "
        "session; what is\nno account's is account `none`. Which addresses were changed while it "
        "was "
        "metered, and when, is in\nthe database (`change`).\n",
        config->n_accounts);
}

static void write_percentile(const struct config_tariff *tariff, FILE *out)
{
    fprintf(out,
            "  - percentile %d of the slots' sums over all its WANs, rule %s: of N samples the "
            "largest\n    floor(N * %d / 100) are discarded, and the next is billed; missing "
            "samples: %s\n",
            tariff->percentile, tariff->rule, 100 - tariff->percentile, tariff->missing);
}

static void write_tariff(const struct config_tariff *tariff, FILE *out)
{
    char price[DECIMAL_TEXT_SIZE], fee[DECIMAL_TEXT_SIZE];
    const char *unit = config_tariff_unit(tariff);
    decimal_text(tariff->price, 2, price);
    decimal_text(tariff->fee, 2, fee);
    fprintf(out, "- **%s**: %s, %s %s a %s (%" PRId64 " %s), fee %s a period\n", tariff->name,
            tariff->kind, price, tariff->currency, unit, config_unit_size(unit),
            config_unit_is_rate(unit) ? "bits a second" : "bytes", fee);
    if (config_tariff_is_percentile(tariff))
        write_percentile(tariff, out);
    else
        fprintf(out, "  - bytes: rule %s (in: down, out: up)\n", tariff->rule);
    for (size_t i = 0; i < tariff->n_tiers; i++) {
        decimal_text(tariff->tiers[i].price, 2, price);
        fprintf(out, "  - above %" PRId64 " %s: %s\n", tariff->tiers[i].above, unit, price);
    }
    for (size_t i = 0; i < tariff->n_times; i++) {
        decimal_text(tariff->times[i].price, 2, price);
        fprintf(out, "  - from %s to %s: %s\n", tariff->times[i].from, tariff->times[i].to, price);
    }
    if (tariff->commit >= 0)
        fprintf(out, "  - commit: %" PRId64 " %s\n", tariff->commit, unit);
    if (tariff->quota > 0)
        fprintf(out, "  - quota: %" PRId64 " %s a period\n", tariff->quota, unit);
    fprintf(out,
            "  - periods begin on day %d, midnight in %s; rounding once a line: %s to %d "
            "decimals\n",
            tariff->cycle_day, tariff->timezone, tariff->rounding, tariff->decimals);
}

static void write_tariffs(const struct config *config, FILE *out)
{
    fputs("\n## Tariffs\n\n", out);
    if (config->n_tariffs == 0)
        fputs("None.\n", out);
    for (size_t i = 0; i < config->n_tariffs; i++)
        write_tariff(&config->tariffs[i], out);
}

/* ---- what it is worth ---- */

static void write_promises(FILE *out)
{
    fprintf(
        out,
        "\n## Resolution, time and corrections\n\n"
        "- Sums are kept by slots of %d s of UTC, by the packets' own time stamps; amounts are "
        "whole\n  bytes of 64 bits.\n"
        "- Rows are sealed by quarter hours (%d s), %d s after their end, in a chain of SHA-256 "
        "hashes.\n  What is sealed is not changed: what is counted later is a correction, a "
        "row and an invoice\n  line of its own.\n"
        "- The same captures with the same configuration give the same bill.\n"
        "\n## Loss\n\n"
        "- What was captured is what is counted and what is declared lost, to the byte; "
        "`wanmeter audit`\n  proves it. Each line of an invoice says how many bytes may be "
        "missing at most, and in how many\n  slots nothing was watched.\n"
        "- Loss is disclosed, never estimated into a bill. Loss on the way to the capture "
        "(the mirror port)\n  can only be seen by comparing: `wanmeter reconcile`.\n"
        "- Models with cells, padding or minimum lengths are exact, packet by packet; those that "
        "reckon\n  with compressed UDP headers are estimates, and marked.\n",
        SLOT_SECONDS, SEAL_SECONDS, SEAL_GRACE_SECONDS);
}

void meter_spec_write(const struct config *config, FILE *out)
{
    write_head(config, out);
    write_sources(config, out);
    write_wans(config, out);
    write_accounts(config, out);
    write_tariffs(config, out);
    write_promises(out);
}
