BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 15:13:26',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',1036606);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 15:13:26',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',382991);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 15:13:26',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',422350);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 15:13:26',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',330733);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 15:13:26',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',378865);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 15:13:26',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',736358);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 15:13:26',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',963197);
INSERT INTO "_sqlx_migrations" VALUES(8,'trust in full','2026-12-01 15:13:26',1,X'26D39103B2655B3190ADBE94C841D6042E1188545395D043016A7E7C28A303D8B87B5E2DCE6F28D69635D9592A0AE777',1902448);
CREATE TABLE "audit" (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,            -- protocol::audit::AuditEntry
    hash  TEXT,                     -- none until it is chained
    node  TEXT GENERATED ALWAYS AS (json_extract(entry, '$.node')),
    actor TEXT GENERATED ALWAYS AS (json_extract(entry, '$.kind') || ' ' || json_extract(entry, '$.actor'))
);
INSERT INTO "audit" VALUES(1,'{"id":1,"time":"2026-12-01T15:13:26.066Z","actor":"whoever has the folder","kind":"folder","action":"server-made","text":"made the server"}','c9f931146f3080d4927a7001526d271428168fe51faab6054fe665f589e1fdd4');
INSERT INTO "audit" VALUES(2,'{"id":2,"time":"2026-12-01T15:13:26.066Z","actor":"whoever has the folder","kind":"folder","action":"token-made","text":"made the token admin, which allows to do everything","after":{"expires":null,"name":"admin","scope":"admin"}}','6bc752258f1afaf2c941f4689d645ca516e35e55ff0d7f933bf9364087df3873');
INSERT INTO "audit" VALUES(3,'{"id":3,"time":"2026-12-01T15:13:26.123Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"member","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"name":"member","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','ea5d3f93c16125e25fff56c2806e791c61414d4b85db03acaf1e1a948a52c739');
INSERT INTO "audit" VALUES(4,'{"id":4,"time":"2026-12-01T15:13:26.134Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"installing","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"installing","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"name":"installing","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','1e64e8797e2ae08fefd6c7f713fa4b365bd01987fa734cf2d9d67377b3b176bc');
INSERT INTO "audit" VALUES(5,'{"id":5,"time":"2026-12-01T15:13:26.144Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"expected","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"expected","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"name":"expected","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','9719c13ac13a45189b36a9ad472b8fb38bedce600eac93d490efe57722283333');
INSERT INTO "audit" VALUES(6,'{"id":6,"time":"2026-12-01T15:13:26.248Z","actor":"server","kind":"server","node":"member","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key 26c215b434a1, serial S-525400000001, card 52:54:00:00:00:01","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"generation":1,"key":"26c215b434a132d9e15ab162233aea3c726f4a55aad86902d511af3abc54a9b9"}}','4c38ce82399f1dff648264b5b23c60db91c1fb6532d9cb15e250e39e89e79459');
INSERT INTO "audit" VALUES(7,'{"id":7,"time":"2026-12-01T15:13:26.300Z","actor":"server","kind":"server","node":"member","action":"noted","text":"run run-of-member may install generation 1"}','ca2487525ae8c9d021d52e4cde06e5d8b4d80c580d0e69531807982854385216');
INSERT INTO "audit" VALUES(8,'{"id":8,"time":"2026-12-01T15:13:26.412Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"installed","text":"installed generation 1 in run run-of-member"}','c3e8fa72f62297a90a98c2b73e8def0163cd4df7caf0a1d7e6560dffc0328623');
INSERT INTO "audit" VALUES(9,'{"id":9,"time":"2026-12-01T15:13:26.478Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"joined","text":"ready: etcd with 2 members"}','a7e690c3faadf7c096d13faad99605f72bb2cff2c0f0d8f59fc34eb2359693db');
INSERT INTO "audit" VALUES(10,'{"id":10,"time":"2026-12-01T15:13:26.651Z","actor":"server","kind":"server","node":"installing","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key 3ceb918e5adb, serial S-525400000002, card 52:54:00:00:00:02","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"generation":1,"key":"3ceb918e5adbefcf19c083d839d0e57efcfd89cda0677d6e21dd17524a2e20cd"}}','0b7298b0213fbe8158c7c5078e2edcd43b99e5d7db4a7fd8c4691c8ebfbcabb9');
INSERT INTO "audit" VALUES(11,'{"id":11,"time":"2026-12-01T15:13:26.718Z","actor":"server","kind":"server","node":"installing","action":"noted","text":"run run-of-installing may install generation 1"}','7c1a29452cbecbad9f8e4e88f5db94b3d33037a92bdbcc3f12fac5c1ffabf1f5');
INSERT INTO "audit" VALUES(12,'{"id":12,"time":"2026-12-01T15:13:26.937Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"drain","text":"drain hook"}','865c837c03ca2a3f2c1e85c7bf822b759fa5e99ab384a448c2c5f2edba3d11f4');
CREATE TABLE audit_forgotten (
    id   INTEGER PRIMARY KEY,
    hash TEXT NOT NULL
);
CREATE TABLE beliefs (
    node       TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    key_sha256 TEXT NOT NULL,
    believed   TEXT NOT NULL,
    time       INTEGER NOT NULL
);
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL
);
INSERT INTO "certificates" VALUES('76d6f60883a615c9b32015d20d47c813','member','26c215b434a132d9e15ab162233aea3c726f4a55aad86902d511af3abc54a9b9',1796138006248,1796742806250);
INSERT INTO "certificates" VALUES('4ecef9d36651c6f5d57bd92edc59b9d4','installing','3ceb918e5adbefcf19c083d839d0e57efcfd89cda0677d6e21dd17524a2e20cd',1796138006651,1796742806659);
CREATE TABLE clusters (
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    body    TEXT NOT NULL,          -- arbiter::Cluster
    PRIMARY KEY (cluster, service)
);
INSERT INTO "clusters" VALUES('c','etcd','{"founders":[],"seats":{"member":{"generation":1,"founded":null,"ready":1,"replaces":false,"removed":null,"handed":null}},"lease":null,"behind":null,"restored":null}');
CREATE TABLE enrol_tokens (
    sha256  TEXT PRIMARY KEY,
    bound   TEXT NOT NULL,          -- enrol_token::Bound
    made_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER,
    node    TEXT                    -- the node that the machine became
);
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
, token_sha256 TEXT, tpm TEXT);
INSERT INTO "enrolments" VALUES(1,'3057fd7fac6afd212cc5a093ccdee6c5db55673b953006f7bdec999aa21ac5dc','26c215b434a132d9e15ab162233aea3c726f4a55aad86902d511af3abc54a9b9',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004B2F54DD4C016B1608904374F8C13C437D6FB00FB7DA6DC97589A6D8BDCBA10D2517D8CC7ACA35FEB5DE9C8F22191F96360427FD197F5100F1A5BBB6C3CFE44A4','73KL-ECFO','approved','member','{"serial":"S-525400000001","macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB3TCCAYKgAwIBAgIQdtb2CIOmFcmzIBXSDUfIEzAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA1MGZkYTFiZjAeFw0yNjEyMDExNDEzMjZa
Fw0yNjEyMDgxNTEzMjZaMBExDzANBgNVBAMMBm1lbWJlcjBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABLL1TdTAFrFgiQQ3T4wTxDfW+wD7fabcl1iabYvcuhDSUX2M
x6yjX+td6cjyIZH5Y2BCf9GX9RAPGlu7bDz+RKSjgaowgacwHwYDVR0jBBgwFoAU
pCNyTwyut1G7pjYhbH9I29rAJ/UwKAYDVR0RBCEwH4IGbWVtYmVyhwQKAAACggls
b2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQGCCsGAQUF
BwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUJsIVtDShMtnhWrFiIzrqPHJvSlUwDAYD
VR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEAy57zb59FROXwSCmQ3+syyhf+
Y0qEHD5cO9cy3de98csCIQD5tBk/BBuQu4iFle+opNO/MUFdUQ/ALyOgT2RTsBe1
XA==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIQUP2hv3TcXsgWQDmC4TgKrTAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA3MDI2ZTFlNTAeFw0yNjEyMDExNDEzMjVaFw0z
MTExMzAxNTEzMjVaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDUwZmRhMWJm
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESrhM6Qqgqwhl1v3Zg+4fO4HTZMiH
TkbhLTx3IWNhdyeswB6DKlBDwwxcb2SqQDPh0CdOIV//juHf0KNAFoscJ6NmMGQw
HwYDVR0jBBgwFoAU+Xo543p2OXQJqQpPQsLIyNwT+LMwDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBSkI3JPDK63UbumNiFsf0jb2sAn9TASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0gAMEUCIERzlt8ghB6Fkc2xJMhJB5whzks/bPBXsDvv
7FopmQFyAiEA6+lP8N9EN/HQGDnlj0rh3y3eGoNLenZqnJew2WkwJNw=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgTCCASegAwIBAgIQcCbh5eqruaQ/FmYl2srPQzAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA3MDI2ZTFlNTAeFw0yNjEyMDExNDEzMjVaFw00
NjExMjYxNTEzMjVaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDcwMjZlMWU1MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC0e76Rlk7bqFjjmsLzAWVaXAVp5FQe7P
NklienQB4fEcP2vxv789xwqbn1eb6VcvCGHZQGzSDOPo9WCFr2hKFaNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBT5ejnjenY5dAmpCk9CwsjI3BP4szASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0gAMEUCIHTBZJ7hS+7JMRvdnTuA
qW8QRcqvub0Wx2T8tJi2tzEJAiEA7V/niN8fp7WUmft0fUcmTvcJ9RLt1ug+5EA8
x1+CODk=
-----END CERTIFICATE-----
',1796138006248,1796138006248,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(2,'69a47af20fa12c0f2c0ae59a5624187425e4d081bc7300ab36d4d85b4873a3a0','3ceb918e5adbefcf19c083d839d0e57efcfd89cda0677d6e21dd17524a2e20cd',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004F89D393259E346BD5D45A1FF6856A66F1C95C325327B129CE76D5C75CB391B96EA11CD8796038B3771337944F9A68E3313048F766DB9D6D5FF00E33E1BBFEAC8','6M46-LBCB','approved','installing','{"serial":"S-525400000002","macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB4zCCAYqgAwIBAgIQTs7502ZRxvXVe9ku3Fm51DAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA1MGZkYTFiZjAeFw0yNjEyMDExNDEzMjZa
Fw0yNjEyMDgxNTEzMjZaMBUxEzARBgNVBAMMCmluc3RhbGxpbmcwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAT4nTkyWeNGvV1Fof9oVqZvHJXDJTJ7EpznbVx1yzkb
luoRzYeWA4s3cTN5RPmmjjMTBI92bbnW1f8A4z4bv+rIo4GuMIGrMB8GA1UdIwQY
MBaAFKQjck8MrrdRu6Y2IWx/SNvawCf1MCwGA1UdEQQlMCOCCmluc3RhbGxpbmeH
BAoAAAKCCWxvY2FsaG9zdIcEfwAAATAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0lBBYw
FAYIKwYBBQUHAwIGCCsGAQUFBwMBMB0GA1UdDgQWBBQ865GOWtvvzxnAg9g50OV+
/P2JzTAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0cAMEQCIA+Nk1870Fog+Sf5
20sLrE1gjLJgZfHMHCGc9U54a88oAiBbL6KeWsd6AyV01lIwZMa/xsTu7m5sVYrE
PsYjCHio/A==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIQUP2hv3TcXsgWQDmC4TgKrTAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA3MDI2ZTFlNTAeFw0yNjEyMDExNDEzMjVaFw0z
MTExMzAxNTEzMjVaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDUwZmRhMWJm
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESrhM6Qqgqwhl1v3Zg+4fO4HTZMiH
TkbhLTx3IWNhdyeswB6DKlBDwwxcb2SqQDPh0CdOIV//juHf0KNAFoscJ6NmMGQw
HwYDVR0jBBgwFoAU+Xo543p2OXQJqQpPQsLIyNwT+LMwDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBSkI3JPDK63UbumNiFsf0jb2sAn9TASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0gAMEUCIERzlt8ghB6Fkc2xJMhJB5whzks/bPBXsDvv
7FopmQFyAiEA6+lP8N9EN/HQGDnlj0rh3y3eGoNLenZqnJew2WkwJNw=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgTCCASegAwIBAgIQcCbh5eqruaQ/FmYl2srPQzAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA3MDI2ZTFlNTAeFw0yNjEyMDExNDEzMjVaFw00
NjExMjYxNTEzMjVaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDcwMjZlMWU1MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC0e76Rlk7bqFjjmsLzAWVaXAVp5FQe7P
NklienQB4fEcP2vxv789xwqbn1eb6VcvCGHZQGzSDOPo9WCFr2hKFaNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBT5ejnjenY5dAmpCk9CwsjI3BP4szASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0gAMEUCIHTBZJ7hS+7JMRvdnTuA
qW8QRcqvub0Wx2T8tJi2tzEJAiEA7V/niN8fp7WUmft0fUcmTvcJ9RLt1ug+5EA8
x1+CODk=
-----END CERTIFICATE-----
',1796138006641,1796138006641,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(3,'72d69537462acaaa60e7cd355369dba9ade25795200b5f4ef13e993fc4daf2bc','0cb4c70252bb41eb80c73653a66265c184f6f4a96f5de2b9c291ed02ed4d5c7c',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004FDAEF3709B47ADE3B0FAEA5E49DFE7CCEF9BE30F80E1D387AE0E06F156A8C45F00FEDD78A72701E7F34BBAD268AD3A53B81579C605BC63B6B2FF9885EBDF0E22','S4MH-3ZMK','pending',NULL,'{"serial":"S-525400000004","macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796138006918,1796138006918,NULL,'"absent"');
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796138006300);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796138006718);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796138006538,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796138006358,'{"seq":1,"time":"2026-12-01T15:13:26.315069637Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796138006358,'{"seq":2,"time":"2026-12-01T15:13:26.315070007Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796138006358,'{"seq":1,"time":"2026-12-01T15:13:26.315070708Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796138006770,'{"seq":1,"time":"2026-12-01T15:13:26.723307999Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796138006478);
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
, certificate_ends INTEGER, next_key_sha256 TEXT, secrets TEXT, tpm TEXT);
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','26c215b434a132d9e15ab162233aea3c726f4a55aad86902d511af3abc54a9b9',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796138006123,1796742806250,NULL,'v1:Pj9J9tY8LwP6I25xwo46QztY1aI698LIGtjG2D1N5S+yqQrYLqTF6dSmVQXWe87VgAG7dSpa/MweWj23G5aVyuiCWejcW+33ZkJOE7f+xTMM3UtE2EGpVtlgTmyBREoXSsxXUg++mi4Y9A==',NULL);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','3ceb918e5adbefcf19c083d839d0e57efcfd89cda0677d6e21dd17524a2e20cd',2,NULL,NULL,NULL,1796138006134,1796742806659,NULL,'v1:Nzlj2ehRNR6m28Xy7eouTmi+CBb5kSMXB9ynd3KvkbmdzlDJX7qULGyEhHU/qCAu4SbUqWYO2fTwkD6E07H4e4c9mbnvg0/BOkchPpJ0gEBjQ8ix9xDOaWYZdTkq+PB/FaVpQDVRu/0Gxt0LX1o=',NULL);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796138006144,NULL,NULL,'v1:L3fAOP/y4cKAOCjwDIcrMsQFFkagFunACSaZUM25qJJxXSoq9EaJvqtYBhfHaS4pmyyM1l9gVMglA1tveOksYeYybbZWai7ZxHcm5KPG+8TqlulcYDQm9bENxXxtlqDz8iGXIAVcSWa0URjl',NULL);
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
INSERT INTO "runs" VALUES('run-of-member','3057fd7fac6afd212cc5a093ccdee6c5db55673b953006f7bdec999aa21ac5dc','member',1796138006248,1796138006358,'127.0.0.1','"disk"',NULL,12582912,2,1,370);
INSERT INTO "runs" VALUES('run-of-installing','69a47af20fa12c0f2c0ae59a5624187425e4d081bc7300ab36d4d85b4873a3a0','installing',1796138006651,1796138006770,'127.0.0.1','"closure"',NULL,0,1,0,105);
INSERT INTO "runs" VALUES('run-of-stranger','72d69537462acaaa60e7cd355369dba9ade25795200b5f4ef13e993fc4daf2bc',NULL,1796138006918,1796138006918,'127.0.0.1',NULL,NULL,0,0,0,0);
CREATE TABLE secrets (
    node   TEXT NOT NULL,
    path   TEXT NOT NULL,
    mode   TEXT NOT NULL,
    sealed TEXT NOT NULL,
    origin TEXT NOT NULL,           -- secrets::Origin
    actor  TEXT NOT NULL,
    time   INTEGER NOT NULL,
    PRIMARY KEY (node, path)
);
CREATE TABLE sessions (
    sha256 TEXT PRIMARY KEY,
    token  TEXT NOT NULL REFERENCES tokens (sha256) ON DELETE CASCADE,
    began  INTEGER NOT NULL
);
CREATE TABLE tokens (
    sha256  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
, scope TEXT NOT NULL DEFAULT 'admin', expires INTEGER, used INTEGER, kind TEXT NOT NULL DEFAULT 'token');
INSERT INTO "tokens" VALUES('47f676b5677addd31f3db808d51af73a0ee82b6160f62cb945e08607583a0ae2','admin',1796138006066,'admin',NULL,1796138006121,'token');
CREATE INDEX enrolments_by_state ON enrolments (state);
CREATE INDEX enrolments_by_key ON enrolments (key_sha256);
CREATE INDEX runs_by_node ON runs (node);
CREATE INDEX runs_by_session ON runs (session);
CREATE INDEX journal_of_run ON journal (run, id);
CREATE UNIQUE INDEX nodes_by_next_key ON nodes (next_key_sha256);
CREATE INDEX audit_of_node ON audit (node, id);
CREATE INDEX audit_of_actor ON audit (node, actor, id DESC);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit WHEN OLD.hash IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an entry of the audit does not change'); END;
CREATE TRIGGER audit_goes BEFORE DELETE ON audit WHEN NOT EXISTS (SELECT 1 FROM audit_forgotten WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'an entry of the audit does not go'); END;
CREATE TRIGGER audit_forgotten_stays BEFORE UPDATE ON audit_forgotten
BEGIN SELECT RAISE(ABORT, 'what was forgotten of the audit does not change'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',12);
INSERT INTO "sqlite_sequence" VALUES('enrolments',3);
INSERT INTO "sqlite_sequence" VALUES('journal',4);
COMMIT;
