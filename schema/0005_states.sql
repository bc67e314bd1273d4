-- The states of the Linux connection tracker, in its capitals; before, there were 1 'new', 2 'established', 3 'closed'.

UPDATE flow_record SET state = CASE
    WHEN state = 1 AND protocol = 6 THEN 4        -- SYN_SENT
    WHEN state = 2 AND protocol IN (6, 132) THEN 6  -- ESTABLISHED
    WHEN state = 2 THEN 3                         -- bidirectional
    WHEN state = 3 THEN 11                        -- CLOSE
    ELSE state
END WHERE state > 0;

DELETE FROM connection_state;
INSERT INTO connection_state (number, name) VALUES
    (0, 'none'), (1, 'first'), (2, 'multiple'), (3, 'bidirectional'), (4, 'SYN_SENT'),
    (5, 'SYN_RECV'), (6, 'ESTABLISHED'), (7, 'FIN_WAIT'), (8, 'CLOSE_WAIT'), (9, 'LAST_ACK'),
    (10, 'TIME_WAIT'), (11, 'CLOSE'), (12, 'SYN_SENT2'), (13, 'CLOSED'), (14, 'COOKIE_WAIT'),
    (15, 'COOKIE_ECHOED'), (16, 'SHUTDOWN_SENT'), (17, 'SHUTDOWN_RECD'), (18, 'SHUTDOWN_ACK_SENT'), (19, 'HEARTBEAT_SENT');
