-- What a tracker's successor is given.

ALTER TABLE flow_record ADD COLUMN resume INTEGER NOT NULL DEFAULT 0;  -- bits, enum flow_resume of proto/record.h; 0 in rows of before this step
ALTER TABLE run ADD COLUMN first_record_id INTEGER NOT NULL DEFAULT 0;  -- record_id of its first flow record, or before that

-- The changes that a running tracker has done, in their order; gone when its stream ends.
CREATE TABLE tracker_change (
    stream_id INTEGER NOT NULL REFERENCES stream,
    position INTEGER NOT NULL,         -- 0, 1, 2, ...
    change BLOB NOT NULL,              -- as it goes through the pipeline (proto/change.proto)
    PRIMARY KEY (stream_id, position)
) STRICT, WITHOUT ROWID;
