BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-11-30 23:49:50',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',2577920);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-11-30 23:49:50',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',888598);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-11-30 23:49:50',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',1123780);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796082590930,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796082590951,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796082590969,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796082591043,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796082591058,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796082591156,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796082591216,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796082591282,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796082591295,'server','installing','run run-of-installing may install generation 1');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('48cd6ab5ac9793a501a82038c9149ac0','member','f89ac18341f471e670ca4498ff30dc434e66ef245e6805c2408196851b0eb77c',1796082591044,1796687391043);
INSERT INTO "certificates" VALUES('75401a9822bf31cf1187c98f43545852','installing','f32fd20059e57364ed649399592c805b860a2818a30a81a5eaa87e79a45008e4',1796082591283,1796687391282);
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
INSERT INTO "enrolments" VALUES(1,'eadd6bf780fe64d18d5f4c14578209b77a1e5a6f73e052940c5fc110d1e607bc','f89ac18341f471e670ca4498ff30dc434e66ef245e6805c2408196851b0eb77c',X'3059301306072A8648CE3D020106082A8648CE3D030107034200049A32453637246981518F0D854BE4977053C628F8371051D6C6D728CEE5C254B4986F8F0780DD25DA55E7225A20A12C0A23E5EF5AC9677EF0634E0A9E218DAAE3','MU2D-BIRD','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQSM1qtayXk6UBqCA4yRSawDAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTUxWhcN
MjYxMjA3MjM0OTUxWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAASaMkU2NyRpgVGPDYVL5JdwU8Yo+DcQUdbG1yjO5cJUtJhvjweA
3SXaVeciWiChLAoj5e9ayWd+8GNOCp4hjarjo4GqMIGnMB8GA1UdIwQYMBaAFND9
/m0fYy+Rq+KPckn3Ya0Zb/FOMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFPiawYNB9HHmcMpEmP8w3ENOZu8kMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAOnUW4oHp+ZiGDMpHpPwp68EBZOe
kiDwHtepTlfhEKgEAiB0F853sy0eyySTuk+LJliuctuZS/Sxuv8ajhiYmoY2yg==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQcXpBdo9GD1sKB1XGW9bBpjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTUwWhcN
MzYxMTI3MjM0OTUwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQJlGnjhHI9yVcY/LK/h4OnDVN+j1FT
wae8+fqgnwnPzQ9XsBkc52bZoOmz3vasAtRv9SYcOec4n+/ZyaJ73fAbo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFND9/m0fYy+Rq+KPckn3Ya0Zb/FOMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKeeRx1sdEG36npi
7xxq2Hf/A96rvsLzb+Ploo/xNIfLAiA5weZArUfI57Pc1oZx0qgReQ54YWM/gtye
L7BbfmHrsA==
-----END CERTIFICATE-----
',1796082591038,1796082591038);
INSERT INTO "enrolments" VALUES(2,'7cf18798cb25d3ae2e22b6afcffd02f07469368e23a257f34c661b6df02a1e3d','f32fd20059e57364ed649399592c805b860a2818a30a81a5eaa87e79a45008e4',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000486ECC81F0B10BA6081BE262945A90DE5D29632279F5414EE41B3447C269C2C94DD97CB9FBBFC6422261A714C87E9A2B8168E3E3E007585B4F7A8441AF6077088','TUO2-STNE','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIQdUAamCK/Mc8Rh8mPQ1RYUjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTUxWhcN
MjYxMjA3MjM0OTUxWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEhuzIHwsQumCBviYpRakN5dKWMiefVBTuQbNEfCacLJTd
l8ufu/xkIiYacUyH6aK4Fo4+PgB1hbT3qEQa9gdwiKOBrjCBqzAfBgNVHSMEGDAW
gBTQ/f5tH2Mvkavij3JJ92GtGW/xTjAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQU8y/SAFnlc2TtZJOZWSyAW4YK
KBgwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiEAw2Pot+YB4VsyVVon
U+S2HfDevZz9B+VfpEc0B8nvBPUCIHdDqG9V86krYVMwQnzwbfJ5l00NewRUHOMB
ERLt+KeE
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQcXpBdo9GD1sKB1XGW9bBpjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTUwWhcN
MzYxMTI3MjM0OTUwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQJlGnjhHI9yVcY/LK/h4OnDVN+j1FT
wae8+fqgnwnPzQ9XsBkc52bZoOmz3vasAtRv9SYcOec4n+/ZyaJ73fAbo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFND9/m0fYy+Rq+KPckn3Ya0Zb/FOMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKeeRx1sdEG36npi
7xxq2Hf/A96rvsLzb+Ploo/xNIfLAiA5weZArUfI57Pc1oZx0qgReQ54YWM/gtye
L7BbfmHrsA==
-----END CERTIFICATE-----
',1796082591279,1796082591279);
INSERT INTO "enrolments" VALUES(3,'efc9093ce3505bdd5dd7b47e5cf8a579b36c8f90522cc06a918e58ae3da56592','5235e97814d184e8b680918457698570fe4af61938d5db30c927a9eaa5fdc6be',X'3059301306072A8648CE3D020106082A8648CE3D030107034200043838EB9B22CAEDB2C48B0929CDFC634F90C748D1259AB6A68AF07CD2A93B600E521E9F5D684280608CE997D21B5208D28A1B0BEF26558C7E1385A687275311F4','N7UK-S2RK','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796082591388,1796082591388);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082591059);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082591296);
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796082591109,'{"seq":1,"time":"2026-11-30T23:49:51.065268515Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796082591109,'{"seq":2,"time":"2026-11-30T23:49:51.065269096Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796082591109,'{"seq":1,"time":"2026-11-30T23:49:51.065269757Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796082591345,'{"seq":1,"time":"2026-11-30T23:49:51.300768551Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796082591217);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0}','f89ac18341f471e670ca4498ff30dc434e66ef245e6805c2408196851b0eb77c',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796082590930);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0}','f32fd20059e57364ed649399592c805b860a2818a30a81a5eaa87e79a45008e4',2,NULL,NULL,NULL,1796082590951);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0}',NULL,NULL,NULL,NULL,NULL,1796082590969);
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796082591058,1796082591108,'127.0.0.1','"disk"',NULL,12582912);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796082591295,1796082591344,'127.0.0.1','"closure"',NULL,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('ebc7bdb7cbb6137ab4a7e212b2ad851f5d6542aecccddff3f0cbf994b7fdd7f8','admin',1796082590883);
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
