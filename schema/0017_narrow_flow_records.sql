-- A flow record in half as many columns: what is small shares one, in bits (schema/flow_columns.h); what is seldom other
-- than its default has a row of its own. The view 'flow' shows all of it as before. See docs/adr/0026.

-- One row a flow record, in the order of writing and without a further index: that is what keeps writing fast.
-- Counters are since the flow's record before. Those of both directions come first: the audit reads no further. 'reply' is
-- the direction against that of the flow's first packet; what is not of it is 'orig'.
CREATE TABLE narrow_record (
    packets INTEGER NOT NULL,          -- packets, both directions
    l2_bytes INTEGER NOT NULL,         -- bytes, both directions
    l3_bytes INTEGER NOT NULL,         -- bytes, both directions
    billed_bytes INTEGER NOT NULL,     -- bytes, both directions
    reply_packets INTEGER NOT NULL,    -- packets
    reply_l2_bytes INTEGER NOT NULL,   -- bytes
    reply_l3_bytes INTEGER NOT NULL,   -- bytes
    reply_billed_bytes INTEGER NOT NULL,  -- bytes
    seal INTEGER NOT NULL,             -- of the moment when the record was cut, or later
    id INTEGER NOT NULL,               -- of the flow: from zone, tuple and time of the first packet
    start_ns INTEGER NOT NULL,         -- ns, the flow's first packet
    first_after_ns INTEGER NOT NULL,   -- ns from start_ns to this record's first packet
    last_after_ns INTEGER NOT NULL,    -- ns from start_ns to the flow's last packet so far
    src_address ANY NOT NULL,          -- of the original direction; IPv4: the address as a number; IPv6: text
    dst_address ANY NOT NULL,
    tuple INTEGER NOT NULL,            -- bits 0-15 destination port, 16-31 source port (ICMP: both the id), 32-39 IANA protocol, 40-47 icmp_type, 48-55 icmp_code, 56: without ports or id
    traits INTEGER NOT NULL,           -- bits 0-7 state (table connection_state), 8-15 end_reason (its table), 16-23 kind (0: interim, 1: final), 24-31 wan_match, 32-47 zone
    owner INTEGER NOT NULL,            -- bits 0-15 class, 16-31 id of the WAN, 32-62 id of the account
    status INTEGER NOT NULL,           -- bits 0-31 as in Linux's enum ip_conntrack_status, 32-63 mark
    labels ANY,                        -- the number, up to 63 bits; more: 16 bytes, the highest bits first; NULL: none set
    flow_labels INTEGER NOT NULL,      -- IPv6 flow labels of the directions' first packets: bits 0-31 orig, 32-63 reply; 0: none
    resume INTEGER NOT NULL,           -- bits, enum flow_resume of proto/record.h
    record_id INTEGER PRIMARY KEY      -- the last: SQLite does not copy what is inserted without it
) STRICT;

-- What of a record is not as it mostly is; a record without a row here has what each line says.
CREATE TABLE flow_extra (
    record_id INTEGER PRIMARY KEY,     -- of flow_record
    first_ns INTEGER,                  -- ns; NULL: start_ns + first_after_ns; here only beyond 64 bits of distance
    last_ns INTEGER,                   -- ns; the same
    master_id INTEGER,                 -- of the flow that expected this one; NULL: none
    orig_ct_packets INTEGER NOT NULL,  -- packets, as nf_conntrack counts; else orig_packets
    orig_ct_l3_bytes INTEGER NOT NULL,   -- bytes, as nf_conntrack counts; else orig_l3_bytes
    reply_ct_packets INTEGER NOT NULL,   -- packets, as nf_conntrack counts; else reply_packets
    reply_ct_l3_bytes INTEGER NOT NULL,  -- bytes, as nf_conntrack counts; else reply_l3_bytes
    invalid_packets INTEGER NOT NULL,  -- packets that nf_conntrack calls INVALID; else 0
    wan_changes INTEGER NOT NULL,      -- packets of this record on another WAN than the owner's; else 0
    flow_label_changes INTEGER NOT NULL,  -- packets of this record with another flow label than the one before in their direction; else 0
    merged_packets INTEGER NOT NULL    -- packets of this record that were several before the capturing machine merged them: billed as these; else 0
) STRICT;

INSERT INTO flow_extra
SELECT record_id, iif(typeof(first_ns - start_ns) = 'integer', NULL, first_ns),
       iif(typeof(last_ns - start_ns) = 'integer', NULL, last_ns), master_id,
       orig_ct_packets, orig_ct_l3_bytes, reply_ct_packets, reply_ct_l3_bytes,
       invalid_packets, wan_changes, flow_label_changes, merged_packets
FROM flow_record
WHERE typeof(first_ns - start_ns) <> 'integer' OR typeof(last_ns - start_ns) <> 'integer' OR master_id IS NOT NULL OR orig_ct_packets <> orig_packets OR orig_ct_l3_bytes <> orig_l3_bytes
    OR reply_ct_packets <> reply_packets OR reply_ct_l3_bytes <> reply_l3_bytes
    OR invalid_packets OR wan_changes OR flow_label_changes OR merged_packets
ORDER BY record_id;

INSERT INTO narrow_record
SELECT orig_packets + reply_packets, orig_l2_bytes + reply_l2_bytes, orig_l3_bytes + reply_l3_bytes,
       orig_billed_bytes + reply_billed_bytes, reply_packets, reply_l2_bytes, reply_l3_bytes, reply_billed_bytes,
       seal, id, start_ns, iif(typeof(first_ns - start_ns) = 'integer', first_ns - start_ns, 0),
       iif(typeof(last_ns - start_ns) = 'integer', last_ns - start_ns, 0), src_address, dst_address,
       coalesce(dst_port | (src_port << 16), 1 << 56) | (protocol << 32)
       | coalesce((icmp_type << 40) | (icmp_code << 48), 0),
       state | (end_reason << 8) | (kind << 16) | (wan_match << 24) | (zone << 32),
       class | (wan_id << 16) | (account_id << 32),
       status | (mark << 32), labels, flow_label_orig | (flow_label_reply << 32), resume, record_id
FROM flow_record ORDER BY record_id;

-- What is taken out is written over, as retention does it.
PRAGMA secure_delete = ON;
DROP TABLE flow_record;
ALTER TABLE narrow_record RENAME TO flow_record;
