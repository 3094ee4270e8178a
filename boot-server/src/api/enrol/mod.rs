//! Enrolment: hello, request, poll.

pub mod hello;
pub mod poll;
pub mod request;
