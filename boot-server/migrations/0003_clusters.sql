-- What the arbiter remembers of each service of each cluster, and who is a member of what.

CREATE TABLE clusters (
    cluster TEXT NOT NULL,
    service TEXT NOT NULL,
    body    TEXT NOT NULL,          -- arbiter::Cluster
    PRIMARY KEY (cluster, service)
);

CREATE TABLE memberships (
    node     TEXT NOT NULL,
    service  TEXT NOT NULL,
    report   TEXT NOT NULL,         -- ReadyReport
    received INTEGER NOT NULL,
    PRIMARY KEY (node, service)
);
