-- The views, as they are today: dropped and made again after every migration, so a step of a table's (NNNN_name.sql) need
-- not repeat them. A change here needs a new step, if only one that says so: that is what makes databases take it up.

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
    nullif(k.name, 'none') AS cause,    -- why it is malformed; NULL: it is not
    m.sha256 AS model_sha256,           -- of the model's definition
    CASE
        WHEN u.slot_ns / 900000000000 < u.seal THEN 'correction'  -- the slot's own seal was closed by then
        WHEN EXISTS (SELECT 1 FROM period_seal AS s WHERE s.number = u.seal) THEN 'final'
        ELSE 'interim'                                            -- may still grow
    END AS status,
    u.seal,                             -- the seal that it is in, or will be
    CASE WHEN u.slot_ns / 900000000000 < u.seal THEN u.slot_ns / 900000000000 END AS corrects,  -- a seal; NULL: none
    m.definition LIKE '%estimate(%' AS is_estimated  -- 1: what the link made of the headers is not known exactly
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

-- The columns of flow_record that hold several things, taken apart, with what flow_extra has beside them.
CREATE VIEW flow_record_wide AS
SELECT
    f.record_id, f.seal, f.id, f.start_ns,
    coalesce(x.first_ns, f.start_ns + f.first_after_ns) AS first_ns,
    coalesce(x.last_ns, f.start_ns + f.last_after_ns) AS last_ns,
    CASE typeof(f.src_address) WHEN 'integer' THEN 4 ELSE 6 END AS ip_version,
    CASE typeof(f.src_address)
        WHEN 'integer' THEN printf('%d.%d.%d.%d', f.src_address >> 24, f.src_address >> 16 & 255,
                                   f.src_address >> 8 & 255, f.src_address & 255)
        ELSE f.src_address END AS src_address,
    CASE typeof(f.dst_address)
        WHEN 'integer' THEN printf('%d.%d.%d.%d', f.dst_address >> 24, f.dst_address >> 16 & 255,
                                   f.dst_address >> 8 & 255, f.dst_address & 255)
        ELSE f.dst_address END AS dst_address,
    CASE f.tuple >> 56 WHEN 0 THEN f.tuple >> 16 & 65535 END AS src_port,  -- ICMP: the id; NULL: without ports or id
    CASE f.tuple >> 56 WHEN 0 THEN f.tuple & 65535 END AS dst_port,
    f.tuple >> 32 & 255 AS protocol,
    f.tuple >> 32 & 255 IN (1, 58) AS is_icmp,
    f.tuple >> 40 & 255 AS icmp_type,
    f.tuple >> 48 & 255 AS icmp_code,
    f.packets - f.reply_packets AS orig_packets,
    f.l2_bytes - f.reply_l2_bytes AS orig_l2_bytes,
    f.l3_bytes - f.reply_l3_bytes AS orig_l3_bytes,
    f.billed_bytes - f.reply_billed_bytes AS orig_billed_bytes,
    f.reply_packets, f.reply_l2_bytes, f.reply_l3_bytes, f.reply_billed_bytes,
    coalesce(x.orig_ct_packets, f.packets - f.reply_packets) AS orig_ct_packets,
    coalesce(x.orig_ct_l3_bytes, f.l3_bytes - f.reply_l3_bytes) AS orig_ct_l3_bytes,
    coalesce(x.reply_ct_packets, f.reply_packets) AS reply_ct_packets,
    coalesce(x.reply_ct_l3_bytes, f.reply_l3_bytes) AS reply_ct_l3_bytes,
    coalesce(x.invalid_packets, 0) AS invalid_packets,
    f.traits & 255 AS state,
    f.traits >> 8 & 255 AS end_reason,
    f.traits >> 16 & 255 AS kind,
    f.traits >> 24 & 255 AS wan_match,
    f.traits >> 32 & 65535 AS zone,
    f.owner & 65535 AS class,
    f.owner >> 16 & 65535 AS wan_id,
    f.owner >> 32 AS account_id,
    f.status & 4294967295 AS status,
    f.status >> 32 & 4294967295 AS mark,
    CASE typeof(f.labels) WHEN 'integer' THEN printf('%032x', f.labels) WHEN 'blob' THEN lower(hex(f.labels)) END AS labels,
    x.master_id,
    coalesce(x.wan_changes, 0) AS wan_changes,
    f.flow_labels & 4294967295 AS flow_label_orig,
    f.flow_labels >> 32 & 4294967295 AS flow_label_reply,
    coalesce(x.flow_label_changes, 0) AS flow_label_changes,
    coalesce(x.merged_packets, 0) AS merged_packets,
    f.resume
