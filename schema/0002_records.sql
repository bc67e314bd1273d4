-- What the exporter writes. Times are nanoseconds since 1970-01-01 UTC; counts are of what they name.

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started_ns INTEGER NOT NULL,       -- ns, wall time
    finished_ns INTEGER,               -- ns, wall time; NULL: under way, or ended without a proper end
    version TEXT NOT NULL,             -- of wanmeter
    sqlite_version TEXT NOT NULL,
    config TEXT NOT NULL,              -- the effective configuration, YAML
    config_sha256 TEXT NOT NULL,       -- 64 hexadecimal digits, of the options that can change a bill
    has_flow_records INTEGER NOT NULL CHECK (has_flow_records IN (0, 1))  -- 0: usage only
) STRICT;

-- A stream is one producer's batches for one shard, from one start (epoch) of the producer.
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run,      -- the run that heard of it first
    kind TEXT NOT NULL CHECK (kind IN ('capture', 'tracker')),
    producer TEXT NOT NULL,
    epoch INTEGER NOT NULL,                      -- 64 random bits, as a signed number
    shard INTEGER NOT NULL,
    seq INTEGER NOT NULL CHECK (seq >= -1),      -- the last batch whose effect is here; -1: none
    packets_into_next INTEGER NOT NULL CHECK (packets_into_next >= 0),  -- packets of batch seq + 1 that are in as well
    packets INTEGER NOT NULL CHECK (packets >= 0),    -- packets, up to here since the epoch began
    l2_bytes INTEGER NOT NULL CHECK (l2_bytes >= 0),  -- bytes
    l3_bytes INTEGER NOT NULL CHECK (l3_bytes >= 0),  -- bytes
    closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),  -- 1: it ended, and all of it is here
    UNIQUE (producer, epoch, shard)
) STRICT;

-- A capture file or interface, as its worker counted it.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run,
    producer TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    source_index INTEGER NOT NULL,     -- over all workers of a run
    name TEXT NOT NULL,                -- path or interface
    sha256 TEXT,                       -- 64 hexadecimal digits, identity of a file; NULL: none
    packets INTEGER NOT NULL,          -- packets read
    l2_bytes INTEGER NOT NULL,         -- bytes read
    carrier_bytes INTEGER NOT NULL,    -- bytes of these: mirror carriers that were unwrapped, counted nowhere else
    first_ns INTEGER NOT NULL,         -- ns, packet time
    last_ns INTEGER NOT NULL,          -- ns, packet time
    is_complete INTEGER NOT NULL CHECK (is_complete IN (0, 1)),  -- 1: read to its end
    UNIQUE (producer, epoch, source_index)
) STRICT;

-- One row a sum. Everything that was counted is here, whether a flow record has the detail or not.
CREATE TABLE usage_slot (
    slot_ns INTEGER NOT NULL,          -- ns, start of the slot of 300 s
    account_id INTEGER NOT NULL,
    wan_id INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    class INTEGER NOT NULL,
    cause INTEGER NOT NULL,            -- of class 'malformed', and of what a cut link header made 'non_ip'
    model_id INTEGER NOT NULL,
    packets INTEGER NOT NULL,          -- packets
    l2_bytes INTEGER NOT NULL,         -- bytes, frames as captured
    l3_bytes INTEGER NOT NULL,         -- bytes, IP total length
    billed_bytes INTEGER NOT NULL,     -- bytes, by the overhead model
    PRIMARY KEY (slot_ns, account_id, wan_id, direction, class, cause, model_id)
) STRICT, WITHOUT ROWID;

-- One row a flow record, in the order of writing and without a further index: that is what keeps writing fast.
-- Counters are since the flow's record before. 'orig' is the direction of the flow's first packet.
CREATE TABLE flow_record (
    record_id INTEGER PRIMARY KEY,
    id INTEGER NOT NULL,               -- of the flow: from zone, tuple and time of the first packet
    master_id INTEGER,                 -- of the flow that expected this one
    start_ns INTEGER NOT NULL,         -- ns, the flow's first packet
    first_ns INTEGER NOT NULL,         -- ns, this record's first packet
    last_ns INTEGER NOT NULL,          -- ns, the flow's last packet so far
    src_address ANY NOT NULL,          -- of the original direction; IPv4: the address as a number; IPv6: text
    dst_address ANY NOT NULL,
    src_port INTEGER,                  -- ICMP: the id; NULL: the protocol has no ports
    dst_port INTEGER,
    protocol INTEGER NOT NULL,         -- IANA number
    icmp_type INTEGER,                 -- of the first packet; NULL: not ICMP
    icmp_code INTEGER,
    zone INTEGER NOT NULL,
    wan_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    class INTEGER NOT NULL,
    state INTEGER NOT NULL,            -- table connection_state
    status INTEGER NOT NULL,           -- bits as in Linux's enum ip_conntrack_status
    mark INTEGER NOT NULL,
    labels BLOB,                       -- 16 bytes; NULL: none set
    orig_packets INTEGER NOT NULL,     -- packets
    orig_l2_bytes INTEGER NOT NULL,    -- bytes
    orig_l3_bytes INTEGER NOT NULL,    -- bytes
    orig_billed_bytes INTEGER NOT NULL,  -- bytes
    orig_ct_packets INTEGER NOT NULL,  -- packets, as nf_conntrack counts
    orig_ct_l3_bytes INTEGER NOT NULL,   -- bytes, as nf_conntrack counts
    reply_packets INTEGER NOT NULL,    -- packets
    reply_l2_bytes INTEGER NOT NULL,   -- bytes
    reply_l3_bytes INTEGER NOT NULL,   -- bytes
    reply_billed_bytes INTEGER NOT NULL,  -- bytes
    reply_ct_packets INTEGER NOT NULL,    -- packets, as nf_conntrack counts
    reply_ct_l3_bytes INTEGER NOT NULL,   -- bytes, as nf_conntrack counts
    invalid_packets INTEGER NOT NULL,  -- packets that nf_conntrack calls INVALID
    wan_changes INTEGER NOT NULL,      -- packets of this record on another WAN than wan_id
    flow_label_orig INTEGER NOT NULL,  -- IPv6 flow label of the direction's first packet; 0: none
    flow_label_reply INTEGER NOT NULL,
    kind INTEGER NOT NULL,             -- 0: interim, 1: final
    end_reason INTEGER NOT NULL        -- table end_reason
) STRICT;

-- Bounded ignorance: what was lost where, or may have been. Unknown amounts are NULL.
CREATE TABLE loss_line (
    id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES stream,  -- by which it was heard of
    first_ns INTEGER NOT NULL,         -- ns
    last_ns INTEGER NOT NULL,          -- ns
    stage TEXT NOT NULL CHECK (stage IN ('nic', 'kernel', 'source', 'capture', 'tracker', 'exporter')),
    reason TEXT NOT NULL,
    packets INTEGER CHECK (packets >= 0),    -- packets
    l2_bytes INTEGER CHECK (l2_bytes >= 0),  -- bytes
    l3_bytes INTEGER CHECK (l3_bytes >= 0),  -- bytes
    certainty TEXT NOT NULL CHECK (certainty IN ('exact', 'derived', 'upper_bound', 'unknown')),
    evidence TEXT NOT NULL             -- for people
) STRICT;
