BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 07:20:00',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',3703983);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 07:20:00',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',3938829);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 07:20:00',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',3994749);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 07:20:00',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',3960585);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 07:20:00',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',3950208);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 07:20:00',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',3971202);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796109600621,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796109600671,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796109600683,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796109600738,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796109600746,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796109600835,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796109600879,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796109600991,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796109600998,'server','installing','run run-of-installing may install generation 1');
INSERT INTO "audit" VALUES(10,1796109601156,'admin','member','drain hook');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('7b86bf1db1084d595d73b59217883b20','member','ff39413ea6e0234dbb8fccb9af2cc0036cb96ba66e263edc49d99c135030aab2',1796109600738,1796714400739);
INSERT INTO "certificates" VALUES('7c336272efb35ed517f9efac139dade4','installing','bd67320056018f52e49baa0c04ab567f89bff29954cdd43bb10510b3312bf659',1796109600991,1796714400991);
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
INSERT INTO "enrolments" VALUES(1,'ac13b313b880b9e3963a00bdd37f770091e585eb2afe100c685cde34f4d2c686','ff39413ea6e0234dbb8fccb9af2cc0036cb96ba66e263edc49d99c135030aab2',X'3059301306072A8648CE3D020106082A8648CE3D030107034200049DAF00EA564E51CC800E0F4F5F6969EB1E1935E5A2B606261DCC82FEE28C455348A5D117716A7CEDF536D81AEA6BE4DE7C5EC97B70E3A6054C61E7C71C0ED880','WNUL-PQ3V','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQe4a/HbEITVldc7WSF4g7IDAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDYyMDAwWhcN
MjYxMjA4MDcyMDAwWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAASdrwDqVk5RzIAOD09faWnrHhk15aK2BiYdzIL+4oxFU0il0Rdx
anzt9TbYGupr5N58Xsl7cOOmBUxh58ccDtiAo4GqMIGnMB8GA1UdIwQYMBaAFBbJ
YEZ3I03PAnt9w44u+fIYWq7rMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFP85QT6m4CNNu4/Mua8swANsuWumMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIgU8hmjR/CR1gVrSTxRl75j/pBQUSI
YXuwwzliqMBdjG4CIQC36+i/T/Vfy9l6eP9IQA+Lo7qScwgf3f5VRjH2P0VcVg==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQf0Lxxf1YSs8Mpigysjso1TAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDYyMDAwWhcN
MzYxMTI4MDcyMDAwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASXbencpFTsu0duW40BRDopbtL4L7V3
y9aKsc7JjVwKPLohtA0CnnLZdmyC2v4RRyd1mfioYOwwJoxU7z8LvEUMo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFBbJYEZ3I03PAnt9w44u+fIYWq7rMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhAMgHzHAeK61OpO2n
F0Pu/1u2aEUq8vxjOBxuetcn7UfIAiEAnNHiUSz2E01R34idluE0pmXJw6GKTGo9
VfGstN3aMUo=
-----END CERTIFICATE-----
',1796109600737,1796109600737);
INSERT INTO "enrolments" VALUES(2,'dab57dd4a2bb2bf624add5ae355544984714923ab2ea7983080efaf2819a4614','bd67320056018f52e49baa0c04ab567f89bff29954cdd43bb10510b3312bf659',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000495FB544B68D1265F99F40E7734AA41A6885464D6A4B9FC9BC7FB82F952F4F234921A1BF0907E3C472FDFC58EDE3B5E6C4073C3D6D0549C2E69C43117DCB3E0DE','GZFZ-OWXX','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4zCCAYigAwIBAgIQfDNicu+zXtUX+e+sE52t5DAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDYyMDAwWhcN
MjYxMjA4MDcyMDAwWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAElftUS2jRJl+Z9A53NKpBpohUZNakufybx/uC+VL08jSS
GhvwkH48Ry/fxY7eO15sQHPD1tBUnC5pxDEX3LPg3qOBrjCBqzAfBgNVHSMEGDAW
gBQWyWBGdyNNzwJ7fcOOLvnyGFqu6zAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUvWcyAFYBj1Lkm6oMBKtWf4m/
8pkwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEA6RDdw3MmXp2yq4gJ
oyXel7q/l+DwUHi4npKH4cphkkUCIQDNN2YHBzqr3RgudjGoFlXBxT0ZVpvqsPxs
BGF3T4TQbA==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBhDCCASmgAwIBAgIQf0Lxxf1YSs8Mpigysjso1TAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDYyMDAwWhcN
MzYxMTI4MDcyMDAwWjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASXbencpFTsu0duW40BRDopbtL4L7V3
y9aKsc7JjVwKPLohtA0CnnLZdmyC2v4RRyd1mfioYOwwJoxU7z8LvEUMo0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFBbJYEZ3I03PAnt9w44u+fIYWq7rMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSQAwRgIhAMgHzHAeK61OpO2n
F0Pu/1u2aEUq8vxjOBxuetcn7UfIAiEAnNHiUSz2E01R34idluE0pmXJw6GKTGo9
VfGstN3aMUo=
-----END CERTIFICATE-----
',1796109600986,1796109600986);
INSERT INTO "enrolments" VALUES(3,'4b8da58d8cf1c18084ed009c57100fa2e03dfd0a483652b1b93e407285af3e60','66077d850b73d68bbbffdc3f0fd872dd730e6c094bfa4444435d11b6927b9836',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004CDD87D7F6501A38CAEDCAF2251621B8D031C0851D14B57402719E31D4D1A9EB6DA0F54910B3186CD1C399A611688B29ECA222A195B35B11D26609A2385CCC8AD','4LQO-33RE','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796109601135,1796109601135);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796109600746);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796109600998);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796109600927,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796109600791,'{"seq":1,"time":"2026-12-01T07:20:00.748544115Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796109600791,'{"seq":2,"time":"2026-12-01T07:20:00.748544686Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796109600791,'{"seq":1,"time":"2026-12-01T07:20:00.748545535Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796109601051,'{"seq":1,"time":"2026-12-01T07:20:01.007863639Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796109600879);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of member"}],"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','ff39413ea6e0234dbb8fccb9af2cc0036cb96ba66e263edc49d99c135030aab2',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796109600621);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of installing"}],"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','bd67320056018f52e49baa0c04ab567f89bff29954cdd43bb10510b3312bf659',2,NULL,NULL,NULL,1796109600671);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"secrets":[{"path":"/etc/nixos/secrets/own","mode":"0400","content":"secret of expected"}],"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796109600683);
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796109600746,1796109600791,'127.0.0.1','"disk"',NULL,12582912,2,1,120);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796109600998,1796109601051,'127.0.0.1','"closure"',NULL,0,1,0,0);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
);
INSERT INTO "tokens" VALUES('5fd30c09444919068975548a96f34cea3f3ff64131cd4e4f629adcb04374016f','admin',1796109600560);
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