FROM flow_record AS f
LEFT JOIN flow_extra AS x ON x.record_id = f.record_id;

CREATE VIEW flow AS
SELECT
    f.id,
    f.zone,
    f.protocol,                         -- IANA number
    coalesce(p.name, 'unknown') AS protocol_name,
    f.ip_version,
    f.src_address AS orig_src_address,
    CASE WHEN NOT f.is_icmp THEN f.src_port END AS orig_src_port,
    f.dst_address AS orig_dst_address,
    CASE WHEN NOT f.is_icmp THEN f.dst_port END AS orig_dst_port,
    f.dst_address AS reply_src_address,
    CASE WHEN NOT f.is_icmp THEN f.dst_port END AS reply_src_port,
    f.src_address AS reply_dst_address,
    CASE WHEN NOT f.is_icmp THEN f.src_port END AS reply_dst_port,
    CASE WHEN f.is_icmp THEN f.icmp_type END AS icmp_type,  -- of the first packet; NULL: not ICMP
    CASE WHEN f.is_icmp THEN f.icmp_code END AS icmp_code,
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
    f.labels,                           -- 32 hexadecimal digits: bit N is 1 << N; NULL: none is set
    CASE WHEN f.labels IS NOT NULL THEN (
        SELECT group_concat(name) FROM (
            SELECT n.name FROM label_name AS n
            WHERE (instr('123456789abcdef', substr(f.labels, 32 - n.bit / 4, 1)) >> (n.bit % 4)) & 1
                AND n.id = (SELECT max(m.id) FROM label_name AS m WHERE m.bit = n.bit
                            AND m.from_record_id <= f.record_id AND m.since_ns <= f.last_ns)
            ORDER BY n.bit))
    END AS label_names,                 -- of the bits that have one, a comma between
    f.master_id,
    w.name AS wan,
    a.name AS account,
    c.name AS class,
    f.wan_changes,                      -- packets
    nullif(f.wan_match, 0) AS wan_match,  -- which of the WAN's matches held, from 1; NULL: no WAN, or not known
    f.flow_label_orig,
    f.flow_label_reply,
    f.flow_label_changes,               -- packets
    f.merged_packets,                   -- packets that were several: billed as these
    e.name AS end_reason,
    CASE f.kind WHEN 0 THEN 'interim' ELSE 'final' END AS record,
    f.seal                              -- the seal that it is in, or will be
FROM flow_record_wide AS f
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
    s.run_id,
    l.seal                              -- the seal that it is in, or will be
FROM loss_line AS l
LEFT JOIN stream AS s ON s.id = l.stream_id;

-- Counted in usage, and in no flow record: what a tracker that was killed had not told yet. Nothing is missing from a bill.
CREATE VIEW flow_gap AS
SELECT
    g.first_ns,                         -- ns; not before
    g.last_ns,                          -- ns; not after
    s.producer || '/' || s.shard AS stream,
    g.packets,                          -- packets
    g.l2_bytes,                         -- bytes
    g.l3_bytes,                         -- bytes
    g.billed_bytes,                     -- bytes
    s.epoch,
    s.run_id,
    g.seal                              -- the seal that it is in, or will be
FROM gap_line AS g
LEFT JOIN stream AS s ON s.id = g.stream_id;

-- Quotas: which threshold was reached when.

