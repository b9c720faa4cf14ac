//! The process between the tests and a mongod, which outlives the tests by as long as it takes to clean up.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

pub(crate) struct Keeper {
    shell: Child,
    answers: BufReader<ChildStdout>,
    /// None while it is dead.
    pid: Option<u32>,
}

impl Keeper {
    /// Returns a keeper that will run this command on `start`, and remove the folder in the end.
    pub(crate) fn of(command: &Command, folder: &Path, log: &Path) -> Self {
        let log = File::create(log).expect("the folder can be written");
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("keeper.sh")])
            .arg(folder)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // What a terminal or a runner sends to the group of the tests is not for the keeper.
            .process_group(0)
            .spawn()
            .expect("there is a POSIX shell");
        let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
        Self { shell, answers, pid: None }
    }

    pub(crate) fn start(&mut self) {
        assert!(self.pid.is_none(), "mongod runs already");
        self.pid = Some(self.order("START").parse().expect("the answer is a process id"));
    }

    pub(crate) fn kill(&mut self) {
        self.pid();
        self.order("KILL");
        self.pid = None;
    }

    pub(crate) fn signal(&mut self, signal: &str) {
        self.pid();
        self.order(signal);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.expect("mongod has not been killed")
    }

    fn order(&mut self, order: &str) -> String {
        let orders = self.shell.stdin.as_mut().expect("it is piped");
        writeln!(orders, "{order}").expect("the keeper listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        answer.trim_end().to_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Waiting closes the pipe of orders first. Where it fails, nothing is left to wait for.
        self.shell.wait().ok();
    }
}
