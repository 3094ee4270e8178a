BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 11:05:59',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',1025459);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 11:05:59',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',427608);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 11:05:59',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',525163);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 11:05:59',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',364663);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 11:05:59',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',403112);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 11:05:59',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',6392775);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 11:05:59',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',1109455);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796123159978,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796123159999,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796123160006,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796123160103,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796123160152,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796123160250,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796123160294,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796123160441,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796123160487,'server','installing','run run-of-installing may install generation 1');
INSERT INTO "audit" VALUES(10,1796123160672,'admin','member','drain hook');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('48c8ef15ebc9e226a6bde658b3848f21','member','01ab0a7ce0cdb1ae4298f666e74db11b90bae4154edb8b48f069fea869849a57',1796123160103,1796727960104);
INSERT INTO "certificates" VALUES('6c1c02f4a4a85ccb3df1b61800d6cfc5','installing','55c4622667ca91c9fe2d0f7114c456d944ce22a40e04ab7c3495757a8fb59631',1796123160441,1796727960441);
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
INSERT INTO "enrolments" VALUES(1,'e667a46d19500a0564aa1e3d7c10dcad024c61738a246e7bf34e862db7fdda2a','01ab0a7ce0cdb1ae4298f666e74db11b90bae4154edb8b48f069fea869849a57',X'3059301306072A8648CE3D020106082A8648CE3D030107034200041852FAA091007A73BC11C82C34F81CC01FC7FC4989E3605F106952224A7E928216F2A2DCB587E64373D5013111CD0F7AFA85DE78BFFDB8F06796D46FCCED4625','GXPR-4255','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2TCCAYCgAwIBAgIQSMjvFevJ4iamveZYs4SPITAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNjAwWhcN
MjYxMjA4MTEwNjAwWjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAAQYUvqgkQB6c7wRyCw0+BzAH8f8SYnjYF8QaVIiSn6Sghbyoty1
h+ZDc9UBMRHND3r6hd54v/248GeW1G/M7UYlo4GqMIGnMB8GA1UdIwQYMBaAFD/4
1+g8ivUVgl87vvSmOOgcO+rrMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFAGrCnzgzbGuQpj2ZudNsRuQuuQVMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDRwAwRAIgNTdV/TyQXMckg3EFz7rtkhM4ZMlG
mRkFDTGLGtlokVgCIG393OjpX8R/VKWZdGTf0dod7YJbV22m+kFBR9uQoyvg
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQU49LcediwIRmSu3wdAqmjTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNTU5WhcN
MzYxMTI4MTEwNTU5WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQqGggKcjC7/ifjova0hB+oKvZEHii/
yfyT4ljT1BO8APnscSbWPLCjXQlsEFgHW674JSRr1wKEjKzoxKJoM+23o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFD/41+g8ivUVgl87vvSmOOgcO+rrMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKKs3sfP7Q9f3ioT
yNSz0/4HKCQ8n1nc5x/yFnZBraUgAiB8QTvdtTZXFbeYAwOWoXaZRDUM/WYA/scH
aqbAanKL9g==
-----END CERTIFICATE-----
',1796123160103,1796123160103);
INSERT INTO "enrolments" VALUES(2,'7fae4475592481d1857c11ea4b7deb2bdf12111aafda0f0466510b6511bf5f52','55c4622667ca91c9fe2d0f7114c456d944ce22a40e04ab7c3495757a8fb59631',X'3059301306072A8648CE3D020106082A8648CE3D030107034200047A2734F4F5DE8192A605EFA4443618316082E442DDDBAA57D433C38D0F90796C5AEE336F3FF9A7251F6E1A52D30D7DEC13C1A06A89F8200ADB99A6EC0328B1EF','TNBD-SM5J','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4TCCAYigAwIBAgIQbBwC9KSoXMs98bYYANbPxTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNjAwWhcN
MjYxMjA4MTEwNjAwWjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEeic09PXegZKmBe+kRDYYMWCC5ELd26pX1DPDjQ+QeWxa
7jNvP/mnJR9uGlLTDX3sE8Ggaon4IArbmabsAyix76OBrjCBqzAfBgNVHSMEGDAW
gBQ/+NfoPIr1FYJfO770pjjoHDvq6zAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUVcRiJmfKkcn+LQ9xFMRW2UTO
IqQwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNHADBEAiBeM3Q5UqChiHFNVkUZ
VX8NRv60tcENClhC+yCqujshOAIgPIdewRw2XJjzm4bC2yf9yqZ3wk+RwyHB4cIk
fY0mFI4=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQU49LcediwIRmSu3wdAqmjTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMTAwNTU5WhcN
MzYxMTI4MTEwNTU5WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQqGggKcjC7/ifjova0hB+oKvZEHii/
yfyT4ljT1BO8APnscSbWPLCjXQlsEFgHW674JSRr1wKEjKzoxKJoM+23o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFD/41+g8ivUVgl87vvSmOOgcO+rrMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIhAKKs3sfP7Q9f3ioT
yNSz0/4HKCQ8n1nc5x/yFnZBraUgAiB8QTvdtTZXFbeYAwOWoXaZRDUM/WYA/scH
aqbAanKL9g==
-----END CERTIFICATE-----
',1796123160441,1796123160441);
INSERT INTO "enrolments" VALUES(3,'e25ddc010910b070397319ce936fcdd2b02c5a382beae7b79f395b22b13dc59f','d57ec44e9924f304fc71742ad5ecd031309757cdca25191396768419ee5df6d1',X'3059301306072A8648CE3D020106082A8648CE3D030107034200045EA5B31FE443B007200A769C2E440A6F96759FF5513EADB81339D489FF88907F9B27062CDB019E8227E406FCB2895FCE7AD6C3CB02E8C69C8D264615A42758BC','VMNZ-WQWO','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796123160663,1796123160663);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796123160152);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796123160487);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796123160340,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796123160204,'{"seq":1,"time":"2026-12-01T11:06:00.154103145Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796123160204,'{"seq":2,"time":"2026-12-01T11:06:00.154103585Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796123160204,'{"seq":1,"time":"2026-12-01T11:06:00.154104417Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796123160536,'{"seq":1,"time":"2026-12-01T11:06:00.489496049Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796123160294);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','01ab0a7ce0cdb1ae4298f666e74db11b90bae4154edb8b48f069fea869849a57',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796123159978,1796727960104,NULL,'v1:kHk3wlB7KnyHfsvmnMze0zV6nJ7xAEhZOtharEieKkTz8Doc8Syh+brBZcUbksMsZ9pmHOZEQiCwYiacEeX7jW6s3wTuv2Au9IWunu1BjMrgjeWGgSez13yaBuXS8PO3ogk2meb6sf6KTg==');
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','55c4622667ca91c9fe2d0f7114c456d944ce22a40e04ab7c3495757a8fb59631',2,NULL,NULL,NULL,1796123159999,1796727960441,NULL,'v1:BSKxmdlekXTSjU1keyq8/2u3DSdKw0dg2grLZoSSw8kYpV+hbfKasgk3kwyxHWLHMetb5begG6OsYltmhV+IygXclxg77Ai4wCziYjByRjGkQz1QVcKCQPKd+3litcEtiKqUNASn9j/gfJ+v0yI=');
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796123160006,NULL,NULL,'v1:S+yyAIjqaJGEE0ueROJk99JU9o6fDOaVbCaySqNPsZGYsMpc/SmeCFxy/z/yYOL1ZJvns2IyVkDCvanPXP5kHywzQSmhEOK9ysvKLtcrH9DZTYP0c0UXry8oPs2uKoEKiqAequGv2emJ5prm');
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796123160152,1796123160204,'127.0.0.1','"disk"',NULL,12582912,2,1,370);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796123160487,1796123160536,'127.0.0.1','"closure"',NULL,0,1,0,105);
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
INSERT INTO "tokens" VALUES('cb21504607dddad89434627192c0a91c3d17678b6c150afd6df9f331fdaf1593','admin',1796123159905,'admin',NULL,1796123159957);
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