CREATE VIEW quota AS
SELECT
    t.name AS tariff,
    a.name AS account,
    q.begin_ns,                         -- ns, of the billing period
    q.end_ns,                           -- ns
    q.percent,                          -- of the quota
    q.quota_bytes,                      -- bytes
    q.slot_ns,                          -- ns, start of the slot in which it was reached
    q.used_bytes                        -- bytes, at the end of that slot
FROM quota_event AS q
LEFT JOIN quota_tariff AS t ON t.id = q.tariff_id
LEFT JOIN account AS a ON a.id = q.account_id;

-- The losses and the coverage of a slot, beside each of its usage rows. A loss line that reaches over several slots is in
-- each of them: what a slot lost is at most this.

CREATE VIEW slot_loss AS
WITH line AS (
    SELECT DISTINCT u.slot_ns, l.id, l.packets, l.l2_bytes, l.l3_bytes
    FROM loss_line AS l CROSS JOIN usage_slot AS u
        ON u.slot_ns > l.first_ns - 300000000000 AND u.slot_ns <= l.last_ns
)
SELECT
    slot_ns,                            -- ns, start of the slot
    count(*) AS loss_lines,
    CASE WHEN count(packets) = count(*) THEN sum(packets) END AS lost_packets,      -- packets; NULL: unknown
    CASE WHEN count(l2_bytes) = count(*) THEN sum(l2_bytes) END AS lost_l2_bytes,   -- bytes; NULL: unknown
    CASE WHEN count(l3_bytes) = count(*) THEN sum(l3_bytes) END AS lost_l3_bytes    -- bytes; NULL: unknown
FROM line
GROUP BY slot_ns;

