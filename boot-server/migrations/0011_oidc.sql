-- Of somebody whom an OIDC provider has named: who he is there, and by which of its words he has his scope. His row is there as
-- long as a session of his.
ALTER TABLE tokens ADD COLUMN subject TEXT;     -- tokens::Subject
ALTER TABLE tokens ADD COLUMN granted TEXT;     -- state::persons::Granted
