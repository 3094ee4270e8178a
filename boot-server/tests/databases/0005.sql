BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-11-30 22:47:29',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',3739321);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-11-30 22:47:29',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',1155640);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-11-30 22:47:29',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',1368540);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-11-30 22:47:29',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',986082);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-11-30 22:47:29',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',1233356);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796078850063,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796078850455,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796078850664,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796078850885,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796078851085,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796078851312,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796078851336,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796078851555,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796078851597,'server','installing','run run-of-installing may install generation 1');
INSERT INTO "audit" VALUES(10,1796078852155,'admin','member','drain hook');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('78ad517dc1630f37b195042d4c6f04a0','member','bab3b60f21b7637601e05348fec87932658fe9ea1467a227d0d0d3797a5a32cd',1796078850886,1796683650885);
INSERT INTO "certificates" VALUES('71806d67873de2f9ecb7a741cbe09660','installing','2ca9942011a16518f53921c72c9302688817a0975579a7ac8578aeb27c4ff9ec',1796078851560,1796683651559);
CREATE TABLE clusters (
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    body    TEXT NOT NULL,          -- arbiter::Cluster
    PRIMARY KEY (cluster, service)
);
INSERT INTO "clusters" VALUES('c','etcd','{"founders":[],"seats":{"member":{"generation":1,"founded":null,"ready":1,"replaces":false,"removed":null,"handed":null}},"lease":null,"restored":null}');
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
INSERT INTO "enrolments" VALUES(1,'de0332d10d8b36452011fc0563fba7882a9cc1357032a48d78911401728dcd96','bab3b60f21b7637601e05348fec87932658fe9ea1467a227d0d0d3797a5a32cd',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004C276F6B9D6C3CFD4D40261AAF5A49DD23429CDB0E29D277F9F876275D51BC518AD5024DC4AE3A393F78E87B678C2C5E955AB22D0CCA7A269BCFFF004B6B93A11','U5U6-TK3P','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQeK1RfcFjDzexlQQtTG8EoDAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjE0NzMwWhcN
MjYxMjA3MjI0NzMwWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAATCdva51sPP1NQCYar1pJ3SNCnNsOKdJ3+fh2J11RvFGK1QJNxK
46OT946HtnjCxelVqyLQzKeiabz/8AS2uToRo4GqMIGnMB8GA1UdIwQYMBaAFOxk
FmtMB4O3oMGnYbJyqnkKt8+qMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFLqztg8ht2N2AeBTSP7IeTJlj+nqMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAIav5yHS4JvPnOOBJXSSiwk6G2/u
HZYau5oxR9lz+6fYAiA4HOHY+3eDKL/VAmn8TvrVSl1Gz6+pU5bc+svLn95nzw==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQSyz8gsbgyFJHz29iHEMmRzAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjE0NzI5WhcN
MzYxMTI3MjI0NzI5WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS7v+0Ru3jCm9hyD/6xZyHAt1rO399E
xCNlVGtyStf9aAKVxq9+P5Jd538s+bXOjF7fH31qBMC0e2dMwpbaemnQo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFOxkFmtMB4O3oMGnYbJyqnkKt8+qMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKZRCc4/i4W6bH08
Y6juFuwT0+MNJOEHUJscUmWPJV94AiB7a1hmVevi9EfDcrUlW3cCRQk/BpULqYV2
uH1Lae4qUQ==
-----END CERTIFICATE-----
',1796078850839,1796078850839);
INSERT INTO "enrolments" VALUES(2,'6b275a1ecdbe6a13d0114d8369a7d51632353b9ecbb209b7acd6c85803593c1c','2ca9942011a16518f53921c72c9302688817a0975579a7ac8578aeb27c4ff9ec',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004FF255D4A8143030FFFA3E016405D00B78E95C960DFB9403AAD11C61FF5AC50790818267C986E307F406C11F6BB6F83E5B849F6BEBE07BB9FDD5F0D33A2064E10','2CDW-LCTO','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4zCCAYigAwIBAgIQcYBtZ4c94vnst6dBy+CWYDAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjE0NzMxWhcN
MjYxMjA3MjI0NzMxWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAE/yVdSoFDAw//o+AWQF0At46VyWDfuUA6rRHGH/WsUHkI
GCZ8mG4wf0BsEfa7b4PluEn2vr4Hu5/dXw0zogZOEKOBrjCBqzAfBgNVHSMEGDAW
gBTsZBZrTAeDt6DBp2Gycqp5CrfPqjAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQULKmUIBGhZRj1OSHHLJMCaIgX
oJcwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEA9j8ZBbIHTw5FzC6s
t/AWYrr+4KSQCJJRnbbCzcYjJgQCIQC/U27Xu7gd0v29axweec/U4H9KfsAaTObZ
lw49EYrWbQ==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQSyz8gsbgyFJHz29iHEMmRzAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjE0NzI5WhcN
MzYxMTI3MjI0NzI5WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS7v+0Ru3jCm9hyD/6xZyHAt1rO399E
xCNlVGtyStf9aAKVxq9+P5Jd538s+bXOjF7fH31qBMC0e2dMwpbaemnQo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFOxkFmtMB4O3oMGnYbJyqnkKt8+qMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKZRCc4/i4W6bH08
Y6juFuwT0+MNJOEHUJscUmWPJV94AiB7a1hmVevi9EfDcrUlW3cCRQk/BpULqYV2
uH1Lae4qUQ==
-----END CERTIFICATE-----
',1796078851527,1796078851527);
INSERT INTO "enrolments" VALUES(3,'6986f7f4fc2a2efc9b4ed6131eca4d08e7f3e203a9bb995f33d23e6cdf4d68f7','0b8b0fc6e18386900c9b48fa1ada5178d9341fea97750f07868f10dfde7134c4',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000492C14124EC79CCBC5C03BEDF5FF0B4836F06D3EEC26C856C27458CE0DE1C6465245AD4FF979D515D955ECE8B20579F8B10F47865B17495EB5FFAF7008716F923','LDVW-YZEO','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796078851835,1796078851835);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796078851086);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796078851598);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796078851389,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796078851263,'{"seq":1,"time":"2026-11-30T22:47:31.148945481Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796078851264,'{"seq":2,"time":"2026-11-30T22:47:31.148946072Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796078851264,'{"seq":1,"time":"2026-11-30T22:47:31.148946954Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796078851652,'{"seq":1,"time":"2026-11-30T22:47:31.604451171Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796078851337);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','bab3b60f21b7637601e05348fec87932658fe9ea1467a227d0d0d3797a5a32cd',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796078850060);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','2ca9942011a16518f53921c72c9302688817a0975579a7ac8578aeb27c4ff9ec',2,NULL,NULL,NULL,1796078850451);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796078850663);
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
);
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796078851084,1796078851251,'127.0.0.1','"disk"',NULL,12582912);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796078851597,1796078851652,'127.0.0.1','"closure"',NULL,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('9eafa62b6e51791b894cda2e067271a0388d2b543def4e65a7d78ad1eade411b','admin',1796078849663);
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_key ON enrolments (key_sha256);
CREATE INDEX runs_by_node ON runs (node);
CREATE INDEX runs_by_session ON runs (session);
CREATE INDEX journal_of_run ON journal (run, id);
CREATE INDEX audit_of_node ON audit (node, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',10);
INSERT INTO "sqlite_sequence" VALUES('enrolments',3);
INSERT INTO "sqlite_sequence" VALUES('journal',4);
COMMIT;
