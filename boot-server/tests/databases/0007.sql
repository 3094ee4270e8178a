BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 11:07:13',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',1003827);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 11:07:13',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',401709);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 11:07:13',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',516590);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 11:07:13',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',341539);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 11:07:13',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',388249);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 11:07:13',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',726173);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 11:07:13',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',1247190);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796123233438,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796123233446,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796123233453,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796123233544,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796123233592,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796123233682,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796123233730,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796123233868,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796123233916,'server','installing','run run-of-installing may install generation 1');
INSERT INTO "audit" VALUES(10,1796123234092,'admin','member','drain hook');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('714c4aefbb104a507c545ff3387aab4d','member','7216eb918b4386d2b628533bcc15343e895d94bb59c215e33aabe5f94599bbe8',1796123233544,1796728033545);
INSERT INTO "certificates" VALUES('664f9bdb88a005c23ae1d13c137059ec','installing','944471e9da2a1c1a57e73ca3488740d13baeb6375bcb92acd3a12f8739aea0f6',1796123233868,1796728033870);
CREATE TABLE clusters (
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    body    TEXT NOT NULL,          -- arbiter::Cluster
    PRIMARY KEY (cluster, service)
);
INSERT INTO "clusters" VALUES('c','etcd','{"founders":[],"seats":{"member":{"generation":1,"founded":null,"ready":1,"replaces":false,"removed":null,"handed":null}},"lease":null,"behind":null,"restored":null}');
CREATE TABLE enrolments (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    session_sha256 TEXT NOT NULL UNIQUE,
    key_sha256     TEXT NOT NULL,
    spki           BLOB NOT NULL,
    code           TEXT NOT NULL,
    state          TEXT NOT NULL,   -- pending, approved, rejected, conflict, superseded
    node           TEXT,
    claims         TEXT NOT NULL,
    inventory      TEXT NOT NULL,
    run            TEXT NOT NULL,
    agent_version  TEXT NOT NULL,
    address        TEXT NOT NULL,
    certificate    TEXT,
    created        INTEGER NOT NULL,
    heard          INTEGER NOT NULL
);
INSERT INTO "enrolments" VALUES(1,'a4591b3104c6fc2f783b0f9daf2f09a078ea6c793642e67d5864eda9b6c523b2','7216eb918b4386d2b628533bcc15343e895d94bb59c215e33aabe5f94599bbe8',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004D7C6D017EF127EB5DFE43E3891D034841E0890136A2FC01A9C2B9CCA4A43DE5C2E23C1329290E151B64AD842F843A7397F8390EC1F49348D11C2417F7B0A6251','JGFG-SRRB','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2zCCAYCgAwIBAgIQcUxK77sQSlB8VF/zOHqrTTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNzEzWhcN
MjYxMjA4MTEwNzEzWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAATXxtAX7xJ+td/kPjiR0DSEHgiQE2ovwBqcK5zKSkPeXC4jwTKS
kOFRtkrYQvhDpzl/g5DsH0k0jRHCQX97CmJRo4GqMIGnMB8GA1UdIwQYMBaAFL0K
8fTn0eefIJVJIsbUzDIf+j4gMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFHIW65GLQ4bStihTO8wVND6JXZS7MAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAwRgIhAKNDeoj4HD78QBAqVF3ceCSFigcj
Zus4mLIxiCQZG+GAAiEAttblT23T48qKn8FT1V/AktUqTBC9lZp6W2LE4yXnzOg=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQXV3rqZxr7OYmD9bxscUm1jAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNzEzWhcN
MzYxMTI4MTEwNzEzWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATrYscjRI+ilxh5pOlOx96VGg7gpwus
QnlSQk7p4+LwVh8T+3tECPLewnQ/Ink7pF7BTImJr26vMKK6ZkMBFo+no0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFL0K8fTn0eefIJVJIsbUzDIf+j4gMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgKZbWJlsPX17zl5dW
3jn7Gvfnb5gQGq1yPkZt5E6+HqACIQC4qdMny3xUD/O/ICYcZ6NDMGXq7YBTeGTv
2JJWBgVyuA==
-----END CERTIFICATE-----
',1796123233544,1796123233544);
INSERT INTO "enrolments" VALUES(2,'3c38b1e37fb07188d663fd367fc42cfe7e9b95c735f6b5f828b6af7b23b5b50e','944471e9da2a1c1a57e73ca3488740d13baeb6375bcb92acd3a12f8739aea0f6',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000450A79E551A2D1B9C9A6205D006EC9067A77BCF0E6900961A3B5FCA38ECB2CEFB5A84CC67889F4BC0FCE69F3D2AF4B2DEB97C28E9BC59FDFD9A2EBC5315CCFD33','HCI5-PGNB','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIQZk+b24igBcI64dE8E3BZ7DAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNzEzWhcN
MjYxMjA4MTEwNzEzWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEUKeeVRotG5yaYgXQBuyQZ6d7zw5pAJYaO1/KOOyyzvta
hMxniJ9LwPzmnz0q9LLeuXwo6bxZ/f2aLrxTFcz9M6OBrjCBqzAfBgNVHSMEGDAW
gBS9CvH059HnnyCVSSLG1MwyH/o+IDAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUlERx6doqHBpX5zyjSIdA0Tuu
tjcwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiEAk7R3ErtKCjeEya5R
6v0Hh5ofIFcOj/a/A4LvqXaFICkCIAYkjiSh0ZoE6jZ/IVA9LFai6vpIjXGFBI/z
6w2NPBbX
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQXV3rqZxr7OYmD9bxscUm1jAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNzEzWhcN
MzYxMTI4MTEwNzEzWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATrYscjRI+ilxh5pOlOx96VGg7gpwus
QnlSQk7p4+LwVh8T+3tECPLewnQ/Ink7pF7BTImJr26vMKK6ZkMBFo+no0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFL0K8fTn0eefIJVJIsbUzDIf+j4gMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgKZbWJlsPX17zl5dW
3jn7Gvfnb5gQGq1yPkZt5E6+HqACIQC4qdMny3xUD/O/ICYcZ6NDMGXq7YBTeGTv
2JJWBgVyuA==
-----END CERTIFICATE-----
',1796123233868,1796123233868);
INSERT INTO "enrolments" VALUES(3,'4ae1a2f8473b3d40821128f04291bfdd9cadf1d002a436573997acdb9fed9dfe','3072ea16ad74e53d27c8ec70fc58d8884561e1ad78470fa33ac9aba2841a32a4',X'3059301306072A8648CE3D020106082A8648CE3D030107034200043F01CC4EB9CCA75D5BA1DD294EA2789632A75947510AFCC7A3871B6D68890B2E40A540261AE52F4121E100E4BBE733DB13A1CD4B900090A946002F0594FB2591','7AS3-6COP','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796123234080,1796123234080);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796123233592);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796123233916);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796123233776,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796123233638,'{"seq":1,"time":"2026-12-01T11:07:13.594513003Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796123233638,'{"seq":2,"time":"2026-12-01T11:07:13.594513624Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796123233638,'{"seq":1,"time":"2026-12-01T11:07:13.594514244Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796123233962,'{"seq":1,"time":"2026-12-01T11:07:13.918305671Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796123233730);
CREATE TABLE nodes (
    name        TEXT PRIMARY KEY,
    spec        TEXT,
    record      TEXT NOT NULL,      -- lifecycle::Record
    key_sha256  TEXT UNIQUE,        -- SPKI hash of the machine that is the node
    enrolment   INTEGER,
    plan        TEXT,               -- state::nodes::HeldPlan
    installed   TEXT,               -- InstalledReport
    ready       TEXT,               -- ReadyReport
    created     INTEGER NOT NULL
, certificate_ends INTEGER, next_key_sha256 TEXT, secrets TEXT);
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','7216eb918b4386d2b628533bcc15343e895d94bb59c215e33aabe5f94599bbe8',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796123233438,1796728033545,NULL,'v1:fOCc7UDoy4SezBjdKPPwWeduN4N4liW0nVBXmNJdapnMHorwAOWug+Y1LoCNI+yiN3oTJOrUImqfdBa3slVTQWpZZi7HBzVNfOBn5vm8Mp4H2+ZL3mkGM4761hwy+OGtFowZyq67K70zyg==');
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','944471e9da2a1c1a57e73ca3488740d13baeb6375bcb92acd3a12f8739aea0f6',2,NULL,NULL,NULL,1796123233446,1796728033870,NULL,'v1:VOCnZAbwQW6OqNvhGqnAJNPDuhG9Ke3zDuPR5vfN66BaD8+D54ebghBt+YETgiwqmxPEdheBVQbaJz7q3HPfMe6VnEsHOA8TEgwpZr1kw3VaIE6Mvl3SPFZUySFgGVvVX/BMBlCRPstv/iG+nRA=');
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796123233453,NULL,NULL,'v1:S+D11Idyk7kfcN5aSyEVPUc15rOLHzj8E1LitpT+qXkygiF37WqEFsKDEq3vQL5q+kbPI1Vy7vk8ioSbkLWtOjgJGkjWCKLAXFi3yKCjutlHnnKCu+BCVKAJoM1gYzFBpHUPMDmbPT9qwxQ8');
CREATE TABLE operations (
    node TEXT PRIMARY KEY,
    body TEXT NOT NULL              -- operation::Operation
);
INSERT INTO "operations" VALUES('member','{"kind":"decommission","stage":"drained","actor":"admin","window":null,"keep_disks":false}');
CREATE TABLE revoked_keys (
    key_sha256 TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    time       INTEGER NOT NULL
);
CREATE TABLE runs (
    id      TEXT PRIMARY KEY,
    session TEXT,                   -- SHA-256 of the enrolment session that first used it
    node    TEXT,
    created INTEGER NOT NULL,
    heard   INTEGER NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    step    TEXT,
    failure TEXT,                   -- Failure, while the last event is one
    rss     INTEGER NOT NULL DEFAULT 0
, events_through INTEGER NOT NULL DEFAULT 0, lines_through INTEGER NOT NULL DEFAULT 0, line_bytes INTEGER NOT NULL DEFAULT 0);
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796123233592,1796123233638,'127.0.0.1','"disk"',NULL,12582912,2,1,370);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796123233916,1796123233962,'127.0.0.1','"closure"',NULL,0,1,0,105);
CREATE TABLE sessions (
    sha256 TEXT PRIMARY KEY,
    token  TEXT NOT NULL REFERENCES tokens (sha256) ON DELETE CASCADE,
    began  INTEGER NOT NULL
);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
, scope TEXT NOT NULL DEFAULT 'admin', expires INTEGER, used INTEGER);
INSERT INTO "tokens" VALUES('591cc7e489141dd1929b66f5eab646fcd7df2d01f781f5b9d0c809b53529bbed','admin',1796123233405,'admin',NULL,1796123233437);
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_key ON enrolments (key_sha256);
CREATE INDEX runs_by_node ON runs (node);
CREATE INDEX runs_by_session ON runs (session);
CREATE INDEX journal_of_run ON journal (run, id);
CREATE INDEX audit_of_node ON audit (node, id);
CREATE UNIQUE INDEX nodes_by_next_key ON nodes (next_key_sha256);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',10);
INSERT INTO "sqlite_sequence" VALUES('enrolments',3);
INSERT INTO "sqlite_sequence" VALUES('journal',4);
COMMIT;
