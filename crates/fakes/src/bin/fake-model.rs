//! The fake model as a program, for benchmarks and for trying things by hand. It records nothing.

use std::{
    convert::Infallible,
    env,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    str::FromStr,
    thread,
    time::Duration,
};

use sentinelflow_fakes::{Answer, FakeModel, Mind};

const USAGE: &str = "Usage: fake-model [--listen 127.0.0.1:PORT] [--latency-ms N] \
                     [--mind honest|benign|obedient] [--fail-share 0.3]";

fn main() -> ExitCode {
    let flags = Flags::parse(env::args().skip(1));
    let Err(error) = flags.and_then(|flags| serve(&flags).map_err(|error| error.to_string()));
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// Serves until the process is ended.
fn serve(flags: &Flags) -> io::Result<Infallible> {
    let model = FakeModel::start_on(flags.listen, flags.mind.clone())?;
    model.record_nothing();
    model.delay(flags.latency);
    model.at_random(1, flags.fail_share, faults());
    writeln!(io::stdout(), "Listening on {}", model.url())?;
    loop {
        thread::park();
    }
}

/// What a busy provider does to its callers on a bad day.
fn faults() -> Vec<Answer> {
    vec![
        Answer::RateLimited { retry_delay: Some("1s"), retry_after: None },
        Answer::Internal,
        Answer::Overloaded,
        Answer::DeadlineExceeded,
        Answer::HtmlBadGateway,
        Answer::DropMidBody,
        Answer::TextNotJson,
        Answer::MissingIds,
        Answer::MaxTokens,
        Answer::AnswerBlocked,
    ]
}

struct Flags {
    listen: SocketAddr,
    latency: Duration,
    mind: Mind,
    fail_share: f64,
}

impl Flags {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            mind: Mind::honest(),
            fail_share: 0.0,
        };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--listen" => flags.listen = parsed(&flag, &value)?,
                "--latency-ms" => flags.latency = Duration::from_millis(parsed(&flag, &value)?),
                "--fail-share" => flags.fail_share = parsed(&flag, &value)?,
                "--mind" => {
                    flags.mind = match value.as_str() {
                        "honest" => Mind::honest(),
                        "benign" => Mind::always_benign(),
                        "obedient" => Mind::obedient(),
                        _ => return Err(USAGE.to_owned()),
                    };
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(flags)
    }
}

fn parsed<T: FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value} makes no sense.\n{USAGE}"))
}
