-- Flow labels that change within a connection.

ALTER TABLE flow_record ADD COLUMN flow_label_changes INTEGER NOT NULL DEFAULT 0;  -- packets of this record with another flow label than the one before in their direction; 0 in rows of before this step
