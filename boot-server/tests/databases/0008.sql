BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'start','2026-12-01 15:27:52',1,X'6FEFA3A7F681D4F30BB7A92BFD6CE8B078A4D9A22D431D45BF4CFF285052E2ABA4BC6E82B6202FF24D76E15B9EC9B49F',3748621);
INSERT INTO "_sqlx_migrations" VALUES(2,'handed out','2026-12-01 15:27:52',1,X'37A742DD9486641CFD13BAEF208538ED99C80FFB9B156C5004D4F597A096898629540D739DEDCC11724ACB57C7FEC53C',3953096);
INSERT INTO "_sqlx_migrations" VALUES(3,'clusters','2026-12-01 15:27:52',1,X'CD3542917B3E2BA37FBA136A5090A91ADC18FE85F7FF89D425DEAAA15A507A62B5F1B8F438935C4170B1B9974C65F5CD',3995118);
INSERT INTO "_sqlx_migrations" VALUES(4,'health','2026-12-01 15:27:52',1,X'7C14A2BEBB5AEB0628DE32AA1CDF9B3B2599009EF20A50911DA6479E5EF73F968F95008DE3E55B32B1F7A26E1951AD01',458975);
INSERT INTO "_sqlx_migrations" VALUES(5,'operations','2026-12-01 15:27:52',1,X'E05455F39E358F879267ACF40CAF56C7D7D079C72C614D143C198E7A4703004258CB4E517D7EB993E2805D785172F478',524012);
INSERT INTO "_sqlx_migrations" VALUES(6,'budgets','2026-12-01 15:27:52',1,X'4A51042393ED51ACA9A9FD3A623B6253358931AA048958C8C4CECA67464076EABA70011F337CA3B521467B9CC28E32B9',835526);
INSERT INTO "_sqlx_migrations" VALUES(7,'trust','2026-12-01 15:27:52',1,X'76E81B00E38570645EAF9E3395AC3FF463BDEBF0D881B1B5D3EFF47B86F11D0772810E126C743BDEDBA3A5F8BE9B8655',1255833);
INSERT INTO "_sqlx_migrations" VALUES(8,'trust in full','2026-12-01 15:27:52',1,X'26D39103B2655B3190ADBE94C841D6042E1188545395D043016A7E7C28A303D8B87B5E2DCE6F28D69635D9592A0AE777',1902467);
CREATE TABLE "audit" (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,            -- protocol::audit::AuditEntry
    hash  TEXT,                     -- none until it is chained
    node  TEXT GENERATED ALWAYS AS (json_extract(entry, '$.node')),
    actor TEXT GENERATED ALWAYS AS (json_extract(entry, '$.kind') || ' ' || json_extract(entry, '$.actor'))
);
INSERT INTO "audit" VALUES(1,'{"id":1,"time":"2026-12-01T15:27:52.991Z","actor":"whoever has the folder","kind":"folder","action":"server-made","text":"made the server"}','354321f9a550ba230b8e461cdee7fcd10c126f3b31183c33c0e1cfa42413f9e4');
INSERT INTO "audit" VALUES(2,'{"id":2,"time":"2026-12-01T15:27:52.991Z","actor":"whoever has the folder","kind":"folder","action":"token-made","text":"made the token admin, which allows to do everything","after":{"expires":null,"name":"admin","scope":"admin"}}','75fd0fd48fb5d1c707fb9b69f5dad6c828d7187d2a9f6d3bf566d90af051bea2');
INSERT INTO "audit" VALUES(3,'{"id":3,"time":"2026-12-01T15:27:53.051Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"member","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"name":"member","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','da5db110fa4cf4ae4c59179b50992542160e697ecde65dc355741586a533717f');
INSERT INTO "audit" VALUES(4,'{"id":4,"time":"2026-12-01T15:27:53.068Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"installing","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"installing","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"name":"installing","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','fc26760f60ff24d767a177b2ca9eadae74d69d4cba3b6c1112fcd486ff934cd0');
INSERT INTO "audit" VALUES(5,'{"id":5,"time":"2026-12-01T15:27:53.096Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"expected","action":"spec-applied","text":"applied the spec: created","after":{"boot":{"order":"network-first"},"cluster":{"bootstrap":false,"cluster_name":"c","flaredb_peers":[],"initial_peers":[],"leader_url":"https://10.0.0.1:2379","node_id":"expected","node_ip":"10.0.0.2","node_role":"control-plane","raft_addr":"10.0.0.2:2380"},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"name":"expected","profile":"vm","secrets":{"/etc/nixos/secrets/own":{"content":"(secret)","mode":"0400"}},"system":{"substituters":["http://127.0.0.1/cache"],"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}}','327a1a379fe4bd75d1b30bdcaa6dcd03c386ad6c2cd3ef403aca73edc4185c46');
INSERT INTO "audit" VALUES(6,'{"id":6,"time":"2026-12-01T15:27:53.204Z","actor":"server","kind":"server","node":"member","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key 1ada5b8bf853, serial S-525400000001, card 52:54:00:00:00:01","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"generation":1,"key":"1ada5b8bf853c452c37229dcdfde3d83b1653be1dd6b2c85fd34af7035c988e8"}}','6d95490da370595304c55dd20ff689fc3ceaf7128e55dec1b3ff627dfefa4cc1');
INSERT INTO "audit" VALUES(7,'{"id":7,"time":"2026-12-01T15:27:53.251Z","actor":"server","kind":"server","node":"member","action":"noted","text":"run run-of-member may install generation 1"}','960ce61b39b99d1e4b350db71b9ec33a0ab67333193527f785a389b0c36a4b4f');
INSERT INTO "audit" VALUES(8,'{"id":8,"time":"2026-12-01T15:27:53.346Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"installed","text":"installed generation 1 in run run-of-member"}','7bbc71f6bbd23886864628c20f30035f78d4cf7290f9b773f8047f1ff22c038b');
INSERT INTO "audit" VALUES(9,'{"id":9,"time":"2026-12-01T15:27:53.390Z","actor":"member","kind":"node","from":"127.0.0.1","node":"member","action":"joined","text":"ready: etcd with 2 members"}','cf516b6257423e742c804ad5e2cb8faead8c100993e83a7a155e79c37bb10ce8');
INSERT INTO "audit" VALUES(10,'{"id":10,"time":"2026-12-01T15:27:53.540Z","actor":"server","kind":"server","node":"installing","action":"machine-admitted","text":"admitted a machine by its claims (open-lab): from 127.0.0.1, key c7a0d1ad43b6, serial S-525400000002, card 52:54:00:00:00:02","before":{"key":null},"after":{"by":"its claims (open-lab)","claims":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"generation":1,"key":"c7a0d1ad43b65b08961af1d7a2daacbda504aca7a2f36ca9d50ddd1b72333db5"}}','6c776cd7b76360d117d6bf0c2c2d8590b93723e566260d8ec7d2c4658bc8bb76');
INSERT INTO "audit" VALUES(11,'{"id":11,"time":"2026-12-01T15:27:53.587Z","actor":"server","kind":"server","node":"installing","action":"noted","text":"run run-of-installing may install generation 1"}','6e64d9e74bdeb7c0b8fef47bed5351dba677bf7e6f3e0a86fb9ffcc80d9b669b');
INSERT INTO "audit" VALUES(12,'{"id":12,"time":"2026-12-01T15:27:53.788Z","actor":"admin","kind":"token","from":"127.0.0.1","node":"member","action":"drain","text":"drain hook"}','a49fcb50a4fbf5ff6b3fb15f43736fe50af5eb5cc2f88f23491f3bebc3e8bf05');
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
INSERT INTO "certificates" VALUES('7590eff89308775f61be0ecb3353dbac','member','1ada5b8bf853c452c37229dcdfde3d83b1653be1dd6b2c85fd34af7035c988e8',1796138873204,1796743673205);
INSERT INTO "certificates" VALUES('6b1888ebfb56a4c499dbd41bea08dd91','installing','c7a0d1ad43b65b08961af1d7a2daacbda504aca7a2f36ca9d50ddd1b72333db5',1796138873540,1796743673541);
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
INSERT INTO "enrolments" VALUES(1,'5e4ee128dc54e126994172db2804899a0f85bc7023704257cd87ff2b2a557342','1ada5b8bf853c452c37229dcdfde3d83b1653be1dd6b2c85fd34af7035c988e8',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004C053AAA0E4EFD894F294CC1798EA2CB13AA7B4F498251B16F361C16885498ECF2834EEB48DB939D6E35C4059E1341D404DCF77975C9E7266655D009FDE2F471E','FM5N-Q533','approved','member','{"serial":"S-525400000001","macs":["52:54:00:00:00:01"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-member','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB3TCCAYKgAwIBAgIQdZDv+JMId19hvg7LM1PbrDAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA1MzdmNzdkMTAeFw0yNjEyMDExNDI3NTNa
Fw0yNjEyMDgxNTI3NTNaMBExDzANBgNVBAMMBm1lbWJlcjBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABMBTqqDk79iU8pTMF5jqLLE6p7T0mCUbFvNhwWiFSY7PKDTu
tI25OdbjXEBZ4TQdQE3Pd5dcnnJmZV0An94vRx6jgaowgacwHwYDVR0jBBgwFoAU
ZLQlkofQdYaPAP42Xf4c35K3gEgwKAYDVR0RBCEwH4IGbWVtYmVyhwQKAAACggls
b2NhbGhvc3SHBH8AAAEwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQGCCsGAQUF
BwMCBggrBgEFBQcDATAdBgNVHQ4EFgQUGtpbi/hTxFLDcinc3949g7FlO+EwDAYD
VR0TAQH/BAIwADAKBggqhkjOPQQDAgNJADBGAiEA1Ars3+BOYgN0SBhR+ctkokQW
v3ym531xXklcnlkmrpwCIQDWl9haUIs5FOGLenuOR46Jw755NepkAXvzGflep1E8
Ng==
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpjCCAUugAwIBAgIQU3930Uv3TwtDpG+GUzdOMjAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA1ZjMyYWJiNTAeFw0yNjEyMDExNDI3NTJaFw0z
MTExMzAxNTI3NTJaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDUzN2Y3N2Qx
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtLLmHTKhTL0cvlTRoa4BwGcqx9W5
Wja+0zedGSv2F9GBZTH3Mvfz9J8JiNgPp6v6tQ3QrC3n1h5uMHu38mEHsKNmMGQw
HwYDVR0jBBgwFoAUSV83/o6SkIXWTU4944W+BRY8VUowDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBRktCWSh9B1ho8A/jZd/hzfkreASDASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0kAMEYCIQD+t9gwkSuY0FcDKExlk58o/OvcTjaTKIMK
DryxHNPlGgIhAPHTLUVUPoIYY+jSt6EqGwzrxFtgr/iI3tYuR3T9TxGG
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIQXzKrtUtUbZg//t4Ygz9U9TAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA1ZjMyYWJiNTAeFw0yNjEyMDExNDI3NTJaFw00
NjExMjYxNTI3NTJaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDVmMzJhYmI1MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExAwrY46srmEi5VeFA33VmjoCW/GLIp4r
6lSFxghHmEgSFXjAxovKWLkmuRtwQK3QtW0zBE8eb9tqXIgjCqHbEqNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRJXzf+jpKQhdZNTj3jhb4FFjxVSjASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0kAMEYCIQD/ppRlnoLtoCS+YGuR
Pk+YdyLT/+8cGgKVrgWNH/2zAQIhAMyDAph6jst22qKvCf158oGqQA6n6eUosj1X
XjCKVRDg
-----END CERTIFICATE-----
',1796138873204,1796138873204,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(2,'e8fbe036c6369433566e670cd23cd756e3e025a0dd1a73fa8295b2845c50641c','c7a0d1ad43b65b08961af1d7a2daacbda504aca7a2f36ca9d50ddd1b72333db5',X'3059301306072A8648CE3D020106082A8648CE3D03010703420004E652EF74E7AC66B190F9730D1C99D699CA71D904300E548E06FC02A90352C3871E0C8A184BAEAAC49DFA586E8BCCA406810A0B25010EE95751895182CE872B63','JINJ-HAAA','approved','installing','{"serial":"S-525400000002","macs":["52:54:00:00:00:02"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-installing','test','127.0.0.1','-----BEGIN CERTIFICATE-----
MIIB5DCCAYqgAwIBAgIQaxiI6/tWpMSZ29Qb6gjdkTAKBggqhkjOPQQDAjAiMSAw
HgYDVQQDDBdjZW50cmEgaXNzdWluZyA1MzdmNzdkMTAeFw0yNjEyMDExNDI3NTNa
Fw0yNjEyMDgxNTI3NTNaMBUxEzARBgNVBAMMCmluc3RhbGxpbmcwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAATmUu9056xmsZD5cw0cmdaZynHZBDAOVI4G/AKpA1LD
hx4MihhLrqrEnfpYbovMpAaBCgslAQ7pV1GJUYLOhytjo4GuMIGrMB8GA1UdIwQY
MBaAFGS0JZKH0HWGjwD+Nl3+HN+St4BIMCwGA1UdEQQlMCOCCmluc3RhbGxpbmeH
BAoAAAKCCWxvY2FsaG9zdIcEfwAAATAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0lBBYw
FAYIKwYBBQUHAwIGCCsGAQUFBwMBMB0GA1UdDgQWBBTHoNGtQ7ZbCJYa8dei2qy9
pQSspzAMBgNVHRMBAf8EAjAAMAoGCCqGSM49BAMCA0gAMEUCIQCrx5EBO6K7LVgF
97vM7ZOYsFv0X8BZOJltiAvzb3iNBgIgD2STnWYzF6MXR1kxHR69RfcOz+L0PRk0
tTnJ7MB2LnM=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBpjCCAUugAwIBAgIQU3930Uv3TwtDpG+GUzdOMjAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA1ZjMyYWJiNTAeFw0yNjEyMDExNDI3NTJaFw0z
MTExMzAxNTI3NTJaMCIxIDAeBgNVBAMMF2NlbnRyYSBpc3N1aW5nIDUzN2Y3N2Qx
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtLLmHTKhTL0cvlTRoa4BwGcqx9W5
Wja+0zedGSv2F9GBZTH3Mvfz9J8JiNgPp6v6tQ3QrC3n1h5uMHu38mEHsKNmMGQw
HwYDVR0jBBgwFoAUSV83/o6SkIXWTU4944W+BRY8VUowDgYDVR0PAQH/BAQDAgEG
MB0GA1UdDgQWBBRktCWSh9B1ho8A/jZd/hzfkreASDASBgNVHRMBAf8ECDAGAQH/
AgEAMAoGCCqGSM49BAMCA0kAMEYCIQD+t9gwkSuY0FcDKExlk58o/OvcTjaTKIMK
DryxHNPlGgIhAPHTLUVUPoIYY+jSt6EqGwzrxFtgr/iI3tYuR3T9TxGG
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIQXzKrtUtUbZg//t4Ygz9U9TAKBggqhkjOPQQDAjAfMR0w
GwYDVQQDDBRjZW50cmEgcm9vdCA1ZjMyYWJiNTAeFw0yNjEyMDExNDI3NTJaFw00
NjExMjYxNTI3NTJaMB8xHTAbBgNVBAMMFGNlbnRyYSByb290IDVmMzJhYmI1MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExAwrY46srmEi5VeFA33VmjoCW/GLIp4r
6lSFxghHmEgSFXjAxovKWLkmuRtwQK3QtW0zBE8eb9tqXIgjCqHbEqNFMEMwDgYD
VR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRJXzf+jpKQhdZNTj3jhb4FFjxVSjASBgNV
HRMBAf8ECDAGAQH/AgEBMAoGCCqGSM49BAMCA0kAMEYCIQD/ppRlnoLtoCS+YGuR
Pk+YdyLT/+8cGgKVrgWNH/2zAQIhAMyDAph6jst22qKvCf158oGqQA6n6eUosj1X
XjCKVRDg
-----END CERTIFICATE-----
',1796138873540,1796138873540,NULL,'"absent"');
INSERT INTO "enrolments" VALUES(3,'9db79a3c958154be299f9831dec7c6b30a71ac0da2e5f1685c44def947379ae0','8e080db54af06d0b7468b8a848421bd37e1eaf12f7414912df28d1652aa8cada',X'3059301306072A8648CE3D020106082A8648CE3D0301070342000418CB336E56382A3DB91C135429EFAD118CF123378855AAC7C65BE16A7F8B55194710E7B338115A163E3959430D14C71C00E0F91FFACAF9C4624EAD6ED38C753B','DVQJ-2QWC','pending',NULL,'{"serial":"S-525400000004","macs":["52:54:00:00:00:04"]}','{"cpu":{"model":"","threads":0,"cores":0},"memory_bytes":536870912,"disks":[],"nics":[],"dmi":{"vendor":null,"product":null,"serial":null,"uuid":null,"board_serial":null,"chassis_serial":null,"bios_version":null},"firmware":"bios","tpm":false,"secure_boot":{"state":"absent"},"pci":[],"kernel":""}','run-of-stranger','test','127.0.0.1',NULL,1796138873771,1796138873771,NULL,'"absent"');
CREATE TABLE handed_out (
    node     TEXT PRIMARY KEY,
    toplevel TEXT NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO "handed_out" VALUES('member','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796138873251);
INSERT INTO "handed_out" VALUES('installing','/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos',1796138873587);
CREATE TABLE health (
    node   TEXT PRIMARY KEY,
    report TEXT,                    -- HealthReport; none before the first
    heard  INTEGER NOT NULL,
    noted  TEXT NOT NULL            -- Condition
);
INSERT INTO "health" VALUES('member','{"generation":1,"time":"2026-01-01T00:00:00Z","boot_id":null,"healthy":true,"services":[{"service":"etcd","healthy":true,"members":["a","b"],"leader":"a","version":"3.4.23"}],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"}}',1796138873439,'"healthy"');
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    received INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (run, kind, seq)
);
INSERT INTO "journal" VALUES(1,'run-of-member',0,1,1796138873294,'{"seq":1,"time":"2026-12-01T15:27:53.253946312Z","since_start_ms":100,"step":"disk","event":"started"}');
INSERT INTO "journal" VALUES(2,'run-of-member',0,2,1796138873294,'{"seq":2,"time":"2026-12-01T15:27:53.253946923Z","since_start_ms":200,"step":"disk","event":"finished","duration_ms":7,"detail":"made 2 partitions"}');
INSERT INTO "journal" VALUES(3,'run-of-member',1,1,1796138873294,'{"seq":1,"time":"2026-12-01T15:27:53.253947905Z","level":"info","source":"agent","message":"a line of the member''s log"}');
INSERT INTO "journal" VALUES(4,'run-of-installing',0,1,1796138873630,'{"seq":1,"time":"2026-12-01T15:27:53.589867855Z","since_start_ms":100,"step":"closure","event":"started"}');
CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
INSERT INTO "memberships" VALUES('member','etcd','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796138873390);
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
INSERT INTO "nodes" VALUES('member','{"name":"member","match":{"macs":["52:54:00:00:00:01"],"serial":"S-525400000001"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"member","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"ready","generation":1,"used":true,"run":"run-of-member","run_over":false,"failed_runs":0,"purpose":"install"}','1ada5b8bf853c452c37229dcdfde3d83b1653be1dd6b2c85fd34af7035c988e8',1,NULL,'{"run":"run-of-member","generation":1,"boot_order":["PXE","Linux"],"boot_order_before":[],"paths_fetched":1,"paths_present":0,"nar_bytes":1,"agent_peak_rss":12582912}','{"run":"run-of-member","generation":1,"service":"etcd","outcome":"joined","join_ms":5,"members":["a","b"],"service_version":null,"boot_id":null,"awaits":[],"versions":{"agent":"9.9.9","kernel":"6.1.0-test"},"boot_order":["Linux","PXE"]}',1796138873051,1796743673205,NULL,'v1:Hf4Lorh+Rt5odGNX4buVD96pGEeBJ4De+Ilfq+XgbiinLgKEUMYWnxQRBgdnRGZHxxm2xJlKZ0tWUpn6/qFq1ePd/ea22x8s6ouFNKTGOwWHI+a0H23s/9DFPGQdCH884HjaNhdDRH3NiA==',NULL);
INSERT INTO "nodes" VALUES('installing','{"name":"installing","match":{"macs":["52:54:00:00:00:02"],"serial":"S-525400000002"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"installing","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"installing","generation":1,"used":false,"run":"run-of-installing","run_over":false,"failed_runs":0,"purpose":"install"}','c7a0d1ad43b65b08961af1d7a2daacbda504aca7a2f36ca9d50ddd1b72333db5',2,NULL,NULL,NULL,1796138873068,1796743673541,NULL,'v1:EM1aJee4d5EwzZ7koLumD6I4W1AF3+KVooIxzPZ7NCWbFzNvVgvdAgdKC+7gBq4D0Oa2T2AEMMoKKliUOxdFKP+scB5pr+S/E+4DgtVOd4SoJkgvmOzuvR1fPH/PrHyaXD3M0e3rE1gL9Kpn9BA=',NULL);
INSERT INTO "nodes" VALUES('expected','{"name":"expected","match":{"macs":["52:54:00:00:00:03"],"serial":"S-525400000003"},"profile":"vm","system":{"toplevel":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos","substituters":["http://127.0.0.1/cache"],"trusted_public_keys":["k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]},"disks":{"devices":{"disk":{"main":{"device":"/dev/vda","type":"disk"}}},"hold":false},"cluster":{"node_id":"expected","node_role":"control-plane","bootstrap":false,"cluster_name":"c","leader_url":"https://10.0.0.1:2379","raft_addr":"10.0.0.2:2380","initial_peers":[],"flaredb_peers":[],"node_ip":"10.0.0.2"},"boot":{"order":"network-first"}}','{"state":"expected","generation":1,"used":false,"run":null,"run_over":false,"failed_runs":0,"purpose":"install"}',NULL,NULL,NULL,NULL,NULL,1796138873096,NULL,NULL,'v1:yj0zHheI8xtX6y5F1mnKbJXIKr8Oq/pKq7jfQS3c/E31YBHa8xrNiTgoIlDoYQLWktzuVf2TIvqcfKV3iwLOOW9lmAKEPM5hNNUjOMvzovIlEBrpBusZJ2NQSAZMVmYLM3WWVaQQwelyWJu+',NULL);
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
INSERT INTO "runs" VALUES('run-of-member','5e4ee128dc54e126994172db2804899a0f85bc7023704257cd87ff2b2a557342','member',1796138873204,1796138873294,'127.0.0.1','"disk"',NULL,12582912,2,1,370);
INSERT INTO "runs" VALUES('run-of-installing','e8fbe036c6369433566e670cd23cd756e3e025a0dd1a73fa8295b2845c50641c','installing',1796138873540,1796138873630,'127.0.0.1','"closure"',NULL,0,1,0,105);
INSERT INTO "runs" VALUES('run-of-stranger','9db79a3c958154be299f9831dec7c6b30a71ac0da2e5f1685c44def947379ae0',NULL,1796138873771,1796138873771,'127.0.0.1',NULL,NULL,0,0,0,0);
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
INSERT INTO "tokens" VALUES('0ac7e8b60fe9c1b8977fb0283f7a386ba57d1b265d40738c28bafe6fbe1f1e0a','admin',1796138872991,'admin',NULL,1796138873038,'token');
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
