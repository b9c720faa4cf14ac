//! The API as a caller sees it: a real process, a real socket, a real store, nothing looked at from inside.

mod harness;

mod accounts;
mod audit;
mod command_line;
mod durability;
mod errors;
mod security;
