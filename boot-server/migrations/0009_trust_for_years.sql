-- What the firmware's log told of the PCRs that were quoted (tpm::event_log::Thing), to be compared with the next: of an enrolment
-- until it is a node's, and of the node by what it started from (domain::measured::Start).
ALTER TABLE enrolments ADD COLUMN things TEXT;
-- Where it spoke from: an address of IPv4, or the /64 of one of IPv6.
ALTER TABLE enrolments ADD COLUMN source TEXT NOT NULL DEFAULT '';
UPDATE enrolments SET source = address;
CREATE TABLE measured (
    node   TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    start  TEXT NOT NULL,
    things TEXT NOT NULL,
    PRIMARY KEY (node, start)
);

-- What the TPM of the node told of the starts of its system (tpm::Starts).
ALTER TABLE nodes ADD COLUMN starts TEXT;

-- What is looked up at every enrolment, whatever the number of nodes and certificates.
CREATE INDEX enrolments_by_node ON enrolments (node, state);
CREATE INDEX nodes_by_enrolment ON nodes (enrolment);
CREATE INDEX certificates_by_key ON certificates (key_sha256, not_after);

-- Certificates of members that are no nodes, which an admin has had revoked; kept as long as such a one lasts at most.
CREATE TABLE revoked_serials (
    serial TEXT PRIMARY KEY,
    time   INTEGER NOT NULL,
    ends   INTEGER NOT NULL
) STRICT;

-- Machines that an admin has refused, by what they are known when they come again.
CREATE TABLE rejections (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    rejection TEXT NOT NULL         -- rejection::Rejection
);

-- Of somebody whom an OIDC provider has named: who he is there, and by which of its words he has his scope. His row is there as
-- long as a session of his.
ALTER TABLE tokens ADD COLUMN subject TEXT;     -- tokens::Subject
ALTER TABLE tokens ADD COLUMN granted TEXT;     -- state::persons::Granted
