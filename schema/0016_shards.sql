-- How many shards a run had: one that its records never tell of is missing.

ALTER TABLE run ADD COLUMN shards INTEGER NOT NULL DEFAULT 0;  -- 0: of before this step
