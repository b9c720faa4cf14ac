//! The fake as its callers see it: through a real socket, in both APIs.

#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]
#![expect(unreachable_pub, reason = "a test has no outside")]

mod caller;

mod gemini;
mod minds;
mod openai;
mod server;
