-- Machines that an admin has refused, by what they are known when they come again.
CREATE TABLE rejections (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    rejection TEXT NOT NULL         -- rejection::Rejection
);
