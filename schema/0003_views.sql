-- What people ask for, by name. Joins are LEFT: a number without a name never hides a row from a sum.

CREATE VIEW usage AS
SELECT
    u.slot_ns,                          -- ns, start of the slot
    300 AS slot_seconds,                -- s
    a.name AS account,
    w.name AS wan,
    d.name AS direction,                -- 'up', 'down' or 'none'
    c.name AS class,
    u.packets,                          -- packets
    u.l2_bytes,                         -- bytes
    u.l3_bytes,                         -- bytes
    u.billed_bytes,                     -- bytes
    m.name AS model,
    nullif(k.name, 'none') AS cause     -- why it is malformed; NULL: it is not
FROM usage_slot AS u
LEFT JOIN malformed_cause AS k ON k.number = u.cause
LEFT JOIN account AS a ON a.id = u.account_id
LEFT JOIN wan AS w ON w.id = u.wan_id
LEFT JOIN direction AS d ON d.number = u.direction
LEFT JOIN class AS c ON c.number = u.class
LEFT JOIN overhead_model AS m ON m.id = u.model_id;

CREATE VIEW usage_hourly AS
SELECT
    slot_ns - ((slot_ns % 3600000000000) + 3600000000000) % 3600000000000 AS hour_ns,  -- ns, start of the hour, UTC
    account, wan, direction, class,
    sum(packets) AS packets,            -- packets
    sum(l2_bytes) AS l2_bytes,          -- bytes
    sum(l3_bytes) AS l3_bytes,          -- bytes
    sum(billed_bytes) AS billed_bytes,  -- bytes
    model
FROM usage
GROUP BY hour_ns, account, wan, direction, class, model;

CREATE VIEW usage_daily AS
SELECT
    slot_ns - ((slot_ns % 86400000000000) + 86400000000000) % 86400000000000 AS day_ns,  -- ns, start of the day, UTC
    account, wan, direction, class,
    sum(packets) AS packets,            -- packets
    sum(l2_bytes) AS l2_bytes,          -- bytes
    sum(l3_bytes) AS l3_bytes,          -- bytes
    sum(billed_bytes) AS billed_bytes,  -- bytes
    model
FROM usage
GROUP BY day_ns, account, wan, direction, class, model;

CREATE VIEW flow AS
WITH named AS (
    SELECT
        f.*,
        f.icmp_type IS NOT NULL AS is_icmp,
        CASE typeof(f.src_address)
            WHEN 'integer' THEN printf('%d.%d.%d.%d', f.src_address >> 24, f.src_address >> 16 & 255,
                                       f.src_address >> 8 & 255, f.src_address & 255)
            ELSE f.src_address END AS src_text,
        CASE typeof(f.dst_address)
            WHEN 'integer' THEN printf('%d.%d.%d.%d', f.dst_address >> 24, f.dst_address >> 16 & 255,
                                       f.dst_address >> 8 & 255, f.dst_address & 255)
            ELSE f.dst_address END AS dst_text
    FROM flow_record AS f
)
SELECT
    f.id,
    f.zone,
    f.protocol,                         -- IANA number
    coalesce(p.name, 'unknown') AS protocol_name,
    CASE typeof(f.src_address) WHEN 'integer' THEN 4 ELSE 6 END AS ip_version,
    f.src_text AS orig_src_address,
    CASE WHEN NOT f.is_icmp THEN f.src_port END AS orig_src_port,
    f.dst_text AS orig_dst_address,
    CASE WHEN NOT f.is_icmp THEN f.dst_port END AS orig_dst_port,
    f.dst_text AS reply_src_address,
    CASE WHEN NOT f.is_icmp THEN f.dst_port END AS reply_src_port,
    f.src_text AS reply_dst_address,
    CASE WHEN NOT f.is_icmp THEN f.src_port END AS reply_dst_port,
    f.icmp_type,                        -- of the first packet; NULL: not ICMP
    f.icmp_code,
    CASE WHEN f.is_icmp THEN f.src_port END AS icmp_id,  -- NULL: not ICMP, or a type without an id
    f.orig_packets,                     -- packets
    f.orig_l2_bytes,                    -- bytes
    f.orig_l3_bytes,                    -- bytes
    f.orig_billed_bytes,                -- bytes
    f.reply_packets,                    -- packets
    f.reply_l2_bytes,                   -- bytes
    f.reply_l3_bytes,                   -- bytes
    f.reply_billed_bytes,               -- bytes
    f.orig_ct_packets,                  -- packets, as nf_conntrack counts
    f.orig_ct_l3_bytes,                 -- bytes, as nf_conntrack counts
    f.reply_ct_packets,                 -- packets, as nf_conntrack counts
    f.reply_ct_l3_bytes,                -- bytes, as nf_conntrack counts
    f.invalid_packets,                  -- packets
    f.start_ns,                         -- ns, the flow's first packet
    f.first_ns,                         -- ns, this record's first packet
    f.last_ns,                          -- ns, the flow's last packet so far
    s.name AS state,
    f.status,                           -- bits as in Linux's enum ip_conntrack_status
    f.mark,
    CASE WHEN f.labels IS NOT NULL THEN lower(hex(f.labels)) END AS labels,
    f.master_id,
    w.name AS wan,
    a.name AS account,
    c.name AS class,
    f.wan_changes,                      -- packets
    f.flow_label_orig,
    f.flow_label_reply,
    e.name AS end_reason,
    CASE f.kind WHEN 0 THEN 'interim' ELSE 'final' END AS record
FROM named AS f
LEFT JOIN protocol AS p ON p.number = f.protocol
LEFT JOIN connection_state AS s ON s.number = f.state
LEFT JOIN wan AS w ON w.id = f.wan_id
LEFT JOIN account AS a ON a.id = f.account_id
LEFT JOIN class AS c ON c.number = f.class
LEFT JOIN end_reason AS e ON e.number = f.end_reason;

CREATE VIEW loss AS
SELECT
    l.first_ns,                         -- ns
    l.last_ns,                          -- ns
    l.stage,
    l.reason,
    s.producer || '/' || s.shard AS stream,
    l.packets,                          -- packets; NULL: unknown
    l.l2_bytes,                         -- bytes; NULL: unknown
    l.l3_bytes,                         -- bytes; NULL: unknown
    l.certainty,
    l.evidence,
    s.epoch,
    s.run_id
FROM loss_line AS l
LEFT JOIN stream AS s ON s.id = l.stream_id;
