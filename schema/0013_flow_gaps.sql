-- What of the usage of flows is in flow records: all of it, once a tracker's stream has ended. Until then its stream says
-- how much is not; what a tracker that was killed took with it becomes a row of its own.

ALTER TABLE stream ADD COLUMN clock_ns INTEGER;  -- ns, packet time: what was due by then is here; NULL: a capture's, or of before this step
ALTER TABLE stream ADD COLUMN open_packets INTEGER NOT NULL DEFAULT 0;   -- packets of a tracker's that usage has and flow records do not
ALTER TABLE stream ADD COLUMN open_l2_bytes INTEGER NOT NULL DEFAULT 0;  -- bytes
ALTER TABLE stream ADD COLUMN open_l3_bytes INTEGER NOT NULL DEFAULT 0;  -- bytes
ALTER TABLE stream ADD COLUMN open_billed_bytes INTEGER NOT NULL DEFAULT 0;  -- bytes

-- Counted in usage, and in no flow record: the tracker that would have written it was killed.
CREATE TABLE gap_line (
    id INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES stream,  -- of the tracker that was killed
    first_ns INTEGER NOT NULL,         -- ns, packet time; not before
    last_ns INTEGER NOT NULL,          -- ns, packet time; not after
    packets INTEGER NOT NULL,          -- packets
    l2_bytes INTEGER NOT NULL,         -- bytes
    l3_bytes INTEGER NOT NULL,         -- bytes
    billed_bytes INTEGER NOT NULL,     -- bytes
    seal INTEGER NOT NULL              -- of last_ns, or later
) STRICT;
CREATE INDEX gap_by_seal ON gap_line (seal);

-- Runs of before this step that did not end properly.
INSERT INTO gap_line (stream_id, first_ns, last_ns, packets, l2_bytes, l3_bytes, billed_bytes, seal)
SELECT (SELECT max(id) FROM stream WHERE kind = 'tracker'),
       (SELECT min(slot_ns) FROM usage_slot), (SELECT max(slot_ns) + 300000000000 FROM usage_slot),
       u.packets - f.packets, u.l2_bytes - f.l2_bytes, u.l3_bytes - f.l3_bytes, u.billed_bytes - f.billed_bytes,
       max((SELECT max(slot_ns) / 900000000000 FROM usage_slot), coalesce((SELECT max(number) + 1 FROM period_seal), -1 << 31))
FROM
    (SELECT sum(packets) AS packets, sum(l2_bytes) AS l2_bytes, sum(l3_bytes) AS l3_bytes,
            sum(billed_bytes) AS billed_bytes
     FROM usage_slot WHERE class IN (SELECT number FROM class WHERE is_of_flows)) AS u,
    (SELECT coalesce(sum(orig_packets + reply_packets), 0) AS packets,
            coalesce(sum(orig_l2_bytes + reply_l2_bytes), 0) AS l2_bytes,
            coalesce(sum(orig_l3_bytes + reply_l3_bytes), 0) AS l3_bytes,
            coalesce(sum(orig_billed_bytes + reply_billed_bytes), 0) AS billed_bytes
     FROM flow_record) AS f
WHERE u.packets > f.packets AND NOT EXISTS (SELECT 1 FROM run WHERE NOT has_flow_records)
    AND EXISTS (SELECT 1 FROM run WHERE finished_ns IS NULL)
    AND EXISTS (SELECT 1 FROM stream WHERE kind = 'tracker');
