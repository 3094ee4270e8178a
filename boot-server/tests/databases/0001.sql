BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-11-30 23:44:50',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',6154776);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796082290727,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796082290759,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796082290782,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796082290857,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796082290875,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796082290980,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796082291032,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796082291056,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796082291112,'server','installing','run run-of-installing may install generation 1');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('451e7a25c12c187b6eefddb97eeb8cf9','member','cbce2ee9b2ba55689a0a00fb754b01afe04af682dfde1cc6a036682f36a224c0',1796082290858,1796687090858);
INSERT INTO "certificates" VALUES('43c6a756e90d5e79243b4e1a1b9d0d69','installing','63be7e207a1bda633bcb78bc4ee897112a1df72a5c37d8c8c7d48cb6e5405c63',1796082291057,1796687091056);
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
INSERT INTO "enrolments" VALUES(1,'e10bb5fedc3cac17cfce6c4fd6d3c6d7eb57428acacb768920f8f83d1250e802','cbce2ee9b2ba55689a0a00fb754b01afe04af682dfde1cc6a036682f36a224c0',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004AF0883F43A55AB18D697FD4B2E8A34EEF43E84B5AB92FA93B10B31F7840D50A21E4B17C999044BF600D0CB405417CC9B08127857F00EF0050DBFADD3B05B4F9A','OJV5-RBBZ','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQRR56JcEsGHtu7925fuuM+TAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0NDUwWhcN
MjYxMjA3MjM0NDUwWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAASvCIP0OlWrGNaX/UsuijTu9D6EtauS+pOxCzH3hA1Qoh5LF8mZ
BEv2ANDLQFQXzJsIEnhX8A7wBQ2/rdOwW0+ao4GqMIGnMB8GA1UdIwQYMBaAFJYk
r342ylh/YrR/RDdz+vJShuNcMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFMvOLumyulVomgoA+3VLAa/gSvaCMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAOOwcrkGaIxRlTuq/K147mqU8/ow
iWndDyVNds/YzbXxAiBAMjeypsaN/NHvnYGMaR1urceWdumE2NeYF838p7MjLA==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQZN9fy2mzrsMsdCrfFGzUFjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0NDUwWhcN
MzYxMTI3MjM0NDUwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATFHVH/ZYkWVUqRfM3sceE5XoEHdiym
lz5XLMhrKMNB/WHpCgBskYh9F8/SU+0K5fBE6eLS5yCsB8XbYbHP7kJco0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFJYkr342ylh/YrR/RDdz+vJShuNcMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhANWCLpSBXYCDi2pv
VlSRCsoRenwfDeznsB71lvt3GlstAiEAxcdbFt9eU0cF+yjeJtLbPzS/k0GEA59m
cQn0WFKUQUU=
-----END CERTIFICATE-----
',1796082290854,1796082290854);
INSERT INTO "enrolments" VALUES(2,'f18260a738127e4da1900f21ef36184938427a49eace0243c0a5a822dbf605e3','63be7e207a1bda633bcb78bc4ee897112a1df72a5c37d8c8c7d48cb6e5405c63',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000414181901D0657AB34311B2CFD7230F06ECA0F6D5E23A8065683B84DCDC93BC905EC2766CF1E1DD610843885A50AEAE884BDC859312858F48C62CEE3A5AEF5258','7YVE-JYJB','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4TCCAYigAwIBAgIQQ8anVukNXnkkO04aG50NaTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0NDUxWhcN
MjYxMjA3MjM0NDUxWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEFBgZAdBlerNDEbLP1yMPBuyg9tXiOoBlaDuE3NyTvJBe
wnZs8eHdYQhDiFpQrq6IS9yFkxKFj0jGLO46Wu9SWKOBrjCBqzAfBgNVHSMEGDAW
gBSWJK9+NspYf2K0f0Q3c/ryUobjXDAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUY75+IHob2mM7y3i8TuiXESod
9yowDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNHADBEAiAsQ9hi3M6k2UD5qfFE
P3MRxRP+aiPx3Z3T7NemQi2QGAIgXuTpxmp01ZGvFIEULuYFrWjpBrvUt9Vm2sL0
Xjcyqac=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQZN9fy2mzrsMsdCrfFGzUFjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0NDUwWhcN
MzYxMTI3MjM0NDUwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATFHVH/ZYkWVUqRfM3sceE5XoEHdiym
lz5XLMhrKMNB/WHpCgBskYh9F8/SU+0K5fBE6eLS5yCsB8XbYbHP7kJco0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFJYkr342ylh/YrR/RDdz+vJShuNcMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhANWCLpSBXYCDi2pv
VlSRCsoRenwfDeznsB71lvt3GlstAiEAxcdbFt9eU0cF+yjeJtLbPzS/k0GEA59m
cQn0WFKUQUU=
-----END CERTIFICATE-----
',1796082291052,1796082291052);
INSERT INTO "enrolments" VALUES(3,'1085eee2fb5d5a8587c0cb99994cc22f55516d077de8dac9622d3c051b84453b','b1f4e458bfbcd0ac15dd4258798080fde3ab5b0ec16e7f5a82bcc51d234e4e3d',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004A71EB646CA0F121522677912885E3C03115C3F35D41DE519785340E6DF88F15AD375C04645182F8A3FAAC1C17393C60CD65289957D16EF015D908F74C20146B4','OEQ2-NZST','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796082291216,1796082291216);
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796082290928,'{"seq":1,"time":"2026-11-30T23:44:50.880593231Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796082290929,'{"seq":2,"time":"2026-11-30T23:44:50.880593792Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796082290929,'{"seq":1,"time":"2026-11-30T23:44:50.880594593Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796082291164,'{"seq":1,"time":"2026-11-30T23:44:51.120684848Z","since_start_ms":100,"step":"closure","event":"started"}');
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
);
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0}','cbce2ee9b2ba55689a0a00fb754b01afe04af682dfde1cc6a036682f36a224c0',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null}',1796082290726);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0}','63be7e207a1bda633bcb78bc4ee897112a1df72a5c37d8c8c7d48cb6e5405c63',2,NULL,NULL,NULL,1796082290758);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0}',NULL,NULL,NULL,NULL,NULL,1796082290782);
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
);
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796082290874,1796082290928,'127.0.0.1','"disk"',NULL,12582912);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796082291112,1796082291164,'127.0.0.1','"closure"',NULL,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('264cebe67eb01521fc6914cabf514c433fc1788cad11ccbda9c49c3475b6c2bf','admin',1796082290660);
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_key ON enrolments (key_sha256);
CREATE INDEX runs_by_node ON runs (node);
CREATE INDEX runs_by_session ON runs (session);
CREATE INDEX journal_of_run ON journal (run, id);
CREATE INDEX audit_of_node ON audit (node, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',9);
INSERT INTO "sqlite_sequence" VALUES('enrolments',3);
INSERT INTO "sqlite_sequence" VALUES('journal',4);
COMMIT;
