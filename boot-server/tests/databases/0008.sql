BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 14:35:58',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',1010207);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 14:35:58',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',412706);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 14:35:58',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',425305);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 14:35:58',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',331645);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 14:35:58',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',378925);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 14:35:58',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',672353);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 14:35:58',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',1002745);
INSERT INTO "_sqlx_migrations" VALUES(8,'trust in full','2026-12-01 14:35:58',1,X'26D39103B2655B3190ADBE94C841D6042E1188545395D043016A7E7C28A303D8B87B5E2DCE6F28D69635D9592A0AE777',1651083);
CREATE TABLE "audit" (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,            -- protocol::audit::AuditEntry
    hash  TEXT,                     -- none until it is chained
    node  TEXT GENERATED ALWAYS AS (json_extract(entry, '$.node')),
    actor TEXT GENERATED ALWAYS AS (json_extract(entry, '$.kind') || ' ' || json_extract(entry, '$.actor'))
);
INSERT INTO "audit" VALUES(1,'{"id":1,"time":"2026-12-01T14:35:58.406Z","actor":"whoever has the folder","kind":"folder","action":"server-made","text":"made the server"}','ee53304e8ecdfafb0d03eca8629d2d68695cb206eb2f6fff5df1d7701ecf5ce0');
INSERT INTO "audit" VALUES(2,'{"id":2,"time":"2026-12-01T14:35:58.406Z","actor":"whoever has the folder","kind":"folder","action":"token-made","text":"made the token admin, which allows to do everything","after":{"expires":null,"name":"admin","scope":"admin"}}','424695db790bebef3e1ccdd8ec8f6fa0ba5164f53db1cb12fba31aed87c969d1');
INSERT INTO "audit" VALUES(3,'{"id":3,"time":"2026-12-01T14:35:58.440Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"member","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"name":"member","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','d0f3316126a980cdafbf5cc296cf9cc6a627b5ae78de89b9fcbd0c37c2990ca7');
INSERT INTO "audit" VALUES(4,'{"id":4,"time":"2026-12-01T14:35:58.449Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"installing","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"installing","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"name":"installing","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','5a0dce0199c2e16b65377ffd3d40378824f1b64789c07edbda1596946b1102b4');
INSERT INTO "audit" VALUES(5,'{"id":5,"time":"2026-12-01T14:35:58.457Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"expected","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"expected","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"name":"expected","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','a8eb87e3708bdfe665e10ab8e1df711d3b8033faf74dba0c55ab8a7d9dda14d4');
INSERT INTO "audit" VALUES(6,'{"id":6,"time":"2026-12-01T14:35:58.564Z","actor":"server","kind":"server","node":"member","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key 6c3c1a5ba230, serial S-525400000001, card 52:54:00:00:00:01","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"generation":1,"key":"6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842"}}','38499c61cd126e0e3097235ffe6d88e8f77ec4b12626d49b0f1c3962f0df8247');
INSERT INTO "audit" VALUES(7,'{"id":7,"time":"2026-12-01T14:35:58.752Z","actor":"server","kind":"server","node":"member","action":"noted","text":"run run-of-member may install generation 1"}','f0accff0bcb3670340dcfdca570f8e9d320352f3e0d83a787cfa78aaf413075d');
INSERT INTO "audit" VALUES(8,'{"id":8,"time":"2026-12-01T14:35:58.842Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"installed","text":"installed generation 1 in run run-of-member"}','36519888eeabac7ce475d9f0b7005fde5d0d8ee6ad84a74e5ade7b1c04c92f50');
INSERT INTO "audit" VALUES(9,'{"id":9,"time":"2026-12-01T14:35:58.886Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"joined","text":"ready: etcd with 2 members"}','37ae771f45d1e49e8f6da3ded0e55178ed3fadcfc1bcab452215cdea8c614efd');
INSERT INTO "audit" VALUES(10,'{"id":10,"time":"2026-12-01T14:35:59.023Z","actor":"server","kind":"server","node":"installing","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key 23717a9178d3, serial S-525400000002, card 52:54:00:00:00:02","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"generation":1,"key":"23717a9178d3df8bca92f0b52cbee74dec12ab29e4e7085398ab76b26dc44842"}}','6f8ee1e84cc66df8576658421270c00667d1c016cc92733aedc43c2838bbfdb2');
INSERT INTO "audit" VALUES(11,'{"id":11,"time":"2026-12-01T14:35:59.071Z","actor":"server","kind":"server","node":"installing","action":"noted","text":"run run-of-installing may install generation 1"}','bde0985936578df71b7bea6136b43f8a4ccc92107eb883043e51619e798b1c18');
INSERT INTO "audit" VALUES(12,'{"id":12,"time":"2026-12-01T14:35:59.247Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"drain","text":"drain hook"}','00dd93c014539fbe70cc657b0ca4f52ee22b71d05c33f45b5687b29ed35473b4');
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
INSERT INTO "certificates" VALUES('427d27b87ae831039fbfd9a209b9fb4c','member','6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842',1796135758564,1796740558565);
INSERT INTO "certificates" VALUES('4e9bad35fc6c358107805289c1047d83','member','6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842',1796135758704,1796740558705);
INSERT INTO "certificates" VALUES('63402beb0cced15ed1f45697267ae75f','installing','23717a9178d3df8bca92f0b52cbee74dec12ab29e4e7085398ab76b26dc44842',1796135759023,1796740559024);
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
INSERT INTO "enrolments" VALUES(1,'9929b7162760e1c1f3f1eb461dc85b3ceef7603ab2be1c5d578c5de53fbdd411','6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000460085070E464AE85952F7557FFF96B20DAF06400F2C455BE8577E914E1B5E82EBE29C25F3DEC77E83B91FFAED0F544973F181C4F51182C5488C41C8F44FFCC35','X5SZ-DMK3','superseded','member','{"serial":"S-525400000001","macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-tpm','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB2zCCAYKgAwIBAgIQQn0nuHroMQOfv9miCbn7TDAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA0ODhjZWUwODAeFw0yNjEyMDExMzM1NTha
Fw0yNjEyMDgxNDM1NThaMBExDzANBgNVBAMMBm1lbWJlcjBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABGAIUHDkZK6FlS91V//5ayDa8GQA8sRVvoV36RThteguvinC
Xz3sd+g7kf+u0PVElz8YHE9RGCxUiMQcj0T/zDWjgaowgacwHwYDVR0jBBgwFoAU
f5ujaGi/HGg9ZO/wK20syat2keAwKAYDVR0RBCEwH4IGbWVtYmVyhwQKAAACggls
b2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQGCCsGAQUF
BwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUbDwaW6IwmmhUvW1BW7RM6xyznUcwDAYD
VR0TAQH/BAIwADAKBggqhkjOPQQDAgNHADBEAiBTHNVE49liw8Dn/NgkrYQNJ0Z+
kY6Uqd9B8wp3N5hD7QIgTIH4tVY7qL+2dqV524ssBd3Mca/IlIgUpYGngJhRLfQ=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpDCCAUugAwIBAgIQSIzuCFThWe/JpmOY2MwrUTAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw0z
MTExMzAxNDM1NThaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDQ4OGNlZTA4
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELm2z8ZxcA198T95GDl9viG3pRfKq
CuSFacdb8k/FL5yHE2cjcxVyg27fDVzk6tb9mdGZttuSd/4ERox29FrtE6NmMGQw
HwYDVR0jBBgwFoAUc0wgT6+jX/aP5l8PTG7I7kAkp6gwDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBR/m6NoaL8caD1k7/ArbSzJq3aR4DASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0cAMEQCIHcr9qzOtHzLWk+7iN5rkD4Fb5WAcln/U4+k
qiQvtdsSAiApKZfuPnPdeHr0FhBh3yfcrAlrVf1/efgj1yp47+KfqQ==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIQYJdBcBrOIFdTGffeYVg3GzAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw00
NjExMjYxNDM1NThaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDYwOTc0MTcwMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMwAuZlZ8LuRGEEKg42lMKOkPp938KMYg
46D5wMAsIHeZdU2ktuyE2cXAu25O9Phq5StoY2TlFaxeCRWmWJLZHqNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRzTCBPr6Nf9o/mXw9MbsjuQCSnqDASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0kAMEYCIQCrRgbaecvfjv29fY1P
ixNDw9AKww/KyggTzaBJOWKAfQIhAOJ2VVnzA4vCOayuNUXtsorrn6GJ7r24/SYX
btWU3UH2
-----END CERTIFICATE-----
',1796135758564,1796135758564,NULL,'{"proven":{"ek":"5909a13b917a58c0b9be0f50ad49aa445f065d4904d56bb77c2bcbf1bd87fa3a","quoting":"17242b023b04258324d02c3bfbc98c6a41df0c565597da8b53ce53b90c93f059","vendor":{"nobody":"there is no certificate in the TPM"},"pcrs":{"0":"0000000000000000000000000000000000000000000000000000000000000000","1":"0000000000000000000000000000000000000000000000000000000000000000","2":"0000000000000000000000000000000000000000000000000000000000000000","3":"0000000000000000000000000000000000000000000000000000000000000000","4":"0000000000000000000000000000000000000000000000000000000000000000","5":"0000000000000000000000000000000000000000000000000000000000000000","6":"0000000000000000000000000000000000000000000000000000000000000000","7":"0000000000000000000000000000000000000000000000000000000000000000"},"at":"2026-12-01T14:35:58.611612754Z"}}');
INSERT INTO "enrolments" VALUES(2,'5c9ce31a0c5e6adbf985a2a18d04124d2edb1448d11e802c93aab1670806a49c','6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000460085070E464AE85952F7557FFF96B20DAF06400F2C455BE8577E914E1B5E82EBE29C25F3DEC77E83B91FFAED0F544973F181C4F51182C5488C41C8F44FFCC35','UF3W-PRWZ','approved','member','{"serial":"S-525400000001","macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB3TCCAYKgAwIBAgIQTputNfxsNYEHgFKJwQR9gzAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA0ODhjZWUwODAeFw0yNjEyMDExMzM1NTha
Fw0yNjEyMDgxNDM1NThaMBExDzANBgNVBAMMBm1lbWJlcjBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABGAIUHDkZK6FlS91V//5ayDa8GQA8sRVvoV36RThteguvinC
Xz3sd+g7kf+u0PVElz8YHE9RGCxUiMQcj0T/zDWjgaowgacwHwYDVR0jBBgwFoAU
f5ujaGi/HGg9ZO/wK20syat2keAwKAYDVR0RBCEwH4IGbWVtYmVyhwQKAAACggls
b2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQGCCsGAQUF
BwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUbDwaW6IwmmhUvW1BW7RM6xyznUcwDAYD
VR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEAkJVah34HoCdnbqJNXiy0cInX
/hTeU37+chEyKTQ8qdMCIQCvfyFJbzHc9XglKoJmnRr18tgX4KcwnwLb+uMKuWwQ
eg==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpDCCAUugAwIBAgIQSIzuCFThWe/JpmOY2MwrUTAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw0z
MTExMzAxNDM1NThaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDQ4OGNlZTA4
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELm2z8ZxcA198T95GDl9viG3pRfKq
CuSFacdb8k/FL5yHE2cjcxVyg27fDVzk6tb9mdGZttuSd/4ERox29FrtE6NmMGQw
HwYDVR0jBBgwFoAUc0wgT6+jX/aP5l8PTG7I7kAkp6gwDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBR/m6NoaL8caD1k7/ArbSzJq3aR4DASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0cAMEQCIHcr9qzOtHzLWk+7iN5rkD4Fb5WAcln/U4+k
qiQvtdsSAiApKZfuPnPdeHr0FhBh3yfcrAlrVf1/efgj1yp47+KfqQ==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIQYJdBcBrOIFdTGffeYVg3GzAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw00
NjExMjYxNDM1NThaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDYwOTc0MTcwMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMwAuZlZ8LuRGEEKg42lMKOkPp938KMYg
46D5wMAsIHeZdU2ktuyE2cXAu25O9Phq5StoY2TlFaxeCRWmWJLZHqNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRzTCBPr6Nf9o/mXw9MbsjuQCSnqDASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0kAMEYCIQCrRgbaecvfjv29fY1P
ixNDw9AKww/KyggTzaBJOWKAfQIhAOJ2VVnzA4vCOayuNUXtsorrn6GJ7r24/SYX
btWU3UH2
-----END CERTIFICATE-----
',1796135758704,1796135758704,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(3,'8aa635119a2d9e0af1a9dcded52b76009c751440933ee695045e23963eeca24c','23717a9178d3df8bca92f0b52cbee74dec12ab29e4e7085398ab76b26dc44842',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000464C80160272E0C3A7C40D25CDFA1363090C31F34AEEC5703667CB0676667C3BC778F5203F7611D3477CD213C473CA185254D6863C7C73B28113981B6829996AA','TVNV-ZZFN','approved','installing','{"serial":"S-525400000002","macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB5DCCAYqgAwIBAgIQY0Ar6wzO0V7R9FaXJnrnXzAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA0ODhjZWUwODAeFw0yNjEyMDExMzM1NTla
Fw0yNjEyMDgxNDM1NTlaMBUxEzARBgNVBAMMCmluc3RhbGxpbmcwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAARkyAFgJy4MOnxA0lzfoTYwkMMfNK7sVwNmfLBnZmfD
vHePUgP3YR00d80hPEc8oYUlTWhjx8c7KBE5gbaCmZaqo4GuMIGrMB8GA1UdIwQY
MBaAFH+bo2hovxxoPWTv8CttLMmrdpHgMCwGA1UdEQQlMCOCCmluc3RhbGxpbmeH
BAoAAAKCCWxvY2FsaG9zdIcEfwAAATAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0lBBYw
FAYIKwYBBQUHAwIGCCsGAQUFBwMBMB0GA1UdDgQWBBQjcXqReNPfi8qS8LUsvudN
7BKrKTAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0gAMEUCIFRUpEDMGoSXVt3D
X5qAO4/hDE6MQwISbLRCX+9cmAIwAiEAv0djkRp4rYJ9R/mvfrjIs0sCrUm+slC7
/QXhT0nIvxM=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpDCCAUugAwIBAgIQSIzuCFThWe/JpmOY2MwrUTAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw0z
MTExMzAxNDM1NThaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDQ4OGNlZTA4
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELm2z8ZxcA198T95GDl9viG3pRfKq
CuSFacdb8k/FL5yHE2cjcxVyg27fDVzk6tb9mdGZttuSd/4ERox29FrtE6NmMGQw
HwYDVR0jBBgwFoAUc0wgT6+jX/aP5l8PTG7I7kAkp6gwDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBR/m6NoaL8caD1k7/ArbSzJq3aR4DASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0cAMEQCIHcr9qzOtHzLWk+7iN5rkD4Fb5WAcln/U4+k
qiQvtdsSAiApKZfuPnPdeHr0FhBh3yfcrAlrVf1/efgj1yp47+KfqQ==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIQYJdBcBrOIFdTGffeYVg3GzAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA2MDk3NDE3MDAeFw0yNjEyMDExMzM1NThaFw00
NjExMjYxNDM1NThaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDYwOTc0MTcwMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMwAuZlZ8LuRGEEKg42lMKOkPp938KMYg
46D5wMAsIHeZdU2ktuyE2cXAu25O9Phq5StoY2TlFaxeCRWmWJLZHqNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRzTCBPr6Nf9o/mXw9MbsjuQCSnqDASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0kAMEYCIQCrRgbaecvfjv29fY1P
ixNDw9AKww/KyggTzaBJOWKAfQIhAOJ2VVnzA4vCOayuNUXtsorrn6GJ7r24/SYX
btWU3UH2
-----END CERTIFICATE-----
',1796135759023,1796135759023,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(4,'45d0a4b087044e1ca0a3eea3766920b7ccb0e918e936674dc5544273b982c155','2211daa66c63d26c92272aaf02b290618ec905698695403a0e76148d95eb47e5',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000418D69AB19A941C863F1BD333EFE0BE53C3F0997B4D815075B53BC477ECCEE69F644092D46B46B521864FC4623B4736D501861F8EB32C410B719C61A1BBA7A0D5','KVPB-W27L','pending',NULL,'{"serial":"S-525400000004","macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796135759237,1796135759237,NULL,'"absent"');
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796135758752);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796135759071);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796135758935,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796135758798,'{"seq":1,"time":"2026-12-01T14:35:58.754372178Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796135758798,'{"seq":2,"time":"2026-12-01T14:35:58.754372759Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796135758798,'{"seq":1,"time":"2026-12-01T14:35:58.75437358Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796135759118,'{"seq":1,"time":"2026-12-01T14:35:59.074006299Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796135758886);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','6c3c1a5ba2309a6854bd6d415bb44ceb1cb39d472d5d54e34ea293cea1f30842',2,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796135758440,1796740558705,NULL,'v1:uumF7HHSHYcMEVV6omttfc2dzdf6/8+CkHOkOVuCUuKaPfaAkxpVJrRrU7//1ok/U5iDfJEUqsRXOA5UJVPMiy2dt/BF/0RNO0TGaTNOCXMqIicb9fKAHFhebymB05D6pJNae4QURLYU+g==','{"ek":"5909a13b917a58c0b9be0f50ad49aa445f065d4904d56bb77c2bcbf1bd87fa3a","quoting":"17242b023b04258324d02c3bfbc98c6a41df0c565597da8b53ce53b90c93f059","vendor":{"nobody":"there is no certificate in the TPM"},"pcrs":{"0":"0000000000000000000000000000000000000000000000000000000000000000","1":"0000000000000000000000000000000000000000000000000000000000000000","2":"0000000000000000000000000000000000000000000000000000000000000000","3":"0000000000000000000000000000000000000000000000000000000000000000","4":"0000000000000000000000000000000000000000000000000000000000000000","5":"0000000000000000000000000000000000000000000000000000000000000000","6":"0000000000000000000000000000000000000000000000000000000000000000","7":"0000000000000000000000000000000000000000000000000000000000000000"},"at":"2026-12-01T14:35:58.611612754Z"}');
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','23717a9178d3df8bca92f0b52cbee74dec12ab29e4e7085398ab76b26dc44842',3,NULL,NULL,NULL,1796135758449,1796740559024,NULL,'v1:6YSfhmhKNUwOKZKMLxTVYvea1jbLhoMv4F5fj68kEODmWPr/LdCbo/jARNEWd3uK6r2vlnJYbEEvXY2+QWRvGjdJvBGtj1QGnPeGImdFGschK2LQjgUTrfNAMdeeo5ho77hrqK8StGbyRRbPa2E=',NULL);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796135758457,NULL,NULL,'v1:0TZKDO8hxciCoPHw496tBKcIUiK0kSWgTEUJ7wb3d8gauPlLA+ALeUmJsJi/BE5h3it/jaoBDZcVoxDrHvCR4WanJQeoyqkRYHo/goIlLsUSQn86XCHLUTS7FdiFFSfuA6KhVLYoWXqauouE',NULL);
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
INSERT INTO "runs" VALUES('run-of-tpm','9929b7162760e1c1f3f1eb461dc85b3ceef7603ab2be1c5d578c5de53fbdd411','member',1796135758564,1796135758564,'127.0.0.1',NULL,NULL,0,0,0,0);
INSERT INTO "runs" VALUES('run-of-member','5c9ce31a0c5e6adbf985a2a18d04124d2edb1448d11e802c93aab1670806a49c','member',1796135758704,1796135758798,'127.0.0.1','"disk"',NULL,12582912,2,1,369);
INSERT INTO "runs" VALUES('run-of-installing','8aa635119a2d9e0af1a9dcded52b76009c751440933ee695045e23963eeca24c','installing',1796135759023,1796135759118,'127.0.0.1','"closure"',NULL,0,1,0,105);
INSERT INTO "runs" VALUES('run-of-stranger','45d0a4b087044e1ca0a3eea3766920b7ccb0e918e936674dc5544273b982c155',NULL,1796135759237,1796135759237,'127.0.0.1',NULL,NULL,0,0,0,0);
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
INSERT INTO "tokens" VALUES('09322e6e7b09794962f037f9b4a8b9ba00e4bda451b7be603a6aed5841437da9','admin',1796135758406,'admin',NULL,1796135758439,'token');
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
INSERT INTO "sqlite_sequence" VALUES('enrolments',4);
INSERT INTO "sqlite_sequence" VALUES('journal',4);
COMMIT;
