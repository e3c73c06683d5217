//! The API of a real Kubernetes, without anything that acts on it: etcd and `kube-apiserver`.
//!
//! No controllers run beside it: a Deployment makes no pods, and what owner references or a
//! namespace should take with them stays.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Guard, ServersError, go_program, ports,
    process::{Launch, Process, Signal},
    programs::openssl,
};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often another program may take the ports between our look and the start.
const PORT_TRIES: u32 = 5;
/// Nobody else can reach the server, and it is gone with the test.
const TOKEN: &str = "the-only-one-here";

/// A running etcd and API server.
///
/// ```no_run
/// let kubernetes = flashsale_servers::KubeApi::start()?;
/// println!("KUBECONFIG={}", kubernetes.kubeconfig().display());
/// # Ok::<(), flashsale_servers::ServersError>(())
/// ```
#[derive(Debug)]
pub struct KubeApi {
    api: Process,
    api_launch: Launch,
    // Fields are dropped in their order: the API server does not like to be without etcd.
    #[expect(dead_code, reason = "it is kept running")]
    etcd: Process,
    kubectl: PathBuf,
    url: String,
    guard: Guard,
}

impl KubeApi {
    /// Starts both; builds the programs first where they are not cached yet, which takes minutes.
    ///
    /// # Errors
    /// Where a program cannot be built, or does not come up.
    pub fn start() -> Result<Self, ServersError> {
        let programs = Programs {
            etcd: go_program("etcd")?,
            api: go_program("kube-apiserver")?,
            kubectl: go_program("kubectl")?,
        };
        let mut tries = 1;
        loop {
            match Self::try_start(&programs) {
                Err(error) if port_was_taken(&error) && tries < PORT_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn try_start(programs: &Programs) -> Result<Self, ServersError> {
        let guard = Guard::new()?;
        write_service_account_key(&guard)?;
        let token = format!("{TOKEN},admin,admin,system:masters\n");
        write(&guard, "tokens.csv", &token)?;
        let mut free = ports::hold(3)?.into_iter().map(ports::release);
        let mut port = || free.next().unwrap_or_default();
        let (clients, peers, secure) = (port(), port(), port());

        let etcd_url = format!("http://127.0.0.1:{clients}");
        let mut etcd = guard.launch(&etcd(programs, &guard, &etcd_url, peers))?;
        await_etcd(&mut etcd, clients)?;

        let url = format!("https://127.0.0.1:{secure}");
        write(&guard, "kubeconfig", &kubeconfig(&guard, &url, None))?;
        let api_launch = api_server(programs, &guard, &etcd_url, secure);
        let mut kubernetes = Self {
            api: guard.launch(&api_launch)?,
            api_launch,
            etcd,
            kubectl: programs.kubectl.clone(),
            url,
            guard,
        };
        kubernetes.await_ready()?;
        Ok(kubernetes)
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.guard.folder().join("kubeconfig")
    }

    /// A kubeconfig with which an administrator acts as this user, with what he may do; such as
    /// `system:serviceaccount:<namespace>:<name>`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn kubeconfig_as(&self, user: &str) -> Result<PathBuf, ServersError> {
        let name = format!("kubeconfig-{}", user.replace(['/', ':'], "-"));
        let text = kubeconfig(&self.guard, &self.url, Some(user));
        write(&self.guard, &name, &text)?;
        Ok(self.guard.folder().join(name))
    }

    /// The URL of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A call of kubectl as an administrator.
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            // What it caches is gone with the server.
            .arg("--cache-dir")
            .arg(self.guard.folder().join("kubectl-cache"));
        kubectl
    }

    /// Ends the API server at once; etcd keeps what there is.
    pub fn kill_api_server(&mut self) {
        self.api.stop(Signal::Kill, STOP_LIMIT);
    }

    /// Starts the API server again, where it was.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn restart_api_server(&mut self) -> Result<(), ServersError> {
        self.kill_api_server();
        self.api = self.guard.launch(&self.api_launch)?;
        self.await_ready()
    }

