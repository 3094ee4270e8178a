BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-11-30 23:49:05',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',4473700);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-11-30 23:49:05',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',1237503);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796082545178,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796082545206,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796082545233,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796082545311,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796082545329,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796082545429,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796082545477,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796082545506,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796082545565,'server','installing','run run-of-installing may install generation 1');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('66d8233e23d6d85b9a01bcf2c0f4b20a','member','8754c81380d1ce578aff41ef811f6f7b580ec0de3057e855ecc5a0af39e6b900',1796082545312,1796687345311);
INSERT INTO "certificates" VALUES('7e4356778ed1aa2eb4943d86d3089b75','installing','6c007ceff7ea7d394b9b97ee50a57f2a2a2c64fbf0c78fc9d21424f34c8f34bd',1796082545507,1796687345506);
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
INSERT INTO "enrolments" VALUES(1,'347ba3e460ec03bfa1e5148e098ccdaa7ef658cf84878bef79a02965cbbc0cd2','8754c81380d1ce578aff41ef811f6f7b580ec0de3057e855ecc5a0af39e6b900',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004845E5B71D695E772F3F71AC07264328E54A2F625A7CD74EC7C88F61B6575045686AF0D567F1BCEFE7CEFC5A534A2EFE64A55A1686579826FAB73213F066F6137','SCXA-J3TS','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQZtgjPiPW2FuaAbzywPSyCjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTA1WhcN
MjYxMjA3MjM0OTA1WjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAASEXltx1pXncvP3GsByZDKOVKL2JafNdOx8iPYbZXUEVoavDVZ/
G87+fO/FpTSi7+ZKVaFoZXmCb6tzIT8Gb2E3o4GqMIGnMB8GA1UdIwQYMBaAFO5J
vSSmdWZewKzypEAt9GzLqUVDMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFIdUyBOA0c5Xiv9B74Efb3tYDsDeMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAN3/F0dzLx2e9Y8YlJecfXrri//Z
XDtr5OZHAYk4xWbUAiB3RzGF3/CSIYTZxFXPOrf1lGEG2rmJ/6XtBZxcQF2GEw==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQTFQlvYJidsUPJ2eRVuIDIjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTA0WhcN
MzYxMTI3MjM0OTA0WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATcqyc+CnUMtPiH0nrUrjswO+Us47FV
eyhA1vNTCIU9BYOow+Z5j4cJstpVMfgXjhFB9no97RmUoMfy9G0YUTBFo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFO5JvSSmdWZewKzypEAt9GzLqUVDMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgRh6eqXDHls38q3hV
Z124XQnHzYhuuSH07kH8gmNlgAMCIQC1U6wRYWXCwiqgGRsrkwB3xcidOVC7fmyF
2zjtVw5trA==
-----END CERTIFICATE-----
',1796082545306,1796082545306);
INSERT INTO "enrolments" VALUES(2,'dac8861bf121662ecf2f3ec75a470819ac05e314666e61a297ea2c68c01a2c93','6c007ceff7ea7d394b9b97ee50a57f2a2a2c64fbf0c78fc9d21424f34c8f34bd',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004CBAA26FE60DE21DE8B1D84D990BD3CE0EE2EEF57ABD609CB9E7DCFEF7B26CF41D5678D3A375E85DB8758D72E3913EC153FFE5D4FAB4EB47DFBB850374E95A470','PXDX-O75Y','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4zCCAYigAwIBAgIQfkNWd47Rqi60lD2G0wibdTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTA1WhcN
MjYxMjA3MjM0OTA1WjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEy6om/mDeId6LHYTZkL084O4u71er1gnLnn3P73smz0HV
Z406N16F24dY1y45E+wVP/5dT6tOtH37uFA3TpWkcKOBrjCBqzAfBgNVHSMEGDAW
gBTuSb0kpnVmXsCs8qRALfRsy6lFQzAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUbAB87/fqfTlLm5fuUKV/Kios
ZPswDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEAzTujt4KExpB1ts+B
7QZ0O56NwDxIvqHS2+cOMbKkVCMCIQDs8XeD7ZuQlMiZ634tOGj8gAlzqy8hUuG3
O5m2sgpHaQ==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQTFQlvYJidsUPJ2eRVuIDIjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMTMwMjI0OTA0WhcN
MzYxMTI3MjM0OTA0WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATcqyc+CnUMtPiH0nrUrjswO+Us47FV
eyhA1vNTCIU9BYOow+Z5j4cJstpVMfgXjhFB9no97RmUoMfy9G0YUTBFo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFO5JvSSmdWZewKzypEAt9GzLqUVDMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgRh6eqXDHls38q3hV
Z124XQnHzYhuuSH07kH8gmNlgAMCIQC1U6wRYWXCwiqgGRsrkwB3xcidOVC7fmyF
2zjtVw5trA==
-----END CERTIFICATE-----
',1796082545503,1796082545503);
INSERT INTO "enrolments" VALUES(3,'0800a963787d19e04634097329a7db39bae1a4c5c5363bd3939a8c9803d5d8cd','6192d510a427264717519553bb39be378d32059fb871aab46bb8e4edd8e9efc6',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004B4F663C8B9DC2A9EF3995DB409D2BD8509ECC4104B1C4F14603027A16F91446E06F08ADA5F28D091DE0EC51704D8A5E167B804953AF2D0A405203355B4DF9723','IIJW-44QM','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796082545670,1796082545670);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082545330);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796082545566);
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796082545381,'{"seq":1,"time":"2026-11-30T23:49:05.336367491Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796082545381,'{"seq":2,"time":"2026-11-30T23:49:05.336368192Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796082545382,'{"seq":1,"time":"2026-11-30T23:49:05.336368894Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796082545617,'{"seq":1,"time":"2026-11-30T23:49:05.571413555Z","since_start_ms":100,"step":"closure","event":"started"}');
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0}','8754c81380d1ce578aff41ef811f6f7b580ec0de3057e855ecc5a0af39e6b900',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"","kernel":""},"boot_order":[]}',1796082545177);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0}','6c007ceff7ea7d394b9b97ee50a57f2a2a2c64fbf0c78fc9d21424f34c8f34bd',2,NULL,NULL,NULL,1796082545206);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0}',NULL,NULL,NULL,NULL,NULL,1796082545233);
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796082545329,1796082545381,'127.0.0.1','"disk"',NULL,12582912);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796082545565,1796082545616,'127.0.0.1','"closure"',NULL,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('22517fa58213ffe614d3b0eb4b4f2fab5bda5a3d4cd26c549062f271d5e81201','admin',1796082545125);
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
