-- What somebody changed while a run was under way, and what became of it. A replay that is given these changes again, at
-- their times among the same packets, has the same rows.

CREATE TABLE change_line (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run,
    change_id INTEGER NOT NULL,        -- ns, wall time at which it was asked for, made unique; of one run in its order
    time_ns INTEGER NOT NULL,          -- ns, packet time: in force before the first packet whose clock is this or later
    words TEXT NOT NULL,               -- JSON array of texts: ["timeout","new","short",...]
    uid INTEGER NOT NULL,              -- of who asked, as the kernel says
    pid INTEGER NOT NULL,
    seed INTEGER NOT NULL,             -- 64 random bits: all that the change chose by chance
    result INTEGER NOT NULL CHECK (result >= 0),  -- errno; 0: done
    affected INTEGER NOT NULL CHECK (affected >= 0),  -- what it was done to: connections over all shards, ...
    answer TEXT NOT NULL,              -- for people: what was granted, or why it was refused
    UNIQUE (run_id, change_id)
) STRICT;

INSERT INTO end_reason (number, name) VALUES (6, 'deleted');
