-- Seals (proto/seal.h): every row of the bill is in one, by the quarter hour that was open when it was counted, and is not
-- changed once that is sealed. A seal's number is quarter hours of 900 s since 1970 UTC.

-- The views of early steps, which would stand in the way. All are made anew after the steps.
DROP VIEW IF EXISTS audit;
DROP VIEW IF EXISTS audit_sources;
DROP VIEW IF EXISTS audit_flows;
DROP VIEW IF EXISTS audit_loss;
DROP VIEW IF EXISTS usage_hourly;
DROP VIEW IF EXISTS usage_daily;
DROP VIEW IF EXISTS usage;
DROP VIEW IF EXISTS flow;
DROP VIEW IF EXISTS loss;

ALTER TABLE usage_slot RENAME TO usage_slot_before;

-- One row a sum. Everything that was counted is here, whether a flow record has the detail or not.
CREATE TABLE usage_slot (
    slot_ns INTEGER NOT NULL,          -- ns, start of the slot of 300 s
    account_id INTEGER NOT NULL,
    wan_id INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    class INTEGER NOT NULL,
    cause INTEGER NOT NULL,            -- of class 'malformed', and of what a cut link header made 'non_ip'
    model_id INTEGER NOT NULL,
    seal INTEGER NOT NULL,             -- the slot's own; later: a correction, counted when the slot's was closed
    packets INTEGER NOT NULL,          -- packets
    l2_bytes INTEGER NOT NULL,         -- bytes, frames as captured
    l3_bytes INTEGER NOT NULL,         -- bytes, IP total length
    billed_bytes INTEGER NOT NULL,     -- bytes, by the overhead model
    PRIMARY KEY (slot_ns, account_id, wan_id, direction, class, cause, model_id, seal)
) STRICT, WITHOUT ROWID;

INSERT INTO usage_slot
SELECT slot_ns, account_id, wan_id, direction, class, cause, model_id, slot_ns / 900000000000,
       packets, l2_bytes, l3_bytes, billed_bytes
FROM usage_slot_before;
DROP TABLE usage_slot_before;

-- The few that are not in their slot's own seal.
CREATE INDEX usage_elsewhere ON usage_slot (seal, slot_ns) WHERE seal <> slot_ns / 900000000000;

ALTER TABLE flow_record ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;  -- of the moment when the record was cut, or later
UPDATE flow_record SET seal = last_ns / 900000000000;

ALTER TABLE loss_line ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;    -- of last_ns, or later
UPDATE loss_line SET seal = last_ns / 900000000000;
CREATE INDEX loss_by_seal ON loss_line (seal);

-- A name's meaning may change with the program's version: then it is another model.
ALTER TABLE overhead_model RENAME TO overhead_model_before;
CREATE TABLE overhead_model (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,          -- the link-layer overhead model that made billed bytes of L3 bytes
    definition TEXT NOT NULL,    -- its steps; '': of before this was written down
    sha256 TEXT NOT NULL,        -- 64 hexadecimal digits, of the definition; '': not known
    UNIQUE (name, sha256)
) STRICT;
INSERT INTO overhead_model SELECT id, name, '', '' FROM overhead_model_before;
DROP TABLE overhead_model_before;

-- The chain. Counts and hashes are of the rows with this seal (docs/schema.md says of what exactly).
CREATE TABLE period_seal (
    number INTEGER PRIMARY KEY,
    previous TEXT NOT NULL,        -- 64 hexadecimal digits, 'hash' of the seal before; zeros: the first
    usage_rows INTEGER NOT NULL,
    packets INTEGER NOT NULL,      -- packets, sum of the usage rows
    l2_bytes INTEGER NOT NULL,     -- bytes
    l3_bytes INTEGER NOT NULL,     -- bytes
    billed_bytes INTEGER NOT NULL,  -- bytes
    usage_sha256 TEXT NOT NULL,    -- 64 hexadecimal digits
    flow_rows INTEGER NOT NULL,
    flow_sum TEXT NOT NULL,        -- 32 hexadecimal digits
    loss_rows INTEGER NOT NULL,
    loss_sha256 TEXT NOT NULL,     -- 64 hexadecimal digits
    hash TEXT NOT NULL,            -- 64 hexadecimal digits, of all the above
    run_id INTEGER REFERENCES run,  -- that sealed it; its config_sha256 is in the hash, this number is not
    sealed_ns INTEGER NOT NULL,    -- ns, wall time; not in the hash
    flow_through INTEGER NOT NULL  -- not in the hash: flow records up to this record_id are in this seal or in one before
) STRICT;