CREATE VIEW slot_coverage AS
WITH
    piece AS (
        SELECT DISTINCT u.slot_ns, max(s.first_ns, u.slot_ns) AS begin_ns,
                        min(s.last_ns, u.slot_ns + 300000000000) AS end_ns
        FROM source AS s CROSS JOIN usage_slot AS u
            ON u.slot_ns > s.first_ns - 300000000000 AND u.slot_ns <= s.last_ns
        WHERE s.packets > 0
    ),
    placed AS (
        SELECT slot_ns, begin_ns, end_ns,
               max(end_ns) OVER (PARTITION BY slot_ns ORDER BY begin_ns, end_ns
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_ns
        FROM piece
    )
SELECT
    slot_ns,                            -- ns, start of the slot
    sum(max(0, end_ns - max(begin_ns, coalesce(before_ns, begin_ns)))) / 300000 AS coverage_ppm
FROM placed
GROUP BY slot_ns;

CREATE VIEW usage_record AS
SELECT
    u.*,
    coalesce(c.coverage_ppm, 0) AS coverage_ppm,  -- millionths of the slot between a source's first and last packet
    coalesce(l.loss_lines, 0) AS loss_lines,
    CASE WHEN l.slot_ns IS NULL THEN 0 ELSE l.lost_packets END AS lost_packets,    -- packets, at most; NULL: unknown
    CASE WHEN l.slot_ns IS NULL THEN 0 ELSE l.lost_l2_bytes END AS lost_l2_bytes,  -- bytes, at most; NULL: unknown
    CASE WHEN l.slot_ns IS NULL THEN 0 ELSE l.lost_l3_bytes END AS lost_l3_bytes   -- bytes, at most; NULL: unknown
FROM usage AS u
LEFT JOIN slot_loss AS l ON l.slot_ns = u.slot_ns
LEFT JOIN slot_coverage AS c ON c.slot_ns = u.slot_ns;

-- The chain of seals.

CREATE VIEW seal AS
SELECT
    number AS seal,                     -- quarter hours since 1970 UTC
    number * 900000000000 AS start_ns,  -- ns, the time that it covers
    (number + 1) * 900000000000 AS end_ns,  -- ns
    sealed_ns,                          -- ns, wall time
    hash,                               -- SHA-256, 64 hexadecimal digits
    previous,                           -- hash of the seal before; zeros: the first
    usage_rows,
    flow_rows,
    loss_rows,
    packets,                            -- packets, sum of the usage rows
    l2_bytes,                           -- bytes
    l3_bytes,                           -- bytes
    billed_bytes,                       -- bytes
    usage_sha256,                       -- of the lines of 'seal_usage', in their order
    flow_sum,                           -- over the flow records (proto/seal.h)
    loss_sha256                         -- of the lines of 'seal_loss', in their order
FROM period_seal;

-- What is hashed: a line a row, without the numbers that only this database gives to names.

CREATE VIEW seal_usage AS
SELECT
    u.seal, u.slot_ns, u.packets, u.l2_bytes, u.l3_bytes, u.billed_bytes,
    coalesce(a.name, '#' || u.account_id) AS account,
    coalesce(w.name, '#' || u.wan_id) AS wan,
    u.slot_ns || char(9) || coalesce(a.name, '#' || u.account_id) || char(9) || coalesce(w.name, '#' || u.wan_id) || char(9)
    || coalesce(d.name, '#' || u.direction) || char(9) || coalesce(c.name, '#' || u.class) || char(9)
    || coalesce(k.name, '#' || u.cause) || char(9) || coalesce(m.name, '#' || u.model_id) || char(9)
    || coalesce(m.sha256, '') || char(9) || u.packets || char(9) || u.l2_bytes || char(9) || u.l3_bytes || char(9)
    || u.billed_bytes AS line
FROM usage_slot AS u
LEFT JOIN malformed_cause AS k ON k.number = u.cause
LEFT JOIN account AS a ON a.id = u.account_id
LEFT JOIN wan AS w ON w.id = u.wan_id
LEFT JOIN direction AS d ON d.number = u.direction
LEFT JOIN class AS c ON c.number = u.class
LEFT JOIN overhead_model AS m ON m.id = u.model_id;

CREATE VIEW seal_loss AS
SELECT
    seal, first_ns,
    first_ns || char(9) || last_ns || char(9) || stage || char(9) || reason || char(9) || coalesce(packets, 'unknown')
    || char(9) || coalesce(l2_bytes, 'unknown') || char(9) || coalesce(l3_bytes, 'unknown') || char(9) || certainty
    || char(9) || hex(evidence) AS line
FROM loss_line
UNION ALL
SELECT
    seal, first_ns,
    first_ns || char(9) || last_ns || char(9) || 'flow_gap' || char(9) || packets || char(9) || l2_bytes || char(9)
    || l3_bytes || char(9) || billed_bytes
FROM gap_line;

-- Flow records that were deleted by age, seal by seal.
CREATE VIEW pruned AS
SELECT
    seal,
    seal * 900000000000 AS start_ns,    -- ns, the time that the seal covers
    (seal + 1) * 900000000000 AS end_ns,  -- ns
    flow_rows,
    packets,                            -- packets, as the records told of
    l2_bytes,                           -- bytes
    l3_bytes,                           -- bytes
    billed_bytes,                       -- bytes
    pruned_ns                           -- ns, wall time, of the last
FROM pruned_flows;

-- The proof: everything captured is counted or declared lost.
--
-- 'captured' is what the capture streams' totals say has been applied. A loss line is part of these totals when the
-- packets were lost after they had been captured (stages capture, tracker, exporter) and counted one by one
-- (certainty exact). All other loss lines lie outside: they make the bill 'bounded', not wrong.

CREATE VIEW audit_loss AS
SELECT
    packets, l2_bytes, l3_bytes,
    stage IN ('capture', 'tracker', 'exporter') AND certainty = 'exact'
        AND packets IS NOT NULL AND l2_bytes IS NOT NULL AND l3_bytes IS NOT NULL AS is_in_totals
FROM loss_line;

-- Flow records together are the usage of the classes of flows ('connection', and those that rules give), but for what is
-- still open in trackers, and for the gaps that killed ones left. A stream that has ended has nothing open. If some run
-- wrote no flow records, there may be less in them, never more.
CREATE VIEW audit_flows AS
WITH
    u AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes, coalesce(sum(billed_bytes), 0) AS billed_bytes
        FROM usage_slot WHERE class IN (SELECT number FROM class WHERE is_of_flows)
    ),
    f AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes, coalesce(sum(billed_bytes), 0) AS billed_bytes
        FROM flow_record
    ),
    p AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes, coalesce(sum(billed_bytes), 0) AS billed_bytes
        FROM pruned_flows
    ),
    g AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes, coalesce(sum(billed_bytes), 0) AS billed_bytes
        FROM gap_line
    ),
    o AS (
        SELECT coalesce(sum(open_packets), 0) AS packets, coalesce(sum(open_l2_bytes), 0) AS l2_bytes,
               coalesce(sum(open_l3_bytes), 0) AS l3_bytes, coalesce(sum(open_billed_bytes), 0) AS billed_bytes,
               coalesce(max(closed AND (open_packets OR open_l2_bytes OR open_l3_bytes OR open_billed_bytes)), 0)
                   AS is_late
        FROM stream
    ),
    r AS (
        SELECT count(*) FILTER (WHERE NOT has_flow_records) = 0 AS is_compared FROM run
    ),
    d AS (
        SELECT u.packets - f.packets - p.packets - g.packets - o.packets AS packets,
               u.l2_bytes - f.l2_bytes - p.l2_bytes - g.l2_bytes - o.l2_bytes AS l2_bytes,
               u.l3_bytes - f.l3_bytes - p.l3_bytes - g.l3_bytes - o.l3_bytes AS l3_bytes,
               u.billed_bytes - f.billed_bytes - p.billed_bytes - g.billed_bytes - o.billed_bytes AS billed_bytes
        FROM u, f, p, g, o
    )
