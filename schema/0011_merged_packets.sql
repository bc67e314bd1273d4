-- Packets that offloading made of several.

ALTER TABLE flow_record ADD COLUMN merged_packets INTEGER NOT NULL DEFAULT 0;  -- packets of this record that were several before the capturing machine merged them: billed as these
