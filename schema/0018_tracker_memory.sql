-- What packets leave for the bill of those after them, as a tracker's last commit point had it: its successor goes on with it.
-- Gone when its stream ends.
CREATE TABLE tracker_memory (
    stream_id INTEGER PRIMARY KEY REFERENCES stream,
    bytes BLOB NOT NULL                -- the tracker's own (tracker/memory.h)
) STRICT;
