-- Names of the numbers that records carry. The texts are those of the configuration, JSON and events.

CREATE TABLE protocol (
    number INTEGER PRIMARY KEY,  -- IANA protocol number, 0 to 255
    name TEXT NOT NULL UNIQUE    -- as conntrack writes it, where it knows the protocol
) STRICT;

INSERT INTO protocol (number, name) VALUES
    (0, 'hopopt'), (1, 'icmp'), (2, 'igmp'), (4, 'ipip'), (6, 'tcp'), (8, 'egp'), (9, 'igp'), (12, 'pup'),
    (17, 'udp'), (22, 'idp'), (27, 'rdp'), (29, 'tp'), (33, 'dccp'), (41, 'ipv6'), (46, 'rsvp'), (47, 'gre'),
    (50, 'esp'), (51, 'ah'), (58, 'icmpv6'), (59, 'ipv6_nonxt'), (88, 'eigrp'), (89, 'ospf'), (92, 'mtp'),
    (94, 'ipip_encap'), (97, 'etherip'), (98, 'encap'), (103, 'pim'), (108, 'ipcomp'), (112, 'vrrp'),
    (115, 'l2tp'), (124, 'isis'), (132, 'sctp'), (133, 'fc'), (135, 'mobility'), (136, 'udplite'),
    (137, 'mpls_in_ip'), (138, 'manet'), (139, 'hip'), (140, 'shim6'), (141, 'wesp'), (142, 'rohc'),
    (143, 'ethernet'), (253, 'experiment_1'), (254, 'experiment_2'), (255, 'raw');

CREATE TABLE direction (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE    -- 'up': towards the WAN; 'down': from it; 'none': not known
) STRICT;

INSERT INTO direction (number, name) VALUES (0, 'none'), (1, 'up'), (2, 'down');

CREATE TABLE class (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE    -- what a byte was; 'connection': it is in a flow
) STRICT;

INSERT INTO class (number, name) VALUES
    (0, 'connection'), (1, 'arp'), (2, 'non_ip'), (3, 'malformed'), (4, 'icmp_error'), (5, 'frag_orphan'),
    (6, 'no_ports'), (7, 'overflow'), (8, 'duplicate'), (9, 'bad_time');

CREATE TABLE malformed_cause (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE    -- what was wrong with a frame, as far as it decides how it is counted
) STRICT;

INSERT INTO malformed_cause (number, name) VALUES
    (0, 'none'), (1, 'link_header'), (2, 'link_depth'), (3, 'ip_version'), (4, 'ip_header'), (5, 'ip_length');

CREATE TABLE connection_state (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO connection_state (number, name) VALUES (0, 'none'), (1, 'new'), (2, 'established'), (3, 'closed');

CREATE TABLE end_reason (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE    -- why a flow ended; 'none': it had not
) STRICT;

INSERT INTO end_reason (number, name) VALUES
    (0, 'none'), (1, 'timeout'), (2, 'closed'), (3, 'reopened'), (4, 'evicted'), (5, 'end_of_input');

-- What the operator named. Number 0 stands for "matched none".

CREATE TABLE wan (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO wan (id, name) VALUES (0, 'none');

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO account (id, name) VALUES (0, 'none');

CREATE TABLE overhead_model (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE    -- the link-layer overhead model that made billed bytes of L3 bytes
) STRICT;
