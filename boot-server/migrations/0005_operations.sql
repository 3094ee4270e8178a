-- Keys that may do nothing any more, and the operations that are under way.

CREATE TABLE revoked_keys (
    key_sha256 TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    time       INTEGER NOT NULL
);

CREATE TABLE operations (
    node TEXT PRIMARY KEY,
    body TEXT NOT NULL              -- operation::Operation
);