SELECT
    u.packets AS usage_packets, f.packets AS flow_packets, g.packets AS gap_packets,    -- packets
    p.packets AS pruned_packets, o.packets AS open_packets, d.packets AS difference_packets,  -- packets
    u.l2_bytes AS usage_l2_bytes, f.l2_bytes AS flow_l2_bytes, g.l2_bytes AS gap_l2_bytes,  -- bytes
    o.l2_bytes AS open_l2_bytes, d.l2_bytes AS difference_l2_bytes,                     -- bytes
    u.l3_bytes AS usage_l3_bytes, f.l3_bytes AS flow_l3_bytes, g.l3_bytes AS gap_l3_bytes,  -- bytes
    o.l3_bytes AS open_l3_bytes, d.l3_bytes AS difference_l3_bytes,                     -- bytes
    u.billed_bytes AS usage_billed_bytes, f.billed_bytes AS flow_billed_bytes,          -- bytes
    g.billed_bytes AS gap_billed_bytes, o.billed_bytes AS open_billed_bytes,            -- bytes
    d.billed_bytes AS difference_billed_bytes,                                          -- bytes
    CASE
        WHEN min(d.packets, d.l2_bytes, d.l3_bytes, d.billed_bytes) < 0 OR o.is_late THEN 'mismatch'
        WHEN NOT r.is_compared THEN 'not_compared'
        WHEN max(d.packets, d.l2_bytes, d.l3_bytes, d.billed_bytes) > 0 THEN 'mismatch'
        ELSE 'equal'
    END AS verdict
FROM u, f, p, g, o, r, d;

-- What each capture worker read from its sources, without the mirror carriers around it, is what its streams carried, once all its sources are read to the end.
CREATE VIEW audit_sources AS
WITH
    read AS (
        SELECT producer, epoch, min(is_complete) AS is_complete, sum(packets) AS packets,
               sum(l2_bytes - carrier_bytes) AS l2_bytes
        FROM source GROUP BY producer, epoch
    ),
    carried AS (
        SELECT producer, epoch, sum(packets) AS packets, sum(l2_bytes) AS l2_bytes,
               min(closed AND NOT EXISTS (SELECT 1 FROM loss_line AS l
                                          WHERE l.stream_id = s.id AND l.reason = 'not_ended')) AS is_closed
        FROM stream AS s WHERE kind = 'capture' GROUP BY producer, epoch
    ),
    both AS (
        SELECT r.producer, r.epoch, r.is_complete AND coalesce(c.is_closed, 1) AS is_compared,
               r.packets AS source_packets, coalesce(c.packets, 0) AS captured_packets,
               r.l2_bytes AS source_l2_bytes, coalesce(c.l2_bytes, 0) AS captured_l2_bytes
        FROM read AS r LEFT JOIN carried AS c ON c.producer = r.producer AND c.epoch = r.epoch
    )
