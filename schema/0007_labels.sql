-- Classes that the configuration names, and names of label bits.

ALTER TABLE class ADD COLUMN
    is_of_flows INTEGER NOT NULL DEFAULT 0 CHECK (is_of_flows IN (0, 1));  -- 1: its bytes are in flow records

UPDATE class SET is_of_flows = 1 WHERE number = 0;

-- Which name a bit has: of the rows with from_record_id <= a record's and since_ns <= its last packet the latest.
CREATE TABLE label_name (
    id INTEGER PRIMARY KEY,
    bit INTEGER NOT NULL CHECK (bit BETWEEN 0 AND 127),
    name TEXT,                         -- NULL: none any more
    from_record_id INTEGER NOT NULL,   -- of a run's first flow record
    since_ns INTEGER NOT NULL          -- ns, packet time; the smallest number: since the run began
) STRICT;

CREATE INDEX label_name_of_bit ON label_name (bit, id);
