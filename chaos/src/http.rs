//! Owns the plainest HTTP/1.1 client: one kept connection, one request at a time, written and read by hand, so that what
//! is measured or broken is the server and not a client library. Refuses chunked answers and answers above a bound.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

/// Largest answer: more than any page of the API.
pub const ANSWER_LEN_MAX: usize = 64 * 1024 * 1024;
/// Longest line of an answer's head, and most lines of it.
const HEAD_LINE_LEN_MAX: u64 = 8 * 1024;
const HEAD_LINES_MAX: usize = 100;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The fields of its head, by their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A kept connection.
pub struct Connection {
    reader: BufReader<Box<dyn Stream>>,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Endpoint {
    /// Connects. Every later read and write ends within `timeout`.
    ///
    /// # Errors
    /// Nothing listens there.
    pub fn connect(&self, timeout: Duration) -> io::Result<Connection> {
        let stream: Box<dyn Stream> = match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Box::new(stream)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                Box::new(stream)
            }
        };
        Ok(Connection { reader: BufReader::new(stream) })
    }
}

impl Connection {
    /// Sends one request and reads its answer. After an error the connection is of no more use.
    ///
    /// # Errors
    /// The connection failed, or the answer is none that this client reads.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        head.extend(headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]));
        head.push_str("\r\n");
        let stream = self.reader.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())?;
        stream.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| invalid(format!("`{status_line}` is no HTTP status")))?;
        let headers = self.headers()?;
        let mut body = vec![0; length_of_body(&headers)?];
        self.reader.read_exact(&mut body)?;
        Ok(Answer { status, headers, body })
    }

    fn headers(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        for _ in 0..HEAD_LINES_MAX {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { return Ok(headers) };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Err(invalid(format!("the answer's head has more than {HEAD_LINES_MAX} lines")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = self.reader.by_ref().take(HEAD_LINE_LEN_MAX).read_line(&mut line)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn length_of_body(headers: &[(String, String)]) -> io::Result<usize> {
    let mut length = 0;
    for (name, value) in headers {
        match name.as_str() {
            "transfer-encoding" => return Err(invalid("the answer comes in chunks".to_owned())),
            "content-length" => {
                length = value.parse().map_err(|_| invalid(format!("`{value}` is no length")))?;
            }
            _ => {}
        }
    }
    if length > ANSWER_LEN_MAX {
        return Err(invalid(format!("the answer has {length} bytes, at most {ANSWER_LEN_MAX} are read")));
    }
    Ok(length)
}

impl Answer {
    /// A field of its head, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn server(answers: &'static [&'static str]) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the client connects");
            let mut reader = BufReader::new(stream);
            for answer in answers {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line).expect("the client sends a head");
                }
                reader.get_mut().write_all(answer.as_bytes()).expect("the client reads");
            }
        });
        Endpoint::Tcp(address)
    }

    #[test]
    fn one_connection_serves_many_requests() {
        let endpoint = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAlthing-Height: 7\r\n\r\nhi",
            "HTTP/1.1 404 Not Found\r\n\r\n",
        ]);
        let mut connection = endpoint.connect(SOON).expect("it listens");
        let first = connection.request("GET", "/", &[], b"").expect("it answers");
        assert_eq!((first.status, first.text().as_str()), (200, "hi"));
        assert_eq!((first.header("althing-height"), first.header("etag")), (Some("7"), None));
        assert_eq!(connection.request("GET", "/", &[], b"").expect("it answers").status, 404);
        assert!(connection.request("GET", "/", &[], b"").is_err(), "the server has gone");
    }

    #[test]
    fn answers_that_it_does_not_read_are_refused() {
        for answer in [
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"][..],
            &["HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"][..],
            &["nonsense\r\n\r\n"][..],
        ] {
            let mut connection = server(answer).connect(SOON).expect("it listens");
            let error = connection.request("GET", "/", &[], b"").expect_err("it is refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{answer:?}");
        }
    }
}