SELECT
    producer, epoch,
    source_packets, captured_packets, source_packets - captured_packets AS difference_packets,      -- packets
    source_l2_bytes, captured_l2_bytes, source_l2_bytes - captured_l2_bytes AS difference_l2_bytes,  -- bytes
    CASE
        WHEN NOT is_compared THEN 'not_compared'
        WHEN source_packets = captured_packets AND source_l2_bytes = captured_l2_bytes THEN 'equal'
        ELSE 'mismatch'
    END AS verdict
FROM both;

CREATE VIEW audit AS
WITH
    captured AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes
        FROM stream WHERE kind = 'capture'
    ),
    counted AS (
        SELECT coalesce(sum(packets), 0) AS packets, coalesce(sum(l2_bytes), 0) AS l2_bytes,
               coalesce(sum(l3_bytes), 0) AS l3_bytes
        FROM usage_slot
    ),
    lost AS (
        SELECT coalesce(sum(packets) FILTER (WHERE is_in_totals), 0) AS packets,
               coalesce(sum(l2_bytes) FILTER (WHERE is_in_totals), 0) AS l2_bytes,
               coalesce(sum(l3_bytes) FILTER (WHERE is_in_totals), 0) AS l3_bytes,
               count(*) FILTER (WHERE NOT is_in_totals) AS n_outside
        FROM audit_loss
    ),
    difference AS (
        SELECT captured.packets - counted.packets - lost.packets AS packets,
               captured.l2_bytes - counted.l2_bytes - lost.l2_bytes AS l2_bytes,
               captured.l3_bytes - counted.l3_bytes - lost.l3_bytes AS l3_bytes
        FROM captured, counted, lost
    )
SELECT
    captured.packets AS captured_packets, counted.packets AS counted_packets,        -- packets
    lost.packets AS lost_packets, difference.packets AS difference_packets,          -- packets
    captured.l2_bytes AS captured_l2_bytes, counted.l2_bytes AS counted_l2_bytes,    -- bytes
    lost.l2_bytes AS lost_l2_bytes, difference.l2_bytes AS difference_l2_bytes,      -- bytes
    captured.l3_bytes AS captured_l3_bytes, counted.l3_bytes AS counted_l3_bytes,    -- bytes
    lost.l3_bytes AS lost_l3_bytes, difference.l3_bytes AS difference_l3_bytes,      -- bytes
    CASE
        WHEN difference.packets <> 0 OR difference.l2_bytes <> 0 OR difference.l3_bytes <> 0 THEN 'mismatch'
        WHEN (SELECT verdict FROM audit_flows) = 'mismatch' THEN 'mismatch'
        WHEN EXISTS (SELECT 1 FROM audit_sources WHERE verdict = 'mismatch') THEN 'mismatch'
        WHEN lost.n_outside > 0 THEN 'bounded'
        ELSE 'exact'
    END AS verdict
FROM captured, counted, lost, difference;

-- What somebody changed, in the order in which it was done.
CREATE VIEW change AS
SELECT
    time_ns,                            -- ns, packet time: in force before the first packet of this clock or later
    change_id AS id,                    -- ns, wall time at which it was asked for, made unique
    words,                              -- JSON array
    uid,                                -- of who asked
    pid,
    seed,                               -- 64 random bits
    result,                             -- errno; 0: done
    affected,                           -- connections over all shards, ...
    answer,                             -- for people
    run_id
FROM change_line
ORDER BY run_id, time_ns, change_id;
