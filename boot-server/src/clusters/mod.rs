//! What nodes form together: who founds and joins, what members say, who leaves, and what is kept for a disaster.

pub mod arbiter;
pub mod backup;
pub mod founding;
pub mod members;
pub mod operations;
