//! nginx in front of a server, with whatever a test wants of it.

use std::{fs, path::Path, process::Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{DEADLINE, cannot, eventually, free_port};

const PROGRAM: &str = "/usr/sbin/nginx";

/// nginx with a directory of its own. It ends with this.
pub(super) struct Nginx {
    _child: Child,
    dir: TempDir,
    pub(super) port: u16,
}

impl Nginx {
    /// nginx that passes requests on to `upstream`, `HOST:PORT`; `directives` are added where it does. With `tls` it takes them over
    /// TLS, by HTTP/2 as well. `None`: there is no nginx here, which is said.
    pub(super) async fn start(upstream: &str, directives: &str, tls: bool) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            cannot(&format!("{PROGRAM} is missing; tests/real/install installs it where it can"));
            return None;
        }
        let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
        if tls {
            certify(dir.path());
        }
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let secure = "ssl_certificate server.pem;\nssl_certificate_key server.key;\n";
        let (listen, secure) = if tls { (" ssl http2", secure) } else { ("", "") };
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\n{temporary}\
             log_format seen '$connection $server_protocol $request_method $status';\naccess_log access.log seen;\n\
             upstream behind {{\nserver {upstream};\nkeepalive 80;\n}}\n\
             server {{\nlisten 127.0.0.1:{port}{listen};\n{secure}location / {{\nproxy_pass http://behind;\n\
             proxy_http_version 1.1;\nproxy_set_header Connection '';\n{directives}\n}}\n}}\n}}\n"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, configuration).expect("the configuration is written");
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let mut command = Command::new(PROGRAM);
        command.arg("-p").arg(dir.path()).arg("-c").arg(file).args(["-e", "stderr"]).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().expect("it starts");
        let log = dir.path().join("log");
        eventually(&format!("nginx listens; see {}", log.display()), DEADLINE, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Some(Self { _child: child, dir, port })
    }

    /// The certificate of the authority that its own is of.
    pub(super) fn authority(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    /// The requests so far: the number of the connection, the protocol, the method and the status.
    pub(super) fn requests(&self) -> Vec<String> {
        fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Makes an authority, and a certificate of it for `localhost`.
fn certify(dir: &Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
    let certificate = params.signed_by(&key, &authority).expect("signed");
    for (name, text) in
        [("ca.pem", authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
    {
        fs::write(dir.join(name), text).expect("written");
    }
}
