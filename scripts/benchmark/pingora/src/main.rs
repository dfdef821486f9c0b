//! A reverse proxy on Pingora that does what the others in the benchmark do: X-Forwarded-For appended, Via both ways,
//! one combined log line per request into a 64 KiB buffer, upstream connections kept in a pool of 256, one thread.
//!
//! pingora-relay PORT ORIGIN_PORT LOG_FILE

use async_trait::async_trait;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BUFFER_BYTES: usize = 64 * 1024;

/// Whole lines, written when the buffer is full or a second has passed, as nginx's `buffer=64k flush=1s`.
struct AccessLog {
    file: File,
    lines: Vec<u8>,
    second: libc::time_t,
    stamp: String,
}

impl AccessLog {
    fn open(path: &str) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file, lines: Vec::with_capacity(2 * BUFFER_BYTES), second: 0, stamp: String::new() })
    }

    fn write(&mut self, client: &str, request: &RequestHeader, status: u16, body_bytes: usize) {
        // SAFETY: time() accepts a null pointer.
        let now = unsafe { libc::time(std::ptr::null_mut()) };
        let flush = now != self.second || self.lines.len() > BUFFER_BYTES;
        if now != self.second {
            self.second = now;
            self.stamp = clock(now);
        }
        let field = |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("-");
        let _ = writeln!(
            self.lines,
            "{client} - - [{}] \"{} {} {:?}\" {status} {body_bytes} \"{}\" \"{}\"",
            self.stamp,
            request.method,
            request.uri,
            request.version,
            field("referer"),
            field("user-agent"),
        );
        if flush {
            let _ = self.file.write_all(&self.lines);
            self.lines.clear();
        }
    }
}

/// The time as the combined log format has it.
fn clock(now: libc::time_t) -> String {
    let mut text = [0u8; 64];
    // SAFETY: gmtime_r fills the struct it is given; strftime writes at most the size it is given.
    let size = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&now, &mut parts);
        libc::strftime(text.as_mut_ptr().cast(), text.len(), c"%d/%b/%Y:%H:%M:%S +0000".as_ptr(), &parts)
    };
    String::from_utf8_lossy(&text[..size]).into_owned()
}

struct Relay {
    origin: (String, u16),
    log: Mutex<AccessLog>,
}

fn client_of(session: &Session) -> String {
    session.client_addr().and_then(|a| a.as_inet()).map(|a| a.ip().to_string()).unwrap_or_default()
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin.clone(), false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        let client = client_of(session);
        let seen = request.headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
        let chain = seen.map_or(client.clone(), |before| format!("{before}, {client}"));
        request.insert_header("X-Forwarded-For", chain)?;
        request.append_header("Via", "1.1 pingora")?;
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        response.append_header("Via", "1.1 pingora")?;
        Ok(())
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, _ctx: &mut ()) {
        let status = session.response_written().map_or(0, |r| r.status.as_u16());
        let (client, body_bytes) = (client_of(session), session.body_bytes_sent());
        if let Ok(mut log) = self.log.lock() {
            log.write(&client, session.req_header(), status, body_bytes);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, origin_port, log_file] = &arguments[..] else {
        eprintln!("usage: pingora-relay PORT ORIGIN_PORT LOG_FILE");
        std::process::exit(2);
    };
    let configuration = ServerConf { threads: 1, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let relay = Relay {
        origin: ("127.0.0.1".to_string(), origin_port.parse().expect("a port")),
        log: Mutex::new(AccessLog::open(log_file).expect("a log file that can be opened")),
    };
    let mut service = http_proxy_service(&server.configuration, relay);
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
