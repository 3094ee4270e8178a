-- What each node believes, as it told last: a rotation goes on when all have learnt the next root.
CREATE TABLE beliefs (
    node       TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    key_sha256 TEXT NOT NULL,
    believed   TEXT NOT NULL,
    time       INTEGER NOT NULL
);
