#include "cli/doctor/ethtool.h"

#include <assert.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { WORD_BITS = 32 };

static_assert(ETHTOOL_NAME_SIZE == ETH_GSTRING_LEN + 1, "a name and its end");

static int ask(int descriptor, const char *interface, void *command)
{
    struct ifreq request = {.ifr_data = command};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    return ioctl(descriptor, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

/* How many features this kernel knows. */
static int count_features(int descriptor, const char *interface, uint32_t *n)
{
    size_t size = sizeof(struct ethtool_sset_info) + sizeof(uint32_t);
    struct ethtool_sset_info *command = calloc(1, size);
    assert(command != NULL);
    command->cmd = ETHTOOL_GSSET_INFO;
    command->sset_mask = 1ULL << ETH_SS_FEATURES;
    int result = ask(descriptor, interface, command);
    *n = command->sset_mask != 0 ? command->data[0] : 0;
    free(command);
    return result;
}

static int read_names(int descriptor, const char *interface, struct ethtool_features *features)
{
    struct ethtool_gstrings *command = calloc(1, sizeof *command + features->n * ETH_GSTRING_LEN);
    assert(command != NULL);
    command->cmd = ETHTOOL_GSTRINGS;
    command->string_set = ETH_SS_FEATURES;
    command->len = (uint32_t)features->n;
    int result = ask(descriptor, interface, command);
    for (size_t i = 0; result == 0 && i < features->n; i++)
        memcpy(features->items[i].name, command->data + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
    free(command);
    return result;
}

static int read_states(int descriptor, const char *interface, struct ethtool_features *features)
{
    size_t n_words = (features->n + WORD_BITS - 1) / WORD_BITS;
    struct ethtool_gfeatures *command =
        calloc(1, sizeof *command + n_words * sizeof command->features[0]);
    assert(command != NULL);
    command->cmd = ETHTOOL_GFEATURES;
    command->size = (uint32_t)n_words;
    int result = ask(descriptor, interface, command);
    for (size_t i = 0; result == 0 && i < features->n; i++) {
        const struct ethtool_get_features_block *word = &command->features[i / WORD_BITS];
        uint32_t bit = 1u << i % WORD_BITS;
        features->items[i].is_on = (word->active & bit) != 0;
        features->items[i].is_fixed = (word->available & bit) == 0 || (word->never_changed & bit);
    }
    free(command);
    return result;
}

int ethtool_features_create(int descriptor, const char *interface, struct ethtool_features **out)
{
    uint32_t n = 0;
    int result = count_features(descriptor, interface, &n);
    if (result != 0)
        return result;
    struct ethtool_features *features = calloc(1, sizeof *features + n * sizeof features->items[0]);
    assert(features != NULL);
    features->n = n;
    result = read_names(descriptor, interface, features);
    if (result == 0)
        result = read_states(descriptor, interface, features);
    if (result == 0)
        *out = features;
    else
        ethtool_features_destroy(features);
    return result;
}

void ethtool_features_destroy(struct ethtool_features *features)
{
    free(features);
}

int ethtool_receive_ring(int descriptor, const char *interface, uint32_t *n_set, uint32_t *n_max)
{
    struct ethtool_ringparam command = {.cmd = ETHTOOL_GRINGPARAM};
    int result = ask(descriptor, interface, &command);
    *n_set = command.rx_pending;
    *n_max = command.rx_max_pending;
    return result;
}
