-- Which of its WAN's matches in the configuration held for a record's first packet.

ALTER TABLE flow_record ADD COLUMN wan_match INTEGER NOT NULL DEFAULT 0;  -- from 1; 255: that or a later one; 0: no WAN, or of before this step
