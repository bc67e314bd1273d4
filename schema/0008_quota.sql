-- What tariffs with a quota watch. Kept only while there is such a tariff.

CREATE TABLE quota_tariff (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,     -- of the configuration
    scope TEXT NOT NULL,           -- whose bytes are summed: if that changes they are summed anew
    run_id INTEGER NOT NULL REFERENCES run  -- the last that summed; not the one before this: summed anew
) STRICT;

-- Billed bytes of an account's slot, over the tariff's WANs.
CREATE TABLE quota_usage (
    tariff_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    slot_ns INTEGER NOT NULL,      -- ns, start of the slot of 300 s
    up_bytes INTEGER NOT NULL,     -- bytes
    down_bytes INTEGER NOT NULL,   -- bytes
    none_bytes INTEGER NOT NULL,   -- bytes, of no known direction
    PRIMARY KEY (tariff_id, account_id, slot_ns)
) STRICT, WITHOUT ROWID;

-- A threshold that was reached, from the transaction on that reached it.
CREATE TABLE quota_event (
    tariff_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    begin_ns INTEGER NOT NULL,     -- ns, of the billing period
    end_ns INTEGER NOT NULL,       -- ns
    percent INTEGER NOT NULL,      -- of the quota
    quota_bytes INTEGER NOT NULL,  -- bytes
    slot_ns INTEGER NOT NULL,      -- ns, the slot in which the sum reached it
    used_bytes INTEGER NOT NULL,   -- bytes, at the end of that slot
    PRIMARY KEY (tariff_id, account_id, begin_ns, percent, quota_bytes)
) STRICT, WITHOUT ROWID;
