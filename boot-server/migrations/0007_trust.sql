-- When the node's last certificate ends, and the key that it is changing to: its own once it has used it.
ALTER TABLE nodes ADD COLUMN certificate_ends INTEGER;
ALTER TABLE nodes ADD COLUMN next_key_sha256 TEXT;
CREATE UNIQUE INDEX nodes_by_next_key ON nodes (next_key_sha256);
UPDATE nodes SET certificate_ends = (SELECT max(not_after) FROM certificates WHERE key_sha256 = nodes.key_sha256);

-- What a token allows, until when, and when it was used last; sessions of the page, which end with their token.
ALTER TABLE tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE tokens ADD COLUMN expires INTEGER;
ALTER TABLE tokens ADD COLUMN used INTEGER;
CREATE TABLE sessions (
    sha256 TEXT PRIMARY KEY,
    token  TEXT NOT NULL REFERENCES tokens (sha256) ON DELETE CASCADE,
    began  INTEGER NOT NULL
);

-- Secrets of the spec, sealed; those that an earlier release left in the spec are moved here when the state is opened.
ALTER TABLE nodes ADD COLUMN secrets TEXT;
