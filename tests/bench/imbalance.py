"""imbalance: how evenly the connections and packets of a replay lie over its shards, and what no hash could better.

    database = …                        of a replay with --set capture.rss_key=microsoft
    shares = imbalance.shares(database)
    imbalance.show(shares, n_shards, imbalance.packets_by_shard(database))

'Imbalance': how much more than the mean of the shards the one with the most has. A connection is in one shard, so one
with more than a shard's fair share of packets is imbalance whatever chooses the shard: the figures are given with such
connections and without, beside what the same connections give when they are dealt out by chance.
"""

import random
import socket
import sqlite3
import statistics
import sys
from dataclasses import dataclass

# Microsoft, "Verifying the RSS hash calculation".
MICROSOFT_KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
INPUT_MAX = 36
N_KEYS = 100      # and as many deals by chance
FLOWS = """SELECT orig_src_address, coalesce(orig_src_port, icmp_id, 0), orig_dst_address, coalesce(orig_dst_port, icmp_id, 0),
                  sum(orig_packets + reply_packets)
           FROM flow GROUP BY id"""


@dataclass
class Share:
    """A connection."""
    tag_input: bytes    # the lower endpoint's address, the higher one's, their ports (proto/rss.h)
    packets: int


def shares(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute(FLOWS).fetchall()
    connection.close()
    return [Share(tag_input(*row[:4]), row[4]) for row in rows]


def tag_input(source, source_port, destination, destination_port):
    ends = sorted([(binary(source), source_port.to_bytes(2, "big")), (binary(destination), destination_port.to_bytes(2, "big"))])
    return ends[0][0] + ends[1][0] + ends[0][1] + ends[1][1]


def binary(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def packets_by_shard(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute("SELECT sum(packets) FROM stream WHERE kind = 'capture' GROUP BY shard ORDER BY shard").fetchall()
    connection.close()
    return [row[0] for row in rows]


def of(numbers):
    return max(numbers) * len(numbers) / sum(numbers) - 1


def toeplitz_tables(key):
    """Of each place of the input: what each byte there adds to the hash."""
    bits = int.from_bytes(key, "big")
    windows = [bits >> (8 * len(key) - 32 - bit) & 0xffffffff for bit in range(8 * INPUT_MAX)]
    tables = []
    for at in range(INPUT_MAX):
        table = [0]
        for bit in range(7, -1, -1):    # from the lowest: each doubles the table
            table += [hash_so_far ^ windows[8 * at + bit] for hash_so_far in table]
        tables.append(table)
    return tables


def deal(found, n_shards, key):
    """(packets, connections) by shard, as capture deals them out (rss_shard)."""
    tables = toeplitz_tables(key)
    packets, connections = [0] * n_shards, [0] * n_shards
    for share in found:
        tag = 0
        for table, byte in zip(tables, share.tag_input):
            tag ^= table[byte]
        packets[tag * n_shards >> 32] += share.packets
        connections[tag * n_shards >> 32] += 1
    return packets, connections


def deal_by_chance(found, n_shards, source):
    packets, connections = [0] * n_shards, [0] * n_shards
    for share in found:
        shard = source.randrange(n_shards)
        packets[shard] += share.packets
        connections[shard] += 1
    return packets, connections


def without_the_heaviest(found, n_shards):
    """Without connections that have more packets than a shard's share of what is left."""
    left = sorted(found, key=lambda share: share.packets)
    while left and left[-1].packets * n_shards > sum(share.packets for share in left):
        left.pop()
    return left


def show(found, n_shards, seen):
    """'seen': packets by shard of the replay that 'found' is from."""
    packets, connections = deal(found, n_shards, MICROSOFT_KEY)
    if any(ours > theirs for ours, theirs in zip(packets, seen)):
        sys.exit(f"imbalance: the tags here are not those of capture: {packets} packets of connections, {seen} of all")
    heaviest = max(share.packets for share in found)
    left = without_the_heaviest(found, n_shards)
    print(f"{len(found)} connections, {sum(packets)} packets in them; of all packets the busiest shard has "
          f"{of(seen):.1%} more than the mean, of connections {of(connections):.1%}")
    print(f"the heaviest connection has {heaviest / sum(packets):.1%} of the packets: {heaviest * n_shards / sum(packets) - 1:.1%} "
          f"more than the mean, alone in a shard")
    print(f"imbalance, mean of {N_KEYS} keys  connections  packets    by chance: connections  packets")
    for name, chosen in (("all connections", found), (f"without {len(found) - len(left)}", left)):
        source = random.Random(1)
        keyed = [deal(chosen, n_shards, source.randbytes(len(MICROSOFT_KEY))) for _ in range(N_KEYS)]
        chance = [deal_by_chance(chosen, n_shards, source) for _ in range(N_KEYS)]
        figures = [statistics.mean(of(deal[what]) for deal in deals) for deals in (keyed, chance) for what in (1, 0)]
        print(f"{name:27} {figures[0]:11.1%} {figures[1]:8.1%} {figures[2]:24.1%} {figures[3]:8.1%}", flush=True)
