//! Where a request comes from: who connects, or whom a proxy that is trusted names. `X-Forwarded-For` only, which nginx, Caddy, Traefik and
//! Apache write: one that does not know `Forwarded` (RFC 7239) passes on whatever a client wrote there.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The header that each proxy adds the address to that connected to it.
const HEADER: &str = "x-forwarded-for";
/// So many proxies in a row are followed; a longer list is somebody's play.
const MAX_HOPS: usize = 16;

/// The address of the client: the last one that no trusted proxy has. What is written before it, anybody may have written.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<&str> = headers.get_all(HEADER).filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(MAX_HOPS) {
        // What is no address ends the trail: the last proxy that is known sent it.
        let Some(address) = address(hop.trim()) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, as some proxies write it with a port.
fn address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    /// Of a request of this peer with these lines, the proxies being 10.0.0.0/8 and ::1.
    fn client(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HeaderName::from_static(HEADER), HeaderValue::from_str(line).expect("a header"));
        }
        let trusted = ["10.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
        client_address(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_where_it_is() {
        assert_eq!(client("192.0.2.1", &["127.0.0.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["127.0.0.1, 192.0.2.1"]), "192.0.2.1", "it wrote the first one");
        assert_eq!(client("10.0.0.1", &["127.0.0.1", "192.0.2.1"]), "192.0.2.1", "in a line of its own");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_clients() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7, 10.1.1.1"]), "198.51.100.7");
        assert_eq!(client("::1", &["[2001:db8::7]:443,10.1.1.1:80"]), "2001:db8::7");
        assert_eq!(client("::1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.2"]), "10.0.0.2", "a proxy itself");
    }

    #[test]
    fn what_is_no_address_ends_the_trail() {
        assert_eq!(client("10.0.0.1", &["127.0.0.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["127.0.0.1, , 10.0.0.2"]), "10.0.0.2");
        let long = format!("127.0.0.1{}", ", 10.0.0.3".repeat(MAX_HOPS));
        assert_eq!(client("10.0.0.1", &[&long]), "10.0.0.3");
    }
}
