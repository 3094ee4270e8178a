-- The audit as a chain: an entry is a line of JSON, and its hash covers the hash before it. Those of earlier releases are
-- brought into this form here, and chained when the state is opened (state::audit).
CREATE TABLE chain (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL,            -- protocol::audit::AuditEntry
    hash  TEXT,                     -- none until it is chained
    node  TEXT GENERATED ALWAYS AS (json_extract(entry, '$.node')),
    actor TEXT GENERATED ALWAYS AS (json_extract(entry, '$.kind') || ' ' || json_extract(entry, '$.actor'))
);
INSERT INTO chain (id, entry) SELECT
    row_number() OVER (ORDER BY id),
    json_object(
        'id', row_number() OVER (ORDER BY id),
        'time', strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch'),
        'actor', actor,
        'kind', CASE
            WHEN actor = 'server' THEN 'server'
            WHEN actor = node THEN 'node'
            WHEN actor IN ('whoever has the folder', 'cluster restore') THEN 'folder'
            ELSE 'token' END,
        'node', node,
        'action', 'noted',
        'text', text)
    FROM audit;
DROP TABLE audit;
ALTER TABLE chain RENAME TO audit;
CREATE INDEX audit_of_node ON audit (node, id);
CREATE INDEX audit_of_actor ON audit (node, actor, id DESC);

-- What was forgotten: of each run of entries that are gone the last, for the one behind it goes on from its hash.
CREATE TABLE audit_forgotten (
    id   INTEGER PRIMARY KEY,
    hash TEXT NOT NULL
);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit WHEN OLD.hash IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an entry of the audit does not change'); END;
CREATE TRIGGER audit_goes BEFORE DELETE ON audit WHEN NOT EXISTS (SELECT 1 FROM audit_forgotten WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'an entry of the audit does not go'); END;
CREATE TRIGGER audit_forgotten_stays BEFORE UPDATE ON audit_forgotten
BEGIN SELECT RAISE(ABORT, 'what was forgotten of the audit does not change'); END;

-- Of a certificate the hash is that of its public key.
ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'token';

-- One-time tokens that admit a machine, of which only hashes are kept; and the one that a machine has shown.
CREATE TABLE enrol_tokens (
    sha256  TEXT PRIMARY KEY,
    bound   TEXT NOT NULL,          -- enrol_token::Bound
    made_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER,
    node    TEXT                    -- the node that the machine became
);
ALTER TABLE enrolments ADD COLUMN token_sha256 TEXT;

-- The TPM that a machine claims to have, or has proven (domain::tpm::Tpm); and the one that the node proved last (ProvenTpm).
ALTER TABLE enrolments ADD COLUMN tpm TEXT;
ALTER TABLE nodes ADD COLUMN tpm TEXT;

-- What each node believes, as it told last: a rotation goes on when all have learnt the next root.
CREATE TABLE beliefs (
    node       TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    key_sha256 TEXT NOT NULL,
    believed   TEXT NOT NULL,
    time       INTEGER NOT NULL
);

-- Secrets of nodes that are kept apart from their specs, sealed; a name need not be a node's yet.
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
