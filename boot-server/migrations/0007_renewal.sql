-- When the node's last certificate ends, and the key that it is changing to: its own once it has used it.
ALTER TABLE nodes ADD COLUMN certificate_ends INTEGER;
ALTER TABLE nodes ADD COLUMN next_key_sha256 TEXT;
CREATE UNIQUE INDEX nodes_by_next_key ON nodes (next_key_sha256);
UPDATE nodes SET certificate_ends = (SELECT max(not_after) FROM certificates WHERE key_sha256 = nodes.key_sha256);
