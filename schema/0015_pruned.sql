-- Flow records that were deleted by age: what they add up to, seal by seal, so that these still hold.

CREATE TABLE pruned_flows (
    seal INTEGER PRIMARY KEY,          -- quarter hours since 1970 UTC; closed
    flow_rows INTEGER NOT NULL,        -- records
    sum_0 INTEGER NOT NULL,            -- of these, as period_seal's flow_sum has it (proto/seal.h), as signed numbers
    sum_1 INTEGER NOT NULL,
    packets INTEGER NOT NULL,          -- packets
    l2_bytes INTEGER NOT NULL,         -- bytes
    l3_bytes INTEGER NOT NULL,         -- bytes
    billed_bytes INTEGER NOT NULL,     -- bytes
    pruned_ns INTEGER NOT NULL         -- ns, wall time, of the last
) STRICT;
