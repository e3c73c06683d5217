//! The script that installs Debian packages, with an apt-get that installs nothing: whatever
//! ends the script, apt is not stopped half way, and no switch of Debian stays thrown.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use flashsale_servers::Guard;

const LIMIT: Duration = Duration::from_secs(30);

/// Stands for apt-get: notes its calls, and installs once it is told to go on.
const APT: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>calls
case " $* " in *' install '*) ;; *) exit 0 ;; esac
cp policy-rc.d seen
printf %s $$ >begun.partial && mv begun.partial begun
read -r _ <go
: >finished
"#;

/// A machine with the folders that the script knows.
struct Machine {
    guard: Guard,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            guard: Guard::new().unwrap(),
        };
        machine.write("apt-get", APT);
        let apt = fs::Permissions::from_mode(0o755);
        fs::set_permissions(machine.file("apt-get"), apt).unwrap();
        let fifo = Command::new("mkfifo").arg(machine.file("go")).status();
        assert!(fifo.unwrap().success());
        machine
    }

    fn file(&self, name: &str) -> PathBuf {
        self.guard.folder().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn has_policy_or_cluster(&self) -> bool {
        self.has("policy-rc.d") || self.has("createcluster.d/flashsale.conf")
    }

    /// Starts the script, in a process group as a terminal's foreground is, and returns it
    /// once apt is at it.
    fn begin(&self) -> Child {
        let folder = self.guard.folder().display().to_string();
        let script = include_str!("../src/install.sh")
            .replace("/usr/sbin", &folder)
            .replace("/etc/postgresql-common", &folder)
            .replace("/lib/systemd/system", &folder);
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
        // Whoever runs the tests may ignore signals, and a script cannot undo that.
        let script = Command::new("env")
            .args([
                "--default-signal",
                "sh",
                "-c",
                &script,
                "install",
                "some-package",
            ])
            .env("PATH", path)
            .current_dir(self.guard.folder())
            .process_group(0)
            .spawn()
            .unwrap();
        await_that("apt has begun", || self.has("begun"));
        script
    }

    fn let_apt_finish(&self) {
        // For reading too: then it does not wait for an apt that is gone.
        let both = fs::File::options()
            .read(true)
            .write(true)
            .open(self.file("go"));
        let mut go = both.unwrap();
        go.write_all(b"\n").unwrap();
        await_that("apt has finished", || self.has("finished"));
    }

    fn install(&self) -> ExitStatus {
        let mut script = self.begin();
        self.let_apt_finish();
        script.wait().unwrap()
    }
}

/// Where a test fails, an apt that was never told to go on would wait for ever.
impl Drop for Machine {
    fn drop(&mut self) {
        if let Ok(apt) = fs::read_to_string(self.file("begun"))
            && !self.has("finished")
        {
            let kill = format!("kill -s KILL {apt}");
            let _ = Command::new("sh").args(["-c", &kill]).status();
        }
    }
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "expected that {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn signal_group(name: &str, leader: &Child) {
    let kill = format!("kill -s {name} -- -{}", leader.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.unwrap().success());
}

#[test]
fn services_are_not_started_and_nothing_stays() {
    let machine = Machine::new();
    assert!(machine.install().success());
    assert!(machine.read("seen").ends_with("exit 101\n"));
    assert!(!machine.has_policy_or_cluster());
    let calls = machine.read("calls");
    let calls: Vec<&str> = calls.lines().collect();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].ends_with("update -qq"), "{calls:?}");
    assert!(calls[1].ends_with("install -y --no-install-recommends some-package"));
    for call in calls {
        assert!(call.starts_with("-o DPkg::Lock::Timeout=300 "), "{call}");
    }
}

#[test]
fn ctrl_c_and_a_closed_terminal_wait_for_apt_and_leave_nothing() {
    for signal in ["INT", "TERM", "HUP"] {
        let machine = Machine::new();
        let mut script = machine.begin();
        signal_group(signal, &script);
        assert!(script.try_wait().unwrap().is_none(), "{signal}");
        machine.let_apt_finish();
        assert_eq!(script.wait().unwrap().code(), Some(130), "{signal}");
        assert!(!machine.has_policy_or_cluster(), "{signal}");
    }
}

#[test]
fn what_a_sudden_end_left_is_removed_the_next_time() {
    let machine = Machine::new();
    let mut script = machine.begin();
    script.kill().unwrap();
    script.wait().unwrap();
    assert!(machine.has("policy-rc.d"));
    machine.let_apt_finish();
    for file in ["begun", "finished"] {
        fs::remove_file(machine.file(file)).unwrap();
    }
    assert!(machine.install().success());
    assert!(!machine.has_policy_or_cluster());
}

#[test]
fn a_policy_that_the_machine_has_is_not_touched() {
    let machine = Machine::new();
    let own = "#!/bin/sh\nexit 0\n";
    machine.write("policy-rc.d", own);
    assert!(machine.install().success());
    assert_eq!(machine.read("policy-rc.d"), own);
    assert_eq!(machine.read("seen"), own);
}
