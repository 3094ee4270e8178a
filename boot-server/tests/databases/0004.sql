BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-11-30 23:41:19',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',3284968);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-11-30 23:41:19',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',916972);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-11-30 23:41:19',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',1105396);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-11-30 23:41:19',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',785414);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796082079166,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796082079209,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796082079264,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796082079358,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796082079376,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796082079476,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796082079524,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796082079719,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796082079736,'server','installing','run run-of-installing may install generation 1');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('41a3db195c8b2b12db052ccecbf745d2','member','627bed5e2c6f4e043c8e6a51efd73ff55a8dabf95c8be3de5fefbc7a83c6b610',1796082079359,1796686879359);
INSERT INTO "certificates" VALUES('679e8a6bf898dfa4b6ff7cd94ada20b0','installing','4c642f3c899bdf8fea64907e4bd3af1cecd30ed749b6e9cf5379d3ce05c51d32',1796082079719,1796686879719);
CREATE TABLE clusters (
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    body    TEXT NOT NULL,          -- arbiter::Cluster
    PRIMARY KEY (cluster, service)
);
INSERT INTO "clusters" VALUES('c','etcd','{"founders":[],"seats":{"member":{"generation":1,"founded":null,"ready":1,"replaces":false,"removed":null}},"lease":null}');
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
INSERT INTO "enrolments" VALUES(1,'c3056684dbba2c4720ed6e18260488e16693d0d26c7fb496fb523c6b552c125d','627bed5e2c6f4e043c8e6a51efd73ff55a8dabf95c8be3de5fefbc7a83c6b610',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000449642CCEEF3AA7A79C80C8B79E62FA444D307FE7D55ACE181DA9DAEF8424355BAF8A82D8B1936C205D55F18E27A7047DFBF196B947565102FBC8871F6E26FD5D','CSLA-ODXI','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQQaPbGVyLKxLbBSzOy/dF0jAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0MTE5WhcN
MjYxMjA3MjM0MTE5WjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAARJZCzO7zqnp5yAyLeeYvpETTB/59VazhgdqdrvhCQ1W6+Kgtix
k2wgXVXxjienBH378Za5R1ZRAvvIhx9uJv1do4GqMIGnMB8GA1UdIwQYMBaAFCE5
y0NX/gWOfVuYb3f+UL6q0eKLMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFGJ77V4sb04EPI5qUe/XP/Vajav5MAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAPvZK70SY6K71XGsDmo3rMB2z0nD
YBXa0J8grifBMoA0AiBdO6dPTqGg1yx4udyCr+AIE/yU6lOMzAQw7ORDfXgdsA==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQZRP+hP4KJmy5oFEDmdIYQzAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0MTE4WhcN
MzYxMTI3MjM0MTE4WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARcUtHNTP5gfC7v7ziGAFKEV1+0Wvl2
E9++y1heusD3gmkSC3sqp9C2dAO9twCSt6kMp3TQISmqF+YwUc3BY6N0o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFCE5y0NX/gWOfVuYb3f+UL6q0eKLMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhALMMaPkiu38BgBer
Kfg5uFrahfwREBTb+yMYWI2T73muAiEAmPX0frlng2s0pe9XqEzVY/X/TELoDlAM
hGX9wOAKL7I=
-----END CERTIFICATE-----
',1796082079354,1796082079354);
INSERT INTO "enrolments" VALUES(2,'102c7acc94cbc27e2bedecb5e30f46963fef46668b7fc667a700ca5001399410','4c642f3c899bdf8fea64907e4bd3af1cecd30ed749b6e9cf5379d3ce05c51d32',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004B4BFA6A07A3261D3189FA2EEADADA19011CAD6E340DC7FBFCC2B367B3E6A0ED137DDCA86A7B243B697301F22E72FCF1525A1EEFD813F38CEEABECA15212A816C','SNXK-KKFU','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIQZ56Ka/iY36S2/3zZStogsDAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0MTE5WhcN
MjYxMjA3MjM0MTE5WjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEtL+moHoyYdMYn6Lura2hkBHK1uNA3H+/zCs2ez5qDtE3
3cqGp7JDtpcwHyLnL88VJaHu/YE/OM7qvsoVISqBbKOBrjCBqzAfBgNVHSMEGDAW
gBQhOctDV/4Fjn1bmG93/lC+qtHiizAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUTGQvPImb34/qZJB+S9OvHOzT
DtcwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiEAvh7zzMBzeD5JB/Uk
V+XGcTkO4rV2mBB1LbGkj/fFWacCIDgWc2ardcNRK3rNa5xLSTi5aLcQhu0sN47z
/ZYftVf3
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQZRP+hP4KJmy5oFEDmdIYQzAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0MTE4WhcN
MzYxMTI3MjM0MTE4WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARcUtHNTP5gfC7v7ziGAFKEV1+0Wvl2
E9++y1heusD3gmkSC3sqp9C2dAO9twCSt6kMp3TQISmqF+YwUc3BY6N0o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFCE5y0NX/gWOfVuYb3f+UL6q0eKLMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhALMMaPkiu38BgBer
Kfg5uFrahfwREBTb+yMYWI2T73muAiEAmPX0frlng2s0pe9XqEzVY/X/TELoDlAM
hGX9wOAKL7I=
-----END CERTIFICATE-----
',1796082079715,1796082079715);
INSERT INTO "enrolments" VALUES(3,'bc9dc8f0b16ecab8c50dca021040d00909d0b2b83a20e3a8b1ed4b582d0fb0f3','3df68b54b59262792fd7b338ef02937103975d4d82621651a08cf09c27e233e5',X'3059301306072A8648CE3D020106082A8648CE3D030107034200049346C89380CAF74AB18BB2D07475B2A63826F8DBABE4ED7BDCBA359797E41168FFC4E7C8139B1A71408CA8EF7B7A502D9D89D7B3067577C9A5FB919CE3F57CD6','GJZZ-3DSJ','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796082079962,1796082079962);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082079377);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082079736);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796082079572,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796082079428,'{"seq":1,"time":"2026-11-30T23:41:19.382585267Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796082079429,'{"seq":2,"time":"2026-11-30T23:41:19.382585768Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796082079429,'{"seq":1,"time":"2026-11-30T23:41:19.382586529Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796082079785,'{"seq":1,"time":"2026-11-30T23:41:19.742585085Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796082079525);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0}','627bed5e2c6f4e043c8e6a51efd73ff55a8dabf95c8be3de5fefbc7a83c6b610',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796082079166);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0}','4c642f3c899bdf8fea64907e4bd3af1cecd30ed749b6e9cf5379d3ce05c51d32',2,NULL,NULL,NULL,1796082079209);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0}',NULL,NULL,NULL,NULL,NULL,1796082079264);
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796082079376,1796082079428,'127.0.0.1','"disk"',NULL,12582912);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796082079736,1796082079784,'127.0.0.1','"closure"',NULL,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('d73e68430caf7fb9ed2fef7a5d3a5bbeb4d6e2dff3b28579c7b3fe014e9f449c','admin',1796082079036);
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
