//! The binary: reads the command line, runs one command, turns its end into an exit code.

#![expect(unreachable_pub, reason = "a binary has no outside: pub means beyond the file")]

mod config;
mod printable;
mod telemetry;

mod app;
mod boot;
mod credentials;
mod hunts;
mod indicator_files;
mod listeners;
mod live;
mod reload;
mod retention;
mod rule_files;
mod sightings;
mod triage;

mod cli;
mod http;

use std::process::ExitCode;

// Fast under many small allocations from several threads, and it returns memory after a scan.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
