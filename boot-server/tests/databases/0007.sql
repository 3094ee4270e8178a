BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 10:50:37',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',952561);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 10:50:37',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',369671);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 10:50:37',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',409501);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 10:50:37',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',327148);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 10:50:37',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',362981);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 10:50:37',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',626715);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 10:50:37',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',963577);
CREATE TABLE audit (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    time  INTEGER NOT NULL,
    actor TEXT NOT NULL,
    node  TEXT,
    text  TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1796122237638,'admin','member','applied the spec: created');
INSERT INTO "audit" VALUES(2,1796122237647,'admin','installing','applied the spec: created');
INSERT INTO "audit" VALUES(3,1796122237656,'admin','expected','applied the spec: created');
INSERT INTO "audit" VALUES(4,1796122237748,'server','member','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(5,1796122237795,'server','member','run run-of-member may install generation 1');
INSERT INTO "audit" VALUES(6,1796122237882,'member','member','installed generation 1 in run run-of-member');
INSERT INTO "audit" VALUES(7,1796122237926,'member','member','ready: etcd with 2 members');
INSERT INTO "audit" VALUES(8,1796122238060,'server','installing','admitted a machine from 127.0.0.1');
INSERT INTO "audit" VALUES(9,1796122238107,'server','installing','run run-of-installing may install generation 1');
INSERT INTO "audit" VALUES(10,1796122238278,'admin','member','drain hook');
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('46917e21bc746f41e698de2b400d2895','member','226b89a868d1654caaf78cbcef47b493e48d682b5c4454069d630a0bf6a6c487',1796122237748,1796727037749);
INSERT INTO "certificates" VALUES('46667c6614bdac9e16dc53694d8e05c2','installing','afd372c550afd73129b19bbbf9095e0ac7cdd66f7adb99193adfa086bc3c3a92',1796122238060,1796727038061);
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
INSERT INTO "enrolments" VALUES(1,'17b20b61f61daf76f3a563e760f46be511805de03e49200f2ef9bbb8689da3a2','226b89a868d1654caaf78cbcef47b493e48d682b5c4454069d630a0bf6a6c487',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000447271665715DF1B22B30C16907090F5CC6A301FDCD9287AFE8D935D120D7270B83A9DC6BAEACE521E9B2E0DB8D6711023F61E59AF119FA4B57901BF8FFC29D1F','HUT6-QANS','approved','member','{"macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2jCCAYCgAwIBAgIQRpF+Ibx0b0HmmN4rQA0olTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDk1MDM3WhcN
MjYxMjA4MTA1MDM3WjARMQ8wDQYDVQQDDAZtZW1iZXIwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAARHJxZlcV3xsiswwWkHCQ9cxqMB/c2Sh6/o2TXRINcnC4Op3Guu
rOUh6bLg241nEQI/YeWa8Rn6S1eQG/j/wp0fo4GqMIGnMB8GA1UdIwQYMBaAFOvq
7i+BoMDkX5E1tBYCyOC+CCVGMCgGA1UdEQQhMB+CBm1lbWJlcocECgAAAoIJbG9j
YWxob3N0hwR/AAABMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcD
AgYIKwYBBQUHAwEwHQYDVR0OBBYEFCJriaho0WVMqveMvO9HtJPkjWgrMAwGA1Ud
EwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIhAK+t6YYdqbx4y7vb1AvBYICGtiEm
rq7HCgepIvinsdU/AiAZ8zwKC6YC3j13Uz7oQ1A6kHz+IFd8bCmQ7EWvgZvm3w==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQeqmflQ5UCW5BzpmgiEW2WTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDk1MDM3WhcN
MzYxMTI4MTA1MDM3WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ5x/Q/3BJuC8CmPcXWSmoD2o9Mk/Of
6YIzXPS84sxSXv1DQEMVld24HR9lbVW4qnPVwT0N13xnrI83op89izr/o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFOvq7i+BoMDkX5E1tBYCyOC+CCVGMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgKcAgjiOR09ztKo4b
wzE0No0/n5g2Vui9ca88PqRwCigCIQCRnPBrxepGNC6q+g+2TYeR9uN7uoxWiStV
5hSi5QUuXw==
-----END CERTIFICATE-----
',1796122237748,1796122237748);
INSERT INTO "enrolments" VALUES(2,'ffacd8e21849189b08ecb379b5d3be2390aaecdb7a06fcf889109e5351f216a4','afd372c550afd73129b19bbbf9095e0ac7cdd66f7adb99193adfa086bc3c3a92',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004C13CECD26EF4B8A77D21DCD0D42DDD2B0E66B7750BC4C289BCE1D285FF101B22AF9C60C2C258A5E27EFF2DAF6352097EF2F987FB3333DB9D50CE0F1793D2F8E3','XWSM-MIWQ','approved','installing','{"macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIQRmZ8ZhS9rJ4W3FNpTY4FwjAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDk1MDM4WhcN
MjYxMjA4MTA1MDM4WjAVMRMwEQYDVQQDDAppbnN0YWxsaW5nMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEwTzs0m70uKd9IdzQ1C3dKw5mt3ULxMKJvOHShf8QGyKv
nGDCwlil4n7/La9jUgl+8vmH+zMz251Qzg8Xk9L446OBrjCBqzAfBgNVHSMEGDAW
gBTr6u4vgaDA5F+RNbQWAsjgvgglRjAsBgNVHREEJTAjggppbnN0YWxsaW5nhwQK
AAACgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQG
CCsGAQUFBwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUr9NyxVCv1zEpsZu7+QleCsfN
1m8wDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiBmmdbd9vWimLdLR+FH
EQ0yt3BWI8itobRLbIHhPmTxvAIhALuqL09jBWX6yXyl9C//Vtjhd5jGr8OcK8DC
Qz938XYZ
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIQeqmflQ5UCW5BzpmgiEW2WTAKBggqhkjOPQQDAjAgMR4w
HAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0EwHhcNMjYxMjAxMDk1MDM3WhcN
MzYxMTI4MTA1MDM3WjAgMR4wHAYDVQQDDBVjZW50cmEgYm9vdC1zZXJ2ZXIgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ5x/Q/3BJuC8CmPcXWSmoD2o9Mk/Of
6YIzXPS84sxSXv1DQEMVld24HR9lbVW4qnPVwT0N13xnrI83op89izr/o0UwQzAO
BgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFOvq7i+BoMDkX5E1tBYCyOC+CCVGMBIG
A1UdEwEB/wQIMAYBAf8CAQAwCgYIKoZIzj0EAwIDSAAwRQIgKcAgjiOR09ztKo4b
wzE0No0/n5g2Vui9ca88PqRwCigCIQCRnPBrxepGNC6q+g+2TYeR9uN7uoxWiStV
5hSi5QUuXw==
-----END CERTIFICATE-----
',1796122238059,1796122238059);
INSERT INTO "enrolments" VALUES(3,'250509524c0c3b3ad71aa0cf3e694dc07688d752f8e7642171986da5bf802f25','78113405373337dc8df13417617e4ca6ae0f783ae407f2599e30e0e0f8b23c1c',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004C99384027764677D921DD816C09149992681982E8491C8B5587B4A2842121B8F6C8940C9A871877D9BAB264354D3EBAAA1FEDE6B59520C3CC4006D037BBB2FD1','DV4V-IHF3','pending',NULL,'{"macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796122238268,1796122238268);
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796122237795);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796122238107);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796122237971,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796122237838,'{"seq":1,"time":"2026-12-01T10:50:37.797054645Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796122237838,'{"seq":2,"time":"2026-12-01T10:50:37.797055156Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796122237838,'{"seq":1,"time":"2026-12-01T10:50:37.797055877Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796122238154,'{"seq":1,"time":"2026-12-01T10:50:38.110195832Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796122237926);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','226b89a868d1654caaf78cbcef47b493e48d682b5c4454069d630a0bf6a6c487',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796122237638,1796727037749,NULL,'v1:PNsTqWDPy1mdwpXXV8TZ6hFVQpU9b+HrwgnMUeVAaC5oPz7XjeDqCZx8fJddf8HMqy12tKRizSQpUe63enhAtdS0d1m4rnrToaDhxQed+5lPf0NNGIUknWk9avh6fEMPk1LSAz7O7/xzBA==');
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','afd372c550afd73129b19bbbf9095e0ac7cdd66f7adb99193adfa086bc3c3a92',2,NULL,NULL,NULL,1796122237647,1796727038061,NULL,'v1:XrlEqvXj761MYiziFXUk7Ubgw0qStlT3SQLOW1QSWm0jjiPpYLjwpSKElmt25124NAGTpYSxWSpnOLX/TFlaHN6UY86nusJJAc6UXfaby5lzF78wOwPwD6yHo1EteJAOGEb2GM4HKEwoB6uzPoA=');
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"]},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796122237656,NULL,NULL,'v1:e0UkDZ22xW8FP3kn/QYfkgKZr1hyGNw663pDFMWVKw3Lu/HjIP2OYiFkwlSJ9E8uSkHosP3XVnwElExhB5RwzzPUnc7uOPRjHa7wfwXHxZuE8vODkznRYOEuxPg8YbxlfbdTv8dvAd1qgErw');
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
INSERT INTO "runs" VALUES('run-of-member',NULL,'member',1796122237795,1796122237838,'127.0.0.1','"disk"',NULL,12582912,2,1,370);
INSERT INTO "runs" VALUES('run-of-installing',NULL,'installing',1796122238107,1796122238154,'127.0.0.1','"closure"',NULL,0,1,0,105);
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
INSERT INTO "tokens" VALUES('24929e3c975a76011b56a3520676004529a53521f2c2af98118a91fa86532a5b','admin',1796122237600,'admin',NULL,1796122237637);
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
