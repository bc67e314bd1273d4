/* ethtool: what an interface's driver says of its features and rings, as ethtool(8) asks for it.
 *
 *     struct ethtool_features *features;
 *     ethtool_features_create(descriptor, "eth1", &features);
 *     features->items[i].name, is_on, is_fixed
 *     ethtool_features_destroy(features);
 *
 * 'descriptor' is any socket. Nothing is changed, and no privilege needed. Source: linux/ethtool.h
 * (SIOCETHTOOL). */
#ifndef WANMETER_CLI_DOCTOR_ETHTOOL_H
#define WANMETER_CLI_DOCTOR_ETHTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ETHTOOL_NAME_SIZE = 33 };

struct ethtool_feature {
    char name[ETHTOOL_NAME_SIZE]; /* the kernel's: "rx-gro", "tx-tcp-segmentation" */
    bool is_on;
    bool is_fixed; /* cannot be switched */
};

struct ethtool_features {
    size_t n;
    struct ethtool_feature items[];
};

/* 0 or -errno. */
int ethtool_features_create(int descriptor, const char *interface, struct ethtool_features **out);
void ethtool_features_destroy(struct ethtool_features *features); /* accepts NULL */

/* Places of the receive ring, as set and as possible. 0 or -errno (-EOPNOTSUPP: it has none). */
int ethtool_receive_ring(int descriptor, const char *interface, uint32_t *n_set, uint32_t *n_max);

#endif
