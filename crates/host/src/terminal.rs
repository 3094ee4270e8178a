//! Lines for whoever runs a command. A reader that has gone, as `head` does, is no failure of what was done: unlike `println!`,
//! none of these panics.

/// A line on standard output.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stdout(), $($part)*));
    }};
}

/// A text on standard output that has its line ends itself.
#[macro_export]
macro_rules! show {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        drop(write!(std::io::stdout(), $($part)*));
    }};
}

/// A line on standard error.
#[macro_export]
macro_rules! tell {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stderr(), $($part)*));
    }};
}