    fn await_ready(&mut self) -> Result<(), ServersError> {
        let mut ask = self.kubectl();
        ask.args(["--request-timeout=5s", "get", "--raw", "/readyz"]);
        self.api.await_state("answer", START_LIMIT, || {
            let answer = ask.output().map_err(|error| error.to_string())?;
            match answer.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&answer.stderr).trim().to_owned()),
            }
        })
    }
}

struct Programs {
    etcd: PathBuf,
    api: PathBuf,
    kubectl: PathBuf,
}

fn etcd(programs: &Programs, guard: &Guard, url: &str, peers: u16) -> Launch {
    let peers = format!("http://127.0.0.1:{peers}");
    let mut launch = Launch::new("etcd", &programs.etcd);
    for (setting, value) in [
        ("data-dir", &*guard.folder().join("etcd").to_string_lossy()),
        ("listen-client-urls", url),
        ("advertise-client-urls", url),
        ("listen-peer-urls", &peers),
        ("initial-advertise-peer-urls", &peers),
        ("initial-cluster", &format!("default={peers}")),
        ("log-level", "warn"),
        // No test takes the power away.
        ("unsafe-no-fsync", "true"),
    ] {
        launch = launch.arg(format!("--{setting}={value}"));
    }
    launch
}

fn api_server(programs: &Programs, guard: &Guard, etcd: &str, port: u16) -> Launch {
    let file = |name: &str| guard.folder().join(name).to_string_lossy().into_owned();
    let mut launch = Launch::new("kube-apiserver", &programs.api);
    for (setting, value) in [
        ("etcd-servers", etcd),
        ("bind-address", "127.0.0.1"),
        ("secure-port", &port.to_string()),
        // It makes itself a certificate there.
        ("cert-dir", &file("certificates")),
        ("token-auth-file", &file("tokens.csv")),
        ("authorization-mode", "RBAC"),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local",
        ),
        ("service-account-key-file", &file("service-account.key")),
        (
            "service-account-signing-key-file",
            &file("service-account.key"),
        ),
        // Without controllers nobody makes the service accounts that it would ask for.
        ("disable-admission-plugins", "ServiceAccount"),
        // Nobody reaches it by a Service, and loopback is not allowed there.
        ("endpoint-reconciler-type", "none"),
        ("service-cluster-ip-range", "10.254.0.0/24"),
        ("profiling", "false"),
    ] {
        launch = launch.arg(format!("--{setting}={value}"));
    }
    launch
}

fn await_etcd(etcd: &mut Process, port: u16) -> Result<(), ServersError> {
    etcd.await_state("listen", START_LIMIT, || {
        std::net::TcpStream::connect(("127.0.0.1", port))
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

fn port_was_taken(error: &ServersError) -> bool {
    matches!(error, ServersError::Ended { log, .. } if log.contains("address already in use"))
}

fn kubeconfig(guard: &Guard, url: &str, act_as: Option<&str>) -> String {
    let authority = guard.folder().join("certificates/apiserver.crt");
    let act_as = act_as.map_or_else(String::new, |user| format!(", as: \"{user}\""));
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {{server: \"{url}\", certificate-authority: \"{}\"}}
users:
- name: test
  user: {{token: {TOKEN}{act_as}}}
contexts:
- name: test
  context: {{cluster: test, user: test, namespace: default}}
current-context: test
",
        authority.display()
    )
}

/// What the tokens of service accounts are signed with. No library for it: all who build on this
/// crate would wait for it.
fn write_service_account_key(guard: &Guard) -> Result<(), ServersError> {
    let output = Command::new(openssl()?)
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"])
        .output()
        .map_err(ServersError::io("start openssl"))?;
    if !output.status.success() {
        return Err(ServersError::Ended {
            name: "openssl".to_owned(),
            status: output.status.to_string(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    let key = String::from_utf8_lossy(&output.stdout);
    write(guard, "service-account.key", &key)
}

fn write(guard: &Guard, name: &str, text: &str) -> Result<(), ServersError> {
    let file: &Path = &guard.folder().join(name);
    fs::write(file, text).map_err(ServersError::io(format!("write {}", file.display())))
}
