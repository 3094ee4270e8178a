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
