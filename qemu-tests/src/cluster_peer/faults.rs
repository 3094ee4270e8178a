//! What goes wrong with the first requests that change something: a script such as `503,half,slow,409`.

use super::{Reply, Request};
use anyhow::{Context, Error, Result, ensure};
use serde_json::{Value, json};
use std::{collections::VecDeque, str::FromStr, time::Duration};

/// Longer than the agent waits for an answer, which is 10 s where it is told nothing else.
const SLOW: Duration = Duration::from_secs(30);

/// The faults to come, one for each request that changes something (POST, PUT, DELETE).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults(VecDeque<Fault>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// This status. What it says is so: after a success and after 409 the change is there, after any other it is not.
    Status(u16),
    /// Half an answer, and nothing was changed.
    Half,
    /// No answer in time, and nothing was changed.
    Slow,
}

impl FromStr for Faults {
    type Err = Error;

    fn from_str(script: &str) -> Result<Self> {
        script.split(',').map(str::parse).collect::<Result<_>>().map(Self)
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "half" => Self::Half,
            "slow" => Self::Slow,
            status => {
                let wrong = || format!("{status:?} is none of half, slow and the statuses 200 to 599");
                let status = status.parse().with_context(wrong)?;
                ensure!((200..600).contains(&status), wrong());
                Self::Status(status)
            }
        })
    }
}

impl Faults {
    /// The next fault, where the request changes something, else the documented answer, a status and a body.
    ///
    /// A scripted status repeats what it was sent: no log may show it.
    pub fn answer(&mut self, request: &Request, documented: impl FnOnce() -> (u16, Value)) -> Reply {
        let changes = matches!(request.method(), "POST" | "PUT" | "DELETE");
        match self.0.pop_front_if(|_| changes) {
            None => {
                let (status, body) = documented();
                Reply::Json(status, body)
            }
            Some(Fault::Half) => Reply::Half,
            Some(Fault::Slow) => Reply::Slow(SLOW),
            Some(Fault::Status(status)) => {
                let is_so = status < 300 || status == 409;
                let mut body = if is_so { documented().1 } else { json!({ "error": "a fault of the script" }) };
                body["request"] = request.body.clone();
                Reply::Json(status, body)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_followed_by_the_requests_that_change_something() {
        let mut faults: Faults = "503,half,slow,409".parse().unwrap();
        let mut done = 0;
        let mut ask = |line: &str| {
            let request = Request { line: line.to_owned(), token: None, body: json!("x"), text: String::new() };
            faults.answer(&request, || {
                done += 1;
                (201, json!({ "done": done }))
            })
        };
        let documented = |done: u32| Reply::Json(201, json!({ "done": done }));
        assert_eq!(ask("GET / HTTP/1.1"), documented(1));
        let error = json!({ "error": "a fault of the script", "request": "x" });
        assert_eq!(ask("POST / HTTP/1.1"), Reply::Json(503, error));
        assert_eq!(ask("PUT / HTTP/1.1"), Reply::Half);
        assert_eq!(ask("DELETE / HTTP/1.1"), Reply::Slow(SLOW));
        assert_eq!(ask("GET / HTTP/1.1"), documented(2));
        assert_eq!(ask("POST / HTTP/1.1"), Reply::Json(409, json!({ "done": 3, "request": "x" })));
        assert_eq!(ask("POST / HTTP/1.1"), documented(4));
    }

    #[test]
    fn what_is_no_fault_is_named() {
        for (script, named) in [
            ("", "\"\""),
            ("503,,half", "\"\""),
            ("503, half", "\" half\""),
            ("slwo", "\"slwo\""),
            ("99", "\"99\""),
            ("600", "\"600\""),
            ("-1", "\"-1\""),
        ] {
            let error = script.parse::<Faults>().unwrap_err().to_string();
            assert_eq!(error, format!("{named} is none of half, slow and the statuses 200 to 599"));
        }
    }
}
