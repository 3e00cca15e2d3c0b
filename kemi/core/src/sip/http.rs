//! Tells HTTP requests from malformed SIP: a WebSocket handshake comes to the SIP port (RFC 7118 4).

use memchr::memchr;

use super::grammar;

/// Whether this begins with an HTTP/1 request line in its strict form (RFC 9112 3): method SP target SP version CRLF.
///
/// Strict, so that no server takes for SIP what is called HTTP here.
pub fn is_request(raw: &[u8]) -> bool {
    let line = &raw[..memchr(b'\n', raw).unwrap_or(0)];
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    matches!(version, b"HTTP/1.1\r" | b"HTTP/1.0\r")
        && grammar::is_token(method)
        && !target.is_empty()
        && target.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_strict_form_is_http() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "POST /RPC2 HTTP/1.0\r\n\r\n",
            "GET ws://sip.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert!(is_request(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "GET / HTTP/1.1",
            "GET / HTTP/1.1\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET / HTTP/2\r\n",
            " GET / HTTP/1.1\r\n",
            "\r\nGET / HTTP/1.1\r\n",
            "GET\t/ HTTP/1.1\r\n",
            "GET /\r HTTP/1.1\r\n",
            "GET /\u{e9} HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 x HTTP/1.1\r\n",
            "INVITE sip:x SIP/2.0 HTTP/1.1\r\n",
            "INVITE sip:x SIP/2.0\r\n",
        ] {
            assert!(!is_request(line.as_bytes()), "{line}");
        }
    }
}
